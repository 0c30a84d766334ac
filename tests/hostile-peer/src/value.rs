//! Message bodies (`docs/wire.md`, "Message bodies"): one record with the fixed parts, then the tails.

use crate::interface::Type;

/// A value of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A scalar, an enumeration or a reference.
    Number(u64),
    /// A number of 128 bits.
    Wide(u128),
    /// A string.
    Text(String),
    /// An array or a struct.
    List(Vec<Value>),
    /// A capability, which is not in the words.
    Cap,
    /// Bulk data in the message itself.
    Bulk(Vec<u8>),
    /// Bulk data elsewhere: the bits of its head.
    Elsewhere(u64),
}

impl Value {
    /// The number.
    ///
    /// # Panics
    /// If the value is another.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            other => panic!("{other:?} is no number"),
        }
    }

    /// The string.
    ///
    /// # Panics
    /// If the value is another.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no string"),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u64]> for Value {
    fn from(words: &[u64]) -> Self {
        Self::List(words.iter().copied().map(Self::Number).collect())
    }
}

/// Size and alignment of the fixed part, in bytes.
fn fixed(ty: &Type) -> (usize, usize) {
    match ty {
        Type::Scalar { size, .. } => (*size, 8.min(*size)),
        Type::Enum(_) | Type::Text(_) | Type::Array(..) => (4, 4),
        Type::Cap(_) => (0, 1),
        Type::Bulk(_) => (8, 8),
        Type::Struct(fields) => {
            let types: Vec<_> = fields.iter().map(|(_, ty)| ty).collect();
            let (_, end) = offsets(&types);
            let alignment = types.iter().map(|ty| fixed(ty).1).max().unwrap_or(1);
            (end.next_multiple_of(alignment), alignment)
        }
    }
}

/// Offsets of the members of a record, and where the last one ends.
fn offsets(types: &[&Type]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; types.len()];
    let mut end = 0;
    for alignment in [8, 4, 2, 1] {
        for (offset, ty) in offsets.iter_mut().zip(types) {
            let (size, own) = fixed(ty);
            if own == alignment {
                *offset = end;
                end += size;
            }
        }
    }
    (offsets, end)
}

/// Encodes the arguments of a message.
///
/// # Panics
/// If a value is not of its type.
#[must_use]
pub fn encode(types: &[&Type], values: &[Value]) -> Vec<u64> {
    assert_eq!(types.len(), values.len(), "as many values as arguments");
    let (offsets, end) = offsets(types);
    let mut bytes = vec![0; end.next_multiple_of(8)];
    for ((ty, value), offset) in types.iter().zip(values).zip(offsets) {
        put(ty, value, &mut bytes[offset..]);
    }
    for (ty, value) in types.iter().zip(values) {
        append_tail(ty, value, &mut bytes);
    }
    let words = bytes.chunks_exact(8);
    words.map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes"))).collect()
}

fn put(ty: &Type, value: &Value, into: &mut [u8]) {
    match (ty, value) {
        (Type::Cap(_), Value::Cap) => {}
        (Type::Scalar { size, .. }, Value::Number(number)) => {
            into[..*size].copy_from_slice(&number.to_le_bytes()[..*size]);
        }
        (Type::Scalar { size: 16, .. }, Value::Wide(number)) => {
            into[..16].copy_from_slice(&number.to_le_bytes());
        }
        (Type::Enum(_), Value::Number(number)) => {
            into[..4].copy_from_slice(&number.to_le_bytes()[..4]);
        }
        (Type::Text(_), Value::Text(text)) => put_length(text.len(), into),
        (Type::Bulk(_), Value::Bulk(bytes)) => put_length(bytes.len(), into),
        (Type::Bulk(_), Value::Elsewhere(head)) => into[..8].copy_from_slice(&head.to_le_bytes()),
        (Type::Array(..), Value::List(list)) => put_length(list.len(), into),
        (Type::Struct(fields), Value::List(list)) => {
            let types: Vec<_> = fields.iter().map(|(_, ty)| ty).collect();
            for ((ty, value), offset) in types.iter().zip(list).zip(offsets(&types).0) {
                put(ty, value, &mut into[offset..]);
            }
        }
        _ => panic!("{value:?} is not of type {ty:?}"),
    }
}

fn put_length(length: usize, into: &mut [u8]) {
    into[..4].copy_from_slice(&u32::try_from(length).expect("short").to_le_bytes());
}

