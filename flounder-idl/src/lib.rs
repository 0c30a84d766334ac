//! The front end of the Flounder language: text or tokens in, a checked model out.
//!
//! ```text
//! tokens of a macro ┐
//!                   ├─ token ─ parse ─ resolve ─ check ─ lower ─ model::Unit
//! text of a file    ┘                     │
//!                                      Sources (imports)
//! ```
//!
//! Every stage runs to its end and adds its mistakes to one [`Diagnostics`]. A model is returned only if there are none.
//! The language itself is described in `docs/idl.md`.
//!
//! ```
//! use flounder_idl::source::{MemorySources, SourceFile};
//!
//! let file = SourceFile::new("hello.if", "interface hello { rpc greet(in string name, out string greeting); };");
//! let unit = flounder_idl::compile_text(file, &[], &MemorySources::new()).expect("the interface is correct");
//! assert_eq!(unit.interfaces[0].messages[0].canonical, "rpc-call greet_call(name:string[65536])");
//! ```

#![forbid(unsafe_code)]

pub mod ast;
pub mod check;
pub mod diag;
pub mod lower;
pub mod model;
pub mod names;
mod parse;
pub mod print;
pub mod render;
mod resolve;
pub mod salvage;
pub mod source;
mod token;

use std::path::PathBuf;
use std::sync::Arc;

use proc_macro2::{Span, TokenStream};

pub use diag::{Code, Diagnostic, Diagnostics};
pub use model::Unit;
pub use salvage::Salvage;
pub use source::{SourceFile, Sources};

/// Error of the front end: all mistakes. `Display` lists them; [`render`] shows them with their places.
pub struct Failure {
    /// The mistakes; never empty.
    pub diagnostics: Diagnostics,
    /// The declarations that could be parsed.
    pub salvage: Salvage,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.diagnostics.len() {
            1 => f.write_str("there is a mistake in the interface: ")?,
            count => write!(f, "there are {count} mistakes in the interface: ")?,
        }
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}", diagnostic.message)?;
        }
        match self.diagnostics.omitted() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Same text as `Display`, because `main` prints the `Debug` of the error that it returns.
impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Compiles the tokens of a macro call.
///
/// # Errors
///
/// Returns all mistakes of the interfaces, and the declarations that could be parsed.
pub fn compile_tokens(tokens: TokenStream, sources: &dyn Sources) -> Result<Unit, Failure> {
    let mut diagnostics = Diagnostics::new();
    let tokens = token::from_stream(tokens, &mut diagnostics);
    let unit = parse::unit(&tokens, None, &mut diagnostics);
    compile(&unit, None, &[], sources, diagnostics)
}

/// Compiles the text of a file. `imports` are read before it, in order; each sees the types of the earlier ones.
///
/// # Errors
///
/// Returns all mistakes of the interfaces, and the declarations that could be parsed.
pub fn compile_text(
    main: SourceFile,
    imports: &[SourceFile],
    sources: &dyn Sources,
) -> Result<Unit, Failure> {
    let mut diagnostics = Diagnostics::new();
    let main = Arc::new(main);
    let unit = match resolve::root_source(&main, &mut diagnostics) {
        Some(source) => {
            let tokens = token::from_text(source, main.text(), Span::call_site(), &mut diagnostics);
            parse::unit(&tokens, Some(main.text()), &mut diagnostics)
        }
        None => ast::Unit::default(),
    };
    let imports: Vec<(Arc<SourceFile>, usize)> = imports
        .iter()
        .filter_map(|file| {
            let file = Arc::new(file.clone());
            resolve::root_source(&file, &mut diagnostics).map(|source| (file, source))
        })
        .collect();
    compile(&unit, Some(&main), &imports, sources, diagnostics)
}

/// Parses a file without resolving names, for formatters.
///
/// # Errors
///
/// Returns all syntax errors.
pub fn parse_text(file: SourceFile) -> Result<ast::Unit, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let file = Arc::new(file);
    let unit = resolve::root_source(&file, &mut diagnostics).map(|source| {
        let tokens = token::from_text(source, file.text(), Span::call_site(), &mut diagnostics);
        parse::unit(&tokens, Some(file.text()), &mut diagnostics)
    });
    match unit {
        Some(unit) if diagnostics.is_empty() => Ok(unit),
        _ => Err(diagnostics),
    }
}

fn compile(
    unit: &ast::Unit,
    main: Option<&SourceFile>,
    imports: &[(Arc<SourceFile>, usize)],
    sources: &dyn Sources,
    mut diagnostics: Diagnostics,
) -> Result<Unit, Failure> {
    // The resolver also runs after syntax errors. It reports only mistakes that cannot be consequences of them.
    let resolver = resolve::Resolver::new(sources, &mut diagnostics);
    let (resolved, files): (_, Vec<PathBuf>) = resolver.unit(unit, main, imports);
    match check::check(resolved, &mut diagnostics) {
        Some(checked) => Ok(lower::lower(checked, files)),
        None => {
            diagnostics.sort();
            Err(Failure { diagnostics, salvage: salvage::salvage(unit, files) })
        }
    }
}
