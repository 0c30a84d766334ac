//! Reading values. Reading is total and strict, and allocates no more memory than the words of the message justify.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use crate::bulk::BulkHead;
use crate::caps::CapSlots;
use crate::encode::Plain;
use crate::iref::{Errval, Iref};
use crate::shape::{DEFAULT_MAX, Shape};

/// A value that can be read from a message, possibly borrowing from it for `'a`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a message",
    label = "not a type that messages can carry",
    note = "put `#[derive(FlounderMessage)]` on its definition"
)]
pub trait Decode<'a>: Shape + Sized {
    /// Reads the value whose fixed part lies at byte offset `at`, and takes its tail from the current position of the decoder.
    ///
    /// # Errors
    /// If [`Encode`](super::Encode) writes these words for no value of the type.
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError>;

    /// Reads an array of values whose fixed parts lie one after another from byte offset `at`.
    ///
    /// # Errors
    /// Those of [`take`](Decode::take), for the first value that has one.
    #[inline]
    fn take_array<const N: usize>(
        decoder: &mut Decoder<'a>,
        at: usize,
    ) -> Result<[Self; N], DecodeError> {
        let mut failed = None;
        let items: [Option<Self>; N] = core::array::from_fn(|i| {
            if failed.is_some() {
                return None;
            }
            Self::take(decoder, at + i * Self::SIZE).map_err(|error| failed = Some(error)).ok()
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(items.map(|item| item.expect("no element failed"))),
        }
    }

    /// Reads the tail of a sequence of `len` values.
    ///
    /// # Errors
    /// Those of [`take`](Decode::take), for the first value that has one.
    fn take_items(decoder: &mut Decoder<'a>, len: usize) -> Result<Vec<Self>, DecodeError> {
        let block = decoder.block(len, Self::SIZE)?;
        // Memory follows words: a value may take far more bytes than its fixed part, such as an enumeration with a large variant.
        let is_close = const { size_of::<Self>() <= 8 * Self::SIZE };
        let mut items = Vec::with_capacity(if is_close { len } else { 0 });
        for i in 0..len {
            items.push(Self::take(decoder, block + i * Self::SIZE)?);
        }
        Ok(items)
    }
}

/// A message that is being read: private words (never memory that a peer can write) and its capabilities.
#[derive(Debug)]
pub struct Decoder<'a> {
    words: &'a [u64],
    /// The word where the next tail begins.
    tail: usize,
    caps: CapSlots<'a>,
}

impl<'a> Decoder<'a> {
    /// Creates a decoder for a message whose record takes `record` words.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if there are fewer.
    #[inline]
    pub fn new(words: &'a [u64], caps: CapSlots<'a>, record: usize) -> Result<Self, DecodeError> {
        if words.len() < record {
            return Err(DecodeError::Short { need: record, have: words.len() });
        }
        Ok(Self { words, tail: record, caps })
    }

