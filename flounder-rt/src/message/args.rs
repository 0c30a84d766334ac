//! The arguments of a message as one tuple, which the runtime writes and reads for generated code.
//!
//! A generated module names the arguments of each message once, as a tuple of types that implement [`Arg`]. Writing and
//! reading the tuple is generic, so a user's crate contains this code only for the messages that it sends or receives.

use std::io;

use crate::cap::Cap;
use crate::wire::{Bulks, CapSlots, DecodeError, TooLong};

pub use crate::message::arg::{
    Arg, CapToMove, CapsToSend, Copied, Giving, Items, Lent, Moved, Optional, Slice, Strings, Text,
    TextItem, Texts, Value,
};

/// Why arguments are refused before anything is sent.
#[derive(Debug)]
pub enum Refused {
    /// This argument is too long. Its position counts the id of a call as the first argument.
    TooLong(usize, TooLong),
    /// A capability could not be copied.
    Caps(io::Error),
}

/// The arguments of a message. The first argument of half an rpc is the id of the call.
///
/// Tuples of up to 16 arguments implement it. For a longer list, the same macro makes a type of its own.
pub trait Args: 'static {
    /// Values that the sender passes.
    type Sent<'a>: Copy;
    /// Decoded values that borrow from the message.
    type Taken<'a>;
    /// Decoded values that borrow nothing.
    type Owned;
    /// [`Owned`](Self::Owned) for a user: a single value is not in a tuple.
    type Output;

    /// Byte offset of each argument in the record.
    const AT: &'static [usize];
    /// Number of words of the record.
    const WORDS: usize;
    /// Byte offset of the first argument: in half an rpc, the id of the call.
    const FIRST_AT: usize;
    /// Maximum number of words of all tails.
    const MAX_TAIL: usize;
    /// Maximum number of capabilities.
    const MAX_CAPS: usize;
    /// Where the record has the heads of bulk arguments.
    const BULKS: Bulks;

    /// Checks the arguments, writes them, and calls `send` with the words, the tails, and the capabilities if there may be
    /// any. If `send` fails, capabilities that it has not taken out are back in the arguments that gave them away.
    ///
    /// # Errors
    /// The errors of `refuse` and of `send`.
    fn marshal<const WORDS: usize, T, E>(
        args: Self::Sent<'_>,
        refuse: impl FnOnce(Refused) -> E,
        send: impl FnOnce(&[u64], &[&[u8]], Option<&mut CapsToSend<'_>>) -> Result<T, E>,
    ) -> Result<T, E>;

    /// Reads a message without copying it.
    ///
    /// # Errors
    /// If no sender of the interface writes these words.
    fn take<'a>(words: &'a [u64], caps: &'a mut Vec<Cap>) -> Result<Self::Taken<'a>, DecodeError>;

    /// Reads a message into values that borrow nothing from it.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    fn take_owned(words: &[u64], caps: &mut Vec<Cap>) -> Result<Self::Owned, DecodeError>;

    /// Converts the values for a user.
    fn output(owned: Self::Owned) -> Self::Output;
}

/// Describes the capabilities of a message to the code that reads its words.
#[inline]
pub fn slots(caps: &mut Vec<Cap>) -> CapSlots<'_> {
    let count = caps.len();
    CapSlots::new(caps, count)
}

/// The arguments of a response.
pub trait Results: Args {
    /// The first argument: the id of the call.
    type Id;
    /// All other arguments.
    type Rest;
    /// [`Rest`](Self::Rest) for a user: a single value is not in a tuple.
    type Returned;

    /// Converts the values to those that an rpc returns.
    fn returned(owned: Self::Owned) -> Self::Returned;

    /// Returns the id of the call, and the other arguments.
    fn split(owned: Self::Owned) -> (Self::Id, Self::Rest);
}

