//! The host bus adapter (HBA): its registers, and the memory that it and this process have in common.

use flounder_rt::notify::Notifier;

/// A host bus adapter of the kind AHCI 1.3.1.
///
/// A register that does not answer reads as [`GONE`], as on a bus whose device was removed. Nothing that an HBA returns is
/// trusted: it may claim what it likes, and write to the DMA memory when it likes.
pub trait Hba {
    /// Returns the register at `offset` bytes of the HBA's memory.
    fn read(&mut self, offset: u32) -> u32;

    /// Sets the register at `offset` bytes of the HBA's memory, after everything that was written to DMA memory before.
    fn write(&mut self, offset: u32, value: u32);

    /// Returns the address at which the HBA finds the DMA memory, a multiple of 4096, and its size in bytes.
    fn dma_memory(&self) -> (u64, usize);

    /// Copies bytes out of the DMA memory, from `offset` on.
    ///
    /// # Panics
    /// May panic if they do not lie in the memory.
    fn dma_read(&mut self, offset: usize, bytes: &mut [u8]);

    /// Copies bytes to the DMA memory, from `offset` on.
    ///
    /// # Panics
    /// May panic if they do not lie in the memory.
    fn dma_write(&mut self, offset: usize, bytes: &[u8]);

    /// Returns true if the HBA may have sent an interrupt since the last call. Cheap. A false result is exact.
    fn interrupted(&mut self) -> bool;

    /// Sets what an [armed](Self::arm) HBA wakes.
    fn set_notifier(&mut self, notifier: Notifier);

    /// Until [`disarm`](Self::disarm), the notifier is woken when an interrupt comes.
    fn arm(&mut self);

    /// Ends what [`arm`](Self::arm) began.
    fn disarm(&mut self) {}
}

/// What a register reads as if there is no HBA.
pub const GONE: u32 = u32::MAX;

/// Registers of the HBA, and their bits.
pub mod host {
    /// Capabilities.
    pub const CAP: u32 = 0x00;
    /// Number of command slots, less one, in bits 12 to 8 of [`CAP`].
    pub const CAP_SLOTS_SHIFT: u32 = 8;
    /// Addresses may have 64 bits.
    pub const CAP_64_BITS: u32 = 1 << 31;
    /// Global control.
    pub const GHC: u32 = 0x04;
    /// Interrupts are enabled.
    pub const GHC_INTERRUPTS: u32 = 1 << 1;
    /// The registers are those of AHCI.
    pub const GHC_AHCI: u32 = 1 << 31;
    /// Interrupts by port; a bit that is written as 1 is cleared.
    pub const IS: u32 = 0x08;
    /// Ports that exist.
    pub const PI: u32 = 0x0C;

    /// Returns the offset of the registers of port `index`.
    #[must_use]
    pub const fn port(index: u32) -> u32 {
        0x100 + 0x80 * index
    }
}

/// Registers of a port, from its offset on, and their bits.
pub mod port {
    /// Address of the command list, lower half.
    pub const CLB: u32 = 0x00;
    /// Address of the command list, upper half.
    pub const CLBU: u32 = 0x04;
    /// Address of the memory for received FISes, lower half.
    pub const FB: u32 = 0x08;
    /// Address of the memory for received FISes, upper half.
    pub const FBU: u32 = 0x0C;
    /// Interrupts; a bit that is written as 1 is cleared.
    pub const IS: u32 = 0x10;
    /// Interrupts that are enabled.
    pub const IE: u32 = 0x14;
    /// Command and status.
    pub const CMD: u32 = 0x18;
    /// Task file: status in bits 7 to 0, error in bits 15 to 8.
    pub const TFD: u32 = 0x20;
    /// Signature of the device.
    pub const SIG: u32 = 0x24;
    /// State of the link.
    pub const SSTS: u32 = 0x28;
    /// Control of the link.
    pub const SCTL: u32 = 0x2C;
    /// Errors of the link; a bit that is written as 1 is cleared.
    pub const SERR: u32 = 0x30;
    /// Commands under way, one bit a slot.
    pub const CI: u32 = 0x38;

    /// [`CMD`]: the HBA processes the command list.
    pub const CMD_START: u32 = 1 << 0;
    /// [`CMD`]: the device is spun up.
    pub const CMD_SPIN_UP: u32 = 1 << 1;
    /// [`CMD`]: the device has power.
    pub const CMD_POWER: u32 = 1 << 2;
    /// [`CMD`]: the HBA stores received FISes.
    pub const CMD_FIS_RECEIVE: u32 = 1 << 4;
    /// [`CMD`]: the HBA still stores FISes. Read only.
    pub const CMD_FIS_RUNNING: u32 = 1 << 14;
    /// [`CMD`]: the HBA still processes the list. Read only.
    pub const CMD_LIST_RUNNING: u32 = 1 << 15;

    /// [`TFD`]: the command ended with an error.
    pub const TFD_ERROR: u32 = 1 << 0;
    /// [`TFD`]: the device is to transfer data.
    pub const TFD_DATA_REQUEST: u32 = 1 << 3;
    /// [`TFD`]: the device is faulty.
    pub const TFD_FAULT: u32 = 1 << 5;
    /// [`TFD`]: the device is busy.
    pub const TFD_BUSY: u32 = 1 << 7;

    /// [`SIG`] of an ATA disk.
    pub const SIG_DISK: u32 = 0x0000_0101;

    /// [`SSTS`]: bits of the state of the device.
    pub const SSTS_DEVICE: u32 = 0xF;
    /// [`SSTS`]: a device is there, and the link is up.
    pub const SSTS_PRESENT: u32 = 3;
    /// [`SCTL`]: the link is reset.
    pub const SCTL_RESET: u32 = 1;

    /// [`IS`]: a FIS with the registers of the device has come.
    pub const IS_REGISTERS: u32 = 1 << 0;
    /// [`IS`]: a FIS that sets up a transfer by PIO has come.
    pub const IS_PIO_SETUP: u32 = 1 << 1;
    /// [`IS`]: something was connected or removed.
    pub const IS_CONNECTION: u32 = 1 << 6;
    /// [`IS`]: the link changed.
    pub const IS_LINK: u32 = 1 << 22;
    /// [`IS`]: an error on the link that stops the port.
    pub const IS_LINK_FATAL: u32 = 1 << 27;
    /// [`IS`]: data could not be transferred to or from memory.
    pub const IS_BUS_DATA: u32 = 1 << 28;
    /// [`IS`]: memory could not be reached.
    pub const IS_BUS_FATAL: u32 = 1 << 29;
    /// [`IS`]: a command ended with an error.
    pub const IS_TASK_FILE: u32 = 1 << 30;
}
