//! Commands that send capabilities in every place that an interface has for them, and check where each of them ends.
//!
//! The capability is the writing end of a pipe; the sender keeps the reading end. The receiver writes a record into the pipe
//! and closes it. So the sender can check that each message came with its descriptor, and the end of the pipe shows that no
//! process, queue or message holds the descriptor any more.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use flounder::driver::channel::{Connector, End};
use flounder::driver::notify::Notifier;
use flounder::error::CapRefusal;
use flounder::{
    BindingError, Cap, Exported, Iref, Peer, RpcError, TxError, Waitset, nameservice, policy,
};
use flounder_conformance::TestLink;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_getfd};

use super::TIMEOUT;
use super::kind::Kind;
use super::protocol::{Driver, Event, commands};

flounder::flounder! {
    interface cap_transfer "Capabilities in every place" {
        typedef struct { cap c; uint32 n; } holder;
        typedef struct { give_away_cap c; string label[40]; } gift;
        call plain(uint32 number);
        call bare(cap c);
        call copied(uint32 number, cap c);
        call moved(uint32 number, give_away_cap c);
        call held(uint32 number, holder h);
        call given(uint32 number, gift g);
        call seven(uint32 number, cap a, give_away_cap b, string text[4000], holder c,
                   uint64 words[count, 2000], give_away_cap d, cap e, give_away_cap f, gift g);
        rpc swap(in uint32 number, in cap a, in give_away_cap b, in string text[200],
                 out cap c, out give_away_cap d, out string back[200]);
        rpc report(out string log[16000]);
    };
}

/// What the receiver writes into a pipe: number of the message, place in it, inode, device, whether `CLOEXEC` is set.
const NOTE: usize = 4 + 4 + 8 + 8 + 1;

/// The number of a plain message that has the receiver tear down its binding.
const LEAVE: u32 = u32::MAX;

commands! { CapTransfer:
    /// Sends capabilities in every place, with both ends in one thread.
    transfer_in_thread: TransferInThread { driver: Driver } -> ();
    /// Sends capabilities in every place, with the ends in two threads.
    transfer_between_threads: TransferBetweenThreads { driver: Driver } -> ();
    /// Exports a service that takes capabilities in every place, and registers it.
    export_taker: Export { name: String } -> ();
    /// Binds to such a service.
    bind_taker: Bind { driver: Driver, name: String } -> ();
    /// Sends capabilities in every place over the binding.
    transfer_caps: TransferCaps {} -> ();
    /// Gives capabilities away and tears the binding down at once.
    give_and_tear_down: GiveAndTearDown {} -> ();
    /// Gives capabilities away while the service tears the binding down.
    give_until_closed: GiveUntilClosed {} -> ();
    /// Makes a call with capabilities in both directions.
    swap_caps: SwapCaps {} -> ();
    /// Gives capabilities away without an end, and reports every twentieth as [`Event::Flooded`].
    flood_caps: FloodCaps {} -> ();
    /// Drops the bindings to such services.
    unbind_takers: Unbind {} -> ();
}

/// Runs a command.
pub fn run(waitset: &Waitset, request: Request) {
    match request {
        Request::TransferInThread(TransferInThread { driver }, reply) => {
            reply.result(in_thread(waitset, driver));
        }
        Request::TransferBetweenThreads(TransferBetweenThreads { driver }, reply) => {
            reply.result(between_threads(waitset, driver));
        }
        Request::Export(Export { name }, reply) => {
            let exported = export(waitset, true);
            let registered = nameservice::register(&name, exported.iref()).wait();
            HERE.with_borrow_mut(|here| here.exported.push(exported));
            reply.send(registered);
        }
        Request::Bind(Bind { driver, name }, reply) => {
            let iref = nameservice::lookup(&name).wait().expect("it is registered");
            let bind = cap_transfer::bind(iref, waitset, Sender::reporting());
            bind.driver(driver.name()).then(|bound| {
                reply.send(bound.map(|b| HERE.with_borrow_mut(|here| here.bound.push(b))));
            });
        }
        Request::GiveAndTearDown(GiveAndTearDown {}, reply) => {
            reply.result(give_and_tear_down(waitset, binding()));
        }
        Request::GiveUntilClosed(GiveUntilClosed {}, reply) => {
            reply.result(give_until_closed(waitset, binding()));
        }
        Request::TransferCaps(TransferCaps {}, reply) => {
            reply.result(Script::new(waitset, &binding()).run());
        }
        Request::SwapCaps(SwapCaps {}, reply) => {
            let (_a, one) = pipe();
            let (_b, other) = pipe();
            let swapped = cap_transfer::RpcClient::new(&binding()).swap(0, &one, other, "hello");
            reply.send(swapped.map(drop));
        }
        Request::FloodCaps(FloodCaps {}, reply) => {
            reply.ok(());
            flood(&binding(), 0);
        }
        Request::Unbind(Unbind {}, reply) => {
            HERE.with_borrow_mut(|here| here.bound.clear());
            reply.ok(());
        }
    }
}

