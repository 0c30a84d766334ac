//! From words to values. Every bit of the words and every capability is accounted for.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{BulkPlace, Layout, Record, Root, Schema, Type, Value};
use crate::DecodeError;
use crate::iref::{Errval, Iref};

/// What is made of the words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Values,
    /// In place of each value there is [`Value::Unit`].
    Nothing,
}

pub(super) fn message(
    schema: &Schema,
    words: &[u64],
    caps: usize,
    keep: Keep,
) -> Result<Value, DecodeError> {
    let record = schema.record();
    let mut reader = Reader { types: &schema.types, words, tail: 0, caps, taken: 0, keep };
    let at = reader.block(record.used)?;
    let mut values = reader.record(record, at)?;
    let left = words.len() - reader.tail;
    if left > 0 {
        return Err(DecodeError::Leftover { words: left });
    }
    if reader.taken < caps {
        return Err(DecodeError::ExtraCaps);
    }
    Ok(match schema.root {
        Root::Type(_) => values.pop().unwrap_or(Value::Unit),
        Root::Message { .. } => Value::Struct(values),
    })
}

struct Reader<'a> {
    types: &'a [Type],
    words: &'a [u64],
    /// The word where the next tail begins.
    tail: usize,
    /// Capabilities of the message, and those that values hold so far.
    caps: usize,
    taken: usize,
    keep: Keep,
}

impl<'a> Reader<'a> {
    /// Takes the next `bytes` bytes, rounded up to whole words, from the tail. Returns the byte offset where they begin.
    fn block(&mut self, bytes: u64) -> Result<u64, DecodeError> {
        let (start, have) = (self.tail, self.words.len() - self.tail);
        match usize::try_from(bytes.div_ceil(8)) {
            Ok(need) if need <= have => self.tail += need,
            need => return Err(DecodeError::Short { need: need.unwrap_or(usize::MAX), have }),
        }
        self.zero(start as u64 * 8 + bytes, bytes.next_multiple_of(8) - bytes)?;
        Ok(start as u64 * 8)
    }

    /// The byte at an offset that lies in a block.
    fn byte(&self, at: u64) -> u8 {
        (self.words[(at / 8) as usize] >> (at % 8 * 8)) as u8
    }

    /// The number in `size` bytes from `at`, the least significant one first.
    fn number(&self, at: u64, size: u64) -> u64 {
        self.wide_number(at, size) as u64
    }

    /// The number in up to 16 bytes.
    fn wide_number(&self, at: u64, size: u64) -> u128 {
        (0..size).rev().fold(0, |number, i| number << 8 | u128::from(self.byte(at + i)))
    }

    fn zero(&self, at: u64, len: u64) -> Result<(), DecodeError> {
        let is_zero = (at..at + len).all(|at| self.byte(at) == 0);
        if is_zero { Ok(()) } else { Err(DecodeError::Padding) }
    }

    fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        (at..at + len).map(|at| self.byte(at)).collect()
    }

    fn cap(&mut self) -> Result<usize, DecodeError> {
        if self.taken == self.caps {
            return Err(DecodeError::MissingCap);
        }
        self.taken += 1;
        Ok(self.taken - 1)
    }

    fn length(&self, at: u64, max: u32) -> Result<u64, DecodeError> {
        let len = self.number(at, 4);
        if len > u64::from(max) {
            return Err(DecodeError::TooLong { len: len as usize, max });
        }
        Ok(len)
    }

    /// Reads the members of a record at `at`. Bytes behind the members are the caller's.
    fn record(&mut self, record: &Record, at: u64) -> Result<Vec<Value>, DecodeError> {
        let mut values = Vec::new();
        for member in &record.members {
            let value = self.value(member.ty, at + member.at)?;
            if self.keep == Keep::Values {
                values.push(value);
            }
        }
        Ok(values)
    }

    fn value(&mut self, ty: usize, at: u64) -> Result<Value, DecodeError> {
        let types = self.types;
        let Type { layout, size, is_empty, .. } = &types[ty];
        if *is_empty && self.keep == Keep::Nothing {
            return Ok(Value::Unit);
        }
        Ok(match layout {
            Layout::Unit => Value::Unit,
            Layout::Bool => match self.byte(at) {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(DecodeError::Bool(other)),
            },
            Layout::Unsigned => Value::Unsigned(self.wide_number(at, *size)),
            Layout::Signed => {
                let unused = 128 - *size * 8;
                Value::Signed((self.wide_number(at, *size) << unused).cast_signed() >> unused)
            }
            Layout::Float => Value::Float(f32::from_bits(self.number(at, 4) as u32)),
            Layout::Double => Value::Double(f64::from_bits(self.number(at, 8))),
            Layout::Char => {
                let bits = self.number(at, 4) as u32;
                Value::Char(char::from_u32(bits).ok_or(DecodeError::Char(bits))?)
            }
            Layout::Iref => {
                Value::InterfaceRef(Iref::from_bits(self.number(at, 8)).ok_or(DecodeError::Iref)?)
            }
            Layout::Errval => Value::ErrorValue(Errval(self.number(at, 8))),
            Layout::Text(max) => self.text(at, *max)?,
            Layout::Cap => Value::Capability(self.cap()?),
            Layout::Bulk(max) => self.bulk(at, *max)?,
            Layout::Array(element, len) => self.elements(*element, *len, at)?,
            Layout::List(element, max) => {
                let len = self.length(at, *max)?;
                let at = self.block(len * types[*element].size)?;
                self.elements(*element, len, at)?
            }
            Layout::Option(value) => self.option(*value, at)?,
            Layout::Struct(record) => {
                self.zero(at + record.used, *size - record.used)?;
                Value::Struct(self.record(record, at)?)
            }
            Layout::Enum(variants) => {
                let index = self.number(at, 4) as u32;
                let Some(variant) = variants.get(index as usize) else {
                    return Err(DecodeError::Enum { name: "of the form", value: index });
                };
                let at = self.block(variant.record.used)?;
                Value::Variant(index, self.record(&variant.record, at)?)
            }
        })
    }

    fn text(&mut self, at: u64, max: u32) -> Result<Value, DecodeError> {
        let len = self.length(at, max)?;
        let at = self.block(len)?;
        // Without a value to keep, the copy is there for the check alone.
        let text = String::from_utf8(self.bytes(at, len)).map_err(|_| DecodeError::Utf8)?;
        Ok(Value::Text(text))
    }

    fn option(&mut self, value: usize, at: u64) -> Result<Value, DecodeError> {
        let Type { size, align, .. } = self.types[value];
        match self.byte(at) {
            0 => {
                self.zero(at, align + size)?;
                Ok(Value::Optional(None))
            }
            1 => {
                self.zero(at + 1, align - 1)?;
                let value = self.value(value, at + align)?;
                let is_kept = self.keep == Keep::Values;
                Ok(Value::Optional(is_kept.then(|| Box::new(value))))
            }
            other => Err(DecodeError::Bool(other)),
        }
    }

    /// Reads elements whose fixed parts lie one after another from `at`.
    fn elements(&mut self, element: usize, len: u64, at: u64) -> Result<Value, DecodeError> {
        let ty = &self.types[element];
        if ty.is_empty {
            return Ok(Value::Repeated(Box::new(self.value(element, at)?), len));
        }
        if ty.is_byte() {
            let is_kept = self.keep == Keep::Values;
            return Ok(Value::Bytes(if is_kept { self.bytes(at, len) } else { Vec::new() }));
        }
        // Each element has bytes, which are there, or capabilities: the loop ends when these do.
        let mut values = Vec::new();
        for i in 0..len {
            let value = self.value(element, at + i * ty.size)?;
            if self.keep == Keep::Values {
                values.push(value);
            }
        }
        Ok(Value::List(values))
    }

    fn bulk(&mut self, at: u64, max: u32) -> Result<Value, DecodeError> {
        let len = self.length(at, max)? as u32;
        let head = self.number(at, 8);
        let (way, pool, slot) = (head >> 32 & 3, (head >> 34) as u8, (head >> 42) as u16);
        if head >> 58 != 0 || way != 1 && (pool, slot) != (0, 0) {
            return Err(DecodeError::Padding);
        }
        Ok(Value::Bulk(match way {
            0 => {
                let at = self.block(len.into())?;
                let is_kept = self.keep == Keep::Values;
                let bytes = if is_kept { self.bytes(at, len.into()) } else { Vec::new() };
                BulkPlace::Inline(bytes)
            }
            1 => BulkPlace::Slot { pool, slot, len },
            2 => BulkPlace::Sealed { cap: self.cap()?, len },
            _ => return Err(DecodeError::Bulk("no bulk data travels in the way 3")),
        }))
    }
}

impl Type {
    /// True if arrays of it are [`Value::Bytes`].
    pub(super) fn is_byte(&self) -> bool {
        matches!(self.layout, Layout::Unsigned) && self.size == 1
    }
}
