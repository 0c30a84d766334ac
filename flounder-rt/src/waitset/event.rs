//! Event channels: single-shot events with a registered closure (TN-011 section 4.1.1).

use core::cell::{Cell, RefCell};
use core::fmt;
use std::rc::Rc;

use crate::waitset::queues::{Due, Item, Registrations};
use crate::waitset::{Gone, Outcome, Priority, Source, Task, Turned, Waitset, WeakWaitset};

/// Where an event channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelState {
    /// On no waitset.
    Unregistered,
    /// Registered; the event has not come.
    Idle,
    /// Registered, and asked for its event in every round of polling.
    Polled,
    /// The event has come; its closure is about to be delivered.
    Pending,
}

/// Why an operation on an event channel failed. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// `LIB_ERR_CHAN_ALREADY_REGISTERED`
    AlreadyRegistered,
    /// `LIB_ERR_CHAN_NOT_REGISTERED`
    NotRegistered,
    /// The waitset is closed, because its thread is ending, or is the parent's of this forked process.
    Closed,
}

crate::debug_as_chain!(EventError);

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyRegistered => "the event channel is registered already",
            Self::NotRegistered => "the event channel is not registered",
            Self::Closed => "the waitset is closed, or is that of the parent process",
        })
    }
}

impl std::error::Error for EventError {}

/// A source of single events. Cheap to clone: clones are the same channel.
///
/// A registration is good for one event: the channel is unregistered again before its closure runs, so that the closure
/// may register it anew.
///
/// ```
/// use flounder_rt::waitset::{ChannelState, EventChannel, Waitset};
/// let ws = Waitset::new();
/// let channel = EventChannel::new();
/// channel.register(&ws, |_| Ok(()))?;
/// assert_eq!(channel.state(), ChannelState::Idle);
/// channel.trigger()?;
/// assert_eq!(channel.state(), ChannelState::Pending);
/// ws.dispatch()?;
/// assert_eq!(channel.state(), ChannelState::Unregistered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct EventChannel(Rc<Inner>);

#[derive(Default)]
struct Inner {
    registration: RefCell<Option<Registration>>,
    /// Counts registrations, so that a queued delivery of an earlier one is recognised.
    serial: Cell<u64>,
}

type PollFn = Rc<RefCell<dyn FnMut() -> bool>>;

struct Registration {
    /// Weak: a channel that is registered does not keep its waitset.
    waitset: WeakWaitset,
    task: Task,
    state: ChannelState,
    /// Asks whether the event has come.
    poll: Option<PollFn>,
    /// While polled: what the waitset knows the poller as.
    poller: Option<u64>,
}

