//! The checked model of one interface: what generators read.
//!
//! A model is complete: every name is resolved, every size is bounded, every rule of [`crate::check`] holds. A generator
//! turns it into text and asks no further questions. Word layout is *not* here: a type that comes from Rust
//! (`use path::Type as name;`) has a size that only rustc knows, so offsets are computed by `const` functions of the
//! runtime, from one rule for all types (`docs/wire.md`).

use proc_macro2::{Ident, Span, TokenStream};

/// The default maximum of a `string` or of a dynamic array without one: in bytes for strings, in elements for arrays.
pub const DEFAULT_MAX: u32 = 65_536;

/// The largest message number a wire header can hold.
pub const MAX_MESSAGES: usize = 16_000;

/// One compilation: the types it declares for others to share, and the interfaces over them.
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
    /// The types it declares, in order.
    pub types: Vec<TypeDef>,
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
    /// elsewhere ([`TypeDef::home`]) are referred to and not generated here.
    pub types: Vec<TypeDef>,
    /// Messages on the wire after expansion of rpcs; `messages[i].number == i + 1`.
    pub messages: Vec<Message>,
    /// Remote procedures, in declaration order.
    pub rpcs: Vec<Rpc>,
}

/// A name as written and as generated.
#[derive(Debug, Clone)]
pub struct Name {
    /// As the interface spells it.
    pub idl: String,
    /// The Rust identifier (cased, raw when it is a keyword, or as chosen with `#[rust_name = ".."]`), with the span
    /// of the IDL name.
    pub rust: Ident,
    /// Where it was written.
    pub span: Span,
}

/// Index into [`Interface::types`] or [`TypeModule::types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub usize);

/// A declared type.
#[derive(Debug, Clone)]
pub struct TypeDef {
    /// The name; `name.rust` is CamelCase.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// What it is.
    pub kind: TypeKind,
    /// Where the Rust type is generated.
    pub home: Home,
    /// What generators want to know about the values of this type.
    pub traits: Traits,
}

/// Where the Rust type of a [`TypeDef`] lives.
#[derive(Debug, Clone)]
pub enum Home {
    /// In the module of this interface (or of this [`TypeModule`]).
    Here,
    /// In another module that `flounder!` generated; the path names the *module* as seen from the interface's module.
    Module(TokenStream),
    /// A Rust type with `#[derive(FlounderMessage)]`; the path names the *type* as seen from the scope of the macro call.
    Rust(syn::Path),
}

/// The body of a declared type.
#[derive(Debug, Clone)]
pub enum TypeKind {
    /// `typedef struct { .. } name;`
    Struct(Vec<Field>),
    /// `typedef enum { .. } name;` (32 bits on the wire, elements count from 0)
    Enum(Vec<Element>),
    /// `typedef elem name[len];`
    Array {
        /// The element.
        elem: Ty,
        /// How many.
        len: u64,
    },
    /// `typedef old new;`
    Alias(Ty),
    /// `use path::Type as name;`
    Extern,
}

/// Facts about the values of a type, computed once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// No string, no capability, nothing from Rust: the size is fixed and the generated type is `Copy`.
    pub copy: bool,
    /// Holds a `cap` or `give_away_cap` somewhere (false for types from Rust: unknown).
    pub caps: bool,
    /// Holds a `give_away_cap` somewhere.
    pub gives_away: bool,
    /// `Eq` and `Hash` can be derived (no float inside, nothing from Rust, no capability).
    pub eq: bool,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// snake_case as written; raw when a keyword.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// Its type.
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

/// A type in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    /// A builtin (aliases are resolved away).
    Builtin(Builtin),
    /// `string`, at most `max` bytes of UTF-8.
    String {
        /// Bytes.
        max: u32,
    },
    /// A declared type.
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
    /// As canonical forms and documentation spell it: one of the type's names in the language.
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
    /// From 1, in declaration order after expansion of rpcs.
    pub number: u16,
    /// How it was declared.
    pub role: Role,
    /// Arguments, in order. The call id of an rpc is not among them.
    pub args: Vec<Arg>,
    /// Annotations, those of the rpc for both of its messages.
    pub annotations: Vec<Annotation>,
    /// The canonical form (see [`crate::lower`]), without what types from Rust contribute.
    pub canonical: String,
    /// The first 128 bits of SHA-256 of `canonical`.
    pub digest: u128,
    /// The types from Rust that take part, in order of first use: their digests are mixed in by rustc.
    pub externs: Vec<TypeId>,
}

/// How a message was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `message`
    Message,
    /// `call`
    Call,
    /// `response`
    Response,
    /// The first half of `rpcs[i]`.
    RpcCall(usize),
    /// The second half of `rpcs[i]`.
    RpcResponse(usize),
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
}

/// An argument.
#[derive(Debug, Clone)]
pub struct Arg {
    /// snake_case as written; raw when a keyword.
    pub name: Name,
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// The type, or that of one element.
    pub ty: Ty,
    /// `Some` for a dynamic array.
    pub array: Option<DynArray>,
}

/// What makes an argument a dynamic array.
#[derive(Debug, Clone)]
pub struct DynArray {
    /// The name of the length (documentation: a slice knows its length).
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