/// What a test process has for these commands.
#[derive(Default)]
struct Here {
    exported: Vec<Exported>,
    bound: Vec<cap_transfer::ClientBinding>,
}

thread_local! {
    static HERE: RefCell<Here> = RefCell::default();
}

fn binding() -> cap_transfer::ClientBinding {
    HERE.with_borrow(|here| here.bound.last().cloned()).expect("something is bound")
}

fn export(waitset: &Waitset, reports: bool) -> Exported {
    let keeper = move |_: &Peer| Ok(Keeper { reports, ..Keeper::default() });
    let exported = cap_transfer::export(waitset, keeper).wait();
    exported.expect("it can be exported")
}

/// Gives away one capability after the other, until the binding ends.
fn flood(binding: &cap_transfer::ClientBinding, number: u32) {
    if number % 20 == 19 {
        Event::Flooded(number).report();
    }
    let again = binding.clone();
    // The error handler reports the end of the binding.
    if let Ok(sent) = binding.tx_moved(number, pipe().1) {
        sent.then(move || flood(&again, number + 1));
    }
}

/// Both ends in one dispatcher.
fn in_thread(waitset: &Waitset, driver: Driver) -> Result<(), Fault> {
    let exported = export(waitset, false);
    let result = within_a_process(waitset, driver, exported.iref());
    exported.withdraw();
    result
}

/// Two threads.
fn between_threads(waitset: &Waitset, driver: Driver) -> Result<(), Fault> {
    let (iref, told) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&over);
    let service = thread::spawn(move || {
        let waitset = Waitset::new();
        let exported = export(&waitset, false);
        iref.send((exported.iref(), waitset.remote())).expect("the test waits");
        while !theirs.load(Ordering::Acquire) {
            waitset.dispatch().expect("no callback fails");
        }
        exported.withdraw();
    });
    let (iref, remote) = told.recv_timeout(TIMEOUT).expect("the service starts");
    let result = within_a_process(waitset, driver, iref);
    over.store(true, Ordering::Release);
    remote.post(|_| Ok(()));
    service.join().expect("the service does not panic");
    result
}

fn within_a_process(waitset: &Waitset, driver: Driver, iref: Iref) -> Result<(), Fault> {
    let sender = Sender::default();
    let errors = Rc::clone(&sender.errors);
    let bind = |sender| {
        let bind = cap_transfer::bind(iref, waitset, sender).driver(driver.name());
        let bound = waitset.block_on(bind).expect("no callback fails");
        bound.map_err(|error| fault("bind", error))
    };
    let binding = bind(sender)?;
    expect("the driver", binding.driver(), driver.name())?;
    let mut script = Script::new(waitset, &binding);
    script.run()?;
    let refused = script.refusals(&errors);
    policy::clear_cap_policy();
    refused?;
    script.copies_at_the_limit(&errors)?;
    script.run()?;
    give_and_tear_down(waitset, binding)?;
    give_until_closed(waitset, bind(Sender::default())?)
}

/// Gives away as much as the channel takes, within reason, and tears the binding down: what was sent arrives or does not, and
/// is gone.
fn give_and_tear_down(
    waitset: &Waitset,
    binding: cap_transfer::ClientBinding,
) -> Result<(), Fault> {
    let mut given = Vec::new();
    while given.len() < 1000 && give(&binding, &mut given)? == Given::Taken {}
    binding.teardown();
    drop(binding);
    expect_ends(waitset, given)
}

