//! One end of a ump channel: messages over a [`Ring`].

use core::time::Duration;
use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::bulk::BulkMemory;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, PairId, PeerProcessor, Progress, Readiness, Recv,
    RecvNow,
};
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::{Watched, Watcher};

use crate::assembler::{LineWriter, MessageAssembler};
use crate::caps::Caps;
use crate::doorbell::Doorbell;
use crate::mem::pool::MAPPED;
use crate::mem::{LineMemory, OwnMemory, PAYLOAD_WORDS};
use crate::process_pair::ChannelResources;
use crate::ump::line::{LineInfo, LineKind};
use crate::ump::ring::{Ring, WakeCause, copy};
use crate::ump::signalled_ring::SignalledRing;

/// One end of a channel.
///
/// Both ends of a channel between threads are made by one thread, one after the other. Each lies on
/// cache lines of its own, or the position that one end updates would take a line away from the
/// other with each message.
pub(crate) struct UmpChannel<W: OwnMemory, R: LineMemory> {
    ring: SignalledRing<W, R>,
    assembler: MessageAssembler,
    armed: bool,
    /// Aligns the end to cache lines of its own.
    _own_lines: CachePadded<()>,
    /// Resources of a channel to another process, held until its memory is unmapped.
    resources: Option<ChannelResources>,
}

impl<W: OwnMemory, R: LineMemory> UmpChannel<W, R> {
    /// Returns an end over this ring, for an [`End`](flounder_rt::channel::End) with this notifier.
    pub(crate) fn new(
        ring: Ring<W, R>,
        doorbell: Doorbell,
        notifier: &Notifier,
        caps: Caps,
        resources: Option<ChannelResources>,
    ) -> Self {
        let ring = SignalledRing::new(ring, doorbell, notifier.clone());
        Self {
            ring,
            assembler: MessageAssembler::new(caps),
            armed: false,
            _own_lines: CachePadded::new(()),
            resources,
        }
    }

    /// Signals the peer after `send_now`. Returns false if the peer is closed: then `send` reports
    /// it, and does not send the line again.
    #[cold]
    #[inline(never)]
    fn signal_now(&mut self) -> bool {
        let state = self.ring.inner.look_twice();
        let is_open = self.ring.signal(state, WakeCause::Line).is_ok();
        if !is_open {
            self.assembler.stop_sending();
        }
        is_open
    }

    #[cold]
    fn send_slowly(&mut self, message: &mut Outgoing<'_>) -> Result<Progress, ChannelError> {
        self.assembler.check_sender()?;
        if self.ring.seems_closed() {
            return Err(ChannelError::Closed);
        }
        let progress = self.assembler.send(message, &mut self.ring);
        if !self.armed || !matches!(progress, Ok(Progress::Partial(_))) {
            return progress;
        }
        // This end sleeps, and the peer does not know yet that it waits for room.
        let mut armed = Ok(());
        arm_then_barrier(|| armed = self.ring.arm(true));
        if let Err(error) = armed {
            return Err(self.assembler.end(error));
        }
        if self.ring.sleep_limit().is_some() {
            self.ring.poll_soon();
        }
        self.assembler.send(message, &mut self.ring)
    }

    #[cold]
    fn recv_slowly(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.assembler.check_process()?;
        self.assembler.recv(incoming, &mut self.ring)
    }

    /// Returns what `recv_now` returns if no line is there and no message is on its way in.
    #[inline]
    fn nothing_now(&self) -> RecvNow {
        if self.assembler.is_closed() || self.ring.seems_closed() {
            RecvNow::Unsure
        } else {
            RecvNow::Empty
        }
    }
}

impl<W: OwnMemory, R: LineMemory> Channel for UmpChannel<W, R> {
    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        Some(&MAPPED)
    }

    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn pair(&self) -> Option<PairId> {
        self.assembler.pair()
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
        let ring = &mut self.ring.inner;
        if !self.assembler.may_send_now() || words.len() > PAYLOAD_WORDS || !ring.has_room() {
            return false;
        }
        ring.publish(words, LineInfo::new(LineKind::Whole, number, words.len(), 0));
        ring.is_peer_quiet() || self.signal_now()
    }

    #[inline]
    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        if !self.assembler.may_receive_now() {
            return RecvNow::Unsure;
        }
        let ring = &mut self.ring.inner;
        let Some((info, line)) = ring.next() else { return self.nothing_now() };
        if !info.is_plain() || !incoming.may_be_whole(info.number(), info.used()) {
            return RecvNow::Unsure;
        }
        // The line is copied, and the copy is checked. If the check fails, `recv` starts again with a copy of its own.
        if !copy(&line, info.used(), incoming.line()) {
            return RecvNow::Unsure;
        }
        drop(line);
        ring.taken(1);
        incoming.put_whole(info.number(), info.used());
        self.ring.acknowledge();
        RecvNow::Message
    }

    fn recv_row(&mut self, incoming: &mut Incoming) -> bool {
        if !self.assembler.may_receive_now() {
            return false;
        }
        let (messages, may_be) = incoming.row();
        let taken = self.ring.inner.take_row(messages, may_be);
        incoming.put_row(taken);
        self.ring.acknowledge();
        taken > 0
    }

    #[inline]
    fn ready(&mut self) -> bool {
        self.assembler.ready(&mut self.ring.inner)
    }

    fn can_resume(&mut self) -> bool {
        self.assembler.can_resume(&mut self.ring.inner)
    }

    fn is_over(&mut self) -> bool {
        self.assembler.is_over(&mut self.ring.inner)
    }

    fn arm(&mut self) {
        if self.assembler.is_here() {
            self.armed = true;
            if let Err(error) = self.ring.arm(self.assembler.is_blocked()) {
                // From now on this end is ready to report it.
                self.assembler.end(error);
            }
        }
    }

    fn disarm(&mut self) {
        if self.assembler.is_here() {
            self.armed = false;
            self.ring.inner.disarm();
        }
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.ring.sleep_limit()
    }

    fn peer_processor(&self, this: usize) -> PeerProcessor {
        match self.ring.inner.peer_processor() {
            None => PeerProcessor::Unknown,
            Some(peer) if peer == this as u64 => PeerProcessor::This,
            Some(_) => PeerProcessor::Another,
        }
    }

    fn wait_briefly(&mut self) -> bool {
        // Between threads the doorbell is the waitset's own.
        self.assembler.waits_for_lines()
            && self.resources.as_ref().is_some_and(|resources| resources.slot.wait())
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn wants_pauses(&self) -> bool {
        true
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        match &self.resources {
            None => Ok(()),
            Some(resources) => {
                waitset.watch(&(Arc::clone(resources.slot.receiver()) as Arc<dyn Watched>))
            }
        }
    }

    fn close(&mut self) {
        if self.assembler.close() {
            self.ring.inner.close();
            // Ignore an error: this end is closed, so it does not matter that the peer is closed, too.
            let _ = self.ring.published();
        }
    }
}

impl<W: OwnMemory, R: LineMemory> Drop for UmpChannel<W, R> {
    fn drop(&mut self) {
        self.close();
        // No thread retries after this.
        if self.assembler.is_here() && !self.ring.retry_before_drop() {
            self.assembler.report_closed();
        }
    }
}
