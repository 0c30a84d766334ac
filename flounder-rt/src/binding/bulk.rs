//! Bulk data of a binding: what its two ends tell each other about their pools (`docs/wire.md`, "Messages of the runtime").
//!
//! Everything here runs in the thread of the binding, or in the one that serves the jobs of a binding of any thread. Other
//! threads make pools and release slots; they note that at the [`BulkEnd`], which then has the server of the shared binding
//! call [`Shell::tell_bulk_news`].

use std::rc::Rc;
use std::sync::Arc;

use crate::account::Account;
use crate::binding::connection::{Owned, Queued};
use crate::binding::end::{End, RawEnd};
use crate::binding::shared::SharedServer;
use crate::binding::shell::{Receiver, Shell};
use crate::binding::threading::{Lock, OneThread, Threading};
use crate::binding::{BindingError, RawBinding, Received, SharedEndpoint};
use crate::cap::Cap;
use crate::channel::{Channel, RUNTIME_MESSAGE};
use crate::interface::Interface;
use crate::message::bulk::end::{News, ReceivedOffer};
use crate::message::bulk::{BulkEnd, BulkMemory, Pool, PoolError, Slots};
use crate::peer::{self, Peer};
use crate::wire::{Bulks, DecodeError};

/// Kinds of messages of the runtime.
const OFFER: u64 = 4;
const ANSWER: u64 = 5;
const RELEASED: u64 = 6;
const END: u64 = 7;

/// Answers to an offer.
const TAKEN: u64 = 0;
const NOT_TAKEN: u64 = 1;

const OUT_OF_TURN: &str = "a message about a pool that does not exist";

impl<T: Threading> Shell<T> {
    /// Handles a message of the peer's runtime.
    pub(super) fn runtime_message(&self, receiver: &mut Receiver<T>) {
        let incoming = &mut receiver.incoming;
        let (mut caps, words) = (incoming.take_caps(), incoming.words());
        let knows_pools = self.peer.knows(peer::BULK);
        if knows_pools && matches!(words.first(), Some(OFFER..=END)) {
            if let Err(what) = self.pool_message(words, &mut caps) {
                let error = DecodeError::Bulk(what);
                self.note(BindingError::Decode { message: "(runtime)", error });
            }
            self.flush();
        } else if caps.is_empty() {
            let knows_reasons = self.peer.knows(peer::REASONS);
            self.io.lock().connection.runtime_message(words, knows_reasons);
        } else {
            let error = DecodeError::ExtraCaps;
            self.note(BindingError::Decode { message: "(runtime)", error });
        }
    }

    fn pool_message(&self, words: &[u64], caps: &mut Vec<Cap>) -> Result<(), &'static str> {
        let end = T::bulk_end(self);
        let known = |is_known: bool| if is_known { Ok(()) } else { Err(OUT_OF_TURN) };
        match (words, &end) {
            ([OFFER, pool, count, bytes, local @ ..], _) if local.len() <= 1 && caps.len() <= 1 => {
                let [count, bytes] = [count, bytes].map(|n| usize::try_from(*n).unwrap_or(0));
                let (slots, local) = (Slots { count, bytes }, local.first().copied());
                let offer = ReceivedOffer { pool: *pool, slots, local, cap: caps.pop() };
                let is_taken = match &end {
                    Some(end) => end.offered(offer)?,
                    None => false,
                };
                self.tell_peer(&[ANSWER, *pool, if is_taken { TAKEN } else { NOT_TAKEN }], None);
                Ok(())
            }
            (_, _) if !caps.is_empty() => Err("a capability that means nothing"),
            ([ANSWER, pool, why], Some(end)) => known(end.answered(*pool, *why == TAKEN)),
            ([RELEASED, pool, first, mask], Some(end)) => {
                known(end.given_back(*pool, *first, *mask))
            }
            ([END, _], None) => Ok(()),
            ([END, pool], Some(end)) => known(end.peer_dropped(*pool)),
            _ => Err("a malformed message about a pool"),
        }
    }

    /// Sends a message of the runtime, or queues it behind what is accepted. The caller flushes.
    fn tell_peer(&self, words: &[u64], cap: Option<Cap>) {
        let io = &mut *self.io.lock();
        if cap.is_none() && io.connection.may_reply() && io.channel.send_now(RUNTIME_MESSAGE, words)
        {
            io.connection.sent_at_once();
            return;
        }
        let (words, caps) = (words.to_vec(), Vec::from_iter(cap));
        let cap_count = caps.len();
        let message = Owned { number: RUNTIME_MESSAGE, words, caps, cap_count };
        io.connection.queue(Queued::Message(message, None));
    }

    /// Tells the peer of new pools, of pools that are gone, and of slots that were released.
    pub(super) fn tell_bulk_news(&self) {
        let Some(end) = T::bulk_end(self) else { return };
        for news in end.take_news() {
            match news {
                News::Offer { pool, slots, local, cap } => {
                    let words = [
                        OFFER,
                        pool.into(),
                        slots.count as u64,
                        slots.bytes as u64,
                        local.unwrap_or(0),
                    ];
                    let used = if local.is_some() { 5 } else { 4 };
                    self.tell_peer(&words[..used], cap);
                }
                News::End(pool) => self.tell_peer(&[END, pool.into()], None),
                News::Wake(waker) => waker.wake(),
            }
        }
        end.take_released(|pool, first, mask| {
            self.tell_peer(&[RELEASED, pool.into(), first, mask], None);
        });
        self.flush();
    }
}

