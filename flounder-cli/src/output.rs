//! Output of the command, where writing can fail: a full disk, a closed pipe.

use core::fmt;
use std::io::{self, Write};

/// Writes the result of a command to standard output. A closed pipe is not an error: its reader has seen enough.
///
/// # Errors
/// If the text cannot be written, such as to a full disk.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a line for people to standard error. `eprintln!` panics where that fails, and a daemon must not end because its
/// log is full.
pub(crate) fn tell(line: impl fmt::Display) {
    let line = format!("{line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
