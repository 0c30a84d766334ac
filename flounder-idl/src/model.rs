//! Checked model of interfaces, the input of code generators.
//!
//! A model is complete: every name is resolved, every size is bounded, every rule of [`crate::check`] holds, so a generator
//! cannot fail. The model has no word layout: only rustc knows the size of a Rust type (`use path::Type as name;`), so
//! `const` functions of the runtime compute all offsets, by one rule for all types (`docs/wire.md`).

use proc_macro2::{Ident, Span, TokenStream};

/// The default maximum of a `string` or of a dynamic array without one: in bytes for strings, in elements for arrays.
pub const DEFAULT_MAX: u32 = 65_536;

/// The largest message number a wire header can hold.
pub const MAX_MESSAGES: usize = 16_000;

/// Result of one compilation: modules of shared types, and interfaces.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Modules of shared types that this unit generates, in order.
    pub modules: Vec<TypeModule>,
    /// The interfaces, in order.
    pub interfaces: Vec<Interface>,
    /// Files that were read, which the macro reports to Cargo.
    pub files: Vec<std::path::PathBuf>,
}

/// A module of types shared by interfaces: an import file.
#[derive(Debug, Clone)]
pub struct TypeModule {
    /// The module's name.
    pub name: Name,
    /// Visibility tokens (`pub` when none was written).
    pub visibility: TokenStream,
    /// Types in order of declaration.
    pub types: Vec<TypeDef>,
    /// Constants in order of declaration.
    pub constants: Vec<Constant>,
}

/// One interface.
#[derive(Debug, Clone)]
pub struct Interface {
    /// `name.rust` is the name of the generated module.
    pub name: Name,
    /// Visibility tokens of the module (`pub` when none was written).
    pub visibility: TokenStream,
    /// Attributes written before `interface`, other than docs, copied to the module.
    pub attributes: Vec<TokenStream>,
    /// The description string; the interface's name when it has none.
    pub description: String,
    /// Doc comment lines of the interface.
    pub docs: Vec<String>,
    /// Every type the interface can name, in declaration order. A [`TypeId`] indexes it. Types that come from
    /// elsewhere ([`TypeDef::declared_in`]) are referred to and not generated here.
    pub types: Vec<TypeDef>,
    /// Every constant the interface can name, in declaration order; those that come from elsewhere are referred to.
    pub constants: Vec<Constant>,
    /// Messages on the wire after expansion of rpcs; `messages[i].number == i + 1`.
    pub messages: Vec<Message>,
    /// Remote procedures, in declaration order.
    pub rpcs: Vec<Rpc>,
}

impl Interface {
    /// Returns true if the two ends are different: a message goes in one direction only.
    #[must_use]
    pub fn is_directed(&self) -> bool {
        self.messages.iter().any(|message| message.direction != Direction::Both)
    }
}

/// A name as written and as generated.
#[derive(Debug, Clone)]
pub struct Name {
    /// The name as spelled in the interface.
    pub idl: String,
    /// The Rust identifier (cased, raw when it is a keyword, or as chosen with `#[rust_name = ".."]`), with the span
    /// of the IDL name.
    pub rust: Ident,
    /// Place of the name in the source.
    pub span: Span,
}

/// Index into [`Interface::types`] or [`TypeModule::types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub usize);

/// A declared type, or one that is made where it is used ([`DeclaredIn::Use`]).
#[derive(Debug, Clone)]
pub struct TypeDef {
    /// The name; `name.rust` is CamelCase. A type that is made where it is used has none.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Body of the declaration.
    pub kind: TypeKind,
    /// Module that declares the Rust type, which is generated there.
    pub declared_in: DeclaredIn,
    /// Properties of the values of this type.
    pub traits: Traits,
}

/// `const ty name = value;`
#[derive(Debug, Clone)]
pub struct Constant {
    /// `name.rust` is as written.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Type of the value: a builtin integer, or a name for one.
    pub ty: Ty,
    /// The value, which its type can hold.
    pub value: i128,
    /// Module that declares the Rust constant.
    pub declared_in: DeclaredIn,
}