/// Gives away capabilities while the receiver tears the binding down.
fn give_until_closed(waitset: &Waitset, binding: cap_transfer::ClientBinding) -> Result<(), Fault> {
    let mut given = Vec::new();
    binding.tx_plain(LEAVE).map_err(|error| fault("plain", error))?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match give(&binding, &mut given)? {
            Given::Taken => {}
            Given::Closed => return expect_ends(waitset, given),
            Given::Busy if Instant::now() >= deadline => {
                return Err("the binding does not end".to_owned());
            }
            Given::Busy => look_round(waitset)?,
        }
    }
}

#[derive(PartialEq, Eq)]
enum Given {
    Taken,
    Busy,
    Closed,
}

fn give(
    binding: &cap_transfer::ClientBinding,
    given: &mut Vec<PipeReader>,
) -> Result<Given, Fault> {
    let (reader, cap) = pipe();
    match binding.tx_moved(given.len() as u32, cap).map(drop) {
        Ok(()) => {
            given.push(reader);
            Ok(Given::Taken)
        }
        Err(rejected) if rejected.error == TxError::Busy => Ok(Given::Busy),
        Err(rejected) if rejected.error == TxError::Closed => Ok(Given::Closed),
        Err(rejected) => Err(fault("moved", rejected.error)),
    }
}

/// Waits until all copies of these are closed.
fn expect_ends(waitset: &Waitset, mut given: Vec<PipeReader>) -> Result<(), Fault> {
    let deadline = Instant::now() + TIMEOUT;
    while let Some(reader) = given.last() {
        if is(reader, PollFlags::empty(), Timespec::default()) {
            given.pop();
        } else if Instant::now() >= deadline {
            return Err(format!("somebody has {} capabilities still", given.len()));
        } else {
            look_round(waitset)?;
        }
    }
    Ok(())
}

/// Lets the other end get on, wherever it is.
fn look_round(waitset: &Waitset) -> Result<(), Fault> {
    thread::yield_now();
    waitset.try_dispatch().map(drop).map_err(|error| fault("dispatch", error))
}

/// Both ends in one dispatcher over a link that loses capabilities, as monitors do that run out of descriptors.
pub fn lose(driver: &dyn Connector) -> Result<(), Fault> {
    let waitset = Waitset::new();
    let (here, there) = TestLink::pair();
    let end = || End { notifier: Notifier::new(), connection: 4, buffer: 0 };
    let (client, service) = TestLink::connect_over(driver, &end(), &end(), &here, &there);
    let (sender, keeper) = (Sender::default(), Keeper::default());
    let errors = Rc::clone(&sender.errors);
    let attached = "it needs no descriptor to be watched";
    let client = cap_transfer::over(client, &waitset, sender).expect(attached);
    let _service = cap_transfer::over(service, &waitset, keeper).expect(attached);
    let script = Script::new(&waitset, &client);
    let block_on = |call| waitset.block_on(call).expect("no callback fails");
    for refusal in [CapRefusal::SenderLimit, CapRefusal::ReceiverLimit] {
        let told = format!("CapsRefused({})", refusal.kind());
        here.refuse_next(refusal);
        let (reader, cap) = pipe();
        client.tx_moved(0, cap).map_err(|rejected| fault("moved", rejected.error))?;
        let log =
            block_on(script.service.report_async()).map_err(|error| fault("report", error))?;
        expect("errors of the service", log, format!("{told}; 0 messages"))?;
        expect("errors", errors.take(), vec![BindingError::CapsRefused(refusal)])?;
        expect_end(&reader)?;
        // The call, and then its response.
        for link in [&here, &there] {
            link.refuse_next(refusal);
            let ((a, one), (b, other)) = (pipe(), pipe());
            let call = script.service.swap_async(0, &one, other, "");
            let swapped = waitset.block_on(call).expect("no callback fails");
            expect("swap", swapped.map(drop), Err(RpcError::CapsRefused(refusal)))?;
            let log =
                block_on(script.service.report_async()).map_err(|error| fault("report", error))?;
            let count = u32::from(std::ptr::eq(link, &there));
            expect("errors of the service", log, format!("{told}; {count} messages"))?;
            expect("errors of the caller", errors.take(), vec![])?;
            drop(one);
            expect_end(&a)?;
            expect_end(&b)?;
        }
    }
    Ok(())
}

