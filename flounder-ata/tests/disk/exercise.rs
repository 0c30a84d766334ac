//! What is done with a disk, whichever it is.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use flounder::{Errval, Waitset};
use flounder_ata::{Hba, Port, check};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::{ata_rw28, ata_rw48};

/// Time in which anything has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A disk with both interfaces: one at a time.
pub(crate) struct Bench<H: Hba + 'static> {
    pub(crate) port: Port<H>,
    pub(crate) ws: Waitset,
}

impl<H: Hba + 'static> Bench<H> {
    pub(crate) fn open(hba: H) -> Self {
        Self { port: Port::open(hba, 0).expect("the port has a disk"), ws: Waitset::new() }
    }

    pub(crate) fn rw28(&self) -> ata_rw28::RpcClient {
        let channel = self.port.channel(ata_rw28::INTERFACE).expect("the port is free");
        let binding = ata_rw28::over(channel, &self.ws, ());
        ata_rw28::RpcClient::new(&binding.expect("it can be watched")).timeout(PATIENCE)
    }

    pub(crate) fn rw48(&self) -> ata_rw48::RpcClient {
        let channel = self.port.channel(ata_rw48::INTERFACE).expect("the port is free");
        let binding = ata_rw48::over(channel, &self.ws, ());
        ata_rw48::RpcClient::new(&binding.expect("it can be watched")).timeout(PATIENCE)
    }
}

/// Makes calls at once, and returns their results.
pub(crate) fn all<F: Future + Unpin>(ws: &Waitset, calls: Vec<F>) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = calls.iter().map(|_| None).collect();
    let mut calls = calls;
    let joined = poll_fn(|cx| {
        for (call, result) in calls.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = Pin::new(call).poll(cx)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    });
    ws.block_on(joined).expect("no callback fails");
    results.into_iter().flatten().collect()
}

/// Returns a generator of numbers.
pub(crate) fn random(seed: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed)
}

pub(crate) fn below(random: &mut Pcg64Mcg, end: u64) -> u64 {
    random.next_u64() % end
}

/// Every rpc of `ata_rw28`, with the sizes and the pattern of the original's test.
pub(crate) fn every_rpc_of_ata_rw28<H: Hba>(bench: &Bench<H>) {
    let disk = bench.rw28();
    assert_eq!(disk.binding().driver(), "ahci");
    let identity = disk.identify_device().expect("the disk identifies itself");
    assert_eq!(identity.len(), 512);
    for bytes in [512, 4 * 512] {
        let pattern: Vec<u8> =
            0xDEAD_BEEF_u32.to_le_bytes().into_iter().cycle().take(bytes).collect();
        check(disk.write_dma(&pattern, 16).expect("a reply")).expect("the disk writes");
        check(disk.flush_cache().expect("a reply")).expect("the disk flushes");
        assert_eq!(disk.read_dma(bytes as u32, 16).as_deref(), Ok(&pattern[..]));
        assert_eq!(disk.read_dma_block(16).as_deref(), Ok(&pattern[..512]));
    }
}

/// Writes and reads 32 times 512 bytes and a mebibyte in one command each.
pub(crate) fn large_transfers<H: Hba>(bench: &Bench<H>) {
    let disk = bench.rw48();
    for bytes in [32 * 512, 1 << 20] {
        let data: Vec<u8> = (0..bytes as u32).map(|i| (i * 7 + i / 512) as u8).collect();
        check(disk.write_dma_ext(8, &data).expect("a reply")).expect("the disk writes");
        let (read, status) = disk.read_dma_ext(8, bytes as u32).expect("a reply");
        check(status).expect("the disk reads");
        assert!(read == data, "{bytes} bytes differ");
    }
    let block = core::array::from_fn(|i| i as u8);
    check(disk.write_block(3, &block).expect("a reply")).expect("the disk writes");
    let (read, status) = disk.read_block(3).expect("a reply");
    check(status).expect("the disk reads");
    assert_eq!(read, block);
    check(disk.read_verify_ext(3, 9).expect("a reply")).expect("the sectors can be read");
    check(disk.flush_cache_ext().expect("a reply")).expect("the disk flushes");
    assert_eq!(disk.identify_device().expect("a reply")[..2], [0x40, 0x00]);
}

/// How a random run went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) commands: u64,
    pub(crate) failed: u64,
}

/// Reads and writes at random, up to 32 commands at once that do not touch the same sectors, and compares with a copy of the
/// disk in memory. Returns that copy. Commands may fail where `may_fail`, and are made again then.
pub(crate) fn random_reads_and_writes<H: Hba>(
    bench: &Bench<H>,
    commands: u64,
    seed: u64,
    may_fail: bool,
) -> (Vec<u8>, Tally) {
    let (disk, random) = (bench.rw48(), &mut random(seed));
    let sector = bench.port.disk().sector_bytes() as usize;
    let sectors = bench.port.disk().sectors();
    let mut copy = vec![0; sectors as usize * sector];
    let mut tally = Tally::default();
    let end = Instant::now() + 5 * PATIENCE;
    while tally.commands < commands {
        assert!(Instant::now() < end, "too slow: {tally:?}");
        // A batch: each command has a lane of its own on the disk.
        let batch = 1 + below(random, 32);
        let lane = sectors / 32;
        let jobs: Vec<Job> = (0..batch)
            .map(|at| {
                let count = 1 + below(random, 8.min(lane));
                let start = at * lane + below(random, lane - count + 1);
                let bytes = count as usize * sector;
                let data = (below(random, 2) == 0).then(|| {
                    let mut data = vec![0; bytes];
                    random.fill_bytes(&mut data);
                    data
                });
                Job { start, bytes, data }
            })
            .collect();
        let carry_out = |job: &Job| {
            let call: Pin<Box<dyn Future<Output = (Vec<u8>, Errval)>>> = match &job.data {
                Some(data) => {
                    let call = disk.write_dma_ext_async(job.start, data);
                    Box::pin(async { (Vec::new(), call.await.expect("a reply")) })
                }
                None => {
                    let call = disk.read_dma_ext_async(job.start, job.bytes as u32);
                    Box::pin(async { call.await.expect("a reply") })
                }
            };
            call
        };
        let results = all(&bench.ws, jobs.iter().map(carry_out).collect());
        for (job, (mut found, mut status)) in jobs.into_iter().zip(results) {
            tally.commands += 1;
            let mut attempts = 0;
            while let Err(error) = check(status) {
                assert!(may_fail && attempts < 100, "{} of {attempts}: {error:?}", job.start);
                (tally.failed, attempts) = (tally.failed + 1, attempts + 1);
                tally.commands += 1;
                (found, status) = bench.ws.block_on(carry_out(&job)).expect("no callback fails");
            }
            let place = &mut copy[job.start as usize * sector..][..job.bytes];
            match job.data {
                Some(data) => place.copy_from_slice(&data),
                None => assert!(found == place, "sectors from {} on differ", job.start),
            }
        }
        if below(random, 8) == 0 {
            check(disk.flush_cache_ext().expect("a reply")).expect("the disk flushes");
        }
    }
    (copy, tally)
}

/// A read or a write.
struct Job {
    start: u64,
    bytes: usize,
    /// What is written.
    data: Option<Vec<u8>>,
}