/// Module that declares the Rust type of a [`TypeDef`], or a [`Constant`].
#[derive(Debug, Clone)]
pub enum DeclaredIn {
    /// The module of this interface (or of this [`TypeModule`]).
    Here,
    /// Another module that `flounder!` generated; the path names the *module* as seen from the interface's module.
    Module(TokenStream),
    /// Nowhere: an optional value or an array without a typedef, which Rust writes out where it is used.
    Use,
    /// A Rust type with `#[derive(FlounderMessage)]`; the path names the *type* as seen from the scope of the macro call.
    Rust(syn::Path),
}

/// The body of a declared type.
#[derive(Debug, Clone)]
pub enum TypeKind {
    /// `typedef struct { .. } name;`
    Struct(Vec<Field>),
    /// `typedef union { .. } name;`: one of these, whose index is sent before it. `name.rust` is CamelCase.
    Union(Vec<Field>),
    /// `typedef enum { .. } name;` (32 bits on the wire, elements count from 0)
    Enum(Vec<Element>),
    /// `typedef elem name[len];`, and `elem name[len]` as a field or an argument.
    Array {
        /// The element.
        elem: Ty,
        /// Number of elements.
        len: u64,
    },
    /// `elem name[length, max]` as a field, and behind `optional`.
    List {
        /// The element.
        elem: Ty,
        /// The maximum number of elements.
        max: u32,
    },
    /// `optional ty name`
    Optional(Ty),
    /// `typedef old new;`
    Alias(Ty),
    /// `use path::Type as name;`
    Extern,
}

/// Properties of the values of a type, computed once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// True if the type has no string, no capability and no Rust type: its size is fixed and the generated type is `Copy`.
    pub copy: bool,
    /// True if the type contains a `cap` or `give_away_cap` (false for Rust types: unknown).
    pub caps: bool,
    /// True if the type contains a `give_away_cap`.
    pub gives_away: bool,
    /// True if `Eq` and `Hash` can be derived: the type contains no float, no Rust type and no capability.
    pub eq: bool,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// snake_case as written; raw when a keyword.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Type of the field.
    pub ty: Ty,
}

/// An element of an enumeration; its value is its index.
#[derive(Debug, Clone)]
pub struct Element {
    /// `name.rust` is CamelCase.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
}

/// Type of a field or an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ty {
    /// A builtin (aliases are resolved away).
    Builtin(Builtin),
    /// `string`, at most `max` bytes of UTF-8.
    String {
        /// Maximum length in bytes.
        max: u32,
    },
    /// `bulk`, at most `max` bytes: the type of an argument only.
    Bulk {
        /// Maximum length in bytes.
        max: u32,
    },
    /// Another type.
    Named(TypeId),
}

/// The builtin types other than strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// `bool`
    Bool,
    /// `char`: a C character, `u8` in Rust.
    Char,
    /// `int8`, `i8`
    I8,
    /// `int16`, `i16`
    I16,
    /// `int`, `int32`, `i32`
    I32,
    /// `int64`, `i64`
    I64,
    /// `uint8`, `u8`
    U8,
    /// `uint16`, `u16`
    U16,
    /// `uint32`, `u32`
    U32,
    /// `uint64`, `u64`
    U64,
    /// `int128`, `i128`
    I128,
    /// `uint128`, `u128`
    U128,
    /// `intptr`: `isize` in Rust, 64 bits on the wire.
    Isize,
    /// `uintptr` and `size`: `usize` in Rust, 64 bits on the wire.
    Usize,
    /// `float`, `f32`
    F32,
    /// `double`, `f64`
    F64,
    /// `iref`: the runtime's `Iref`, 64 bits on the wire.
    Iref,
    /// `errval`: the runtime's `Errval`, 64 bits on the wire.
    Errval,
    /// `cap`: a capability, copied.
    Cap,
    /// `give_away_cap`: a capability, moved.
    GiveAwayCap,
}

