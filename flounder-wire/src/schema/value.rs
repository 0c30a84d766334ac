//! Values of messages that are known by their forms.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::iref::{Errval, Iref};

/// A value of a [`Schema`](super::Schema), or of a part of one.
///
/// Two values with a `NaN` are unequal, as floating-point numbers are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `()` of Rust.
    Unit,
    /// `bool`.
    Bool(bool),
    /// An unsigned number of any width; `char` of interfaces.
    Unsigned(u128),
    /// A signed number of any width.
    Signed(i128),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
    /// `char` of Rust.
    Char(char),
    /// `iref`.
    InterfaceRef(Iref),
    /// `errval`.
    ErrorValue(Errval),
    /// A string.
    Text(String),
    /// An array of `uint8` or `char`.
    Bytes(Vec<u8>),
    /// An array of anything else.
    List(Vec<Self>),
    /// An array of elements of which there is one value only, such as `()`: that value, and the length.
    Repeated(Box<Self>, u64),
    /// `Option`.
    Optional(Option<Box<Self>>),
    /// A struct, or the members of a message: in order of declaration.
    Struct(Vec<Self>),
    /// An element of an enumeration: its index, and its fields in order of declaration.
    Variant(u32, Vec<Self>),
    /// A capability: its position in the message.
    Capability(usize),
    /// Bulk data.
    Bulk(BulkPlace),
}

/// Where bulk data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkPlace {
    /// In the message: way 0.
    Inline(Vec<u8>),
    /// In a slot of a pool: way 1.
    Slot {
        /// Number of the pool at this binding.
        pool: u8,
        /// Number of the slot.
        slot: u16,
        /// Number of bytes.
        len: u32,
    },
    /// In a capability of the message, which is sealed memory: way 2.
    Sealed {
        /// Position of the capability in the message.
        cap: usize,
        /// Number of bytes.
        len: u32,
    },
}
