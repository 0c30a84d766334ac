//! Output of the command. Writing can fail, for example to a full disk or a closed pipe.

use core::fmt;
use std::io::{self, Write};

/// Writes the result of a command to standard output. A closed pipe is not an error: its reader has read enough.
///
/// # Errors
/// If the text cannot be written, for example to a full disk.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a line to standard error, and ignores an error. `eprintln!` would panic, and a daemon must not end because its log is
/// full.
pub(crate) fn tell(line: impl fmt::Display) {
    let line = format!("{line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
