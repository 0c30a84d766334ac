//! Writing values.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::caps::CapRefs;
use crate::iref::{Errval, Iref};
use crate::shape::{DEFAULT_MAX, Shape, TypeForm, largest, total};

/// A value that can be written into a message.
///
/// The order of the steps is: [`check`](Encode::check), the only step that may refuse the value; then
/// [`put`](Encode::put) of every member into a zeroed record; then [`put_tail`](Encode::put_tail) of every member.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a message",
    label = "not a type that messages can carry",
    note = "put `#[derive(FlounderMessage)]` on its definition"
)]
pub trait Encode: Shape {
    /// Refuses a value that is longer than its type allows.
    ///
    /// # Errors
    /// [`TooLong`] with the length and the maximum.
    #[inline]
    fn check(&self) -> Result<(), TooLong> {
        Ok(())
    }

    /// Writes the fixed part at byte offset `at` of `words`, which are zero there.
    ///
    /// # Panics
    /// If the fixed part does not lie in `words`.
    fn put(&self, words: &mut [u64], at: usize);

    /// Appends the tail, in whole words. The default appends nothing.
    #[inline]
    fn put_tail(&self, _tail: &mut Vec<u64>) {}

    /// Appends the capabilities of the value to a list, in order. The default appends nothing.
    #[inline]
    fn put_caps<'a>(&'a self, _caps: &mut CapRefs<'a>) {}

    /// Writes the fixed parts of values one after another, from byte offset `at` of `words`, which are zero there.
    ///
    /// # Panics
    /// If they do not lie in `words`.
    #[inline]
    fn put_each(items: &[Self], words: &mut [u64], at: usize)
    where
        Self: Sized,
    {
        for (i, item) in items.iter().enumerate() {
            item.put(words, at + i * Self::SIZE);
        }
    }

    /// Appends the tail of a sequence of such values: their fixed parts, then their tails.
    fn put_items(items: &[Self], tail: &mut Vec<u64>)
    where
        Self: Sized,
    {
        let start = tail.len();
        tail.resize(start + (items.len() * Self::SIZE).div_ceil(8), 0);
        Self::put_each(items, &mut tail[start..], 0);
        for item in items {
            item.put_tail(tail);
        }
    }
}

/// A string or sequence longer than its type allows. `FLOUNDER_ERR_TX_MSG_SIZE`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Length: bytes of a string, elements of a sequence.
    pub len: usize,
    /// Maximum of the interface.
    pub max: u32,
}

impl TooLong {
    /// Compares a length with its maximum.
    ///
    /// # Errors
    /// If it is larger.
    #[inline]
    pub const fn check(len: usize, max: u32) -> Result<(), Self> {
        if len > max as usize { Err(Self { len, max }) } else { Ok(()) }
    }
}

crate::debug_as_chain!(TooLong);

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "length {} is over the maximum of {}", self.len, self.max)
    }
}

impl core::error::Error for TooLong {}

/// Values that have the same layout in memory and on the wire: their slices are borrowed from the message, not decoded.
pub trait Plain: bytemuck::Pod + Shape {}

/// Writes the tag of an enumeration.
#[inline]
pub fn put_tag(tag: u32, words: &mut [u64], at: usize) {
    tag.put(words, at);
}

/// Returns size and alignment of an `Option` of a value of this size and alignment: before the value lies a tag, which has
/// its alignment.
#[must_use]
pub const fn option_place((size, align): (usize, usize)) -> (usize, usize) {
    (align + size, align)
}

/// Writes the tag of an `Option` at byte offset `at`, and returns the offset of its value, which has this size and alignment.
#[inline(always)]
pub fn put_some(words: &mut [u64], at: usize, (_, align): (usize, usize)) -> usize {
    put_bits(words, at, 1);
    at + align
}

/// Writes the low `bits` of a member to its place in a word of the record.
#[inline(always)]
fn put_bits(words: &mut [u64], at: usize, bits: u64) {
    words[at / 8] |= bits << (at % 8 * 8);
}

