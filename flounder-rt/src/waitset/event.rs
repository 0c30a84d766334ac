//! Event channels: single-shot events with a registered closure (TN-011 section 4.1.1).

use core::cell::{Cell, RefCell};
use core::fmt;
use std::rc::Rc;

use crate::waitset::{Outcome, Source, Task, Waitset, WeakWaitset};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// `LIB_ERR_CHAN_ALREADY_REGISTERED`
    AlreadyRegistered,
    /// `LIB_ERR_CHAN_NOT_REGISTERED`
    NotRegistered,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyRegistered => "the event channel is registered already",
            Self::NotRegistered => "the event channel is not registered",
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
    waitset: Waitset,
    task: Task,
    state: ChannelState,
    /// Asks whether the event has come.
    poll: Option<PollFn>,
}

impl EventChannel {
    /// An unregistered channel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.0
            .registration
            .borrow()
            .as_ref()
            .map_or(ChannelState::Unregistered, |registration| registration.state)
    }

    /// Registers `task` for one event that is [triggered](EventChannel::trigger): unregistered to idle.
    ///
    /// # Errors
    /// [`EventError::AlreadyRegistered`].
    pub fn register(
        &self,
        waitset: &Waitset,
        task: impl FnOnce(&Waitset) -> Outcome + 'static,
    ) -> Result<(), EventError> {
        self.put(waitset, Box::new(task), ChannelState::Idle, None)
    }

    /// Registers `task` for one event that `poll` tells of: unregistered to polled. `poll` must be quick and may not use
    /// the waitset.
    ///
    /// # Errors
    /// [`EventError::AlreadyRegistered`].
    pub fn register_polled(
        &self,
        waitset: &Waitset,
        poll: impl FnMut() -> bool + 'static,
        task: impl FnOnce(&Waitset) -> Outcome + 'static,
    ) -> Result<(), EventError> {
        self.put(waitset, Box::new(task), ChannelState::Polled, Some(Rc::new(RefCell::new(poll))))?;
        self.poll_later();
        Ok(())
    }

    /// The event has come: idle or polled to pending. A pending channel stays as it is.
    ///
    /// # Errors
    /// [`EventError::NotRegistered`].
    pub fn trigger(&self) -> Result<(), EventError> {
        let waitset = {
            let mut registration = self.0.registration.borrow_mut();
            let registration = registration.as_mut().ok_or(EventError::NotRegistered)?;
            if registration.state == ChannelState::Pending {
                return Ok(());
            }
            registration.state = ChannelState::Pending;
            registration.waitset.clone()
        };
        self.deliver_from(&waitset);
        Ok(())
    }

    /// Takes the registration back, whatever its state: to unregistered.
    ///
    /// # Errors
    /// [`EventError::NotRegistered`].
    pub fn deregister(&self) -> Result<(), EventError> {
        let registration = self.0.registration.borrow_mut().take();
        registration.map(drop).ok_or(EventError::NotRegistered)
    }

    /// Moves the registration to another waitset in the same state. Nothing happens if there is none.
    pub fn migrate(&self, waitset: &Waitset) {
        let state = {
            let mut registration = self.0.registration.borrow_mut();
            let Some(registration) = registration.as_mut() else { return };
            registration.waitset = waitset.clone();
            registration.state
        };
        self.0.serial.set(self.0.serial.get() + 1);
        match state {
            ChannelState::Pending => self.deliver_from(waitset),
            ChannelState::Polled => self.poll_later(),
            ChannelState::Idle | ChannelState::Unregistered => {}
        }
    }

    fn put(
        &self,
        waitset: &Waitset,
        task: Task,
        state: ChannelState,
        poll: Option<PollFn>,
    ) -> Result<(), EventError> {
        let mut registration = self.0.registration.borrow_mut();
        if registration.is_some() {
            return Err(EventError::AlreadyRegistered);
        }
        self.0.serial.set(self.0.serial.get() + 1);
        *registration = Some(Registration { waitset: waitset.clone(), task, state, poll });
        Ok(())
    }

    /// Queues the delivery of the present registration.
    fn deliver_from(&self, waitset: &Waitset) {
        let (channel, serial) = (self.clone(), self.0.serial.get());
        waitset.post(move |waitset| match channel.take(serial) {
            Some(registration) => (registration.task)(waitset),
            None => Ok(()),
        });
    }

    fn take(&self, serial: u64) -> Option<Registration> {
        if self.0.serial.get() != serial {
            return None;
        }
        self.0.registration.borrow_mut().take()
    }

    /// Has the waitset ask the poll function in every round.
    fn poll_later(&self) {
        let registration = self.0.registration.borrow();
        let Some(Registration { waitset, poll: Some(poll), .. }) = registration.as_ref() else {
            return;
        };
        let source = Rc::new(Poller {
            channel: self.clone(),
            serial: self.0.serial.get(),
            waitset: waitset.downgrade(),
            poll: Rc::clone(poll),
            token: Cell::new(0),
        });
        let token = waitset.insert_polled(Rc::clone(&source) as Rc<dyn Source>);
        source.token.set(token);
    }
}

/// A polled registration, as the waitset sees it. It leaves by itself once the registration is gone or has fired.
struct Poller {
    channel: EventChannel,
    serial: u64,
    waitset: WeakWaitset,
    poll: PollFn,
    token: Cell<u64>,
}

impl Source for Poller {
    fn turn(&self) -> bool {
        let Some(waitset) = self.waitset.upgrade() else { return false };
        let stale = self.channel.0.serial.get() != self.serial
            || self.channel.state() != ChannelState::Polled;
        let hit = !stale && self.ready();
        if stale || hit {
            waitset.remove(self.token.get(), None);
        }
        if hit {
            // It was registered a moment ago, so this cannot fail.
            let _ = self.channel.trigger();
        }
        false
    }

    fn ready(&self) -> bool {
        self.poll.try_borrow_mut().is_ok_and(|mut poll| poll())
    }

    /// Nobody can wake the waitset for it.
    fn arm(&self) -> bool {
        false
    }

    fn disarm(&self) {}

    fn is_polled(&self) -> bool {
        true
    }

    fn peer_died(&self) {}
    fn abandoned(&self) {}
}

impl fmt::Debug for EventChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventChannel").field("state", &self.state()).finish()
    }
}
