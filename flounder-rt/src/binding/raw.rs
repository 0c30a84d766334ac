//! The handle to a binding that generated code wraps.

use core::fmt;
use std::io;
use std::rc::{Rc, Weak};

use crate::account::Charge;
use crate::binding::connection::State;
use crate::binding::end::{Local, RawEnd};
use crate::binding::sent::LocalSent;
use crate::binding::shell::{Parts, Receiver, Shell};
use crate::binding::threading::{OneThread, Threading};
use crate::binding::{BindingError, BoxDispatch, ControlError, Rest, Sent, TxError, local_peers};
use crate::cap::Cap;
use crate::channel::{Channel, Control, Incoming};
use crate::interface::Interface;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{Outcome, Priority, Waitset};
use crate::wire::{Gather, LINE};

/// An untyped handle to a binding. Every generated `Binding` for one thread wraps one.
///
/// Clones are handles to the same binding. When the last handle of a client is dropped, the binding
/// is [torn down](RawBinding::teardown), which sends what was accepted. The export of a service
/// keeps its bindings until they end.
pub struct RawBinding(BelongsToOneThreadUseShared);

/// The shell of a binding. rustc names the type, and shows its line, where a binding is sent to another thread.
struct BelongsToOneThreadUseShared(Rc<Shell>); // `binding.shared()` is for any thread

impl core::ops::Deref for BelongsToOneThreadUseShared {
    type Target = Rc<Shell>;

    #[inline]
    fn deref(&self) -> &Rc<Shell> {
        &self.0
    }
}

/// A binding that is not kept.
pub(crate) struct WeakBinding(Weak<Shell>);

impl WeakBinding {
    /// Returns true if the binding exists and has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.0.upgrade().is_some_and(|shell| !shell.has_ended())
    }

    /// Tears the binding down. Returns false if it has ended already.
    pub(crate) fn teardown(&self) -> bool {
        let open = self.0.upgrade().filter(|shell| !shell.has_ended());
        open.map(|shell| shell.end(BindingError::Closed, false, Rest::IsSent)).is_some()
    }
}

impl RawBinding {
    /// Returns a handle to `shell`, which is counted already.
    #[inline]
    const fn of(shell: Rc<Shell>) -> Self {
        Self(BelongsToOneThreadUseShared(shell))
    }

    #[inline]
    pub(super) const fn shell(&self) -> &Rc<Shell> {
        &self.0.0
    }

    /// Returns another handle to the same binding, for a generated type to wrap.
    #[inline]
    #[must_use]
    pub fn handle(&self) -> RawEnd<Local> {
        RawEnd(self.clone())
    }

    /// Returns the binding as a value that does not keep it.
    pub(crate) fn downgrade(&self) -> WeakBinding {
        WeakBinding(Rc::downgrade(&self.0))
    }

    /// Attaches a connected channel to a new binding.
    ///
    /// The binding lives as long as its handles; with [`RawBinding::keep`], until either side tears
    /// it down. Its [`peer`](RawBinding::peer) is unknown: only the code that made the channel knows
    /// which process has the other end.
    ///
    /// # Errors
    /// The error of the system call with which the waitset failed to watch the channel.
    pub fn attach(
        channel: Box<dyn Channel>,
        waitset: &Waitset,
        interface: &'static Interface,
        handler: BoxDispatch,
    ) -> io::Result<Self> {
        let notifier = channel.notifier().unwrap_or_default();
        Self::attach_from(channel, waitset, interface, handler, notifier, Peer::unknown(), None)
    }

    /// Attaches a connected channel that was made with `notifier` and leads to `peer`. `charge` is
    /// returned to the account of the peer when the binding is gone.
    ///
    /// # Errors
    /// The error of the system call with which the waitset failed to watch the channel.
    pub fn attach_from(
        mut channel: Box<dyn Channel>,
        waitset: &Waitset,
        interface: &'static Interface,
        mut handler: BoxDispatch,
        notifier: Notifier,
        peer: Peer,
        charge: Option<Charge>,
    ) -> io::Result<Self> {
        channel.attached(waitset)?;
        let pair = channel.pair();
        let account = charge.as_ref().map(|charge| charge.account().clone());
        let parts = Parts { channel, interface, notifier, peer, charge };
        let shell = Shell::new(parts, waitset);
        shell.register(waitset)?;
        let raw = Self::of(Rc::clone(&shell));
        let wants_to_know = handler.attached(&raw);
        if let Some(pair) = pair {
            local_peers::attached(pair, &shell);
        }
        // Last, because from here on the binding holds itself until it ends.
        shell.receiver.set(Some(Box::new(Receiver {
            in_a_row: 0,
            incoming: Incoming::charged(interface.limits, account).sent_by(&shell.peer),
            handler,
            raw: Self::of(Rc::clone(&shell)),
        })));
        if wants_to_know {
            shell.io.borrow_mut().connection.is_new = true;
            // A binding that is polled is visited anyway, in its turn among those that are.
            if !shell.polled {
                shell.poke();
            }
        }
        Ok(raw)
    }

