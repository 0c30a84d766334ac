//! From values to words.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{BulkPlace, Layout, Member, Root, Schema, Type, Value};

pub(super) fn message(schema: &Schema, value: &Value) -> Result<Vec<u64>, ValueError> {
    let record = schema.record();
    let members = match (&schema.root, value) {
        (Root::Type(_), value) => core::slice::from_ref(value),
        (Root::Message { .. }, Value::Struct(members)) => members,
        _ => return Err(ValueError::new("", ValueFault::Kind("the members of the message"))),
    };
    count(record.members.len() as u64, members.len() as u64)
        .map_err(|fault| ValueError::new("", fault))?;
    let mut writer = Writer { types: &schema.types, words: Vec::new(), caps: 0 };
    let at = writer.block(record.used);
    for (member, value) in record.members.iter().zip(members) {
        let put = writer.value(member.ty, value, at + member.at as usize);
        put.map_err(|fault| ValueError::new(&member.name, fault))?;
    }
    Ok(writer.words)
}

/// A value that a message does not have.
#[derive(Clone, PartialEq, Eq)]
pub struct ValueError {
    argument: String,
    fault: ValueFault,
}

impl ValueError {
    /// Creates the error for an argument; its name is empty for the value as a whole.
    #[must_use]
    pub fn new(argument: &str, fault: ValueFault) -> Self {
        Self { argument: argument.into(), fault }
    }

    /// Returns the name of the argument; the empty string for the value as a whole.
    #[must_use]
    pub fn argument(&self) -> &str {
        &self.argument
    }

    /// Returns what is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &ValueFault {
        &self.fault
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueFault {
    /// It is of another kind than this.
    Kind(&'static str),
    /// A number does not fit into its type.
    Range {
        /// Number of bits of its type.
        bits: u8,
    },
    /// An array, a struct or a variant has another number of elements or fields.
    Count {
        /// Number of the form.
        expected: u64,
        /// Number of the value.
        found: u64,
    },
    /// A string, array or bulk data is too long.
    TooLong {
        /// Length: bytes, or elements.
        len: u64,
        /// Maximum of the form.
        max: u32,
    },
    /// An enumeration has no variant of this index.
    Variant(u32),
    /// The position of a capability is not the next one: they are numbered in the order of declaration, from 0.
    CapPosition {
        /// The next position.
        expected: usize,
        /// Position of the value.
        found: usize,
    },
}

crate::debug_as_chain!(ValueError);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { argument, fault } = self;
        if !argument.is_empty() {
            write!(f, "argument {argument}: ")?;
        }
        match fault {
            ValueFault::Kind(expected) => write!(f, "value is not {expected}"),
            ValueFault::Range { bits } => write!(f, "number does not fit into {bits} bits"),
            ValueFault::Count { expected, found } => {
                write!(f, "{found} elements or fields in place of {expected}")
            }
            ValueFault::TooLong { len, max } => {
                write!(f, "length {len} is over the maximum of {max}")
            }
            ValueFault::Variant(index) => write!(f, "enumeration has no element {index}"),
            ValueFault::CapPosition { expected, found } => {
                write!(f, "capability has position {found} in place of {expected}")
            }
        }
    }
}

impl core::error::Error for ValueError {}

struct Writer<'a> {
    types: &'a [Type],
    words: Vec<u64>,
    /// Capabilities so far.
    caps: usize,
}

