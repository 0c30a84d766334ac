//! How a binding is shared: what differs between the binding of one thread and the binding that any
//! thread of a [`SharedWaitset`](crate::SharedWaitset) serves. The protocol ([`Connection`]), and
//! most of the shell around it, are the same code for both.
//!
//! | | [`OneThread`] | [`AnyThread`](super::any_thread::AnyThread) |
//! |---|---|---|
//! | owned by | `Rc` | `Arc` |
//! | connection and channel | in a `RefCell` | behind a lock, which no user code runs under |
//! | handlers and the message in hand | taken out of a `Cell` while a handler runs | the same, behind a lock |
//! | a step runs | when the waitset of the thread visits it | on the thread that has claimed the binding |
//! | a handler gets | [`RawBinding`] | [`SharedEndpoint`](super::SharedEndpoint) |

use core::cell::{Cell, OnceCell, RefCell};
use core::ops::{Deref, DerefMut};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::binding::connection::{self, Message};
use crate::binding::inbox::Mail;
use crate::binding::shared::SharedServer;
use crate::binding::shell::{AfterEnd, SendCallback, Shell};
use crate::binding::step::DeliveredRow;
use crate::binding::{BindingError, Delivery, Dispatch, RawBinding, Received, RpcError};
use crate::channel::Channel;
use crate::message::bulk::BulkEnd;
use crate::waitset::{Priority, Source, Timer, WeakWaitset};
use crate::wire::DecodeError;

/// A way to share a binding.
pub(super) trait Threading: Sized + 'static {
    /// A value that one piece of code at a time uses.
    type Lock<V>: Lock<V>;
    /// A value that is taken out while it is used.
    type Slot<V>: Slot<V>;
    type Ref: Deref<Target = Shell<Self>> + Clone;
    type Weak: Clone;
    type Channel: Channel + ?Sized;
    type Timer;
    type Handler: ?Sized;
    /// The end that a handler gets.
    type Raw;
    /// A waitset that may be gone.
    type Waitset;
    type Callback;
    /// What only a binding that is shared in this way has.
    type Own;
    /// True if the binding may end on one thread while another one receives.
    const MAY_END_ANYWHERE: bool;

    fn upgrade(weak: &Self::Weak) -> Option<Self::Ref>;

    /// Returns false in a forked child where locks of the binding may be held by threads that are not there.
    fn may_lock(shell: &Shell<Self>) -> bool;

    /// Delivers `message`, and then the messages of `rest`.
    fn deliver<'a>(
        handler: &mut Self::Handler,
        raw: &Self::Raw,
        message: Received<'a>,
        rest: Option<&mut DeliveredRow<'a, Self>>,
    ) -> Result<(), DecodeError>;

    fn connected(handler: &mut Self::Handler, raw: &Self::Raw);

    fn error(handler: &mut Self::Handler, raw: &Self::Raw, error: BindingError);

    /// The end that was lent to the handlers is about to be dropped.
    fn receiver_dropped(raw: &Self::Raw);

    /// Has the waitset visit the binding. Nothing may be borrowed.
    fn poke(shell: &Shell<Self>);

    /// Has the waitset serve the binding with this priority from now on.
    fn set_priority(shell: &Shell<Self>, priority: Priority);

    /// Has the waitset run [`Shell::run_events`].
    fn run_events_later(shell: &Shell<Self>);

    /// Has the waitset run [`Shell::pass_on`].
    fn pass_on_later(shell: &Shell<Self>, line: connection::Line);

    /// Has the waitset run what is left when the binding has ended; without a waitset, runs it now.
    fn run_after_end(shell: &Shell<Self>, rest: AfterEnd<Self>);

    /// Has `waitset` run `callback`, which is dropped if the waitset is gone.
    fn post(waitset: Self::Waitset, callback: Self::Callback);

    /// Has the waitset run `count` of the finished callbacks.
    fn post_finished(shell: &Shell<Self>, count: usize);

    /// Has the waitset give back the memory that large messages took, once none has come for a while.
    fn trim_later(shell: &Shell<Self>);

    /// Passes the result of a call that another thread made, or may have made.
    fn settle_call(
        shell: &Shell<Self>,
        call: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    );

    /// Returns the inbox of the binding, if it has one.
    fn mail(shell: &Shell<Self>) -> Option<&Arc<Mail>>;

    /// Returns the pools of the binding, if it has any.
    fn bulk_end(shell: &Shell<Self>) -> Option<Arc<BulkEnd>>;

    /// Called at the end of a step. Returns true if the next step has to look at everything.
    fn step_ends(shell: &Shell<Self>) -> bool;

    /// The binding ends: closes the queue of other threads, and has their calls fail. Returns the
    /// messages in the queue.
    fn binding_ends(shell: &Shell<Self>, why: &BindingError) -> Vec<LeftMessage>;

    /// Returns true if a thread has a message in hand that was accepted.
    fn is_busy(shell: &Shell<Self>) -> bool;

    /// The binding is closing, and holds `words` words that are not sent.
    fn begin_closing(shell: &Shell<Self>, words: usize);

    /// The channel is closed. Returns what is to be dropped when nothing is borrowed.
    fn closed(shell: &Shell<Self>) -> Option<Self::Ref>;

    /// Returns a channel that has ended.
    fn no_channel() -> Box<Self::Channel>;
}

