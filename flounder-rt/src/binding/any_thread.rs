//! Bindings whose handlers run on any thread of a [`SharedWaitset`].
//!
//! ```text
//!   a thread of the waitset                           any thread
//!   claim --> turn: step --> handler (no lock held)    send, call --> [ JobQueue ] --> serve --> channel
//!               '-- connection and channel: one lock, held for one access ---------------'
//! ```
//! The claim (`waitset/claim.rs`) keeps the steps of one binding apart, so its messages are handled
//! one at a time and in order; other bindings have claims of their own. While a handler runs, the
//! binding is claimed and nothing is locked: the handler and any other thread may send. A thread that
//! sends puts its message into the queue and then serves the queue itself, unless another thread is
//! at it and will see the message (`combiner.rs`); so nothing waits for a thread of the waitset.

use core::cell::RefCell;
use core::ops::DerefMut;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Wake;
use std::time::Instant;

use crate::account::Charge;
use crate::binding::bulk::new_pools;
use crate::binding::closing_list::ClosingList;
use crate::binding::combiner::Combiner;
use crate::binding::connection::{self, Message, State};
use crate::binding::inbox::Mail;
use crate::binding::shared::{Jobs, Link};
use crate::binding::shell::{AfterEnd, Ended, Parts, Receiver, Shell};
use crate::binding::step::DeliveredRow;
use crate::binding::threading::{LeftMessage, Lock, Slot, Threading};
use crate::binding::{
    BindingError, BoxDispatch, ControlError, Dispatch, Received, Rest, RpcError, Shared,
    SharedEndpoint,
};
use crate::channel::{Channel, Incoming, PeerProcessor};
use crate::exit;
use crate::interface::Interface;
use crate::message::bulk::BulkEnd;
use crate::notify::{Gone, Notifier};
use crate::peer::Peer;
use crate::sync::Mutex;
use crate::waitset::{
    KEEP_LARGE, Outcome, Place, Priority, SendSource, SharedExtension, SharedWaitset, Source,
    Target, Turned, WeakSharedWaitset,
};
use crate::wire::DecodeError;

/// The binding belongs to no thread.
pub(crate) struct AnyThread;

/// Rounds of jobs that a thread does for others before it leaves the rest to the waitset.
const ROUNDS: usize = 4;

/// A callback for the threads of a waitset.
type Callback = Box<dyn FnOnce(&SharedWaitset) -> Outcome + Send>;

/// What only a binding of any thread has.
pub(super) struct Own {
    home: Mutex<Home>,
    jobs: Jobs<AnyThread>,
    serving: Combiner,
    /// True if the next turn has to serve the jobs.
    must_serve: AtomicBool,
    /// True if the binding lives without handles.
    is_kept: AtomicBool,
    /// True if a timer runs for the memory of large messages.
    has_large: AtomicBool,
    /// True if there was a large message since the timer was set.
    had_large: AtomicBool,
    /// True if the next turn that finds nothing gives back memory.
    must_trim: AtomicBool,
}

/// Where a binding is served. Its lock is taken before that of connection and channel.
struct Home {
    waitset: WeakSharedWaitset,
    place: Weak<Place>,
    /// Fires when the first alarm is due.
    alarm: HomeTimer,
    /// Fires when the memory of large messages is looked at.
    memory: HomeTimer,
}

impl Home {
    const fn new(waitset: WeakSharedWaitset) -> Self {
        let (alarm, memory) = (HomeTimer(None), HomeTimer(None));
        Self { waitset, place: Weak::new(), alarm, memory }
    }
}

/// A timer, and the waitset that it was set in.
struct HomeTimer(Option<(WeakSharedWaitset, u64)>);

impl HomeTimer {
    /// Cancels the timer, and sets it to run `task` from `waitset` at `at`.
    fn set(&mut self, waitset: &WeakSharedWaitset, at: Instant, task: Callback) {
        self.cancel();
        if let Some(inner) = waitset.upgrade() {
            let delay = at.saturating_duration_since(Instant::now());
            self.0 = Some((waitset.clone(), inner.after(delay, task)));
        }
    }