    /// Reads the value whose fixed part lies at byte offset `at`.
    ///
    /// # Errors
    /// Those of [`Decode::take`].
    #[inline(always)]
    pub fn take<T: Decode<'a>>(&mut self, at: usize) -> Result<T, DecodeError> {
        T::take(self, at)
    }

    /// Checks that the whole message has been read.
    ///
    /// # Errors
    /// If words or capabilities are left over.
    #[inline]
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.tail != self.words.len() {
            return Err(DecodeError::Leftover { words: self.words.len() - self.tail });
        }
        if self.caps.is_empty() { Ok(()) } else { Err(DecodeError::ExtraCaps) }
    }

    /// Checks that the whole message has been read. Its record has `words` words, of which `used` bytes are in use.
    ///
    /// # Errors
    /// If an unused byte of the record is not zero, or if words or capabilities are left over.
    #[inline]
    pub fn close(self, used: usize, words: usize) -> Result<(), DecodeError> {
        // Less than a word, and it was there when reading began.
        if used < words * 8 && self.words[words - 1] >> (used % 8 * 8) != 0 {
            return Err(DecodeError::Padding);
        }
        self.finish()
    }

    /// Returns the `size` bytes (1 to 8) at byte offset `at`, all of which lie in one word.
    #[inline(always)]
    fn bits(&self, at: usize, size: usize) -> Result<u64, DecodeError> {
        let Some(word) = self.words.get(at / 8) else {
            return Err(DecodeError::Short { need: at / 8 + 1, have: self.words.len() });
        };
        Ok((word >> (at % 8 * 8)) & (u64::MAX >> (64 - size * 8)))
    }

    /// Requires that `len` bytes at byte offset `at` are zero.
    ///
    /// # Errors
    /// [`DecodeError::Padding`].
    #[inline]
    pub fn zero(&self, at: usize, len: usize) -> Result<(), DecodeError> {
        // A word at a time: with constant arguments this is one comparison.
        let (mut at, end) = (at, at + len);
        while at < end {
            let here = (8 - at % 8).min(end - at);
            if self.bits(at, here)? != 0 {
                return Err(DecodeError::Padding);
            }
            at += here;
        }
        Ok(())
    }

    /// Takes the next `bytes` bytes of tail, and requires that their padding is zero.
    fn tail_bytes(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        let words = self.tail_words(bytes.div_ceil(8))?;
        let (taken, padding) = bytemuck::cast_slice::<u64, u8>(words).split_at(bytes);
        if padding.iter().any(|byte| *byte != 0) { Err(DecodeError::Padding) } else { Ok(taken) }
    }

    fn tail_words(&mut self, words: usize) -> Result<&'a [u64], DecodeError> {
        let all: &'a [u64] = self.words;
        let have = all.len() - self.tail;
        let Some(taken) = all[self.tail..].get(..words) else {
            return Err(DecodeError::Short { need: words, have });
        };
        self.tail += words;
        Ok(taken)
    }

    /// Takes a block of `len` fixed parts of `size` bytes and returns the byte offset where it begins.
    fn block(&mut self, len: usize, size: usize) -> Result<usize, DecodeError> {
        let (start, bytes) = (self.tail * 8, len * size);
        self.tail_bytes(bytes)?;
        Ok(start)
    }

    /// Returns the length of the string or sequence whose fixed part lies at `at`.
    fn length(&self, at: usize, max: u32) -> Result<usize, DecodeError> {
        let len = self.bits(at, 4)? as usize;
        if len > max as usize { Err(DecodeError::TooLong { len, max }) } else { Ok(len) }
    }

    /// Reads a string of at most `max` bytes.
    ///
    /// # Errors
    /// If it is longer, is not UTF-8, or the message ends before it.
    #[inline]
    pub fn string(&mut self, at: usize, max: u32) -> Result<&'a str, DecodeError> {
        let len = self.length(at, max)?;
        core::str::from_utf8(self.tail_bytes(len)?).map_err(|_| DecodeError::Utf8)
    }

    /// Borrows a sequence of at most `max` plain values from the message.
    ///
    /// # Errors
    /// If it is longer, or the message ends before it.
    #[inline]
    pub fn slice<T: Plain>(&mut self, at: usize, max: u32) -> Result<&'a [T], DecodeError> {
        let len = self.length(at, max)?;
        Ok(bytemuck::cast_slice(self.tail_bytes(len * size_of::<T>())?))
    }

    /// Reads the head of bulk data of at most `max` bytes.
    ///
    /// # Errors
    /// If no sender of the interface writes such a head.
    #[inline]
    pub fn bulk(&self, at: usize, max: u32) -> Result<BulkHead, DecodeError> {
        BulkHead::from_bits(self.bits(at, 8)?, max)
    }

    /// Lends the next `len` bytes of the tail.
    ///
    /// # Errors
    /// If they are not there, or their padding is not zero.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        self.tail_bytes(len)
    }

    /// Reads a sequence of at most `max` values.
    ///
    /// # Errors
    /// If it is longer, or one of its values cannot be read.
    #[inline]
    pub fn items<T: Decode<'a>>(&mut self, at: usize, max: u32) -> Result<Vec<T>, DecodeError> {
        let len = self.length(at, max)?;
        T::take_items(self, len)
    }

    /// Reads the 32-bit tag of an enumeration of `count` variants called `name`.
    ///
    /// # Errors
    /// [`DecodeError::Enum`] if the tag is not below `count`.
    #[inline]
    pub fn tag(&self, at: usize, count: u32, name: &'static str) -> Result<u32, DecodeError> {
        let value = self.bits(at, 4)? as u32;
        if value < count { Ok(value) } else { Err(DecodeError::Enum { name, value }) }
    }

    /// Reads the tag of an `Option` at byte offset `at`. Returns the offset of its value, which has this size and alignment;
    /// `None` if there is none.
    ///
    /// # Errors
    /// If the tag is neither 0 nor 1, or a byte that no value occupies is not zero.
    #[inline(always)]
    pub fn option(
        &self,
        at: usize,
        (size, align): (usize, usize),
    ) -> Result<Option<usize>, DecodeError> {
        match self.bits(at, 1)? {
            0 => self.zero(at + 1, align + size - 1).map(|()| None),
            1 => self.zero(at + 1, align - 1).map(|()| Some(at + align)),
            other => Err(DecodeError::Bool(other as u8)),
        }
    }

    /// Takes a record of `words` words from the tail (the fields of an enum's variant) and returns where it begins.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    #[inline]
    pub fn nested(&mut self, words: usize) -> Result<usize, DecodeError> {
        let start = self.tail * 8;
        self.tail_words(words)?;
        Ok(start)
    }

    /// Advances by one capability and returns the collection given to [`CapSlots::new`], which the caller takes that
    /// capability out of.
    ///
    /// # Errors
    /// [`DecodeError::MissingCap`] if the message has no further capability.
    #[inline]
    pub fn next_cap<S: Any>(&mut self) -> Result<&mut S, DecodeError> {
        self.caps.next().ok_or(DecodeError::MissingCap)
    }
}

