//! One argument of a message: its Rust types at both ends, and its maximum.

use core::cell::Cell;
use core::marker::PhantomData;
use std::io;

use crate::cap::Cap;
use crate::message::bulk::BulkToSend;
use crate::wire::{
    Bounded, CapRefs, Decode, DecodeError, Decoder, Encode, Plain, Shape, TooLong, max_items,
    option_place, put_some,
};

/// How one argument of a message is passed, written and read.
pub trait Arg: 'static {
    /// Value that the sender passes.
    type Sent<'a>: Copy;
    /// Decoded value that borrows from the message.
    type Taken<'a>;
    /// Decoded value that borrows nothing.
    type Owned;

    /// Size and alignment of the fixed part.
    const PLACE: (usize, usize);
    /// Maximum number of words of the tail; 0 for a type without a tail.
    const MAX_TAIL: usize;
    /// Maximum number of capabilities.
    const MAX_CAPS: usize;
    /// True for bulk data, whose fixed part is a head.
    const IS_BULK: bool = false;

    /// Checks that the value is not longer than its maximum.
    ///
    /// # Errors
    /// [`TooLong`] with the length and the maximum.
    #[inline]
    fn check(_value: Self::Sent<'_>) -> Result<(), TooLong> {
        Ok(())
    }

    /// Writes the fixed part at byte offset `at` of `words`, which are zero there: [`Encode::put`].
    fn put(value: Self::Sent<'_>, words: &mut [u64], at: usize);

    /// Returns the bytes of the tail. If the value does not have them in memory, they are put together in `built`.
    #[inline]
    fn tail<'a: 'b, 'b>(_value: Self::Sent<'a>, _built: &'b mut Vec<u64>) -> &'b [u8] {
        &[]
    }

    /// Copies the capabilities of the value to `load`, in order. A capability that is given away is only noted there:
    /// [`CapsToSend::send`] moves it.
    ///
    /// # Errors
    /// The error of the copy (`EMFILE`).
    #[inline]
    fn put_caps<'a>(_value: Self::Sent<'a>, _load: &mut CapsToSend<'a>) -> io::Result<()> {
        Ok(())
    }

    /// Reads the value whose fixed part lies at byte offset `at`, without copying it: [`Decode::take`].
    ///
    /// # Errors
    /// Those of [`Decode::take`].
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<Self::Taken<'a>, DecodeError>;

    /// Reads the value into one that borrows nothing.
    ///
    /// # Errors
    /// Those of [`Decode::take`].
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<Self::Owned, DecodeError>;
}

/// A value that can be written into a message and read from one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a message",
    label = "not a type that messages can carry",
    note = "put `#[derive(FlounderMessage)]` on its definition"
)]
pub trait Value: Encode + for<'a> Decode<'a> + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Encode + for<'a> Decode<'a> + 'static> Value for T {}

/// An element of an array of strings that is sent: `&str` or `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a string that an array of a message can hold",
    note = "pass `&[&str]`, `&[String]` or `&Vec<String>`; an empty array is `&[\"\"; 0]`"
)]
pub trait TextItem: Sized {
    /// Wraps the array.
    fn strings(list: &[Self]) -> Strings<'_>;
}

impl TextItem for &str {
    #[inline]
    fn strings(list: &[Self]) -> Strings<'_> {
        Strings::Lent(list)
    }
}

impl TextItem for String {
    #[inline]
    fn strings(list: &[Self]) -> Strings<'_> {
        Strings::Owned(list)
    }
}

/// An array of strings that is sent.
#[derive(Debug, Clone, Copy)]
pub enum Strings<'a> {
    /// Borrowed strings.
    Lent(&'a [&'a str]),
    /// Owned strings.
    Owned(&'a [String]),
}

/// A value that is copied: a number, an enumeration, a small struct.
#[derive(Debug)]
pub struct Copied<T>(PhantomData<T>);

/// A value that the sender lends and the receiver owns.
#[derive(Debug)]
pub struct Lent<T>(PhantomData<T>);

/// A string of at most `MAX` bytes.
#[derive(Debug)]
pub struct Text<const MAX: u32>;

/// At most `MAX` strings.
#[derive(Debug)]
pub struct Texts<const MAX: u32>;

/// At most `MAX` values that have the same layout in memory and on the wire.
#[derive(Debug)]
pub struct Slice<T, const MAX: u32>(PhantomData<T>);

/// At most `MAX` other values.
#[derive(Debug)]
pub struct Items<T, const MAX: u32>(PhantomData<T>);

/// An argument that may be missing: an `Option`.
#[derive(Debug)]
pub struct Optional<A>(PhantomData<A>);

/// A capability that is given away.
#[derive(Debug)]
pub struct Moved;

