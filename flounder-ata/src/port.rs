//! A port of an HBA with a disk.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;

use flounder_rt::channel::Channel;
use flounder_rt::interface::Interface;

use crate::channel::AtaChannel;
use crate::command::{Command, Task};
use crate::disk::{Disk, IDENTIFY_BYTES};
use crate::engine::Engine;
use crate::error::{AtaError, AttachError, OpenError};
use crate::hba::Hba;
use crate::structures::Registers;

/// Command IDENTIFY DEVICE.
const IDENTIFY: u8 = 0xEC;

/// A port of an HBA with an ATA disk, which belongs to one thread.
///
/// Interfaces are bound to it one after the other, over a [`channel`](Self::channel). The port is stopped when it and its
/// channel are dropped.
///
/// ```
/// use flounder::{Waitset, flounder};
/// use flounder_ata::Port;
/// use flounder_ata::model::Model;
///
/// flounder! {
///     interface disk {
///         @ata(command=0x25, lba48=1, dma_arg=data, dma_size=bytes, lba=start)
///         rpc read(in uint64 start, in uint32 bytes, out uint8 data[size, 65536]);
///     };
/// }
///
/// let port = Port::open(Model::new(2048), 0)?;
/// let ws = Waitset::new();
/// let binding = disk::over(port.channel(disk::INTERFACE)?, &ws, ())?;
/// assert_eq!(binding.driver(), "ahci");
/// let data = disk::RpcClient::new(&binding).read(4, 1024)?;
/// assert_eq!(data, [0; 1024]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Port<H: Hba> {
    shared: Rc<Shared<H>>,
    disk: Disk,
}

/// What a port shares with its channel.
pub(crate) struct Shared<H: Hba> {
    pub(crate) engine: RefCell<Engine<H>>,
    pub(crate) is_taken: Cell<bool>,
    pub(crate) last_failure: Cell<Option<Failure>>,
}

/// A command that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Name of the call, such as `read_dma_call`.
    pub call: &'static str,
    /// The reason.
    pub error: AtaError,
}

impl<H: Hba + 'static> Port<H> {
    /// Starts port `index` of an HBA, and has its disk identify itself. Blocks for at most some seconds.
    ///
    /// # Errors
    /// [`OpenError`] has a variant for each thing that may be missing.
    pub fn open(hba: H, index: u32) -> Result<Self, OpenError> {
        let mut engine = Engine::open(hba, index)?;
        let registers =
            Registers { command: IDENTIFY, feature: 0, count: 1, lba: 0, is_lba48: false };
        let mut data = [0; IDENTIFY_BYTES];
        engine.read_now(Task { registers, bytes: IDENTIFY_BYTES as u32 }, &mut data)?;
        let (is_taken, last_failure) = Default::default();
        let shared = Shared { engine: RefCell::new(engine), is_taken, last_failure };
        Ok(Self { shared: Rc::new(shared), disk: Disk::parse(&data) })
    }

    /// Returns what the disk says of itself.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Returns a channel over which a binding of `interface` is made: its peer is the disk. Every message of the interface has
    /// to be half of an rpc with an annotation `ata`.
    ///
    /// At most 32 commands are under way, and fewer if the HBA has fewer slots; a further call makes the binding busy. So does
    /// one without data, until the commands before it have ended.
    ///
    /// # Errors
    /// [`AttachError::Taken`] while the port has a channel; [`AttachError::NoCommand`] if a message is no command.
    pub fn channel(&self, interface: &'static Interface) -> Result<Box<dyn Channel>, AttachError> {
        let commands = Command::all(interface)?;
        if self.shared.is_taken.replace(true) {
            return Err(AttachError::Taken);
        }
        let sector = self.disk.sector_bytes();
        Ok(Box::new(AtaChannel::new(Rc::clone(&self.shared), commands, sector)))
    }

    /// Sets the time in which a command has to end. After it, and at most after twice this time, the port is restarted, the
    /// command fails with [`AtaError::TimedOut`], and those that were under way for less time are issued again. 30 seconds
    /// unless set.
    ///
    /// A call has a deadline of its own, at which its caller is told and the command goes on.
    pub fn set_command_time(&self, time: Duration) {
        self.shared.engine.borrow_mut().set_command_time(time);
    }

    /// Returns the command that failed last. A caller without `status` knows only that it gets no reply.
    #[must_use]
    pub fn last_failure(&self) -> Option<Failure> {
        self.shared.last_failure.get()
    }

    /// Returns how many times the port was restarted, after an error or a command that was late.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.shared.engine.borrow().restarts()
    }
}

impl<H: Hba> core::fmt::Debug for Port<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Port").field("disk", &self.disk).finish_non_exhaustive()
    }
}
