//! The side of a shared binding that lives in its thread: a source of the waitset, which sends what the others have queued and hands
//! out the replies.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::time::Instant;

use parking_lot::Mutex;

use crate::binding::calls::Message;

use crate::binding::notice::Notice;
use crate::binding::turns::Ticket;
use crate::binding::{BindingError, Core, RawBinding, RpcError, TxError, TxState, wake_all};
use crate::channel::CapRefusal;
use crate::exit;
use crate::fork::ForkGeneration;
use crate::interface::MessageKind;
use crate::notify::{Gone, Notifier};
use crate::waitset::{self, Source, Timer, Waitset};
use crate::wire::Gather;

use super::alarm::Alarms;
use super::lane::Lane;
use super::{Job, Link, Remark, SHARED_QUEUE, SentSlot, Slot};

/// Jobs carried out in one turn, so that a busy queue does not hold up what else the waitset serves.
const JOBS: usize = 16;

/// The thread's side of a shared binding. The binding owns it.
pub(in crate::binding) struct Home {
    core: Weak<Core>,
    link: Arc<Link>,
    /// Keeps the binding while there are handles in other threads.
    raw: Cell<Option<RawBinding>>,
    /// What the waitset knows it by.
    token: Cell<u64>,
    /// Taken from the queue, to be carried out in order.
    held: RefCell<VecDeque<Job>>,
    remarks: Cell<Vec<Remark>>,
    /// The calls that are sent, by number.
    calls: RefCell<HashMap<u32, Arc<Slot>>>,
    /// Its places among those who wait for the slot of the binding, and for one among its calls.
    ticket: RefCell<Ticket>,
    place: RefCell<Ticket>,
    /// Wakes it when it has its turn.
    waker: Waker,
    /// Runs when the first alarm is due.
    timer: Cell<Option<Timer>>,
}

/// Why a job has to wait.
enum Wait {
    /// The binding is busy; its slot will wake the home.
    Slot,
    /// As many calls are under way as may be; the window will.
    Window,
}

struct Nudge(Notifier);

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

impl Home {
    /// The home of a binding, made the first time it is asked for.
    pub(super) fn of(raw: &RawBinding) -> Rc<Self> {
        let core = &raw.0;
        let home = core.calls.home.get_or_init(|| Self::new(core));
        match core.ended.borrow().as_ref() {
            Some(why) => home.end(why),
            None => {
                // Handles in other threads count as one of this.
                let kept = home.raw.take().unwrap_or_else(|| raw.clone());
                home.raw.set(Some(kept));
            }
        }
        Rc::clone(home)
    }

