//! What the driver asks of message hardware: to put a message on the ring, and to take one out of a FIFO.
//!
//! A core of Beehive sends messages of up to 63 words of 32 bits to another one, past memory and caches. They come out of
//! the receiver's FIFO of 1024 words, in order, where it polls. There is no flow control: a message that finds a FIFO full
//! blocks the ring, for every core. It is the business of the layer above that this never happens.
//!
//! ```text
//!                  31                     12 11    8 7  6 5        0
//! in a FIFO:      |           zero          | source | 0 |  length  |   hardware header
//!                 |  `length` words, 1 to 63                        |
//! ```

use flounder_rt::channel::ProtocolError;

/// The most words of a message.
pub const MAX_MESSAGE: usize = 63;

/// Words of a FIFO, hardware headers included.
pub const FIFO_WORDS: usize = 1024;

/// Cores of a ring.
pub const CORES: usize = 13;

/// A message taken out of a FIFO, in private memory.
pub type Message = [u32; MAX_MESSAGE];

/// Number of a core on its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Core(pub u8);

impl Core {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a core sees of the machine.
///
/// Beehive polls, and does nothing else meanwhile. Cores that share processors with other work sleep: the last two methods
/// are how they say so, and learn it of each other. An error is for good.
pub trait Hardware: Send {
    /// How many cores there are.
    fn cores(&self) -> usize;

    /// Puts a message on the ring.
    ///
    /// # Errors
    /// If that would block the ring, or the other core breaks its rules.
    ///
    /// # Panics
    /// If there is no such core, or the message has no word or more than [`MAX_MESSAGE`].
    fn send(&mut self, to: Core, words: &[u32]) -> Result<(), ProtocolError>;

    /// Whether there is a message to take. A load or two; never false in vain.
    fn poll(&self) -> bool;

    /// Takes a message out of the FIFO: where it came from, and how many words it has.
    ///
    /// # Errors
    /// If the other core has put there what is no message.
    fn receive(&mut self, into: &mut Message) -> Result<Option<(Core, usize)>, ProtocolError>;

    /// Publishes whether messages for this core are to be followed by an interrupt, and fences, so that of a message and
    /// this at least one sees the other. Said again, it asks for an interrupt once more.
    fn listen(&mut self, wanted: bool);

    /// Whether what was sent to `to` is to be followed by an interrupt. Says so once for each time that `to` asked.
    fn must_interrupt(&mut self, to: Core) -> bool;
}

/// What a full FIFO gives.
pub const STALLED: ProtocolError =
    ProtocolError::Frame("the ring has stalled: the FIFO of the other core is full");

/// The hardware header of a message.
#[must_use]
pub const fn hardware_header(source: Core, length: usize) -> u32 {
    (source.0 as u32) << 8 | length as u32
}

/// Where a message comes from, and its length, out of its hardware header.
///
/// # Errors
/// If it is none, on a ring of so many cores.
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