/// Words that no sender of this interface writes. `FLOUNDER_ERR_DEMARSHALLING`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ends too early.
    Short {
        /// Number of words needed.
        need: usize,
        /// Number of words in the message.
        have: usize,
    },
    /// Words are left over after the last argument.
    Leftover {
        /// Number of words left over.
        words: usize,
    },
    /// Bytes that must be zero are not.
    Padding,
    /// A boolean is neither 0 nor 1.
    Bool(u8),
    /// The value is no element of its enumeration.
    Enum {
        /// The type.
        name: &'static str,
        /// The value.
        value: u32,
    },
    /// The value of a `char` is not a Unicode scalar value.
    Char(u32),
    /// A string is not UTF-8.
    Utf8,
    /// A string or sequence is longer than the interface allows. `FLOUNDER_ERR_RX_INVALID_LENGTH`
    TooLong {
        /// Announced length.
        len: usize,
        /// Maximum of the interface.
        max: u32,
    },
    /// An interface reference is zero.
    Iref,
    /// A capability is missing.
    MissingCap,
    /// The message has more capabilities than its arguments hold.
    ExtraCaps,
    /// Bulk data is not where the message says.
    Bulk(&'static str),
    /// The interface has no message of this number, or another message was expected.
    Number(u16),
    /// The message goes from this end to the other one only.
    Direction,
}

crate::debug_as_chain!(DecodeError);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { need, have } => {
                write!(f, "message is too short: {have} words where {need} are needed")
            }
            Self::Leftover { words } => {
                write!(f, "{words} words are left over behind the last argument")
            }
            Self::Padding => f.write_str("padding is not zero"),
            Self::Bool(value) => write!(f, "boolean is {value}, neither 0 nor 1"),
            Self::Enum { name, value } => write!(f, "enumeration {name} has no element {value}"),
            Self::Char(value) => write!(f, "{value:#x} is not a character"),
            Self::Utf8 => f.write_str("string is not UTF-8"),
            Self::TooLong { len, max } => write!(f, "length {len} is over the maximum of {max}"),
            Self::Iref => f.write_str("interface reference is zero"),
            Self::MissingCap => f.write_str("capability is missing"),
            Self::ExtraCaps => f.write_str("more capabilities than arguments for them"),
            Self::Bulk(what) => f.write_str(what),
            Self::Number(number) => write!(f, "no message has number {number}"),
            Self::Direction => f.write_str("message goes in the other direction only"),
        }
    }
}

impl core::error::Error for DecodeError {}