/// What went wrong.
type Fault = String;

fn fault(what: &str, why: impl Debug) -> Fault {
    format!("{what}: {why:?}")
}

/// A capability that was sent.
struct Tracked {
    reader: PipeReader,
    /// The sender's own, if a copy travelled.
    kept: Option<Cap>,
    note: [u8; NOTE],
}

/// What the sender does, and expects.
struct Script<'a> {
    waitset: &'a Waitset,
    binding: &'a cap_transfer::ClientBinding,
    service: cap_transfer::RpcClient,
    /// Messages sent.
    number: u32,
    tracked: Vec<Tracked>,
}

impl<'a> Script<'a> {
    fn new(waitset: &'a Waitset, binding: &'a cap_transfer::ClientBinding) -> Self {
        let service = cap_transfer::RpcClient::new(binding);
        Self { waitset, binding, service, number: 0, tracked: Vec::new() }
    }

    /// Every kind of message, among others; then looks where the capabilities are.
    fn run(&mut self) -> Result<(), Fault> {
        // What went wrong before this, and the numbers.
        self.report()?;
        self.number = 0;
        let words: Vec<u64> = (0..2000).collect();
        for round in 0..12 {
            for _ in 0..round % 3 {
                self.plain()?;
            }
            self.room()?;
            self.bare_and_single()?;
            let text = "é".repeat(round * 170);
            self.seven(&text, &words[..round * 181])?;
            self.plain()?;
            self.swap(round)?;
        }
        let log = self.report()?;
        if log != format!("{} messages", self.number) {
            return Err(format!("{} messages were sent; {log}", self.number));
        }
        self.tracked.drain(..).try_for_each(Tracked::check)
    }

    fn report(&self) -> Result<String, Fault> {
        self.service.report().map_err(|error| fault("report", error))
    }

    fn room(&self) -> Result<(), Fault> {
        let deadline = Some(Instant::now() + TIMEOUT);
        match self.waitset.dispatch_until(deadline, || self.binding.can_send()) {
            Ok(true) => Ok(()),
            other => Err(fault("wait for room", other)),
        }
    }

    fn next(&mut self) -> u32 {
        self.number += 1;
        self.number - 1
    }

    fn plain(&mut self) -> Result<(), Fault> {
        self.room()?;
        let number = self.next();
        self.binding.tx_plain(number).map(drop).map_err(|error| fault("plain", error))
    }

    /// A capability whose copy will travel in the current message, or which will itself.
    fn track(&mut self, place: u32) -> Cap {
        let (reader, cap) = pipe();
        self.tracked.push(Tracked { reader, kept: None, note: note(self.number, place, &cap) });
        cap
    }

    fn keep(&mut self, ago: usize, cap: Cap) {
        let at = self.tracked.len() - 1 - ago;
        self.tracked[at].kept = Some(cap);
    }

    fn bare_and_single(&mut self) -> Result<(), Fault> {
        let cap = self.track(0);
        self.binding.tx_bare(&cap).map_err(|error| fault("bare", error))?;
        self.keep(0, cap);
        self.next();

        self.room()?;
        let cap = self.track(0);
        self.binding.tx_copied(self.number, &cap).map_err(|error| fault("copied", error))?;
        self.keep(0, cap);
        self.next();

        self.room()?;
        let cap = self.track(0);
        self.binding.tx_moved(self.number, cap).map_err(|error| fault("moved", error))?;
        self.next();

        self.room()?;
        let holder = cap_transfer::Holder { c: self.track(0), n: 5 };
        self.binding.tx_held(self.number, &holder).map_err(|error| fault("held", error))?;
        self.keep(0, holder.c);
        self.next();

        self.room()?;
        let gift = cap_transfer::Gift { c: self.track(0), label: "with love".to_owned() };
        self.binding.tx_given(self.number, gift).map_err(|error| fault("given", error))?;
        self.next();
        Ok(())
    }