impl EventChannel {
    /// An unregistered channel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where it stands. It is unregistered as well once its waitset is gone.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.0.state()
    }

    /// Registers `task` for one event that is [triggered](EventChannel::trigger): unregistered to idle.
    ///
    /// # Errors
    /// [`EventError::AlreadyRegistered`]; [`EventError::Closed`].
    pub fn register(
        &self,
        waitset: &Waitset,
        task: impl FnOnce(&Waitset) -> Outcome + 'static,
    ) -> Result<(), EventError> {
        self.put(waitset, Box::new(task), ChannelState::Idle, None)
    }

    /// Registers `task` for one event that `poll` tells of: unregistered to polled. `poll` must be quick and may not use
    /// the waitset; a waitset with a polled channel never sleeps.
    ///
    /// # Errors
    /// [`EventError::AlreadyRegistered`]; [`EventError::Closed`].
    pub fn register_polled(
        &self,
        waitset: &Waitset,
        poll: impl FnMut() -> bool + 'static,
        task: impl FnOnce(&Waitset) -> Outcome + 'static,
    ) -> Result<(), EventError> {
        self.put(waitset, Box::new(task), ChannelState::Polled, Some(Rc::new(RefCell::new(poll))))?;
        self.poll_from(waitset);
        Ok(())
    }

    /// The event has come: idle or polled to pending. A pending channel stays as it is.
    ///
    /// # Errors
    /// [`EventError::NotRegistered`].
    pub fn trigger(&self) -> Result<(), EventError> {
        let (waitset, poller) = {
            let mut registration = self.0.registration.borrow_mut();
            let registration = registration.as_mut().ok_or(EventError::NotRegistered)?;
            let waitset = registration.waitset.upgrade().ok_or(EventError::NotRegistered)?;
            if registration.state == ChannelState::Pending {
                return Ok(());
            }
            registration.state = ChannelState::Pending;
            (waitset, registration.poller.take())
        };
        if let Some(poller) = poller {
            waitset.remove(poller, None);
        }
        self.deliver_from(&waitset);
        Ok(())
    }

    /// Takes the registration back, whatever its state: to unregistered.
    ///
    /// # Errors
    /// [`EventError::NotRegistered`].
    pub fn deregister(&self) -> Result<(), EventError> {
        let registration = self.0.registration.borrow_mut().take();
        let registration = registration.ok_or(EventError::NotRegistered)?;
        self.0.serial.set(self.0.serial.get() + 1);
        let waitset = registration.waitset.upgrade().ok_or(EventError::NotRegistered)?;
        Self::leave(&waitset, registration.state, registration.poller);
        Ok(())
    }

    /// Moves the registration to another waitset in the same state. Nothing happens if there is none.
    pub fn migrate(&self, waitset: &Waitset) {
        let (before, state, poller) = {
            let mut registration = self.0.registration.borrow_mut();
            let Some(registration) = registration.as_mut() else { return };
            let Some(before) = registration.waitset.upgrade() else { return };
            registration.waitset = waitset.downgrade();
            (before, registration.state, registration.poller.take())
        };
        self.0.serial.set(self.0.serial.get() + 1);
        Self::leave(&before, state, poller);
        match state {
            ChannelState::Pending => self.deliver_from(waitset),
            ChannelState::Polled => self.poll_from(waitset),
            ChannelState::Idle | ChannelState::Unregistered => {}
        }
    }

    /// Clears from a waitset what a registration has put there. Its serial is over.
    fn leave(waitset: &Waitset, state: ChannelState, poller: Option<u64>) {
        if let Some(poller) = poller {
            waitset.remove(poller, None);
        }
        if state == ChannelState::Pending {
            let stale = waitset.0.queues.borrow_mut().cancel();
            drop(stale);
        }
    }

    fn put(
        &self,
        waitset: &Waitset,
        task: Task,
        state: ChannelState,
        poll: Option<PollFn>,
    ) -> Result<(), EventError> {
        waitset.usable().map_err(|_| EventError::Closed)?;
        let before = {
            let mut registration = self.0.registration.borrow_mut();
            if registration.as_ref().is_some_and(|before| before.waitset.is_alive()) {
                return Err(EventError::AlreadyRegistered);
            }
            let waitset = waitset.downgrade();
            registration.replace(Registration { waitset, task, state, poll, poller: None })
        };
        self.0.serial.set(self.0.serial.get() + 1);
        drop(before);
        Ok(())
    }

    /// Queues the delivery of the present registration.
    fn deliver_from(&self, waitset: &Waitset) {
        let due = Due::new(Rc::clone(&self.0) as Rc<dyn Registrations>, self.0.serial.get());
        waitset.0.queues.borrow_mut().push(Item::Event(due));
        waitset.wake_host_loop();
    }

    /// Has the waitset ask the poll function in every round.
    fn poll_from(&self, waitset: &Waitset) {
        let mut registration = self.0.registration.borrow_mut();
        let Some(registration) = registration.as_mut() else { return };
        let Some(poll) = registration.poll.clone() else { return };
        let poller = Poller { channel: self.clone(), serial: self.0.serial.get(), poll };
        // The registration was made, so the waitset is usable.
        registration.poller = waitset.insert_polled(Rc::new(poller), Priority::Normal).ok();
    }
}

impl Inner {
    fn state(&self) -> ChannelState {
        match &*self.registration.borrow() {
            Some(registration) if registration.waitset.is_alive() => registration.state,
            _ => ChannelState::Unregistered,
        }
    }

    fn is_at(&self, serial: u64, state: ChannelState) -> bool {
        self.serial.get() == serial && self.state() == state
    }
}

impl Registrations for Inner {
    fn is_due(&self, serial: u64) -> bool {
        self.is_at(serial, ChannelState::Pending)
    }

    fn unregister(&self) -> Option<Task> {
        self.registration.borrow_mut().take().map(|registration| registration.task)
    }
}

/// A polled registration, as the waitset sees it. It leaves when the registration does or becomes pending.
struct Poller {
    channel: EventChannel,
    serial: u64,
    poll: PollFn,
}

impl Poller {
    /// Asks, and triggers at a hit. To the waitset this is something that became pending while it looked.
    fn ask(&self) {
        // The poll function may be asked already, in a dispatch further out.
        let hit = self.poll.try_borrow_mut().is_ok_and(|mut poll| poll());
        if hit && self.channel.0.is_at(self.serial, ChannelState::Polled) {
            // It is registered, so this cannot fail.
            let _ = self.channel.trigger();
        }
    }
}

impl Source for Poller {
    fn turn(&self) -> Turned {
        self.ask();
        Turned::Nothing
    }

    fn ready(&self) -> bool {
        self.ask();
        false
    }

    /// Nobody can wake the waitset for it.
    fn arm(&self) -> bool {
        false
    }

    fn disarm(&self) {}

    fn is_polled(&self) -> bool {
        true
    }

    fn peer_gone(&self, _gone: Gone) {}
    fn abandoned(&self) {}
}

impl fmt::Debug for EventChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventChannel").field("state", &self.state()).finish()
    }
}
