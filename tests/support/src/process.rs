//! What a test process can do: its main loop, and the commands that concern services, names, bindings and capabilities.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io::BufRead;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flounder::monitor::daemon::{Daemon, Options};
use flounder::monitor::snapshot;
use flounder::nameservice::{NameChange, NameError, Watch};
use flounder::policy::{self, Direction};
use flounder::{
    BindingError, Cap, Control, Exported, Iref, Peer, Refusal, TxError, Waitset, monitor,
    nameservice,
};
use flounder_conformance::LingeringSocket;
use futures_core::Stream as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::LevelFilter;

use super::group::GroupMember;
use super::kind::Kind;
use super::many::ManyBindings;
use super::protocol::{self, AnyCommand, Driver, Drivers, Event, Reply, ServiceId, commands};
use super::raw_monitor::{RawMonitor, connect_in};
use super::{DAEMON, LOG, OLD_KERNEL, OUTER, TEST_PROCESS, TIMEOUT};
use super::{be_old_kernel, cap_transfer, pending_calls};

flounder::flounder! {
    interface echo "For tests between processes" {
        call say(uint32 number, string text);
        response said(uint32 number, string text);
        call give(uint32 number, cap cap);
        response got(uint32 number, uint64 inode);
        call want(uint32 number);
        response given(uint32 number, cap cap);
        rpc add(in uint32 a, in uint32 b, out uint32 sum);
    };
}

/// What a thread has cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    /// Number of times that the thread has blocked.
    pub blocked: u64,
    /// Processor time.
    pub time: Duration,
}

impl Cost {
    fn of_this_thread() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").expect("there is /proc");
        let blocked = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .and_then(|number| number.trim().parse().ok())
            .expect("the kernel counts switches");
        let time = clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it is not negative");
        Self { blocked, time }
    }
}

/// The same interface in a changed version.
pub mod changed {
    flounder::flounder! {
        interface echo "For tests between processes" {
            call say(uint32 number, string text);
            response said(uint64 number, string text);
            call give(uint32 number, cap cap);
            response got(uint32 number, uint64 inode);
            call want(uint32 number);
            response given(uint32 number, cap cap);
            rpc add(in uint32 a, in uint32 b, out uint32 sum);
        };
    }
}

/// The same messages under another name.
pub mod renamed {
    flounder::flounder! {
        interface parrot "For tests between processes" {
            call say(uint32 number, string text);
            response said(uint32 number, string text);
            call give(uint32 number, cap cap);
            response got(uint32 number, uint64 inode);
            call want(uint32 number);
            response given(uint32 number, cap cap);
            rpc add(in uint32 a, in uint32 b, out uint32 sum);
        };
    }
}

