//! Channels that break the contract, each by one fault, to test the suite.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use flounder_rt::channel::{
    Channel, ChannelError, ConnectError, Connector, End, Incoming, Link, Offer, Outgoing, Pair,
    PendingOffer, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Watcher;
use flounder_rt::wire::Gather;

use crate::TestLink;
use Fault::*;

/// Time for which [`Fault::Blocks`] blocks.
pub const BLOCK_TIME: Duration = Duration::from_millis(250);

/// The fault of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None: every call is passed on.
    NoFault,
    /// None, but the fast paths always decline.
    SlowPathsOnly,
    /// Some messages are dropped.
    DropsAMessage,
    /// Some messages arrive twice.
    SendsAMessageTwice,
    /// Some messages arrive after their successor.
    SwapsTwoMessages,
    /// A message that the close cut off arrives, filled with zeroes.
    DeliversWhatWasCutOff,
    /// Long messages lose their last word.
    LosesTheLastWord,
    /// Long messages arrive as two.
    SplitsAMessage,
    /// A bit is flipped in messages of 90 words.
    FlipsABit,
    /// The beginning of a message is handed out as all of it.
    HandsOutABeginning,
    /// Messages with several capabilities lose the last.
    LosesACapability,
    /// Capabilities arrive in reverse order.
    SwapsCapabilities,
    /// A capability stays with the sender of a message that is done.
    KeepsACapability,
    /// `Partial(0)` takes the capabilities.
    TakesCapabilitiesAndNothingElse,
    /// `send` blocks while the channel is full.
    Blocks,
    /// `send` reports fewer words than before.
    TakesWordsBack,
    /// A partial send starts again from the first word.
    BeginsAnew,
    /// `Partial(0)` takes the message.
    TakesWordsAndSaysNone,
    /// The error of an ended channel changes.
    EndsWithAnotherErrorLater,
    /// A channel goes on after an error.
    ForgivesAnError,
    /// A close overtakes messages.
    ClosesBeforeWhatWasSent,
    /// `close` does nothing.
    KeepsOnAfterClose,
    /// A close is reported as death.
    TakesCloseForDeath,
    /// `is_over` is true for an open channel.
    ForeseesAnEnd,
    /// `is_over` is true once only.
    ForgetsTheEndThatItForesaw,
    /// A dropped end stays open.
    IsNotClosedByDrop,
    /// A closed end accepts messages.
    SendsWhenItIsClosed,
    /// An armed end is never woken.
    ForgetsToWake,
    /// Only the first sleep is woken.
    WakesOnce,
    /// A blocked sender is not woken.
    ForgetsToWakeForRoom,
    /// A close wakes no thread.
    ForgetsToWakeForTheEnd,
    /// A wake-up goes to the waitset before the last change.
    WakesTheOldWaitset,
    /// `ready` is always false.
    IsNeverReady,
    /// `ready` is always true.
    IsAlwaysReady,
    /// `ready` is false after a close.
    IsNotReadyForTheEnd,
    /// `ready` is false for a blocked sender.
    IsNotReadyForRoom,
    /// `can_resume` is always false.
    CannotResume,
    /// Messages by the fast path overtake others.
    OvertakesQuickly,
    /// `send_now` takes a message and returns false.
    TakesQuicklyAndSaysNo,
    /// `send_now` drops a message when full and returns true.
    LosesQuicklyWhenFull,
    /// `recv_now` takes messages that only `recv` may.
    TakesQuicklyWhatIsNotForIt,
    /// `recv_now` returns `Empty` in place of `Unsure`.
    HidesQuicklyWhatIsNotForIt,
    /// `send_now` returns true after a close.
    SendsQuicklyAfterTheEnd,
    /// `send` is done before the kernel has the capabilities.
    ReportsDoneTooEarly,
}