/// Appends a zeroed record of `words` words to a tail and returns it: the fields of a variant of an enum.
#[inline]
pub fn nest(tail: &mut Vec<u64>, words: usize) -> &mut [u64] {
    let start = tail.len();
    tail.resize(start + words, 0);
    &mut tail[start..]
}

/// Appends bytes, padded with zeroes to a whole word.
pub(crate) fn append_bytes(tail: &mut Vec<u64>, bytes: &[u8]) {
    let start = tail.len();
    tail.resize(start + bytes.len().div_ceil(8), 0);
    bytemuck::cast_slice_mut(&mut tail[start..])[..bytes.len()].copy_from_slice(bytes);
}

macro_rules! plain {
    ($($rust:ident as $unsigned:ident, $name:literal;)*) => {$(
        impl Shape for $rust {
            const SIZE: usize = size_of::<$rust>();
            const ALIGN: usize = size_of::<$rust>();
            const MAX_TAIL: usize = 0;
            const MAX_CAPS: usize = 0;
            const FORM: &'static TypeForm = &TypeForm::new($name, &[]);
        }

        impl Encode for $rust {
            #[inline(always)]
            fn put(&self, words: &mut [u64], at: usize) {
                put_bits(words, at, u64::from(<$unsigned>::from_ne_bytes(self.to_ne_bytes())));
            }

            /// On a little-endian machine, the record is the memory of the values.
            #[cfg(target_endian = "little")]
            #[inline]
            fn put_each(items: &[Self], words: &mut [u64], at: usize) {
                let bytes: &[u8] = bytemuck::cast_slice(items);
                bytemuck::cast_slice_mut(words)[at..at + bytes.len()].copy_from_slice(bytes);
            }

            #[inline]
            fn put_items(items: &[Self], tail: &mut Vec<u64>) {
                append_bytes(tail, bytemuck::cast_slice(items));
            }
        }

        impl Plain for $rust {}
    )*};
}

plain! {
    u8 as u8, "uint8";
    u16 as u16, "uint16";
    u32 as u32, "uint32";
    u64 as u64, "uint64";
    i8 as u8, "int8";
    i16 as u16, "int16";
    i32 as u32, "int32";
    i64 as u64, "int64";
    f32 as u32, "float";
    f64 as u64, "double";
}

/// Implements the traits for types that travel as another type: `shape!(Self as Other, "canonical"; |value| other)`.
macro_rules! via {
    ($($rust:ty as $wire:ty, $name:literal, |$value:ident| $expr:expr;)*) => {$(
        impl Shape for $rust {
            const SIZE: usize = <$wire>::SIZE;
            const ALIGN: usize = <$wire>::ALIGN;
            const MAX_TAIL: usize = 0;
            const MAX_CAPS: usize = 0;
            const FORM: &'static TypeForm = &TypeForm::new($name, &[]);
        }

        impl Encode for $rust {
            #[inline(always)]
            fn put(&self, words: &mut [u64], at: usize) {
                let $value = self;
                <$wire as Encode>::put(&$expr, words, at);
            }
        }
    )*};
}

via! {
    bool as u8, "bool", |value| u8::from(*value);
    usize as u64, "size", |value| *value as u64;
    isize as i64, "intptr", |value| *value as i64;
    char as u32, "rust-char", |value| u32::from(*value);
    Iref as u64, "iref", |value| value.to_bits();
    Errval as u64, "errval", |value| value.0;
}

/// Implements the traits for numbers of two words, the less significant one first.
macro_rules! two_words {
    ($($rust:ident, $name:literal;)*) => {$(
        impl Shape for $rust {
            const SIZE: usize = 16;
            const ALIGN: usize = 8;
            const FORM: &'static TypeForm = &TypeForm::new($name, &[]);
        }

        impl Encode for $rust {
            #[inline]
            fn put(&self, words: &mut [u64], at: usize) {
                put_bits(words, at, *self as u64);
                put_bits(words, at + 8, (*self >> 64) as u64);
            }
        }
    )*};
}