/// Implements [`Args`] for a list of arguments, and [`Results`] unless the list is empty.
#[doc(hidden)]
#[macro_export]
macro_rules! __args {
    ([$($generic:ident)*] $target:ty, $count:literal: $(($arg:ty) $value:ident $built:ident $i:literal,)*) => {
        const _: () = {
            use $crate::__private::args as __args;

            #[allow(unused_mut, unused_variables, reason = "without arguments there is nothing to do")]
            impl<$($generic: __args::Arg),*> __args::Args for $target {
                type Sent<'a> = ($(<$arg as __args::Arg>::Sent<'a>,)*);
                type Taken<'a> = ($(<$arg as __args::Arg>::Taken<'a>,)*);
                type Owned = ($(<$arg as __args::Arg>::Owned,)*);
                type Output = $crate::__args!(@type $(<$arg as __args::Arg>::Owned,)*);

                const AT: &'static [usize] = &__args::record([$(<$arg as __args::Arg>::PLACE),*]).at;
                const WORDS: usize = __args::record([$(<$arg as __args::Arg>::PLACE),*]).words;
                const FIRST_AT: usize = __args::first_at(&[$(<$arg as __args::Arg>::PLACE),*]);
                const MAX_TAIL: usize = __args::total(&[$(<$arg as __args::Arg>::MAX_TAIL),*]);
                const MAX_CAPS: usize = __args::total(&[$(<$arg as __args::Arg>::MAX_CAPS),*]);
                const BULKS: __args::Bulks = __args::Bulks::of(
                    &[$((<$arg as __args::Arg>::IS_BULK, <Self as __args::Args>::AT[$i])),*],
                );

                #[inline]
                fn marshal<const WORDS: usize, T, E>(
                    ($($value,)*): <Self as __args::Args>::Sent<'_>,
                    refuse: impl __args::FnOnce(__args::Refused) -> E,
                    send: impl __args::FnOnce(
                        &[u64],
                        &[&[u8]],
                        __args::Option<&mut __args::CapsToSend<'_>>,
                    ) -> __args::Result<T, E>,
                ) -> __args::Result<T, E> {
                    const { __args::assert!(WORDS == <Self as __args::Args>::WORDS, "the record has other words") };
                    $(
                        if let __args::Err(length) = <$arg as __args::Arg>::check($value) {
                            return __args::Err(refuse(__args::Refused::TooLong($i, length)));
                        }
                    )*
                    let mut words = [0; WORDS];
                    $(<$arg as __args::Arg>::put($value, &mut words, const { <Self as __args::Args>::AT[$i] });)*
                    $(let mut $built = __args::Vec::new();)*
                    let mut tails: [&[u8]; $count] = [&[]; $count];
                    let mut count = 0;
                    $(
                        if const { <$arg as __args::Arg>::MAX_TAIL > 0 } {
                            tails[count] = <$arg as __args::Arg>::tail($value, &mut $built);
                            count += 1;
                        }
                    )*
                    let tails = match const { <Self as __args::Args>::MAX_TAIL == 0 } {
                        true => &[],
                        false => &tails[..count],
                    };
                    if const { <Self as __args::Args>::MAX_CAPS == 0 } {
                        return send(&words, tails, __args::None);
                    }
                    let mut load = __args::CapsToSend::new();
                    $(
                        if let __args::Err(error) = <$arg as __args::Arg>::put_caps($value, &mut load) {
                            return __args::Err(refuse(__args::Refused::Caps(error)));
                        }
                    )*
                    load.send(|load| send(&words, tails, __args::Some(load)))
                }

                #[inline]
                fn take<'a>(
                    words: &'a [u64],
                    caps: &'a mut __args::Vec<__args::Cap>,
                ) -> __args::Result<<Self as __args::Args>::Taken<'a>, __args::DecodeError> {
                    $crate::__args!(@read words caps take $(($arg) $value $i)*)
                }

                #[inline]
                fn take_owned(
                    words: &[u64],
                    caps: &mut __args::Vec<__args::Cap>,
                ) -> __args::Result<<Self as __args::Args>::Owned, __args::DecodeError> {
                    $crate::__args!(@read words caps take_owned $(($arg) $value $i)*)
                }

                #[inline]
                fn output(($($value,)*): <Self as __args::Args>::Owned) -> <Self as __args::Args>::Output {
                    $crate::__args!(@value $($value,)*)
                }
            }

            $crate::__args!(@results [$($generic)*] $target: $(($arg) $value,)*);
        };
    };
    (@results [] $target:ty:) => {};
    (@results [$($generic:ident)*] $target:ty: ($id:ty) $id_value:ident, $(($arg:ty) $value:ident,)*) => {
        impl<$($generic: __args::Arg),*> __args::Results for $target {
            type Id = <$id as __args::Arg>::Owned;
            type Rest = ($(<$arg as __args::Arg>::Owned,)*);
            type Returned = $crate::__args!(@type $(<$arg as __args::Arg>::Owned,)*);

            #[inline]
            fn returned((_, $($value,)*): <Self as __args::Args>::Owned) -> <Self as __args::Results>::Returned {
                $crate::__args!(@value $($value,)*)
            }

            #[inline]
            fn split(
                ($id_value, $($value,)*): <Self as __args::Args>::Owned,
            ) -> (<Self as __args::Results>::Id, <Self as __args::Results>::Rest) {
                ($id_value, ($($value,)*))
            }
        }
    };
    (@read $words:ident $caps:ident $take:ident $(($arg:ty) $value:ident $i:literal)*) => {{
        // A match is half of the code that `?` is, each time.
        let mut decoder = match __args::Decoder::new($words, __args::slots($caps), const { <Self as __args::Args>::WORDS }) {
            __args::Ok(decoder) => decoder,
            __args::Err(error) => return __args::Err(error),
        };
        $(
            let at = const { <Self as __args::Args>::AT[$i] };
            let $value = match <$arg as __args::Arg>::$take(&mut decoder, at) {
                __args::Ok(value) => value,
                __args::Err(error) => return __args::Err(error),
            };
        )*
        match decoder.close(
            const { __args::record([$(<$arg as __args::Arg>::PLACE),*]).used },
            const { <Self as __args::Args>::WORDS },
        ) {
            __args::Ok(()) => __args::Ok(($($value,)*)),
            __args::Err(error) => __args::Err(error),
        }
    }};
    (@type $one:ty,) => { $one };
    (@type $($more:ty,)*) => { ($($more,)*) };
    (@value $one:ident,) => { $one };
    (@value $($more:ident,)*) => { ($($more,)*) };
}

