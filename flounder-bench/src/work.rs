//! Kinds of work that are measured, and their names.

use std::fmt;

/// A piece of work that a driver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Round trip of this many bytes.
    RoundTrip(usize),
    /// Stream of messages of this many bytes.
    Stream(usize),
    /// A frame of this many bytes in a slot, of which the receiver reads 64; it answers with eight.
    Glance(usize),
    /// Stream of frames of this many bytes in slots. Neither side reads or writes their bytes.
    Untouched(usize),
    /// A frame of this many bytes, filled in a slot and copied out by the receiver, which answers with eight.
    CopiedOut(usize),
    /// A frame of this many bytes, filled, sent in a message and copied out by the receiver, which answers with eight.
    CopiedOutInline(usize),
    /// Round trip of a frame of this many bytes in slots, filled in place and summed in place by both sides.
    FrameRoundTrip(usize),
    /// Stream of frames of this many bytes in slots, filled in place and summed in place.
    Frames(usize),
    /// Stream of frames of this many bytes in messages, filled and summed.
    FramesInline(usize),
    /// The same sealed memory of this many bytes, sent over and over; the receiver reads 4 KiB.
    Blob(usize),
    /// Round trip of eight bytes over a driver that waits in the kernel; neither side polls before it blocks.
    Blocking,
    /// A call by a client that blocks.
    Rpc,
    /// A call by a client that awaits it.
    RpcAsync,
    /// A bind to a service whose reference is known.
    Bind,
    /// Round trip of eight bytes; the receiver sleeps before each message.
    Wake,
    /// Round trip of eight bytes once in a millisecond.
    Paced,
    /// Round trip of a capability.
    Cap,
    /// Calls by this many bindings of one client to one service, each with [`OUTSTANDING`] outstanding calls.
    FanIn(usize),
    /// A call by a thread that blocks, through a shared binding.
    SharedRpc,
    /// Calls by this many tasks of one thread through a shared binding.
    SharedTasks(usize),
}

/// Outstanding calls of each binding of [`Work::FanIn`].
pub(crate) const OUTSTANDING: usize = 4;

/// Number of clients that more are compared with.
const FEW: usize = 8;

impl Work {
    /// All kinds, in the order of the report.
    pub(crate) const ALL: [Self; 39] = [
        Self::RoundTrip(8),
        Self::RoundTrip(56),
        Self::RoundTrip(64),
        Self::RoundTrip(1 << 10),
        Self::RoundTrip(4 << 10),
        Self::RoundTrip(64 << 10),
        Self::RoundTrip(1 << 20),
        Self::Blocking,
        Self::Rpc,
        Self::RpcAsync,
        Self::Stream(8),
        Self::Stream(56),
        Self::Stream(64),
        Self::Stream(1 << 10),
        Self::Stream(4 << 10),
        Self::Stream(64 << 10),
        Self::Stream(1 << 20),
        Self::Glance(64 << 10),
        Self::Glance(1 << 20),
        Self::Untouched(64 << 10),
        Self::Untouched(1 << 20),
        Self::CopiedOut(1 << 20),
        Self::CopiedOutInline(1 << 20),
        Self::FrameRoundTrip(1 << 20),
        Self::Frames(64 << 10),
        Self::Frames(1 << 20),
        Self::FramesInline(64 << 10),
        Self::FramesInline(1 << 20),
        Self::Blob(1 << 20),
        Self::Wake,
        Self::Paced,
        Self::Cap,
        Self::FanIn(2),
        Self::FanIn(8),
        Self::FanIn(32),
        Self::FanIn(128),
        Self::SharedRpc,
        Self::SharedTasks(64),
        Self::Bind,
    ];