    fn cancel(&mut self) {
        if let Some((waitset, timer)) = self.0.take()
            && let Some(waitset) = waitset.upgrade()
        {
            waitset.cancel(timer);
        }
    }
}

impl<V> Lock<V> for Mutex<V> {
    fn new(value: V) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> impl DerefMut<Target = V> {
        Self::lock(self)
    }

    fn try_lock(&self) -> Option<impl DerefMut<Target = V>> {
        Some(Self::lock(self))
    }
}

impl<V> Slot<V> for Mutex<Option<V>> {
    fn empty() -> Self {
        Self::new(None)
    }

    fn take(&self) -> Option<V> {
        Self::lock(self).take()
    }

    fn put(&self, value: V) -> Option<V> {
        Self::lock(self).replace(value)
    }

    fn is_empty(&self) -> bool {
        Self::lock(self).is_none()
    }
}

impl Threading for AnyThread {
    type Lock<V> = Mutex<V>;
    type Slot<V> = Mutex<Option<V>>;
    type Ref = Arc<Shell<Self>>;
    type Weak = Weak<Shell<Self>>;
    type Channel = dyn Channel + Send;
    /// Calls have alarms instead.
    type Timer = ();
    type Handler = dyn Dispatch<Shared> + Send;
    type Raw = SharedEndpoint;
    type Waitset = WeakSharedWaitset;
    type Callback = Callback;
    type Own = Own;
    const MAY_END_ANYWHERE: bool = true;

    fn may_lock(shell: &Shell<Self>) -> bool {
        shell.notifier.is_here()
    }

    fn upgrade(weak: &Weak<Shell<Self>>) -> Option<Arc<Shell<Self>>> {
        weak.upgrade()
    }

    fn deliver<'a>(
        handler: &mut (dyn Dispatch<Shared> + Send + 'static),
        raw: &SharedEndpoint,
        message: Received<'a>,
        rest: Option<&mut DeliveredRow<'a, Self>>,
    ) -> Result<(), DecodeError> {
        debug_assert!(rest.is_none(), "the turns of a shared waitset are of one message");
        handler.deliver(raw, message)
    }

    fn connected(handler: &mut Self::Handler, raw: &Self::Raw) {
        handler.connected(raw);
    }

