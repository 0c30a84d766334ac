//! The kernel of a core: credit, associations, and the delivery of messages to channels.
//!
//! A core has 32 associations, one for each channel that ends there. A message names the association of its receiver. A
//! message that names none in use is dropped; its credit is returned as for any other.
//!
//! ```text
//!                  15          5 4            0
//!  association:   | generation  |   index      |
//! ```
//!
//! The generation changes each time that the index goes to another channel, so that late frames for a channel that is gone do
//! not reach its successor.
//!
//! Ends share the credit of their core. An end with a long frame could wait for ever, because ends with short frames use up the
//! credit as it comes. So after it was overtaken some times it is *first in line*: the others leave enough credit for a short
//! frame, and it sends a short frame. Until then the others have less credit, but some: no end waits for another that does not
//! send.
//!
//! # Invariants
//! * Every use of the kernel ends with [`Kernel::flush`], which returns credit, sends control frames, and publishes whether
//!   this core needs interrupts.
//! * A core needs interrupts while an end sleeps, or a control frame waits for credit.
//! * An end that may have a control frame due, wake up, or be freed is in `changed`. So a use of the kernel costs nothing for
//!   the ends at rest, which are most of the 32.

use flounder_rt::channel::ProtocolError;
use flounder_rt::notify::Notifier;

use crate::beehive::credit::{Credit, HEADERS};
use crate::beehive::endpoint::{CreditShare, Endpoint, SHORT};
use crate::beehive::frame::{
    FrameHeader, FrameKind, MAX_FRAME, kernel_header, parse_kernel_header,
};
use crate::beehive::hardware::{Core, FIFO_WORDS, Hardware, MAX_MESSAGE};

/// Maximum number of channels that end at one core.
pub const ASSOCIATIONS: usize = 32;

const INDEX_BITS: u32 = ASSOCIATIONS.ilog2();
const INDEX: u16 = (1 << INDEX_BITS) - 1;

/// Words of credit reserved for the first in line.
const RESERVED_FOR_FIRST: usize = SHORT + HEADERS as usize;

/// State of the kernel of a core.
pub(crate) struct Kernel {
    /// The machine; `None` until the other side of it is known.
    hardware: Option<Box<dyn Hardware>>,
    /// Credit toward each core.
    credits: Vec<Credit>,
    /// By index of their associations; grows up to [`ASSOCIATIONS`].
    associations: Vec<AssociationEntry>,
    /// Ends that the next flush looks at, one bit for each index: those that were used since, that
    /// are blocked, or whose control frame waits for credit.
    changed: u32,
    /// Ends that sleep, one bit for each index; as of the last look at each.
    armed: u32,
    /// Association for which other ends reserve some credit, and the core toward which; its end is
    /// blocked.
    first_in_line: Option<(u16, Core)>,
    /// Permanent error of the machine, or of a core that broke the rules between cores.
    failure: Option<ProtocolError>,
    listens: bool,
    /// True if interrupts must be requested again.
    asks_again: bool,
    wakeups: Wakeups,
    /// Number of messages for associations not in use.
    dropped: u64,
}

#[derive(Default)]
struct AssociationEntry {
    generation: u16,
    endpoint: Option<Endpoint>,
}

/// What to wake once the kernel is left.
#[derive(Default)]
pub(crate) struct Wakeups {
    /// Notifiers of ends of this core that sleep.
    pub(crate) wake: Vec<Notifier>,
    /// Cores that need an interrupt, one bit each.
    pub(crate) interrupt: u16,
}

impl Kernel {
    /// Returns a kernel without a machine.
    pub(crate) fn new() -> Self {
        Self {
            hardware: None,
            credits: Vec::new(),
            associations: Vec::new(),
            changed: 0,
            armed: 0,
            first_in_line: None,
            failure: None,
            listens: false,
            asks_again: false,
            wakeups: Wakeups::default(),
            dropped: 0,
        }
    }

    /// Connects the kernel to its machine.
    pub(crate) fn attach_hardware(&mut self, hardware: Box<dyn Hardware>) {
        self.credits = vec![Credit::new(); hardware.cores()];
        self.hardware = Some(hardware);
        // What was asked for before went nowhere.
        self.listens = false;
        self.changed = self.all();
    }

