//! The part of a shared binding in the thread of its waitset: a source of the waitset, which sends what
//! other threads have queued and distributes the replies.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::time::Instant;

use parking_lot::Mutex;

use crate::binding::connection::{Line, Message, Position, Rule, Sender, State};
use crate::binding::shell::{Shell, wake_all};
use crate::binding::{BindingError, RawBinding, Rest, RpcError, TxError};
use crate::channel::CapRefusal;
use crate::exit;
use crate::fork::ForkGeneration;
use crate::interface::MessageKind;
use crate::notify::{Gone, Notifier};
use crate::waitset::{self, Source, Timer, Waitset};
use crate::wire::Gather;

use super::alarm::Alarms;
use super::job_queue::JobQueue;
use super::{HandleEvent, Job, Link, SHARED_QUEUE, SentSlot, Slot};

/// Most jobs of one step, so that a busy queue does not delay the other sources of the waitset.
const JOBS: usize = 16;

/// Serves the handles that other threads have of a binding, which owns it.
pub(in crate::binding) struct SharedServer {
    shell: Weak<Shell>,
    link: Arc<Link>,
    /// Keeps the binding while there are handles in other threads.
    raw: Cell<Option<RawBinding>>,
    /// Token in the waitset.
    token: Cell<u64>,
    /// Jobs taken from the queue, to be done in order.
    held: RefCell<VecDeque<Job>>,
    handle_events: Cell<Vec<HandleEvent>>,
    /// Calls that are sent, by id.
    calls: RefCell<HashMap<u32, Arc<Slot>>>,
    /// Positions in the lines for the slot of the binding, and for a place in the call window.
    turn: RefCell<Position>,
    place: RefCell<Position>,
    /// Wakes this source when its turn comes.
    waker: Waker,
    /// Fires when the first alarm is due.
    timer: Cell<Option<Timer>>,
}

/// Why a job has to wait.
enum Wait {
    /// The slot of the binding is taken; this source is woken when it is free.
    Slot,
    /// The call window is full; this source is woken when a place is free.
    Window,
}

struct Nudge(Notifier);

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

impl SharedServer {
    /// Returns the server of a binding, which is created at the first call.
    pub(super) fn of(raw: &RawBinding) -> Rc<Self> {
        let shell = raw.shell();
        let server = shell.shared.get_or_init(|| Self::new(shell));
        let ended = shell.io.borrow().connection.ended().cloned();
        match &ended {
            Some(why) => server.end(why),
            None => {
                // All handles in other threads count as one handle of this thread.
                let kept = server.raw.take().unwrap_or_else(|| raw.clone());
                server.raw.set(Some(kept));
            }
        }
        Rc::clone(server)
    }