    fn error(
        handler: &mut (dyn Dispatch<Shared> + Send + 'static),
        raw: &SharedEndpoint,
        error: BindingError,
    ) {
        handler.error(raw, error);
    }

    fn receiver_dropped(_raw: &SharedEndpoint) {}

    fn poke(shell: &Shell<Self>) {
        if let Some(place) = shell.place() {
            place.wake();
        }
    }

    fn set_priority(shell: &Shell<Self>, priority: Priority) {
        // Locked until it is done: a place that the binding moves to takes the priority over.
        if let Some(home) = shell.home()
            && let Some(place) = home.place.upgrade()
        {
            place.set_priority(priority);
        }
    }

    fn run_events_later(shell: &Shell<Self>) {
        shell.run_later(|shell| shell.run_events());
    }

    fn pass_on_later(shell: &Shell<Self>, line: connection::Line) {
        shell.run_later(move |shell| shell.pass_on(line));
    }

    fn run_after_end(shell: &Shell<Self>, rest: AfterEnd<Self>) {
        let rest = RunOrDropped(Some(rest));
        // Runs at the latest when the waitset drops the task.
        shell.post(Box::new(move |_| {
            drop(rest);
            Ok(())
        }));
    }

    fn post(waitset: WeakSharedWaitset, callback: Callback) {
        if let Some(waitset) = waitset.upgrade() {
            waitset.post(callback);
        }
    }

    fn post_finished(shell: &Shell<Self>, count: usize) {
        for _ in 0..count {
            let callback = shell.io.lock().finished.pop_front();
            if let Some(callback) = callback {
                shell.post(callback);
            }
        }
    }

    #[cold]
    fn trim_later(shell: &Shell<Self>) {
        shell.own.had_large.store(true, Ordering::Relaxed);
        if !shell.own.has_large.swap(true, Ordering::Relaxed) {
            shell.look_at_memory_later();
        }
    }

    fn settle_call(
        shell: &Shell<Self>,
        call: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    ) {
        shell.own.jobs.settle(shell, call, result);
    }

    fn mail(shell: &Shell<Self>) -> Option<&Arc<Mail>> {
        shell.own.jobs.link().mail()
    }

    fn bulk_end(shell: &Shell<Self>) -> Option<Arc<BulkEnd>> {
        shell.own.jobs.link().bulk().cloned()
    }

    fn step_ends(_shell: &Shell<Self>) -> bool {
        false
    }

    fn binding_ends(shell: &Shell<Self>, why: &BindingError) -> Vec<LeftMessage> {
        let left = shell.own.jobs.take_messages(why);
        shell.own.jobs.end(why);
        if let Some(bulk) = shell.own.jobs.link().bulk() {
            bulk.ended();
        }
        if let Some(mut home) = shell.home() {
            home.alarm.cancel();
        }
        left
    }

    fn is_busy(shell: &Shell<Self>) -> bool {
        shell.own.serving.is_busy()
    }

    fn begin_closing(shell: &Shell<Self>, words: usize) {
        let Some(waitset) = shell.waitset().and_then(|waitset| waitset.upgrade()) else { return };
        let closings = waitset.extension::<Closings>();
        let cut = Mutex::lock(&closings.0).add(Weak::clone(&shell.myself), words);
        for shell in cut {
            if let Some(shell) = shell.upgrade() {
                shell.cut_for_others();
            }
        }
    }

    fn closed(shell: &Shell<Self>) -> Option<Arc<Shell<Self>>> {
        shell.own.jobs.link().note_closed(shell.close_result());
        shell.notifier.detach();
        if let Some(waitset) = shell.waitset().and_then(|waitset| waitset.upgrade()) {
            let closings = waitset.extension::<Closings>();
            Mutex::lock(&closings.0).remove(|other| other.ptr_eq(&shell.myself));
        }
        let me = shell.myself.upgrade();
        if let Some(place) = shell.place() {
            let io = Lock::lock(&shell.io);
            place.remove(io.channel.readiness().fds());
        }
        me
    }

    fn no_channel() -> Box<dyn Channel + Send> {
        Box::new(Ended)
    }
}

/// The bindings of a waitset that are closing.
struct Closings(Mutex<ClosingList<Weak<Shell<AnyThread>>>>);

impl Default for Closings {
    fn default() -> Self {
        Self(Mutex::new(ClosingList::new()))
    }
}

impl SharedExtension for Closings {
    fn waitset_closes(&self) {}
}

/// Runs what is left when a binding has ended, once it is dropped.
struct RunOrDropped(Option<AfterEnd<AnyThread>>);

impl Drop for RunOrDropped {
    fn drop(&mut self) {
        if let Some(rest) = self.0.take() {
            rest.run();
        }
    }
}

thread_local! {
    /// Bindings whose turns this thread runs: more than one if a handler dispatches.
    static RUNNING: RefCell<Vec<*const Shell<AnyThread>>> = const { RefCell::new(Vec::new()) };
}

/// Notes that this thread runs a turn of a binding.
struct Running;

impl Running {
    fn begin(shell: &Shell<AnyThread>) -> Self {
        RUNNING.with_borrow_mut(|running| running.push(shell));
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| _ = running.pop());
    }
}

/// Returns true if this thread runs a turn of the binding, so that nothing can be received before it ends.
pub(super) fn is_in_handler(shell: &Shell<AnyThread>) -> bool {
    RUNNING.with_borrow(|running| running.contains(&core::ptr::from_ref(shell)))
}

