//! Diagnostics: mistakes in an interface, with their places.
//!
//! Every stage adds its mistakes to one [`Diagnostics`] and continues. The front end returns a model only if the
//! collection is empty at the end.

use std::cell::Cell;
use std::sync::Arc;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use crate::source::SourceFile;

/// Maximum number of diagnostics that are kept. Further ones are only counted.
pub const MAX_SHOWN: usize = 256;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// Kind of a mistake. The documentation lists each kind with its cause and the fix.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the stages that report them.
            pub const ALL: &[Code] = &[$(Code::$variant),+];

            /// Returns the name that is shown to users, such as `duplicate-message`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $text,)+
                }
            }
        }
    };
}

codes! {
    /// A `/*` without its `*/`.
    UnterminatedComment = "unterminated-comment",
    /// A string literal that does not end on its line.
    UnterminatedString = "unterminated-string",
    /// A backslash that begins no escape sequence.
    BadEscape = "bad-escape",
    /// A character that no token begins with.
    BadCharacter = "bad-character",
    /// An identifier with an apostrophe.
    Apostrophe = "apostrophe",
    /// An identifier with letters other than `a` to `z`.
    NonAsciiName = "non-ascii-name",
    /// An identifier over the maximum length.
    NameTooLong = "name-too-long",
    /// A bracket that is never closed.
    UnclosedDelimiter = "unclosed-delimiter",
    /// A closing bracket without its opening one.
    UnexpectedClosing = "unexpected-closing",
    /// A number followed by letters.
    LiteralSuffix = "literal-suffix",
    /// A malformed number.
    BadNumber = "bad-number",
    /// A file over the maximum size.
    FileTooLarge = "file-too-large",

    /// A token other than the expected one.
    Expected = "expected",
    /// A declaration that does not end with `;`.
    MissingSemicolon = "missing-semicolon",
    /// A keyword in upper case.
    KeywordCase = "keyword-case",
    /// A declaration that begins with no keyword.
    UnknownDeclaration = "unknown-declaration",
    /// A declaration that is allowed only inside an interface.
    TrailingInput = "trailing-input",
    /// Input that declares nothing.
    EmptyUnit = "empty-unit",
    /// An annotation that is not `@context(name=value, ..)`.
    BadAnnotation = "bad-annotation",
    /// An annotation without parameters that does not exist, stands twice, or where it means nothing.
    BadMark = "bad-mark",
    /// An attribute on a declaration that takes none, or a malformed one.
    BadAttribute = "bad-attribute",
    /// `#[rust_name = ".."]` whose value is not an identifier.
    BadRustName = "bad-rust-name",
    /// A visibility on a declaration that takes none.
    BadVisibility = "bad-visibility",
    /// A name that is reserved by the language, by Rust or by generated code.
    ReservedName = "reserved-name",
    /// An argument of an rpc without `in` or `out`.
    MissingDirection = "missing-direction",
    /// `in` or `out` outside of an rpc.
    StrayDirection = "stray-direction",
    /// `use` in a text file.
    UseInText = "use-in-text",
    /// `as` without a module path.
    BadImportPath = "bad-import-path",
    /// A declaration other than a type in an import file.
    NotAType = "not-a-type",
    /// A struct without fields.
    EmptyStruct = "empty-struct",
    /// A union without fields.
    EmptyUnion = "empty-union",
    /// An enumeration without elements.
    EmptyEnum = "empty-enum",

    /// An import that cannot be read.
    ImportFailed = "import-failed",
    /// Files that import each other.
    ImportCycle = "import-cycle",
    /// One file imported as two modules.
    ImportConflict = "import-conflict",
    /// Two interfaces or modules with one name.
    DuplicateModule = "duplicate-module",

    /// Two types or constants of one name.
    DuplicateType = "duplicate-type",
    /// Two fields of one name.
    DuplicateField = "duplicate-field",
    /// Two elements of one name.
    DuplicateElement = "duplicate-element",
    /// Two messages of one name.
    DuplicateMessage = "duplicate-message",
    /// Two arguments of one name.
    DuplicateArgument = "duplicate-argument",
    /// Two names that become one Rust name.
    NameCollision = "name-collision",
    /// A name that generated code uses.
    GeneratedName = "generated-name",

    /// A type that is declared nowhere.
    UnknownType = "unknown-type",
    /// A type that is declared after its use.
    UseBeforeDeclaration = "use-before-declaration",
    /// A constant of another type than an integer.
    ConstantType = "constant-type",
    /// A constant whose value its type does not have.
    ConstantRange = "constant-range",
    /// A constant that is not called in capitals.
    ConstantName = "constant-name",
    /// A name in brackets that is that of no constant.
    UnknownConstant = "unknown-constant",
    /// The length of a dynamic array is called as a constant.
    LengthIsConstant = "length-is-constant",
    /// A type that contains itself.
    RecursiveType = "recursive-type",
    /// `alias` of something other than a builtin type.
    AliasOfType = "alias-of-type",
    /// A bulk argument without a maximum.
    BulkWithoutMax = "bulk-without-max",
    /// `bulk` in the declaration of a type, or `optional bulk`.
    MisplacedBulk = "misplaced-bulk",
    /// The length of a fixed array is out of range.
    BadLength = "bad-length",
    /// The maximum of a string or of a dynamic array is out of range.
    BadBound = "bad-bound",
    /// A type of more than 64 KiB.
    TypeTooLarge = "type-too-large",
    /// Types nested too deeply.
    TypeTooDeep = "type-too-deep",

    /// A type after the first message.
    TypeAfterMessage = "type-after-message",
    /// An interface without messages.
    NoMessage = "no-message",
    /// More messages than the wire header can number.
    TooManyMessages = "too-many-messages",
    /// More capabilities than a message can carry.
    TooManyCaps = "too-many-caps",
    /// More bulk arguments in a message than its receiver looks at.
    TooManyBulks = "too-many-bulks",
    /// An interface whose canonical forms are too long together.
    TooComplex = "too-complex",

    /// An annotation `ata` on a message.
    AtaNotRpc = "ata-not-rpc",
    /// A parameter that `ata` does not have.
    AtaUnknownParam = "ata-unknown-param",
    /// A parameter that is given twice, or a second annotation `ata`.
    AtaDuplicateParam = "ata-duplicate-param",
    /// A command without its number.
    AtaMissingCommand = "ata-missing-command",
    /// A value that its parameter cannot have.
    AtaBadValue = "ata-bad-value",
    /// A parameter that names no argument of its rpc.
    AtaUnknownArgument = "ata-unknown-argument",
    /// Data that names an `in` and an `out` argument.
    AtaAmbiguousArgument = "ata-ambiguous-argument",
    /// An `out` argument in place of a number.
    AtaOutArgument = "ata-out-argument",
    /// An argument in place of a number that is none.
    AtaNotANumber = "ata-not-a-number",
    /// Data of another type than bytes.
    AtaNotBytes = "ata-not-bytes",
    /// Data to read whose size is given by nothing.
    AtaMissingSize = "ata-missing-size",
    /// Data whose size is given twice.
    AtaAmbiguousSize = "ata-ambiguous-size",
    /// A parameter that is about data, on a command that has none.
    AtaWithoutData = "ata-without-data",
    /// `is_write` that disagrees with the direction of the data.
    AtaDirection = "ata-direction",
    /// A result that no command has.
    AtaBadResult = "ata-bad-result",
    /// An `in` argument that no parameter names.
    AtaUnusedArgument = "ata-unused-argument",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Place of a token: in Rust source (the span), in interface text (the range), or in a text that Rust source imports
/// (both; the span is that of the import).
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Span that rustc shows.
    pub span: Span,
    /// Range in interface text.
    pub text: Option<TextRange>,
}

