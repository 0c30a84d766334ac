//! The machine behind a port: slots, completions, and the restart after an error.
//!
//! ```text
//!   issue --> issued --(PxCI clear)--> finished --(received)--> free
//!               |                         ^
//!               |  error, or late         | those that failed
//!               v                         |
//!            Stopping --> Resetting --> Linking --> Running: the others are issued again
//! ```
//! What the HBA reports is a claim. It decides only which commands end, and how; the size of what is copied out of DMA memory
//! is what was asked for or less, and memory is not given to another command before the HBA has stopped using it.
//!
//! A command without data is under way alone: FLUSH CACHE covers every write that was accepted before it, and for commands
//! with data the HBA counts the bytes, which helps to tell which one has failed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use flounder_rt::fork::ForkGeneration;

use crate::command::Task;
use crate::error::{AtaError, OpenError};
use crate::hba::{GONE, Hba, host, port};
use crate::memory::{self, BLOCK, FreeBlocks, MIN_DMA_BYTES, RECEIVED_AT, SLOTS};
use crate::structures::{
    self, HEADER_TRANSFERRED, LIST_BYTES, RECEIVED_BYTES, REGION_BYTES, REGIONS_AT,
};

/// Time in which a port has to stop.
const STOP_TIME: Duration = Duration::from_millis(500);
/// Time for which the reset of a link is signalled.
const RESET_TIME: Duration = Duration::from_millis(1);
/// Time in which a device has to come back after a reset.
const LINK_TIME: Duration = Duration::from_secs(10);
/// Time between two looks at a port that restarts.
const LOOK_TIME: Duration = Duration::from_millis(1);
/// Time in which a command has to end, unless the port is given another.
const COMMAND_TIME: Duration = Duration::from_secs(30);
/// Number of polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 1024;
/// Most rounds of one look at the interrupts. An HBA that has more is looked at again.
const ROUNDS: usize = 8;
/// Most interrupts in a row with which no command ends. An HBA that sends more is given up.
const MAX_FRUITLESS: u32 = 10_000;
/// Most refused calls whose answers wait to be received.
const MAX_REFUSED: usize = 64;

/// Interrupts that end a command with an error.
const ERRORS: u32 =
    port::IS_TASK_FILE | port::IS_BUS_FATAL | port::IS_BUS_DATA | port::IS_LINK_FATAL;
/// Interrupts that are enabled.
const INTERRUPTS: u32 =
    ERRORS | port::IS_REGISTERS | port::IS_PIO_SETUP | port::IS_CONNECTION | port::IS_LINK;

pub(crate) struct Engine<H: Hba> {
    pub(crate) hba: H,
    /// Offset of the registers of the port.
    base: u32,
    /// Address of the DMA memory.
    address: u64,
    free: FreeBlocks,
    slots: Vec<Slot>,
    /// Slots that the HBA has.
    usable: u32,
    /// Slots whose commands are under way. Their memory is the HBA's.
    issued: u32,
    /// Commands of `issued` that are issued again one by one: when no other is under way.
    held: u32,
    /// Slots of commands that are under way, or finished and not received.
    busy: u32,
    /// True if the command under way has no data: no other is issued.
    is_alone: bool,
    state: State,
    /// Commands of `issued` that end when the port has stopped.
    failing: u32,
    finished: VecDeque<Finished>,
    refused: usize,
    /// Owner of the commands that are issued now. Those of other owners are dropped when they end.
    owner: u32,
    command_time: Duration,
    watch: Option<Watch>,
    polls: u32,
    /// True if there may be interrupts that nothing announces.
    looks_again: bool,
    /// Interrupts since a command ended.
    fruitless: u32,
    restarts: u64,
    born: ForkGeneration,
}

/// The command of a slot.
struct Slot {
    owner: u32,
    /// Index of the command in the interface.
    command: u16,
    /// Id of the call.
    call: u32,
    task: Option<Task>,
    is_write: bool,
    blocks: Vec<u16>,
    regions: u16,
    /// Why the command ends when the port has stopped.
    error: AtaError,
}

