//! The model finds what a driver does wrong: each mistake is made by an HBA that changes what the driver writes.

use std::cell::Cell;
use std::rc::Rc;

use flounder::driver::notify::Notifier;
use flounder_ata::model::Model;
use flounder_ata::{Hba, Port, host, port_registers as registers};

use crate::ata_rw48;
use crate::exercise::PATIENCE;

/// A mistake.
#[derive(Debug, Clone, Copy)]
enum Mistake {
    /// A byte of a command header.
    Header(usize, u8),
    /// A byte of the FIS.
    Fis(usize, u8),
    /// A byte of a region.
    Region(usize, u8),
    /// Bits of a register of the port, each time that it is written.
    Register(u32, u32),
    /// Bits of the global control.
    Control(u32),
    /// A register is written before the port is stopped.
    WhileItRuns(u32, u32),
    /// No mistake of the driver: the HBA claims to have transferred this much.
    Claim(u32),
}

/// A model that makes a mistake once it is told to.
struct Clumsy {
    model: Model,
    mistake: Rc<Cell<Option<Mistake>>>,
}

impl Hba for Clumsy {
    fn read(&mut self, offset: u32) -> u32 {
        self.model.read(offset)
    }

    fn write(&mut self, offset: u32, mut value: u32) {
        match self.mistake.get() {
            // What stops the port is left as it is.
            Some(Mistake::Register(registers::CMD, _)) if value & registers::CMD_START == 0 => {}
            Some(Mistake::Register(register, bits)) if offset == host::port(0) + register => {
                value ^= bits;
            }
            Some(Mistake::Control(bits)) if offset == host::GHC => value ^= bits,
            Some(Mistake::WhileItRuns(register, value))
                if offset == host::port(0) + registers::CI =>
            {
                self.model.write(host::port(0) + register, value);
            }
            _ => {}
        }
        self.model.write(offset, value);
    }

    fn dma_memory(&self) -> (u64, usize) {
        self.model.dma_memory()
    }

    fn dma_read(&mut self, offset: usize, bytes: &mut [u8]) {
        self.model.dma_read(offset, bytes);
        if let (Some(Mistake::Claim(claim)), Ok(bytes)) =
            (self.mistake.get(), <&mut [u8; 4]>::try_from(bytes))
        {
            *bytes = claim.to_le_bytes();
        }
    }

    fn dma_write(&mut self, offset: usize, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        match (self.mistake.get(), bytes.len()) {
            (Some(Mistake::Header(at, bits)), 32)
            | (Some(Mistake::Fis(at, bits)), 20)
            | (Some(Mistake::Region(at, bits)), 16) => bytes[at] ^= bits,
            _ => {}
        }
        self.model.dma_write(offset, &bytes);
    }

    fn interrupted(&mut self) -> bool {
        self.model.interrupted()
    }

    fn set_notifier(&mut self, notifier: Notifier) {
        self.model.set_notifier(notifier);
    }

    fn arm(&mut self) {
        self.model.arm();
    }
}

/// Returns what the model complains about when a disk is opened and a sector written.
fn complaints(mistake: Option<Mistake>) -> Vec<String> {
    let model = Model::new(64);
    // What stops the port is done to a command that has a time limit: the first one, of `open`, has a long one.
    let is_later = matches!(mistake, Some(Mistake::WhileItRuns(..)));
    let made = Rc::new(Cell::new(mistake.filter(|_| !is_later)));
    let hba = Clumsy { model: model.clone(), mistake: Rc::clone(&made) };
    if let Ok(port) = Port::open(hba, 0) {
        made.set(mistake);
        let ws = flounder::Waitset::new();
        port.set_command_time(std::time::Duration::from_millis(20));
        let channel = port.channel(ata_rw48::INTERFACE).expect("the port is free");
        let disk = ata_rw48::over(channel, &ws, ()).expect("it can be watched");
        // Whether that succeeds is another question.
        let _ = ata_rw48::RpcClient::new(&disk).timeout(PATIENCE).write_dma_ext(1, &[7; 8192]);
    }
    model.complaints()
}