/// Implements [`Args`] for the tuples of the first arguments of a list, from the shortest to the whole list.
macro_rules! tuples {
    ($($arg:ident $value:ident $built:ident $i:literal,)*; $count:literal $($rest:tt)*) => {
        crate::__args! { [$($arg)*] ($($arg,)*), $count: $(($arg) $value $built $i,)* }
        tuples! { @next $($arg $value $built $i,)*; $count $($rest)* }
    };
    (@next $($before:ident $value:ident $built:ident $i:literal,)*; $count:literal) => {};
    (
        @next $($before:ident $value:ident $built:ident $i:literal,)*;
        $count:literal $next:ident $next_value:ident $next_built:ident, $($rest:tt)*
    ) => {
        tuples! { $($before $value $built $i,)* $next $next_value $next_built $count,; $($rest)* }
    };
}

tuples! {
    ;
    0 A0 a0 t0, 1 A1 a1 t1, 2 A2 a2 t2, 3 A3 a3 t3, 4 A4 a4 t4, 5 A5 a5 t5, 6 A6 a6 t6, 7 A7 a7 t7,
    8 A8 a8 t8, 9 A9 a9 t9, 10 A10 a10 t10, 11 A11 a11 t11, 12 A12 a12 t12, 13 A13 a13 t13, 14 A14 a14 t14, 15 A15 a15 t15,
    16
}
