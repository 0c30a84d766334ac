//! What a test process can do. Its commands are the arms of [`ProcessState::run`].

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufRead, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::monitor::daemon::{Daemon, Options};
use flounder::monitor::snapshot;
use flounder::policy::{self, Direction};
use flounder::{
    BindingError, Cap, Exported, Iref, Peer, Refusal, TxError, Waitset, monitor, nameservice,
};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_linger;

use super::group::GroupMember;
use super::kind::Kind;
use super::many::ManyBindings;
use super::protocol::{AnyCommand, Request};
use super::raw_monitor::{RawMonitor, connect_in};
use super::{DAEMON, EVENT, MARK, OUTER, TEST_PROCESS, TIMEOUT};

flounder::flounder! {
    interface echo "For tests between processes" {
        message say(uint32 number, string text);
        message said(uint32 number, string text);
        message give(uint32 number, cap cap);
        message got(uint32 number, uint64 inode);
        message want(uint32 number);
        message given(uint32 number, cap cap);
        rpc add(in uint32 a, in uint32 b, out uint32 sum);
    };
}

/// The same interface, as somebody else has changed it.
pub mod changed {
    flounder::flounder! {
        interface echo "For tests between processes" {
            message say(uint32 number, string text);
            message said(uint64 number, string text);
            message give(uint32 number, cap cap);
            message got(uint32 number, uint64 inode);
            message want(uint32 number);
            message given(uint32 number, cap cap);
            rpc add(in uint32 a, in uint32 b, out uint32 sum);
        };
    }

    pub struct Nothing;

    impl echo::Rx for Nothing {
        fn say(&mut self, _: &echo::Binding, _: u32, _: &str) {}
        fn said(&mut self, _: &echo::Binding, _: u64, _: &str) {}
        fn give(&mut self, _: &echo::Binding, _: u32, _: flounder::Cap) {}
        fn got(&mut self, _: &echo::Binding, _: u32, _: u64) {}
        fn want(&mut self, _: &echo::Binding, _: u32) {}
        fn given(&mut self, _: &echo::Binding, _: u32, _: flounder::Cap) {}
        fn add(&mut self, _: &echo::Binding, _: u32, _: u32, _: echo::AddReply) {}
    }
}

/// The same messages under another name.
pub mod renamed {
    flounder::flounder! {
        interface parrot "For tests between processes" {
            message say(uint32 number, string text);
            message said(uint32 number, string text);
            message give(uint32 number, cap cap);
            message got(uint32 number, uint64 inode);
            message want(uint32 number);
            message given(uint32 number, cap cap);
            rpc add(in uint32 a, in uint32 b, out uint32 sum);
        };
    }
}

