//! The registers of the model, and the rules for those who write them.

use super::State;
use crate::hba::{host, port};

/// Bits of `PxCMD` that software can write.
const CMD_WRITABLE: u32 =
    port::CMD_START | port::CMD_SPIN_UP | port::CMD_POWER | port::CMD_FIS_RECEIVE;
/// Bits of `PxCMD` that are reserved.
const CMD_RESERVED: u32 = 0xE0;
/// Bits of `PxIE` that are reserved.
const ENABLE_RESERVED: u32 = !0xFDC0_00FF;

/// The registers.
#[derive(Debug)]
pub(super) struct Registers {
    pub(super) control: u32,
    pub(super) host_causes: u32,
    /// Address of the command list.
    pub(super) list: u64,
    /// Address of the memory for received FISes.
    received: u64,
    pub(super) causes: u32,
    pub(super) enabled: u32,
    pub(super) cmd: u32,
    pub(super) task_file: u32,
    /// State of the link.
    pub(super) link: u32,
    link_control: u32,
    link_errors: u32,
    /// Slots under way.
    pub(super) under_way: u32,
    /// Reads until the list has stopped.
    stopping: u32,
    /// Reads until the link is up.
    linking: u32,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            control: host::GHC_AHCI,
            host_causes: 0,
            list: 0,
            received: 0,
            causes: 0,
            enabled: 0,
            cmd: 0,
            task_file: 0x50,
            link: port::SSTS_PRESENT,
            link_control: 0,
            link_errors: 0x1234_0000,
            under_way: 0,
            stopping: 0,
            linking: 0,
        }
    }
}

impl Registers {
    /// Returns true if the HBA asks for an interrupt.
    pub(super) const fn is_raised(&self) -> bool {
        self.control & host::GHC_INTERRUPTS != 0 && self.causes & self.enabled != 0
    }
}

/// Returns a register of 64 bits with one half replaced.
fn with_half(old: u64, value: u32, is_upper: bool) -> u64 {
    if is_upper {
        old & 0xFFFF_FFFF | u64::from(value) << 32
    } else {
        old >> 32 << 32 | u64::from(value)
    }
}

impl State {
    pub(super) fn read(&mut self, offset: u32) -> u32 {
        let base = host::port(0);
        match offset {
            host::CAP => host::CAP_64_BITS | 31 << host::CAP_SLOTS_SHIFT | 1 << 18,
            host::GHC => self.registers.control,
            host::IS => self.registers.host_causes,
            host::PI => 1,
            _ if offset < base || offset >= base + 0x80 => {
                self.complain(format!("no register at {offset:#x} is read"));
                0
            }
            _ => self.read_port(offset - base),
        }
    }

    /// May end a command: nothing waits until a driver has read and written what it wants to.
    fn go_on(&mut self) {
        if self.behaviour.max_delay > 0 && self.below(4) == 0 {
            self.step();
        }
    }

    fn read_port(&mut self, register: u32) -> u32 {
        self.go_on();
        let registers = &mut self.registers;
        match register {
            port::CLB => registers.list as u32,
            port::CLBU => (registers.list >> 32) as u32,
            port::FB => registers.received as u32,
            port::FBU => (registers.received >> 32) as u32,
            port::IS => registers.causes,
            port::IE => registers.enabled,
            port::CMD => {
                if registers.stopping > 0 {
                    registers.stopping -= 1;
                    if registers.stopping == 0 {
                        registers.cmd &= !port::CMD_LIST_RUNNING;
                    }
                }
                registers.cmd
            }
            port::TFD => registers.task_file,
            port::SIG => port::SIG_DISK,
            port::SSTS => {
                if registers.linking > 0 {
                    registers.linking -= 1;
                    if registers.linking == 0 {
                        (registers.link, registers.task_file) = (port::SSTS_PRESENT, 0x50);
                        registers.link_errors |= 1 << 26;
                        self.raise(port::IS_CONNECTION | port::IS_REGISTERS);
                        return port::SSTS_PRESENT;
                    }
                }
                registers.link
            }
            port::SCTL => registers.link_control,
            port::SERR => registers.link_errors,
            port::CI => registers.under_way,
            _ => {
                self.complain(format!("no register of a port at {register:#x} is read"));
                0
            }
        }
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) {
        let base = host::port(0);
        match offset {
            host::GHC => {
                self.check(value & 0x7FFF_FFFC == 0, "reserved bits of GHC are written");
                self.check(value & host::GHC_AHCI != 0, "AHCI is switched off");
                self.registers.control = value;
                self.raise(0);
            }
            host::IS => self.registers.host_causes &= !value,
            _ if offset < base || offset >= base + 0x80 => {
                self.complain(format!("no register at {offset:#x} is written"));
            }
            _ => self.write_port(offset - base, value),
        }
    }

