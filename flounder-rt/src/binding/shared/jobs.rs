//! What is done for the handles of a binding in the thread that serves them: jobs are sent in order, replies are
//! distributed. The same for a binding of one thread and for one that any thread serves.

use core::hash::{BuildHasherDefault, Hasher};
use core::task::Waker;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::binding::connection::{Line, Message, Position, Rule, Sender, State};
use crate::binding::shell::{Shell, wake_all};
use crate::binding::threading::{LeftMessage, Lock, Threading};
use crate::binding::{BindingError, Rest, RpcError, TxError};
use crate::channel::CapRefusal;
use crate::interface::MessageKind;
use crate::waitset;
use crate::wire::Gather;

use super::{HandleEvent, Job, Link, Slot};

/// Most jobs of one step, so that a busy queue does not delay the other sources of the waitset.
const JOBS: usize = 16;

/// Calls by id. Ids count upwards, and are this end's own: they need no hash that an attacker cannot foresee.
type CallsById = HashMap<u32, Arc<Slot>, BuildHasherDefault<OwnHash>>;

/// The hash of a number that no one else chooses.
#[derive(Default)]
struct OwnHash(u64);

impl Hasher for OwnHash {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        // The table uses the highest bits and the lowest ones. The factor is 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The jobs of the handles of one binding.
pub(in crate::binding) struct Jobs<T: Threading> {
    pub(super) link: Arc<Link>,
    /// Jobs taken from the queue, to be done in order.
    held: T::Lock<VecDeque<Job>>,
    handle_events: T::Lock<Vec<HandleEvent>>,
    /// Calls that are sent, by id.
    calls: T::Lock<CallsById>,
    /// Positions in the lines for the slot of the binding, and for a place in the call window.
    turn: T::Lock<Position>,
    place: T::Lock<Position>,
    /// Wakes the server when its turn comes.
    waker: Waker,
}

/// Result of [`Jobs::serve`].
pub(in crate::binding) struct Served {
    /// Number of jobs that were done.
    pub(in crate::binding) done: usize,
    /// True if no handle is left, and everything that the handles sent is accepted.
    pub(in crate::binding) is_unused: bool,
}

/// Why a job has to wait.
enum Wait {
    /// The slot of the binding is taken; this source is woken when it is free.
    Slot,
    /// The call window is full; this source is woken when a place is free.
    Window,
}

impl<T: Threading> Jobs<T> {
    pub(in crate::binding) fn new(link: Arc<Link>, waker: Waker) -> Self {
        Self {
            link,
            held: Lock::new(VecDeque::new()),
            handle_events: Lock::new(Vec::new()),
            calls: Lock::new(CallsById::default()),
            turn: Lock::new(Position::default()),
            place: Lock::new(Position::default()),
            waker,
        }
    }

    /// Takes what is queued, and does some of it.
    pub(in crate::binding) fn serve(&self, shell: &Shell<T>) -> Served {
        let mut handle_events = core::mem::take(&mut *self.handle_events.lock());
        let taken = self.link.job_queue.take(&mut self.held.lock(), &mut handle_events);
        wake_all(taken.next);
        let used = taken.used;
        for report in handle_events.drain(..) {
            match report {
                HandleEvent::GivenUp(id) if self.forget(shell, id).is_some() => {
                    shell.io.lock().connection.cancel_foreign(id);
                    shell.flush();
                }
                HandleEvent::GivenUp(_) => {}
                HandleEvent::BadReply(number, error) => drop(shell.bad_reply(number, error)),
                HandleEvent::MailTaken => shell.mail_was_taken(),
                HandleEvent::BadMail(number, error) => drop(shell.bad_mail(number, error)),
                HandleEvent::BulkNews => shell.tell_bulk_news(),
                HandleEvent::Priority(priority) => T::set_priority(shell, priority),
                HandleEvent::Teardown => shell.end(BindingError::Closed, false, Rest::IsSent),
            }
        }
        *self.handle_events.lock() = handle_events;
        let mut done = 0;
        while done < JOBS {
            let job = self.held.lock().pop_front();
            let Some(mut job) = job else { break };
            if let Err(wait) = self.carry_out(shell, &mut job) {
                self.held.lock().push_front(job);
                match wait {
                    Wait::Slot => self.wait_for_slot(shell),
                    Wait::Window => self.wait_for_place(shell),
                }
                return Served { done, is_unused: false };
            }
            done += 1;
        }
        let is_empty = self.held.lock().is_empty();
        Served { done, is_unused: !used && is_empty }
    }

    /// Returns true if jobs are held that can be done at once, as far as is known.
    pub(in crate::binding) fn has_held(&self) -> bool {
        !self.held.lock().is_empty()
    }

    pub(in crate::binding) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Settles a call. `result` is not called if the call was given up.
    pub(in crate::binding) fn settle(
        &self,
        shell: &Shell<T>,
        id: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    ) {
        if let Some(slot) = self.forget(shell, id) {
            slot.settle(result());
        }
    }

    /// Removes a call that was under way.
    fn forget(&self, shell: &Shell<T>, id: u32) -> Option<Arc<Slot>> {
        let slot = self.calls.lock().remove(&id)?;
        shell.io.lock().connection.end_foreign();
        shell.run_events();
        Some(slot)
    }