    /// Keeps the binding alive without handles, until either side tears it down.
    pub fn keep(&self) {
        self.0.own.kept.set(true);
    }

    /// Makes this the end of a service: the binding lives without handles, and receives no more calls
    /// while a mebibyte of replies waits for a client that does not read. At most one of the two ends
    /// may be that of a service. Exports call this for their bindings.
    pub fn serve(&self) {
        self.0.io.borrow_mut().connection.is_service = true;
        self.keep();
    }

    /// Returns true if a message would be accepted now.
    #[inline]
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.0.io.borrow().connection.is_free()
    }

    /// Runs `callback` once from `waitset` when a message is likely to be accepted: in the next
    /// dispatch if the slot is free, otherwise when the message in the slot is sent or lost. Nothing
    /// is reserved: the callback may find the binding busy again. The callback is dropped unrun if
    /// the waitset is gone by then.
    ///
    /// # Errors
    /// [`ControlError::AlreadyRegistered`] if another callback waits; [`ControlError::Closed`] if the
    /// binding has ended.
    pub fn register_send(
        &self,
        waitset: &Waitset,
        callback: impl FnOnce(&Waitset) -> Outcome + 'static,
    ) -> Result<(), ControlError> {
        let io = &mut *self.0.io.borrow_mut();
        match io.connection.state() {
            State::Closing | State::Closed => return Err(ControlError::Closed),
            _ if io.register_send.is_some() => return Err(ControlError::AlreadyRegistered),
            State::Free => waitset.post(callback),
            State::Sending => io.register_send = Some((waitset.downgrade(), Box::new(callback))),
        }
        Ok(())
    }

    /// Moves the binding to another waitset of the same thread, which then runs its handlers and
    /// continuations.
    ///
    /// # Errors
    /// [`ControlError::Os`] if that waitset cannot watch the channel: the binding stays where it is.
    /// [`ControlError::Closed`] if the binding has ended.
    pub fn change_waitset(&self, waitset: &Waitset) -> Result<(), ControlError> {
        let shell = self.shell();
        let old = shell.waitset();
        if shell.has_ended() || !shell.notifier.is_here() {
            return Err(ControlError::Closed);
        }
        if old.as_ref().is_some_and(|old| old.same(waitset)) {
            return Ok(());
        }
        shell.io.borrow_mut().channel.attached(waitset)?;
        let before = shell.own.token.get();
        shell.register(waitset)?;
        if let Some(old) = &old {
            shell.unregister(old, before);
        }
        if let Some(shared) = shell.own.shared.get() {
            if let Some(old) = &old {
                shared.detach(old);
            }
            shared.attach(waitset);
        }
        {
            let connection = &mut shell.io.borrow_mut().connection;
            connection.moved();
            // A run of messages ends here: the others are of the new waitset.
            connection.look_at_everything();
        }
        if shell.own.has_large.take() {
            OneThread::trim_later(shell);
        }
        shell.calls_moved(waitset);
        // The tasks that would have run these are in the queue of the old waitset.
        let finished = shell.io.borrow().finished.len();
        (0..finished).for_each(|_| shell.post_finished(waitset));
        shell.wake_next();
        Ok(())
    }

    /// Has the waitset serve the binding with this priority from now on, among its bindings; so does another waitset that
    /// the binding is moved to.
    pub fn set_priority(&self, priority: Priority) {
        OneThread::set_priority(self.shell(), priority);
    }

    /// Executes a control operation.
    ///
    /// # Errors
    /// [`ControlError::Closed`] if the binding has ended.
    pub fn control(&self, control: Control) -> Result<(), ControlError> {
        if self.0.has_ended() {
            return Err(ControlError::Closed);
        }
        match control {
            Control::Teardown => self.teardown(),
            Control::SetSync => self.0.own.hands_over.set(true),
            Control::ClearSync => self.0.own.hands_over.set(false),
        }
        Ok(())
    }

    /// Tears the binding down, without blocking. From here on no message is accepted, no handler
    /// runs (the error handler included), received messages are discarded, and waiting calls end with
    /// an error. The peer receives every message and reply that was accepted before, and then
    /// [`BindingError::Closed`]: the waitset sends what the channel has not taken yet, and
    /// continuations run as usual. [`close`](RawBinding::close) completes when that is done. A second
    /// call does nothing. `IDC_CONTROL_TEARDOWN`
    pub fn teardown(&self) {
        self.0.end(BindingError::Closed, false, Rest::IsSent);
    }

    /// Returns the reason why the binding ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<BindingError> {
        self.0.io.borrow().connection.ended().cloned()
    }

    /// Returns the process at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Returns the name of the driver.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.0.driver
    }

    /// Returns the interface.
    #[must_use]
    pub fn interface(&self) -> &'static Interface {
        self.0.interface
    }

    /// Returns the waitset that serves the binding, unless it is gone.
    #[must_use]
    pub fn waitset(&self) -> Option<Waitset> {
        self.0.waitset()
    }

    /// Sends a message without capabilities. Used by generated code.
    ///
    /// # Errors
    /// [`TxError::Busy`] if the slot is taken; [`TxError::Closed`] if the binding has ended.
    #[inline]
    pub fn send(&self, number: u16, fixed: &[u64], tails: &[&[u8]]) -> Result<Sent<'_>, TxError> {
        if tails.is_empty()
            && let Some(serial) = self.0.accept_now(number, fixed)
        {
            return Ok(Sent::of(LocalSent::new(self, serial)));
        }
        self.send_slowly(number, fixed, tails)
    }

    #[inline(never)]
    fn send_slowly(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
    ) -> Result<Sent<'_>, TxError> {
        let mut words = [0; LINE];
        if !tails.is_empty()
            && let Some(used) = (Gather { fixed, tails }).put_together(&mut words)
            && let Some(serial) = self.0.accept_now(number, &words[..used])
        {
            return Ok(Sent::of(LocalSent::new(self, serial)));
        }
        self.send_caps(number, fixed, tails, &mut Vec::new())
    }

    /// Sends a message with capabilities. Used by generated code.
    ///
    /// # Errors
    /// [`TxError::Busy`], [`TxError::Closed`], or [`TxError::CapsRefused`]. The capabilities that were
    /// not moved are still in `caps`.
    #[inline]
    pub fn send_caps(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: &mut Vec<Cap>,
    ) -> Result<Sent<'_>, TxError> {
        let serial = self.0.accept(number, Gather { fixed, tails }, caps)?;
        Ok(Sent::of(LocalSent::new(self, serial)))
    }

    pub(crate) fn pair_with(&self, other: &Self) {
        local_peers::pair(self.shell(), other.shell());
    }

    /// Returns the token that identifies the binding to [`Wake::peer_gone`](crate::notify::Wake::peer_gone).
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.own.token.get()
    }
}

/// Attaches a channel to a new binding, for a generated type to wrap: [`RawBinding::attach`].
///
/// # Errors
/// The error of the system call with which the waitset failed to watch the channel.
pub fn attach(
    channel: Box<dyn Channel>,
    waitset: &Waitset,
    interface: &'static Interface,
    handler: BoxDispatch,
) -> io::Result<RawEnd<Local>> {
    RawBinding::attach(channel, waitset, interface, handler).map(RawEnd)
}

impl Clone for RawBinding {
    #[inline]
    fn clone(&self) -> Self {
        self.0.own.handles.set(self.0.own.handles.get() + 1);
        Self::of(Rc::clone(&self.0))
    }
}

impl Drop for RawBinding {
    #[inline]
    fn drop(&mut self) {
        let left = self.0.own.handles.get() - 1;
        self.0.own.handles.set(left);
        if left == 0 {
            self.last_dropped();
        }
    }
}

impl RawBinding {
    #[cold]
    fn last_dropped(&self) {
        if !self.0.own.kept.get() {
            self.teardown();
        }
    }
}

impl fmt::Debug for RawBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("interface", &self.0.interface.name)
            .field("driver", &self.0.driver)
            .field("peer", &self.0.peer)
            .finish_non_exhaustive()
    }
}