impl Writer<'_> {
    /// Appends `bytes` zero bytes, rounded up to whole words. Returns the byte offset where they begin.
    fn block(&mut self, bytes: u64) -> usize {
        let start = self.words.len();
        self.words.resize(start + bytes.div_ceil(8) as usize, 0);
        start * 8
    }

    fn bytes(&mut self, at: usize, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            self.words[at / 8] |= u64::from(*byte) << (at % 8 * 8);
        }
    }

    /// Appends a tail of bytes.
    fn tail(&mut self, bytes: &[u8]) {
        let at = self.block(bytes.len() as u64);
        self.bytes(at, bytes);
    }

    fn number(&mut self, at: usize, size: u64, number: u64) {
        self.wide_number(at, size, number.into());
    }

    fn wide_number(&mut self, at: usize, size: u64, number: u128) {
        self.bytes(at, &number.to_le_bytes()[..size as usize]);
    }

    fn length(&mut self, at: usize, len: u64, max: u32) -> Result<(), ValueFault> {
        if len > u64::from(max) {
            return Err(ValueFault::TooLong { len, max });
        }
        self.number(at, 4, len);
        Ok(())
    }

    fn cap(&mut self, position: usize) -> Result<(), ValueFault> {
        if position != self.caps {
            return Err(ValueFault::CapPosition { expected: self.caps, found: position });
        }
        self.caps += 1;
        Ok(())
    }

    fn fields(
        &mut self,
        members: &[Member],
        values: &[Value],
        at: usize,
    ) -> Result<(), ValueFault> {
        count(members.len() as u64, values.len() as u64)?;
        let mut pairs = members.iter().zip(values);
        pairs.try_for_each(|(member, value)| self.value(member.ty, value, at + member.at as usize))
    }

    fn value(&mut self, ty: usize, value: &Value, at: usize) -> Result<(), ValueFault> {
        let Type { layout, size, .. } = &self.types[ty];
        // Of a number: 8, 16, 32, 64 or 128.
        let bits = (*size * 8) as u8;
        match (layout, value) {
            (Layout::Unit, Value::Unit) => {}
            (Layout::Bool, Value::Bool(value)) => self.number(at, 1, u64::from(*value)),
            (Layout::Unsigned, Value::Unsigned(number)) => {
                if number.checked_shr(bits.into()).unwrap_or(0) != 0 {
                    return Err(ValueFault::Range { bits });
                }
                self.wide_number(at, *size, *number);
            }
            (Layout::Signed, Value::Signed(number)) => {
                let sign = number >> (bits - 1);
                if sign != 0 && sign != -1 {
                    return Err(ValueFault::Range { bits });
                }
                self.wide_number(at, *size, number.cast_unsigned());
            }
            (Layout::Float, Value::Float(value)) => self.number(at, 4, value.to_bits().into()),
            (Layout::Double, Value::Double(value)) => self.number(at, 8, value.to_bits()),
            (Layout::Char, Value::Char(value)) => self.number(at, 4, u32::from(*value).into()),
            (Layout::Iref, Value::InterfaceRef(value)) => self.number(at, 8, value.to_bits()),
            (Layout::Errval, Value::ErrorValue(value)) => self.number(at, 8, value.0),
            (Layout::Text(max), Value::Text(text)) => {
                self.length(at, text.len() as u64, *max)?;
                self.tail(text.as_bytes());
            }
            (Layout::Cap, Value::Capability(position)) => self.cap(*position)?,
            (Layout::Bulk(max), Value::Bulk(place)) => self.bulk(*max, place, at)?,
            (Layout::Array(element, len), value) => {
                count(*len, self.count(*element, value)?)?;
                self.elements(*element, value, at)?;
            }
            (Layout::List(element, max), value) => {
                let len = self.count(*element, value)?;
                self.length(at, len, *max)?;
                let at = self.block(len * self.types[*element].size);
                self.elements(*element, value, at)?;
            }
            (Layout::Option(_), Value::Optional(None)) => {}
            (Layout::Option(ty), Value::Optional(Some(value))) => {
                self.number(at, 1, 1);
                self.value(*ty, value, at + self.types[*ty].align as usize)?;
            }
            (Layout::Struct(record), Value::Struct(values)) => {
                self.fields(&record.members, values, at)?;
            }
            (Layout::Enum(variants), Value::Variant(index, values)) => {
                let Some(variant) = variants.get(*index as usize) else {
                    return Err(ValueFault::Variant(*index));
                };
                count(variant.record.members.len() as u64, values.len() as u64)?;
                self.number(at, 4, (*index).into());
                let at = self.block(variant.record.used);
                self.fields(&variant.record.members, values, at)?;
            }
            (layout, _) => return Err(ValueFault::Kind(kind(layout))),
        }
        Ok(())
    }

    /// Returns the number of elements of an array, if it is one of the right kind.
    fn count(&self, element: usize, value: &Value) -> Result<u64, ValueFault> {
        let ty = &self.types[element];
        match value {
            Value::Repeated(_, len) if ty.is_empty => Ok(*len),
            Value::Bytes(bytes) if ty.is_byte() => Ok(bytes.len() as u64),
            Value::List(values) if !ty.is_empty && !ty.is_byte() => Ok(values.len() as u64),
            _ if ty.is_empty => Err(ValueFault::Kind("an array of one repeated value")),
            _ if ty.is_byte() => Err(ValueFault::Kind("an array of bytes")),
            _ => Err(ValueFault::Kind("an array")),
        }
    }

    fn elements(&mut self, element: usize, value: &Value, at: usize) -> Result<(), ValueFault> {
        let size = self.types[element].size as usize;
        match value {
            Value::Repeated(value, _) => self.value(element, value, at),
            Value::Bytes(bytes) => {
                self.bytes(at, bytes);
                Ok(())
            }
            Value::List(values) => {
                let mut places = (0..).zip(values);
                places.try_for_each(|(i, value)| self.value(element, value, at + i * size))
            }
            _ => Err(ValueFault::Kind("an array")),
        }
    }

    fn bulk(&mut self, max: u32, place: &BulkPlace, at: usize) -> Result<(), ValueFault> {
        let (len, rest) = match place {
            BulkPlace::Inline(bytes) => (bytes.len() as u64, 0),
            BulkPlace::Slot { pool, slot, len } => {
                ((*len).into(), 1 | u64::from(*pool) << 2 | u64::from(*slot) << 10)
            }
            BulkPlace::Sealed { len, .. } => ((*len).into(), 2),
        };
        self.length(at, len, max)?;
        self.number(at + 4, 4, rest);
        match place {
            BulkPlace::Inline(bytes) => self.tail(bytes),
            BulkPlace::Slot { .. } => {}
            BulkPlace::Sealed { cap, .. } => self.cap(*cap)?,
        }
        Ok(())
    }
}

fn count(expected: u64, found: u64) -> Result<(), ValueFault> {
    if expected == found { Ok(()) } else { Err(ValueFault::Count { expected, found }) }
}

fn kind(layout: &Layout) -> &'static str {
    match layout {
        Layout::Unit => "a unit",
        Layout::Bool => "a boolean",
        Layout::Unsigned => "an unsigned number",
        Layout::Signed => "a signed number",
        Layout::Float => "a float",
        Layout::Double => "a double",
        Layout::Char => "a character",
        Layout::Iref => "an interface reference",
        Layout::Errval => "an errval",
        Layout::Text(_) => "a string",
        Layout::Cap => "a capability",
        Layout::Bulk(_) => "bulk data",
        Layout::Array(..) | Layout::List(..) => "an array",
        Layout::Option(_) => "an option",
        Layout::Struct(_) => "a struct",
        Layout::Enum(_) => "an element of an enumeration",
    }
}