    /// The binding has ended: every call ends with an error.
    pub(in crate::binding) fn end(&self, why: &BindingError) {
        self.note_end(why);
        if !self.link.born.is_here() {
            return;
        }
        let held = core::mem::take(&mut *self.held.lock()).into_iter();
        let held = held.chain(self.link.job_queue.close());
        let left =
            held.filter_map(|job| if let Job::Call(_, slot) = job { Some(slot) } else { None });
        let calls = core::mem::take(&mut *self.calls.lock());
        for slot in left {
            slot.settle(Err(self.link.end_error(why, RpcError::NotSent)));
        }
        for slot in calls.into_values() {
            slot.settle(Err(self.link.end_error(why, RpcError::Closed)));
        }
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
    pub(in crate::binding) fn take_messages(&self, why: &BindingError) -> Vec<LeftMessage> {
        let (mut messages, mut others) = (Vec::new(), VecDeque::new());
        if !self.link.born.is_here() {
            return messages;
        }
        self.note_end(why);
        let held = core::mem::take(&mut *self.held.lock()).into_iter();
        for job in held.chain(self.link.job_queue.close()) {
            match job {
                Job::Message(message, report) => messages.push((message, report)),
                job => others.push_back(job),
            }
        }
        *self.held.lock() = others;
        messages
    }

    fn carry_out(&self, shell: &Shell<T>, job: &mut Job) -> Result<(), Wait> {
        match job {
            Job::Message(message, report) => {
                let sent = self.try_send(shell, message);
                if T::MAY_END_ANYWHERE && sent == Err(TxError::Closed) {
                    // It was accepted before the binding ended.
                    shell.send_last(core::mem::take(message), report.take());
                    return Ok(());
                }
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
                    shell.io.lock().connection.report(sent, report);
                    shell.run_events();
                }
            }
            Job::Call(request, slot) => return self.call(shell, request, slot),
            Job::Missed => {
                // It waits for its turn as the message would have; otherwise retries would pile up notices.
                if !shell.may_try(&self.turn.lock()) {
                    return Err(Wait::Slot);
                }
                shell.leave(Line::Slot, &mut self.turn.lock());
                shell.report_refusal(CapRefusal::SenderLimit, None);
            }
        }
        Ok(())
    }

    fn call(&self, shell: &Shell<T>, request: &mut Message, slot: &Arc<Slot>) -> Result<(), Wait> {
        let rule = {
            let (place, turn) = (&*self.place.lock(), &*self.turn.lock());
            shell.io.lock().connection.rule(Sender::Call { place, turn })
        };
        match rule {
            Rule::Send | Rule::Refuse => {}
            Rule::WaitForPlace => return Err(Wait::Window),
            Rule::WaitForSlot => return Err(Wait::Slot),
        }
        let id = shell.io.lock().connection.calls().next();
        if !slot.begin(id) {
            shell.leave(Line::Place, &mut self.place.lock());
            return Ok(());
        }
        set_id(shell, request, id);
        // Before it is sent: a call that is refused fails by its id.
        self.calls.lock().insert(id, Arc::clone(slot));
        shell.io.lock().connection.begin_foreign();
        match self.try_send(shell, request) {
            Ok(_) => {}
            Err(TxError::Busy) => {
                self.forget(shell, id);
                return Err(Wait::Slot);
            }
            // The binding is about to end, and settles the call then, unless it has just ended.
            Err(TxError::Closed) if shell.has_ended() => {
                self.settle(shell, id, || Err(self.link.call_error()));
            }
            Err(TxError::Closed) => {}
            Err(error) => self.settle(shell, id, || Err(RpcError::Tx(error))),
        }
        shell.leave(Line::Place, &mut self.place.lock());
        Ok(())
    }

    /// Sends a message, if it is its turn.
    fn try_send(&self, shell: &Shell<T>, message: &mut Message) -> Result<u64, TxError> {
        if !shell.may_try(&self.turn.lock()) {
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
            shell.leave(Line::Slot, &mut self.turn.lock());
        }
        result
    }

    /// Leaves the lines, or waits for the slot if the binding has something to send. Returns true if nothing is waited for.
    pub(in crate::binding) fn release(&self, shell: &Shell<T>) -> bool {
        if shell.state() == State::Sending {
            self.wait_for_slot(shell);
            return false;
        }
        shell.leave(Line::Slot, &mut self.turn.lock());
        true
    }

    fn wait_for_place(&self, shell: &Shell<T>) {
        shell.leave(Line::Slot, &mut self.turn.lock());
        shell.wait_in(Line::Place, &mut self.place.lock(), &self.waker);
    }

    fn wait_for_slot(&self, shell: &Shell<T>) {
        shell.wait_in(Line::Slot, &mut self.turn.lock(), &self.waker);
    }
}

/// Writes the id of a call into its words.
fn set_id<T: Threading>(shell: &Shell<T>, request: &mut Message, id: u32) {
    let kind = shell.interface.message(request.number).map(|message| message.kind);
    if let Some(MessageKind::RpcCall { at }) = kind
        && let Some(word) = request.words_mut().get_mut(at / 8)
    {
        let shift = at % 8 * 8;
        *word = *word & !(u64::from(u32::MAX) << shift) | u64::from(id) << shift;
    }
}