    fn write_port(&mut self, register: u32, value: u32) {
        let is_started = self.registers.cmd & (port::CMD_START | port::CMD_LIST_RUNNING) != 0;
        match register {
            port::CLB | port::CLBU => {
                self.check(!is_started, "the command list is moved while the port runs");
                let is_upper = register == port::CLBU;
                self.check(
                    is_upper || value.is_multiple_of(1024),
                    "the command list is not aligned",
                );
                self.registers.list = with_half(self.registers.list, value, is_upper);
            }
            port::FB | port::FBU => {
                let receives = self.registers.cmd & port::CMD_FIS_RUNNING != 0;
                self.check(!receives, "the received FISes are moved while they are stored");
                let is_upper = register == port::FBU;
                self.check(
                    is_upper || value.is_multiple_of(256),
                    "the received FISes are not aligned",
                );
                self.registers.received = with_half(self.registers.received, value, is_upper);
            }
            port::IS => {
                self.go_on();
                self.registers.causes &= !value;
                self.raise(0);
            }
            port::IE => {
                self.check(value & ENABLE_RESERVED == 0, "reserved bits of PxIE are written");
                self.registers.enabled = value;
                self.raise(0);
            }
            port::CMD => self.write_cmd(value),
            port::SCTL => {
                self.check(!is_started, "the link is reset while the port runs");
                self.check(value & 0xFFFF_F000 == 0, "reserved bits of PxSCTL are written");
                if self.registers.link_control & 0xF == port::SCTL_RESET && value & 0xF == 0 {
                    self.registers.linking = 1 + self.below(4);
                } else if value & 0xF == port::SCTL_RESET {
                    (self.registers.link, self.registers.task_file) = (0, 0x80);
                    self.registers.under_way = 0;
                }
                self.registers.link_control = value;
            }
            port::SERR => self.registers.link_errors &= !value,
            port::CI => self.issue(value),
            _ => self.complain(format!("no register of a port at {register:#x} is written")),
        }
    }

    fn write_cmd(&mut self, value: u32) {
        self.check(value & CMD_RESERVED == 0, "reserved bits of PxCMD are written");
        let old = self.registers.cmd;
        let mut cmd = old & !CMD_WRITABLE | value & CMD_WRITABLE;
        let starts = value & port::CMD_START != 0;
        let receives = value & port::CMD_FIS_RECEIVE != 0;
        if starts && old & port::CMD_START == 0 {
            self.check(
                old & port::CMD_LIST_RUNNING == 0,
                "the port is started before it has stopped",
            );
            self.check(
                receives && old & port::CMD_FIS_RUNNING != 0,
                "the port is started without FISes",
            );
            let is_busy = self.registers.task_file & (port::TFD_BUSY | port::TFD_DATA_REQUEST) != 0;
            self.check(
                !is_busy || self.behaviour.is_hostile,
                "the port is started while the device is busy",
            );
            let errors = self.registers.link_errors;
            self.check(errors == 0, "the port is started with errors of the link");
            self.check(self.registers.link != 0, "the port is started without a device");
            cmd |= port::CMD_LIST_RUNNING;
        } else if !starts && old & port::CMD_START != 0 {
            // Slots under way are forgotten; the list stops a little later.
            (self.registers.under_way, self.hung, self.decided) = (0, 0, 0);
            self.is_halted = false;
            self.registers.stopping = 1 + self.below(4);
        }
        if receives {
            cmd |= port::CMD_FIS_RUNNING;
        } else {
            self.check(!starts, "the FISes end before the list");
            cmd &= !port::CMD_FIS_RUNNING;
        }
        self.registers.cmd = cmd;
    }

    fn issue(&mut self, value: u32) {
        let is_started = self.registers.cmd & port::CMD_START != 0;
        self.check(is_started, "a command is issued while the port is stopped");
        let again = self.registers.under_way & value;
        self.check(again == 0 || self.behaviour.is_hostile, "a slot is issued that is under way");
        self.registers.under_way |= value;
        self.most_under_way = self.most_under_way.max(self.registers.under_way.count_ones());
        self.wake();
    }
}