impl Builtin {
    /// Returns the least and the most value of an integer, as far as an `i128` holds them; `None` for other types.
    #[must_use]
    pub const fn range(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::Char | Self::U8 => (0, u8::MAX as i128),
            Self::U16 => (0, u16::MAX as i128),
            Self::U32 => (0, u32::MAX as i128),
            Self::U64 | Self::Usize => (0, u64::MAX as i128),
            Self::U128 => (0, i128::MAX),
            Self::I8 => (i8::MIN as i128, i8::MAX as i128),
            Self::I16 => (i16::MIN as i128, i16::MAX as i128),
            Self::I32 => (i32::MIN as i128, i32::MAX as i128),
            Self::I64 | Self::Isize => (i64::MIN as i128, i64::MAX as i128),
            Self::I128 => (i128::MIN, i128::MAX),
            Self::Bool | Self::F32 | Self::F64 => return None,
            Self::Iref | Self::Errval | Self::Cap | Self::GiveAwayCap => return None,
        })
    }

    /// Returns the name that canonical forms and documentation use, one of the type's names in the language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Char => "char",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I128 => "int128",
            Self::U128 => "uint128",
            Self::Isize => "intptr",
            Self::Usize => "uintptr",
            Self::F32 => "float",
            Self::F64 => "double",
            Self::Iref => "iref",
            Self::Errval => "errval",
            Self::Cap => "cap",
            Self::GiveAwayCap => "give_away_cap",
        }
    }
}

/// A message on the wire.
#[derive(Debug, Clone)]
pub struct Message {
    /// `name.rust` is snake_case as written (methods `tx_<name>`, handler `<name>`), raw when a keyword.
    pub name: Name,
    /// CamelCase form of the name, for types.
    pub camel: Ident,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Message number, from 1, in declaration order after expansion of rpcs.
    pub number: u16,
    /// Form of the declaration.
    pub role: Role,
    /// Which end sends it.
    pub direction: Direction,
    /// Arguments in order, without the call id of an rpc.
    pub args: Vec<Arg>,
    /// Annotations. All messages of an rpc have those of the rpc.
    pub annotations: Vec<Annotation>,
    /// The canonical form (see [`crate::lower`]), without the digests of Rust types.
    pub canonical: String,
    /// The first 128 bits of SHA-256 of `canonical`.
    pub digest: u128,
    /// Rust types in the message, in order of first use. A `const` function mixes their digests in.
    pub externs: Vec<TypeId>,
}

/// Which end of a binding sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Either end.
    Both,
    /// The client.
    ToService,
    /// The service.
    ToClient,
}

/// Form of a message's declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `message`
    Message,
    /// `call`
    Call,
    /// `response`
    Response,
    /// The call of `rpcs[i]`.
    RpcCall(usize),
    /// The response of `rpcs[i]`.
    RpcResponse(usize),
    /// The error of `rpcs[i]`, which comes in place of the response.
    RpcError(usize),
}

/// A remote procedure.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// The name (client method and handler).
    pub name: Name,
    /// CamelCase form of the name; the reply type is `<camel>Reply`.
    pub camel: Ident,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Index into [`Interface::messages`] of `<name>_call`.
    pub call: usize,
    /// Index into [`Interface::messages`] of `<name>_response`.
    pub response: usize,
    /// Index into [`Interface::messages`] of `<name>_error`, if the rpc `fails`.
    pub error: Option<usize>,
}

/// An argument.
#[derive(Debug, Clone)]
pub struct Arg {
    /// snake_case as written; raw when a keyword.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Type of the argument; for a dynamic array, type of one element.
    pub ty: Ty,
    /// `Some` for a dynamic array.
    pub array: Option<DynArray>,
}

/// Length and maximum of a dynamic array.
#[derive(Debug, Clone)]
pub struct DynArray {
    /// Name of the length. Documentation only: a Rust slice has its length.
    pub len_name: Name,
    /// The maximum number of elements.
    pub max: u32,
}

/// `@context(name=value, ..)`.
#[derive(Debug, Clone)]
pub struct Annotation {
    /// The context.
    pub context: Name,
    /// The parameters, in order.
    pub params: Vec<(Name, AnnotationValue)>,
}

/// The value of an annotation's parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnnotationValue {
    /// A natural number.
    Number(u64),
    /// An identifier (by convention the name of an argument).
    Ident(String),
}