two_words! {
    u128, "uint128";
    i128, "int128";
}

impl Shape for () {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    const MAX_TAIL: usize = 0;
    const MAX_CAPS: usize = 0;
    const FORM: &'static TypeForm = &TypeForm::new("unit", &[]);
}

impl Encode for () {
    #[inline]
    fn put(&self, _words: &mut [u64], _at: usize) {}
}

impl Shape for str {
    const SIZE: usize = 4;
    const ALIGN: usize = 4;
    const MAX_TAIL: usize = DEFAULT_MAX as usize / 8;
    const MAX_CAPS: usize = 0;
    const FORM: &'static TypeForm = &TypeForm::new("string", &[]);
}

impl Encode for str {
    #[inline]
    fn check(&self) -> Result<(), TooLong> {
        TooLong::check(self.len(), DEFAULT_MAX)
    }

    #[inline]
    fn put(&self, words: &mut [u64], at: usize) {
        put_bits(words, at, self.len() as u64);
    }

    #[inline]
    fn put_tail(&self, tail: &mut Vec<u64>) {
        append_bytes(tail, self.as_bytes());
    }
}

impl<T: Shape> Shape for [T] {
    const SIZE: usize = 4;
    const ALIGN: usize = 4;
    const MAX_TAIL: usize = max_items::<T>(DEFAULT_MAX);
    const MAX_CAPS: usize = T::MAX_CAPS.saturating_mul(DEFAULT_MAX as usize);
    const FORM: &'static TypeForm = &TypeForm::new("sequence", &[T::FORM]);
}

/// Returns the maximum number of words of the tail of a sequence of at most `max` values.
pub const fn max_items<T: Shape>(max: u32) -> usize {
    let fixed = (max as usize).saturating_mul(T::SIZE).div_ceil(8);
    fixed.saturating_add((max as usize).saturating_mul(T::MAX_TAIL))
}

impl<T: Encode> Encode for [T] {
    #[inline]
    fn check(&self) -> Result<(), TooLong> {
        TooLong::check(self.len(), DEFAULT_MAX)?;
        self.iter().try_for_each(T::check)
    }

    #[inline]
    fn put(&self, words: &mut [u64], at: usize) {
        put_bits(words, at, self.len() as u64);
    }

    #[inline]
    fn put_tail(&self, tail: &mut Vec<u64>) {
        T::put_items(self, tail);
    }

    fn put_caps<'a>(&'a self, caps: &mut CapRefs<'a>) {
        self.iter().for_each(|item| item.put_caps(caps));
    }
}

/// Implements [`Encode`] for types that are written as the value that they point to.
macro_rules! pointer {
    ($([$($generic:tt)*] $rust:ty => $target:ty;)*) => {$(
        impl<$($generic)*> Shape for $rust {
            const SIZE: usize = <$target>::SIZE;
            const ALIGN: usize = <$target>::ALIGN;
            const MAX_TAIL: usize = <$target>::MAX_TAIL;
            const MAX_CAPS: usize = <$target>::MAX_CAPS;
            const FORM: &'static TypeForm = <$target>::FORM;
        }
    )*};
}

macro_rules! encode_pointer {
    ($([$($generic:tt)*] $rust:ty;)*) => {$(
        impl<$($generic)*> Encode for $rust {
            #[inline]
            fn check(&self) -> Result<(), TooLong> {
                (**self).check()
            }

            #[inline]
            fn put(&self, words: &mut [u64], at: usize) {
                (**self).put(words, at);
            }

            #[inline]
            fn put_tail(&self, tail: &mut Vec<u64>) {
                (**self).put_tail(tail);
            }

            #[inline]
            fn put_caps<'a>(&'a self, caps: &mut CapRefs<'a>) {
                (**self).put_caps(caps);
            }
        }
    )*};
}

pointer! {
    [] String => str;
    [T: Shape] Vec<T> => [T];
    [T: Shape] Box<T> => T;
    [T: Shape + ?Sized] &T => T;
}

