//! An HBA in memory, with one disk: a model of AHCI 1.3.1 that makes life hard for a driver.
//!
//! It completes commands in any order, late, and with errors, needs resets after some of them, and holds the driver to the
//! specification: what a reserved bit, an alignment or an order forbids is a [complaint](Model::complaints). Its choices
//! follow from a [seed](Behaviour::seed), so that a run can be repeated.

use core::cell::RefCell;
use std::rc::Rc;

use flounder_rt::notify::Notifier;

use crate::hba::{GONE, Hba, port};

mod device;
mod registers;

use device::Device;
use registers::Registers;

/// Address of the DMA memory: over 4 GiB, so that no upper half may be forgotten.
const ADDRESS: u64 = 0x12_3450_0000;
/// `PxCMD`: number of the slot that the HBA works on, in bits 12 to 8.
const CMD_SLOT_SHIFT: u32 = 8;
/// Bytes of the DMA memory.
const DMA_BYTES: usize = 4 << 20;

/// The model. Clones are handles to the same HBA.
///
/// ```
/// use flounder_ata::Port;
/// use flounder_ata::model::Model;
///
/// let model = Model::new(1024);
/// let port = Port::open(model.clone(), 0)?;
/// assert_eq!(port.disk().sectors(), 1024);
/// assert_eq!(model.complaints(), [""; 0]);
/// # Ok::<(), flounder_ata::OpenError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model(Rc<RefCell<State>>);

/// What a model does beside its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Determines every choice.
    pub seed: u64,
    /// Most looks at the model before it ends the next command. With another number than 0, it may also end one whenever a
    /// register is read, or the causes of interrupts are cleared.
    pub max_delay: u32,
    /// True if slots are worked off in any order, else from the lowest.
    pub is_out_of_order: bool,
    /// Of 1000 commands with data, so many end with an error although nothing is wrong.
    pub errors: u32,
    /// Of 1000 commands, so many never end.
    pub hangs: u32,
    /// Of 1000 reads, so many transfer only a part and report success.
    pub shorts: u32,
    /// Of 1000 looks, so many find an interrupt without a cause.
    pub spurious: u32,
    /// True for an HBA that goes on after an error, with the slot of the failed command cleared and none named.
    pub goes_on: bool,
    /// True for an HBA that writes anything at all into the memory and the registers that it may write.
    pub is_hostile: bool,
}

/// State of the model.
#[derive(Debug)]
struct State {
    registers: Registers,
    device: Device,
    memory: Vec<u8>,
    behaviour: Behaviour,
    random: u64,
    complaints: Vec<String>,
    /// Looks until the next command ends.
    delay: u32,
    /// Slots that never end.
    hung: u32,
    /// Slots whose fate is decided.
    decided: u32,
    /// True after an error, until the port is stopped.
    is_halted: bool,
    /// True if the HBA was removed.
    is_gone: bool,
    interrupt: bool,
    /// True while the line of interrupts is raised.
    line: bool,
    is_armed: bool,
    notifier: Option<Notifier>,
    commands: u64,
    most_under_way: u32,
}

impl Model {
    /// Returns an HBA with a disk of `sectors` sectors of 512 bytes, all zero.
    #[must_use]
    pub fn new(sectors: usize) -> Self {
        Self::with_sector_bytes(sectors, 512)
    }

    /// Returns an HBA with a disk of `sectors` sectors of `bytes` bytes, all zero.
    #[must_use]
    pub fn with_sector_bytes(sectors: usize, bytes: usize) -> Self {
        Self(Rc::new(RefCell::new(State {
            registers: Registers::default(),
            device: Device::new(sectors, bytes),
            memory: vec![0; DMA_BYTES],
            behaviour: Behaviour::default(),
            random: 0,
            complaints: Vec::new(),
            delay: 0,
            hung: 0,
            decided: 0,
            is_halted: false,
            is_gone: false,
            interrupt: false,
            line: false,
            is_armed: false,
            notifier: None,
            commands: 0,
            most_under_way: 0,
        })))
    }

    /// Changes what the model does from now on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        let state = &mut *self.0.borrow_mut();
        state.random = behaviour.seed;
        state.behaviour = behaviour;
    }

    /// Makes commands that touch a sector fail.
    pub fn set_bad(&self, sector: u64) {
        self.0.borrow_mut().device.bad.push(sector);
    }

    /// Pulls the cable of the disk.
    pub fn unplug(&self) {
        let state = &mut *self.0.borrow_mut();
        state.registers.link = 0;
        state.raise(port::IS_LINK | port::IS_CONNECTION);
        state.wake();
    }

    /// Removes the HBA: no register answers.
    pub fn remove(&self) {
        let state = &mut *self.0.borrow_mut();
        (state.is_gone, state.interrupt) = (true, true);
        state.wake();
    }

    /// Returns the bytes of the disk.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.0.borrow().device.bytes.clone()
    }

    /// Returns what the driver has done that the specification forbids.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.0.borrow().complaints.clone()
    }

    /// Returns how many commands have ended.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.0.borrow().commands
    }

    /// Returns the largest number of commands that were under way at once.
    #[must_use]
    pub fn most_under_way(&self) -> u32 {
        self.0.borrow().most_under_way
    }
}

impl Hba for Model {
    fn read(&mut self, offset: u32) -> u32 {
        let state = &mut *self.0.borrow_mut();
        if state.is_gone {
            return GONE;
        }
        state.read(offset)
    }

    fn write(&mut self, offset: u32, value: u32) {
        let state = &mut *self.0.borrow_mut();
        if !state.is_gone {
            state.write(offset, value);
        }
    }

