//! The capabilities of a message. This crate knows no type for them: a capability is a position in the message.
//!
//! The runtime has a type for capabilities, implements [`Encode`](crate::Encode) and [`Decode`](crate::Decode) for it, and
//! copies and moves the descriptors behind the positions.

use alloc::vec::Vec;
use core::any::Any;

/// References to the capabilities of a message that is being written. The index of a capability is its position in the message.
#[derive(Debug, Default)]
pub struct CapRefs<'a>(Vec<&'a dyn Any>);

impl<'a> CapRefs<'a> {
    /// Returns an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Gives `cap` the next position.
    pub fn push<C: Any>(&mut self, cap: &'a C) {
        self.0.push(cap);
    }

    /// Returns the capabilities in the order of their positions; `None` in place of one that is not of type `C`.
    pub fn iter<C: Any>(&self) -> impl Iterator<Item = Option<&'a C>> {
        self.0.iter().map(|cap| cap.downcast_ref())
    }
}

/// The capabilities of a message that is being read. They are taken in the order of their positions.
#[derive(Debug)]
pub struct CapSlots<'a> {
    slots: &'a mut dyn Any,
    /// Number of capabilities that have not been taken.
    left: usize,
}

impl<'a> CapSlots<'a> {
    /// Creates a description of the `count` capabilities in `slots`, a collection of the runtime.
    #[inline]
    pub fn new<S: Any>(slots: &'a mut S, count: usize) -> Self {
        Self { slots, left: count }
    }

    /// Returns true if every capability has been taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Advances by one position and returns the collection, which the caller takes that capability out of. Returns `None` if
    /// there is no further capability, or if the collection is not of type `S`.
    #[inline]
    pub(crate) fn next<S: Any>(&mut self) -> Option<&mut S> {
        self.left = self.left.checked_sub(1)?;
        self.slots.downcast_mut()
    }
}
