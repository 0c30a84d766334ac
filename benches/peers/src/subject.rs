//! Candidates and subjects of the comparison.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::load::{Inbox, Load, Outbox, Pattern, WARM_UP, loads};
use crate::machine::Cores;
use crate::process::Seat;

/// Error text for the user.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

/// Places of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Threads,
    Processes,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Threads, Self::Processes];

    /// Returns the name in the tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Processes => "processes",
        }
    }
}

/// An open candidate, ready to carry messages.
pub(crate) trait Subject {
    /// Carries a load and returns the time of its `count` messages.
    ///
    /// # Errors
    /// Returns the error of either side, also for a payload that differs from the one sent.
    fn run(&mut self, load: &Load) -> Result<Duration>;
}

/// Implemented for closures that create everything for each load.
impl<F: FnMut(&Load) -> Result<Duration>> Subject for F {
    fn run(&mut self, load: &Load) -> Result<Duration> {
        self(load)
    }
}

/// A row of the tables.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Opens the candidate.
    pub(crate) open: fn(&Candidate, Cores) -> Result<Box<dyn Subject>>,
    /// Runs the peer, for candidates between processes.
    pub(crate) serve: fn(Seat) -> Result,
    /// Lengths of the payloads that it carries, in bytes.
    pub(crate) carries: RangeInclusive<usize>,
}

impl Candidate {
    /// Creates a candidate whose peer is a thread.
    pub(crate) const fn between_threads(
        name: &'static str,
        open: fn(&Self, Cores) -> Result<Box<dyn Subject>>,
    ) -> Self {
        let serve: fn(Seat) -> Result = |_| Err("its peer is a thread".into());
        Self { name, kind: Kind::Threads, open, serve, carries: 0..=usize::MAX }
    }

    /// Creates a candidate whose peer is a process.
    pub(crate) const fn between_processes(
        name: &'static str,
        open: fn(&Self, Cores) -> Result<Box<dyn Subject>>,
        serve: fn(Seat) -> Result,
    ) -> Self {
        Self { name, kind: Kind::Processes, open, serve, carries: 0..=usize::MAX }
    }

    /// Limits the lengths of the payloads to these.
    pub(crate) const fn carrying(self, carries: RangeInclusive<usize>) -> Self {
        Self { carries, ..self }
    }

    /// Returns the loads that it carries: each pattern with each size.
    pub(crate) fn loads(&self) -> impl Iterator<Item = (Pattern, usize)> + use<> {
        let carries = self.carries.clone();
        loads().filter(move |(_, size)| carries.contains(size))
    }

    /// Returns name and place, for `--only` and for the command line of the peer.
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.name, self.kind.name())
    }
}

/// One end of a bidirectional channel.
pub(crate) trait End {
    /// Called before each load, at the leader's end first.
    ///
    /// # Errors
    /// Returns the error of the candidate.
    fn prepare(&mut self, load: &Load) -> Result {
        let _ = load;
        Ok(())
    }

    /// Sends one payload; waits for room.
    ///
    /// # Errors
    /// Returns the error of the candidate.
    fn send(&mut self, payload: &[u8]) -> Result;

    /// Waits for one payload.
    ///
    /// # Errors
    /// Returns the error of the candidate.
    fn receive(&mut self, inbox: &mut Inbox) -> Result;
}

/// Carries the timed side of a load.
///
/// # Errors
/// Returns the errors of the end.
pub(crate) fn lead(end: &mut impl End, load: &Load) -> Result<Duration> {
    let (mut outbox, mut inbox) = (Outbox::new(load.size), Inbox::new(load));
    for _ in 0..WARM_UP {
        end.send(outbox.next())?;
        end.receive(&mut inbox)?;
    }
    let started = Instant::now();
    for sent in WARM_UP + 1..=load.total() {
        end.send(outbox.next())?;
        if load.is_answered(sent) {
            end.receive(&mut inbox)?;
        }
    }
    Ok(started.elapsed())
}

/// Carries the other side of a load.
///
/// # Errors
/// Returns the errors of the end.
pub(crate) fn follow(end: &mut impl End, load: &Load) -> Result {
    let (mut outbox, mut inbox) = (Outbox::new(load.size), Inbox::new(load));
    for received in 1..=load.total() {
        end.receive(&mut inbox)?;
        if load.is_answered(received) {
            end.send(outbox.next())?;
        }
    }
    Ok(())
}