    fn seven(&mut self, text: &str, words: &[u64]) -> Result<(), Fault> {
        self.room()?;
        let [a, b, c, d, e, f, g] = std::array::from_fn(|place| self.track(place as u32));
        let holder = cap_transfer::Holder { c, n: 3 };
        let gift = cap_transfer::Gift { c: g, label: String::new() };
        let sent = self.binding.tx_seven(self.number, &a, b, text, &holder, words, d, &e, f, gift);
        sent.map_err(|rejected| fault("seven", rejected.error))?;
        self.keep(6, a);
        self.keep(4, holder.c);
        self.keep(2, e);
        self.next();
        Ok(())
    }

    /// A copy goes and comes back as another; what is given away comes back itself.
    fn swap(&mut self, round: usize) -> Result<(), Fault> {
        let (a, b) = (self.track(0), self.track(1));
        let notes = [note(0, 0, &a), note(0, 0, &b)];
        let text = "y".repeat(round * 16);
        let number = self.next();
        let swapped = self.service.swap(number, &a, b, &text);
        let (c, d, back) = swapped.map_err(|error| fault("swap", error))?;
        self.keep(1, a);
        if back != text || [note(0, 0, &c), note(0, 0, &d)] != notes {
            return Err(format!("swap {number} gave something else back"));
        }
        // Its capabilities have arrived: they hold up nothing more, though the waitset does not run. The sender's monitor may
        // note a moment later that they are sent.
        let (number, deadline) = (self.next(), Instant::now() + TIMEOUT);
        loop {
            match self.binding.tx_plain(number).map(drop) {
                Err(TxError::Busy) if Instant::now() < deadline => thread::yield_now(),
                sent => return sent.map_err(|error| fault("plain behind swap", error)),
            }
        }
    }

    /// The rule refuses at each place where it runs. Both ends are in this process.
    fn refusals(&mut self, errors: &Errors) -> Result<(), Fault> {
        use flounder::error::CapRefusal::{Receiver, Sender};
        self.report()?;
        errors.take();
        for _ in 0..3 {
            // On the way out: the send fails, and returns the capability.
            refuse_question(0);
            let (reader, cap) = pipe();
            let before = note(0, 0, &cap);
            let rejected = self.binding.tx_moved(7, cap).map(drop).expect_err("the rule says no");
            expect("tx_moved", rejected.error, TxError::CapsRefused(Sender))?;
            expect("what it gives back", note(0, 0, &rejected.given), before)?;
            self.expect_report("CapsRefused(Sender)")?;
            expect("errors of the sender", errors.take(), vec![])?;
            drop(rejected.given);
            expect_end(&reader)?;

            // On the way in: the error handlers of both ends run.
            refuse_question(1);
            let (reader, cap) = pipe();
            self.room()?;
            self.binding.tx_moved(7, cap).map_err(|error| fault("moved", error))?;
            self.expect_report("CapsRefused(Receiver)")?;
            expect("errors", errors.take(), vec![BindingError::CapsRefused(Receiver)])?;
            expect_end(&reader)?;

            // One of seven: none gets through.
            refuse_question(6 + 6);
            let tracked = self.tracked.len();
            self.seven("seven", &[])?;
            self.expect_report("CapsRefused(Receiver)")?;
            expect("errors", errors.take(), vec![BindingError::CapsRefused(Receiver)])?;
            for Tracked { reader, kept, .. } in self.tracked.drain(tracked..) {
                drop(kept);
                expect_end(&reader)?;
            }

            // A call asks twice on each of its four ways.
            let ways = [
                (0, RpcError::Tx(TxError::CapsRefused(Sender)), "CapsRefused(Sender)"),
                (3, RpcError::CapsRefused(Receiver), "CapsRefused(Receiver)"),
                (5, RpcError::CapsRefused(Sender), "Reply(CapsRefused(Sender))"),
                (6, RpcError::CapsRefused(Receiver), "CapsRefused(Receiver)"),
            ];
            for (question, error, told) in ways {
                refuse_question(question);
                let ((a, one), (b, other)) = (pipe(), pipe());
                let swapped = self.service.swap(0, &one, other, "");
                expect("swap", swapped.expect_err("the rule says no"), error)?;
                self.expect_report(told)?;
                expect("errors of the caller", errors.take(), vec![])?;
                drop(one);
                expect_end(&a)?;
                expect_end(&b)?;
            }
        }
        Ok(())
    }

