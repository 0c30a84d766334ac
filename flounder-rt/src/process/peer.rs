//! The process at the other end.

use core::fmt;

/// Features of the protocol between two runtimes that this one knows, a bit each. A binding uses those that both of its ends
/// know; `docs/wire.md` lists the bits.
pub const FEATURES: u64 = BULK | REASONS;

/// Feature: pools of bulk data, and the messages of the runtimes about them.
pub const BULK: u64 = 1;

/// Feature: a call without a reply is reported with the reason.
pub const REASONS: u64 = 1 << 1;

/// The process at the other end of a binding.
///
/// Every part can be unknown. The process id is unknown if the process lives in a PID namespace that this process does not
/// see; user and group are unknown if they have no id in the user namespace of this process. A service that decides by user
/// compares with `Some`: `peer.uid() == Some(1000)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Peer {
    place: Place,
    pid: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    /// Features that both runtimes know; none if nothing was agreed.
    features: u64,
}

/// Where a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// In the process that made the value, whose id is `pid`.
    Process,
    /// On this machine.
    Machine,
    Unknown,
}

impl Peer {
    /// Returns the peer that is this process itself.
    #[must_use]
    pub fn this_process() -> Self {
        Self {
            place: Place::Process,
            pid: Some(std::process::id()),
            uid: Some(rustix::process::geteuid().as_raw()),
            gid: Some(rustix::process::getegid().as_raw()),
            features: FEATURES,
        }
    }

    /// Returns the identity of a process on this machine. `None` stands for an id that the kernel does not show to this process.
    #[must_use]
    pub const fn process(pid: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> Self {
        Self { place: Place::Machine, pid, uid, gid, features: 0 }
    }

    /// Returns a peer about which nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { place: Place::Unknown, pid: None, uid: None, gid: None, features: 0 }
    }

    /// Returns the same peer, whose runtime and this one both know `features` ([`FEATURES`]): for a broker, which has asked.
    #[must_use]
    pub const fn agreeing_on(self, features: u64) -> Self {
        Self { features, ..self }
    }

    /// Returns true if both runtimes know `feature`.
    pub(crate) const fn knows(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    /// Returns the features that both runtimes know.
    #[must_use]
    pub const fn features(&self) -> u64 {
        self.features
    }

    /// Returns the process id, in the PID namespace of this process.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Returns the effective user id of the process when it joined, in the user namespace of this process.
    #[must_use]
    pub const fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Returns the effective group id of the process when it joined, in the user namespace of this process.
    #[must_use]
    pub const fn gid(&self) -> Option<u32> {
        self.gid
    }

    /// Returns true if the other end is in this process. False in a child that was forked from it.
    #[must_use]
    pub fn is_this_process(&self) -> bool {
        self.place == Place::Process && self.pid == Some(std::process::id())
    }

    /// Returns true if the other end is known to be on this machine.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.place != Place::Unknown
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} of ")?,
            None => f.write_str("unknown process of ")?,
        }
        match self.uid {
            Some(uid) => write!(f, "user {uid}"),
            None => f.write_str("unknown user"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parts_are_shown_as_unknown() {
        let shown = |pid, uid| Peer::process(pid, uid, None).to_string();
        assert_eq!(shown(Some(7), Some(0)), "process 7 of user 0");
        assert_eq!(shown(None, Some(1000)), "unknown process of user 1000");
        assert_eq!(shown(Some(7), None), "process 7 of unknown user");
        assert_eq!(Peer::unknown().to_string(), "unknown process of unknown user");
    }

    #[test]
    fn only_what_is_known_to_be_this_process_is_this_process() {
        let (pid, uid) = (Some(std::process::id()), Peer::this_process().uid());
        assert!(Peer::this_process().is_this_process() && Peer::this_process().is_this_machine());
        let alike = Peer::process(pid, uid, None);
        assert!(!alike.is_this_process() && alike.is_this_machine());
        assert!(!Peer::unknown().is_this_process() && !Peer::unknown().is_this_machine());
    }
}