encode_pointer! {
    [] String;
    [T: Encode] Vec<T>;
    [T: Encode] Box<T>;
    [T: Encode + ?Sized] &T;
}

impl<T: Shape, const N: usize> Shape for [T; N] {
    const SIZE: usize = N * T::SIZE;
    const ALIGN: usize = T::ALIGN;
    const MAX_TAIL: usize = T::MAX_TAIL.saturating_mul(N);
    const MAX_CAPS: usize = T::MAX_CAPS.saturating_mul(N);
    const FORM: &'static TypeForm = &TypeForm::array(N, &[T::FORM]);
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    #[inline]
    fn check(&self) -> Result<(), TooLong> {
        self.iter().try_for_each(T::check)
    }

    #[inline]
    fn put(&self, words: &mut [u64], at: usize) {
        T::put_each(self, words, at);
    }

    #[inline]
    fn put_tail(&self, tail: &mut Vec<u64>) {
        self.iter().for_each(|item| item.put_tail(tail));
    }

    #[inline]
    fn put_caps<'a>(&'a self, caps: &mut CapRefs<'a>) {
        self.iter().for_each(|item| item.put_caps(caps));
    }
}

impl<T: Shape> Shape for Option<T> {
    const SIZE: usize = option_place(T::PLACE).0;
    const ALIGN: usize = T::ALIGN;
    const MAX_TAIL: usize = T::MAX_TAIL;
    const MAX_CAPS: usize = T::MAX_CAPS;
    const FORM: &'static TypeForm = &TypeForm::new("option", &[T::FORM]);
}

impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn check(&self) -> Result<(), TooLong> {
        self.as_ref().map_or(Ok(()), T::check)
    }

    #[inline]
    fn put(&self, words: &mut [u64], at: usize) {
        if let Some(value) = self {
            let at = put_some(words, at, T::PLACE);
            value.put(words, at);
        }
    }

    #[inline]
    fn put_tail(&self, tail: &mut Vec<u64>) {
        if let Some(value) = self {
            value.put_tail(tail);
        }
    }

    #[inline]
    fn put_caps<'a>(&'a self, caps: &mut CapRefs<'a>) {
        if let Some(value) = self {
            value.put_caps(caps);
        }
    }
}

/// As an enumeration of two variants with one field each.
impl<T: Shape, E: Shape> Shape for Result<T, E> {
    const SIZE: usize = 4;
    const ALIGN: usize = 4;
    const MAX_TAIL: usize = largest(&[
        total(&[T::SIZE.div_ceil(8), T::MAX_TAIL]),
        total(&[E::SIZE.div_ceil(8), E::MAX_TAIL]),
    ]);
    const MAX_CAPS: usize = largest(&[T::MAX_CAPS, E::MAX_CAPS]);
    const FORM: &'static TypeForm = &TypeForm::new("enum{Ok{0},Err{0}}", &[T::FORM, E::FORM]);
}

impl<T: Encode, E: Encode> Encode for Result<T, E> {
    #[inline]
    fn check(&self) -> Result<(), TooLong> {
        match self {
            Ok(value) => value.check(),
            Err(error) => error.check(),
        }
    }

    #[inline]
    fn put(&self, words: &mut [u64], at: usize) {
        put_tag(u32::from(self.is_err()), words, at);
    }

    #[inline]
    fn put_tail(&self, tail: &mut Vec<u64>) {
        match self {
            Ok(value) => put_nested(value, tail),
            Err(error) => put_nested(error, tail),
        }
    }

    #[inline]
    fn put_caps<'a>(&'a self, caps: &mut CapRefs<'a>) {
        match self {
            Ok(value) => value.put_caps(caps),
            Err(error) => error.put_caps(caps),
        }
    }
}

/// Writes the record and the tail of the only field of a variant.
#[inline]
fn put_nested<T: Encode>(value: &T, tail: &mut Vec<u64>) {
    value.put(nest(tail, T::SIZE.div_ceil(8)), 0);
    value.put_tail(tail);
}
