//! Compiles interface files in a build script.
//!
//! `flounder! { file = "test.if"; }` reads interface files without a build script, and is the first choice. A build script is
//! for what a macro cannot do: the generated code is a file that people can read, and a package hands its interface files to
//! the packages that depend on it.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), flounder_build::Error> {
//!     flounder_build::Config::new().files(["if/test.if"]).compile()
//! }
//! ```
//! ```text
//! // src/lib.rs
//! flounder::include_flounder!("test");      // pub mod test { .. }
//! ```
//!
//! The code is that of the macro, token for token, and so are the mistakes and their places. `docs/build.md` describes
//! build scripts as a whole.

#![forbid(unsafe_code)]

mod cargo;
mod error;
mod generate;
mod imports;

use std::collections::BTreeSet;
use std::path::PathBuf;

pub use error::Error;

use cargo::Cargo;

/// What a build script compiles, and what it hands to other packages.
///
/// Paths are relative to the folder of the package.
///
/// ```no_run
/// fn main() -> Result<(), flounder_build::Error> {
///     flounder_build::Config::new()
///         .files(["if/area.if", "if/volume.if"])
///         .dependency("shapes") // finds `import "shapes.if" as ::shapes::shapes;`
///         .export("if")
///         .compile()
/// }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is compiled before `compile`"]
pub struct Config {
    files: Vec<PathBuf>,
    dependencies: Vec<String>,
    exported: Option<PathBuf>,
    runtime: Option<String>,
}

impl Config {
    /// Creates a configuration that compiles nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds interface files. `if/test.if` becomes what `flounder::include_flounder!("test")` includes.
    pub fn files<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.files.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Finds imports also in the folder that a dependency [exports](Self::export). `links` is the key `links` of the
    /// manifest of that package, which is among the `[dependencies]` of this one.
    ///
    /// An import is looked for beside the file that contains it, then in the folders of the dependencies in order.
    pub fn dependency(mut self, links: impl Into<String>) -> Self {
        self.dependencies.push(links.into());
        self
    }

    /// Exports a folder of interface files to packages that depend on this one. The manifest of this package has a key
    /// `links`, which names the package for [`dependency`](Self::dependency).
    pub fn export(mut self, folder: impl Into<PathBuf>) -> Self {
        self.exported = Some(folder.into());
        self
    }

    /// Sets the path of the crate `flounder` in generated code, which is `::flounder` unless set: the setting `crate` of
    /// `flounder!`.
    pub fn runtime(mut self, path: impl Into<String>) -> Self {
        self.runtime = Some(path.into());
        self
    }

    /// Compiles the files, writes the code below `OUT_DIR`, and has Cargo run the build script again when one of the files
    /// or of their imports changes.
    ///
    /// # Errors
    /// [`Error::Interface`] with all mistakes of a file; `main` returns it, and Cargo shows it. The other variants are about
    /// the build script and its surroundings.
    ///
    /// # Panics
    /// If standard output is closed, through which a build script talks to Cargo.
    pub fn compile(self) -> Result<(), Error> {
        let cargo = Cargo::of_this_script()?;
        let mut instructions = BTreeSet::new();
        let result = generate::run(&self, &cargo, &mut instructions);
        for instruction in instructions {
            println!("cargo::{instruction}");
        }
        result
    }
}