/// Runs as a test process if this process is one; does nothing in the process of the tests.
pub fn run() {
    if std::env::var_os(TEST_PROCESS).is_none() {
        return;
    }
    if let Ok(allowed) = std::env::var(DAEMON) {
        be_daemon(&allowed);
    }
    // The harness has threads, so the kernel takes its time to prepare a process for rings: not while somebody measures.
    flounder::barrier::register();
    let waitset = Waitset::current();
    // What a waitset needs to block is made when it first does: not while somebody counts.
    waitset.after(Duration::from_millis(1), |_| Ok(()));
    waitset.dispatch().expect("there is room for its descriptors");
    let remote = waitset.remote();
    let state = Rc::new(ProcessState::new(&waitset));
    STATE.with(|here| here.replace(Some(Rc::clone(&state))));
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            remote.post(move |_| {
                ProcessState::here().run(&line);
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
    match Daemon::start(options, |root| tell(&format!("waits for {}", shown(root.pid())))) {
        Ok(daemon) => {
            tell("root");
            daemon.serve()
        }
        Err(error) => {
            tell(&format!("refused {}", error.kind()));
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
    bindings: RefCell<Vec<echo::Binding>>,
    /// Rounds of a conversation that are left, and where it stands.
    rounds: Cell<u32>,
    rounds_in_all: Cell<u32>,
    /// The conversation ends with this round.
    stopping: Cell<bool>,
    over: Cell<bool>,
    exhaust: RefCell<Vec<File>>,
    extra_connections: RefCell<Vec<OwnedFd>>,
    /// Of connections whose other ends are stuck.
    unread: RefCell<Vec<TcpStream>>,
}

impl ProcessState {
    fn new(waitset: &Waitset) -> Self {
        Self {
            waitset: waitset.clone(),
            many: ManyBindings::new(waitset),
            group: GroupMember::default(),
            exported: RefCell::default(),
            bindings: RefCell::default(),
            rounds: Cell::new(0),
            rounds_in_all: Cell::new(0),
            stopping: Cell::new(false),
            over: Cell::new(false),
            exhaust: RefCell::default(),
            extra_connections: RefCell::default(),
            unread: RefCell::default(),
        }
    }

    fn here() -> Rc<Self> {
        STATE.with(|here| here.borrow().clone()).expect("this is the process's main thread")
    }

    fn run(self: &Rc<Self>, line: &str) {
        if line.starts_with('{') {
            let Request { id, command } =
                serde_json::from_str(line).expect("both ends are one program");
            return match command {
                AnyCommand::Many(command) => self.many.run(command.request(id)),
            };
        }
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            // Services and names.
            ["export"] => answer(&self.export(None).map(|iref| iref.to_bits())),
            ["export", name] => answer(&self.export_as(name, None)),
            ["export", name, "refuse", code] => answer(&self.export_as(name, code.parse().ok())),
            ["register", name, bits] => answer(&nameservice::register(name, iref(bits))),
            ["register-many", prefix, count, bits] => {
                let count: u32 = count.parse().expect("a number");
                let mut names = (0..count).map(|i| format!("{prefix}{i}"));
                answer(&names.try_for_each(|name| nameservice::register(&name, iref(bits))));
            }
            ["register-empty", bits] => answer(&nameservice::register("", iref(bits))),
            ["unregister", name] => answer(&nameservice::unregister(name)),
            ["publish", bits] => answer(&monitor::publish(iref(bits))),
            ["withdraw"] => {
                let exported = self.exported.borrow_mut().pop().expect("something is exported");
                exported.withdraw();
                say("ok");
            }
            ["lookup", name] => answer(&nameservice::lookup(name).map(Iref::to_bits)),
            ["owner", name] => {
                let owner = nameservice::lookup_with_owner(name)
                    .map(|owner| (shown(owner.pid), shown(owner.uid)));
                answer(&owner);
            }
            ["await", name] => answer(&nameservice::blocking_lookup(name).map(Iref::to_bits)),
            ["await", name, millis] => {
                let deadline = Duration::from_millis(millis.parse().expect("a number"));
                let found = nameservice::blocking_lookup_deadline(name, deadline);
                answer(&found.map(Iref::to_bits));
            }
            ["busy", millis] => {
                tell("busy");
                self.run(&format!("await nobody {millis}"));
            }
            ["await-async", name] => {
                let found = self.waitset.block_on(nameservice::blocking_lookup_async(name));
                answer(&found.expect("no callback fails").map(|found| found.iref.to_bits()));
            }
            // What an error says of a lookup that ends at its deadline.
            ["why", name, millis] => {
                let deadline = Duration::from_millis(millis.parse().expect("a number"));
                let found = nameservice::blocking_lookup_deadline(name, deadline);
                say(&found.map_or_else(|error| error.to_string(), |iref| iref.to_string()));
            }
            // Waits until a name of this process is another's.
            ["lost", name] => answer(&nameservice::lost(name).wait().map(|lost| shown(lost.pid))),
            // Looks a name up again and again: how often, and how often it was not found.
            ["look", name, millis] => {
                let (mut looked, mut missed) = (0, Vec::new());
                let end = Instant::now() + Duration::from_millis(millis.parse().expect("a number"));
                tell("looking");
                while Instant::now() < end {
                    looked += 1;
                    missed.extend(nameservice::lookup(name).err());
                }
                say(&format!("{looked} {} {:?}", missed.len(), missed.first()));
            }
            // Tries again and again to get a name: how often, and how often it did.
            ["take", name, millis] => {
                let (mut tried, mut taken) = (0, 0);
                let end = Instant::now() + Duration::from_millis(millis.parse().expect("a number"));
                let iref = self.export(None).expect("it can be exported");
                while Instant::now() < end {
                    tried += 1;
                    taken += u32::from(nameservice::register(name, iref).is_ok());
                }
                say(&format!("{tried} {taken}"));
            }
            ["list"] => answer(&nameservice::list().map(|entries| {
                let names = entries
                    .into_iter()
                    .map(|entry| (entry.name, entry.interface, shown(entry.pid)));
                names.collect::<Vec<_>>()
            })),
            // Bindings.
            ["bind", driver, name] => match nameservice::lookup(name) {
                Ok(iref) => self.bind(driver, iref),
                Err(error) => answer::<(), _>(&Err(error)),
            },
            ["bind-within", millis, driver, name] => {
                let iref = nameservice::lookup(name).expect("it is registered");
                let deadline = Duration::from_millis(millis.parse().expect("a number"));
                let bind =
                    echo::bind(iref, &self.waitset, Client).driver(driver).deadline(deadline);
                bind.on_bound(|bound| answer(&bound.map(|b| b.driver()))).expect("it starts");
            }
            ["bind-iref", driver, bits] => self.bind(driver, iref(bits)),
            ["bind-renamed", driver, name] => {
                let iref = nameservice::lookup(name).expect("it is there");
                let rx = renamed::parrot::RxVtbl::default();
                let bind = renamed::parrot::bind(iref, &self.waitset, rx);
                match bind.drivers([driver]).wait() {
                    Ok(_) => say("bound"),
                    Err(error) => say(&error.to_string()),
                }
            }
            ["bind-changed", driver, name] => {
                let iref = nameservice::lookup(name).expect("it is registered");
                let bind = changed::echo::bind(iref, &self.waitset, changed::Nothing);
                let bind = bind.driver(driver).on_bound(|bound| answer(&bound.map(|b| b.driver())));
                bind.expect("it starts");
            }
            ["unbind"] => {
                self.bindings.borrow_mut().clear();
                say("ok");
            }
            ["cycle", driver, name, count] => {
                let iref = nameservice::lookup(name).expect("it is registered");
                let count: u32 = count.parse().expect("a number");
                self.cycle(driver.to_owned(), iref, count);
            }
            ["talk", rounds] => {
                let rounds = rounds.parse().expect("a number");
                self.rounds.set(rounds);
                self.rounds_in_all.set(rounds);
                // Behind a message of which the capabilities are on their way.
                let (binding, deadline) = (self.binding(), Instant::now() + TIMEOUT);
                let has_room = || binding.can_send() || binding.ended().is_some();
                let waited = self.waitset.dispatch_until(Some(deadline), has_room);
                let _ = waited.expect("no callback fails");
                self.next_round();
            }
            // A conversation that goes on, of which the end tells how many messages were answered.
            ["talk-on"] => {
                self.rounds.set(u32::MAX);
                self.rounds_in_all.set(u32::MAX);
                self.stopping.set(false);
                say("ok");
                self.next_round();
            }
            ["talk-off"] => self.stopping.set(true),
            ["add", a, b] => {
                let client = echo::RpcClient::new(&self.binding());
                let (a, b) = (a.parse().expect("a number"), b.parse().expect("a number"));
                answer(&client.add(a, b));
            }
            // Capabilities.
            ["give", number, path] => {
                let cap = Cap::from(File::open(path).expect("it can be opened"));
                self.give(number.parse().expect("a number"), cap);
            }
            ["want", number] => {
                let (number, binding) = (number.parse().expect("a number"), self.binding());
                let sent = self.waitset.block_on(async move { binding.send_want(number).await });
                answer(&sent.expect("no callback fails"));
            }
            // Capabilities of which the last close blocks, until this process ends.
            ["stick", count] => self.stick(count.parse().expect("a number")),
            ["policy", "none"] => {
                policy::clear_cap_policy();
                say("ok");
            }
            ["policy", "keep"] => forbid(Direction::Send),
            ["policy", "shun"] => forbid(Direction::Receive),
            ["policy", "not", pid] => {
                let pid: u32 = pid.parse().expect("a number");
                policy::set_cap_policy(move |transfer| transfer.peer.pid() != Some(pid));
                say("ok");
            }
            ["exhaust", spare] => self.exhaust(spare.parse().expect("a number")),
            ["release"] => {
                self.exhaust.borrow_mut().clear();
                self.extra_connections.borrow_mut().clear();
                say("ok");
            }
            ["cap_transfer", ref words @ ..] => super::cap_transfer::run(&self.waitset, words),
            ["group", ref words @ ..] => self.group.run(&self.waitset, words),
            ["pending_calls", ref words @ ..] => super::pending_calls::run(&self.waitset, words),
            // The process.
            // What a census finds: processes, and bindings.
            ["census"] => answer(&snapshot::take(None).map(|snapshot| {
                let pids: Vec<_> =
                    snapshot.domains.iter().map(|domain| shown(domain.pid)).collect();
                (pids, snapshot.bindings.len())
            })),
            // Asks the root for the bindings of another's process, and for its office.
            ["pry", bits] => {
                let socket = connect_in(&runtime_dir()).expect("the root listens");
                let me = RawMonitor::over(socket, u64::from(std::process::id()));
                let (_, domain) = me.root().find(iref(bits)).expect("the root answers");
                let (bindings, _) = me.root().bindings(domain, 0, 0).expect("the root answers");
                say(&format!(
                    "{bindings:?} {:?}",
                    me.root().request_handover().expect("the root answers")
                ));
            }
            // Connects to the root more often than it may, and says how many of these connections are not hung up on.
            ["overconnect", count] => self.overconnect(count.parse().expect("a number")),
            ["peer"] => say(&self.binding().peer().to_string()),
            ["chdir", path] => answer(&std::env::set_current_dir(path).map_err(|_| "chdir")),
            ["export-why", name] => match self.export_as(name, None) {
                Ok(iref) => say(&format!("{iref}")),
                Err(error) => say(&format!("{error}")),
            },
            ["count"] => say(&count()),
            ["descriptors"] => say(&descriptors()),
            ["exit"] => self.over.set(true),
            _ => say(&format!("error: no such command: {line}")),
        }
    }

    fn export(&self, refuse: Option<u64>) -> Result<Iref, flounder::ExportError> {
        let connect = move |_: &Peer| match refuse {
            None => Ok(Service),
            Some(code) => Err(Refusal::new(code, "not today")),
        };
        let exported = echo::export(&self.waitset, connect).start()?;
        let iref = exported.iref();
        self.exported.borrow_mut().push(exported);
        Ok(iref)
    }

    fn export_as(&self, name: &str, refuse: Option<u64>) -> Result<u64, nameservice::NameError> {
        let iref = self.export(refuse).expect("it can be exported");
        nameservice::register(name, iref)?;
        Ok(iref.to_bits())
    }

    fn bind(self: &Rc<Self>, driver: &str, iref: Iref) {
        let mut bind = echo::bind(iref, &self.waitset, Client);
        if driver != "any" {
            bind = bind.drivers(driver.split(','));
        }
        let started = bind.on_bound(|bound| {
            answer(&bound.map(|binding| {
                let about = (binding.driver(), shown(binding.peer().pid()));
                Self::here().bindings.borrow_mut().push(binding);
                about
            }));
        });
        started.expect("it starts");
    }

    /// Binds, makes a call, tears down; and again.
    fn cycle(self: &Rc<Self>, driver: String, iref: Iref, left: u32) {
        if left == 0 {
            return say("ok");
        }
        let me = Rc::clone(self);
        let task = async move {
            for round in 0..left {
                let bind = echo::bind(iref, &me.waitset, Client).driver(driver.as_str());
                let binding = match bind.await {
                    Ok(binding) => binding,
                    Err(error) => return say(&format!("error in round {round}: {}", error.kind())),
                };
                let sum = echo::RpcClient::new(&binding).add_async(2, 3).await;
                if sum.as_ref().ok() != Some(&5) {
                    return answer(&sum);
                }
                binding.teardown();
            }
            say("ok");
        };
        self.waitset.spawn_local(task).detach();
    }

    fn binding(&self) -> echo::Binding {
        self.bindings.borrow().last().cloned().expect("something is bound")
    }

    /// Goes on with a conversation in which each side waits for the other.
    fn next_round(&self) {
        let left = self.rounds.get();
        if left == 0 {
            return say("ok");
        }
        let number = self.rounds_in_all.get() - left;
        self.rounds.set(left - 1);
        let text = "x".repeat(number as usize % 200);
        match self.binding().tx_say(number, &text) {
            // The error handler tells.
            Ok(_) | Err(TxError::Closed) => {}
            Err(error) => say(&format!("error: {}", error.kind())),
        }
    }

    fn heard(&self, number: u32, text: &str) {
        let expected = self.rounds_in_all.get() - self.rounds.get() - 1;
        if number != expected || text.len() != number as usize % 200 {
            return say(&format!("error: message {number} where {expected} was due"));
        }
        if self.stopping.take() {
            return say(&(number + 1).to_string());
        }
        if number % 100 == 99 && self.rounds_in_all.get() != u32::MAX {
            tell(&format!("round {number}"));
        }
        self.next_round();
    }

    fn overconnect(&self, count: usize) {
        let mut open: Vec<OwnedFd> = Vec::new();
        for _ in 0..count {
            match connect_in(&runtime_dir()) {
                Ok(socket) => open.push(socket),
                Err(error) => return say(&format!("error {}", error.kind())),
            }
        }
        let wait = |socket: &OwnedFd, patience: Duration| {
            let mut fds = [PollFd::new(socket, PollFlags::IN)];
            let patience = patience.try_into().expect("it is short");
            poll(&mut fds, Some(&patience)).is_ok_and(|ready| ready > 0)
        };
        // They are let in in order: when the last is hung up on, the others have been dealt with.
        if !open.last().is_some_and(|last| wait(last, TIMEOUT)) {
            return say("error: nobody is hung up on");
        }
        let kept = open.iter().filter(|socket| !wait(socket, Duration::ZERO)).count();
        say(&kept.to_string());
        self.extra_connections.borrow_mut().extend(open);
    }

    /// Gives a capability away as soon as the binding takes it.
    fn give(self: &Rc<Self>, number: u32, cap: Cap) {
        let given = self.binding().tx_give(number, &cap).map(drop);
        if given != Err(TxError::Busy) {
            return answer(&given);
        }
        let me = Rc::clone(self);
        let again = move |_: &Waitset| {
            me.give(number, cap);
            Ok(())
        };
        self.binding().register_send(&self.waitset, again).expect("nobody else waits");
    }

    /// Gives away sockets that linger with unsent data, and has them dropped when no copy is left here.
    fn stick(self: &Rc<Self>, count: u32) {
        let (me, binding) = (Rc::clone(self), self.binding());
        let task = async move {
            for number in 0..count {
                let (socket, reader) = stuck();
                me.unread.borrow_mut().push(reader);
                if let Err(error) = binding.send_give(KEPT + number, &socket).await {
                    return say(&format!("error {error:?}"));
                }
            }
            answer(&binding.send_say(KEPT, "").await);
        };
        self.waitset.spawn_local(task).detach();
    }

    /// Uses up descriptors until only `spare` can be opened. Those that are being closed are waited for, so that none comes
    /// free afterwards.
    fn exhaust(&self, spare: usize) {
        let mut exhaust = self.exhaust.borrow_mut();
        loop {
            while self.waitset.try_dispatch().expect("no callback fails") {}
            let is_quiet = flounder::closer::wait_until_closed(Instant::now() + TIMEOUT);
            assert!(is_quiet, "descriptors are not closed");
            let before = exhaust.len();
            exhaust.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
            if exhaust.len() == before {
                break;
            }
        }
        let left = exhaust.len() - spare;
        exhaust.truncate(left);
        say("ok");
    }
}

/// Capabilities with this number or a larger one are kept by the service, until there is a message with this number.
const KEPT: u32 = 1_000_000;

thread_local! {
    static KEPT_CAPS: RefCell<Vec<Cap>> = const { RefCell::new(Vec::new()) };
}

/// A socket whose last close takes a minute, unless the other end closes before.
pub fn stuck() -> (Cap, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let address = listener.local_addr().expect("it is bound");
    let mut writer = TcpStream::connect(address).expect("somebody listens");
    let (reader, _) = listener.accept().expect("somebody connects");
    set_socket_linger(&writer, Some(Duration::from_secs(60))).expect("the option is known");
    writer.set_nonblocking(true).expect("the flag is known");
    while writer.write(&[0; 65536]).is_ok() {}
    (Cap::from(writer), reader)
}

/// The service's end.
struct Service;

impl echo::Rx for Service {
    fn say(&mut self, binding: &echo::Binding, number: u32, text: &str) {
        if number == KEPT {
            KEPT_CAPS.with_borrow_mut(Vec::clear);
            return tell("dropped");
        }
        if let Err(error) = binding.tx_said(number, text) {
            tell(&format!("cannot answer: {}", error.kind()));
        }
    }

    fn said(&mut self, _: &echo::Binding, _: u32, _: &str) {}

    fn give(&mut self, binding: &echo::Binding, number: u32, cap: Cap) {
        if number >= KEPT {
            return KEPT_CAPS.with_borrow_mut(|kept| kept.push(cap));
        }
        if let Err(error) = binding.tx_got(number, inode(cap)) {
            tell(&format!("cannot answer: {}", error.kind()));
        }
    }

    fn got(&mut self, _: &echo::Binding, _: u32, _: u64) {}

    fn want(&mut self, binding: &echo::Binding, number: u32) {
        let cap = Cap::from(File::open("/").expect("there is a root"));
        if let Err(error) = binding.tx_given(number, &cap) {
            tell(&format!("refused {}", error.kind()));
        }
    }

    fn given(&mut self, _: &echo::Binding, _: u32, _: Cap) {}

    fn add(&mut self, _: &echo::Binding, a: u32, b: u32, reply: echo::AddReply) {
        reply.send(a.wrapping_add(b));
    }

    fn error(&mut self, _: &echo::Binding, error: BindingError) {
        tell(&format!("service {}", error.kind()));
    }
}

/// The client's end.
struct Client;

impl echo::Rx for Client {
    fn say(&mut self, _: &echo::Binding, _: u32, _: &str) {}

    fn said(&mut self, _: &echo::Binding, number: u32, text: &str) {
        ProcessState::here().heard(number, text);
    }

    fn give(&mut self, _: &echo::Binding, _: u32, _: Cap) {}

    fn got(&mut self, _: &echo::Binding, number: u32, inode: u64) {
        tell(&format!("got {number} {inode}"));
    }

    fn want(&mut self, _: &echo::Binding, _: u32) {}

    fn given(&mut self, _: &echo::Binding, number: u32, cap: Cap) {
        tell(&format!("given {number} {}", inode(cap)));
    }

    fn add(&mut self, _: &echo::Binding, _: u32, _: u32, _: echo::AddReply) {}

    fn error(&mut self, _: &echo::Binding, error: BindingError) {
        tell(&format!("client {}", error.kind()));
    }
}

fn inode(cap: Cap) -> u64 {
    File::from(cap).metadata().expect("it is a file").ino()
}

pub(super) fn iref(bits: &str) -> Iref {
    Iref::from_bits(bits.parse().expect("a number")).expect("not zero")
}

fn forbid(direction: Direction) {
    policy::set_cap_policy(move |transfer| {
        let _: OwnedFd = transfer.cap.as_fd().try_clone_to_owned().expect("room for a descriptor");
        transfer.direction != direction
    });
    say("ok");
}

/// Descriptors, mappings and threads of this process.
fn count() -> String {
    // What has been dropped does not count, though it may be open for a moment yet.
    let _ = flounder::closer::wait_until_closed(Instant::now() + Duration::from_secs(1));
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
    format!(
        "fds {} shared {shared} sockets {sockets} threads {}",
        entries("/proc/self/fd"),
        super::resources::threads(Path::new("/proc/self"))
    )
}

fn runtime_dir() -> PathBuf {
    std::env::var_os("FLOUNDER_RUNTIME_DIR").expect("it is set").into()
}

/// What each descriptor of this process is.
fn descriptors() -> String {
    let _ = flounder::closer::wait_until_closed(Instant::now() + Duration::from_secs(1));
    let entries = std::fs::read_dir("/proc/self/fd").expect("it is there").flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let mut targets: Vec<_> = targets.map(|target| target.display().to_string()).collect();
    targets.sort();
    targets.join(" ")
}

pub(super) fn answer<T: Debug, E: Kind>(result: &Result<T, E>) {
    match result {
        Ok(value) => say(&format!("{value:?}")),
        Err(error) => say(&format!("error {}", error.kind())),
    }
}

pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{text}").and_then(|()| out.flush()).expect("the test listens");
}

pub(super) fn tell(text: &str) {
    say(&format!("{EVENT}{text}"));
}

/// A process or user as the tests expect it; 0 for one that is unknown.
fn shown(number: Option<u32>) -> u32 {
    number.unwrap_or(0)
}
