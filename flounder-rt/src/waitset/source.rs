//! What stays registered with a waitset.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use crate::waitset::{Gone, PeerProcessor, Run};

/// Something that stays registered with a waitset: a binding.
pub trait Source {
    /// Does one piece of work, if there is any: receives a message and runs its handler, or gets on with a send.
    fn turn(&self) -> Turned;

    /// Receives several messages and runs their handlers, as `run` allows, after [`turn`](Source::turn) has returned
    /// [`Turned::Stream`]. Returns true if it did something.
    fn run(&self, _run: Run<'_>) -> bool {
        false
    }

    /// Returns true if [`turn`](Source::turn) would do something. Cheap.
    fn ready(&self) -> bool;

    /// Requests a wake-up (clause 8 of the driver contract). Returns false if there can be none.
    fn arm(&self) -> bool;
    /// Withdraws the request.
    fn disarm(&self);

    /// Returns how long the waitset may sleep at most before it looks at this source again without
    /// a wake-up; `None` if there is no limit. Called after [`arm`](Source::arm).
    fn sleep_limit(&self) -> Option<Duration> {
        None
    }

    /// Returns true if the source has something to send for which its descriptors had no room. Cheap.
    fn needs_room(&self) -> bool {
        false
    }

    /// Calls `f` with the descriptors that report events of the source, if there are any.
    fn with_descriptors(&self, _f: &mut dyn FnMut(SourceFds<'_>)) {}

    /// Returns where the peer ran last, seen from a thread on processor `this`.
    fn peer_processor(&self, _this: usize) -> PeerProcessor {
        PeerProcessor::Unknown
    }

    /// Blocks until the peer wakes the armed source: `Channel::wait_briefly`.
    fn wait_briefly(&self) -> bool {
        false
    }

    /// Makes the next turns wait for a message: `Channel::recv_waits`.
    fn recv_waits(&self, _waits: bool) -> bool {
        false
    }

    /// Frees the memory that large messages took, or returns true if there was one since the last call: then it is called
    /// again, 10 ms later. Follows each `Waitset::trim_later`.
    fn trim(&self) -> bool {
        false
    }

    /// Returns true if the waitset must look at the source to learn of events. Otherwise its
    /// descriptors or its driver report them.
    fn is_polled(&self) -> bool;

    /// Returns true if a waitset that polls should pause between two turns in vain: `Channel::wants_pauses`.
    fn wants_pauses(&self) -> bool {
        false
    }

    /// Called when the peer is gone.
    fn peer_gone(&self, gone: Gone);

    /// Called when the waitset closes: the source is not visited again.
    fn abandoned(&self);
}

/// Descriptors by which the kernel reports the events of a [`Source`].
#[derive(Debug, Clone, Copy)]
pub struct SourceFds<'a> {
    /// Readable when something arrives.
    pub arrivals: BorrowedFd<'a>,
    /// Writable when there is room to send; `None` if `arrivals` is.
    pub room: Option<BorrowedFd<'a>>,
}

/// What a turn of a [`Source`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// Nothing: there was nothing to do.
    Nothing,
    /// One piece of work.
    Work,
    /// Nothing yet: there are messages, which come in a stream, for [`Source::run`] to handle.
    Stream,
}

impl Turned {
    /// Returns what a turn did that did or did not work.
    #[inline]
    pub(crate) const fn of(worked: bool) -> Self {
        if worked { Self::Work } else { Self::Nothing }
    }
}
