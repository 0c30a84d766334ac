//! An interface as it was written: a place on every name, and no meaning.
//!
//! Two trees are equal when they say the same, wherever it stands and however it is laid out.

use proc_macro2::TokenStream;

use crate::diag::Place;

/// One input: a macro call or a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unit {
    /// What it declares, in order.
    pub items: Vec<Item>,
}

/// What a unit declares.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `import "file.if";`
    Import(Import),
    /// `types name { .. };`
    Types(Types),
    /// `interface name { .. };`
    Interface(Interface),
}

/// A word that names something.
#[derive(Debug, Clone)]
pub struct Name {
    /// Without `r#`.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// A number.
#[derive(Debug, Clone)]
pub struct Int {
    /// The value; `None` if the literal has none, which was reported.
    pub value: Option<u64>,
    /// True after a minus.
    pub negative: bool,
    /// Where it stands.
    pub place: Place,
}

impl PartialEq for Int {
    fn eq(&self, other: &Self) -> bool {
        (self.value, self.negative) == (other.value, other.negative)
    }
}

/// Tokens of Rust that are passed on as they are.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// What they are.
    pub stream: TokenStream,
    /// Where they begin.
    pub place: Place,
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.stream.to_string() == other.stream.to_string()
    }
}

/// What can stand before a declaration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attrs {
    /// Doc comment lines.
    pub docs: Vec<String>,
    /// `#[rust_name = ".."]`
    pub rust_name: Option<Name>,
    /// Other attributes, whole.
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
    /// The module that holds its types already.
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
    /// What stands before it.
    pub attrs: Attrs,
    /// The module's name.
    pub name: Name,
    /// Types and imports, in order of declaration.
    pub body: Vec<Decl>,
}

/// `interface name "description" { .. };`
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// What stands before it.
    pub attrs: Attrs,
    /// Its name.
    pub name: Name,
    /// The description string.
    pub description: Option<String>,
    /// What it declares, in order.
    pub body: Vec<Decl>,
    /// Something in it could not be read: that something is missing proves nothing.
    pub damaged: bool,
}

/// A declaration in an interface, an import file or a module of types.
#[derive(Debug, Clone, PartialEq)]
pub enum Decl {
    /// `import`
    Import(Import),
    /// `alias`, `typedef`, `use`
    Type(TypeDecl),
    /// `message`, `call`, `response`, `rpc`
    Message(Message),
}

/// The declaration of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDecl {
    /// What stands before it.
    pub attrs: Attrs,
    /// The new name.
    pub name: Name,
    /// What it names.
    pub kind: TypeDeclKind,
}

/// The forms of a type declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeDeclKind {
    /// `alias name builtin;`
    Alias(Name),
    /// `typedef struct { .. } name;`
    Struct(Vec<Arg>),
    /// `typedef enum { .. } name;`
    Enum(Vec<Element>),
    /// `typedef element name[length];`
    Array(Name, Int),
    /// `typedef old name;`
    Named(Name),
    /// `use path as name;`
    Use(Tokens),
}

/// An element of an enumeration.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// What stands before it.
    pub attrs: Attrs,
    /// Its name.
    pub name: Name,
}

/// An argument of a message or a field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// What stands before it.
    pub attrs: Attrs,
    /// Which way it goes, in an rpc.
    pub direction: Option<Direction>,
    /// The name of its type.
    pub ty: Name,
    /// Its name.
    pub name: Name,
    /// What stands behind it.
    pub suffix: Suffix,
}

/// Which way an argument of an rpc goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// With the call.
    In,
    /// With the response.
    Out,
}

/// What stands behind the name of an argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Suffix {
    /// Nothing.
    None,
    /// `[bound]`
    Bound(Int),
    /// `[length]` or `[length, max]`
    Dynamic(Name, Option<Int>),
}

/// A message or an rpc.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What stands before it.
    pub attrs: Attrs,
    /// The annotations.
    pub annotations: Vec<Annotation>,
    /// The keyword.
    pub word: Word,
    /// Its name.
    pub name: Name,
    /// The arguments.
    pub args: Vec<Arg>,
    /// The arguments could not all be read.
    pub damaged: bool,
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

impl Word {
    /// As it is written.
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
    /// A word.
    Ident(Name),
}