    /// Returns an association for a new channel, if one is free.
    pub(crate) fn open(&mut self, notifier: Notifier) -> Option<u16> {
        self.poll();
        self.flush();
        let index = match self.associations.iter().position(|entry| entry.endpoint.is_none()) {
            Some(index) => index,
            None if self.associations.len() < ASSOCIATIONS => {
                self.associations.push(AssociationEntry::default());
                self.associations.len() - 1
            }
            None => return None,
        };
        let entry = &mut self.associations[index];
        entry.endpoint = Some(Endpoint::new(notifier));
        Some(entry.generation << INDEX_BITS | index as u16)
    }

    /// Returns the end with this association, which the next flush looks at. It exists from `open`
    /// until `abandon`.
    pub(crate) fn endpoint(&mut self, association: u16) -> &mut Endpoint {
        self.changed |= 1 << (association & INDEX);
        self.lookup(association).expect("a channel keeps its association as long as it lives")
    }

    fn lookup(&mut self, association: u16) -> Option<&mut Endpoint> {
        self.entry_of(association)?;
        self.associations[usize::from(association & INDEX)].endpoint.as_mut()
    }

    /// Returns the entry of an association, unless it is of an earlier generation.
    fn entry_of(&self, association: u16) -> Option<&AssociationEntry> {
        let entry = self.associations.get(usize::from(association & INDEX))?;
        (entry.generation == association >> INDEX_BITS).then_some(entry)
    }

    /// Returns the association that has this index now.
    fn association(&self, index: usize) -> u16 {
        self.associations[index].generation << INDEX_BITS | index as u16
    }

    /// Returns the bits of all indices in use.
    const fn all(&self) -> u32 {
        ((1_u64 << self.associations.len()) - 1) as u32
    }

    /// Returns true if the other end of an abandoned one was sent its close, after
    /// [`flush`](Self::flush).
    pub(crate) fn close_is_reported(&self, association: u16) -> bool {
        let endpoint = self.entry_of(association).and_then(|entry| entry.endpoint.as_ref());
        self.failure.is_none() && endpoint.is_none_or(|endpoint| endpoint.control().is_none())
    }

    /// Returns the permanent error of the core.
    pub(crate) const fn failure(&self) -> Option<&ProtocolError> {
        self.failure.as_ref()
    }

    /// Returns the credit that the end with this association may use.
    pub(crate) fn share_of(&self, association: u16) -> CreditShare {
        let endpoint = self.entry_of(association).and_then(|entry| entry.endpoint.as_ref());
        let Some(peer) = endpoint.and_then(Endpoint::peer) else {
            return CreditShare { words: 0, is_reduced: false };
        };
        let words = self.credits[peer.core.index()].room();
        match self.first_in_line {
            Some((first, core)) if first != association && core == peer.core => {
                CreditShare { words: words.saturating_sub(RESERVED_FOR_FIRST), is_reduced: true }
            }
            _ => CreditShare { words, is_reduced: false },
        }
    }

    /// Returns the credit toward a core: available, and owed.
    pub(crate) fn credit(&self, toward: Core) -> (u16, u16) {
        let credit = &self.credits[toward.index()];
        (credit.available(), credit.owed())
    }

    /// Sends a frame past the ends and their windows, for tests of a faulty core. Returns false if
    /// there is no credit for it.
    pub(crate) fn inject(&mut self, to: Core, association: u16, frame: &[u32]) -> bool {
        let has_room = self.credits[to.index()].room() >= frame.len();
        if has_room {
            let credit = self.credits[to.index()].spend(frame.len());
            let mut message = vec![kernel_header(credit, association)];
            message.extend(frame);
            self.transmit(to, &message);
        }
        has_room
    }

