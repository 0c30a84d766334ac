//! What a command costs in software: `cargo bench -p flounder-ata --bench commands`.
//!
//! The HBA here does nothing but to end each command as soon as it is issued. `commands CASE` runs one case and prints how many
//! commands it sent, for callgrind: `ci/ata.sh --count` has the command line.

use std::alloc::System;
use std::hint::black_box;
use std::time::Instant;

use flounder::driver::channel::{Channel, Incoming, Outgoing, Progress, Recv};
use flounder::driver::notify::Notifier;
use flounder::driver::wire::Gather;
use flounder_ata::{Hba, Port, host, port_registers as registers};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

flounder::flounder! { file = "if/ata_rw48.if"; }

/// Commands of a case, and those before it.
const COMMANDS: u32 = 100_000;
const WARM_UP: u32 = 100;

/// An HBA that ends commands at once.
struct Ready {
    memory: Vec<u8>,
    registers: [u32; 0x80],
    interrupt: bool,
}

impl Ready {
    fn new() -> Self {
        let mut registers = [0; 0x80];
        let port = host::port(0) as usize / 4;
        registers[host::CAP as usize / 4] = 31 << host::CAP_SLOTS_SHIFT | host::CAP_64_BITS;
        registers[host::PI as usize / 4] = 1;
        registers[port + registers_at(registers::SSTS)] = registers::SSTS_PRESENT;
        registers[port + registers_at(registers::SIG)] = registers::SIG_DISK;
        Self { memory: vec![0; 4 << 20], registers, interrupt: false }
    }
}

const fn registers_at(register: u32) -> usize {
    register as usize / 4
}

impl Hba for Ready {
    #[inline]
    fn read(&mut self, offset: u32) -> u32 {
        self.registers[registers_at(offset)]
    }

    #[inline]
    fn write(&mut self, offset: u32, value: u32) {
        const CI: u32 = host::port(0) + registers::CI;
        const CAUSES: u32 = host::port(0) + registers::IS;
        match offset {
            CI => {
                let slot = value.trailing_zeros() as usize;
                let regions = u16::from_le_bytes([self.memory[32 * slot + 2], 0]);
                let bytes = 512 * u32::from(regions.min(1));
                self.memory[32 * slot + 4..][..4].copy_from_slice(&bytes.to_le_bytes());
                self.registers[registers_at(CAUSES)] = registers::IS_REGISTERS;
                self.interrupt = true;
            }
            CAUSES => self.registers[registers_at(CAUSES)] &= !value,
            _ => self.registers[registers_at(offset)] = value,
        }
    }

    fn dma_memory(&self) -> (u64, usize) {
        (1 << 32, self.memory.len())
    }

    #[inline]
    fn dma_read(&mut self, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.memory[offset..][..bytes.len()]);
    }

    #[inline]
    fn dma_write(&mut self, offset: usize, bytes: &[u8]) {
        self.memory[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    #[inline]
    fn interrupted(&mut self) -> bool {
        core::mem::take(&mut self.interrupt)
    }

    fn set_notifier(&mut self, _: Notifier) {}

    fn arm(&mut self) {}
}

/// Carries out `commands` commands: `number` is that of the call.
fn run(channel: &mut dyn Channel, incoming: &mut Incoming, number: u16, commands: u32) {
    let data = [0xA5; 512];
    for id in 0..commands {
        let id = u64::from(id);
        // The records of `read_dma_ext`, `write_dma_ext` and `flush_cache_ext`.
        let (fixed, tail): (&[u64], &[&[u8]]) = match number {
            1 => (&[7, 512 << 32 | id], &[]),
            3 => (&[7, 512 << 32 | id], &[&data]),
            _ => (&[id], &[]),
        };
        let body = Gather { fixed, tails: tail };
        let mut message = Outgoing { number, body, caps: &mut Vec::new(), cap_count: 0 };
        assert_eq!(channel.send(black_box(&mut message), 0), Ok(Progress::Done));
        assert_eq!(channel.recv(incoming), Ok(Recv::Message));
        assert_eq!(incoming.number(), number + 1);
    }
}

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let cases = [("read", 1), ("write", 3), ("flush", 15)];
    for (name, number) in cases {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let port = Port::open(Ready::new(), 0).expect("the port has a disk");
        let mut channel = port.channel(ata_rw48::INTERFACE).expect("the port is free");
        let mut incoming = Incoming::new(ata_rw48::INTERFACE.limits);
        run(&mut *channel, &mut incoming, number, WARM_UP);
        let (region, began) = (Region::new(ALLOCATOR), Instant::now());
        run(&mut *channel, &mut incoming, number, COMMANDS);
        let (time, change) = (began.elapsed(), region.change());
        assert_eq!(change.allocations + change.reallocations, 0, "a {name} allocates");
        if wanted.is_some() {
            println!("{name} {}", COMMANDS + WARM_UP);
        } else {
            let time = time.as_nanos() / u128::from(COMMANDS);
            println!("{name:6} 512 bytes: {time} ns a command there and back, 0 allocations");
        }
    }
}
