//! Why a build script fails.

use std::error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Error of [`Config::compile`](crate::Config::compile).
///
/// `Debug` is the text of `Display`, because `main` prints the `Debug` of the error that it returns.
#[non_exhaustive]
pub enum Error {
    /// An interface file has mistakes.
    Interface {
        /// Number of mistakes.
        mistakes: usize,
        /// The mistakes with their places: the lines at fault, with carets under the tokens.
        report: String,
    },
    /// A file or folder cannot be read or written.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        error: io::Error,
    },
    /// Two files have one name, and so would their code.
    SameName {
        /// Name without the folder and without `.if`.
        name: String,
    },
    /// A file is not named so that `include_flounder!` could name it: in UTF-8, and not empty.
    Path {
        /// Path of the file.
        path: PathBuf,
    },
    /// A dependency exports no interface files, or the package does not depend on it.
    NoDependency {
        /// Key `links` of the dependency.
        links: String,
    },
    /// The package exports interface files, and its manifest has no key `links`.
    NoLinks,
    /// The path of the crate `flounder` is no path.
    Runtime {
        /// What was given.
        path: String,
    },
    /// A variable that Cargo sets is missing: the program is no build script.
    NoBuildScript {
        /// Name of the variable.
        variable: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface { mistakes: 1, report } => {
                write!(f, "there is a mistake in an interface\n\n{report}")
            }
            Self::Interface { mistakes, report } => {
                write!(f, "there are {mistakes} mistakes in an interface\n\n{report}")
            }
            Self::File { path, error } => write!(
                f,
                "cannot use {}: {error}\n= help: a path is relative to the folder of the package",
                path.display()
            ),
            Self::SameName { name } => write!(
                f,
                "two files are named `{name}`, and only one can be included by that name\n= help: rename one"
            ),
            Self::Path { path } => write!(
                f,
                "the path {} is not UTF-8, or has a line break, or names no file\n= help: rename the file",
                path.display()
            ),
            Self::NoDependency { links } => write!(
                f,
                "no dependency with `links = \"{links}\"` exports interface files\n= help: name the package in \
                 [dependencies], not in [build-dependencies], and call `export` in its build script"
            ),
            Self::NoLinks => f.write_str(
                "a package that exports interface files needs a name for its dependents\n= help: add `links = \"..\"` to \
                 [package] in Cargo.toml",
            ),
            Self::Runtime { path } => write!(
                f,
                "`{path}` is not the path of a crate or module\n= help: write `::name` or `crate::path`"
            ),
            Self::NoBuildScript { variable } => write!(
                f,
                "the variable {variable} is not set\n= help: call this in a build script, which Cargo runs"
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // The text of an error of the system is part of `Display`.
        None
    }
}