commands! { Process:
    /// Exports the service `echo` without a name.
    export_unnamed: ExportUnnamed {} -> ServiceId;
    /// Exports the service `echo`, and registers it.
    export: Export { name: String } -> ServiceId;
    /// Exports a service that refuses all clients with this code, and registers it.
    export_refusing: ExportRefusing { name: String, code: u64 } -> ServiceId;
    /// Withdraws the service that was exported last.
    withdraw: Withdraw {} -> ();
    /// Makes a service known to the root without a name.
    publish: Publish { service: ServiceId } -> ();
    /// Registers a name for a service.
    register: Register { name: String, service: ServiceId } -> ();
    /// Pings the service of a name.
    ping: Ping { name: String, timeout: Duration } -> Duration;
    /// Exports the service `echo`, and takes a name over for it.
    take_over: TakeOver { name: String } -> ServiceId;
    /// Drains the service that was exported last; returns the number of bindings that were left.
    drain: Drain { timeout: Duration } -> usize;
    /// Registers this many names with a common prefix for a service.
    register_numbered: RegisterNumbered { prefix: String, count: u32, service: ServiceId } -> ();
    /// Takes a name back.
    unregister: Unregister { name: String } -> ();
    /// Looks a name up.
    lookup: Lookup { name: String } -> ServiceId;
    /// Returns the process and the user that own a name; 0 stands for unknown.
    owner: Owner { name: String } -> (u32, u32);
    /// Waits for a name.
    await_name: AwaitName { name: String } -> ServiceId;
    /// Waits for a name, at most so long.
    await_name_for: AwaitNameFor { name: String, timeout: Duration } -> ServiceId;
    /// Waits for a name in a future.
    await_name_async: AwaitNameAsync { name: String } -> ServiceId;
    /// Waits for a name until the lookup fails; returns the text of the error.
    explain_lookup: ExplainLookup { name: String, timeout: Duration } -> String;
    /// Exports a service as [`Export`] does and fails; returns the text of the error.
    explain_export: ExplainExport { name: String } -> String;
    /// Waits until a name of this process is another's; returns the process of the new owner.
    wait_until_lost: WaitUntilLost { name: String } -> u32;
    /// Waits for the next change of a name since the last such command: its service, or 0 if it is gone. `None` if there is
    /// none in time.
    next_change: NextChange { name: String, timeout: Duration } -> Option<u64>;
    /// Waits for the next change as a stream.
    next_of_stream: NextOfStream { name: String } -> u64;
    /// Looks a name up again and again; reports [`Event::Looking`].
    lookup_repeatedly: LookupRepeatedly { name: String, time: Duration } -> Lookups;
    /// Registers a name again and again.
    register_repeatedly: RegisterRepeatedly { name: String, time: Duration } -> Registrations;
    /// Returns the names that the root knows.
    list: List {} -> Vec<NameEntry>;
    /// Keeps the main thread busy; reports [`Event::Busy`].
    block_thread: BlockThread { time: Duration } -> ();
    /// Binds to the service of a name.
    bind: Bind { drivers: Drivers, name: String } -> Bound;
    /// Binds to a service by its reference.
    bind_to: BindTo { drivers: Drivers, service: ServiceId } -> Bound;
    /// Binds, within so long; drops the binding.
    bind_within: BindWithin { driver: Driver, name: String, timeout: Duration } -> ();
    /// Binds with an interface of another name and fails; returns the text of the error.
    bind_renamed: BindRenamed { driver: Driver, name: String } -> String;
    /// Binds by an interface of which a message has changed; drops the binding.
    bind_changed: BindChanged { driver: Driver, name: String } -> ();
    /// Drops all bindings to services `echo`.
    unbind: Unbind {} -> ();
    /// Binds, calls and tears down, this many times.
    cycle: Cycle { driver: Driver, name: String, count: u32 } -> ();
    /// Sends messages over the last binding, each once the one before is answered; returns when all are.
    talk: Talk { rounds: u32 } -> ();
    /// Begins such a conversation without an end.
    start_talking: StartTalking {} -> ();
    /// Ends it; returns the number of messages that were sent and answered.
    stop_talking: StopTalking {} -> u32;
    /// Calls over the last binding.
    add: Add { a: u32, b: u32 } -> u32;
    /// Calls over the last binding, this many times, one after the other; with [`Control::SetSync`] if `hands_over`.
    add_repeatedly: AddRepeatedly { count: u32, hands_over: bool, timeout: Duration } -> ();
    /// Lets the main thread run on this processor alone, and poll for so long before it blocks.
    pin: Pin { processor: usize, spin: Duration } -> ();
    /// Returns what the main thread has cost so far.
    thread_cost: ThreadCost {} -> Cost;
    /// Sends a capability for the file at `path` as soon as there is room; its receiver answers with [`Event::Got`].
    give: Give { number: u32, path: String } -> ();
    /// Requests a capability, which [`Event::Given`] reports.
    want: Want { number: u32 } -> ();
    /// Gives away sockets whose last close blocks until this process ends, and has them dropped.
    give_lingering_sockets: GiveLingeringSockets { count: u32 } -> ();
    /// Gives the service copies of an open file, and has it drop them.
    give_files: GiveFiles { count: u32, path: String } -> ();
    /// Sets the capability policy of the process.
    set_cap_policy: SetCapPolicy { policy: CapPolicy } -> ();
    /// Opens files until only `spare` descriptors are left.
    exhaust_descriptors: ExhaustDescriptors { spare: usize } -> ();
    /// Closes what [`ExhaustDescriptors`] and [`Overconnect`] opened.
    release: Release {} -> ();
    /// Returns the processes and the number of bindings that a snapshot finds.
    snapshot: Snapshot {} -> (Vec<u32>, usize);
    /// Asks the root for the bindings of a service's process, and to hand over; returns both verdicts.
    query_root: QueryRoot { service: ServiceId } -> (String, String);
    /// Connects to the root more often than it may; returns the number of connections that are not hung up on.
    overconnect: Overconnect { count: usize } -> usize;
    /// Returns the text of the last binding's peer.
    peer: PeerText {} -> String;
    /// Changes the working directory.
    change_directory: ChangeDirectory { path: String } -> ();
    /// Returns what the process holds.
    count: Count {} -> Counts;
    /// Returns what each descriptor of the process is.
    list_descriptors: ListDescriptors {} -> Vec<String>;
    /// Ends the process.
    exit: Exit {} -> ();
}

/// What [`LookupRepeatedly`] found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lookups {
    pub made: u64,
    pub failed: u64,
    pub first_error: Option<String>,
}

/// What [`RegisterRepeatedly`] got.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Registrations {
    pub tried: u64,
    pub granted: u64,
}

/// A name that the root knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameEntry {
    pub name: String,
    pub interface: String,
    /// Process of the owner; 0 if it is unknown.
    pub pid: u32,
}

/// A binding that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    pub driver: String,
    /// Process of the peer; 0 if it is unknown.
    pub pid: u32,
}

impl Bound {
    pub fn new(driver: Driver, pid: u32) -> Self {
        Self { driver: driver.name().into(), pid }
    }
}

