//! Messages as values: the common part of the generated `Message` enums, and message buffers, which hold a message outside of
//! a channel (TN-011 section 6.2).
//!
//! A [`MessageBuffer`] holds the words that go over the wire, written and read by the same code, and the capabilities. Its
//! form in bytes is this, with the least significant byte of each word first:
//!
//! ```text
//!   word 0                                      1 .. words
//!  +-------------+------------+--------------+-----------------+
//!  | number (16) | caps (16)  | words (32)   | the body        |   the lower bits first
//!  +-------------+------------+--------------+-----------------+
//! ```
//! The bytes hold only the number of capabilities; the reader of the bytes provides the capabilities.

use core::fmt;
use std::error::Error;

use crate::cap::Cap;
use crate::errno::Errno;
use crate::interface::Interface;
use crate::message::args::Refused;
use crate::wire::{DecodeError, Gather, TooLong};

mod arg;
pub mod args;
pub mod bulk;
mod cap;
mod received;

pub use received::Received;

/// Number of bytes of the header of a [`MessageBuffer`].
const HEADER: usize = 8;

/// A generated `Message`: any message of one interface, with its arguments.
pub trait MessageValue: Sized {
    /// Descriptor of the interface.
    const INTERFACE: &'static Interface;

    /// Writes the message as words, with copies of its capabilities.
    ///
    /// # Errors
    /// [`EncodeError`] if an argument is too long, or a capability cannot be copied.
    fn marshal(&self) -> Result<MessageBuffer, EncodeError>;

    /// Reads a message from the words and capabilities that came over the wire.
    ///
    /// # Errors
    /// If no sender of the interface writes these words.
    fn unmarshal(received: Received<'_>) -> Result<Self, DecodeError>;
}

/// Stands in for a value whose type does not implement `Debug`.
pub struct Opaque;

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Shows message `number`, with the names of its arguments, as its variant of `Message`.
///
/// # Errors
/// The formatter's.
pub fn show(
    f: &mut fmt::Formatter<'_>,
    interface: &Interface,
    number: u16,
    variant: &str,
    values: &[&dyn fmt::Debug],
) -> fmt::Result {
    let mut shown = f.debug_struct(variant);
    for (i, value) in values.iter().enumerate() {
        shown.field(interface.argument(number, i), value);
    }
    shown.finish()
}

/// A message in words, with its capabilities beside them.
///
/// ```
/// use flounder_rt::message::MessageBuffer;
/// # fn main() -> Result<(), flounder_rt::wire::DecodeError> {
/// let buffer = MessageBuffer { number: 3, words: vec![1, 2], caps: Vec::new() };
/// let bytes = buffer.to_bytes();
/// let mut rest = &bytes[..];
/// let read = MessageBuffer::from_bytes(&mut rest, [])?;
/// assert_eq!((read.number, read.words, rest.len()), (3, vec![1, 2], 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct MessageBuffer {
    /// Message number.
    pub number: u16,
    /// Words of the body.
    pub words: Vec<u64>,
    /// Capabilities, in order.
    pub caps: Vec<Cap>,
}

impl MessageBuffer {
    /// Writes a message into a new buffer.
    ///
    /// # Errors
    /// [`EncodeError`] if an argument is too long, or a capability cannot be copied.
    pub fn encode<M: MessageValue>(message: &M) -> Result<Self, EncodeError> {
        message.marshal()
    }

    /// Creates a buffer from the parts of a message.
    pub(crate) fn new(number: u16, body: Gather<'_>, caps: Vec<Cap>) -> Self {
        let mut words = vec![0; body.len()];
        body.reader(0).read(&mut words);
        Self { number, words, caps }
    }

    /// Reads the message.
    ///
    /// # Errors
    /// If no sender of the interface writes these words.
    pub fn decode<M: MessageValue>(mut self) -> Result<M, DecodeError> {
        M::unmarshal(self.lend())
    }

    pub(crate) fn lend(&mut self) -> Received<'_> {
        Received { number: self.number, words: &self.words, caps: &mut self.caps }
    }

    /// Returns the header and the words in the form that the [module](self) shows.
    ///
    /// # Panics
    /// If there are more words or capabilities than any message has (2^32, 2^16).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = u32::try_from(self.words.len()).expect("no message has 2^32 words");
        let caps = u16::try_from(self.caps.len()).expect("no message has 2^16 capabilities");
        let header = u64::from(words) << 32 | u64::from(caps) << 16 | u64::from(self.number);
        core::iter::once(&header).chain(&self.words).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads one message from the beginning of `bytes`, and advances `bytes` past it. The message takes as many capabilities
    /// from `caps` as it had.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if there are too few bytes, [`DecodeError::MissingCap`] if there are too few capabilities.
    /// `bytes` is unchanged then.
    pub fn from_bytes(
        bytes: &mut &[u8],
        caps: impl IntoIterator<Item = Cap>,
    ) -> Result<Self, DecodeError> {
        let short = |need, len: usize| DecodeError::Short { need, have: len / HEADER };
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(short(1, bytes.len()));
        };
        let header = u64::from_le_bytes(*header);
        let (number, cap_count) = (header as u16, usize::from((header >> 16) as u16));
        let len = (header >> 32) as usize;
        // Compared as words: a length in bytes could be too large for its type.
        let (lines, _) = rest.as_chunks::<8>();
        let Some(body) = lines.get(..len) else { return Err(short(len, rest.len())) };
        let words = body.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let caps: Vec<Cap> = caps.into_iter().take(cap_count).collect();
        if caps.len() < cap_count {
            return Err(DecodeError::MissingCap);
        }
        *bytes = &rest[len * 8..];
        Ok(Self { number, words, caps })
    }
}

/// Returns true if two messages have the same words. A message with capabilities equals no other, since
/// capabilities cannot be compared.
pub fn same<M: MessageValue>(one: &M, other: &M) -> bool {
    let encoded = [one, other].map(MessageBuffer::encode);
    let [Ok(one), Ok(other)] = encoded else { return false };
    let caps = one.caps.len() + other.caps.len();
    caps == 0 && one.number == other.number && one.words == other.words
}

/// Why a message could not be put into words.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string or array is longer than the interface allows.
    TooLong {
        /// Name of the argument.
        arg: &'static str,
        /// Length and maximum.
        length: TooLong,
    },
    /// A capability could not be copied (`EMFILE`).
    CapCopy(Errno),
}

impl EncodeError {
    /// Returns the error for an argument of message `number`.
    #[cold]
    pub(crate) fn new(number: u16, interface: &Interface, refused: Refused) -> Self {
        match refused {
            Refused::TooLong(i, length) => {
                Self::TooLong { arg: interface.argument(number, i), length }
            }
            Refused::Caps(error) => Self::CapCopy(error.into()),
        }
    }
}

crate::debug_as_chain!(EncodeError);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { arg, .. } => write!(f, "argument {arg} is too long"),
            Self::CapCopy(_) => f.write_str("a capability cannot be copied"),
        }
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::TooLong { length, .. } => length,
            Self::CapCopy(errno) => errno,
        })
    }
}
