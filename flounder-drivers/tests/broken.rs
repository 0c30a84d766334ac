//! Drivers that break the contract are caught: each fault by the test of the clause that it breaks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flounder_drivers::conformance::{self, CLAUSES, Suite, TestLink};
use flounder_drivers::{lmp::Lmp, loopback::Loopback, ump::Ump};
use flounder_rt::channel::{
    Channel, ChannelError, ConnectError, Connector, Control, End, Incoming, Link, Offer, Outgoing,
    Pair, PendingOffer, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;

/// How long the tests wait in vain for what a broken driver does not do.
const PATIENCE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// None; everything is passed on.
    Nothing,
    /// None; the quick ways are not passed on.
    SlowWaysOnly,
    DropsAMessage,
    SendsAMessageTwice,
    SwapsTwoMessages,
    DeliversWhatWasCutOff,
    LosesTheLastWord,
    SplitsAMessage,
    FlipsABit,
    HandsOutABeginning,
    LosesACapability,
    SwapsCapabilities,
    KeepsACapability,
    TakesCapabilitiesAndNothingElse,
    Blocks,
    TakesWordsBack,
    BeginsAnew,
    TakesWordsAndSaysNone,
    EndsWithAnotherErrorLater,
    ForgivesAnError,
    ClosesBeforeWhatWasSent,
    KeepsOnAfterClose,
    TakesCloseForDeath,
    ForeseesAnEnd,
    ForgetsTheEndThatItForesaw,
    IsNotClosedByDrop,
    SendsWhenItIsClosed,
    ForgetsToWake,
    WakesOnce,
    ForgetsToWakeForRoom,
    ForgetsToWakeForTheEnd,
    WakesTheOldWaitset,
    IsNeverReady,
    IsAlwaysReady,
    IsNotReadyForTheEnd,
    IsNotReadyForRoom,
    CannotResume,
    OvertakesQuickly,
    TakesQuicklyAndSaysNo,
    LosesQuicklyWhenFull,
    TakesQuicklyWhatIsNotForIt,
    HidesQuicklyWhatIsNotForIt,
    SendsQuicklyAfterTheEnd,
    TellsTooEarly,
}

use Fault::*;

/// Each fault, over a driver that can have it, and the test that finds it.
const FAULTS: [(Fault, &dyn Connector, &str); 43] = [
    (DropsAMessage, &Loopback, "clause_1_prefix"),
    (SendsAMessageTwice, &Loopback, "clause_1_prefix"),
    (SwapsTwoMessages, &Loopback, "clause_1_prefix"),
    (DeliversWhatWasCutOff, &Ump, "clause_1_prefix_of_what_was_cut_off"),
    (LosesTheLastWord, &Loopback, "clause_2_whole"),
    (SplitsAMessage, &Loopback, "clause_2_whole"),
    (FlipsABit, &Loopback, "clause_2_whole_with_tails"),
    (HandsOutABeginning, &Ump, "clause_2_whole"),
    (LosesACapability, &Loopback, "clause_2_whole_with_capabilities"),
    (SwapsCapabilities, &Loopback, "clause_2_whole_with_capabilities"),
    (Blocks, &Loopback, "clause_3_never_blocks"),
    (TakesWordsBack, &Ump, "clause_4_partial_sends"),
    (BeginsAnew, &Lmp, "clause_4_partial_sends"),
    (KeepsACapability, &Loopback, "clause_4_partial_sends_with_capabilities"),
    (TakesCapabilitiesAndNothingElse, &Loopback, "clause_5_nothing_taken"),
    (TakesWordsAndSaysNone, &Loopback, "clause_5_nothing_taken"),
    (EndsWithAnotherErrorLater, &Ump, "clause_6_total"),
    (ForgivesAnError, &Ump, "clause_6_total"),
    (ForgivesAnError, &Ump, "clause_6_total_for_the_runtime"),
    (ClosesBeforeWhatWasSent, &Loopback, "clause_7_end"),
    (KeepsOnAfterClose, &Loopback, "clause_7_end"),
    (TakesCloseForDeath, &Loopback, "clause_7_end"),
    (ForeseesAnEnd, &Loopback, "clause_7_end_is_foreseen"),
    (ForgetsTheEndThatItForesaw, &Loopback, "clause_7_end_is_foreseen"),
    (IsNotClosedByDrop, &Loopback, "clause_7_end_by_drop"),
    (SendsWhenItIsClosed, &Loopback, "clause_7_end_of_this_side"),
    (ForgetsToWake, &Loopback, "clause_8_sleep_until_a_message"),
    (WakesOnce, &Loopback, "clause_8_sleep_until_a_message"),
    (ForgetsToWakeForRoom, &Loopback, "clause_8_sleep_until_room"),
    (ForgetsToWakeForTheEnd, &Loopback, "clause_8_sleep_until_the_end"),
    (WakesTheOldWaitset, &Loopback, "clause_9_retarget"),
    (IsNeverReady, &Loopback, "clause_10_ready"),
    (IsAlwaysReady, &Loopback, "clause_10_ready"),
    (IsNotReadyForTheEnd, &Loopback, "clause_10_ready"),
    (IsNotReadyForRoom, &Loopback, "clause_10_ready_for_room"),
    (CannotResume, &Loopback, "clause_10_ready_for_room"),
    (OvertakesQuickly, &Loopback, "clause_11_quick_ways"),
    (TakesQuicklyAndSaysNo, &Loopback, "clause_11_quick_ways"),
    (LosesQuicklyWhenFull, &Loopback, "clause_11_quick_ways_when_full"),
    (TakesQuicklyWhatIsNotForIt, &Loopback, "clause_11_quick_ways_leave_the_rest"),
    (HidesQuicklyWhatIsNotForIt, &Loopback, "clause_11_quick_ways_leave_the_rest"),
    (SendsQuicklyAfterTheEnd, &Loopback, "clause_11_quick_ways_at_the_end"),
    (TellsTooEarly, &Ump, "clause_12_done_is_sent"),
];

