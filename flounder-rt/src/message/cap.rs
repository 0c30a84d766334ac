//! A capability as a value of a message.

use crate::cap::Cap;
use crate::wire::{CapRefs, Decode, DecodeError, Decoder, Encode, Shape, digest};

/// A capability has no bytes in the record. Capabilities travel beside the words, in order.
impl Shape for Cap {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    const MAX_TAIL: usize = 0;
    const MAX_CAPS: usize = 1;
    const FINGERPRINT: u128 = digest("cap");
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
        // A few descriptor numbers move up: less than it takes every message to set an iterator up.
        decoder.next_cap().map(|caps: &mut Vec<Self>| caps.remove(0))
    }
}
