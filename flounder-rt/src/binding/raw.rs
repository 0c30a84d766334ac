//! The handle to a binding that generated code wraps.

use core::fmt;
use std::io;
use std::rc::Rc;

use crate::account::Charge;
use crate::binding::connection::State;
use crate::binding::shell::{Parts, Receiver, Shell};
use crate::binding::{BindingError, ControlError, Dispatch, Rest, Sent, TxError, local_peers};
use crate::cap::Cap;
use crate::channel::{Channel, Control, Incoming};
use crate::interface::Interface;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{Outcome, Waitset};
use crate::wire::{Gather, LINE};

/// A handle to a binding: what every generated `Binding` is underneath, and derefs to.
///
/// Clones are handles to the same binding. When the last handle of a client is dropped the binding is [torn
/// down](RawBinding::teardown), which sends what was accepted; the bindings of a service are kept by its export until they end.
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

    /// Puts a binding on a channel that is connected.
    ///
    /// The binding lives as long as its handles; [`RawBinding::keep`] lets it live until it ends by itself. Its
    /// [`peer`](RawBinding::peer) is unknown: nobody but whoever made the channel can say who has the other end.
    ///
    /// # Errors
    /// If the waitset cannot watch the channel.
    pub fn attach(
        channel: Box<dyn Channel>,
        waitset: &Waitset,
        interface: &'static Interface,
        handler: Box<dyn Dispatch>,
    ) -> io::Result<Self> {
        let notifier = channel.notifier().unwrap_or_default();
        Self::attach_from(channel, waitset, interface, handler, notifier, Peer::unknown(), None)
    }

    /// As [`attach`](RawBinding::attach), for a channel that was made with `notifier` and leads to `peer`, whose account
    /// `charge` is given back to when the binding is gone.
    ///
    /// # Errors
    /// If the waitset cannot watch the channel.
    pub fn attach_from(
        mut channel: Box<dyn Channel>,
        waitset: &Waitset,
        interface: &'static Interface,
        mut handler: Box<dyn Dispatch>,
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
        handler.attached(&raw);
        if let Some(pair) = pair {
            local_peers::attached(pair, &shell);
        }
        // Last, because from here on the binding holds itself until it ends.
        shell.receiver.set(Some(Box::new(Receiver {
            incoming: Incoming::charged(interface.limits, account),
            handler,
            raw: Self::of(Rc::clone(&shell)),
        })));
        Ok(raw)
    }

    /// Lets the binding live without handles, until either side tears it down.
    pub fn keep(&self) {
        self.0.kept.set(true);
    }

    /// Makes this the end of a service: it lives until it ends by itself, and receives nothing while a megabyte of replies
    /// waits for a client that does not read. At most one of two ends may be that of a service. Exported services have done
    /// this.
    pub fn serve(&self) {
        self.0.io.borrow_mut().connection.is_service = true;
        self.keep();
    }

    /// Whether a message would be accepted now.
    #[inline]
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.0.io.borrow().connection.is_free()
    }

    /// Runs `callback` once from `waitset` when a message is likely to be accepted: at once if one would be now, or when
    /// the message in the slot is sent or fails. Nothing is reserved: the callback may find the binding busy again. It does not
    /// keep the waitset, and is dropped unrun if that is gone by then.
    ///
    /// # Errors
    /// [`ControlError::AlreadyRegistered`] if another waits; [`ControlError::Closed`].
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

    /// Moves the binding to another waitset of the same thread: its handlers and continuations run from there.
    ///
    /// # Errors
    /// [`ControlError::Os`] if that waitset cannot watch the channel: the binding stays where it is.
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
        let before = shell.token.get();
        shell.register(waitset)?;
        if let Some(old) = &old {
            shell.unregister(old, before);
        }
        if let Some(shared) = shell.shared.get() {
            if let Some(old) = &old {
                shared.detach(old);
            }
            shared.attach(waitset);
        }
        shell.io.borrow_mut().connection.moved();
        shell.untrimmed.set(false);
        shell.calls_moved(waitset);
        // The tasks that were to run these are in the queue of the old waitset.
        let finished = shell.io.borrow().finished.len();
        (0..finished).for_each(|_| shell.post_finished(waitset));
        shell.wake_next();
        Ok(())
    }

    /// Carries out a control operation; drivers to which it means nothing do nothing.
    ///
    /// # Errors
    /// [`ControlError::Closed`].
    pub fn control(&self, control: Control) -> Result<(), ControlError> {
        if self.0.has_ended() {
            return Err(ControlError::Closed);
        }
        if control == Control::Teardown {
            self.teardown();
            return Ok(());
        }
        let mut io = self.0.io.borrow_mut();
        io.channel.control(control).map_err(|_| ControlError::Closed)
    }

    /// Tears the binding down, without waiting. From here on nothing is accepted, no handler runs, and what comes in is
    /// discarded; calls that wait end with an error. The own error handler is not called. The peer gets every message and
    /// every reply that was accepted before, and then [`BindingError::Closed`]: what the channel has not taken yet is sent
    /// from the waitset, and continuations run as ever. [`close`](RawBinding::close) tells when that is done. Does nothing
    /// the second time. `IDC_CONTROL_TEARDOWN`
    pub fn teardown(&self) {
        self.0.end(BindingError::Closed, false, Rest::IsSent);
    }

    /// Why the binding ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<BindingError> {
        self.0.io.borrow().connection.ended().cloned()
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The driver that was chosen.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.0.driver
    }

    /// The interface.
    #[must_use]
    pub fn interface(&self) -> &'static Interface {
        self.0.interface
    }

    /// The waitset that serves the binding, unless it is gone.
    #[must_use]
    pub fn waitset(&self) -> Option<Waitset> {
        self.0.waitset()
    }

    /// Sends a message without capabilities. Used by generated code.
    ///
    /// # Errors
    /// [`TxError::Busy`] or [`TxError::Closed`].
    #[inline]
    #[doc(hidden)]
    pub fn send(&self, number: u16, fixed: &[u64], tails: &[&[u8]]) -> Result<Sent<'_>, TxError> {
        if tails.is_empty()
            && let Some(serial) = self.0.accept_now(number, fixed)
        {
            return Ok(Sent::new(self, serial));
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
            return Ok(Sent::new(self, serial));
        }
        self.send_caps(number, fixed, tails, &mut Vec::new())
    }

    /// Sends a message; on an error its capabilities are still in `caps`. Used by generated code.
    ///
    /// # Errors
    /// [`TxError::Busy`] or [`TxError::Closed`].
    #[inline]
    #[doc(hidden)]
    pub fn send_caps(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: &mut Vec<Cap>,
    ) -> Result<Sent<'_>, TxError> {
        let serial = self.0.accept(number, Gather { fixed, tails }, caps)?;
        Ok(Sent::new(self, serial))
    }

    pub(crate) fn pair_with(&self, other: &Self) {
        local_peers::pair(self.shell(), other.shell());
    }

    /// What identifies the binding to [`Wake::peer_gone`](crate::notify::Wake::peer_gone).
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.token.get()
    }
}

impl Clone for RawBinding {
    #[inline]
    fn clone(&self) -> Self {
        self.0.handles.set(self.0.handles.get() + 1);
        Self::of(Rc::clone(&self.0))
    }
}

impl Drop for RawBinding {
    #[inline]
    fn drop(&mut self) {
        let left = self.0.handles.get() - 1;
        self.0.handles.set(left);
        if left == 0 {
            self.last_dropped();
        }
    }
}

impl RawBinding {
    #[cold]
    fn last_dropped(&self) {
        if !self.0.kept.get() {
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