/// Which capabilities a process lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapPolicy {
    AllowAll,
    DenySending,
    DenyReceiving,
    DenyPeer(u32),
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub descriptors: u32,
    /// Mappings of shared memory.
    pub shared_mappings: u32,
    pub sockets: u32,
    /// Threads, without those that close descriptors.
    pub threads: u32,
}

/// Returns the reference of the service that has the name now, or 0.
fn change_bits(change: NameChange) -> u64 {
    match change {
        NameChange::There(found) => found.iref.to_bits(),
        NameChange::Gone => 0,
    }
}

/// Runs as a test process if this process is one; does nothing in the process of the tests.
pub fn run() {
    if std::env::var_os(TEST_PROCESS).is_none() {
        return;
    }
    if std::env::var_os(OLD_KERNEL).is_some() {
        be_old_kernel();
    }
    if let Some(path) = std::env::var_os(LOG) {
        let log = File::options().append(true).create(true).open(path).expect("it can be made");
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::WARN)
            .with_ansi(false)
            .with_writer(Mutex::new(log))
            .init();
    }
    if let Ok(allowed) = std::env::var(DAEMON) {
        be_daemon(&allowed);
    }
    // Preparing a process with threads for rings takes the kernel long, so do it before measurements.
    flounder::driver::barrier::register();
    let waitset = Waitset::current();
    // A waitset allocates what it needs to block at the first block, so do it before resources are counted.
    waitset.after(Duration::from_millis(1), |_| Ok(()));
    waitset.dispatch().expect("there is room for its descriptors");
    let remote = waitset.remote();
    let state = Rc::new(ProcessState::new(&waitset));
    STATE.with(|here| here.replace(Some(Rc::clone(&state))));
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            remote.post(move |_| {
                ProcessState::here().run_line(&line);
                Ok(())
            });
        }
        remote.post(|_| {
            ProcessState::here().over.set(true);
            Ok(())
        });
    });
    if std::env::var_os(OUTER).is_some() {
        dispatch_from_outside(&waitset, &state);
    }
    while !state.over.get() {
        waitset.dispatch().expect("no callback fails");
    }
    // As the end of `main` does, and the harness does not for a test.
    std::process::exit(0);
}

/// As an event loop does that has the waitset among other things.
fn dispatch_from_outside(waitset: &Waitset, state: &ProcessState) {
    while !state.over.get() {
        if waitset.prepare_wait().expect("there are descriptors") {
            poll(&mut [PollFd::new(waitset, PollFlags::IN)], None).expect("it can be waited for");
        }
        while waitset.try_dispatch().expect("no callback fails") {}
    }
}

/// Is the root, until it is killed.
fn be_daemon(allowed: &str) -> ! {
    let mut options = Options::default();
    let allowed = allowed.split(',').filter(|uid| !uid.is_empty());
    options.allowed.extend(allowed.map(|uid| uid.parse::<u32>().expect("a number")));
    match Daemon::start(options, |root| Event::WaitsForRoot { pid: or_zero(root.pid()) }.report()) {
        Ok(daemon) => {
            Event::BecameRoot.report();
            daemon.serve()
        }
        Err(error) => {
            Event::DaemonRefused(error.kind()).report();
            std::process::exit(1)
        }
    }
}

thread_local! {
    static STATE: RefCell<Option<Rc<ProcessState>>> = const { RefCell::new(None) };
}

/// What a test process has.
struct ProcessState {
    waitset: Waitset,
    many: ManyBindings,
    group: GroupMember,
    exported: RefCell<Vec<Exported>>,
    bindings: RefCell<Vec<echo::ClientBinding>>,
    conversation: RefCell<Conversation>,
    /// The process ends.
    over: Cell<bool>,
    /// Descriptors that are in the way.
    exhausted: RefCell<Vec<File>>,
    extra_connections: RefCell<Vec<OwnedFd>>,
    watches: RefCell<HashMap<String, Watch>>,
    /// Other ends of sockets that linger.
    unread: RefCell<Vec<LingeringSocket>>,
}

/// A conversation in which each side waits for the other.
#[derive(Default)]
struct Conversation {
    /// Rounds in all; none of a conversation without an end.
    rounds: Option<u32>,
    /// Number of messages that were sent.
    sent: u32,
    /// Who waits for the last round.
    talk: Option<Reply<()>>,
    /// Who waits for the end of a conversation that has none by itself.
    stop: Option<Reply<u32>>,
}

impl ProcessState {
    fn new(waitset: &Waitset) -> Self {
        Self {
            waitset: waitset.clone(),
            many: ManyBindings::new(waitset),
            group: GroupMember::default(),
            exported: RefCell::default(),
            bindings: RefCell::default(),
            conversation: RefCell::default(),
            over: Cell::new(false),
            exhausted: RefCell::default(),
            extra_connections: RefCell::default(),
            watches: RefCell::default(),
            unread: RefCell::default(),
        }
    }