/// A range of bytes of a source file of a [`Diagnostics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextRange {
    /// Index of the file in its [`Diagnostics`].
    pub source: usize,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Place {
    /// Returns a place in Rust source.
    pub fn of_span(span: Span) -> Self {
        Self { span, text: None }
    }

    /// Returns the empty place after this one.
    pub(crate) fn after(self) -> Self {
        Self { span: self.span, text: self.text.map(|text| TextRange { start: text.end, ..text }) }
    }
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Kind of the mistake.
    pub code: Code,
    /// The token at fault.
    pub span: Place,
    /// Message, in lower case and without a full stop.
    pub message: String,
    /// Label at the token; may be empty.
    pub label: String,
    /// Related places, each with a label.
    pub secondary: Vec<(Place, String)>,
    /// Notes that explain the mistake.
    pub notes: Vec<String>,
    /// Ways to fix the mistake.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// Creates a diagnostic of kind `code` at `place`.
    pub fn new(code: Code, span: Place, message: impl Into<String>) -> Self {
        let (secondary, notes, help) = Default::default();
        Self { code, span, message: message.into(), label: String::new(), secondary, notes, help }
    }

    /// Sets the label at the token.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a related place.
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.secondary.push((place, label.into()));
        self
    }

    /// Adds a note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a help text: a way to fix the mistake.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// The mistakes found so far, and the texts that they point into.