/// Returns a channel of `driver` within one dispatcher, with `fault` at both ends.
///
/// # Panics
/// If `driver` does not reach its own thread.
#[must_use]
pub fn pair(fault: Fault, driver: &dyn Connector, client: &End, service: &End) -> Pair {
    let relays = [client, service].map(WakeRelay::new);
    let [near, far] = [(client, &relays[0]), (service, &relays[1])]
        .map(|(end, relay)| End { notifier: relay.notifier(), ..end.clone() });
    let (near, far) = if fault == ReportsDoneTooEarly {
        // Within a process there is no broker that sends later.
        TestLink::connect(driver, &near, &far)
    } else {
        driver.pair_local(&near, &far).expect("the driver reaches its own thread")
    };
    let is_closed = Rc::new(Cell::new(false));
    let [one, other] = relays;
    let end = |channel, own: &Arc<WakeRelay>, peer: &Arc<WakeRelay>| FaultyChannel {
        channel: Some(channel),
        fault,
        own: Arc::clone(own),
        peer: Arc::clone(peer),
        is_closed: Rc::clone(&is_closed),
        closed_here: false,
        sent: 0,
        attached: 0,
        armed: 0,
        blocked: false,
        foreseen: false,
        taken: 0,
        errors: 0,
        stash: VecDeque::new(),
    };
    (Box::new(end(near, &one, &other)), Box::new(end(far, &other, &one)))
}

/// Forwards wake-ups, unless it is muted.
struct WakeRelay {
    to: Notifier,
    mute: AtomicBool,
}

impl WakeRelay {
    fn new(end: &End) -> Arc<Self> {
        Arc::new(Self { to: end.notifier.clone(), mute: AtomicBool::new(false) })
    }

    fn notifier(self: &Arc<Self>) -> Notifier {
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(self) as Arc<dyn Wake>, 0);
        notifier
    }

    fn mute(&self) {
        self.mute.store(true, Ordering::SeqCst);
    }
}

impl Wake for WakeRelay {
    fn wake(&self, _token: u64) {
        if !self.mute.load(Ordering::SeqCst) {
            self.to.notify();
        }
    }
}

/// An end with a fault.
struct FaultyChannel {
    channel: Option<Box<dyn Channel>>,
    fault: Fault,
    own: Arc<WakeRelay>,
    peer: Arc<WakeRelay>,
    /// True once one of the ends is closed.
    is_closed: Rc<Cell<bool>>,
    closed_here: bool,
    sent: u64,
    attached: u32,
    armed: u32,
    /// True if the last send was not done.
    blocked: bool,
    /// True once `is_over` has reported the end.
    foreseen: bool,
    /// Words of the current message.
    taken: usize,
    errors: u32,
    /// Messages that were taken and not forwarded.
    stash: VecDeque<(u16, Vec<u64>)>,
}

impl FaultyChannel {
    fn channel(&mut self) -> &mut dyn Channel {
        &mut **self.channel.as_mut().expect("it is there until the drop")
    }

    fn pass(&mut self, number: u16, words: &[u64]) -> Result<Progress, ChannelError> {
        let (body, caps) = (Gather::words_only(words), &mut Vec::new());
        self.channel().send(&mut Outgoing { number, body, caps, cap_count: 0 }, 0)
    }

    fn flush(&mut self) {
        while let Some((number, words)) = self.stash.front().cloned() {
            if self.pass(number, &words) != Ok(Progress::Done) {
                return;
            }
            self.stash.pop_front();
        }
    }

    fn hide(&mut self, number: u16, words: &[u64]) {
        self.stash.push_back((number, words.to_vec()));
    }