    fn new(shell: &Rc<Shell>) -> Rc<Self> {
        let notifier = Notifier::new();
        let thread = std::thread::current();
        let number = || format!("{:?}", thread.id());
        let thread_name = thread.name().map_or_else(number, |name| format!("\"{name}\""));
        let link = Arc::new(Link {
            born: ForkGeneration::now(),
            job_queue: JobQueue::new(SHARED_QUEUE),
            alarms: Alarms::new(),
            server: notifier.clone(),
            thread: thread.id(),
            thread_name,
            thread_ended: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            watch: Mutex::default(),
            ended: OnceLock::new(),
            interface: shell.interface,
            driver: shell.driver,
            peer: shell.peer.clone(),
            mail: shell.mail.get().cloned(),
        });
        let server = Rc::new(Self {
            shell: Rc::downgrade(shell),
            link,
            raw: Cell::new(None),
            token: Cell::new(u64::MAX),
            held: RefCell::default(),
            handle_events: Cell::default(),
            calls: RefCell::default(),
            turn: RefCell::default(),
            place: RefCell::default(),
            waker: Arc::new(Nudge(notifier)).into(),
            timer: Cell::default(),
        });
        if let Some(waitset) = shell.waitset() {
            server.attach(&waitset);
        }
        let link = Arc::downgrade(&server.link);
        exit::wait_for(link);
        server
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Registers with a waitset.
    pub(in crate::binding) fn attach(self: &Rc<Self>, waitset: &Waitset) {
        let token = waitset.insert_idle(Rc::clone(self) as Rc<dyn Source>);
        self.token.set(token);
        self.link.server.retarget(waitset.remote(), token);
        waitset.poke(token);
        self.look_at_the_clock(waitset);
    }

    /// Unregisters from a waitset.
    pub(in crate::binding) fn detach(&self, waitset: &Waitset) {
        waitset.remove(self.token.get(), None);
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }

    /// Wakes the calls whose deadline has passed, and sets a timer for the next deadline.
    fn look_at_the_clock(self: &Rc<Self>, waitset: &Waitset) {
        let now = Instant::now();
        let next = self.link.alarms.look(now);
        let timer = next.map(|next| {
            let server = Rc::downgrade(self);
            waitset.after(next.saturating_duration_since(now), move |waitset| {
                if let Some(server) = server.upgrade() {
                    server.look_at_the_clock(waitset);
                }
                Ok(())
            })
        });
        if let Some(old) = self.timer.replace(timer) {
            old.cancel();
        }
    }

    /// Settles a call. `result` is not called if the call was given up.
    pub(in crate::binding) fn settle(
        &self,
        id: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    ) {
        if let Some(slot) = self.forget(id) {
            slot.settle(result());
        }
    }

    /// Removes a call that was under way.
    fn forget(&self, id: u32) -> Option<Arc<Slot>> {
        let slot = self.calls.borrow_mut().remove(&id)?;
        if let Some(shell) = self.shell.upgrade() {
            shell.io.borrow_mut().connection.end_foreign();
            shell.run_events();
        }
        Some(slot)
    }

    /// The binding has ended: every call ends with an error.
    pub(in crate::binding) fn end(&self, why: &BindingError) {
        self.note_end(why);
        self.link.server.detach();
        if let Some(waitset) = self.shell.upgrade().and_then(|shell| shell.waitset()) {
            self.detach(&waitset);
        }
        if !self.link.born.is_here() {
            drop(self.raw.take());
            return;
        }
        let held = self.held.take().into_iter().chain(self.link.job_queue.close());
        let left =
            held.filter_map(|job| if let Job::Call(_, slot) = job { Some(slot) } else { None });
        for slot in left.chain(self.calls.take().into_values()) {
            slot.settle(Err(self.link.end_error(why)));
        }
        drop(self.raw.take());
    }

    /// Records why the binding ends, before the queue is closed: a thread that finds the queue closed
    /// reports the reason.
    fn note_end(&self, why: &BindingError) {
        if waitset::thread_ends() {
            self.link.thread_ended.store(true, Ordering::Release);
        }
        // A second end changes nothing: nothing was taken in since.
        let _ = self.link.ended.set(why.clone());
    }

    /// Closes the queue, and returns the messages in it: the threads that sent them know that they were
    /// accepted.
    pub(in crate::binding) fn take_messages(
        &self,
        why: &BindingError,
    ) -> Vec<(Message, Option<Arc<SentSlot>>)> {
        let (mut messages, mut others) = (Vec::new(), VecDeque::new());
        if !self.link.born.is_here() {
            return messages;
        }
        self.note_end(why);
        for job in self.held.take().into_iter().chain(self.link.job_queue.close()) {
            match job {
                Job::Message(message, report) => messages.push((message, report)),
                job => others.push_back(job),
            }
        }
        self.held.replace(others);
        messages
    }

    fn carry_out(&self, shell: &Shell, job: &mut Job) -> Result<(), Wait> {
        match job {
            Job::Message(message, report) => {
                let sent = self.try_send(shell, message);
                match sent {
                    Err(TxError::Busy) => return Err(Wait::Slot),
                    Err(TxError::CapsRefused(refusal)) => {
                        shell.note(BindingError::CapsRefused(refusal));
                        shell.poke();
                    }
                    // The binding reports by itself that it is closed.
                    Ok(_) | Err(_) => {}
                }
                if let Some(report) = report.take() {
                    shell.io.borrow_mut().connection.report(sent, report);
                    shell.run_events();
                }
            }
            Job::Call(request, slot) => return self.call(shell, request, slot),
            Job::Missed => {
                // It waits for its turn as the message would have; otherwise retries would pile up notices.
                if !shell.may_try(&self.turn.borrow()) {
                    return Err(Wait::Slot);
                }
                shell.leave(Line::Slot, &mut self.turn.borrow_mut());
                shell.report_refusal(CapRefusal::SenderLimit, None);
            }
        }
        Ok(())
    }

    fn call(&self, shell: &Shell, request: &mut Message, slot: &Arc<Slot>) -> Result<(), Wait> {
        let rule = {
            let (place, turn) = (&*self.place.borrow(), &*self.turn.borrow());
            shell.io.borrow().connection.rule(Sender::Call { place, turn })
        };
        match rule {
            Rule::Send | Rule::Refuse => {}
            Rule::WaitForPlace => return Err(Wait::Window),
            Rule::WaitForSlot => return Err(Wait::Slot),
        }
        let id = shell.io.borrow_mut().connection.calls().next();
        if !slot.begin(id) {
            shell.leave(Line::Place, &mut self.place.borrow_mut());
            return Ok(());
        }
        set_id(shell, request, id);
        // Before it is sent: a call that is refused fails by its id.
        self.calls.borrow_mut().insert(id, Arc::clone(slot));
        shell.io.borrow_mut().connection.begin_foreign();
        match self.try_send(shell, request) {
            Ok(_) => {}
            Err(TxError::Busy) => {
                self.forget(id);
                return Err(Wait::Slot);
            }
            // The binding is about to end, and settles the call then.
            Err(TxError::Closed) => {}
            Err(error) => self.settle(id, || Err(RpcError::Tx(error))),
        }
        shell.leave(Line::Place, &mut self.place.borrow_mut());
        Ok(())
    }

    /// Sends a message, if it is its turn.
    fn try_send(&self, shell: &Shell, message: &mut Message) -> Result<u64, TxError> {
        if !shell.may_try(&self.turn.borrow()) {
            return Err(TxError::Busy);
        }
        let number = message.number;
        let (words, caps) = message.parts();
        // Nothing is borrowed meanwhile: a call that fails at once wakes its task.
        let now = if caps.is_empty() { shell.accept_now(number, words) } else { None };
        let result = match now {
            Some(serial) => Ok(serial),
            None => shell.accept(number, Gather::words_only(words), caps),
        };
        if result != Err(TxError::Busy) {
            shell.leave(Line::Slot, &mut self.turn.borrow_mut());
        }
        result
    }

    /// Drops the handle of this thread: no handle is left in other threads, and all that they sent is
    /// accepted.
    fn release(&self, shell: &Shell) {
        if shell.io.borrow().connection.state() == State::Sending {
            self.wait_for_slot(shell);
        } else {
            shell.leave(Line::Slot, &mut self.turn.borrow_mut());
            drop(self.raw.take());
        }
    }

    fn wait_for_place(&self, shell: &Shell) {
        shell.leave(Line::Slot, &mut self.turn.borrow_mut());
        shell.wait_in(Line::Place, &mut self.place.borrow_mut(), &self.waker);
    }

    fn wait_for_slot(&self, shell: &Shell) {
        shell.wait_in(Line::Slot, &mut self.turn.borrow_mut(), &self.waker);
    }
}

impl Source for SharedServer {
    fn turn(&self) -> bool {
        let Some(shell) = self.shell.upgrade() else { return false };
        if self.link.alarms.is_told()
            && let (Some(server), Some(waitset)) = (shell.shared.get(), shell.waitset())
        {
            server.look_at_the_clock(&waitset);
        }
        let mut handle_events = self.handle_events.take();
        let taken = self.link.job_queue.take(&mut self.held.borrow_mut(), &mut handle_events);
        wake_all(taken.next);
        let used = taken.used;
        for report in handle_events.drain(..) {
            match report {
                HandleEvent::GivenUp(id) if self.forget(id).is_some() => {
                    shell.io.borrow_mut().connection.cancel_foreign(id);
                    shell.flush();
                }
                HandleEvent::GivenUp(_) => {}
                HandleEvent::BadReply(number, error) => drop(shell.bad_reply(number, error)),
                HandleEvent::MailTaken => shell.mail_was_taken(),
                HandleEvent::BadMail(number, error) => drop(shell.bad_mail(number, error)),
                HandleEvent::Teardown => shell.end(BindingError::Closed, false, Rest::IsSent),
            }
        }
        self.handle_events.set(handle_events);
        let mut done = 0;
        while done < JOBS {
            let job = self.held.borrow_mut().pop_front();
            let Some(mut job) = job else { break };
            if let Err(wait) = self.carry_out(&shell, &mut job) {
                self.held.borrow_mut().push_front(job);
                match wait {
                    Wait::Slot => self.wait_for_slot(&shell),
                    Wait::Window => self.wait_for_place(&shell),
                }
                return done > 0;
            }
            done += 1;
        }
        if !used && self.held.borrow().is_empty() {
            self.release(&shell);
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
        // The binding is a source of the same waitset, and ends this with itself.
    }
}

/// Writes the id of a call into its words.
fn set_id(shell: &Shell, request: &mut Message, id: u32) {
    let kind = shell.interface.message(request.number).map(|message| message.kind);
    if let Some(MessageKind::RpcCall { at }) = kind
        && let Some(word) = request.words_mut().get_mut(at / 8)
    {
        let shift = at % 8 * 8;
        *word = *word & !(u64::from(u32::MAX) << shift) | u64::from(id) << shift;
    }
}