///
/// # Panics
///
/// With debug assertions, dropping a collection with unread mistakes panics: the caller would lose them.
#[must_use]
#[derive(Debug, Default)]
pub struct Diagnostics(Box<State>);

#[derive(Debug, Default)]
struct State {
    list: Vec<Diagnostic>,
    /// Number of mistakes beyond [`MAX_SHOWN`], which are not kept.
    more: usize,
    sources: Vec<Arc<SourceFile>>,
    read: Cell<bool>,
}

impl Diagnostics {
    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a mistake.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.0.list.len() < MAX_SHOWN {
            self.0.list.push(diagnostic);
        } else {
            self.0.more += 1;
        }
    }

    /// Returns true if there are no diagnostics.
    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// Returns the number of mistakes, including those beyond [`MAX_SHOWN`].
    pub fn len(&self) -> usize {
        self.0.list.len() + self.0.more
    }

    /// Returns the number of mistakes beyond [`MAX_SHOWN`], which were only counted.
    pub fn omitted(&self) -> usize {
        self.0.more
    }

    /// Returns the mistakes, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.read.set(true);
        self.0.list.iter()
    }

    /// Returns the file with index [`TextRange::source`].
    pub fn source(&self, number: usize) -> Option<&Arc<SourceFile>> {
        self.0.sources.get(number)
    }

    /// Drops the diagnostics unread, without the panic.
    pub fn discard(self) {
        self.0.read.set(true);
    }

    /// Returns one `::core::compile_error!` per mistake, at its token. A macro error has one span, so related places
    /// become lines of its text.
    pub fn into_compile_error(self) -> TokenStream {
        let errors = self.iter().map(|diagnostic| {
            let text = one_span(&self, diagnostic);
            quote_spanned! { diagnostic.span.span => ::core::compile_error! { #text } }
        });
        let mut tokens: TokenStream = errors.collect();
        if self.0.more > 0 {
            let text = format!("{} more errors are not shown", self.0.more);
            tokens.extend(quote::quote! { ::core::compile_error! { #text } });
        }
        tokens
    }

    pub(crate) fn add_source(&mut self, file: Arc<SourceFile>) -> usize {
        self.0.sources.push(file);
        self.0.sources.len() - 1
    }

    /// Sorts the mistakes by position: stages report them in another order.
    pub(crate) fn sort(&mut self) {
        self.0.list.sort_by_key(|diagnostic| {
            let start = diagnostic.span.span.start();
            (start.line, start.column, diagnostic.span.text)
        });
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        if cfg!(debug_assertions)
            && !self.is_empty()
            && !self.0.read.get()
            && !std::thread::panicking()
        {
            panic!(
                "{} diagnostics were dropped unread, the first: {}",
                self.len(),
                self.0.list[0].message
            );
        }
    }
}

/// Returns the text of a diagnostic for rustc. A rustc error has one span, so related places become lines of the text.
fn one_span(diagnostics: &Diagnostics, diagnostic: &Diagnostic) -> String {
    let mut out = diagnostic.message.clone();
    let mut add = |kind: &str, text: &str, at: Option<String>| {
        let at = at.map(|at| format!(" ({at})")).unwrap_or_default();
        out.push_str(&format!("\n= {kind}: {text}{at}"));
    };
    if let Some(at) = in_text(diagnostics, diagnostic.span) {
        add("note", if diagnostic.label.is_empty() { "here" } else { &diagnostic.label }, Some(at));
    }
    for (place, text) in &diagnostic.secondary {
        add("note", text, in_text(diagnostics, *place).or_else(|| in_rust(*place)));
    }
    for note in &diagnostic.notes {
        add("note", note, None);
    }
    for help in &diagnostic.help {
        add("help", help, None);
    }
    out
}

fn in_text(diagnostics: &Diagnostics, place: Place) -> Option<String> {
    let range = place.text?;
    let source = diagnostics.source(range.source)?;
    let (line, column) = source.line_column(range.start);
    Some(format!("{}:{line}:{column}", source.path().display()))
}

fn in_rust(place: Place) -> Option<String> {
    let start = place.span.start();
    // A span without a location has line 0.
    (start.line > 0).then(|| format!("line {}, column {}", start.line, start.column + 1))
}