/// Does what is queued for the binding, unless another thread is at it.
pub(super) fn serve(shell: &Arc<Shell<AnyThread>>) {
    shell.own.serving.request(|| {
        serve_now(shell);
        let ended = Lock::lock(&shell.io).connection.ended().cloned();
        if let Some(why) = ended {
            // What this thread had in hand when another one ended the binding.
            for (message, receipt) in shell.own.jobs.take_messages(&why) {
                shell.send_last(message, receipt);
            }
            shell.own.jobs.end(&why);
        }
    });
    if shell.state() == State::Closing {
        // The end of the binding may have waited for this thread.
        shell.poke();
    }
}

fn serve_now(shell: &Arc<Shell<AnyThread>>) {
    let own = &shell.own;
    if own.jobs.link().has_new_alarm() {
        look_at_the_clock(shell);
    }
    for _ in 0..ROUNDS {
        let served = own.jobs.serve(shell);
        if served.is_unused {
            let may_end = own.jobs.release(shell);
            if may_end && !own.is_kept.load(Ordering::Acquire) {
                shell.end(BindingError::Closed, false, Rest::IsSent);
            }
            return;
        }
        if served.done == 0 {
            return;
        }
    }
    own.must_serve.store(true, Ordering::Release);
    shell.poke();
}

/// Wakes the calls whose deadline has passed, and sets a timer for the next deadline.
fn look_at_the_clock(shell: &Arc<Shell<AnyThread>>) {
    let next = shell.own.jobs.link().look_at_alarms(Instant::now());
    let Some(mut home) = shell.home() else { return };
    let Some(next) = next else { return home.alarm.cancel() };
    let weak = Arc::downgrade(shell);
    let look = move |_: &SharedWaitset| {
        if let Some(shell) = weak.upgrade() {
            look_at_the_clock(&shell);
        }
        Ok(())
    };
    let home = &mut *home;
    home.alarm.set(&home.waitset, next, Box::new(look));
}

/// Has the next turn serve the jobs.
struct Nudge(Weak<Shell<AnyThread>>);

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        if let Some(shell) = self.0.upgrade() {
            shell.own.must_serve.store(true, Ordering::Release);
            shell.poke();
        }
    }
}

impl Shell<AnyThread> {
    /// Returns where the binding is served; `None` in a forked child, where a thread that is not there may hold the lock.
    fn home(&self) -> Option<impl DerefMut<Target = Home>> {
        AnyThread::may_lock(self).then(|| Mutex::lock(&self.own.home))
    }

    /// Returns the waitset that serves the binding.
    fn waitset(&self) -> Option<WeakSharedWaitset> {
        self.home().map(|home| home.waitset.clone())
    }

    /// Returns the place of the binding in its waitset, unless the waitset is gone.
    fn place(&self) -> Option<Arc<Place>> {
        self.home()?.place.upgrade()
    }

    /// Runs `task` from the waitset; drops it if the waitset is gone.
    pub(super) fn post(&self, task: Callback) {
        if let Some(waitset) = self.waitset().and_then(|waitset| waitset.upgrade()) {
            waitset.post(task);
        }
    }

    /// Sets a timer for the memory of large messages, which is given back if none has come until then.
    fn look_at_memory_later(&self) {
        let weak = Weak::clone(&self.myself);
        let look = move |_: &SharedWaitset| {
            if let Some(shell) = weak.upgrade() {
                if shell.own.had_large.swap(false, Ordering::Relaxed) {
                    shell.look_at_memory_later();
                } else {
                    shell.own.has_large.store(false, Ordering::Relaxed);
                    shell.own.must_trim.store(true, Ordering::Relaxed);
                    shell.poke();
                }
            }
            Ok(())
        };
        let Some(mut home) = self.home() else { return };
        let home = &mut *home;
        home.memory.set(&home.waitset, Instant::now() + KEEP_LARGE, Box::new(look));
    }

