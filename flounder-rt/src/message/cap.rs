//! A capability as a value of a message.

use crate::cap::Cap;
use crate::wire::{CapRefs, Decode, DecodeError, Decoder, Encode, Shape, TypeForm};

/// A capability has no bytes in the record. Capabilities travel beside the words, in order.
impl Shape for Cap {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    const MAX_TAIL: usize = 0;
    const MAX_CAPS: usize = 1;
    const FORM: &'static TypeForm = &TypeForm::new("cap", &[]);
}

impl Encode for Cap {
    #[inline]
    fn put(&self, _words: &mut [u64], _at: usize) {}

    fn put_caps<'a>(&'a self, caps: &mut CapRefs<'a>) {
        caps.push(self);
    }
}

impl Decode<'_> for Cap {
    #[inline]
    fn take(decoder: &mut Decoder<'_>, _at: usize) -> Result<Self, DecodeError> {
        Self::take_first(decoder.next_cap()?)
    }
}

impl Cap {
    /// Takes the first capability of a message, which is there unless its place is another's: of bulk data.
    #[inline]
    pub(crate) fn take_first(caps: &mut Vec<Self>) -> Result<Self, DecodeError> {
        if caps.first().is_none_or(Self::is_held) {
            return Err(DecodeError::MissingCap);
        }
        // A few descriptor numbers move up: less than it takes every message to set an iterator up.
        Ok(caps.remove(0))
    }
}