/// A message of another thread that its binding has not sent, with the slot that receives the outcome.
pub(super) type LeftMessage = (Message, Option<Arc<super::shared::SentSlot>>);

/// See [`Threading::Lock`].
pub(super) trait Lock<V> {
    fn new(value: V) -> Self;

    fn lock(&self) -> impl DerefMut<Target = V>;

    /// Returns `None` if this thread uses the value.
    fn try_lock(&self) -> Option<impl DerefMut<Target = V>>;
}

/// See [`Threading::Slot`].
pub(super) trait Slot<V> {
    fn empty() -> Self;

    fn take(&self) -> Option<V>;

    /// Puts a value into the slot. Returns the value before.
    fn put(&self, value: V) -> Option<V>;

    fn is_empty(&self) -> bool;
}

impl<V> Lock<V> for RefCell<V> {
    fn new(value: V) -> Self {
        Self::new(value)
    }

    #[inline(always)]
    fn lock(&self) -> impl DerefMut<Target = V> {
        self.borrow_mut()
    }

    #[inline(always)]
    fn try_lock(&self) -> Option<impl DerefMut<Target = V>> {
        self.try_borrow_mut().ok()
    }
}

impl<V> Slot<V> for Cell<Option<V>> {
    fn empty() -> Self {
        Self::new(None)
    }

    #[inline(always)]
    fn take(&self) -> Option<V> {
        Self::take(self)
    }

    #[inline(always)]
    fn put(&self, value: V) -> Option<V> {
        self.replace(Some(value))
    }

    fn is_empty(&self) -> bool {
        let value = Self::take(self);
        let is_empty = value.is_none();
        self.set(value);
        is_empty
    }
}

/// The binding belongs to the thread of its waitset, and costs no lock and no atomic operation.
pub(crate) struct OneThread;

/// What only a binding of one thread has.
pub(super) struct Own {
    /// Number of handles that the program has.
    pub(super) handles: Cell<usize>,
    /// True if the binding lives without handles.
    pub(super) kept: Cell<bool>,
    pub(super) waitset: RefCell<WeakWaitset>,
    pub(super) token: Cell<u64>,
    /// True if the waitset knows that this binding has memory of large messages.
    pub(super) has_large: Cell<bool>,
    /// True if there was a large message since the waitset asked last.
    pub(super) had_large: Cell<bool>,
    /// The other end, when it is in this thread.
    pub(super) local_peer: RefCell<Weak<Shell>>,
    /// Counts the ticks of calls with the default timeout.
    pub(super) ticker: Cell<Option<Timer>>,
    /// Serves the handles of other threads.
    pub(super) shared: OnceCell<Rc<SharedServer>>,
    /// Pools of bulk data.
    pub(super) bulk: OnceCell<Option<Arc<BulkEnd>>>,
    /// Messages that are received as values.
    pub(super) mail: OnceCell<Arc<Mail>>,
    /// True if the waitset asked for events while the handler ran: the answer was that there are none, and the waitset may
    /// sleep now.
    pub(super) polled_in_handler: Cell<bool>,
    /// Set by [`Control::SetSync`](crate::channel::Control::SetSync).
    pub(super) hands_over: Cell<bool>,
    pub(super) priority: Cell<Priority>,
}

impl Own {
    pub(super) fn new(waitset: WeakWaitset) -> Self {
        Self {
            handles: Cell::new(1),
            kept: Cell::new(false),
            waitset: RefCell::new(waitset),
            token: Cell::new(u64::MAX),
            has_large: Cell::new(false),
            had_large: Cell::new(false),
            local_peer: RefCell::new(Weak::new()),
            ticker: Cell::new(None),
            shared: OnceCell::new(),
            bulk: OnceCell::new(),
            mail: OnceCell::new(),
            polled_in_handler: Cell::new(false),
            hands_over: Cell::new(false),
            priority: Cell::default(),
        }
    }
}

impl Threading for OneThread {
    type Lock<V> = RefCell<V>;
    type Slot<V> = Cell<Option<V>>;
    type Ref = Rc<Shell>;
    type Weak = Weak<Shell>;
    type Channel = dyn Channel;
    type Timer = Timer;
    type Handler = dyn Dispatch;
    type Raw = RawBinding;
    type Waitset = WeakWaitset;
    type Callback = SendCallback;
    type Own = Own;
    const MAY_END_ANYWHERE: bool = false;

    #[inline(always)]
    fn may_lock(_shell: &Shell) -> bool {
        true
    }

