//! Arguments of every kind, at their limits; and interfaces that are no commands.

use flounder::{Waitset, flounder};
use flounder_ata::model::Model;
use flounder_ata::{AtaError, AttachError, Port, Refusal, check};

flounder! {
    interface shapes {
        alias small uint8;
        typedef uint8 block[512];
        typedef block sector;
        typedef uint64 address;
        typedef errval result;

        @ata(command=opcode, feature=feature, count=count, lba=start)
        rpc any(in small opcode, in uint16 feature, in size count, in address start, out result status);

        @ata(command=opcode, feature=feature, count=count, lba=start, lba48=1)
        rpc any48(in uint16 opcode, in uint32 feature, in uint32 count, in uint64 start, out errval status);

        @ata(command=0xC8, dma_arg=data, dma_size=bytes, lba=start)
        rpc read(in uint32 bytes, in uint32 start, out errval status, out uint8 data[size, 262144]);

        @ata(command=0xCA, dma_arg=data, lba=3)
        rpc write_third(in sector data);

        @ata(command=0x35, dma_arg=data, lba=0, lba48=1)
        rpc write_much(in uint8 data[size, 16777216], out errval status);

        @ata(command=0x25, dma_arg=data, dma_size=4096, count=8, lba=0, lba48=1)
        rpc read_eight(out uint8 data[size, 4096]);
    };
}

fn over_the_model(model: &Model) -> (Port<Model>, Waitset, shapes::RpcClient) {
    let port = Port::open(model.clone(), 0).expect("there is a disk");
    let ws = Waitset::new();
    let channel = port.channel(shapes::INTERFACE).expect("the port is free");
    let binding = shapes::over(channel, &ws, ()).expect("it can be watched");
    (port, ws, shapes::RpcClient::new(&binding))
}

#[test]
fn numbers_of_any_width_reach_their_registers() {
    let model = Model::new(1 << 12);
    let (_port, _ws, disk) = over_the_model(&model);
    let refused = |refusal| Err(AtaError::Refused(refusal));
    for (opcode, feature, count, start, expected) in [
        (0x40, 0, 8, 16, Ok(())),
        (0x40, 255, 255, 0, Ok(())),
        (0x40, 256, 1, 0, refused(Refusal::Register)),
        (0x40, 0, 256, 0, refused(Refusal::Register)),
        (0x40, 0, usize::MAX, 0, refused(Refusal::Register)),
        (0x40, 0, 1, 1 << 28, refused(Refusal::Address)),
        (0x40, 0, 1, u64::MAX, refused(Refusal::Address)),
    ] {
        let status = disk.any(opcode, feature, count, start).expect("a reply");
        assert_eq!(check(status), expected, "{opcode} {feature} {count} {start}");
    }
    for (opcode, feature, count, start, expected) in [
        (0x42, 0xFFFF, 0x1000, 0, Ok(())),
        (0x142, 0, 1, 0, refused(Refusal::Register)),
        (0x42, 0x1_0000, 1, 0, refused(Refusal::Register)),
        (0x42, 0, 0x1_0000, 0, refused(Refusal::Register)),
        (0x42, 0, 1, 1 << 48, refused(Refusal::Address)),
    ] {
        let status = disk.any48(opcode, feature, count, start).expect("a reply");
        assert_eq!(check(status), expected, "{opcode} {feature} {count} {start}");
    }
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn sectors_are_counted_up_to_what_the_register_holds() {
    let model = Model::new(1 << 12);
    let (_port, _ws, disk) = over_the_model(&model);
    let (status, data) = disk.read(256 * 512, 7).expect("a reply");
    assert_eq!((check(status), data.len()), (Ok(()), 256 * 512));
    let (status, data) = disk.read(257 * 512, 7).expect("a reply");
    let expected = Err(AtaError::Refused(Refusal::Sectors));
    assert_eq!((check(status), data.len()), (expected, 0));
    assert_eq!(disk.read_eight().expect("a reply").len(), 4096);
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn more_than_a_command_moves_is_refused() {
    let model = Model::new(1 << 12);
    let (_port, _ws, disk) = over_the_model(&model);
    let status = disk.write_much(&vec![1; 1 << 20]).expect("a reply");
    assert_eq!(check(status), Ok(()));
    for bytes in [(1 << 20) + 512, 3 << 20, 16 << 20] {
        let status = disk.write_much(&vec![1; bytes]).expect("a reply");
        assert_eq!(check(status), Err(AtaError::Refused(Refusal::TooLong)), "{bytes}");
    }
    assert_eq!(model.complaints(), [""; 0]);
}

#[test]
fn rpc_without_results_is_answered() {
    let model = Model::new(64);
    let (_port, _ws, disk) = over_the_model(&model);
    assert_eq!(disk.write_third(&[9; 512]), Ok(()));
    assert_eq!(model.contents()[3 * 512..4 * 512], [9; 512]);
    assert_eq!(model.complaints(), [""; 0]);
}

flounder! {
    interface plain {
        message note(uint32 x);
    };
}

flounder! {
    interface half {
        @ata(command=0xE7)
        rpc flush_cache(out errval status);
        rpc sum(in uint32 a, in uint32 b, out uint32 sum);
    };
}

#[test]
fn interface_with_something_that_is_no_command_gets_no_channel() {
    let port = Port::open(Model::new(64), 0).expect("there is a disk");
    for (interface, message) in [(plain::INTERFACE, "note"), (half::INTERFACE, "sum_call")] {
        let error = port.channel(interface).err().expect("no channel");
        assert_eq!(error, AttachError::NoCommand { message });
    }
    assert!(port.channel(crate::ata_rw28::INTERFACE).is_ok());
}
