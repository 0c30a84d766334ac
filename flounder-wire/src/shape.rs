//! The layout of values in a record, and the canonical form of their types.

use core::fmt;

/// Maximum length of a string (in bytes) or a sequence (in elements) for which the interface names none.
pub const DEFAULT_MAX: u32 = 65_536;

/// Size and alignment of the values of a type on the wire.
///
/// A value has a *fixed part* of [`SIZE`](Shape::SIZE) bytes inside the record that holds it, and, if it is of variable
/// length, a *tail* of whole words after the record. Derived with `#[derive(FlounderMessage)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a message",
    label = "not a type that messages can carry",
    note = "put `#[derive(FlounderMessage)]` on its definition"
)]
pub trait Shape {
    /// Size of the fixed part in bytes; a multiple of [`ALIGN`](Shape::ALIGN).
    const SIZE: usize;
    /// Alignment of the fixed part in bytes: 1, 2, 4 or 8.
    const ALIGN: usize;
    /// Maximum number of words of the tail (saturating).
    const MAX_TAIL: usize = 0;
    /// Maximum number of capabilities of a value (saturating).
    const MAX_CAPS: usize = 0;
    /// Canonical form of the type, with its digest.
    const FORM: &'static TypeForm;

    /// Size and alignment, for [`record`].
    const PLACE: (usize, usize) = (Self::SIZE, Self::ALIGN);
}

/// The layout of a record of `K` members: the arguments of a message, or the fields of a struct.
///
/// Members are placed in order of falling alignment, those of equal alignment in order of declaration. Since a size is a
/// multiple of its alignment, the only gap is at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<const K: usize> {
    /// Byte offset of each member, in order of declaration.
    pub at: [usize; K],
    /// Number of bytes in use; from here to `size` the record is zero.
    pub used: usize,
    /// Size in bytes: `used` rounded up to `align`.
    pub size: usize,
    /// Alignment in bytes: the largest of a member, or 1 without members.
    pub align: usize,
    /// Number of words of the record when it stands alone: `size`, rounded up.
    pub words: usize,
}

/// Lays out a record from the `(SIZE, ALIGN)` of its members.
///
/// ```
/// use flounder_wire::record;
/// const R: flounder_wire::Record<3> = record([(1, 1), (8, 8), (4, 4)]);
/// assert_eq!(R.at, [12, 0, 8]);
/// assert_eq!((R.used, R.size, R.words), (13, 16, 2));
/// ```
#[must_use]
pub const fn record<const K: usize>(members: [(usize, usize); K]) -> Record<K> {
    let mut at = [0; K];
    let mut used = 0;
    let mut largest = 1;
    let mut align = 8;
    while align > 0 {
        let mut i = 0;
        while i < K {
            if members[i].1 == align {
                at[i] = used;
                used += members[i].0;
                if align > largest {
                    largest = align;
                }
            }
            i += 1;
        }
        align /= 2;
    }
    let size = used.next_multiple_of(largest);
    Record { at, used, size, align: largest, words: size.div_ceil(8) }
}

/// Returns the offset of the first of these members, `record(members).at[0]`, with less work for the compiler.
#[must_use]
pub const fn first_at(members: &[(usize, usize)]) -> usize {
    let mut at = 0;
    let mut i = 1;
    while i < members.len() {
        if members[i].1 > members[0].1 {
            at += members[i].0;
        }
        i += 1;
    }
    at
}

const _: () = {
    const FEW: [(usize, usize); 5] = [(4, 4), (2, 2), (16, 8), (8, 4), (8, 8)];
    assert!(first_at(&FEW) == record(FEW).at[0] && first_at(&FEW) == 24);
    assert!(first_at(&[]) == 0);
};

/// Returns the sum of some sizes (saturating).
#[must_use]
pub const fn total(sizes: &[usize]) -> usize {
    let mut sum: usize = 0;
    let mut i = 0;
    while i < sizes.len() {
        sum = sum.saturating_add(sizes[i]);
        i += 1;
    }
    sum
}

/// Returns the largest of some sizes; 0 if there is none.
#[must_use]
pub const fn largest(sizes: &[usize]) -> usize {
    let mut largest = 0;
    let mut i = 0;
    while i < sizes.len() {
        if sizes[i] > largest {
            largest = sizes[i];
        }
        i += 1;
    }
    largest
}