    fn send_faultily(
        &mut self,
        message: &mut Outgoing<'_>,
        from: usize,
    ) -> Result<Progress, ChannelError> {
        let number = message.number;
        let mut words = vec![0; message.body.len()];
        message.body.reader(0).read(&mut words);
        let is_first = from == 0;
        let is_plain = is_first && message.cap_count == 0;
        let sent = self.sent;
        let every = |n: u64| sent % n == n - 1;
        match self.fault {
            DropsAMessage if is_plain && every(97) => return Ok(Progress::Done),
            SendsAMessageTwice if is_plain && every(97) => {
                self.pass(number, &words)?;
            }
            SwapsTwoMessages if is_plain && every(97) => {
                self.hide(number, &words);
                return Ok(Progress::Done);
            }
            LosesTheLastWord if is_plain && words.len() > 64 => {
                words.pop();
                return self.pass(number, &words);
            }
            SplitsAMessage if is_plain && words.len() > 64 => {
                let (head, tail) = words.split_at(words.len() / 2);
                self.pass(number, head)?;
                return self.pass(number, tail);
            }
            FlipsABit if is_plain && words.len() == 90 => {
                words[89] ^= 1 << 63;
                return self.pass(number, &words);
            }
            LosesACapability if message.cap_count > 1 => {
                message.caps.pop();
                message.cap_count -= 1;
            }
            SwapsCapabilities if is_first => message.caps.reverse(),
            OvertakesQuickly if is_plain && words.len() < 5 => {
                self.hide(number, &words);
                return Ok(Progress::Done);
            }
            _ => {}
        }
        let copy = match (self.fault, message.caps.last()) {
            (KeepsACapability, Some(cap)) => cap.try_clone().ok(),
            _ => None,
        };
        let restart = self.fault == BeginsAnew;
        let sent = self.channel().send(message, if restart { 0 } else { from });
        match (self.fault, &sent) {
            (KeepsACapability, Ok(Progress::Done)) => message.caps.extend(copy),
            (TakesCapabilitiesAndNothingElse, Ok(Progress::Partial(0))) => message.caps.clear(),
            (ReportsDoneTooEarly, Ok(Progress::Partial(1..)))
                if message.cap_count > message.caps.len() =>
            {
                return Ok(Progress::Done);
            }
            (TakesWordsAndSaysNone, Ok(Progress::Partial(0))) if is_plain => {
                self.hide(number, &words);
            }
            (TakesWordsBack, Ok(Progress::Partial(taken))) if !is_first => {
                return Ok(Progress::Partial(taken / 2));
            }
            (DeliversWhatWasCutOff, Ok(Progress::Partial(taken))) if *taken > 0 => {
                self.taken = *taken;
            }
            (Blocks, Ok(Progress::Partial(_))) => thread::sleep(BLOCK_TIME),
            _ => {}
        }
        sent
    }
}

