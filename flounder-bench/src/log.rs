//! Messages for the user, on standard error.

use std::fmt::Display;
use std::io::Write;

/// Writes a line to standard error. Unlike `eprintln!`, does not panic if that fails.
pub(crate) fn warn(line: impl Display) {
    let line = format!("{line}\n");
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