    fn here() -> Rc<Self> {
        STATE.with(|here| here.borrow().clone()).expect("this is the main thread")
    }

    /// Runs the command of a line from the test.
    fn run_line(self: &Rc<Self>, line: &str) {
        let protocol::Request { id, command } =
            serde_json::from_str(line).expect("both ends are one program");
        match command {
            AnyCommand::Process(command) => self.run(command.request(id)),
            AnyCommand::Many(command) => self.many.run(command.request(id)),
            AnyCommand::Group(command) => self.group.run(&self.waitset, command.request(id)),
            AnyCommand::CapTransfer(command) => {
                cap_transfer::run(&self.waitset, command.request(id));
            }
            AnyCommand::PendingCalls(command) => {
                pending_calls::run(&self.waitset, command.request(id));
            }
        }
    }

    fn run(self: &Rc<Self>, request: Request) {
        match request {
            Request::ExportUnnamed(ExportUnnamed {}, reply) => {
                reply.send(self.export(None).map(ServiceId::from));
            }
            Request::Export(Export { name }, reply) => reply.send(self.export_as(&name, None)),
            Request::ExportRefusing(ExportRefusing { name, code }, reply) => {
                reply.send(self.export_as(&name, Some(code)));
            }
            Request::ExplainExport(ExplainExport { name }, reply) => {
                match self.export_as(&name, None) {
                    Ok(_) => reply.fail("the service is exported"),
                    Err(error) => reply.ok(error.to_string()),
                }
            }
            Request::Withdraw(Withdraw {}, reply) => {
                let exported = self.exported.borrow_mut().pop().expect("something is exported");
                exported.withdraw();
                reply.ok(());
            }
            Request::Publish(Publish { service }, reply) => {
                reply.send(monitor::publish(service.iref()).wait());
            }
            Request::Register(Register { name, service }, reply) => {
                reply.send(nameservice::register(&name, service.iref()).wait());
            }
            Request::RegisterNumbered(RegisterNumbered { prefix, count, service }, reply) => {
                let mut names = (0..count).map(|i| format!("{prefix}{i}"));
                let register = |name: String| nameservice::register(&name, service.iref()).wait();
                reply.send(names.try_for_each(register));
            }
            Request::Unregister(Unregister { name }, reply) => {
                reply.send(nameservice::unregister(&name).wait());
            }
            Request::Lookup(Lookup { name }, reply) => {
                reply.send(nameservice::lookup(&name).wait().map(ServiceId::from));
            }
            Request::Owner(Owner { name }, reply) => {
                let owner = nameservice::lookup_with_owner(&name).wait();
                reply.send(owner.map(|owner| (or_zero(owner.pid), or_zero(owner.uid))));
            }
            Request::AwaitName(AwaitName { name }, reply) => {
                reply.send(nameservice::blocking_lookup(&name).wait().map(ServiceId::from));
            }
            Request::AwaitNameFor(AwaitNameFor { name, timeout }, reply) => {
                let found = nameservice::blocking_lookup(&name).timeout(timeout).wait();
                reply.send(found.map(ServiceId::from));
            }
            Request::AwaitNameAsync(AwaitNameAsync { name }, reply) => {
                let found = self.waitset.block_on(nameservice::blocking_lookup_with_owner(&name));
                let found = found.expect("no callback fails");
                reply.send(found.map(|found| found.iref.into()));
            }
            Request::ExplainLookup(ExplainLookup { name, timeout }, reply) => {
                match nameservice::blocking_lookup(&name).timeout(timeout).wait() {
                    Ok(_) => reply.fail("the name is known"),
                    Err(error) => reply.ok(error.to_string()),
                }
            }
            Request::WaitUntilLost(WaitUntilLost { name }, reply) => {
                reply.send(nameservice::lost(&name).wait().map(|lost| or_zero(lost.pid)));
            }
            Request::Ping(Ping { name, timeout }, reply) => {
                reply.send(nameservice::ping(&name).timeout(timeout).wait());
            }
            Request::TakeOver(TakeOver { name }, reply) => {
                let iref = self.export(None).expect("it can be exported");
                let taken = nameservice::take_over(&name, iref).wait();
                reply.send(taken.map(|()| iref.into()));
            }
            Request::Drain(Drain { timeout }, reply) => {
                let exported = self.exported.borrow_mut().pop().expect("there is a service");
                let drained = exported.drain(Instant::now() + timeout);
                let task = async move { reply.ok(drained.await) };
                self.waitset.spawn_local(task).detach();
            }
            Request::NextChange(NextChange { name, timeout }, reply) => {
                let mut watches = self.watches.borrow_mut();
                let watch = watches.entry(name).or_insert_with_key(|name| nameservice::watch(name));
                reply.send(watch.next_within(timeout).map(|change| change.map(change_bits)));
            }
            Request::NextOfStream(NextOfStream { name }, reply) => {
                let mut watches = self.watches.borrow_mut();
                let watch = watches.entry(name).or_insert_with_key(|name| nameservice::watch(name));
                let next = poll_fn(|cx| std::pin::Pin::new(&mut *watch).poll_next(cx));
                let change = self.waitset.block_on(next).expect("no callback fails");
                reply.send(change.expect("it goes on").map(change_bits));
            }
            Request::LookupRepeatedly(LookupRepeatedly { name, time }, reply) => {
                let mut lookups = Lookups { made: 0, failed: 0, first_error: None };
                let end = Instant::now() + time;
                Event::Looking.report();
                while Instant::now() < end {
                    lookups.made += 1;
                    if let Err(error) = nameservice::lookup(&name).wait() {
                        lookups.failed += 1;
                        lookups.first_error.get_or_insert(error.to_string());
                    }
                }
                reply.ok(lookups);
            }
            Request::RegisterRepeatedly(RegisterRepeatedly { name, time }, reply) => {
                let mut registrations = Registrations { tried: 0, granted: 0 };
                let end = Instant::now() + time;
                let iref = self.export(None).expect("it can be exported");
                while Instant::now() < end {
                    registrations.tried += 1;
                    registrations.granted +=
                        u64::from(nameservice::register(&name, iref).wait().is_ok());
                }
                reply.ok(registrations);
            }
            Request::List(List {}, reply) => {
                reply.send(nameservice::list().wait().map(|entries| {
                    let names = entries.into_iter().map(|entry| NameEntry {
                        name: entry.name,
                        interface: entry.interface,
                        pid: or_zero(entry.pid),
                    });
                    names.collect()
                }))
            }
            Request::BlockThread(BlockThread { time }, reply) => {
                Event::Busy.report();
                match nameservice::blocking_lookup("nobody").timeout(time).wait() {
                    Err(NameError::Deadline { .. }) => reply.ok(()),
                    other => reply.fail(other.map(Iref::to_bits).kind()),
                }
            }
            Request::Bind(Bind { drivers, name }, reply) => match nameservice::lookup(&name).wait()
            {
                Ok(iref) => self.bind(&drivers, iref, reply),
                Err(error) => reply.fail(error.kind()),
            },
            Request::BindTo(BindTo { drivers, service }, reply) => {
                self.bind(&drivers, service.iref(), reply);
            }
            Request::BindWithin(BindWithin { driver, name, timeout }, reply) => {
                let iref = nameservice::lookup(&name).wait().expect("it is registered");
                let bind = echo::bind(iref, &self.waitset, Client).driver(driver.name());
                let bind = bind.timeout(timeout);
                bind.then(|bound| reply.send(bound.map(drop)));
            }
            Request::BindRenamed(BindRenamed { driver, name }, reply) => {
                let iref = nameservice::lookup(&name).wait().expect("it is there");
                let bind = renamed::parrot::bind(iref, &self.waitset, ());
                match bind.driver(driver.name()).wait() {
                    Ok(_) => reply.fail("it is bound"),
                    Err(error) => reply.ok(error.to_string()),
                }
            }
            Request::BindChanged(BindChanged { driver, name }, reply) => {
                let iref = nameservice::lookup(&name).wait().expect("it is registered");
                let bind = changed::echo::bind(iref, &self.waitset, ());
                let bind = bind.driver(driver.name());
                bind.then(|bound| reply.send(bound.map(drop)));
            }
            Request::Unbind(Unbind {}, reply) => {
                self.bindings.borrow_mut().clear();
                reply.ok(());
            }
            Request::Cycle(Cycle { driver, name, count }, reply) => {
                let iref = nameservice::lookup(&name).wait().expect("it is registered");
                self.cycle(driver, iref, count, reply);
            }
            Request::Talk(Talk { rounds }, reply) => {
                // Behind a message of which the capabilities are on their way.
                let (binding, deadline) = (self.binding(), Instant::now() + TIMEOUT);
                let has_room = || binding.can_send() || binding.ended().is_some();
                let waited = self.waitset.dispatch_until(Some(deadline), has_room);
                let _ = waited.expect("no callback fails");
                self.conversation.replace(Conversation {
                    rounds: Some(rounds),
                    talk: Some(reply),
                    ..Conversation::default()
                });
                self.next_round();
            }
            Request::StartTalking(StartTalking {}, reply) => {
                self.conversation.take();
                reply.ok(());
                self.next_round();
            }
            Request::StopTalking(StopTalking {}, reply) => {
                self.conversation.borrow_mut().stop = Some(reply);
            }
            Request::Add(Add { a, b }, reply) => {
                reply.send(echo::RpcClient::new(&self.binding()).add(a, b));
            }
            Request::AddRepeatedly(AddRepeatedly { count, hands_over, timeout }, reply) => {
                let binding = self.binding();
                let sync = if hands_over { Control::SetSync } else { Control::ClearSync };
                binding.control(sync).expect("it is open");
                let calls = echo::RpcClient::new(&binding).timeout(timeout);
                reply.send((0..count).try_for_each(|n| {
                    calls.add(n, 1).map(|sum| assert_eq!(sum, n + 1, "the sum is right"))
                }));
            }
            Request::Pin(Pin { processor, spin }, reply) => {
                self.waitset.set_spin(spin);
                let mut only = CpuSet::new();
                only.set(processor);
                sched_setaffinity(None, &only).expect("the processor is there");
                reply.ok(());
            }
            Request::ThreadCost(ThreadCost {}, reply) => reply.ok(Cost::of_this_thread()),
            Request::Give(Give { number, path }, reply) => {
                let cap = Cap::from(File::open(path).expect("it can be opened"));
                self.give(number, cap, reply);
            }
            Request::Want(Want { number }, reply) => {
                let binding = self.binding();
                let sent = self.waitset.block_on(async move { binding.send_want(number).await });
                reply.send(sent.expect("no callback fails"));
            }
            Request::GiveFiles(GiveFiles { count, path }, reply) => {
                self.give_files(count, &path, reply);
            }
            Request::GiveLingeringSockets(GiveLingeringSockets { count }, reply) => {
                self.give_lingering_sockets(count, reply);
            }
            Request::SetCapPolicy(SetCapPolicy { policy }, reply) => {
                set_cap_policy(policy);
                reply.ok(());
            }
            Request::ExhaustDescriptors(ExhaustDescriptors { spare }, reply) => {
                self.exhaust_descriptors(spare);
                reply.ok(());
            }
            Request::Release(Release {}, reply) => {
                self.exhausted.borrow_mut().clear();
                self.extra_connections.borrow_mut().clear();
                reply.ok(());
            }
            Request::Snapshot(Snapshot {}, reply) => {
                reply.send(snapshot::take(None).map(|snapshot| {
                    let pids = snapshot.domains.iter().map(|domain| or_zero(domain.pid));
                    (pids.collect(), snapshot.bindings.len())
                }));
            }
            Request::QueryRoot(QueryRoot { service }, reply) => {
                let socket = connect_in(&runtime_dir()).expect("the root listens");
                let me = RawMonitor::over(socket, u64::from(std::process::id()));
                let (_, domain) = me.root().find(service.iref()).expect("the root answers");
                let (bindings, _, _) = me.root().bindings(domain, 0, 0).expect("the root answers");
                let handover = me.root().request_handover().expect("the root answers");
                reply.ok((format!("{bindings:?}"), format!("{handover:?}")));
            }
            Request::Overconnect(Overconnect { count }, reply) => {
                reply.result(self.overconnect(count));
            }
            Request::PeerText(PeerText {}, reply) => reply.ok(self.binding().peer().to_string()),
            Request::ChangeDirectory(ChangeDirectory { path }, reply) => {
                reply.result(std::env::set_current_dir(path));
            }
            Request::Count(Count {}, reply) => reply.ok(count()),
            Request::ListDescriptors(ListDescriptors {}, reply) => reply.ok(list_descriptors()),
            Request::Exit(Exit {}, reply) => {
                self.over.set(true);
                reply.ok(());
            }
        }
    }