    /// No descriptor is left for a copy.
    fn copies_at_the_limit(&mut self, errors: &Errors) -> Result<(), Fault> {
        errors.take();
        let ((a, one), (b, other)) = (pipe(), pipe());
        self.room()?;
        let exhaust: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let copied = self.binding.tx_copied(7, &one).map(drop);
        let swapped = self.service.swap(7, &one, other, "");
        drop(exhaust);
        let limit = TxError::CapCopy(rustix::io::Errno::MFILE.into());
        expect("tx_copied", copied, Err(limit.clone()))?;
        expect("swap", swapped.map(drop), Err(RpcError::Tx(limit)))?;
        self.expect_report("CapsRefused(SenderLimit); CapsRefused(SenderLimit)")?;
        expect("errors of the sender", errors.take(), vec![])?;
        drop(one);
        expect_end(&a)?;
        expect_end(&b)
    }

    /// The service got this report, and no other error occurred.
    fn expect_report(&self, error: &str) -> Result<(), Fault> {
        let log = self.report()?;
        let (errors, _) = log.rsplit_once("; ").unwrap_or(("", &log));
        expect("errors of the service", errors, error)
    }
}

impl Tracked {
    /// The receiver has written to the file that was sent, and only the sender has the capability, if a copy was sent.
    fn check(mut self) -> Result<(), Fault> {
        let mut note = [0; NOTE];
        if is(&self.reader, PollFlags::IN, A_WHILE) {
            self.reader.read_exact(&mut note).map_err(|error| fault("read", error))?;
        }
        expect("what came", note, self.note)?;
        if let Some(kept) = self.kept {
            let mut kept = File::from(kept);
            kept.write_all(b"!").map_err(|error| fault("write to the copy that stayed", error))?;
            self.reader.read_exact(&mut [0]).map_err(|error| fault("read", error))?;
        }
        expect_end(&self.reader)
    }
}

fn expect<T: Debug + PartialEq>(what: &str, is: T, should: T) -> Result<(), Fault> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?} instead of {should:?}")) }
}

/// Waits for the last to let go of a pipe; monitors do so a moment after they have sent it.
fn expect_end(reader: &PipeReader) -> Result<(), Fault> {
    let is_over = is(reader, PollFlags::empty(), A_WHILE);
    if is_over { Ok(()) } else { Err("somebody has the capability still".to_owned()) }
}

const A_WHILE: Timespec = Timespec { tv_sec: TIMEOUT.as_secs() as i64 / 4, tv_nsec: 0 };

/// Returns true if a pipe is this, or has no writing end any more, within some time.
fn is(reader: &PipeReader, wanted: PollFlags, limit: Timespec) -> bool {
    poll(&mut [PollFd::new(reader, wanted)], Some(&limit)) == Ok(1)
}

fn pipe() -> (PipeReader, Cap) {
    let (reader, writer) = std::io::pipe().expect("there are descriptors to spare");
    (reader, Cap::from(writer))
}

/// What the receiver of a capability is to write.
fn note(number: u32, place: u32, cap: &Cap) -> [u8; NOTE] {
    let about = rustix::fs::fstat(cap.as_fd()).expect("it is open");
    let flags = fcntl_getfd(cap).expect("it is open");
    let mut note = [0; NOTE];
    note[..4].copy_from_slice(&number.to_le_bytes());
    note[4..8].copy_from_slice(&place.to_le_bytes());
    note[8..16].copy_from_slice(&about.st_ino.to_le_bytes());
    note[16..24].copy_from_slice(&about.st_dev.to_le_bytes());
    note[24] = u8::from(flags.contains(FdFlags::CLOEXEC));
    note
}