    /// Returns the number of messages for associations not in use.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the messages out of the FIFO, at most as many as it can hold.
    pub(crate) fn poll(&mut self) {
        let mut message = [0; MAX_MESSAGE];
        let mut words = 0;
        while words < FIFO_WORDS && self.failure.is_none() {
            let Some(hardware) = &mut self.hardware else { return };
            match hardware.receive(&mut message) {
                Ok(None) => break,
                Ok(Some((from, length))) => {
                    words += 1 + length;
                    self.dispatch(from, &message[..length]);
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Takes one message.
    fn dispatch(&mut self, from: Core, message: &[u32]) {
        let &[header, ref frame @ ..] = message else { return };
        let (returned, association) = parse_kernel_header(header);
        if let Err(error) = self.credits[from.index()].receive(1 + message.len(), returned) {
            return self.fail(error);
        }
        if frame.is_empty() {
            return;
        }
        match self.lookup(association) {
            Some(endpoint) => endpoint.deliver(from, frame),
            None => return self.dropped += 1,
        }
        self.changed |= 1 << (association & INDEX);
    }

    /// Sends a frame of a message, for which [`Endpoint::room`] has found room.
    pub(crate) fn send(&mut self, association: u16, frame: &[u32]) {
        self.put(association, frame);
        // Those that are blocked are among them.
        for index in indices(self.changed) {
            let association = self.association(index);
            let Some(endpoint) = &mut self.associations[index].endpoint else { continue };
            if endpoint.overtake() && self.first_in_line.is_none() {
                self.first_in_line = endpoint.peer().map(|peer| (association, peer.core));
            }
        }
    }

    /// Sends a frame with the latest acknowledgement in it.
    fn put(&mut self, association: u16, frame: &[u32]) {
        let Some(endpoint) = self.lookup(association) else { return };
        let Some(peer) = endpoint.peer() else { return };
        match FrameHeader::from_raw(frame[0]).kind() {
            FrameKind::Control => endpoint.note_claims_sent(),
            _ => endpoint.sent(frame.len()),
        }
        let ack = u32::from(endpoint.into.report());
        let mut message = [0; 1 + MAX_FRAME];
        let message = &mut message[..1 + frame.len()];
        let credit = self.credits[peer.core.index()].spend(frame.len());
        message[0] = kernel_header(credit, peer.association);
        message[1..].copy_from_slice(frame);
        message[1] |= ack;
        self.transmit(peer.core, message);
    }

    fn transmit(&mut self, to: Core, message: &[u32]) {
        let Some(hardware) = &mut self.hardware else { return };
        match hardware.send(to, message) {
            Ok(()) if hardware.must_interrupt(to) => self.wakeups.interrupt |= 1 << to.index(),
            Ok(()) => {}
            Err(error) => self.fail(error),
        }
    }

    #[cold]
    fn fail(&mut self, error: ProtocolError) {
        self.failure.get_or_insert(error);
        self.changed = self.all();
        self.wake_all();
    }

    /// Requests interrupts when the kernel is left, even if they were requested before.
    pub(crate) const fn ask_again(&mut self) {
        self.asks_again = true;
    }

    /// Returns credit, sends control frames, determines what to wake, and publishes whether
    /// interrupts are wanted.
    pub(crate) fn flush(&mut self) {
        let waits = self.send_due_frames();
        if !self.listen(waits) {
            return;
        }
        // A message that came before that was known is here now; one that comes later is followed by an interrupt.
        self.poll();
        self.send_due_frames();
    }

    /// Publishes whether interrupts are wanted, if that has changed. Returns true if a message may
    /// have been missed.
    fn listen(&mut self, waits: bool) -> bool {
        let Some(hardware) = &mut self.hardware else { return false };
        let wanted = waits || self.armed != 0;
        let asks_again = core::mem::take(&mut self.asks_again);
        if wanted == self.listens && !(wanted && asks_again) {
            return false;
        }
        self.listens = wanted;
        hardware.listen(wanted);
        wanted && hardware.poll()
    }

    /// Returns credit, sends control frames, and determines what to wake. Returns true if a control
    /// frame waits for credit.
    fn send_due_frames(&mut self) -> bool {
        if let Some((first, _)) = self.first_in_line {
            self.first_in_line.take_if(|_| {
                let entry = &self.associations[usize::from(first & INDEX)];
                !entry.endpoint.as_ref().is_some_and(Endpoint::is_blocked)
            });
        }
        for core in 0..self.credits.len() {
            if self.credits[core].is_return_due() && self.failure.is_none() {
                let credit = self.credits[core].spend_reserve();
                self.transmit(Core(core as u8), &[kernel_header(credit, 0)]);
            }
        }
        let mut waits = false;
        let changed = core::mem::take(&mut self.changed);
        for index in indices(changed) {
            let association = self.association(index);
            let Some(endpoint) = &self.associations[index].endpoint else { continue };
            if let Some(frame) = endpoint.control() {
                if self.has_credit(endpoint, frame.words().len()) && self.failure.is_none() {
                    self.put(association, frame.words());
                } else if self.failure.is_none() {
                    waits = true;
                    self.changed |= 1 << index;
                }
            }
            self.free_if_over(index);
        }
        self.wake(changed);
        waits
    }

    /// Returns true if there is credit for a control frame. Nothing is reserved for the first in
    /// line here, because the frame is about a channel.
    fn has_credit(&self, endpoint: &Endpoint, words: usize) -> bool {
        endpoint.peer().is_some_and(|peer| self.credits[peer.core.index()].room() >= words)
    }

    /// Frees an association that is no longer needed.
    fn free_if_over(&mut self, index: usize) {
        let entry = &mut self.associations[index];
        let has_failed = self.failure.is_some();
        if entry.endpoint.take_if(|endpoint| endpoint.is_over(has_failed)).is_some() {
            entry.generation = (entry.generation + 1) & (u16::MAX >> INDEX_BITS);
        }
    }

    /// Wakes those of the `changed` ends that sleep and have something to do. The blocked ones stay
    /// changed: credit for them may come with any message.
    fn wake(&mut self, changed: u32) {
        for index in indices(changed) {
            let share = self.share_of(self.association(index));
            let endpoint = self.associations[index].endpoint.as_mut();
            let woken = endpoint.and_then(|endpoint| endpoint.wake(share, false));
            self.wakeups.wake.extend(woken);
            self.note_rest(index);
        }
    }

    /// Wakes all ends that sleep.
    pub(crate) fn wake_all(&mut self) {
        for index in 0..self.associations.len() {
            let share = CreditShare { words: 0, is_reduced: false };
            let endpoint = self.associations[index].endpoint.as_mut();
            let woken = endpoint.and_then(|endpoint| endpoint.wake(share, true));
            self.wakeups.wake.extend(woken);
            self.note_rest(index);
        }
    }

    /// Notes whether an end sleeps, and whether it is blocked.
    fn note_rest(&mut self, index: usize) {
        let endpoint = self.associations[index].endpoint.as_ref();
        self.armed &= !(1 << index);
        self.armed |= u32::from(endpoint.is_some_and(Endpoint::is_armed)) << index;
        self.changed |= u32::from(endpoint.is_some_and(Endpoint::is_blocked)) << index;
    }

    /// Returns the notifiers of all ends.
    pub(crate) fn notifiers(&self) -> Vec<Notifier> {
        self.associations.iter().flat_map(|entry| &entry.endpoint).map(Endpoint::notifier).collect()
    }

    /// Returns what to wake once the kernel is left.
    pub(crate) fn take_wakeups(&mut self) -> Wakeups {
        core::mem::take(&mut self.wakeups)
    }
}

/// Returns the positions of the bits that are set.
fn indices(mut bits: u32) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let index = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(index as usize)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::beehive::credit::START;
    use crate::beehive::endpoint::PeerAddress;
    use crate::beehive::hardware::{Message, STALLED};

    const OTHER_CORE: Core = Core(1);

    /// A machine whose next messages arrive at the worst time: when interrupts are requested.
    #[derive(Clone, Default)]
    struct Late(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        late: Vec<Vec<u32>>,
        fifo: VecDeque<Vec<u32>>,
        sent: Vec<Vec<u32>>,
        listens: bool,
    }

    impl Hardware for Late {
        fn cores(&self) -> usize {
            2
        }

        fn send(&mut self, _to: Core, words: &[u32]) -> Result<(), ProtocolError> {
            let mut state = self.0.lock();
            state.sent.push(words.to_vec());
            if state.sent.len() > 100 { Err(STALLED) } else { Ok(()) }
        }

        fn poll(&self) -> bool {
            !self.0.lock().fifo.is_empty()
        }

        fn receive(&mut self, into: &mut Message) -> Result<Option<(Core, usize)>, ProtocolError> {
            Ok(self.0.lock().fifo.pop_front().map(|message| {
                into[..message.len()].copy_from_slice(&message);
                (OTHER_CORE, message.len())
            }))
        }

        fn listen(&mut self, wanted: bool) {
            let mut state = self.0.lock();
            state.listens = wanted;
            let late = core::mem::take(&mut state.late);
            state.fifo.extend(late);
        }

        fn must_interrupt(&mut self, _to: Core) -> bool {
            true
        }
    }

    fn kernel(machine: &Late) -> (Kernel, u16) {
        let mut kernel = Kernel::new();
        kernel.attach_hardware(Box::new(machine.clone()));
        let association = kernel.open(Notifier::new()).unwrap();
        let peer = PeerAddress { core: OTHER_CORE, association: 9 };
        kernel.endpoint(association).connect(peer, 116, 116);
        (kernel, association)
    }

    #[test]
    fn message_during_arm_wakes_the_end() {
        let machine = Late::default();
        let (mut kernel, association) = kernel(&machine);
        let frame = FrameHeader::new(FrameKind::Whole, 1, 0).raw();
        machine.0.lock().late.push(vec![kernel_header(0, association), frame]);
        kernel.endpoint(association).arm();
        kernel.flush();
        assert_eq!(kernel.take_wakeups().wake.len(), 1);
        kernel.flush();
        assert!(!machine.0.lock().listens, "nobody sleeps any more");
    }

    #[test]
    fn ends_at_rest_are_not_looked_at() {
        let machine = Late::default();
        let (mut kernel, association) = kernel(&machine);
        let others: Vec<_> = (1..ASSOCIATIONS)
            .map(|_| {
                let other = kernel.open(Notifier::new()).unwrap();
                let peer = PeerAddress { core: OTHER_CORE, association: 9 };
                kernel.endpoint(other).connect(peer, 116, 116);
                kernel.endpoint(other).arm();
                other
            })
            .collect();
        kernel.flush();
        assert_eq!((kernel.changed, kernel.armed), (0, !(1 << association)), "all others sleep");
        let frame = FrameHeader::new(FrameKind::Whole, 1, 0).raw();
        for to in [association, others[30], others[0]] {
            machine.0.lock().fifo.push_back(vec![kernel_header(0, to), frame]);
            kernel.poll();
            assert_eq!(kernel.changed, 1 << to);
            kernel.flush();
            let woken = kernel.take_wakeups().wake.len();
            assert_eq!((kernel.changed, woken), (0, usize::from(to != association)));
        }
        // One that is blocked is looked at until it is not: credit for it may come with any message.
        let no_credit = CreditShare { words: 0, is_reduced: false };
        assert_eq!(kernel.endpoint(others[7]).room(2, no_credit), None);
        for _ in 0..2 {
            kernel.flush();
            assert_eq!(kernel.changed, 1 << others[7]);
        }
        kernel.send(others[7], &[frame]);
        kernel.flush();
        assert_eq!(kernel.changed, 0);
    }

    /// Explicit returns answer messages, and not each other.
    #[test]
    fn returned_credit_causes_no_further_return() {
        let machine = Late::default();
        let (mut kernel, association) = kernel(&machine);
        let frame = FrameHeader::new(FrameKind::Whole, 1, 0).raw();
        machine.0.lock().fifo.push_back(vec![kernel_header(0, association), frame]);
        kernel.poll();
        kernel.flush();
        assert_eq!(machine.0.lock().sent, [[kernel_header(3, 0)]]);
        assert_eq!(kernel.take_wakeups().interrupt, 1 << OTHER_CORE.0);
        machine.0.lock().fifo.push_back(vec![kernel_header(2, 0)]);
        kernel.poll();
        kernel.flush();
        assert_eq!(machine.0.lock().sent.len(), 1);
        assert_eq!(kernel.credit(OTHER_CORE), (START, 2));
        // The debt goes with the next message.
        kernel.send(association, &[frame]);
        assert_eq!(machine.0.lock().sent[1], [kernel_header(2, 9), frame]);
    }
}