    fn export(&self, refuse: Option<u64>) -> Result<Iref, flounder::ExportError> {
        let connect = move |_: &Peer| match refuse {
            None => Ok(Service),
            Some(code) => Err(Refusal::new(code, "not today")),
        };
        let exported = echo::export(&self.waitset, connect).wait()?;
        let iref = exported.iref();
        self.exported.borrow_mut().push(exported);
        Ok(iref)
    }

    fn export_as(&self, name: &str, refuse: Option<u64>) -> Result<ServiceId, NameError> {
        let iref = self.export(refuse).expect("it can be exported");
        nameservice::register(name, iref).wait()?;
        Ok(iref.into())
    }

    fn bind(&self, drivers: &Drivers, iref: Iref, reply: Reply<Bound>) {
        let mut bind = echo::bind(iref, &self.waitset, Client);
        if !drivers.0.is_empty() {
            bind = bind.drivers(drivers.0.iter().map(String::as_str));
        }
        bind.then(|bound| {
            reply.send(bound.map(|binding| {
                let (driver, pid) = (binding.driver().to_owned(), or_zero(binding.peer().pid()));
                Self::here().bindings.borrow_mut().push(binding);
                Bound { driver, pid }
            }));
        });
    }

    /// Binds, makes a call, tears down; and again.
    fn cycle(self: &Rc<Self>, driver: Driver, iref: Iref, count: u32, reply: Reply<()>) {
        let me = Rc::clone(self);
        let task = async move {
            for round in 0..count {
                let bind = echo::bind(iref, &me.waitset, Client).driver(driver.name());
                let binding = match bind.await {
                    Ok(binding) => binding,
                    Err(error) => return reply.fail(format!("round {round}: {}", error.kind())),
                };
                let sum = echo::RpcClient::new(&binding).add_async(2, 3).await;
                if sum != Ok(5) {
                    return reply.fail(format!("round {round}: {}", sum.kind()));
                }
                binding.teardown();
            }
            reply.ok(());
        };
        self.waitset.spawn_local(task).detach();
    }

