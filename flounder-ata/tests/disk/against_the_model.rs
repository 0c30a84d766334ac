//! The model as a disk: honest, slow, faulty, broken and hostile.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use flounder::{RpcError, TxError};
use flounder_ata::model::{Behaviour, Model};
use flounder_ata::{AtaError, OpenError, Port, Refusal, check};

use crate::exercise::{self, Bench, all};
use crate::{ata_rw28, ata_rw48};

/// Commands of a random run.
fn commands() -> u64 {
    std::env::var("FLOUNDER_ATA_COMMANDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2_000)
}

#[test]
fn every_rpc_of_ata_rw28_works() {
    let model = Model::new(1 << 12);
    exercise::every_rpc_of_ata_rw28(&Bench::open(model.clone()));
    assert_eq!(model.contents()[16 * 512..][..4], 0xDEAD_BEEF_u32.to_le_bytes());
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn large_transfers_arrive_whole() {
    let model = Model::new(1 << 12);
    exercise::large_transfers(&Bench::open(model.clone()));
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn random_commands_leave_the_disk_as_a_copy_of_it() {
    for (seed, sector_bytes) in [(1, 512), (2, 4096)] {
        let model = Model::with_sector_bytes(4096, sector_bytes);
        model.set_behaviour(Behaviour {
            seed,
            max_delay: 3,
            is_out_of_order: true,
            spurious: 20,
            ..Behaviour::default()
        });
        let bench = Bench::open(model.clone());
        let (copy, tally) = exercise::random_reads_and_writes(&bench, commands() / 2, seed, false);
        assert!(model.contents() == copy, "the disk differs");
        assert_eq!(tally.failed, 0);
        assert!(model.most_under_way() > 16, "{}", model.most_under_way());
        assert_eq!(bench.port.restarts(), 0);
        assert_eq!(model.complaints(), [""; 0]);
    }
}

#[test]
fn errors_fail_one_command_and_the_others_are_issued_again() {
    for (seed, goes_on) in [(3, false), (4, true)] {
        let model = Model::new(1 << 12);
        let bench = Bench::open(model.clone());
        model.set_behaviour(Behaviour {
            seed,
            max_delay: 2,
            is_out_of_order: true,
            errors: 50,
            goes_on,
            ..Behaviour::default()
        });
        let (copy, tally) = exercise::random_reads_and_writes(&bench, commands() / 4, seed, true);
        assert!(model.contents() == copy, "the disk differs");
        assert!(tally.failed * 10 < tally.commands, "{tally:?}");
        assert!(bench.port.restarts() >= tally.failed / 2, "{tally:?}");
        assert!(tally.failed > tally.commands / 100, "{tally:?}");
        assert_eq!(model.complaints(), [""; 0]);
    }
}

#[test]
fn bad_sector_fails_its_command_with_the_registers_of_the_disk() {
    let model = Model::new(64);
    model.set_bad(9);
    let bench = Bench::open(model.clone());
    let disk = bench.rw48();
    let calls: Vec<_> = (0..32).map(|start| disk.read_dma_ext_async(start, 512)).collect();
    for (start, read) in all(&bench.ws, calls).into_iter().enumerate() {
        let (_, status) = read.expect("a reply");
        let expected =
            if start == 9 { Err(AtaError::Device { status: 0x51, error: 0x40 }) } else { Ok(()) };
        let found = check(status).map_err(|error| match error {
            // The device may want data after an error.
            AtaError::Device { status, error } => AtaError::Device { status: status & !8, error },
            error => error,
        });
        assert_eq!(found, expected, "{start}");
    }
    // One among others, and one when it was found out which it was.
    assert_eq!(bench.port.restarts(), 2);
    let past_the_end = disk.read_dma_ext(64, 512).expect("a reply").1;
    assert!(
        matches!(check(past_the_end), Err(AtaError::Device { error: 0x10, .. })),
        "{past_the_end}"
    );
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn call_without_a_status_fails_with_no_reply_and_the_port_has_the_reason() {
    let model = Model::new(64);
    model.set_bad(5);
    let bench = Bench::open(model.clone());
    let disk = bench.rw28();
    assert_eq!(bench.port.last_failure(), None);
    assert_eq!(disk.read_dma_block(5), Err(RpcError::NoReply));
    let failure = bench.port.last_failure().expect("it failed");
    assert_eq!(failure.call, "read_dma_block_call");
    assert!(matches!(failure.error, AtaError::Device { error: 0x40, .. }), "{:?}", failure.error);
    assert_eq!(disk.read_dma_block(6).map(|data| data.len()), Ok(512));
}

#[test]
fn what_is_no_command_is_refused_and_nothing_is_issued() {
    let model = Model::new(1 << 12);
    let bench = Bench::open(model.clone());
    let issued = model.commands();
    let disk = bench.rw28();
    let reason = || bench.port.last_failure().expect("it failed").error;
    for (bytes, lba, refusal) in [
        (0, 0, Refusal::Size),
        (100, 0, Refusal::Size),
        (513, 0, Refusal::Size),
        (2560, 0, Refusal::TooLong),
        (u32::MAX, 0, Refusal::TooLong),
        (512, 1 << 28, Refusal::Address),
        (1024, (1 << 28) - 1, Refusal::Address),
        (512, u32::MAX, Refusal::Address),
    ] {
        assert_eq!(disk.read_dma(bytes, lba), Err(RpcError::NoReply), "{bytes} {lba}");
        assert_eq!(reason(), AtaError::Refused(refusal), "{bytes} {lba}");
    }
    let status = disk.write_dma(&[1; 700], 0).expect("a reply");
    assert_eq!(check(status), Err(AtaError::Refused(Refusal::Size)));
    let status = disk.write_dma(&[], 0).expect("a reply");
    assert_eq!(check(status), Err(AtaError::Refused(Refusal::Size)));
    let too_long = disk.write_dma(&[1; 2049], 0);
    assert!(matches!(too_long, Err(RpcError::Tx(TxError::TooLong { .. }))), "{too_long:?}");
    drop(disk);
    let disk = bench.rw48();
    for (start, refusal) in [(1 << 48, Refusal::Address), (u64::MAX, Refusal::Address)] {
        let (data, status) = disk.read_dma_ext(start, 512).expect("a reply");
        assert_eq!((data.len(), check(status)), (0, Err(AtaError::Refused(refusal))));
    }
    assert_eq!(model.commands(), issued);
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn more_refused_calls_than_are_kept_make_the_binding_busy() {
    let bench = Bench::open(Model::new(64));
    let disk = bench.rw48();
    let calls: Vec<_> = (0..200).map(|_| disk.read_dma_ext_async(0, 7)).collect();
    for read in all(&bench.ws, calls) {
        let (_, status) = read.expect("a reply");
        assert_eq!(check(status), Err(AtaError::Refused(Refusal::Size)));
    }
}

#[test]
fn call_beyond_the_slots_waits_for_one() {
    let model = Model::new(1 << 12);
    model.set_behaviour(Behaviour { max_delay: 50, ..Behaviour::default() });
    let bench = Bench::open(model.clone());
    let disk = bench.rw48();
    let calls: Vec<_> = (0..500).map(|start| disk.read_dma_ext_async(start, 512)).collect();
    for read in all(&bench.ws, calls) {
        let (data, status) = read.expect("a reply");
        check(status).expect("the disk reads");
        assert_eq!(data.len(), 512);
    }
    assert_eq!(model.most_under_way(), 32);
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn command_waits_for_memory_that_others_have() {
    let model = Model::new(1 << 14);
    let bench = Bench::open(model.clone());
    let disk = bench.rw48();
    // The memory of the model has room for three of them.
    let calls: Vec<_> =
        (0..6).map(|i| disk.write_dma_ext_async(i * 2048, &vec![i as u8 + 1; 1 << 20])).collect();
    for status in all(&bench.ws, calls) {
        check(status.expect("a reply")).expect("the disk writes");
    }
    let contents = model.contents();
    for i in 0..6 {
        assert!(contents[i << 20..][..1 << 20].iter().all(|byte| *byte == i as u8 + 1), "{i}");
    }
    assert!(model.most_under_way() < 4);
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn short_transfer_is_an_error_with_what_has_come() {
    let model = Model::new(64);
    let bench = Bench::open(model.clone());
    model.set_behaviour(Behaviour { seed: 7, shorts: 1000, ..Behaviour::default() });
    let disk = bench.rw48();
    let (data, status) = disk.read_dma_ext(0, 4096).expect("a reply");
    assert_eq!(check(status), Err(AtaError::Short { bytes: data.len() as u32 }));
    let (data, status) = disk.read_block(0).expect("a reply");
    assert!(matches!(check(status), Err(AtaError::Short { .. })), "{status}");
    assert_eq!(data, [0; 512]);
    drop(disk);
    // The length says the same where there is no status.
    assert!(bench.rw28().read_dma(2048, 0).expect("a reply").len() < 2048);
}

#[test]
fn command_that_hangs_times_out_and_others_do_not() {
    let model = Model::new(1 << 12);
    let bench = Bench::open(model.clone());
    bench.port.set_command_time(Duration::from_millis(50));
    model.set_behaviour(Behaviour {
        seed: 8,
        hangs: 100,
        is_out_of_order: true,
        ..Behaviour::default()
    });
    let disk = bench.rw48();
    let (mut late, calls) = (0, 200);
    let calls: Vec<_> = (0..calls).map(|start| disk.read_dma_ext_async(start, 512)).collect();
    for read in all(&bench.ws, calls) {
        let (_, status) = read.expect("a reply");
        match check(status) {
            Ok(()) => {}
            Err(AtaError::TimedOut) => late += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!((1..100).contains(&late), "{late}");
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn disk_that_is_pulled_ends_the_binding() {
    for remove in [Model::unplug, Model::remove] {
        let model = Model::new(64);
        let bench = Bench::open(model.clone());
        model.set_behaviour(Behaviour { hangs: 1000, ..Behaviour::default() });
        let disk = bench.rw48();
        let call = disk.read_dma_ext_async(0, 512);
        remove(&model);
        let ended = all(&bench.ws, vec![call]).remove(0);
        assert!(matches!(ended, Err(RpcError::Closed(_))), "{ended:?}");
        let after = disk.read_dma_ext(0, 512);
        assert!(
            matches!(after, Err(RpcError::NotSent(_) | RpcError::Tx(TxError::Closed))),
            "{after:?}"
        );
    }
}

#[test]
fn hostile_device_breaks_nothing_and_lengths_stay_in_bounds() {
    for seed in 0..30 {
        let model = Model::new(1 << 12);
        let bench = Bench::open(model.clone());
        bench.port.set_command_time(Duration::from_millis(2));
        model.set_behaviour(Behaviour {
            seed,
            max_delay: 2,
            is_out_of_order: true,
            errors: 100,
            hangs: 50,
            shorts: 100,
            spurious: 100,
            is_hostile: true,
            goes_on: seed % 2 == 0,
        });
        let disk = bench.rw48();
        let calls: Vec<_> = (0..300)
            .map(|start| disk.read_dma_ext_async(start, 512 * (1 + start as u32 % 8)))
            .collect();
        for (start, read) in all(&bench.ws, calls).into_iter().enumerate() {
            match read {
                Ok((data, _)) => assert!(data.len() <= 512 * (1 + start % 8), "{}", data.len()),
                Err(RpcError::Closed(_) | RpcError::NotSent(_) | RpcError::Tx(TxError::Closed)) => {
                }
                Err(error) => panic!("{seed}: {error:?}"),
            }
        }
    }
}

#[test]
fn flush_waits_for_the_writes_before_it() {
    let model = Model::new(1 << 12);
    model.set_behaviour(Behaviour {
        seed: 5,
        max_delay: 9,
        is_out_of_order: true,
        ..Behaviour::default()
    });
    let bench = Bench::open(model.clone());
    let disk = bench.rw48();
    // The flush is accepted last.
    let commands = (1..=20_u8).map(|i| {
        let (disk, model) = (&disk, &model);
        Box::pin(async move {
            let status = match i {
                20 => disk.flush_cache_ext_async().await,
                i => disk.write_dma_ext_async(i.into(), &[i; 512]).await,
            };
            check(status.expect("a reply")).expect("the disk obeys");
            if i == 20 {
                let contents = model.contents();
                assert!((1..20).all(|i| contents[512 * i] == i as u8), "a write is missing");
            }
        })
    });
    all(&bench.ws, commands.collect());
    assert!(model.most_under_way() >= 19);
}

#[test]
fn port_has_one_channel_at_a_time() {
    let bench = Bench::open(Model::new(64));
    let disk = bench.rw28();
    let second = bench.port.channel(ata_rw48::INTERFACE).err().expect("the port is taken");
    assert_eq!(second.to_string(), "the port has a channel that is not closed");
    drop(disk);
    let next = bench.rw48();
    check(next.read_block(1).expect("a reply").1).expect("the disk reads");
}

#[test]
fn results_of_a_closed_channel_go_to_nobody() {
    let model = Model::new(64);
    let bench = Bench::open(model.clone());
    model.set_behaviour(Behaviour { max_delay: 100, ..Behaviour::default() });
    for i in 0..10 {
        let disk = bench.rw48();
        let mut calls: Vec<_> = (0..10).map(|start| disk.read_dma_ext_async(start, 512)).collect();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(calls.iter_mut().all(|call| Pin::new(call).poll(&mut cx).is_pending()));
        drop(calls);
        disk.binding().teardown();
        drop(disk);
        let disk = bench.rw28();
        let data = disk.read_dma(1024, i).expect("a reply");
        assert_eq!(data.len(), 1024);
    }
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn call_that_is_given_up_disturbs_no_other() {
    let model = Model::new(64);
    let bench = Bench::open(model.clone());
    model.set_behaviour(Behaviour { seed: 1, max_delay: 2000, ..Behaviour::default() });
    let disk = bench.rw48();
    let hasty = ata_rw48::RpcClient::new(disk.binding()).timeout(Duration::from_micros(1));
    for start in 0..20 {
        let _ = hasty.read_dma_ext(start, 512);
        let (data, status) = disk.read_dma_ext(start, 1024).expect("a reply");
        check(status).expect("the disk reads");
        assert_eq!(data.len(), 1024);
    }
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn ports_and_adapters_that_are_missing_are_errors() {
    assert_eq!(Port::open(Model::new(64), 1).err(), Some(OpenError::NoPort { index: 1 }));
    assert_eq!(Port::open(Model::new(64), 77).err(), Some(OpenError::NoPort { index: 77 }));
    let model = Model::new(64);
    model.remove();
    assert_eq!(Port::open(model, 0).err(), Some(OpenError::NoHba));
    let model = Model::new(64);
    model.unplug();
    assert_eq!(Port::open(model, 0).err(), Some(OpenError::NoDevice));
    let _ = ata_rw28::INTERFACE;
}