/// Returns the pools of a new binding; `None` if the interface has no bulk data, or the driver or the peer no pools.
pub(super) fn new_pools(
    interface: &'static Interface,
    peer: &Peer,
    memory: Option<&'static dyn BulkMemory>,
    account: Option<Account>,
) -> Option<Arc<BulkEnd>> {
    let knows_pools = peer.knows(peer::BULK);
    let has_bulk = interface.messages.iter().any(|message| !message.bulks.is_empty());
    if !knows_pools || !has_bulk {
        return None;
    }
    Some(BulkEnd::new(memory?, peer.is_this_process(), account))
}

impl Shell<OneThread> {
    /// Returns the pools of the binding; `None` if the interface has no bulk data, or the driver or the peer no pools.
    pub(super) fn pools(&self) -> Option<&Arc<BulkEnd>> {
        let make = || {
            let (memory, account) = {
                let io = self.io.borrow();
                (io.channel.bulk(), io.account().cloned())
            };
            new_pools(self.interface, &self.peer, memory, account)
        };
        self.own.bulk.get_or_init(make).as_ref()
    }

    /// Returns the pools, which can have this thread look from now on.
    pub(super) fn watched_pools(self: &Rc<Self>) -> Option<&Arc<BulkEnd>> {
        let end = self.pools()?;
        SharedServer::watch_pools(self);
        Some(end)
    }
}

impl RawBinding {
    /// Finds the bulk data that a received message names.
    pub(super) fn resolve(
        &self,
        bulks: &Bulks,
        message: &mut Received<'_>,
    ) -> Result<(), DecodeError> {
        // Without pools only what is in the message itself can be decoded.
        self.shell().pools().map_or(Ok(()), |end| end.resolve(bulks, message))
    }

    /// Finds the bulk data that a reply names, unless that was done when the reply came.
    pub(super) fn resolve_reply(
        &self,
        bulks: &Bulks,
        reply: &mut Received<'_>,
    ) -> Result<(), DecodeError> {
        if reply.caps.iter().any(Cap::is_held) { Ok(()) } else { self.resolve(bulks, reply) }
    }

    /// Tells the peer of slots that were released, before a call that waits for this binding alone.
    pub(super) fn tell_before_call(&self) {
        if let Some(end) = self.shell().pools()
            && end.has_news()
        {
            self.shell().tell_bulk_news();
        }
    }

    /// Runs a handler that gets bulk data, and then tells the peer which slots it has released.
    pub(super) fn delivering<R>(&self, handler: impl FnOnce() -> R) -> R {
        let Some(end) = self.shell().pools() else { return handler() };
        let result = end.deliver(handler);
        self.shell().tell_bulk_news();
        result
    }
}

impl SharedEndpoint {
    /// Finds the bulk data that a received message names.
    pub(super) fn resolve(
        &self,
        bulks: &Bulks,
        message: &mut Received<'_>,
    ) -> Result<(), DecodeError> {
        self.bulk().map_or(Ok(()), |end| end.resolve(bulks, message))
    }

    /// Runs a handler that gets bulk data, and then tells the peer which slots it has released.
    pub(super) fn delivering<R>(&self, handler: impl FnOnce() -> R) -> R {
        let Some(end) = self.bulk() else { return handler() };
        let result = end.deliver(handler);
        self.report_bulk_news();
        result
    }
}

impl<E: End> RawEnd<E> {
    /// Returns the pools of the binding.
    #[must_use]
    pub fn bulk(&self) -> Option<Arc<BulkEnd>> {
        E::bulk(&self.0)
    }

    /// Returns the pool that the binding makes by itself.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn default_pool(&self) -> Result<Pool, PoolError> {
        self.pools()?.default_pool()
    }

    /// Makes a pool.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn make_pool(&self, slots: Slots) -> Result<Pool, PoolError> {
        self.pools()?.make(slots)
    }

    fn pools(&self) -> Result<Arc<BulkEnd>, PoolError> {
        if self.ended().is_some() {
            return Err(PoolError::Closed);
        }
        self.bulk().ok_or(PoolError::Reach)
    }
}
