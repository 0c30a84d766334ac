//! One end of a ump channel: messages over a [`Ring`].

use core::time::Duration;
use std::io;
use std::sync::Arc;

use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, PairId, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::{Waitset, Watched};

use crate::bell::Bell;
use crate::caps::Caps;
use crate::link::Held;
use crate::mem::{LineMemory, OwnMemory, PAYLOAD_WORDS};
use crate::transit::{Sink, Transit};
use crate::ump::lane::Lane;
use crate::ump::line::{Head, Kind, padding};
use crate::ump::ring::{Cause, Ring, State};

/// One end.
///
/// Both ends of a channel between threads are made by one of them, one after the other: on lines of their own, or what one
/// end notes of its position would take a line away from the other with each message.
#[repr(align(128))]
pub(crate) struct UmpChannel<W: OwnMemory, R: LineMemory> {
    lane: Lane<W, R>,
    transit: Transit,
    armed: bool,
    /// Held by a channel to another process until it is unmapped.
    held: Option<Held>,
}

impl<W: OwnMemory, R: LineMemory> UmpChannel<W, R> {
    /// Over this ring, for an end with this notifier.
    pub(crate) fn new(
        ring: Ring<W, R>,
        bell: Bell,
        notifier: &Notifier,
        caps: Caps,
        held: Option<Held>,
    ) -> Self {
        let lane = Lane::new(ring, bell, notifier.clone());
        Self { lane, transit: Transit::new(caps), armed: false, held }
    }

    /// As [`Lane::tell`], for `send_now`: after a "no", `send` tells why, and does not send the line again.
    #[cold]
    fn tell_now(&mut self, state: State) -> bool {
        let told = self.lane.tell(state, Cause::Line).is_ok();
        if !told {
            self.transit.stop_sending();
        }
        told
    }

    #[cold]
    fn send_slowly(&mut self, message: &mut Outgoing<'_>) -> Result<Progress, ChannelError> {
        self.transit.check_sender()?;
        if self.lane.seems_closed() {
            return Err(ChannelError::Closed);
        }
        let progress = self.transit.send(message, &mut self.lane);
        if !self.armed || !matches!(progress, Ok(Progress::Partial(_))) {
            return progress;
        }
        // This end sleeps, and the peer does not know yet that it waits for room.
        let mut armed = Ok(());
        arm_then_barrier(|| armed = self.lane.arm(true));
        if let Err(error) = armed {
            return Err(self.transit.end(error));
        }
        if self.lane.sleep_limit().is_some() {
            self.lane.look_again();
        }
        self.transit.send(message, &mut self.lane)
    }

    #[cold]
    fn recv_slowly(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.transit.check_process()?;
        self.transit.recv(incoming, &mut self.lane)
    }

    /// No line is there, and no message is in hand: whether there is anything else to tell.
    #[inline]
    fn nothing_now(&self) -> RecvNow {
        if self.transit.is_closed() || self.lane.seems_closed() {
            RecvNow::Unsure
        } else {
            RecvNow::Empty
        }
    }
}

impl<W: OwnMemory, R: LineMemory> Channel for UmpChannel<W, R> {
    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn pair(&self) -> Option<PairId> {
        self.transit.pair()
    }

    #[inline]
    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        if message.cap_count == 0
            && message.body.tails.is_empty()
            && self.send_now(message.number, message.body.fixed)
        {
            return Ok(Progress::Done);
        }
        self.send_slowly(message)
    }

    #[inline]
    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        match self.recv_now(incoming) {
            RecvNow::Message => Ok(Recv::Message),
            RecvNow::Empty => Ok(Recv::Empty),
            RecvNow::Unsure => self.recv_slowly(incoming),
        }
    }

    #[inline]
    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        let ring = &mut self.lane.ring;
        if !self.transit.may_send_now() || words.len() > PAYLOAD_WORDS || !ring.has_room() {
            return false;
        }
        ring.publish(words, Head::new(Kind::Whole, number, words.len(), 0));
        match ring.look() {
            None => true,
            Some(state) => self.tell_now(state),
        }
    }

    #[inline]
    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        if !self.transit.may_receive_now() {
            return RecvNow::Unsure;
        }
        let ring = &mut self.lane.ring;
        let Some(head) = ring.head() else { return self.nothing_now() };
        if !head.is_plain() || !incoming.may_be_whole(head.number(), head.used()) {
            return RecvNow::Unsure;
        }
        // The line is copied, and the copy is checked; where it fails, `recv` begins anew with a copy of its own.
        if ring.copy(incoming.line(), padding(head.used())) != 0 {
            return RecvNow::Unsure;
        }
        ring.taken(1);
        incoming.put_whole(head.number(), head.used());
        self.lane.acknowledge();
        RecvNow::Message
    }

    #[inline]
    fn ready(&mut self) -> bool {
        self.transit.ready(&mut self.lane)
    }

    fn can_resume(&mut self) -> bool {
        self.transit.can_resume(&mut self.lane)
    }

    fn is_over(&mut self) -> bool {
        self.transit.is_over(&mut self.lane)
    }

    fn arm(&mut self) {
        if self.transit.is_here() {
            self.armed = true;
            if let Err(error) = self.lane.arm(self.transit.is_blocked()) {
                // From now on this end is ready to report it.
                self.transit.end(error);
            }
        }
    }

    fn disarm(&mut self) {
        if self.transit.is_here() {
            self.armed = false;
            self.lane.ring.disarm();
        }
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.lane.sleep_limit()
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        match &self.held {
            None => Ok(()),
            Some(held) => waitset.watch(&(Arc::clone(held.slot.ear()) as Arc<dyn Watched>)),
        }
    }

    fn close(&mut self) {
        if self.transit.close() {
            self.lane.ring.close();
            // That the peer is closed, too, is no news.
            let _ = self.lane.published();
        }
    }
}

impl<W: OwnMemory, R: LineMemory> Drop for UmpChannel<W, R> {
    fn drop(&mut self) {
        self.close();
        // Nobody tries again after this.
        if self.transit.is_here() && !self.lane.settle_at_last() {
            self.transit.tell_closed();
        }
    }
}