    fn upgrade(weak: &Weak<Shell>) -> Option<Rc<Shell>> {
        weak.upgrade()
    }

    #[inline(always)]
    fn deliver<'a>(
        handler: &mut (dyn Dispatch + 'static),
        raw: &RawBinding,
        message: Received<'a>,
        rest: Option<&mut DeliveredRow<'a, Self>>,
    ) -> Result<(), DecodeError> {
        match rest {
            None => handler.deliver(raw, message),
            Some(rest) => handler.deliver_all(raw, &mut Delivery { message, rest }),
        }
    }

    fn connected(handler: &mut (dyn Dispatch + 'static), raw: &RawBinding) {
        handler.connected(raw);
    }

    fn error(handler: &mut (dyn Dispatch + 'static), raw: &RawBinding, error: BindingError) {
        handler.error(raw, error);
    }

    fn receiver_dropped(raw: &RawBinding) {
        // The drop of `raw` subtracts what was never added.
        let handles = &raw.shell().own.handles;
        handles.set(handles.get() + 1);
    }

    fn poke(shell: &Shell) {
        if let Some(waitset) = shell.waitset() {
            waitset.poke(shell.own.token.get());
        }
    }

    fn set_priority(shell: &Shell, priority: Priority) {
        shell.own.priority.set(priority);
        if let Some(waitset) = shell.waitset() {
            waitset.set_priority(shell.own.token.get(), priority);
        }
    }

    fn run_events_later(shell: &Shell) {
        let weak = Weak::clone(&shell.myself);
        if let Some(waitset) = shell.waitset() {
            waitset.post(move |_| {
                if let Some(shell) = weak.upgrade() {
                    shell.run_events();
                }
                Ok(())
            });
        }
    }

    fn pass_on_later(shell: &Shell, line: connection::Line) {
        let weak = Weak::clone(&shell.myself);
        if let Some(waitset) = shell.waitset() {
            waitset.post(move |_| {
                if let Some(shell) = weak.upgrade() {
                    shell.pass_on(line);
                }
                Ok(())
            });
        }
    }

    fn run_after_end(shell: &Shell, rest: AfterEnd<Self>) {
        match shell.waitset() {
            Some(waitset) => waitset.post(move |_| {
                rest.run();
                Ok(())
            }),
            None => rest.run(),
        }
    }

    fn post(waitset: WeakWaitset, callback: SendCallback) {
        if let Some(waitset) = waitset.upgrade() {
            waitset.post(callback);
        }
    }

    fn post_finished(shell: &Shell, count: usize) {
        if let Some(waitset) = shell.waitset() {
            (0..count).for_each(|_| shell.post_finished(&waitset));
        }
    }

    #[cold]
    fn trim_later(shell: &Shell) {
        shell.own.had_large.set(true);
        if !shell.own.has_large.replace(true)
            && let Some(waitset) = shell.waitset()
        {
            waitset.trim_later(Weak::clone(&shell.myself) as Weak<dyn Source>);
        }
    }

    fn settle_call(shell: &Shell, call: u32, result: impl FnOnce() -> Result<Message, RpcError>) {
        if let Some(shared) = shell.own.shared.get() {
            shared.settle(call, result);
        }
    }

    fn mail(shell: &Shell) -> Option<&Arc<Mail>> {
        shell.own.mail.get()
    }

    fn bulk_end(shell: &Shell) -> Option<Arc<BulkEnd>> {
        shell.strong().watched_pools().cloned()
    }

    fn step_ends(shell: &Shell) -> bool {
        if shell.own.polled_in_handler.get() && !shell.is_delivering() {
            shell.own.polled_in_handler.set(false);
            Self::poke(shell);
        }
        shell.own.polled_in_handler.get()
    }

    fn binding_ends(shell: &Shell, why: &BindingError) -> Vec<LeftMessage> {
        // What other threads were promised to be accepted counts as accepted. Their calls fail.
        let shared = shell.own.shared.get();
        let left = shared.map(|shared| shared.take_messages(why)).unwrap_or_default();
        if let Some(shared) = shared {
            shared.end(why);
        }
        if let Some(Some(bulk)) = shell.own.bulk.get() {
            bulk.ended();
        }
        if let Some(ticker) = shell.own.ticker.take() {
            ticker.cancel();
        }
        left
    }

    fn is_busy(_shell: &Shell) -> bool {
        false
    }

    fn begin_closing(shell: &Shell, words: usize) {
        super::closing::add(shell.strong(), words);
    }

    fn closed(shell: &Shell) -> Option<Rc<Shell>> {
        if let Some(shared) = shell.own.shared.get() {
            shared.link().note_closed(shell.close_result());
        }
        let left = super::closing::remove(shell);
        shell.notifier.detach();
        if let Some(waitset) = shell.waitset() {
            shell.unregister(&waitset, shell.own.token.get());
        }
        left
    }

    fn no_channel() -> Box<dyn Channel> {
        Box::new(super::shell::Ended)
    }
}