fn append_tail(ty: &Type, value: &Value, bytes: &mut Vec<u8>) {
    match (ty, value) {
        (Type::Text(_), Value::Text(text)) => bytes.extend_from_slice(text.as_bytes()),
        (Type::Bulk(_), Value::Bulk(data)) => bytes.extend_from_slice(data),
        (Type::Array(element, _), Value::List(list)) => {
            let size = fixed(element).0;
            for value in list {
                let at = bytes.len();
                bytes.resize(at + size, 0);
                put(element, value, &mut bytes[at..]);
            }
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            list.iter().for_each(|value| append_tail(element, value, bytes));
        }
        (Type::Struct(fields), Value::List(list)) => {
            for ((_, ty), value) in fields.iter().zip(list) {
                append_tail(ty, value, bytes);
            }
        }
        _ => {}
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Decodes the arguments of a message; `None` if the words are too few.
#[must_use]
pub fn decode(types: &[&Type], words: &[u64]) -> Option<Vec<Value>> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (offsets, end) = offsets(types);
    let mut tail = end.next_multiple_of(8);
    types.iter().zip(offsets).map(|(ty, offset)| take(ty, &bytes, offset, &mut tail)).collect()
}

fn take(ty: &Type, bytes: &[u8], offset: usize, tail: &mut usize) -> Option<Value> {
    let number = |size: usize| -> Option<u64> {
        let mut whole = [0; 8];
        whole[..size].copy_from_slice(bytes.get(offset..offset + size)?);
        Some(u64::from_le_bytes(whole))
    };
    Some(match ty {
        Type::Cap(_) => Value::Cap,
        Type::Bulk(max) => {
            let head = number(8)?;
            let (length, way, place) = (head & 0xffff_ffff, head >> 32 & 3, head >> 34);
            match (way, place) {
                _ if length > u64::from(*max) => return None,
                (0, 0) => {
                    let length = usize::try_from(length).ok()?;
                    let end = *tail + length.next_multiple_of(8);
                    let whole = bytes.get(*tail..end)?;
                    let (data, padding) = whole.split_at(length);
                    if padding.iter().any(|byte| *byte != 0) {
                        return None;
                    }
                    let data = data.to_vec();
                    *tail = end;
                    Value::Bulk(data)
                }
                (1, _) if place >> 24 == 0 => Value::Elsewhere(head),
                (2, 0) => Value::Elsewhere(head),
                _ => return None,
            }
        }
        Type::Scalar { size: 16, .. } => {
            let bytes = bytes.get(offset..offset + 16)?.try_into().expect("16 bytes");
            Value::Wide(u128::from_le_bytes(bytes))
        }
        Type::Scalar { size, .. } => Value::Number(number(*size)?),
        Type::Enum(_) => Value::Number(number(4)?),
        Type::Text(_) => {
            let length = usize::try_from(number(4)?).ok()?;
            let text = bytes.get(*tail..*tail + length)?.to_vec();
            *tail += length.next_multiple_of(8);
            Value::Text(String::from_utf8(text).ok()?)
        }
        Type::Array(element, _) => {
            let (length, size) = (usize::try_from(number(4)?).ok()?, fixed(element).0);
            let start = *tail;
            *tail += (length * size).next_multiple_of(8);
            let list: Option<_> =
                (0..length).map(|i| take(element, bytes, start + i * size, tail)).collect();
            Value::List(list?)
        }
        Type::Struct(fields) => {
            let types: Vec<_> = fields.iter().map(|(_, ty)| ty).collect();
            let at = offsets(&types).0;
            let list: Option<_> =
                types.iter().zip(at).map(|(ty, at)| take(ty, bytes, offset + at, tail)).collect();
            Value::List(list?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::Interface;

    #[test]
    fn body_is_that_of_the_documented_example() {
        let text = "interface i \"\" { message m(uint8 a, uint16 b, uint32 c, uint64 d, uintptr e, size f, uint8 g, bool h); };";
        let interface = Interface::parse(text);
        let types: Vec<_> = interface.message("m").args.iter().map(|(_, ty)| ty).collect();
        let values = [0x11, 0x2222, 0x3333_3333, 4, 5, 6, 0x77, 1].map(Value::Number);
        let words = encode(&types, &values);
        assert_eq!(words, [4, 5, 6, 0x7711_2222_3333_3333, 1]);
        assert_eq!(decode(&types, &words).unwrap(), values);
    }

    #[test]
    fn tails_follow_the_record_in_order() {
        let text = "interface i \"\" { typedef struct { string s[9]; uint8 x; } t; message m(string a, t b[n, 3]); };";
        let interface = Interface::parse(text);
        let types: Vec<_> = interface.message("m").args.iter().map(|(_, ty)| ty).collect();
        let pair = |text: &str, x| Value::List(vec![text.into(), Value::Number(x)]);
        let values = [Value::from("abc"), Value::List(vec![pair("d", 1), pair("", 2)])];
        let words = encode(&types, &values);
        assert_eq!(words, [2 << 32 | 3, 0x63_6261, 1 << 32 | 1, 2 << 32, 0x64]);
        assert_eq!(decode(&types, &words).unwrap(), values);
    }
}