    fn binding(&self) -> echo::ClientBinding {
        self.bindings.borrow().last().cloned().expect("something is bound")
    }

    /// Sends the next message of the conversation, or ends it.
    fn next_round(&self) {
        let mut conversation = self.conversation.borrow_mut();
        let number = conversation.sent;
        if conversation.rounds == Some(number) {
            if let Some(talk) = conversation.talk.take() {
                talk.ok(());
            }
            return;
        }
        conversation.sent += 1;
        drop(conversation);
        match self.binding().tx_say(number, &"x".repeat(number as usize % 200)) {
            // The error handler reports the end of the binding.
            Ok(_) | Err(TxError::Closed) => {}
            Err(error) => self.fail_conversation(&error.kind()),
        }
    }

    /// Takes the answer to a message of the conversation.
    fn said(&self, number: u32, text: &str) {
        let mut conversation = self.conversation.borrow_mut();
        let expected = conversation.sent.wrapping_sub(1);
        if number != expected || text.len() != number as usize % 200 {
            drop(conversation);
            return self.fail_conversation(&format!("message {number} instead of {expected}"));
        }
        if let Some(stop) = conversation.stop.take() {
            return stop.ok(number + 1);
        }
        if number % 100 == 99 && conversation.rounds.is_some() {
            Event::Round(number).report();
        }
        drop(conversation);
        self.next_round();
    }