impl Channel for FaultyChannel {
    fn driver(&self) -> &'static str {
        "faulty"
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        if self.fault == SendsWhenItIsClosed && self.closed_here {
            message.caps.clear();
            return Ok(Progress::Done);
        }
        let hides = !self.stash.is_empty();
        let sent = self.send_faultily(message, from);
        if hides {
            self.flush();
        }
        self.sent += 1;
        self.blocked = sent != Ok(Progress::Done);
        sent
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        match self.fault {
            ClosesBeforeWhatWasSent if self.is_closed.get() => return Err(ChannelError::Closed),
            ForgivesAnError if self.errors > 0 => return Ok(Recv::Empty),
            _ => {}
        }
        let received = self.channel().recv(incoming);
        self.errors += u32::from(received.is_err());
        match (self.fault, received) {
            (HandsOutABeginning, Ok(Recv::More)) => Ok(Recv::Message),
            (DeliversWhatWasCutOff, Err(ChannelError::Closed)) if incoming.missing() > 0 => {
                let zeroes = vec![0; incoming.missing()];
                incoming.push(&zeroes).map_err(ChannelError::Protocol)?;
                Ok(Recv::Message)
            }
            (EndsWithAnotherErrorLater, Err(_)) if self.errors > 1 => Err(ChannelError::Closed),
            (TakesCloseForDeath, Err(ChannelError::Closed)) => Err(ChannelError::PeerDied),
            (_, received) => received,
        }
    }

    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        let sent = match self.fault {
            SlowPathsOnly => false,
            // Their fault is in the other path.
            DropsAMessage | SendsAMessageTwice | SwapsTwoMessages | TakesWordsAndSaysNone => false,
            SendsQuicklyAfterTheEnd if self.is_closed.get() => true,
            _ => self.channel().send_now(number, words),
        };
        match self.fault {
            OvertakesQuickly => self.flush(),
            TakesQuicklyAndSaysNo => return false,
            LosesQuicklyWhenFull if !sent && self.armed == 0 => {
                self.armed = 1;
                return true;
            }
            _ => {}
        }
        sent
    }

    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        match self.fault {
            SlowPathsOnly | ClosesBeforeWhatWasSent => RecvNow::Unsure,
            TakesQuicklyWhatIsNotForIt => match self.channel().recv(incoming) {
                Ok(Recv::Message) => RecvNow::Message,
                _ => RecvNow::Unsure,
            },
            HidesQuicklyWhatIsNotForIt => match self.channel().recv_now(incoming) {
                RecvNow::Unsure => RecvNow::Empty,
                sure => sure,
            },
            _ => self.channel().recv_now(incoming),
        }
    }

    fn ready(&mut self) -> bool {
        match self.fault {
            IsNeverReady => false,
            IsAlwaysReady => true,
            IsNotReadyForTheEnd if self.is_closed.get() => false,
            IsNotReadyForRoom if self.blocked => false,
            _ => self.channel().ready(),
        }
    }

    fn can_resume(&mut self) -> bool {
        self.fault != CannotResume && self.channel().can_resume()
    }

    fn is_over(&mut self) -> bool {
        match self.fault {
            ForeseesAnEnd => true,
            ForgetsTheEndThatItForesaw => {
                self.is_closed.get() && !std::mem::replace(&mut self.foreseen, true)
            }
            _ => self.channel().is_over(),
        }
    }

    fn arm(&mut self) {
        self.armed += 1;
        match self.fault {
            ForgetsToWake => {}
            WakesOnce if self.armed > 1 => {}
            ForgetsToWakeForRoom if self.blocked => {}
            _ => self.channel().arm(),
        }
    }

    fn disarm(&mut self) {
        self.channel().disarm();
    }

    fn readiness(&self) -> Readiness<'_> {
        self.channel.as_ref().expect("it is there until the drop").readiness()
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        self.attached += 1;
        if self.fault == WakesTheOldWaitset && self.attached > 1 {
            self.own.mute();
        }
        self.channel().attached(waitset)
    }

    fn close(&mut self) {
        self.closed_here = true;
        self.is_closed.set(true);
        match self.fault {
            KeepsOnAfterClose => return,
            ForgetsToWakeForTheEnd => self.peer.mute(),
            _ => {}
        }
        self.channel().close();
    }
}

impl Drop for FaultyChannel {
    fn drop(&mut self) {
        if self.fault == IsNotClosedByDrop {
            std::mem::forget(self.channel.take());
        }
    }
}

/// A driver like the one that it holds, except that an end whose peer died reports a close.
pub struct DeathAsClose(pub &'static dyn Connector);

impl Connector for DeathAsClose {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn offer(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        let (terms, offered) = self.0.offer(end, link)?;
        Ok((terms, Box::new(DeathAsCloseOffer(offered))))
    }

    fn accept(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        let (channel, answer) = self.0.accept(end, link, offer)?;
        Ok((Box::new(DeathAsCloseChannel(channel)), answer))
    }
}

struct DeathAsCloseOffer(Box<dyn PendingOffer>);

impl PendingOffer for DeathAsCloseOffer {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        Ok(Box::new(DeathAsCloseChannel(self.0.complete(answer)?)))
    }
}

struct DeathAsCloseChannel(Box<dyn Channel + Send>);

impl Channel for DeathAsCloseChannel {
    fn driver(&self) -> &'static str {
        "faulty"
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        self.0.send(message, from)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.0.recv(incoming).map_err(|error| match error {
            ChannelError::PeerDied => ChannelError::Closed,
            error => error,
        })
    }

    fn ready(&mut self) -> bool {
        self.0.ready()
    }

    fn readiness(&self) -> Readiness<'_> {
        self.0.readiness()
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        self.0.attached(waitset)
    }

    fn close(&mut self) {
        self.0.close();
    }
}