/// A capability that is given away, until it is sent.
pub struct CapToMove {
    cap: Cell<Option<Cap>>,
    /// Position among the capabilities of the message, once the message is put together.
    at: Cell<usize>,
}

impl CapToMove {
    /// Gives `cap` away.
    #[must_use]
    pub const fn new(cap: Cap) -> Self {
        Self { cap: Cell::new(Some(cap)), at: Cell::new(0) }
    }

    /// Returns the capability of a message that was not sent.
    ///
    /// # Panics
    /// If it was sent.
    #[must_use]
    pub fn back(self) -> Cap {
        self.cap.into_inner().expect("what is not sent gives its capabilities back")
    }

    /// Returns the capability of a message that was put together and not sent: from `caps`, the capabilities of that
    /// message, unless it is still here.
    ///
    /// # Panics
    /// If it was sent.
    #[must_use]
    pub fn back_from(self, caps: &mut [Option<Cap>]) -> Cap {
        let taken = || caps.get_mut(self.at.get()).and_then(Option::take);
        let cap = self.cap.take().or_else(taken);
        cap.expect("what is not sent gives its capabilities back")
    }
}

impl core::fmt::Debug for CapToMove {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CapToMove").finish_non_exhaustive()
    }
}

/// Value that the sender of a [`Moved`] capability passes.
#[derive(Debug, Clone, Copy)]
pub enum Giving<'a> {
    /// The sender gives the capability away.
    CapToMove(&'a CapToMove),
    /// The sender keeps the capability, and a copy is sent.
    Copy(&'a Cap),
}

impl<T: Value + Copy> Arg for Copied<T> {
    type Sent<'a> = T;
    type Taken<'a> = T;
    type Owned = T;

    const PLACE: (usize, usize) = T::PLACE;
    const MAX_TAIL: usize = T::MAX_TAIL;
    const MAX_CAPS: usize = T::MAX_CAPS;

    #[inline]
    fn check(value: T) -> Result<(), TooLong> {
        value.check()
    }

    #[inline]
    fn put(value: T, words: &mut [u64], at: usize) {
        value.put(words, at);
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: T, built: &'b mut Vec<u64>) -> &'b [u8] {
        value.put_tail(built);
        bytemuck::cast_slice(built)
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<T, DecodeError> {
        T::take(decoder, at)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<T, DecodeError> {
        T::take(decoder, at)
    }
}

impl<T: Value> Arg for Lent<T> {
    type Sent<'a> = &'a T;
    type Taken<'a> = T;
    type Owned = T;

    const PLACE: (usize, usize) = T::PLACE;
    const MAX_TAIL: usize = T::MAX_TAIL;
    const MAX_CAPS: usize = T::MAX_CAPS;

    #[inline]
    fn check(value: &T) -> Result<(), TooLong> {
        value.check()
    }

    #[inline]
    fn put(value: &T, words: &mut [u64], at: usize) {
        value.put(words, at);
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: &'a T, built: &'b mut Vec<u64>) -> &'b [u8] {
        value.put_tail(built);
        bytemuck::cast_slice(built)
    }

    #[inline]
    fn put_caps<'a>(value: &'a T, load: &mut CapsToSend<'a>) -> io::Result<()> {
        load.copy(T::MAX_CAPS, |caps| value.put_caps(caps))
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<T, DecodeError> {
        T::take(decoder, at)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<T, DecodeError> {
        T::take(decoder, at)
    }
}

impl<const MAX: u32> Arg for Text<MAX> {
    type Sent<'a> = &'a str;
    type Taken<'a> = &'a str;
    type Owned = String;

    const PLACE: (usize, usize) = <str as Shape>::PLACE;
    const MAX_TAIL: usize = <str as Bounded<MAX>>::MAX_TAIL;
    const MAX_CAPS: usize = 0;

    #[inline]
    fn check(value: &str) -> Result<(), TooLong> {
        TooLong::check(value.len(), MAX)
    }

    #[inline]
    fn put(value: &str, words: &mut [u64], at: usize) {
        value.put(words, at);
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: &'a str, _built: &'b mut Vec<u64>) -> &'b [u8] {
        value.as_bytes()
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<&'a str, DecodeError> {
        decoder.string(at, MAX)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<String, DecodeError> {
        decoder.string(at, MAX).map(String::from)
    }
}

impl<T: Plain, const MAX: u32> Arg for Slice<T, MAX>
where
    T: Value,
{
    type Sent<'a> = &'a [T];
    type Taken<'a> = &'a [T];
    type Owned = Vec<T>;

    const PLACE: (usize, usize) = <[T] as Shape>::PLACE;
    const MAX_TAIL: usize = max_items::<T>(MAX);
    const MAX_CAPS: usize = 0;

    #[inline]
    fn check(value: &[T]) -> Result<(), TooLong> {
        TooLong::check(value.len(), MAX)
    }

    #[inline]
    fn put(value: &[T], words: &mut [u64], at: usize) {
        value.put(words, at);
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: &'a [T], _built: &'b mut Vec<u64>) -> &'b [u8] {
        bytemuck::cast_slice(value)
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<&'a [T], DecodeError> {
        decoder.slice(at, MAX)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<Vec<T>, DecodeError> {
        decoder.slice(at, MAX).map(<[T]>::to_vec)
    }
}

impl<T: Value, const MAX: u32> Arg for Items<T, MAX> {
    type Sent<'a> = &'a [T];
    type Taken<'a> = Vec<T>;
    type Owned = Vec<T>;

    const PLACE: (usize, usize) = <[T] as Shape>::PLACE;
    const MAX_TAIL: usize = <[T] as Bounded<MAX>>::MAX_TAIL;
    const MAX_CAPS: usize = <[T] as Bounded<MAX>>::MAX_CAPS;

    #[inline]
    fn check(value: &[T]) -> Result<(), TooLong> {
        Bounded::<MAX>::check_bound(value)
    }

    #[inline]
    fn put(value: &[T], words: &mut [u64], at: usize) {
        value.put(words, at);
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: &'a [T], built: &'b mut Vec<u64>) -> &'b [u8] {
        value.put_tail(built);
        bytemuck::cast_slice(built)
    }

    #[inline]
    fn put_caps<'a>(value: &'a [T], load: &mut CapsToSend<'a>) -> io::Result<()> {
        load.copy(T::MAX_CAPS, |caps| value.put_caps(caps))
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<Vec<T>, DecodeError> {
        decoder.items(at, MAX)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<Vec<T>, DecodeError> {
        decoder.items(at, MAX)
    }
}

impl<const MAX: u32> Arg for Texts<MAX> {
    type Sent<'a> = Strings<'a>;
    type Taken<'a> = Vec<&'a str>;
    type Owned = Vec<String>;

    const PLACE: (usize, usize) = <[String] as Shape>::PLACE;
    const MAX_TAIL: usize = <[String] as Bounded<MAX>>::MAX_TAIL;
    const MAX_CAPS: usize = 0;

    #[inline]
    fn check(value: Strings<'_>) -> Result<(), TooLong> {
        match value {
            Strings::Lent(list) => Bounded::<MAX>::check_bound(list),
            Strings::Owned(list) => Bounded::<MAX>::check_bound(list),
        }
    }

    #[inline]
    fn put(value: Strings<'_>, words: &mut [u64], at: usize) {
        match value {
            Strings::Lent(list) => list.put(words, at),
            Strings::Owned(list) => list.put(words, at),
        }
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: Strings<'a>, built: &'b mut Vec<u64>) -> &'b [u8] {
        match value {
            Strings::Lent(list) => list.put_tail(built),
            Strings::Owned(list) => list.put_tail(built),
        }
        bytemuck::cast_slice(built)
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<Vec<&'a str>, DecodeError> {
        decoder.items(at, MAX)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<Vec<String>, DecodeError> {
        decoder.items(at, MAX)
    }
}

impl<A: Arg> Arg for Optional<A> {
    type Sent<'a> = Option<A::Sent<'a>>;
    type Taken<'a> = Option<A::Taken<'a>>;
    type Owned = Option<A::Owned>;

    const PLACE: (usize, usize) = option_place(A::PLACE);
    const MAX_TAIL: usize = A::MAX_TAIL;
    const MAX_CAPS: usize = A::MAX_CAPS;

    #[inline]
    fn check(value: Self::Sent<'_>) -> Result<(), TooLong> {
        value.map_or(Ok(()), A::check)
    }

    #[inline]
    fn put(value: Self::Sent<'_>, words: &mut [u64], at: usize) {
        if let Some(value) = value {
            let at = put_some(words, at, A::PLACE);
            A::put(value, words, at);
        }
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: Self::Sent<'a>, built: &'b mut Vec<u64>) -> &'b [u8] {
        value.map_or(&[], |value| A::tail(value, built))
    }

    #[inline]
    fn put_caps<'a>(value: Self::Sent<'a>, load: &mut CapsToSend<'a>) -> io::Result<()> {
        value.map_or(Ok(()), |value| A::put_caps(value, load))
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<Self::Taken<'a>, DecodeError> {
        match decoder.option(at, A::PLACE)? {
            Some(at) => A::take(decoder, at).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<Self::Owned, DecodeError> {
        match decoder.option(at, A::PLACE)? {
            Some(at) => A::take_owned(decoder, at).map(Some),
            None => Ok(None),
        }
    }
}

impl Arg for Moved {
    type Sent<'a> = Giving<'a>;
    type Taken<'a> = Cap;
    type Owned = Cap;

    const PLACE: (usize, usize) = Cap::PLACE;
    const MAX_TAIL: usize = 0;
    const MAX_CAPS: usize = 1;

    #[inline]
    fn put(_value: Giving<'_>, _words: &mut [u64], _at: usize) {}

    fn put_caps<'a>(value: Giving<'a>, load: &mut CapsToSend<'a>) -> io::Result<()> {
        match value {
            Giving::CapToMove(gift) => load.gifts.push((load.caps.len() + load.gifts.len(), gift)),
            Giving::Copy(cap) => load.caps.push(cap.try_clone()?),
        }
        Ok(())
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, _at: usize) -> Result<Cap, DecodeError> {
        Cap::take(decoder, _at)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, _at: usize) -> Result<Cap, DecodeError> {
        Cap::take(decoder, _at)
    }
}

/// The capabilities of a message that is being put together.
#[derive(Debug)]
pub struct CapsToSend<'a> {
    /// Copies; [`send`](Self::send) adds the capabilities that are moved.
    caps: Vec<Cap>,
    /// Capabilities that are moved, with their positions in the message.
    gifts: Few<(usize, &'a CapToMove)>,
    /// Bulk arguments, which may name slots.
    bulks: Few<&'a BulkToSend<'a>>,
    /// True if [`kept`](Self::kept) has put the slots among the capabilities.
    is_kept: bool,
}

impl<'s> CapsToSend<'s> {
    /// Creates an empty list.
    #[inline]
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "generated code cannot count on traits in scope"
    )]
    pub const fn new() -> Self {
        Self { caps: Vec::new(), gifts: Few::NONE, bulks: Few::NONE, is_kept: false }
    }

    /// Copies the capabilities that `list` adds to its argument, at most `most`.
    #[inline]
    fn copy<'a>(&mut self, most: usize, list: impl FnOnce(&mut CapRefs<'a>)) -> io::Result<()> {
        if most == 0 {
            return Ok(());
        }
        let mut caps = CapRefs::new();
        list(&mut caps);
        for cap in caps.iter::<Cap>() {
            self.caps.push(cap.ok_or(io::ErrorKind::InvalidInput)?.try_clone()?);
        }
        Ok(())
    }

    /// Adds a bulk argument.
    pub(crate) fn bulk(&mut self, bulk: &'s BulkToSend<'s>) -> io::Result<()> {
        if let Some(cap) = bulk.cap() {
            self.caps.push(cap?);
        }
        self.bulks.push(bulk);
        Ok(())
    }

    /// Adds the capabilities that are given away, lends the slots of bulk arguments, and calls `send` with all. Capabilities
    /// are added last, because copies can fail. If `send` fails and leaves them in the list, they go back to their owners, as
    /// slots do.
    ///
    /// # Errors
    /// The error of `send`.
    pub fn send<T, E>(mut self, send: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        for (at, gift) in self.gifts.iter() {
            if let Some(cap) = gift.cap.take() {
                gift.at.set(*at);
                self.caps.insert(*at, cap);
            }
        }
        self.bulks.iter().for_each(|bulk| bulk.lend());
        let result = send(&mut self);
        if result.is_err() {
            self.take_back();
        }
        result
    }

    /// The message was refused.
    fn take_back(&mut self) {
        for bulk in self.bulks.iter() {
            if self.is_kept {
                bulk.take_loan(&mut self.caps);
            } else {
                bulk.unlend();
            }
        }
        if !self.caps.is_empty() {
            for (at, gift) in self.gifts.iter().rev() {
                gift.cap.set(Some(self.caps.remove(*at)));
            }
        }
    }

    /// Returns the capabilities of a message that the binding takes or refuses before `send` returns.
    #[inline]
    pub const fn caps(&mut self) -> &mut Vec<Cap> {
        &mut self.caps
    }

    /// Returns the capabilities of a message that is kept until it can be sent. The slots that it names are behind them, and
    /// are free again when they are dropped.
    #[inline]
    pub fn kept(&mut self) -> &mut Vec<Cap> {
        if !self.is_kept {
            self.is_kept = true;
            for bulk in self.bulks.iter() {
                bulk.put_loan(&mut self.caps);
            }
        }
        &mut self.caps
    }
}

/// A list of which most messages have one item at most, which needs no memory.
#[derive(Debug)]
struct Few<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Few<T> {
    const NONE: Self = Self { first: None, more: Vec::new() };

    #[inline]
    fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.more.push(item),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    #[inline]
    fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }
}