    /// Moves the binding to `waitset`. A thread of the other waitset that runs an event of the binding finishes that one.
    pub(super) fn change_waitset(&self, waitset: &SharedWaitset) -> Result<(), ControlError> {
        let me = self.myself.upgrade().ok_or(ControlError::Closed)?;
        waitset.usable().map_err(|_| ControlError::Closed)?;
        {
            let mut home = self.home().ok_or(ControlError::Closed)?;
            // An end that comes later finds the new place.
            if self.has_ended() {
                return Err(ControlError::Closed);
            }
            let old = home.place.upgrade();
            if home.waitset.is(waitset) {
                return Ok(());
            }
            let new = {
                let io = &mut *Lock::lock(&self.io);
                io.channel.attached(waitset)?;
                let fds = io.channel.readiness().fds();
                waitset.inner().insert(Arc::clone(&me) as Arc<dyn SendSource>, fds)?
            };
            (home.waitset, home.place) = (waitset.downgrade(), Arc::downgrade(&new));
            // Reports a peer that is gone: connection and channel are not locked.
            self.notifier.retarget(Arc::new(Target(Arc::clone(&new))), 0);
            match old {
                Some(old) => {
                    let io = Lock::lock(&self.io);
                    old.move_to(new, io.channel.readiness().fds());
                }
                None => new.start(),
            }
        }
        look_at_the_clock(&me);
        if self.own.has_large.load(Ordering::Relaxed) {
            self.look_at_memory_later();
        }
        Ok(())
    }

    /// Runs `task` on this binding from the waitset, if the binding still exists then.
    fn run_later(&self, task: impl FnOnce(&Self) + Send + 'static) {
        let weak = Weak::clone(&self.myself);
        self.post(Box::new(move |_| {
            if let Some(shell) = weak.upgrade() {
                task(&shell);
            }
            Ok(())
        }));
    }
}

impl Source for Shell<AnyThread> {
    fn turn(&self) -> Turned {
        if self.own.must_serve.swap(false, Ordering::AcqRel)
            && let Some(shell) = self.myself.upgrade()
        {
            serve(&shell);
        }
        let running = Running::begin(self);
        let worked = self.step::<true>(|_| false) == Turned::Work;
        drop(running);
        if !worked && self.own.must_trim.swap(false, Ordering::Relaxed) {
            self.trim_now();
        }
        Turned::of(worked)
    }

    fn ready(&self) -> bool {
        self.own.must_serve.load(Ordering::Acquire) || self.would_step(|| {})
    }

    fn arm(&self) -> bool {
        Lock::lock(&self.io).channel.arm();
        true
    }

    fn disarm(&self) {
        Lock::lock(&self.io).channel.disarm();
    }

    fn sleep_limit(&self) -> Option<core::time::Duration> {
        Lock::lock(&self.io).channel.sleep_limit()
    }

    fn peer_processor(&self, this: usize) -> PeerProcessor {
        Lock::lock(&self.io).channel.peer_processor(this)
    }

    fn is_polled(&self) -> bool {
        self.polled
    }

    fn peer_gone(&self, gone: Gone) {
        Lock::lock(&self.io).connection.set_peer_gone(gone);
    }

    fn abandoned(&self) {
        self.end(BindingError::Closed, false, Rest::IsSent);
    }
}

impl SendSource for Shell<AnyThread> {
    fn give_up(&self) {
        self.cut();
    }
}