/// The test that kills a process.
const BY_DEATH: &str = "clause_7_end_by_death";

#[test]
fn every_fault_is_caught_by_its_clause() {
    for (clause, _) in CLAUSES {
        // Nobody is killed in one dispatcher: see below.
        let is_here = *clause != BY_DEATH;
        assert_eq!(is_here, FAULTS.iter().any(|(_, _, test)| test == clause), "{clause}");
    }

    let mut caught = 0;
    for (fault, driver, clause) in FAULTS {
        match suite(fault, driver).timeout(PATIENCE).violation(clause) {
            Some(violation) => {
                println!("{fault:?}: {clause}: {}", violation.what);
                caught += 1;
            }
            None => println!("{fault:?} is not caught by {clause}"),
        }
    }
    match Suite::between_processes(&TakesDeathForClose, "child").violation(BY_DEATH) {
        Some(violation) => {
            println!("TakesDeathForClose: {BY_DEATH}: {}", violation.what);
            caught += 1;
        }
        None => println!("TakesDeathForClose is not caught by {BY_DEATH}"),
    }
    let total = FAULTS.len() + 1;
    println!("caught {caught} of {total}");
    assert_eq!(caught, total);
}

/// Not a test by itself: what the second process does.
#[test]
fn child() {
    conformance::child(&TakesDeathForClose);
}

/// What hides the channels of a sound driver behind wrappers is sound.
#[test]
fn wrappers_without_a_fault_pass() {
    for driver in [&Loopback as &dyn Connector, &Ump, &Lmp] {
        suite(Nothing, driver).run();
        suite(SlowWaysOnly, driver).run();
    }
}

fn suite(fault: Fault, driver: &dyn Connector) -> Suite<'_> {
    Suite::in_one_dispatcher(move |client, service| broken(fault, driver, client, service))
}

/// A pair of `driver` with this fault at both ends.
fn broken(fault: Fault, driver: &dyn Connector, client: &End, service: &End) -> Pair {
    let relays = [client, service].map(Relay::new);
    let [near, far] = [(client, &relays[0]), (service, &relays[1])]
        .map(|(end, relay)| End { notifier: relay.notifier(), ..end.clone() });
    let (near, far) = if fault == TellsTooEarly {
        // Within a process there is no broker that sends later.
        TestLink::connect(driver, &near, &far)
    } else {
        driver.pair_local(&near, &far).expect("the driver reaches its own thread")
    };
    let is_closed = Rc::new(Cell::new(false));
    let [one, other] = relays;
    let end = |channel, own: &Arc<Relay>, peer: &Arc<Relay>| Broken {
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

/// Passes wake-ups on, unless it is mute.
struct Relay {
    to: Notifier,
    mute: AtomicBool,
}

impl Relay {
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

impl Wake for Relay {
    fn wake(&self, _token: u64) {
        if !self.mute.load(Ordering::SeqCst) {
            self.to.notify();
        }
    }
}

/// An end with a fault.
struct Broken {
    channel: Option<Box<dyn Channel>>,
    fault: Fault,
    own: Arc<Relay>,
    peer: Arc<Relay>,
    /// Whether one of the ends is closed.
    is_closed: Rc<Cell<bool>>,
    closed_here: bool,
    sent: u64,
    attached: u32,
    armed: u32,
    /// Whether the last send was not done.
    blocked: bool,
    /// Whether it has told of the end ahead.
    foreseen: bool,
    /// Words of the message in hand.
    taken: usize,
    errors: u32,
    /// Messages that were taken, and not passed on.
    stash: VecDeque<(u16, Vec<u64>)>,
}

impl Broken {
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
            (TellsTooEarly, Ok(Progress::Partial(1..)))
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
            (Blocks, Ok(Progress::Partial(_))) => thread::sleep(PATIENCE),
            _ => {}
        }
        sent
    }
}

impl Channel for Broken {
    fn driver(&self) -> &'static str {
        "broken"
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
            SlowWaysOnly => false,
            // Their fault is in the other way.
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
            SlowWaysOnly | ClosesBeforeWhatWasSent => RecvNow::Unsure,
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

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        self.attached += 1;
        if self.fault == WakesTheOldWaitset && self.attached > 1 {
            self.own.mute();
        }
        self.channel().attached(waitset)
    }

    fn control(&mut self, control: Control) -> Result<(), ChannelError> {
        self.channel().control(control)
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

impl Drop for Broken {
    fn drop(&mut self) {
        if self.fault == IsNotClosedByDrop {
            std::mem::forget(self.channel.take());
        }
    }
}

/// lmp, but for one thing that only another process can show.
struct TakesDeathForClose;

impl Connector for TakesDeathForClose {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn offer(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        let (terms, offered) = Lmp.offer(end, link)?;
        Ok((terms, Box::new(Half(offered))))
    }

    fn accept(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        let (channel, answer) = Lmp.accept(end, link, offer)?;
        Ok((Box::new(Mistaken(channel)), answer))
    }
}

struct Half(Box<dyn PendingOffer>);

impl PendingOffer for Half {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        Ok(Box::new(Mistaken(self.0.complete(answer)?)))
    }
}

struct Mistaken(Box<dyn Channel + Send>);

impl Channel for Mistaken {
    fn driver(&self) -> &'static str {
        "broken"
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

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        self.0.attached(waitset)
    }

    fn close(&mut self) {
        self.0.close();
    }
}
