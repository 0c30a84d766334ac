//! Environment variables of the runtime directory, read once.

use std::env;
use std::ffi::OsString;
use std::path::{PathBuf, absolute};
use std::sync::OnceLock;

use crate::sys;

/// The environment as it was at the first use.
static SETTINGS: OnceLock<Settings> = OnceLock::new();

#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `FLOUNDER_RUNTIME_DIR`.
    pub(super) named: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub(super) xdg: Option<PathBuf>,
    /// `FLOUNDER_TRUST_UID`.
    pub(super) trusted: Option<u32>,
}

impl Settings {
    pub(super) fn here() -> &'static Self {
        SETTINGS.get_or_init(|| match sys::is_secure() {
            true => Self::default(),
            false => Self::read(|name| env::var_os(name)),
        })
    }

    pub(super) fn read(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| var(name).filter(|value| !value.is_empty());
        let named = set("FLOUNDER_RUNTIME_DIR").map(PathBuf::from);
        Self {
            // If the working directory is gone the path stays relative, and opening it fails.
            named: named.map(|path| absolute(&path).unwrap_or(path)),
            xdg: set("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()),
            trusted: set("FLOUNDER_TRUST_UID").and_then(|uid| uid.to_str()?.parse().ok()),
        }
    }
}

/// Returns the settings if they were read before.
pub(super) fn read_already() -> Option<&'static Settings> {
    SETTINGS.get()
}

/// Returns the settings of an environment with these variables.
#[cfg(test)]
pub(super) fn from_vars(vars: &[(&str, &str)]) -> Settings {
    let find = |name: &str| vars.iter().find(|(set, _)| *set == name);
    Settings::read(|name| find(name).map(|(_, value)| OsString::from(value)))
}