    fn fail_conversation(&self, error: &str) {
        let conversation = self.conversation.take();
        match (conversation.talk, conversation.stop) {
            (Some(talk), _) => talk.fail(error),
            (_, Some(stop)) => stop.fail(error),
            (None, None) => Event::ConversationFailed(error.to_owned()).report(),
        }
    }

    fn overconnect(&self, count: usize) -> Result<usize, String> {
        let mut open: Vec<OwnedFd> = Vec::new();
        for _ in 0..count {
            open.push(connect_in(&runtime_dir()).map_err(|error| error.to_string())?);
        }
        let wait = |socket: &OwnedFd, timeout: Duration| {
            let mut fds = [PollFd::new(socket, PollFlags::IN)];
            let timeout = timeout.try_into().expect("it is short");
            poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
        };
        // They are let in in order: when the last is hung up on, the others have been dealt with.
        if !open.last().is_some_and(|last| wait(last, TIMEOUT)) {
            return Err("no connection is hung up on".into());
        }
        let kept = open.iter().filter(|socket| !wait(socket, Duration::ZERO)).count();
        self.extra_connections.borrow_mut().extend(open);
        Ok(kept)
    }

    /// Gives a capability away as soon as the binding takes it.
    fn give(self: &Rc<Self>, number: u32, cap: Cap, reply: Reply<()>) {
        let given = self.binding().tx_give(number, &cap).map(drop);
        if given != Err(TxError::Busy) {
            return reply.send(given);
        }
        let me = Rc::clone(self);
        let again = move |_: &Waitset| {
            me.give(number, cap, reply);
            Ok(())
        };
        self.binding().register_send(&self.waitset, again).expect("nobody else waits");
    }

    /// Gives away copies of an open file, which is never closed here, and has them dropped.
    fn give_files(&self, count: u32, path: &str, reply: Reply<()>) {
        let binding = self.binding();
        let file = Cap::from(File::open(path).expect("it can be opened"));
        let task = async move {
            for number in 0..count {
                if let Err(error) = binding.send_give(KEPT + number, &file).await {
                    return reply.fail(error.kind());
                }
            }
            std::mem::forget(file);
            reply.send(binding.send_say(KEPT, "").await);
        };
        self.waitset.spawn_local(task).detach();
    }

    /// Gives away sockets that linger with unsent data, and has them dropped when no copy is left here.
    fn give_lingering_sockets(self: &Rc<Self>, count: u32, reply: Reply<()>) {
        let (me, binding) = (Rc::clone(self), self.binding());
        let task = async move {
            for number in 0..count {
                let (socket, reader) = LingeringSocket::new();
                me.unread.borrow_mut().push(reader);
                let socket = Cap::from(socket);
                if let Err(error) = binding.send_give(KEPT + number, &socket).await {
                    return reply.fail(error.kind());
                }
            }
            drop_all_copies();
            reply.send(binding.send_say(KEPT, "").await);
        };
        self.waitset.spawn_local(task).detach();
    }

    /// Uses up descriptors until only `spare` can be opened. Those that are being closed are waited for, so that none comes
    /// free afterwards.
    fn exhaust_descriptors(&self, spare: usize) {
        let mut opened = self.exhausted.borrow_mut();
        loop {
            while self.waitset.try_dispatch().expect("no callback fails") {}
            drop_all_copies();
            let before = opened.len();
            opened.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
            if opened.len() == before {
                break;
            }
        }
        let left = opened.len() - spare;
        opened.truncate(left);
    }
}

