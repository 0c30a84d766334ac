//! What Cargo tells a build script, and what the script answers.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;

/// Name under which a package exports the folder of its interface files.
const EXPORTED: &str = "interfaces";

/// The environment of a build script.
#[derive(Debug)]
pub(crate) struct Cargo {
    /// Folder of the package.
    pub(crate) package: PathBuf,
    /// Folder for generated files.
    pub(crate) output: PathBuf,
    /// True if the package has a key `links`.
    pub(crate) has_links: bool,
    /// All variables.
    variables: HashMap<OsString, OsString>,
}

impl Cargo {
    /// Returns the environment of this process.
    pub(crate) fn of_this_script() -> Result<Self, Error> {
        Self::of(std::env::vars_os().collect())
    }

    pub(crate) fn of(variables: HashMap<OsString, OsString>) -> Result<Self, Error> {
        let folder = |name: &'static str| {
            let value = variables.get(&OsString::from(name)).map(PathBuf::from);
            value.ok_or(Error::NoBuildScript { variable: name })
        };
        Ok(Self {
            package: folder("CARGO_MANIFEST_DIR")?,
            output: folder("OUT_DIR")?,
            has_links: variables.contains_key(&OsString::from("CARGO_MANIFEST_LINKS")),
            variables,
        })
    }

    /// Returns the folder that the dependency with this key `links` exports.
    pub(crate) fn exported_by(&self, links: &str) -> Result<PathBuf, Error> {
        let upper = |text: &str| text.to_uppercase().replace('-', "_");
        let variable = format!("DEP_{}_{}", upper(links), upper(EXPORTED));
        let folder = self.variables.get(&OsString::from(variable)).map(PathBuf::from);
        folder.ok_or_else(|| Error::NoDependency { links: links.to_owned() })
    }
}

/// What Cargo is to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Instruction {
    /// Run the build script again when this file changes.
    Watch(PathBuf),
    /// Pass this folder to the build scripts of dependents.
    Export(PathBuf),
}

impl Instruction {
    /// Returns the path, unless Cargo would read another one: it reads a line of text.
    pub(crate) fn path(path: &Path) -> Result<PathBuf, Error> {
        match path.to_str() {
            Some(text) if !text.contains('\n') => Ok(path.to_owned()),
            _ => Err(Error::Path { path: path.to_owned() }),
        }
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch(path) => write!(f, "rerun-if-changed={}", path.display()),
            Self::Export(path) => write!(f, "metadata={EXPORTED}={}", path.display()),
        }
    }
}
