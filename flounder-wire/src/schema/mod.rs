//! Messages of an interface that the program does not know at compile time: read, checked and written by their forms.
//!
//! The form of a message is one line of text, which [`MessageInfo`] has: [`Schema::of`] reads it, and [`Schema::decode`] then
//! turns the words of a message into a [`Value`], [`Schema::encode`] a value into words. What is accepted is what the generated
//! decoder of that interface accepts. The rules are those of `docs/wire.md`, and nothing here uses the code that generated
//! decoders use: a test compares the two.
//!
//! Forms and words may come from a peer. Reading them ends, does not panic, recurses [`MAX_DEPTH`] deep at most, and allocates
//! memory in proportion to the form and to the words. Capabilities are positions in the message.
//!
//! ```
//! use flounder_wire::schema::{Schema, Value};
//!
//! let schema = Schema::message("message open(name:string[64],mode:enum{READ,WRITE})", &[])?;
//! let words = [1 << 32 | 2, u64::from_le_bytes(*b"hi\0\0\0\0\0\0")];
//! let value = schema.decode(&words, 0)?;
//! assert_eq!(value, Value::Struct(vec![Value::Text("hi".into()), Value::Variant(1, vec![])]));
//! assert_eq!(schema.encode(&value)?, words);
//! assert!(schema.validate(&[2 << 32 | 2, words[1]], 0).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::interface::{Interface, MessageInfo};
use crate::{DecodeError, MAX_NUMBER};

mod form;
mod read;
mod value;
mod write;

pub use value::{BulkPlace, Value};
pub use write::{ValueError, ValueFault};

/// How deep types may be nested in a form.
pub const MAX_DEPTH: usize = 128;

/// The most bytes of the fixed part of a type, and of the record of a message.
pub const MAX_FIXED: u64 = 1 << 20;

/// The layout of a message or of a type, read from its form.
#[derive(Debug, Clone)]
pub struct Schema {
    /// All types of the form. A type comes behind its parts.
    types: Vec<Type>,
    root: Root,
}

#[derive(Debug, Clone)]
enum Root {
    Message {
        role: Role,
        name: Box<str>,
        record: Record,
    },
    /// A type alone: a record with this one member.
    Type(Record),
}

/// Kind of a message, as the first word of its form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A message that stands alone.
    Message,
    /// The call of an rpc. The first member is `id`, the id of the call.
    RpcCall,
    /// The response of an rpc. The first member is `id`, the id of the call.
    RpcResponse,
    /// The error of an rpc, in place of its response. The first member is `id`, the id of the call.
    RpcError,
}

impl Schema {
    /// Reads the form of a message. `externs` are the forms of its types from Rust, written out: entry `k` is that of
    /// `extern#k`.
    ///
    /// # Errors
    /// [`SchemaError`] if a form is not one of `docs/idl.md` and `docs/wire.md`, or is beyond the limits of this module.
    pub fn message(form: &str, externs: &[&str]) -> Result<Self, SchemaError> {
        form::message(form, externs)
    }

    /// Reads the form of a type from Rust, written out. The words are those of a record that holds one such value.
    ///
    /// # Errors
    /// Those of [`message`](Self::message).
    pub fn of_type(form: &str) -> Result<Self, SchemaError> {
        form::alone(form)
    }

    /// Reads the form of a message of a generated interface.
    ///
    /// # Errors
    /// [`SchemaError`] if the form is beyond the limits of this module.
    pub fn of(message: &MessageInfo) -> Result<Self, SchemaError> {
        let externs: Vec<String> = message.externs.iter().map(ToString::to_string).collect();
        let externs: Vec<&str> = externs.iter().map(String::as_str).collect();
        Self::message(message.form, &externs)
    }

