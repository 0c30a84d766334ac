//! What is compared: candidates, and what they open.

use std::time::{Duration, Instant};

use crate::load::{Inbox, Load, Outbox, WARM_UP};
use crate::machine::Cores;
use crate::process::Seat;

/// Why something did not run; for people.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

/// Between what a candidate carries messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Threads,
    Processes,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Threads, Self::Processes];

    /// As the tables call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Processes => "processes",
        }
    }
}

/// Something that carries messages, ready to do so.
pub(crate) trait Subject {
    /// Carries a load and gives the time that its `count` messages took.
    ///
    /// # Errors
    /// Whatever went wrong; among others, a payload that did not arrive as it was sent.
    fn run(&mut self, load: &Load) -> Result<Duration>;
}

/// For those that make all they need for each load.
impl<F: FnMut(&Load) -> Result<Duration>> Subject for F {
    fn run(&mut self, load: &Load) -> Result<Duration> {
        self(load)
    }
}

/// One line of the tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Makes it ready.
    pub(crate) open: fn(&Candidate, Cores) -> Result<Box<dyn Subject>>,
    /// What the peer does, in a process of its own.
    pub(crate) serve: fn(Seat) -> Result,
}

impl Candidate {
    /// One whose peer is a thread.
    pub(crate) const fn between_threads(
        name: &'static str,
        open: fn(&Self, Cores) -> Result<Box<dyn Subject>>,
    ) -> Self {
        Self { name, kind: Kind::Threads, open, serve: |_| Err("its peer is a thread".into()) }
    }

    /// One whose peer is a process.
    pub(crate) const fn between_processes(
        name: &'static str,
        open: fn(&Self, Cores) -> Result<Box<dyn Subject>>,
        serve: fn(Seat) -> Result,
    ) -> Self {
        Self { name, kind: Kind::Processes, open, serve }
    }

    /// Name and kind, as `--only` and the peer's process know it.
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.name, self.kind.name())
    }
}

/// One end of a channel of messages in both directions.
pub(crate) trait End {
    /// Called at both ends before each load; at the leader's first.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn prepare(&mut self, load: &Load) -> Result {
        let _ = load;
        Ok(())
    }

    /// Sends one payload, waiting for room.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn send(&mut self, payload: &[u8]) -> Result;

    /// Waits for one payload.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn receive(&mut self, inbox: &mut Inbox) -> Result;
}

/// The timed side of a load.
///
/// # Errors
/// Those of the end.
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

/// The other side of a load.
///
/// # Errors
/// Those of the end.
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
