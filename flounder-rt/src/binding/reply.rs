//! The reply that a service owes: a value, usable once.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;

use crate::binding::notice::Notice;
use crate::binding::{Core, Owned, RawBinding, TxError, TxState, Waiting};
use crate::cap::Cap;
use crate::channel::CapRefusal;
use crate::message::args::Refused;
use crate::wire::Gather;

use super::BindingError;

/// A call that is to be answered. Generated code wraps it in one type for each rpc.
///
/// It may be kept and used later; the binding may have ended by then, and the reply goes nowhere. Dropped unused, it tells
/// the caller that no reply will come. Replies never fail for want of room: they wait in the binding, which receives
/// nothing while too many do.
///
/// A caller may give up, by dropping its call or when its deadline passes: the reply is *cancelled* then, and what is sent
/// with it goes nowhere.
#[must_use = "a reply that is dropped tells the caller that there will be none"]
// Two words, which are passed in registers: it goes from hand to hand, and what is written to memory in pieces and read in
// one stalls the processor.
pub struct ReplyToken {
    core: Rc<Core>,
    note: Note,
}

/// Where the binding has noted that the reply is owed, the number of its message, and whether it is not sent yet.
#[derive(Clone, Copy)]
struct Note(u64);

impl Note {
    const OWED: u64 = 1 << 48;

    const fn new(debt: u32, number: u16) -> Self {
        Self(debt as u64 | (number as u64) << 32 | Self::OWED)
    }

    const fn debt(self) -> u32 {
        self.0 as u32
    }

    const fn number(self) -> u16 {
        (self.0 >> 32) as u16
    }

    const fn is_owed(self) -> bool {
        self.0 & Self::OWED != 0
    }
}

impl ReplyToken {
    /// The reply to call `id`, as message `number`.
    #[inline]
    pub fn new(raw: &RawBinding, id: u32, number: u16) -> Self {
        let core = Rc::clone(&raw.0);
        let note = Note::new(core.owe(id), number);
        Self { core, note }
    }

    /// The id of the call.
    #[inline]
    #[must_use]
    pub fn id(&self) -> u32 {
        self.core.debts.id(self.note.debt())
    }

    /// Whether nobody waits for the reply any more: the caller gave up, or the binding has ended.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.core.debts.is_cancelled(self.note.debt()) || self.core.has_ended()
    }

    /// Completes when nobody waits for the reply any more.
    pub const fn cancelled(&mut self) -> Cancelled<'_> {
        Cancelled(self)
    }

    pub(super) fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_cancelled() {
            return Poll::Ready(());
        }
        self.core.debts.watch(self.note.debt(), cx.waker());
        if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What the call is called.
    pub(super) fn call_name(&self) -> &'static str {
        self.core.interface.message_name(self.note.number())
    }

    /// Sends the reply.
    #[inline]
    pub fn send(mut self, fixed: &[u64], tails: &[&[u8]]) {
        // While the binding is calm, no reply waits for room. First things first: what is owed is noted once it is sent.
        let now = tails.is_empty()
            && self.core.calm.get()
            && !self.core.debts.is_cancelled(self.note.debt())
            && self.core.accept_now(self.note.number(), fixed).is_some();
        let id = self.id();
        if !self.close() && !now {
            self.core.reply(id, self.note.number(), Gather { fixed, tails }, Vec::new());
        }
    }

    /// Sends the reply with capabilities.
    pub fn send_caps(mut self, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>) {
        let id = self.id();
        if !self.close() {
            self.core.reply(id, self.note.number(), Gather { fixed, tails }, caps);
        }
    }

    /// A value of the reply is too long, or a capability of it cannot be copied: the caller learns that no reply will come,
    /// the service's error handler why.
    #[cold]
    pub(super) fn refuse(mut self, refused: Refused) {
        let (interface, number) = (self.core.interface, self.note.number());
        let error = TxError::refused(refused, interface, number, |error| {
            let id = self.id();
            if !self.close() {
                self.core.tell_refusal(CapRefusal::SenderLimit, Some(id));
            }
            TxError::cap_copy(error)
        });
        self.core.note(BindingError::Reply(error));
        self.core.poke();
    }

    /// The reply is owed no more; says whether nobody waits for it.
    #[inline]
    fn close(&mut self) -> bool {
        self.note.0 &= !Note::OWED;
        self.core.settle_debt(self.note.debt())
    }
}

impl core::fmt::Debug for ReplyToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReplyToken")
            .field("call", &self.call_name())
            .field("number", &self.note.number())
            .finish_non_exhaustive()
    }
}

/// Waits until nobody waits for a reply any more.
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is awaited"]
pub struct Cancelled<'a>(&'a mut ReplyToken);

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_cancelled(cx)
    }
}

impl Drop for ReplyToken {
    fn drop(&mut self) {
        if self.note.is_owed() {
            let id = self.id();
            if !self.close() {
                self.core.tell_peer(Notice::NoReply(id));
            }
        }
    }
}

impl Core {
    /// Answers `call`.
    fn reply(&self, call: u32, number: u16, body: Gather<'_>, caps: Vec<Cap>) {
        self.queue(number, body, caps, |body, caps| {
            let mut words = vec![0; body.len()];
            body.reader(0).read(&mut words);
            let cap_count = caps.len();
            Waiting::Reply(call, Owned { number, words, caps, cap_count })
        });
    }

    /// Sends now, or as soon as there is room, which `waiting` waits for. Nothing happens if the binding has ended.
    pub(super) fn queue(
        &self,
        number: u16,
        body: Gather<'_>,
        mut caps: Vec<Cap>,
        waiting: impl FnOnce(Gather<'_>, Vec<Cap>) -> Waiting,
    ) {
        let fail = |error| {
            self.note(BindingError::Reply(error));
            self.poke();
        };
        if !caps.is_empty()
            && let Err(error) = self.ask_out(number, body, &caps)
        {
            return fail(error);
        }
        if self.io.borrow().backlog.is_empty() {
            match self.accept_allowed(number, body, &mut caps) {
                Ok(_) | Err(TxError::Closed) => return,
                Err(TxError::Busy) => {}
                Err(error) => return fail(error),
            }
        }
        let io = &mut *self.io.borrow_mut();
        if matches!(io.state, TxState::Free | TxState::Sending) {
            self.has_unsent(io);
            io.backlog.push(waiting(body, caps));
        }
    }
}