    fn new(core: &Rc<Core>) -> Rc<Self> {
        let notifier = Notifier::new();
        let thread = std::thread::current();
        let number = || format!("{:?}", thread.id());
        let thread_name = thread.name().map_or_else(number, |name| format!("\"{name}\""));
        let link = Arc::new(Link {
            born: ForkGeneration::now(),
            lane: Lane::new(SHARED_QUEUE),
            alarms: Alarms::new(),
            home: notifier.clone(),
            thread: thread.id(),
            thread_name,
            thread_ended: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            watch: Mutex::default(),
            ended: OnceLock::new(),
            interface: core.interface,
            driver: core.driver,
            peer: core.peer.clone(),
        });
        let home = Rc::new(Self {
            core: Rc::downgrade(core),
            link,
            raw: Cell::new(None),
            token: Cell::new(u64::MAX),
            held: RefCell::default(),
            remarks: Cell::default(),
            calls: RefCell::default(),
            ticket: RefCell::default(),
            place: RefCell::default(),
            waker: Arc::new(Nudge(notifier)).into(),
            timer: Cell::default(),
        });
        if let Some(waitset) = core.waitset() {
            home.settle_in(&waitset);
        }
        let link = Arc::downgrade(&home.link);
        exit::wait_for(link);
        home
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The binding is served by this waitset from now on.
    pub(in crate::binding) fn settle_in(self: &Rc<Self>, waitset: &Waitset) {
        let token = waitset.insert_idle(Rc::clone(self) as Rc<dyn Source>);
        self.token.set(token);
        self.link.home.retarget(waitset.remote(), token);
        waitset.poke(token);
        self.look_at_the_clock(waitset);
    }

    /// And no more by this one.
    pub(in crate::binding) fn move_out(&self, waitset: &Waitset) {
        waitset.remove(self.token.get(), None);
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }

    /// Wakes the calls whose time is over, and sees to it that this is done when the next one's is.
    fn look_at_the_clock(self: &Rc<Self>, waitset: &Waitset) {
        let now = Instant::now();
        let next = self.link.alarms.look(now);
        let timer = next.map(|next| {
            let home = Rc::downgrade(self);
            waitset.after(next.saturating_duration_since(now), move |waitset| {
                if let Some(home) = home.upgrade() {
                    home.look_at_the_clock(waitset);
                }
                Ok(())
            })
        });
        if let Some(old) = self.timer.replace(timer) {
            old.cancel();
        }
    }

    /// Hands a call its result, which is not asked for one that nobody waits for.
    pub(in crate::binding) fn settle(
        &self,
        id: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    ) {
        if let Some(slot) = self.forget(id) {
            slot.settle(result());
        }
    }

    /// Takes a call out of those that are under way.
    fn forget(&self, id: u32) -> Option<Arc<Slot>> {
        let slot = self.calls.borrow_mut().remove(&id)?;
        if let Some(core) = self.core.upgrade() {
            core.calls.window.end();
        }
        Some(slot)
    }

    /// The binding has ended: everything that waits learns why.
    pub(in crate::binding) fn end(&self, why: &BindingError) {
        self.note_end(why);
        self.link.home.detach();
        if let Some(waitset) = self.core.upgrade().and_then(|core| core.waitset()) {
            self.move_out(&waitset);
        }
        if !self.link.born.is_here() {
            drop(self.raw.take());
            return;
        }
        let held = self.held.take().into_iter().chain(self.link.lane.close());
        let left =
            held.filter_map(|job| if let Job::Call(_, slot) = job { Some(slot) } else { None });
        for slot in left.chain(self.calls.take().into_values()) {
            slot.settle(Err(self.link.end_error(why)));
        }
        drop(self.raw.take());
    }

    /// Says why the binding ends, before the queue is closed: whoever finds it closed tells the reason.
    fn note_end(&self, why: &BindingError) {
        if waitset::thread_ends() {
            self.link.thread_ended.store(true, Ordering::Release);
        }
        // A second end changes nothing: nothing was taken in since.
        let _ = self.link.ended.set(why.clone());
    }

    /// The binding ends: takes the messages that other threads know to be accepted, and accepts nothing more.
    pub(in crate::binding) fn take_messages(
        &self,
        why: &BindingError,
    ) -> Vec<(Message, Option<Arc<SentSlot>>)> {
        let (mut messages, mut others) = (Vec::new(), VecDeque::new());
        if !self.link.born.is_here() {
            return messages;
        }
        self.note_end(why);
        for job in self.held.take().into_iter().chain(self.link.lane.close()) {
            match job {
                Job::Message(message, report) => messages.push((message, report)),
                job => others.push_back(job),
            }
        }
        self.held.replace(others);
        messages
    }

    fn carry_out(&self, core: &Core, job: &mut Job) -> Result<(), Wait> {
        match job {
            Job::Message(message, report) => {
                let sent = self.try_send(core, message);
                match sent {
                    Err(TxError::Busy) => return Err(Wait::Slot),
                    Err(TxError::CapsRefused(refusal)) => {
                        core.note(BindingError::CapsRefused(refusal));
                        core.poke();
                    }
                    // A binding that is closed says so by itself.
                    Ok(_) | Err(_) => {}
                }
                if let Some(report) = report.take() {
                    core.report(sent, report);
                }
            }
            Job::Call(request, slot) => return self.call(core, request, slot),
            Job::Missed => {
                // It waits its turn as the message would have, or trying again would pile up notices.
                if !core.is_turn_of(&self.ticket.borrow()) {
                    return Err(Wait::Slot);
                }
                core.leave(&mut self.ticket.borrow_mut());
                core.tell_refusal(CapRefusal::SenderLimit, None);
            }
        }
        Ok(())
    }

    fn call(&self, core: &Core, request: &mut Message, slot: &Arc<Slot>) -> Result<(), Wait> {
        let window = &core.calls.window;
        if !window.is_open(&self.place.borrow()) {
            return Err(Wait::Window);
        }
        if !core.is_turn_of(&self.ticket.borrow()) {
            return Err(Wait::Slot);
        }
        let id = core.calls.next();
        if !slot.begin(id) {
            window.leave(&mut self.place.borrow_mut());
            return Ok(());
        }
        set_id(core, request, id);
        // First: what is refused on its way out fails by its number.
        self.calls.borrow_mut().insert(id, Arc::clone(slot));
        window.begin();
        match self.try_send(core, request) {
            Ok(_) => {}
            Err(TxError::Busy) => {
                self.forget(id);
                return Err(Wait::Slot);
            }
            // The binding is about to end, and knows why only then.
            Err(TxError::Closed) => {}
            Err(error) => self.settle(id, || Err(RpcError::Tx(error))),
        }
        window.leave(&mut self.place.borrow_mut());
        Ok(())
    }

    /// Sends, if those who waited for the slot before had theirs.
    fn try_send(&self, core: &Core, message: &mut Message) -> Result<u64, TxError> {
        if !core.is_turn_of(&self.ticket.borrow()) {
            return Err(TxError::Busy);
        }
        let number = message.number;
        let (words, caps) = message.parts();
        // Nothing is borrowed meanwhile: a call that fails at once wakes who waits for it.
        let now = if caps.is_empty() { core.accept_now(number, words) } else { None };
        let result = match now {
            Some(serial) => Ok(serial),
            None => core.accept(number, Gather::words_only(words), caps),
        };
        if result != Err(TxError::Busy) {
            core.leave(&mut self.ticket.borrow_mut());
        }
        result
    }

    /// No handle is left in other threads, and all that they sent is accepted.
    fn release(&self, core: &Core) {
        if core.io.borrow().state == TxState::Sending {
            self.wait_for_slot(core);
        } else {
            core.leave(&mut self.ticket.borrow_mut());
            drop(self.raw.take());
        }
    }

    fn wait_for_place(&self, core: &Core) {
        core.leave(&mut self.ticket.borrow_mut());
        core.calls.window.wait(&mut self.place.borrow_mut(), &self.waker, &core.myself);
    }

    fn wait_for_slot(&self, core: &Core) {
        core.wait_for_turn(&mut self.ticket.borrow_mut(), &self.waker);
    }
}

impl Source for Home {
    fn turn(&self) -> bool {
        let Some(core) = self.core.upgrade() else { return false };
        if self.link.alarms.is_told()
            && let (Some(home), Some(waitset)) = (core.calls.home.get(), core.waitset())
        {
            home.look_at_the_clock(&waitset);
        }
        let mut remarks = self.remarks.take();
        let taken = self.link.lane.take(&mut self.held.borrow_mut(), &mut remarks);
        wake_all(taken.next);
        let used = taken.used;
        for remark in remarks.drain(..) {
            match remark {
                Remark::GivenUp(id) if self.forget(id).is_some() => {
                    core.tell_peer(Notice::Cancelled(id));
                }
                Remark::GivenUp(_) => {}
                Remark::BadReply(number, error) => drop(core.bad_reply(number, error)),
            }
        }
        self.remarks.set(remarks);
        let mut done = 0;
        while done < JOBS {
            let job = self.held.borrow_mut().pop_front();
            let Some(mut job) = job else { break };
            if let Err(wait) = self.carry_out(&core, &mut job) {
                self.held.borrow_mut().push_front(job);
                match wait {
                    Wait::Slot => self.wait_for_slot(&core),
                    Wait::Window => self.wait_for_place(&core),
                }
                return done > 0;
            }
            done += 1;
        }
        if !used && self.held.borrow().is_empty() {
            self.release(&core);
        }
        done > 0
    }

    fn ready(&self) -> bool {
        !self.held.borrow().is_empty()
    }

    fn arm(&self) -> bool {
        true
    }

    fn disarm(&self) {}

    fn is_polled(&self) -> bool {
        false
    }

    fn peer_gone(&self, _gone: Gone) {}

    fn abandoned(&self) {
        // As the binding itself, which is a source of the same waitset.
    }
}

/// Puts the number of a call in.
fn set_id(core: &Core, request: &mut Message, id: u32) {
    let kind = core.interface.message(request.number).map(|message| message.kind);
    if let Some(MessageKind::RpcCall { at }) = kind
        && let Some(word) = request.words_mut().get_mut(at / 8)
    {
        let shift = at % 8 * 8;
        *word = *word & !(u64::from(u32::MAX) << shift) | u64::from(id) << shift;
    }
}