    /// Returns the name of the message; of a type, the empty string.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.root {
            Root::Message { name, .. } => name,
            Root::Type(_) => "",
        }
    }

    /// Returns the kind of the message; `None` of a type.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match self.root {
            Root::Message { role, .. } => Some(role),
            Root::Type(_) => None,
        }
    }

    /// Returns the members of the record with their names, in order of declaration: the arguments of the message, behind the id
    /// of the call if it is half of an rpc; or the one type, without a name.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&str, TypeRef<'_>)> {
        TypeRef { types: &self.types, at: 0 }.named(&self.record().members)
    }

    /// Checks the words of a message that has `caps` capabilities: [`decode`](Self::decode) without the value.
    ///
    /// # Errors
    /// [`DecodeError`] if no sender writes these words.
    pub fn validate(&self, words: &[u64], caps: usize) -> Result<(), DecodeError> {
        read::message(self, words, caps, read::Keep::Nothing).map(drop)
    }

    /// Reads the words of a message that has `caps` capabilities. The value of a message is a [`Value::Struct`] of its members,
    /// that of a type its value.
    ///
    /// # Errors
    /// [`DecodeError`] if no sender writes these words.
    pub fn decode(&self, words: &[u64], caps: usize) -> Result<Value, DecodeError> {
        read::message(self, words, caps, read::Keep::Values)
    }

    /// Writes a value as the words of a message.
    ///
    /// # Errors
    /// [`ValueError`] if it is not a value of this message or type, with the member at fault.
    pub fn encode(&self, value: &Value) -> Result<Vec<u64>, ValueError> {
        write::message(self, value)
    }

    fn record(&self) -> &Record {
        let (Root::Message { record, .. } | Root::Type(record)) = &self.root;
        record
    }
}

/// The layouts of all messages of an interface.
#[derive(Debug, Clone)]
pub struct InterfaceSchema {
    name: Box<str>,
    messages: Vec<Schema>,
}

impl InterfaceSchema {
    /// Creates the schema of an interface called `name` from those of its messages, in the order of their numbers.
    #[must_use]
    pub fn new(name: &str, messages: Vec<Schema>) -> Self {
        Self { name: name.into(), messages }
    }

    /// Reads the forms of a generated interface.
    ///
    /// # Errors
    /// [`SchemaError`] if a form is beyond the limits of this module.
    pub fn of(interface: &Interface) -> Result<Self, SchemaError> {
        let messages = interface.messages.iter().map(Schema::of).collect::<Result<_, _>>()?;
        Ok(Self::new(interface.name, messages))
    }

    /// Returns the name of the interface.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns message `number`, from 1.
    #[must_use]
    pub fn message(&self, number: u16) -> Option<&Schema> {
        self.messages.get(usize::from(number).checked_sub(1)?)
    }

    /// Returns the messages with their numbers, in order.
    pub fn messages(&self) -> impl Iterator<Item = (u16, &Schema)> {
        (1..=MAX_NUMBER).zip(&self.messages)
    }
}

/// A type of a schema.
#[derive(Debug, Clone, Copy)]
pub struct TypeRef<'a> {
    types: &'a [Type],
    at: usize,
}