/// The canonical form of a type: a text that leaves the types of its parts open, and the forms of these.
///
/// `Display` writes all of it out: `struct{x:uint32,name:string[64]}`, as `docs/wire.md` defines it.
///
/// ```
/// use flounder_wire::Shape;
/// assert_eq!(<Vec<Option<u32>>>::FORM.to_string(), "uint32?[;65536]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeForm {
    text: &'static str,
    /// Number of elements of an array; 0 of any other type.
    len: usize,
    parts: &'static [&'static Self],
    digest: u128,
}

impl TypeForm {
    /// Creates the form of a type other than an array: `struct{x,name[64]}` or `enum{A,B{x}}` with the forms of all fields in
    /// order, `sequence` and `option` with that of their element or value, or the name of a builtin type.
    #[must_use]
    pub const fn new(text: &'static str, parts: &'static [&'static Self]) -> Self {
        Self { text, len: 0, parts, digest: mix_forms(digest(text), parts) }
    }

    /// Creates the form of an array of `len` elements; `parts` is the form of an element alone.
    #[must_use]
    pub const fn array(len: usize, parts: &'static [&'static Self]) -> Self {
        let digest = mix_forms(mix(digest("array"), len as u128), parts);
        Self { text: "array", len, parts, digest }
    }

    /// Returns the digest of the form and of those of its parts.
    #[must_use]
    pub const fn digest(&self) -> u128 {
        self.digest
    }
}

impl fmt::Display for TypeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &DEFAULT_MAX)
    }
}

impl TypeForm {
    /// Writes the form out; `max` is the maximum of a string or sequence, or of one in an option. Recursion is bounded: no type contains itself.
    fn write(&self, f: &mut fmt::Formatter<'_>, max: &dyn fmt::Display) -> fmt::Result {
        match (self.text, self.parts) {
            ("string", _) => write!(f, "string[{max}]"),
            ("sequence", [element]) => write!(f, "{element}[;{max}]"),
            ("option", [value]) => {
                value.write(f, max)?;
                f.write_str("?")
            }
            ("array", [element]) => write!(f, "[{element};{}]", self.len),
            (_, []) => f.write_str(self.text),
            (text, parts) => write_fields(f, text, parts),
        }
    }
}

/// Writes `struct{..}` or `enum{..}` with the types of the fields behind their names.
fn write_fields(
    f: &mut fmt::Formatter<'_>,
    text: &str,
    types: &[&'static TypeForm],
) -> fmt::Result {
    // The fields of an enumeration are inside the braces of a variant.
    let braces_around_field = if text.starts_with("enum") { 2 } else { 1 };
    let (mut depth, mut types) = (0, types.iter());
    for token in text.split_inclusive(['{', ',', '}']) {
        let name = token.trim_end_matches(['{', ',', '}']);
        let delimiter = &token[name.len()..];
        match types.as_slice() {
            [ty, ..] if depth == braces_around_field && !name.is_empty() => {
                types.next();
                match name.trim_end_matches(']').split_once('[') {
                    Some((name, max)) => {
                        write!(f, "{name}:")?;
                        ty.write(f, &max)?;
                    }
                    None => write!(f, "{name}:{ty}")?,
                }
            }
            _ => f.write_str(name)?,
        }
        match delimiter {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        f.write_str(delimiter)?;
    }
    Ok(())
}

/// Combines a digest with the digests of some forms, in order.
pub(crate) const fn mix_forms(base: u128, forms: &[&TypeForm]) -> u128 {
    let mut digest = base;
    let mut i = 0;
    while i < forms.len() {
        digest = mix(digest, forms[i].digest);
        i += 1;
    }
    digest
}

/// Combines a digest with one more part: FNV-1a of both, 16 bytes each, most significant first.
pub(crate) const fn mix(digest: u128, part: u128) -> u128 {
    let mut bytes = [0; 32];
    let (old, part) = (digest.to_be_bytes(), part.to_be_bytes());
    let mut k = 0;
    while k < 16 {
        bytes[k] = old[k];
        bytes[16 + k] = part[k];
        k += 1;
    }
    const_fnv1a_hash::fnv1a_hash_128(&bytes, None)
}

/// Returns the digest of a text.
pub(crate) const fn digest(text: &str) -> u128 {
    const_fnv1a_hash::fnv1a_hash_str_128(text)
}