    /// Returns true if the driver supports this work.
    pub(crate) fn is_for(self, driver: &str, between: Between) -> bool {
        match self {
            // A thread cannot wake itself.
            Self::Wake | Self::Paced => between != Between::Here,
            // A polled answer arrives before the caller could block. `Wake` measures two sleeping sides.
            Self::Blocking => {
                between != Between::Here && !["ump", "scc", "beehive"].contains(&driver)
            }
            // The other drivers have fewer channels, or reach no other thread.
            Self::FanIn(_) => ["ump", "lmp"].contains(&driver),
            // The thread of the binding is neither end's: it costs the same over each driver.
            Self::SharedRpc | Self::SharedTasks(_) => driver == "ump",
            _ => true,
        }
    }

    /// Returns true if the work is measured with both sides on one core.
    pub(crate) const fn is_for_one_core(self) -> bool {
        matches!(self, Self::RoundTrip(8) | Self::Rpc | Self::RpcAsync)
    }

    /// Returns the work of a few clients that this work of many is compared with.
    pub(crate) const fn with_few_clients(self) -> Option<Self> {
        match self {
            Self::FanIn(clients) if clients > FEW => Some(Self::FanIn(FEW)),
            _ => None,
        }
    }

    /// Returns the name without the size.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundTrip(_) => "round trip",
            Self::Stream(_) => "one way",
            Self::Glance(_) => "slot, one line read",
            Self::Untouched(_) => "slots, untouched one way",
            Self::CopiedOut(_) => "slot, filled and copied out",
            Self::CopiedOutInline(_) => "inline, filled and copied out",
            Self::FrameRoundTrip(_) => "slots, filled and summed there and back",
            Self::Frames(_) => "slots, filled and summed one way",
            Self::FramesInline(_) => "inline, filled and summed one way",
            Self::Blob(_) => "blob sent again, 4 KiB read",
            Self::Blocking => "round trip, blocking",
            Self::Rpc => "rpc",
            Self::RpcAsync => "rpc, async",
            Self::Bind => "bind",
            Self::Wake => "wake-up",
            Self::Paced => "paced",
            Self::Cap => "capability",
            Self::FanIn(_) => "fan-in",
            Self::SharedRpc => "rpc, shared",
            Self::SharedTasks(_) => "rpc, shared",
        }
    }

    /// Returns the length of a message in bytes, for work with several.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            Self::RoundTrip(size)
            | Self::Stream(size)
            | Self::Glance(size)
            | Self::Untouched(size)
            | Self::CopiedOut(size)
            | Self::CopiedOutInline(size)
            | Self::FrameRoundTrip(size)
            | Self::Frames(size)
            | Self::FramesInline(size)
            | Self::Blob(size) => Some(size),
            _ => None,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::FanIn(clients) => write!(f, ", {clients} clients"),
            Self::SharedTasks(tasks) => write!(f, ", {tasks} tasks"),
            _ => self.size().map_or(Ok(()), |size| write!(f, ", {}", Size(size))),
        }
    }
}

/// Places of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Between {
    /// Both in one thread.
    Here,
    /// Two threads of one process.
    Threads,
    /// Two processes.
    Processes,
}

impl Between {
    /// Returns the places where a driver is measured: loopback reaches no other thread.
    pub(crate) fn of(driver: &str) -> &'static [Self] {
        if driver == "loopback" { &[Self::Here] } else { &[Self::Threads, Self::Processes] }
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Here => "one thread",
            Self::Threads => "threads",
            Self::Processes => "processes",
        })
    }
}

/// A number of bytes, displayed with a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => {
                write!(f, "{} MiB", bytes >> 20)
            }
            bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => {
                write!(f, "{} KiB", bytes >> 10)
            }
            bytes => write!(f, "{bytes} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_people_would_say() {
        let names = Work::ALL.map(|work| work.to_string());
        assert_eq!(names[0], "round trip, 8 B");
        assert_eq!(names[3], "round trip, 1 KiB");
        assert_eq!(names[16], "one way, 1 MiB");
        assert_eq!(names[17], "slot, one line read, 64 KiB");
        assert_eq!(names[35], "fan-in, 128 clients");
        assert_eq!(Size(1500).to_string(), "1500 B");
    }
}
