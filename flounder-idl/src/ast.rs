//! Syntax tree of an interface. Each name has its place in the source; nothing is resolved.
//!
//! Places do not take part in comparisons: two trees are equal if they declare the same, in whatever layout.

use proc_macro2::TokenStream;

use crate::diag::Place;

/// One input: a macro call or a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unit {
    /// Declarations in order.
    pub items: Vec<Item>,
}

/// A declaration at the top level of a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `import "file.if";`
    Import(Import),
    /// `types name { .. };`
    Types(Types),
    /// `interface name { .. };`
    Interface(Interface),
}

/// An identifier and its place.
#[derive(Debug, Clone)]
pub struct Name {
    /// The identifier without `r#`.
    pub text: String,
    /// Place in the source.
    pub place: Place,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// An integer literal.
#[derive(Debug, Clone)]
pub struct Int {
    /// The value; `None` for a malformed literal, which has been reported.
    pub value: Option<u64>,
    /// True if a minus sign precedes the literal.
    pub negative: bool,
    /// Place in the source.
    pub place: Place,
}

impl PartialEq for Int {
    fn eq(&self, other: &Self) -> bool {
        (self.value, self.negative) == (other.value, other.negative)
    }
}

/// Rust tokens that are copied to the output.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The tokens.
    pub stream: TokenStream,
    /// Place of the first token.
    pub place: Place,
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.stream.to_string() == other.stream.to_string()
    }
}

/// Doc comments, attributes and visibility of a declaration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attrs {
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// `#[rust_name = ".."]`
    pub rust_name: Option<Name>,
    /// All other attributes, with their `#[..]`.
    pub others: Vec<Tokens>,
    /// `pub`, `pub(crate)`
    pub visibility: Option<Tokens>,
}

/// `import "path";` or `import "path" as module;`
#[derive(Debug, Clone)]
pub struct Import {
    /// The path.
    pub path: String,
    /// Where the path stands.
    pub place: Place,
    /// Module that already contains the types of the file (`as module`).
    pub module: Option<ModulePath>,
}

impl PartialEq for Import {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.module) == (&other.path, &other.module)
    }
}

/// A path of modules as written.
#[derive(Debug, Clone, PartialEq)]
pub struct ModulePath {
    /// True if the path begins with `::`.
    pub global: bool,
    /// The segments; at least one.
    pub segments: Vec<Name>,
}

/// `types name { .. };`
#[derive(Debug, Clone, PartialEq)]
pub struct Types {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// The module's name.
    pub name: Name,
    /// Types and imports, in order of declaration.
    pub body: Vec<Decl>,
}

/// `interface name "description" { .. };`
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// Annotations without parameters: `@symmetric`.
    pub marks: Vec<Name>,
    /// The name.
    pub name: Name,
    /// The description string.
    pub description: Option<String>,
    /// Declarations in order.
    pub body: Vec<Decl>,
    /// True if a part could not be parsed. A missing declaration is then no mistake of its own.
    pub damaged: bool,
}

/// A declaration in an interface, an import file or a module of types.
#[derive(Debug, Clone, PartialEq)]
pub enum Decl {
    /// `import`
    Import(Import),
    /// `alias`, `typedef`, `use`
    Type(TypeDecl),
    /// `const`
    Const(Const),
    /// `message`, `call`, `response`, `rpc`
    Message(Message),
}

/// `const type name = value;`
#[derive(Debug, Clone, PartialEq)]
pub struct Const {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// Name of the type.
    pub ty: Name,
    /// The name.
    pub name: Name,
    /// The value.
    pub value: Int,
}

/// A length or a maximum in brackets: a number, or the name of a constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Size {
    /// A number.
    Int(Int),
    /// The name of a constant.
    Const(Name),
}

/// The declaration of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDecl {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// The new name.
    pub name: Name,
    /// Form of the declaration.
    pub kind: TypeDeclKind,
}

/// The forms of a type declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeDeclKind {
    /// `alias name builtin;`
    Alias(Name),
    /// `typedef struct { .. } name;`
    Struct(Vec<Arg>),
    /// `typedef union { .. } name;`
    Union(Vec<Arg>),
    /// `typedef enum { .. } name;`
    Enum(Vec<Element>),
    /// `typedef element name[length];`
    Array(Name, Size),
    /// `typedef old name;`
    Named(Name),
    /// `use path as name;`
    Use(Tokens),
}

/// An element of an enumeration.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// The name.
    pub name: Name,
}

/// An argument of a message or a field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// True for `optional`.
    pub optional: bool,
    /// Message of the rpc; `None` outside of an rpc.
    pub direction: Option<Direction>,
    /// Name of the type.
    pub ty: Name,
    /// The name.
    pub name: Name,
    /// Brackets after the name.
    pub suffix: Suffix,
}

/// Message of an rpc that an argument belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sent with the call.
    In,
    /// Returned with the response.
    Out,
    /// Returned in place of the response: the type behind `fails`, as an argument called `error`.
    Error,
}

impl Direction {
    /// The messages of an rpc, in order.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Error];
}

/// Brackets after the name of an argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Suffix {
    /// No brackets.
    None,
    /// `[bound]`: the maximum of a string, or the length of a fixed array.
    Bound(Int),
    /// `[length]` or `[length, max]`; `[bound]` if the name is that of a constant.
    Dynamic(Name, Option<Size>),
}

/// A message or an rpc.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Doc comments, attributes and visibility.
    pub attrs: Attrs,
    /// The annotations.
    pub annotations: Vec<Annotation>,
    /// Annotations without parameters, such as `@both`.
    pub marks: Vec<Name>,
    /// The keyword.
    pub word: Word,
    /// The name.
    pub name: Name,
    /// The arguments. The error of an rpc is the last one.
    pub args: Vec<Arg>,
    /// True if an argument could not be parsed.
    pub damaged: bool,
}

impl Message {
    /// Returns true for an rpc with an error of its own.
    pub fn fails(&self) -> bool {
        self.args.iter().any(|arg| arg.direction == Some(Direction::Error))
    }

    /// Returns the messages of an rpc, each with what its name ends with and the arguments that it has; nothing for a message.
    pub(crate) fn halves(&self) -> &'static [(&'static str, Direction)] {
        const HALVES: [(&str, Direction); 3] =
            [("_call", Direction::In), ("_response", Direction::Out), ("_error", Direction::Error)];
        match self.word {
            Word::Rpc if self.fails() => &HALVES,
            Word::Rpc => HALVES.split_at(2).0,
            Word::Message | Word::Call | Word::Response => &[],
        }
    }

    /// Returns true if the message has the mark `name`.
    pub(crate) fn is_marked(&self, name: &str) -> bool {
        is_marked(&self.marks, name)
    }
}

fn is_marked(marks: &[Name], name: &str) -> bool {
    marks.iter().any(|mark| mark.text == name)
}

/// The keyword of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `message`
    Message,
    /// `call`
    Call,
    /// `response`
    Response,
    /// `rpc`
    Rpc,
}

impl Interface {
    /// Returns true if the interface has the mark `name`.
    pub(crate) fn is_marked(&self, name: &str) -> bool {
        is_marked(&self.marks, name)
    }
}

impl Word {
    /// Returns the keyword as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Word::Message => "message",
            Word::Call => "call",
            Word::Response => "response",
            Word::Rpc => "rpc",
        }
    }
}

/// `@context(name=value, ..)`
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// The context.
    pub context: Name,
    /// The parameters.
    pub params: Vec<(Name, Value)>,
}

/// The value of an annotation's parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(Int),
    /// An identifier.
    Ident(Name),
}