/// Capabilities with this number or a larger one are kept by the service, until there is a message with this number.
const KEPT: u32 = 1 << 31;

thread_local! {
    static KEPT_CAPS: RefCell<Vec<Cap>> = const { RefCell::new(Vec::new()) };
}

/// The service's end.
struct Service;

impl echo::Rx for Service {
    fn say(&mut self, binding: &echo::Binding, number: u32, text: &str) {
        if number == KEPT {
            KEPT_CAPS.with_borrow_mut(Vec::clear);
            return Event::CapsDropped.report();
        }
        if let Err(error) = binding.tx_said(number, text) {
            Event::CannotAnswer(error.kind()).report();
        }
    }

    fn give(&mut self, binding: &echo::Binding, number: u32, cap: Cap) {
        if number >= KEPT {
            return KEPT_CAPS.with_borrow_mut(|kept| kept.push(cap));
        }
        if let Err(error) = binding.tx_got(number, inode(cap)) {
            Event::CannotAnswer(error.kind()).report();
        }
    }

    fn want(&mut self, binding: &echo::Binding, number: u32) {
        let cap = Cap::from(File::open("/").expect("there is a root"));
        if let Err(error) = binding.tx_given(number, &cap) {
            Event::GiveRefused(error.kind()).report();
        }
    }

    fn add(&mut self, _: &echo::Binding, a: u32, b: u32, reply: echo::AddReply) {
        reply.send(a.wrapping_add(b));
    }

    fn error(&mut self, _: &echo::Binding, error: BindingError) {
        Event::ServiceError(error.kind()).report();
    }
}

/// The client's end.
struct Client;

impl echo::ClientRx for Client {
    fn said(&mut self, _: &echo::ClientBinding, number: u32, text: &str) {
        ProcessState::here().said(number, text);
    }

    fn got(&mut self, _: &echo::ClientBinding, number: u32, inode: u64) {
        Event::Got { number, inode }.report();
    }

    fn given(&mut self, _: &echo::ClientBinding, number: u32, cap: Cap) {
        Event::Given { number, inode: inode(cap) }.report();
    }

    fn error(&mut self, _: &echo::ClientBinding, error: BindingError) {
        Event::ClientError(error.kind()).report();
    }
}

fn inode(cap: Cap) -> u64 {
    File::from(cap).metadata().expect("it is a file").ino()
}

fn set_cap_policy(policy: CapPolicy) {
    let deny = match policy {
        CapPolicy::AllowAll => return policy::clear_cap_policy(),
        CapPolicy::DenyPeer(pid) => {
            return policy::set_cap_policy(move |transfer| transfer.peer.pid() != Some(pid));
        }
        CapPolicy::DenySending => Direction::Send,
        CapPolicy::DenyReceiving => Direction::Receive,
    };
    policy::set_cap_policy(move |transfer| {
        let _: OwnedFd = transfer.cap.as_fd().try_clone_to_owned().expect("room for a descriptor");
        transfer.direction != deny
    });
}

/// Returns once everything is closed that this process has let go.
fn drop_all_copies() {
    let is_quiet = flounder::driver::closer::wait_until_closed(Instant::now() + TIMEOUT);
    assert!(is_quiet, "descriptors are not closed");
}

/// Descriptors, mappings and threads of this process.
fn count() -> Counts {
    // What has been dropped does not count, though it may be open for a moment yet.
    let _ = flounder::driver::closer::wait_until_closed(Instant::now() + Duration::from_secs(1));
    let entries = |path: &str| std::fs::read_dir(path).expect("it is there").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it is there");
    // Those that the allocator and threads make and keep as they like have no name.
    let shared = maps.lines().filter(|line| line.contains("/memfd:")).count();
    let sockets = std::fs::read_dir("/proc/self/fd").expect("it is there");
    let is_socket = |entry: std::io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.expect("an entry").path());
        target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let sockets = sockets.filter_map(|entry| is_socket(entry).then_some(())).count();
    let threads = super::resources::threads(Path::new("/proc/self"));
    let [descriptors, shared_mappings, sockets, threads] =
        [entries("/proc/self/fd"), shared, sockets, threads].map(|count| count as u32);
    Counts { descriptors, shared_mappings, sockets, threads }
}

fn runtime_dir() -> PathBuf {
    std::env::var_os("FLOUNDER_RUNTIME_DIR").expect("it is set").into()
}

fn list_descriptors() -> Vec<String> {
    let _ = flounder::driver::closer::wait_until_closed(Instant::now() + Duration::from_secs(1));
    let entries = std::fs::read_dir("/proc/self/fd").expect("it is there").flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let mut targets: Vec<_> = targets.map(|target| target.display().to_string()).collect();
    targets.sort();
    targets
}

/// A process or user as the tests expect it; 0 for one that is unknown.
fn or_zero(number: Option<u32>) -> u32 {
    number.unwrap_or(0)
}
