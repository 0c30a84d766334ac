//! What is wrong with an interface, and where.
//!
//! Every stage adds to one [`Diagnostics`] and goes on; a result exists only when the collection stayed empty.

use std::cell::Cell;
use std::sync::Arc;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use crate::source::SourceFile;

/// More diagnostics than this are counted and not shown.
pub const MAX_SHOWN: usize = 256;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// What kind of mistake a diagnostic is about. The documentation lists each with its cause and its cure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the stages that report them.
            pub const ALL: &[Code] = &[$(Code::$variant),+];

            /// The name to show and to search for, such as `duplicate-message`.
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
    /// A backslash followed by something that is no escape.
    BadEscape = "bad-escape",
    /// A character that no token begins with.
    BadCharacter = "bad-character",
    /// An identifier with an apostrophe.
    Apostrophe = "apostrophe",
    /// An identifier with letters other than `a` to `z`.
    NonAsciiName = "non-ascii-name",
    /// An identifier that is longer than anybody reads.
    NameTooLong = "name-too-long",
    /// A bracket that is never closed.
    UnclosedDelimiter = "unclosed-delimiter",
    /// A closing bracket without its opening one.
    UnexpectedClosing = "unexpected-closing",
    /// A number followed by letters.
    LiteralSuffix = "literal-suffix",
    /// A number that is not written as one.
    BadNumber = "bad-number",
    /// Text that is too long to be read.
    FileTooLarge = "file-too-large",

    /// One thing was expected and another found.
    Expected = "expected",
    /// A declaration that does not end with `;`.
    MissingSemicolon = "missing-semicolon",
    /// A keyword in upper case.
    KeywordCase = "keyword-case",
    /// A declaration that begins with no keyword.
    UnknownDeclaration = "unknown-declaration",
    /// Something that cannot stand outside of an interface.
    TrailingInput = "trailing-input",
    /// Input that declares nothing.
    EmptyUnit = "empty-unit",
    /// An annotation that is not `@context(name=value, ..)`.
    BadAnnotation = "bad-annotation",
    /// An attribute where it means nothing, or a malformed one.
    BadAttribute = "bad-attribute",
    /// `#[rust_name = ".."]` with something that is no identifier.
    BadRustName = "bad-rust-name",
    /// A visibility where it means nothing.
    BadVisibility = "bad-visibility",
    /// A name that belongs to the language, to Rust or to generated code.
    ReservedName = "reserved-name",
    /// An argument of an rpc without `in` or `out`.
    MissingDirection = "missing-direction",
    /// `in` or `out` outside of an rpc.
    StrayDirection = "stray-direction",
    /// `use` in a text file.
    UseInText = "use-in-text",
    /// `as` with something that is no path of a module.
    BadImportPath = "bad-import-path",
    /// Anything but types in an import file.
    NotAType = "not-a-type",
    /// A struct without fields.
    EmptyStruct = "empty-struct",
    /// An enumeration without elements.
    EmptyEnum = "empty-enum",

    /// An import that cannot be read.
    ImportFailed = "import-failed",
    /// Files that import each other.
    ImportCycle = "import-cycle",
    /// One file imported as two modules.
    ImportConflict = "import-conflict",
    /// Two interfaces or modules of one name.
    DuplicateModule = "duplicate-module",

    /// Two types of one name.
    DuplicateType = "duplicate-type",
    /// Two fields of one name.
    DuplicateField = "duplicate-field",
    /// Two elements of one name.
    DuplicateElement = "duplicate-element",
    /// Two messages of one name.
    DuplicateMessage = "duplicate-message",
    /// Two arguments of one name.
    DuplicateArgument = "duplicate-argument",
    /// Two names that are one after casing.
    NameCollision = "name-collision",
    /// A name that generated code needs for itself.
    GeneratedName = "generated-name",

    /// A type that is declared nowhere.
    UnknownType = "unknown-type",
    /// A type that is declared further down.
    UseBeforeDeclaration = "use-before-declaration",
    /// A type that contains itself.
    RecursiveType = "recursive-type",
    /// `alias` of something other than a builtin type.
    AliasOfType = "alias-of-type",
    /// `type name[8]` where only a string can be bounded.
    BoundWithoutString = "bound-without-string",
    /// A dynamic array in a struct.
    ArrayInStruct = "array-in-struct",
    /// An array of capabilities.
    CapArray = "cap-array",
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
    /// More messages than the wire can number.
    TooManyMessages = "too-many-messages",
    /// More capabilities than a message can carry.
    TooManyCaps = "too-many-caps",
    /// An interface whose canonical form is out of proportion.
    TooComplex = "too-complex",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a token stands: in Rust source (the span), in interface text (the range), or in a text that Rust source
/// imports (both; the span is that of the import).
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Where rustc shows it.
    pub span: Span,
    /// Where it stands in text.
    pub text: Option<TextRange>,
}

/// A range of bytes of a source file of a [`Diagnostics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextRange {
    /// The number of the file.
    pub source: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

impl Place {
    /// A place in Rust source.
    pub fn of_span(span: Span) -> Self {
        Self { span, text: None }
    }

    /// The empty place behind this one.
    pub(crate) fn after(self) -> Self {
        Self { span: self.span, text: self.text.map(|text| TextRange { start: text.end, ..text }) }
    }
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// What kind.
    pub code: Code,
    /// The token at fault.
    pub span: Place,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// What to say at the token; may be empty.
    pub label: String,
    /// Other places that take part.
    pub secondary: Vec<(Place, String)>,
    /// Facts that explain.
    pub notes: Vec<String>,
    /// How to put it right.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A mistake of kind `code` at `span`.
    pub fn new(code: Code, span: Place, message: impl Into<String>) -> Self {
        let (secondary, notes, help) = Default::default();
        Self { code, span, message: message.into(), label: String::new(), secondary, notes, help }
    }

    /// Says `label` at the token.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points to another place.
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.secondary.push((place, label.into()));
        self
    }

    /// Adds a fact.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// The mistakes found so far, and the text that they point into.
///
/// Dropping one that holds mistakes nobody looked at is a bug of the caller: it panics in builds with debug assertions.
#[must_use]
#[derive(Debug, Default)]
pub struct Diagnostics(Box<State>);

#[derive(Debug, Default)]
struct State {
    list: Vec<Diagnostic>,
    /// How many were not kept, beyond [`MAX_SHOWN`].
    more: usize,
    sources: Vec<Arc<SourceFile>>,
    read: Cell<bool>,
}

impl Diagnostics {
    /// An empty collection.
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

    /// How many mistakes there are, those beyond [`MAX_SHOWN`] included.
    pub fn len(&self) -> usize {
        self.0.list.len() + self.0.more
    }

    /// How many mistakes were counted and not kept.
    pub fn omitted(&self) -> usize {
        self.0.more
    }

    /// Returns the mistakes, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.read.set(true);
        self.0.list.iter()
    }

    /// The file that a [`TextRange::source`] numbers.
    pub fn source(&self, number: usize) -> Option<&Arc<SourceFile>> {
        self.0.sources.get(number)
    }

    /// Drops the diagnostics, on purpose.
    pub fn discard(self) {
        self.0.read.set(true);
    }

    /// One `::core::compile_error!` per mistake, at its token. A macro error has one span, so that other places become
    /// lines of the text.
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

    /// Sorts the mistakes by position: stages find them in another order.
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

/// Returns the text of a diagnostic for an error of rustc, which has one span: other places become lines of the text.
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