/// The rule refuses once, at its question number `refused` from now on.
fn refuse_question(refused: usize) {
    let asked = AtomicUsize::new(0);
    policy::set_cap_policy(move |_| asked.fetch_add(1, Ordering::Relaxed) != refused);
}

/// The service: writes down what comes.
#[derive(Default)]
struct Keeper {
    /// The number that is due.
    due: u32,
    faults: VecDeque<String>,
    /// True if errors are reported to the test at once.
    reports: bool,
}

impl Keeper {
    fn take(&mut self, number: u32, caps: impl IntoIterator<Item = Cap>) {
        if number != self.due {
            self.faults.push_back(format!("message {number} where {} was due", self.due));
        }
        self.due = number + 1;
        for (place, cap) in (0..).zip(caps) {
            let note = note(number, place, &cap);
            if let Err(error) = File::from(cap).write_all(&note) {
                self.faults.push_back(format!("message {number}: {error}"));
            }
        }
    }
}

impl cap_transfer::Rx for Keeper {
    fn plain(&mut self, binding: &cap_transfer::Binding, number: u32) {
        if number == LEAVE {
            return binding.teardown();
        }
        self.take(number, []);
    }

    fn bare(&mut self, _: &cap_transfer::Binding, c: Cap) {
        self.take(self.due, [c]);
    }

    fn copied(&mut self, _: &cap_transfer::Binding, number: u32, c: Cap) {
        self.take(number, [c]);
    }

    fn moved(&mut self, _: &cap_transfer::Binding, number: u32, c: Cap) {
        self.take(number, [c]);
    }

    fn held(&mut self, _: &cap_transfer::Binding, number: u32, h: cap_transfer::Holder) {
        self.take(number, [h.c]);
    }

    fn given(&mut self, _: &cap_transfer::Binding, number: u32, g: cap_transfer::Gift) {
        self.take(number, [g.c]);
    }

    fn seven(
        &mut self,
        _: &cap_transfer::Binding,
        number: u32,
        a: Cap,
        b: Cap,
        text: &str,
        c: cap_transfer::Holder,
        words: &[u64],
        d: Cap,
        e: Cap,
        f: Cap,
        g: cap_transfer::Gift,
    ) {
        let whole =
            text.chars().all(|c| c == 'é') && words.iter().copied().eq(0..words.len() as u64);
        if !whole && text != "seven" {
            self.faults.push_back(format!("message {number} is torn"));
        }
        self.take(number, [a, b, c.c, d, e, f, g.c]);
    }

    fn swap(
        &mut self,
        _: &cap_transfer::Binding,
        number: u32,
        a: Cap,
        b: Cap,
        text: &str,
        reply: cap_transfer::SwapReply,
    ) {
        match (a.try_clone(), b.try_clone()) {
            (Ok(a), Ok(b)) => self.take(number, [a, b]),
            _ => self.faults.push_back(format!("message {number}: no descriptor is left")),
        }
        reply.send(&a, b, text);
    }

    fn report(&mut self, _: &cap_transfer::Binding, reply: cap_transfer::ReportReply) {
        let due = std::mem::take(&mut self.due);
        let mut log: Vec<_> = self.faults.drain(..).take(50).collect();
        log.push(format!("{due} messages"));
        reply.send(&log.join("; "));
    }

    fn error(&mut self, _: &cap_transfer::Binding, error: BindingError) {
        if self.reports {
            Event::ServiceError(error.kind()).report();
        }
        self.faults.push_back(error.kind());
    }
}

type Errors = Rc<RefCell<Vec<BindingError>>>;

/// The client's end: it only sends.
#[derive(Default)]
struct Sender {
    errors: Errors,
    reports: bool,
}

impl Sender {
    fn reporting() -> Self {
        Self { errors: Errors::default(), reports: true }
    }
}

impl cap_transfer::ClientRx for Sender {
    fn error(&mut self, _: &cap_transfer::ClientBinding, error: BindingError) {
        if self.reports {
            Event::ClientError(error.kind()).report();
        }
        self.errors.borrow_mut().push(error);
    }
}