#[test]
fn claim_of_more_bytes_than_asked_for_gives_no_more() {
    for claim in [513, 4096, 1 << 20, u32::MAX] {
        let hba = Clumsy { model: Model::new(64), mistake: Rc::new(Cell::new(None)) };
        let mistake = Rc::clone(&hba.mistake);
        let port = Port::open(hba, 0).expect("there is a disk");
        mistake.set(Some(Mistake::Claim(claim)));
        let ws = flounder::Waitset::new();
        let channel = port.channel(ata_rw48::INTERFACE).expect("the port is free");
        let disk = ata_rw48::over(channel, &ws, ()).expect("it can be watched");
        let disk = ata_rw48::RpcClient::new(&disk).timeout(PATIENCE);
        let (data, status) = disk.read_dma_ext(1, 512).expect("a reply");
        assert_eq!((data.len(), flounder_ata::check(status)), (512, Ok(())), "{claim}");
        let (data, status) = disk.read_block(1).expect("a reply");
        assert_eq!((data, flounder_ata::check(status)), ([0; 512], Ok(())), "{claim}");
    }
}

#[test]
fn correct_driver_gives_no_complaint() {
    assert_eq!(complaints(None), [""; 0]);
}

#[test]
fn each_mistake_is_a_complaint() {
    use Mistake::{Control, Fis, Header, Region, Register, WhileItRuns};
    for (mistake, expected) in [
        (Header(0, 1), "the FIS has another length than 5 words"),
        (Header(0, 0x20), "bits of a header are set"),
        (Header(0, 0x40), "the write bit of a header is wrong"),
        (Header(0, 0x80), "bits of a header are set"),
        (Header(1, 0x01), "bits of a header are set"),
        (Header(1, 0x02), "bits of a header are set"),
        (Header(1, 0x08), "bits of a header are set"),
        (Header(1, 0x10), "bits of a header are set"),
        (Header(2, 1), "the regions have another size than the command"),
        (Header(4, 1), "the count of a header does not begin with 0"),
        (Header(8, 0x40), "a command table is not aligned"),
        (Header(16, 1), "reserved bytes of a header are set"),
        (Header(31, 0x80), "reserved bytes of a header are set"),
        (Fis(0, 1), "the FIS is no command to the device"),
        (Fis(1, 0x80), "the FIS is no command to the device"),
        (Fis(1, 0x01), "the FIS is no command to the device"),
        (Fis(7, 0x10), "reserved bits of the device register are set"),
        (Fis(7, 0x20), "reserved bits of the device register are set"),
        (Fis(7, 0x80), "reserved bits of the device register are set"),
        (Fis(7, 0x40), "the address is no LBA"),
        (Fis(7, 0x01), "an LBA of 48 bits has bits in the device register"),
        (Fis(8, 0x01), "a command of 28 bits has upper bytes"),
        (Fis(13, 0x01), "the regions have another size than the command"),
        (Fis(14, 0x01), "reserved bytes of a FIS are set"),
        (Fis(15, 0x01), "reserved bytes of a FIS are set"),
        (Fis(19, 0x80), "reserved bytes of a FIS are set"),
        (Region(0, 1), "a region begins at an odd address"),
        (Region(7, 1), "a region lies outside of the DMA memory"),
        (Region(8, 1), "reserved bytes of a region are set"),
        (Region(12, 1), "a region has an odd length"),
        (Region(14, 0x40), "reserved bits of a region are set"),
        (Region(15, 0x80), "reserved bits of a region are set"),
        (Register(registers::CLB, 0x200), "the command list is not aligned"),
        (Register(registers::FB, 0x80), "the received FISes are not aligned"),
        (Register(registers::IE, 0x100), "reserved bits of PxIE are written"),
        (Register(registers::CMD, 0x20), "reserved bits of PxCMD are written"),
        (Register(registers::CMD, 0x10), "the port is started without FISes"),
        (Register(registers::SERR, 0x1000_0000), "the port is started with errors of the link"),
        (Control(1 << 31), "AHCI is switched off"),
        (Control(4), "reserved bits of GHC are written"),
        (WhileItRuns(registers::CLB, 0), "the command list is moved while the port runs"),
        (WhileItRuns(registers::FB, 0), "the received FISes are moved while they are stored"),
        (WhileItRuns(registers::SCTL, 1), "the link is reset while the port runs"),
        (WhileItRuns(registers::CMD, 0), "a command is issued while the port is stopped"),
        (WhileItRuns(registers::CI, 1), "a slot is issued that is under way"),
        (WhileItRuns(0x70, 1), "no register of a port at 0x70 is written"),
    ] {
        let found = complaints(Some(mistake));
        let is_found = found.iter().any(|complaint| complaint.contains(expected));
        assert!(is_found, "{mistake:?} should give '{expected}', and gives {found:?}");
    }
}
