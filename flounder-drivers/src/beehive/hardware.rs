//! What the driver requires of message hardware: to put a message on the ring, and to take one out
//! of a FIFO.
//!
//! A core of Beehive sends messages of up to 63 words of 32 bits to another core, past memory and
//! caches. They arrive in the receiver's FIFO of 1024 words, in order, which the receiver polls.
//! There is no flow control: a message for a full FIFO blocks the ring for every core. The layer
//! above has to prevent that.
//!
//! ```text
//!                  31                     12 11    8 7  6 5        0
//! in a FIFO:      |           zero          | source | 0 |  length  |   hardware header
//!                 |  `length` words, 1 to 63                        |
//! ```

use flounder_rt::channel::ProtocolError;

/// Maximum number of words of a message.
pub const MAX_MESSAGE: usize = 63;

/// Number of words of a FIFO, hardware headers included.
pub const FIFO_WORDS: usize = 1024;

/// Number of cores of a ring.
pub const CORES: usize = 13;

/// A message taken out of a FIFO, in private memory.
pub type Message = [u32; MAX_MESSAGE];

/// Number of a core on its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Core(pub u8);

impl Core {
    /// Returns the number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The machine, as a core sees it.
///
/// A core of Beehive polls all the time. Cores that share processors with other work sleep; the last
/// two methods let them request an interrupt. An error is permanent.
pub trait Hardware: Send {
    /// Returns the number of cores.
    fn cores(&self) -> usize;

    /// Puts a message on the ring.
    ///
    /// # Errors
    /// If that would block the ring, or the other core has violated the protocol.
    ///
    /// # Panics
    /// If there is no such core, or the message has no word or more than [`MAX_MESSAGE`].
    fn send(&mut self, to: Core, words: &[u32]) -> Result<(), ProtocolError>;

    /// Returns true if there is a message to take. Costs one or two loads. A false result is exact.
    fn poll(&self) -> bool;

    /// Takes a message out of the FIFO. Returns its source and its length in words.
    ///
    /// # Errors
    /// If the FIFO does not hold a message of the other core.
    fn receive(&mut self, into: &mut Message) -> Result<Option<(Core, usize)>, ProtocolError>;

    /// Publishes whether an interrupt has to follow messages for this core, and fences, so that
    /// either the sender sees the request or this core sees the message. A repeated request is good
    /// for one more interrupt.
    fn listen(&mut self, wanted: bool);

    /// Returns true if an interrupt has to follow what was sent to `to`: once for each request of
    /// `to`.
    fn must_interrupt(&mut self, to: Core) -> bool;
}

/// Error of a full FIFO.
pub const STALLED: ProtocolError =
    ProtocolError::Frame("the ring has stalled: the FIFO of the other core is full");

/// Returns the hardware header of a message.
#[must_use]
pub const fn hardware_header(source: Core, length: usize) -> u32 {
    (source.0 as u32) << 8 | length as u32
}

/// Returns the source and the length of a message from its hardware header.
///
/// # Errors
/// If it is not a header on a ring of `cores` cores.
pub const fn parse_hardware_header(
    header: u32,
    cores: usize,
) -> Result<(Core, usize), ProtocolError> {
    let (source, length) = (header >> 8, (header & 0xff) as usize);
    if source as usize >= cores {
        return Err(ProtocolError::Frame("a message comes from no core of the ring"));
    }
    if length == 0 || length > MAX_MESSAGE {
        return Err(ProtocolError::Frame("a message is longer than the hardware takes, or empty"));
    }
    Ok((Core(source as u8), length))
}
