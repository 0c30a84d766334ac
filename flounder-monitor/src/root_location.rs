//! Location of a root monitor, for error messages.

use core::fmt;
use std::path::PathBuf;

use flounder_rt::{Escaped, Peer};

use crate::process::is_proc_of_this_namespace;

/// A runtime directory, and the root monitor there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootLocation {
    /// The runtime directory.
    pub directory: PathBuf,
    /// The root monitor; `None` while there is none.
    pub root: Option<RootProcess>,
}

/// The process that is the root monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootProcess {
    /// The process.
    pub peer: Peer,
    /// Name of its command, if it is visible from here.
    pub command: Option<String>,
}

impl RootLocation {
    /// Returns a location.
    #[must_use]
    pub const fn new(directory: PathBuf, root: Option<RootProcess>) -> Self {
        Self { directory, root }
    }
}

impl RootProcess {
    /// Reads the name of the process's command.
    pub(crate) fn new(peer: &Peer) -> Self {
        let pid = peer.pid().filter(|_| is_proc_of_this_namespace());
        let command = pid.and_then(|pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            Some(text.trim_end_matches('\n').to_owned())
        });
        Self { peer: peer.clone(), command }
    }
}

impl fmt::Display for RootLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = Escaped(self.directory.display());
        match &self.root {
            Some(root) => write!(f, "in {directory}, where the root monitor is {root}"),
            None => write!(f, "in {directory}, where there is no root monitor"),
        }
    }
}

impl fmt::Display for RootProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, command } = self;
        match command {
            Some(command) => write!(f, "{peer} ({})", Escaped(command)),
            None => fmt::Display::fmt(peer, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_names_directory_process_and_command() {
        let directory = PathBuf::from("/run/a\u{202e}");
        let none = RootLocation::new(directory.clone(), None).to_string();
        assert_eq!(none, "in /run/a\\u{202e}, where there is no root monitor");
        let root = RootProcess { peer: Peer::process(Some(7), Some(0), None), command: None };
        let root = RootProcess { command: Some("x\n".into()), ..root };
        let some = RootLocation::new(directory, Some(root)).to_string();
        assert!(some.ends_with("the root monitor is process 7 of user 0 (x\\n)"), "{some}");
    }
}