macro_rules! plain {
    ($($rust:ident as $unsigned:ident;)*) => {$(
        impl<'a> Decode<'a> for $rust {
            #[inline(always)]
            fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
                let bits = decoder.bits(at, size_of::<Self>())? as $unsigned;
                Ok(Self::from_ne_bytes(bits.to_ne_bytes()))
            }

            /// On a little-endian machine, the record is the memory of the values.
            #[cfg(target_endian = "little")]
            #[inline]
            fn take_array<const N: usize>(
                decoder: &mut Decoder<'a>,
                at: usize,
            ) -> Result<[Self; N], DecodeError> {
                let mut items = [<Self as bytemuck::Zeroable>::zeroed(); N];
                let end = at + size_of_val(&items);
                let Some(bytes) = bytemuck::cast_slice::<u64, u8>(decoder.words).get(at..end) else {
                    return Err(DecodeError::Short { need: end.div_ceil(8), have: decoder.words.len() });
                };
                bytemuck::cast_slice_mut(&mut items).copy_from_slice(bytes);
                Ok(items)
            }

            #[inline]
            fn take_items(decoder: &mut Decoder<'a>, len: usize) -> Result<Vec<Self>, DecodeError> {
                Ok(bytemuck::cast_slice(decoder.tail_bytes(len * size_of::<Self>())?).to_vec())
            }
        }
    )*};
}

plain! {
    u8 as u8; u16 as u16; u32 as u32; u64 as u64;
    i8 as u8; i16 as u16; i32 as u32; i64 as u64;
    f32 as u32; f64 as u64;
}

impl Decode<'_> for u128 {
    #[inline]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        let (low, high) = (decoder.bits(at, 8)?, decoder.bits(at + 8, 8)?);
        Ok(Self::from(high) << 64 | Self::from(low))
    }
}

impl Decode<'_> for i128 {
    #[inline]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        u128::take(decoder, at).map(u128::cast_signed)
    }
}

impl Decode<'_> for bool {
    #[inline(always)]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        match decoder.bits(at, 1)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Bool(other as u8)),
        }
    }
}

impl Decode<'_> for char {
    #[inline]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        let value = decoder.bits(at, 4)? as u32;
        Self::from_u32(value).ok_or(DecodeError::Char(value))
    }
}

impl Decode<'_> for usize {
    #[inline(always)]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        Ok(decoder.bits(at, 8)? as Self)
    }
}

impl Decode<'_> for isize {
    #[inline(always)]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        Ok(decoder.bits(at, 8)? as Self)
    }
}

impl Decode<'_> for Iref {
    #[inline(always)]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        Self::from_bits(decoder.bits(at, 8)?).ok_or(DecodeError::Iref)
    }
}

impl Decode<'_> for Errval {
    #[inline(always)]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        Ok(Self(decoder.bits(at, 8)?))
    }
}

impl Decode<'_> for () {
    #[inline]
    fn take(_source: &mut Decoder<'_>, _at: usize) -> Result<Self, DecodeError> {
        Ok(())
    }
}

impl<'a> Decode<'a> for &'a str {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.string(at, DEFAULT_MAX)
    }
}

impl Decode<'_> for String {
    #[inline]
    fn take(decoder: &mut Decoder<'_>, at: usize) -> Result<Self, DecodeError> {
        decoder.string(at, DEFAULT_MAX).map(Self::from)
    }
}

impl<'a, T: Plain> Decode<'a> for &'a [T] {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.slice(at, DEFAULT_MAX)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.items(at, DEFAULT_MAX)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Box<T> {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        T::take(decoder, at).map(Self::new)
    }
}

impl<'a, T: Decode<'a>, const N: usize> Decode<'a> for [T; N] {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        T::take_array(decoder, at)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        match decoder.option(at, T::PLACE)? {
            Some(at) => T::take(decoder, at).map(Some),
            None => Ok(None),
        }
    }
}

impl<'a, T: Decode<'a>, E: Decode<'a>> Decode<'a> for Result<T, E> {
    #[inline]
    fn take(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        Ok(match decoder.tag(at, 2, "Result")? {
            0 => Ok(take_nested(decoder)?),
            _ => Err(take_nested(decoder)?),
        })
    }
}

/// Reads the record and the tail of the only field of a variant.
#[inline]
fn take_nested<'a, T: Decode<'a>>(decoder: &mut Decoder<'a>) -> Result<T, DecodeError> {
    let words = T::SIZE.div_ceil(8);
    let at = decoder.nested(words)?;
    let value = T::take(decoder, at)?;
    decoder.zero(at + T::SIZE, words * 8 - T::SIZE)?;
    Ok(value)
}