    fn dma_memory(&self) -> (u64, usize) {
        (ADDRESS, DMA_BYTES)
    }

    fn dma_read(&mut self, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0.borrow().memory[offset..][..bytes.len()]);
    }

    fn dma_write(&mut self, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut().memory[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    fn interrupted(&mut self) -> bool {
        let state = &mut *self.0.borrow_mut();
        if !state.is_gone {
            state.step();
        }
        core::mem::take(&mut state.interrupt)
    }

    fn set_notifier(&mut self, notifier: Notifier) {
        self.0.borrow_mut().notifier = Some(notifier);
    }

    fn arm(&mut self) {
        let state = &mut *self.0.borrow_mut();
        state.is_armed = true;
        // The model has no time of its own: it goes on when it is looked at.
        if state.has_work() || state.interrupt {
            state.wake();
        }
    }

    fn disarm(&mut self) {
        self.0.borrow_mut().is_armed = false;
    }
}

impl State {
    fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.push(complaint.into());
    }

    fn check(&mut self, holds: bool, complaint: &str) {
        if !holds {
            self.complain(complaint);
        }
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: u32) -> u32 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.random;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((bits >> 32) * u64::from(end)) >> 32) as u32
    }

    fn happens(&mut self, of_1000: u32) -> bool {
        of_1000 > 0 && self.below(1000) < of_1000
    }

    fn wake(&self) {
        if let Some(notifier) = self.notifier.as_ref().filter(|_| self.is_armed) {
            notifier.notify();
        }
    }

    /// Sets causes of an interrupt, and sends it if they are enabled and the line was not raised before: as long as it is, no
    /// other interrupt comes.
    fn raise(&mut self, causes: u32) {
        self.registers.causes |= causes;
        let is_raised = self.registers.is_raised();
        if is_raised {
            self.registers.host_causes |= 1;
        }
        let was_raised = core::mem::replace(&mut self.line, is_raised);
        self.interrupt |= is_raised && !was_raised;
    }

    fn is_running(&self) -> bool {
        self.registers.cmd & port::CMD_START != 0 && !self.is_halted && self.registers.link != 0
    }

    /// Returns true if a command is going to end.
    fn has_work(&self) -> bool {
        self.is_running() && self.registers.under_way & !self.hung != 0
    }

    /// Goes on by one look.
    fn step(&mut self) {
        if self.happens(self.behaviour.spurious) {
            self.interrupt = true;
        }
        if self.behaviour.is_hostile {
            self.scribble();
        }
        if !self.has_work() {
            return;
        }
        if self.delay > 0 {
            self.delay -= 1;
            return;
        }
        self.delay = self.below(self.behaviour.max_delay + 1);
        let mut waiting = self.registers.under_way & !self.hung;
        if self.behaviour.is_out_of_order {
            for _ in 0..self.below(waiting.count_ones()) {
                waiting &= waiting - 1;
            }
        }
        let slot = waiting.trailing_zeros();
        if self.decided & 1 << slot == 0 {
            self.decided |= 1 << slot;
            if self.happens(self.behaviour.hangs) {
                self.hung |= 1 << slot;
                return;
            }
        }
        self.execute(slot);
    }

    /// Carries out the command of a slot.
    fn execute(&mut self, slot: u32) {
        self.registers.cmd &= !(0x1F << CMD_SLOT_SHIFT);
        if !self.behaviour.goes_on {
            self.registers.cmd |= slot << CMD_SLOT_SHIFT;
        }
        self.decided &= !(1 << slot);
        self.commands += 1;
        let (result, mut transferred) = device::execute(self, slot);
        if self.behaviour.is_hostile && self.below(4) == 0 {
            transferred = self.below(u32::MAX);
        }
        let header = self.header_of(slot);
        if let Some(place) = self.memory.get_mut(header + 4..header + 8) {
            place.copy_from_slice(&transferred.to_le_bytes());
        }
        match result {
            Ok(cause) => {
                self.registers.task_file = 0x50;
                self.registers.under_way &= !(1 << slot);
                self.raise(cause);
            }
            Err(error) => {
                self.registers.task_file = u32::from(error) << 8 | 0x51;
                if self.behaviour.goes_on {
                    self.registers.under_way &= !(1 << slot);
                } else {
                    self.is_halted = true;
                    // Some errors leave a device that wants data.
                    if self.below(4) == 0 {
                        self.registers.task_file |= port::TFD_DATA_REQUEST;
                    }
                }
                self.raise(port::IS_TASK_FILE | port::IS_REGISTERS);
            }
        }
    }

    /// Returns the offset of a header in memory; where there is none, `usize::MAX / 2`.
    fn header_of(&self, slot: u32) -> usize {
        let at = self.registers.list.wrapping_sub(ADDRESS);
        usize::try_from(at).unwrap_or(usize::MAX / 2).min(usize::MAX / 2) + 32 * slot as usize
    }

    /// Writes anything at all to what a device can write.
    fn scribble(&mut self) {
        let bits = self.below(u32::MAX);
        match self.below(12) {
            0 => self.registers.under_way ^= 1 << (bits & 31),
            1 => self.registers.task_file = bits,
            2 => self.raise(bits & !(port::IS_LINK | port::IS_CONNECTION)),
            3 => self.registers.cmd ^= bits & (0x1F << CMD_SLOT_SHIFT),
            4..8 => {
                let at = self.below(4096 + 32 * 4224) as usize;
                self.memory[at..at + 4].copy_from_slice(&bits.to_le_bytes());
            }
            8 => {
                let at = 32 * (bits & 31) as usize + 4;
                self.memory[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            }
            _ => {}
        }
    }
}