/// What a type is. No variant has the name of a type of the library: reports of rustc would then show the paths of both.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Kind<'a> {
    /// `()` of Rust.
    Unit,
    /// `bool`.
    Bool,
    /// An unsigned number of this many bytes; `char` of interfaces is one of 1 byte.
    Unsigned(u8),
    /// A signed number of this many bytes.
    Signed(u8),
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `char` of Rust.
    Char,
    /// `iref`.
    InterfaceRef,
    /// `errval`.
    ErrorValue,
    /// A string of at most this many bytes.
    Text(u32),
    /// `cap` or `give_away_cap`.
    Capability,
    /// Bulk data of at most this many bytes.
    Bulk(u32),
    /// An array of fixed length: its element and its length.
    Array(TypeRef<'a>, u64),
    /// A dynamic array or `Vec`: its element and its maximum.
    List(TypeRef<'a>, u32),
    /// `Option`.
    Optional(TypeRef<'a>),
    /// A struct: names and types of its fields.
    Struct(Vec<(&'a str, TypeRef<'a>)>),
    /// An enumeration: names of its variants, with the names and types of their fields.
    Enum(Vec<(&'a str, Vec<(&'a str, TypeRef<'a>)>)>),
}

impl<'a> TypeRef<'a> {
    /// Returns what the type is.
    #[must_use]
    pub fn kind(self) -> Kind<'a> {
        let part = |at: usize| TypeRef { at, ..self };
        match &self.types[self.at].layout {
            Layout::Unit => Kind::Unit,
            Layout::Bool => Kind::Bool,
            Layout::Unsigned => Kind::Unsigned(self.bytes()),
            Layout::Signed => Kind::Signed(self.bytes()),
            Layout::Float => Kind::Float,
            Layout::Double => Kind::Double,
            Layout::Char => Kind::Char,
            Layout::Iref => Kind::InterfaceRef,
            Layout::Errval => Kind::ErrorValue,
            Layout::Text(max) => Kind::Text(*max),
            Layout::Cap => Kind::Capability,
            Layout::Bulk(max) => Kind::Bulk(*max),
            Layout::Array(element, len) => Kind::Array(part(*element), *len),
            Layout::List(element, max) => Kind::List(part(*element), *max),
            Layout::Option(value) => Kind::Optional(part(*value)),
            Layout::Struct(record) => Kind::Struct(self.named(&record.members).collect()),
            Layout::Enum(variants) => {
                let fields = |variant: &'a Variant| self.named(&variant.record.members).collect();
                Kind::Enum(variants.iter().map(|it| (&*it.name, fields(it))).collect())
            }
        }
    }

    fn bytes(self) -> u8 {
        // Those of a number: 1, 2, 4, 8 or 16.
        self.types[self.at].size as u8
    }

    fn named(self, members: &'a [Member]) -> impl ExactSizeIterator<Item = (&'a str, TypeRef<'a>)> {
        members.iter().map(move |member| (&*member.name, TypeRef { at: member.ty, ..self }))
    }
}

/// A type, with what its form says of the words of a value.
#[derive(Debug, Clone)]
struct Type {
    layout: Layout,
    /// Bytes of the fixed part; a multiple of `align`, `MAX_FIXED` at most.
    size: u64,
    /// 1, 2, 4 or 8.
    align: u64,
    /// Number of types that are nested in one another here, itself included; `MAX_DEPTH` at most.
    depth: usize,
    /// Most values that are made for the fixed part, beyond those that words of a tail or capabilities account for
    /// (saturating).
    values: u64,
    /// True if there is one value only, without bits or capabilities.
    is_empty: bool,
}

/// The numbers are places in `Schema::types`, or maxima.
#[derive(Debug, Clone)]
enum Layout {
    Unit,
    Bool,
    Unsigned,
    Signed,
    Float,
    Double,
    Char,
    Iref,
    Errval,
    Text(u32),
    Cap,
    Bulk(u32),
    Array(usize, u64),
    List(usize, u32),
    Option(usize),
    Struct(Record),
    Enum(Vec<Variant>),
}

#[derive(Debug, Clone)]
struct Variant {
    name: Box<str>,
    record: Record,
}

/// Members whose fixed parts lie side by side.
#[derive(Debug, Clone)]
struct Record {
    /// In order of declaration.
    members: Vec<Member>,
    /// Bytes in use; what follows up to the end of the record is zero.
    used: u64,
    align: u64,
}

impl Record {
    /// Returns the size of the record when it stands alone.
    fn words(&self) -> u64 {
        self.used.div_ceil(8)
    }
}

#[derive(Debug, Clone)]
struct Member {
    name: Box<str>,
    ty: usize,
    /// Byte offset in the record.
    at: u64,
}

/// A text that is no form, or one beyond the limits.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not that of a form.
    Expected {
        /// What stands there in a form.
        what: &'static str,
        /// Byte offset in the text.
        at: usize,
    },
    /// There is no form for a type from Rust.
    NoExtern(u64),
    /// Types are nested more than [`MAX_DEPTH`] deep.
    TooDeep,
    /// The fixed part of a type is larger than [`MAX_FIXED`].
    TooLarge,
    /// An element of an array has so many parts without bits that a few words would stand for a lot of values.
    TooSparse,
}

crate::debug_as_chain!(SchemaError);

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { what, at } => write!(f, "{what} is missing at byte {at} of the form"),
            Self::NoExtern(index) => write!(f, "the form of extern#{index} is missing"),
            Self::TooDeep => write!(f, "types are nested more than {MAX_DEPTH} deep"),
            Self::TooLarge => write!(f, "a type takes more than {MAX_FIXED} bytes"),
            Self::TooSparse => f.write_str("elements of an array have too many parts without bits"),
        }
    }
}

impl core::error::Error for SchemaError {}

#[cfg(test)]
mod tests;