/// A call that has its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finished {
    /// The command of this slot, with the bytes that were transferred.
    Ended(usize, Result<u32, AtaError>),
    /// A call that is no command.
    Refused {
        /// Index of the command in the interface.
        command: u16,
        /// Id of the call.
        call: u32,
        /// The reason.
        error: AtaError,
    },
}

/// What a command needs before it can be issued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    blocks: usize,
    is_alone: bool,
}

impl Need {
    pub(crate) const fn of(task: &Task) -> Self {
        Self { blocks: (task.bytes as usize).div_ceil(BLOCK), is_alone: task.bytes == 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The HBA finishes what it is doing, until this time at the latest.
    Stopping(Instant),
    /// The reset of the link is signalled until this time.
    Resetting(Instant),
    /// The device comes back, until this time at the latest.
    Linking(Instant),
    /// The HBA or the device is gone, or does not obey.
    Dead,
}

/// Commands that have to end by a time.
struct Watch {
    until: Instant,
    slots: u32,
}

impl<H: Hba> Engine<H> {
    /// Brings up port `index`.
    pub(crate) fn open(mut hba: H, index: u32) -> Result<Self, OpenError> {
        let cap = hba.read(host::CAP);
        if cap == GONE {
            return Err(OpenError::NoHba);
        }
        let control = hba_control(&mut hba);
        hba.write(host::GHC, control);
        if index >= 32 || hba.read(host::PI) & 1 << index == 0 {
            return Err(OpenError::NoPort { index });
        }
        let (address, bytes) = hba.dma_memory();
        let reach = if cap & host::CAP_64_BITS == 0 { 1 << 32 } else { u64::MAX };
        let end = address.checked_add(bytes as u64);
        if bytes < MIN_DMA_BYTES
            || !address.is_multiple_of(4096)
            || end.is_none_or(|end| end > reach)
        {
            return Err(OpenError::Memory);
        }
        let count = (cap >> host::CAP_SLOTS_SHIFT & 0x1F) + 1;
        let slot = |_| Slot {
            owner: 0,
            command: 0,
            call: 0,
            task: None,
            is_write: false,
            blocks: Vec::with_capacity(memory::MAX_BLOCKS),
            regions: 0,
            error: AtaError::Bus,
        };
        let mut engine = Self {
            hba,
            base: host::port(index),
            address,
            free: FreeBlocks::new(bytes),
            slots: (0..SLOTS).map(slot).collect(),
            usable: u32::MAX >> (32 - count),
            issued: 0,
            held: 0,
            busy: 0,
            is_alone: false,
            state: State::Running,
            failing: 0,
            finished: VecDeque::with_capacity(SLOTS + MAX_REFUSED),
            refused: 0,
            owner: 0,
            command_time: COMMAND_TIME,
            watch: None,
            polls: 0,
            looks_again: false,
            fruitless: 0,
            restarts: 0,
            born: ForkGeneration::now(),
        };
        engine.start_port()?;
        Ok(engine)
    }

    fn start_port(&mut self) -> Result<(), OpenError> {
        let running = port::CMD_LIST_RUNNING | port::CMD_FIS_RUNNING;
        let kept = !(port::CMD_START | port::CMD_FIS_RECEIVE);
        let cmd = self.read(port::CMD);
        self.write(port::CMD, cmd & kept);
        self.wait(STOP_TIME, "it does not stop", |it| it.read(port::CMD) & running == 0)?;
        self.hba.dma_write(0, &[0; LIST_BYTES + RECEIVED_BYTES]);
        for (low, high, at) in [(port::CLB, port::CLBU, 0), (port::FB, port::FBU, RECEIVED_AT)] {
            let address = self.address + at as u64;
            self.write(low, address as u32);
            self.write(high, (address >> 32) as u32);
        }
        self.write(port::SERR, u32::MAX);
        let cmd = cmd & kept | port::CMD_SPIN_UP | port::CMD_POWER | port::CMD_FIS_RECEIVE;
        self.write(port::CMD, cmd);
        let link = |it: &mut Self| it.read(port::SSTS) & port::SSTS_DEVICE == port::SSTS_PRESENT;
        self.wait(Duration::from_secs(1), "", link).map_err(|_| OpenError::NoDevice)?;
        self.wait(LINK_TIME, "the device stays busy", |it| !it.is_device_busy())?;
        let signature = self.read(port::SIG);
        if signature != port::SIG_DISK {
            return Err(OpenError::NotADisk { signature });
        }
        self.write(port::SERR, u32::MAX);
        self.write(port::IS, u32::MAX);
        self.write(port::IE, INTERRUPTS);
        self.hba.write(host::IS, u32::MAX);
        let control = hba_control(&mut self.hba);
        self.hba.write(host::GHC, control | host::GHC_INTERRUPTS);
        self.write(port::CMD, cmd | port::CMD_START);
        Ok(())
    }

    /// Waits until `done` returns true.
    fn wait(
        &mut self,
        time: Duration,
        what: &'static str,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), OpenError> {
        let end = Instant::now() + time;
        while !done(self) {
            if self.read(port::CMD) == GONE {
                return Err(OpenError::NoHba);
            }
            if Instant::now() >= end {
                return Err(OpenError::Stuck { what });
            }
            std::thread::sleep(LOOK_TIME / 10);
        }
        Ok(())
    }

    /// Carries out a command that reads, and returns its data. Called before there is a channel.
    pub(crate) fn read_now(&mut self, task: Task, data: &mut [u8]) -> Result<u32, OpenError> {
        let slot = self.reserve(Need::of(&task), 0, 0, false);
        self.start(slot, task);
        let mut finished = None;
        self.wait(LINK_TIME, "the disk does not identify itself", |it| {
            it.poll();
            finished = it.finished.pop_front();
            finished.is_some() || it.is_dead()
        })?;
        let Some(Finished::Ended(slot, result)) = finished else { return Err(OpenError::NoHba) };
        let bytes = result.map_err(OpenError::Identify)?;
        if bytes as usize != data.len() {
            return Err(OpenError::Identify(AtaError::Short { bytes }));
        }
        let at = memory::block_at(self.slots[slot].blocks[0]);
        self.hba.dma_read(at, data);
        self.release(slot);
        Ok(bytes)
    }

    #[inline]
    fn read(&mut self, register: u32) -> u32 {
        self.hba.read(self.base + register)
    }

    #[inline]
    fn write(&mut self, register: u32, value: u32) {
        self.hba.write(self.base + register, value);
    }

    fn is_device_busy(&mut self) -> bool {
        self.read(port::TFD) & (port::TFD_BUSY | port::TFD_DATA_REQUEST) != 0
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Returns true if this is the process that opened the port. A child that was forked must leave it alone.
    pub(crate) fn is_here(&self) -> bool {
        self.born.is_here()
    }

    pub(crate) const fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(crate) const fn set_command_time(&mut self, time: Duration) {
        self.command_time = time;
    }

    /// Makes what is issued from now on that of a new owner, and drops what is finished.
    pub(crate) fn change_owner(&mut self) {
        self.owner = self.owner.wrapping_add(1);
        while let Some(finished) = self.take_finished() {
            if let Finished::Ended(slot, _) = finished {
                self.release(slot);
            }
        }
    }

    /// Returns true if a command can be issued now.
    #[inline]
    pub(crate) fn has_room(&self, need: Need) -> bool {
        self.state == State::Running
            && !self.is_alone
            && self.held == 0
            && self.usable & !self.busy != 0
            && (self.issued == 0 || !need.is_alone)
            && self.free.len() >= need.blocks
    }

    /// Returns true if one more call can be refused.
    #[inline]
    pub(crate) const fn may_refuse(&self) -> bool {
        self.refused < MAX_REFUSED
    }

    /// Refuses a call. It [may](Self::may_refuse) be.
    pub(crate) fn refuse(&mut self, command: u16, call: u32, error: AtaError) {
        self.refused += 1;
        self.finished.push_back(Finished::Refused { command, call, error });
    }

    /// Takes a slot and memory for a command for which there [is room](Self::has_room). The caller writes its data to the
    /// [blocks](Self::block_of) and [starts](Self::start) it.
    #[inline]
    pub(crate) fn reserve(&mut self, need: Need, command: u16, call: u32, is_write: bool) -> usize {
        let index = (self.usable & !self.busy).trailing_zeros() as usize;
        self.busy |= 1 << index;
        let slot = &mut self.slots[index];
        (slot.owner, slot.command, slot.call, slot.is_write) =
            (self.owner, command, call, is_write);
        self.free.take(need.blocks, &mut slot.blocks);
        index
    }

    /// Returns the offset in DMA memory of block `index` of a slot.
    #[inline]
    pub(crate) fn block_of(&self, slot: usize, index: usize) -> usize {
        memory::block_at(self.slots[slot].blocks[index])
    }

    /// Returns index of the command, id of the call, and bytes asked for.
    #[inline]
    pub(crate) fn call_of(&self, slot: usize) -> (u16, u32, u32) {
        let slot = &self.slots[slot];
        (slot.command, slot.call, slot.task.map_or(0, |task| task.bytes))
    }

    /// Issues the command of a reserved slot.
    #[inline]
    pub(crate) fn start(&mut self, index: usize, task: Task) {
        let (address, table) = (self.address, memory::table_at(index));
        let Self { hba, slots, .. } = self;
        let slot = &mut slots[index];
        hba.dma_write(table, &task.registers.fis());
        let mut count = 0;
        memory::regions(&slot.blocks, task.bytes as usize, |at, bytes| {
            let region = structures::region(address + at as u64, bytes as u32);
            hba.dma_write(table + REGIONS_AT + count * REGION_BYTES, &region);
            count += 1;
        });
        (slot.task, slot.regions) = (Some(task), count as u16);
        self.is_alone = task.bytes == 0;
        self.put_header(index);
        self.issued |= 1 << index;
        self.write(port::CI, 1 << index);
    }

    /// Writes the header of a slot, with no bytes transferred.
    #[inline]
    fn put_header(&mut self, index: usize) {
        let slot = &self.slots[index];
        let table = self.address + memory::table_at(index) as u64;
        let header = structures::header(slot.is_write, slot.regions, table);
        self.hba.dma_write(memory::header_at(index), &header);
    }

    /// Returns true if something is finished, or may be after the next [poll](Self::poll).
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        !self.finished.is_empty() || self.looks_again
    }

    /// Returns the next call that has its answer. A slot has to be [released](Self::release).
    #[inline]
    pub(crate) fn take_finished(&mut self) -> Option<Finished> {
        let finished = self.finished.pop_front()?;
        self.refused -= usize::from(matches!(finished, Finished::Refused { .. }));
        Some(finished)
    }

    /// Frees a slot and its memory.
    #[inline]
    pub(crate) fn release(&mut self, index: usize) {
        self.busy &= !(1 << index);
        let slot = &mut self.slots[index];
        slot.task = None;
        self.free.put(&mut slot.blocks);
    }

    /// Finds out what has happened. Cheap if nothing has.
    #[inline]
    pub(crate) fn poll(&mut self) {
        if self.state != State::Running {
            return self.advance();
        }
        if self.hba.interrupted() || self.looks_again {
            self.service();
        }
        if self.issued != 0 {
            self.polls += 1;
            if self.polls >= POLLS_PER_LOOK {
                self.look_at_clock();
            }
        }
    }

    /// Returns the time after which the port has to be polled again, if no interrupt comes. Polls after it look at the clock.
    pub(crate) fn sleep_limit(&mut self) -> Option<Duration> {
        match self.state {
            State::Running if self.issued == 0 => None,
            State::Running => {
                self.look_at_clock();
                self.polls = POLLS_PER_LOOK;
                let until = self.watch.as_ref().map(|watch| watch.until);
                Some(
                    until
                        .map_or(LOOK_TIME, |until| until.saturating_duration_since(Instant::now())),
                )
            }
            State::Dead => None,
            State::Stopping(_) | State::Resetting(_) | State::Linking(_) => Some(LOOK_TIME),
        }
    }

    /// Restarts the port if a command is late.
    #[cold]
    fn look_at_clock(&mut self) {
        self.polls = 0;
        let now = Instant::now();
        match &self.watch {
            None => {
                let slots = self.issued & !self.held;
                self.watch = Some(Watch { until: now + self.command_time, slots });
            }
            Some(watch) if now >= watch.until => {
                let late = watch.slots & self.issued;
                self.watch = None;
                if late != 0 {
                    self.fail_all(late, AtaError::TimedOut);
                    self.restart();
                }
            }
            Some(_) => {}
        }
    }

    /// Handles the interrupts of the port.
    #[cold]
    fn service(&mut self) {
        self.looks_again = false;
        for _ in 0..ROUNDS {
            let causes = self.read(port::IS);
            if causes == GONE {
                return self.die();
            }
            if causes == 0 {
                return;
            }
            self.write(port::IS, causes);
            self.hba.write(host::IS, 1 << ((self.base - host::port(0)) / 0x80));
            if causes & (port::IS_CONNECTION | port::IS_LINK) != 0 {
                self.write(port::SERR, u32::MAX);
                if self.read(port::SSTS) & port::SSTS_DEVICE != port::SSTS_PRESENT {
                    return self.die();
                }
            }
            // After the causes are cleared: a command that ends later raises a new one.
            let under_way = self.read(port::CI);
            let cleared = self.issued & !self.held & !under_way;
            if causes & ERRORS != 0 {
                self.fail(causes, cleared);
                return self.restart();
            }
            for index in ones(cleared) {
                let transferred = self.transferred(index);
                let asked = self.slots[index].task.map_or(0, |task| task.bytes);
                self.end(index, Ok(transferred.min(asked)));
            }
            if cleared != 0 {
                self.issue_held();
            }
            self.fruitless = if cleared == 0 { self.fruitless + 1 } else { 0 };
            if self.fruitless > MAX_FRUITLESS {
                return self.die();
            }
        }
        self.looks_again = true;
    }

    /// Returns the bytes that the HBA claims to have transferred for a slot.
    fn transferred(&mut self, index: usize) -> u32 {
        let mut bytes = [0; 4];
        self.hba.dma_read(memory::header_at(index) + HEADER_TRANSFERRED, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Finds out which command has failed, after an error with which the HBA has cleared the slots `cleared`.
    ///
    /// An HBA leaves the slot of the command that failed. Some clear it and go on: then not all of its data was transferred. If
    /// more than one command is left, all of them are issued again one by one. The number of the slot that the HBA names is not
    /// used: QEMU names always the same.
    fn fail(&mut self, causes: u32, cleared: u32) {
        let task_file = self.read(port::TFD);
        let error = if causes & port::IS_TASK_FILE == 0 {
            AtaError::Bus
        } else if task_file & (port::TFD_ERROR | port::TFD_FAULT) != 0 {
            let [status, error, ..] = task_file.to_le_bytes();
            AtaError::Device { status, error }
        } else {
            AtaError::Device { status: port::TFD_ERROR as u8, error: 0 }
        };
        let mut failed = 0;
        for index in ones(cleared) {
            let asked = self.slots[index].task.map_or(0, |task| task.bytes);
            if asked != 0 && self.transferred(index) == asked {
                self.end(index, Ok(asked));
            } else {
                failed |= 1 << index;
            }
        }
        let left = self.issued & !self.held;
        match (failed, left.count_ones()) {
            (0, 1) => failed = left,
            (0, _) => self.held |= left,
            _ => {}
        }
        self.fail_all(failed, error);
    }

    fn fail_all(&mut self, slots: u32, error: AtaError) {
        self.failing |= slots;
        ones(slots).for_each(|index| self.slots[index].error = error);
    }

    /// Ends a command: the HBA has nothing more to do with its memory.
    fn end(&mut self, index: usize, result: Result<u32, AtaError>) {
        self.issued &= !(1 << index);
        self.is_alone = false;
        if let Some(watch) = &mut self.watch {
            watch.slots &= !(1 << index);
        }
        if self.slots[index].owner == self.owner {
            self.finished.push_back(Finished::Ended(index, result));
        } else {
            self.release(index);
        }
    }

    /// Stops the port, to start it again.
    fn restart(&mut self) {
        self.restarts += 1;
        let cmd = self.read(port::CMD);
        self.write(port::CMD, cmd & !port::CMD_START);
        self.state = State::Stopping(Instant::now() + STOP_TIME);
        self.advance();
    }

    /// Goes on with a restart.
    #[cold]
    fn advance(&mut self) {
        let now = Instant::now();
        match self.state {
            State::Running | State::Dead => {}
            State::Stopping(until) => match self.read(port::CMD) {
                GONE => self.die(),
                cmd if cmd & port::CMD_LIST_RUNNING == 0 => {
                    // A stopped HBA has no slots under way. One that has may go on with them, until the link is reset.
                    if self.is_device_busy() || self.read(port::CI) != 0 {
                        self.reset_link(port::SCTL_RESET);
                        self.state = State::Resetting(now + RESET_TIME);
                    } else {
                        self.start_again();
                    }
                }
                _ if now >= until => self.die(),
                _ => {}
            },
            State::Resetting(until) if now >= until => {
                self.reset_link(0);
                self.state = State::Linking(now + LINK_TIME);
            }
            State::Resetting(_) => {}
            State::Linking(until) => {
                let link = self.read(port::SSTS) & port::SSTS_DEVICE;
                if link == port::SSTS_PRESENT && !self.is_device_busy() {
                    self.start_again();
                } else if now >= until {
                    self.die();
                }
            }
        }
    }

    fn reset_link(&mut self, reset: u32) {
        let control = self.read(port::SCTL);
        self.write(port::SCTL, control & !0xF | reset);
    }

    /// Ends the commands that have failed, and issues the others again.
    fn start_again(&mut self) {
        let failing = core::mem::take(&mut self.failing);
        // The HBA would go on with commands whose memory is about to be given to others.
        if self.read(port::CI) & failing != 0 {
            return self.die();
        }
        for index in ones(failing) {
            let error = self.slots[index].error;
            self.end(index, Err(error));
        }
        let again = self.issued & !self.held;
        ones(again).for_each(|index| self.put_header(index));
        self.is_alone = ones(again).any(|index| self.slots[index].regions == 0);
        self.watch = None;
        self.write(port::SERR, u32::MAX);
        self.write(port::IS, u32::MAX);
        let cmd = self.read(port::CMD);
        self.write(port::CMD, cmd | port::CMD_START);
        self.state = State::Running;
        if again != 0 {
            self.write(port::CI, again);
        }
        self.issue_held();
    }

    /// Issues the next of the commands that are issued again one by one, if no other is under way.
    fn issue_held(&mut self) {
        if self.held != 0 && self.issued == self.held {
            let index = self.held.trailing_zeros() as usize;
            self.held &= !(1 << index);
            self.put_header(index);
            self.write(port::CI, 1 << index);
        }
    }

    /// Gives the port up. The memory of what is under way is not used again.
    fn die(&mut self) {
        self.state = State::Dead;
        self.write(port::IE, 0);
    }

    /// Stops the port.
    fn shut_down(&mut self) {
        self.write(port::IE, 0);
        let cmd = self.read(port::CMD);
        let kept = !(port::CMD_START | port::CMD_FIS_RECEIVE);
        self.write(port::CMD, cmd & !port::CMD_START);
        let stopped = |it: &mut Self| it.read(port::CMD) & port::CMD_LIST_RUNNING == 0;
        if self.wait(STOP_TIME, "it does not stop", stopped).is_ok() {
            self.write(port::CMD, cmd & kept);
        }
    }
}

impl<H: Hba> Drop for Engine<H> {
    fn drop(&mut self) {
        if self.is_here() {
            self.shut_down();
        }
    }
}

/// Returns what to keep of the global control, with the registers of AHCI.
fn hba_control<H: Hba>(hba: &mut H) -> u32 {
    hba.read(host::GHC) & host::GHC_INTERRUPTS | host::GHC_AHCI
}

/// Returns the numbers of the bits that are set.
fn ones(mut bits: u32) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(lowest)
    })
}