impl SharedEndpoint {
    /// Attaches a connected channel, which was made with `notifier` and leads to `peer`, to a new binding that the threads of
    /// `waitset` serve: the messages of the binding are handled one at a time and in order, each by whichever thread is free.
    /// `charge` is returned to the account of the peer when the binding is gone.
    ///
    /// The binding lives as long as its handles; as the end of a service, until either side tears it down. A blocking call in
    /// a handler of the binding itself fails ([`RpcError::WouldDeadlock`]); elsewhere it needs another thread that
    /// dispatches.
    ///
    /// # Errors
    /// The error of the system call with which the waitset failed to watch the channel.
    pub(crate) fn attach_from(
        mut channel: Box<dyn Channel + Send>,
        waitset: &SharedWaitset,
        interface: &'static Interface,
        mut handler: BoxDispatch<Shared>,
        notifier: Notifier,
        peer: Peer,
        charge: Option<Charge>,
    ) -> io::Result<Self> {
        waitset.usable()?;
        channel.attached(waitset)?;
        let account = charge.as_ref().map(|charge| charge.account().clone());
        let driver = channel.driver();
        let weak_waitset = waitset.downgrade();
        let bulk = new_pools(interface, &peer, channel.bulk(), account.clone());
        let shell = Arc::new_cyclic(|myself: &Weak<Shell<AnyThread>>| {
            let (shell, peer_of_link) = (myself.clone(), peer.clone());
            let link = Link::of_any_thread(shell, interface, driver, peer_of_link, bulk);
            let link = Arc::new(link);
            let own = Own {
                home: Mutex::new(Home::new(weak_waitset)),
                jobs: Jobs::new(link, Arc::new(Nudge(myself.clone())).into()),
                serving: Combiner::new(),
                must_serve: AtomicBool::new(false),
                is_kept: AtomicBool::new(false),
                has_large: AtomicBool::new(false),
                had_large: AtomicBool::new(false),
                must_trim: AtomicBool::new(false),
            };
            Shell::of(Parts { channel, interface, notifier, peer, charge }, myself.clone(), own)
        });
        let link = shell.own.jobs.link();
        if let Some(bulk) = link.bulk() {
            let weak = Arc::downgrade(&shell);
            bulk.tell_by(move || {
                // Whoever releases a slot may hold a lock: a turn of the binding serves it.
                if let Some(shell) = weak.upgrade() {
                    shell.own.jobs.link().note_bulk_news();
                    shell.own.must_serve.store(true, Ordering::Release);
                    shell.poke();
                }
            });
        }
        let end = Self::counted(link);
        let raw = Self::lent(link);
        let wants_to_know = handler.attached(&raw);
        Lock::lock(&shell.io).connection.is_new = wants_to_know;
        let incoming = Incoming::charged(interface.limits, account).sent_by(&shell.peer);
        // Nothing was there before.
        let none = shell.receiver.put(Box::new(Receiver { incoming, in_a_row: 0, handler, raw }));
        debug_assert!(none.is_none(), "the binding is new");
        let inner = waitset.inner();
        let place = {
            let io = Lock::lock(&shell.io);
            let fds = io.channel.readiness().fds();
            inner.insert(Arc::clone(&shell) as Arc<dyn SendSource>, fds)?
        };
        Mutex::lock(&shell.own.home).place = Arc::downgrade(&place);
        shell.notifier.retarget(Arc::new(Target(Arc::clone(&place))), 0);
        exit::wait_for(Arc::downgrade(link) as Weak<dyn exit::Queue>);
        place.start();
        if wants_to_know && !shell.polled {
            shell.poke();
        }
        Ok(end)
    }

    /// Makes this the end of a service, as [`RawBinding::serve`](crate::binding::RawBinding::serve) does: the binding lives
    /// without handles. Does nothing to a handle of a binding that belongs to one thread.
    pub(crate) fn serve(&self) {
        if let Some(shell) = self.shell() {
            Lock::lock(&shell.io).connection.is_service = true;
            shell.own.is_kept.store(true, Ordering::Release);
        }
    }

    /// Passes a reply to the call that waits for it. The record of the reply has `words` words, and the
    /// id of the call at byte `at`.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if the reply has fewer words.
    pub(super) fn answer(
        &self,
        message: &mut Received<'_>,
        at: usize,
        words: usize,
    ) -> Result<(), DecodeError> {
        let id = message.reply_id(at, words)?;
        if let Some(shell) = self.shell() {
            AnyThread::settle_call(&shell, id, || Ok(Message::keep(message.reborrow())));
        }
        Ok(())
    }
}
