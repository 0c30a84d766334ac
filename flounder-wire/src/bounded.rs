//! Strings and sequences with a maximum of their own, in place of [`DEFAULT_MAX`](super::DEFAULT_MAX). That of an `Option`
//! is the maximum of its value.

use alloc::string::String;
use alloc::vec::Vec;

use crate::decode::{Decode, DecodeError, Decoder};
use crate::encode::{Encode, Plain, TooLong, max_items};
use crate::shape::Shape;

/// A type of variable length, held to at most `MAX` bytes (strings) or elements (sequences).
///
/// The bound is part of the *use* of a type, a field or an argument, so that the type itself stays `String` or `Vec<T>`.
/// Fixed part and tail are those of [`Encode`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot have a maximum",
    label = "neither a string nor a sequence",
    note = "only `String`, `Vec<T>` and an `Option` of one of them take `#[flounder(max = ..)]`"
)]
pub trait Bounded<const MAX: u32>: Encode {
    /// Maximum number of words of the tail: [`Shape::MAX_TAIL`] for this maximum.
    const MAX_TAIL: usize;
    /// Maximum number of capabilities: [`Shape::MAX_CAPS`] for this maximum.
    const MAX_CAPS: usize;

    /// Refuses a value that is longer than `MAX`, or that holds one longer than its own maximum.
    ///
    /// # Errors
    /// [`TooLong`] with the length and the maximum.
    fn check_bound(&self) -> Result<(), TooLong>;
}

/// A bounded value that can be read, possibly borrowing from the message for `'a`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot have a maximum",
    label = "neither a string nor a sequence",
    note = "only `String`, `Vec<T>` and an `Option` of one of them take `#[flounder(max = ..)]`"
)]
pub trait TakeBounded<'a, const MAX: u32>: Sized {
    /// Reads the value whose fixed part lies at byte offset `at`: [`Decode::take`] for this maximum.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if the value is longer than `MAX`; otherwise the errors of [`Decode::take`].
    fn take_bounded(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError>;
}

impl<const MAX: u32> Bounded<MAX> for str {
    const MAX_TAIL: usize = (MAX as usize).div_ceil(8);
    const MAX_CAPS: usize = 0;

    #[inline]
    fn check_bound(&self) -> Result<(), TooLong> {
        TooLong::check(self.len(), MAX)
    }
}

impl<T: Encode, const MAX: u32> Bounded<MAX> for [T] {
    const MAX_TAIL: usize = max_items::<T>(MAX);
    const MAX_CAPS: usize = T::MAX_CAPS.saturating_mul(MAX as usize);

    #[inline]
    fn check_bound(&self) -> Result<(), TooLong> {
        TooLong::check(self.len(), MAX)?;
        self.iter().try_for_each(T::check)
    }
}

macro_rules! owned {
    ($([$($generic:tt)*] $owned:ty => $target:ty;)*) => {$(
        impl<$($generic)* const MAX: u32> Bounded<MAX> for $owned {
            const MAX_TAIL: usize = <$target as Bounded<MAX>>::MAX_TAIL;
            const MAX_CAPS: usize = <$target as Bounded<MAX>>::MAX_CAPS;

            #[inline]
            fn check_bound(&self) -> Result<(), TooLong> {
                <$target as Bounded<MAX>>::check_bound(self)
            }
        }
    )*};
}

owned! {
    [] String => str;
    [T: Encode,] Vec<T> => [T];
}

impl<T: Bounded<MAX>, const MAX: u32> Bounded<MAX> for Option<T> {
    const MAX_TAIL: usize = <T as Bounded<MAX>>::MAX_TAIL;
    const MAX_CAPS: usize = <T as Bounded<MAX>>::MAX_CAPS;

    #[inline]
    fn check_bound(&self) -> Result<(), TooLong> {
        self.as_ref().map_or(Ok(()), T::check_bound)
    }
}

impl<'a, T: TakeBounded<'a, MAX> + Shape, const MAX: u32> TakeBounded<'a, MAX> for Option<T> {
    #[inline]
    fn take_bounded(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        match decoder.option(at, T::PLACE)? {
            Some(at) => T::take_bounded(decoder, at).map(Some),
            None => Ok(None),
        }
    }
}

impl<'a, const MAX: u32> TakeBounded<'a, MAX> for &'a str {
    #[inline]
    fn take_bounded(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.string(at, MAX)
    }
}

impl<'a, const MAX: u32> TakeBounded<'a, MAX> for String {
    #[inline]
    fn take_bounded(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.string(at, MAX).map(Self::from)
    }
}

impl<'a, T: Plain, const MAX: u32> TakeBounded<'a, MAX> for &'a [T] {
    #[inline]
    fn take_bounded(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.slice(at, MAX)
    }
}

impl<'a, T: Decode<'a>, const MAX: u32> TakeBounded<'a, MAX> for Vec<T> {
    #[inline]
    fn take_bounded(decoder: &mut Decoder<'a>, at: usize) -> Result<Self, DecodeError> {
        decoder.items(at, MAX)
    }
}

const _: () =
    assert!(<str as Shape>::MAX_TAIL == <str as Bounded<{ super::DEFAULT_MAX }>>::MAX_TAIL);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::CapSlots;

    #[test]
    fn the_bound_replaces_the_default() {
        let long = "x".repeat(70_000);
        assert_eq!(Encode::check(&long), Err(TooLong { len: 70_000, max: 65_536 }));
        assert_eq!(Bounded::<80_000>::check_bound(&long), Ok(()));
        assert_eq!(Bounded::<3>::check_bound("four"), Err(TooLong { len: 4, max: 3 }));
        assert_eq!(<[u16] as Bounded<5>>::MAX_TAIL, 2);
        assert_eq!(<Vec<String> as Bounded<2>>::MAX_TAIL, 1 + 2 * 8192);

        let mut words = vec![0];
        long.put(&mut words, 0);
        long.put_tail(&mut words);
        let mut no_caps = ();
        let mut decoder = Decoder::new(&words, CapSlots::new(&mut no_caps, 0), 1).unwrap();
        let refused = <&str as TakeBounded<65_536>>::take_bounded(&mut decoder, 0);
        assert_eq!(refused, Err(DecodeError::TooLong { len: 70_000, max: 65_536 }));
        let taken = <String as TakeBounded<80_000>>::take_bounded(&mut decoder, 0);
        assert_eq!(taken.as_deref(), Ok(long.as_str()));
        assert_eq!(decoder.finish(), Ok(()));
    }
}
