//! Traffic between processes, for tools outside the project:
//! `peer serve --name N` in one, `peer echo|stream|caps --name N --driver D --count C --size S --seed K` in another.
//!
//! Every payload is made from the seed and its number, and carries a checksum; the service makes it anew and compares.
//! At its end each process prints one line of JSON: messages sent and received, errors by kind, checksum failures,
//! nanoseconds. The exit status is 0 if everything was as it should be, 1 otherwise.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use flounder::{BindingError, Cap, DispatchError, TxError, Waitset, flounder, nameservice};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde::Serialize;

flounder! {
    interface peer "Traffic between processes" {
        /// One payload of a stream.
        call data(uint64 seq, uint32 checksum, uint8 payload[len, 1048576]);
        /// A payload that is to come back.
        call echo(uint64 seq, uint32 checksum, uint8 payload[len, 1048576]);
        /// It comes back.
        response echoed(uint64 seq, uint32 checksum, uint8 payload[len, 1048576]);
        /// A file with this inode, which is to come back.
        call file(uint64 seq, uint64 inode, cap c);
        /// It comes back.
        response filed(uint64 seq, uint64 inode, give_away_cap c);
        /// The seed of the payloads that follow.
        rpc begin(in uint64 seed);
        /// The end of a stream: how many came, and how many of them were wrong.
        rpc finish(out uint64 received, out uint64 wrong);
    };
}

#[derive(Parser)]
#[command(about = "Traffic between processes, for tools outside the project")]
struct Options {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Exports the service under a name and serves clients until `count` of them have gone.
    Serve(Serve),
    /// Sends payloads and waits for each to come back.
    Echo(Traffic),
    /// Sends payloads as fast as the channel takes them.
    Stream(Traffic),
    /// Sends files and waits for each to come back.
    Caps(Traffic),
}

#[derive(Args)]
struct Serve {
    /// Name of the service.
    #[arg(long)]
    name: String,
    /// Clients to serve before the process ends.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Refuse clients that did not bind with this driver.
    #[arg(long)]
    driver: Option<String>,
}

#[derive(Args)]
struct Traffic {
    /// Name of the service; waits up to ten seconds for it.
    #[arg(long)]
    name: String,
    /// The interconnect driver; the recommended ones if absent.
    #[arg(long)]
    driver: Option<String>,
    /// Messages to send.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    size: u32,
    /// Seed of the payloads.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is printed at the end.
#[derive(Default, Serialize)]
struct Counters {
    role: &'static str,
    driver: String,
    sent: u64,
    received: u64,
    checksum_failures: u64,
    errors: BTreeMap<&'static str, u64>,
    elapsed_ns: u64,
}

impl Counters {
    fn error(&mut self, kind: &'static str) {
        *self.errors.entry(kind).or_default() += 1;
    }

    fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.checksum_failures == 0
    }
}

type Shared = Rc<RefCell<Counters>>;

/// The payload number `seq` of a stream.
fn payload(seed: u64, seq: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    Pcg64Mcg::seed_from_u64(seed ^ seq.rotate_left(32)).fill_bytes(&mut bytes);
    bytes
}

fn is_right(seed: u64, seq: u64, checksum: u32, bytes: &[u8]) -> bool {
    crc32fast::hash(bytes) == checksum && bytes == payload(seed, seq, bytes.len())
}

fn kind(error: &BindingError) -> &'static str {
    match error {
        BindingError::Closed => "closed",
        BindingError::PeerDied => "peer_died",
        BindingError::Decode { .. } => "decode",
        BindingError::Protocol(_) => "protocol",
        BindingError::CapsRefused(_) => "caps_refused",
        BindingError::Os(_) => "os",
        _ => "other",
    }
}

fn tx_kind(error: &TxError) -> &'static str {
    match error {
        TxError::Busy => "busy",
        TxError::Closed => "tx_closed",
        TxError::TooLong { .. } => "too_long",
        TxError::CapCopy(_) => "cap_copy",
        TxError::CapsRefused(_) => "caps_refused",
        _ => "other",
    }
}

/// The service's end of one binding.
struct Service {
    counters: Shared,
    left: Rc<Cell<u64>>,
    driver: Option<String>,
    seed: u64,
    received: u64,
    wrong: u64,
}

impl Service {
    fn count(&mut self, right: bool) {
        self.received += 1;
        self.wrong += u64::from(!right);
        let mut counters = self.counters.borrow_mut();
        counters.received += 1;
        counters.checksum_failures += u64::from(!right);
    }
}

impl peer::Rx for Service {
    fn data(&mut self, _b: &peer::Binding, seq: u64, checksum: u32, payload: &[u8]) {
        self.count(seq == self.received && is_right(self.seed, seq, checksum, payload));
    }

    fn echo(&mut self, b: &peer::Binding, seq: u64, checksum: u32, payload: &[u8]) {
        self.count(seq == self.received && is_right(self.seed, seq, checksum, payload));
        sent(&self.counters, b.tx_echoed(seq, checksum, payload).map(drop));
    }

    fn file(&mut self, b: &peer::Binding, seq: u64, inode: u64, c: Cap) {
        self.count(seq == self.received && self::inode(&c) == inode);
        // The file before may still be on its way to the kernel: this one waits for its turn.
        let (binding, counters) = (b.clone(), Rc::clone(&self.counters));
        let answer = async move {
            let result = binding.send_filed(seq, inode, c).await;
            sent(&counters, result.map(drop).map_err(|rejected| rejected.error));
        };
        Waitset::current().spawn_local(answer).detach();
    }

    fn begin(&mut self, b: &peer::Binding, seed: u64, reply: peer::BeginReply) {
        self.counters.borrow_mut().driver = b.driver().to_owned();
        if self.driver.as_deref().is_some_and(|driver| driver != b.driver()) {
            self.counters.borrow_mut().error("driver");
            return b.teardown();
        }
        self.seed = seed;
        reply.send();
    }

    fn finish(&mut self, _b: &peer::Binding, reply: peer::FinishReply) {
        reply.send(self.received, self.wrong);
    }

    fn error(&mut self, _b: &peer::Binding, error: BindingError) {
        if error != BindingError::Closed {
            self.counters.borrow_mut().error(kind(&error));
        }
        if error.is_fatal() {
            self.left.set(self.left.get() - 1);
        }
    }
}

/// Counts a message that was sent, or the reason why it was not.
fn sent(counters: &Shared, result: Result<(), TxError>) {
    let mut counters = counters.borrow_mut();
    match result {
        Ok(()) => counters.sent += 1,
        Err(error) => counters.error(tx_kind(&error)),
    }
}

fn inode(cap: &Cap) -> u64 {
    rustix::fs::fstat(cap.as_fd()).map_or(0, |stat| stat.st_ino)
}

fn serve(options: &Serve, counters: &Shared) -> Result<(), String> {
    let ws = Waitset::current();
    let left = Rc::new(Cell::new(options.count));
    let exported = {
        let (counters, left, driver) =
            (Rc::clone(counters), Rc::clone(&left), options.driver.clone());
        peer::export(&ws, move |_| {
            let (counters, left, driver) = (Rc::clone(&counters), Rc::clone(&left), driver.clone());
            Ok(Service { counters, left, driver, seed: 0, received: 0, wrong: 0 })
        })
    };
    let exported = exported.wait().map_err(|error| format!("{error:?}"))?;
    nameservice::register(&options.name, exported.iref())
        .wait()
        .map_err(|error| format!("{error:?}"))?;
    while left.get() > 0 {
        ws.dispatch().map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

/// The client's end.
struct Client {
    counters: Shared,
    seed: u64,
    ended: Rc<Cell<bool>>,
}

impl Client {
    fn count(&self, right: bool) {
        let mut counters = self.counters.borrow_mut();
        counters.received += 1;
        counters.checksum_failures += u64::from(!right);
    }
}

impl peer::ClientRx for Client {
    fn echoed(&mut self, _b: &peer::ClientBinding, seq: u64, checksum: u32, payload: &[u8]) {
        let expected = self.counters.borrow().received;
        self.count(seq == expected && is_right(self.seed, seq, checksum, payload));
    }

    fn filed(&mut self, _b: &peer::ClientBinding, seq: u64, inode: u64, c: Cap) {
        let expected = self.counters.borrow().received;
        self.count(seq == expected && self::inode(&c) == inode);
    }

    fn error(&mut self, _b: &peer::ClientBinding, error: BindingError) {
        self.counters.borrow_mut().error(kind(&error));
        if error.is_fatal() {
            self.ended.set(true);
        }
    }
}

/// Sends one message, dispatching while the binding is busy; false once the binding has ended.
fn send_one(
    ws: &Waitset,
    ended: &Cell<bool>,
    counters: &Shared,
    mut attempt: impl FnMut() -> Result<(), TxError>,
) -> Result<bool, DispatchError> {
    loop {
        match attempt() {
            Err(TxError::Busy) if !ended.get() => ws.dispatch()?,
            Ok(()) => {
                counters.borrow_mut().sent += 1;
                return Ok(true);
            }
            Err(error) => {
                ws.dispatch_until(Some(Instant::now() + Duration::from_secs(1)), || ended.get())?;
                if !ended.get() {
                    counters.borrow_mut().error(tx_kind(&error));
                }
                return Ok(false);
            }
        }
    }
}

fn traffic(role: &Role, options: &Traffic, counters: &Shared) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let ws = Waitset::current();
    let iref = nameservice::blocking_lookup(&options.name)
        .timeout(Duration::from_secs(10))
        .wait()
        .map_err(|e| text(&e))?;
    let ended = Rc::new(Cell::new(false));
    let handler =
        Client { counters: Rc::clone(counters), seed: options.seed, ended: Rc::clone(&ended) };
    let bind = peer::bind(iref, &ws, handler);
    let bind = match &options.driver {
        Some(driver) => bind.driver(driver),
        None => bind,
    };
    let binding = bind.wait().map_err(|e| text(&e))?;
    counters.borrow_mut().driver = binding.driver().to_owned();
    let client = peer::RpcClient::new(&binding);
    client.begin(options.seed).map_err(|e| text(&e))?;

    let started = Instant::now();
    for seq in 0..options.count {
        let bytes = payload(options.seed, seq, options.size as usize);
        let checksum = crc32fast::hash(&bytes);
        let going = match role {
            Role::Stream(_) => {
                send_one(&ws, &ended, counters, || binding.tx_data(seq, checksum, &bytes).map(drop))
            }
            Role::Caps(_) => {
                let file = rustix::fs::memfd_create("peer", rustix::fs::MemfdFlags::CLOEXEC);
                let cap = Cap::from(file.map_err(|e| text(&e))?);
                send_one(&ws, &ended, counters, || {
                    binding.tx_file(seq, inode(&cap), &cap).map(drop)
                })
            }
            _ => {
                send_one(&ws, &ended, counters, || binding.tx_echo(seq, checksum, &bytes).map(drop))
            }
        };
        if !going.map_err(|e| text(&e))? {
            break;
        }
        if !matches!(role, Role::Stream(_)) {
            let back = || ended.get() || counters.borrow().received > seq;
            ws.dispatch_until(None, back).map_err(|e| text(&e))?;
        }
    }
    if !ended.get() {
        match client.finish() {
            Ok((received, wrong)) => {
                let mut counters = counters.borrow_mut();
                counters.checksum_failures += wrong;
                if received != counters.sent {
                    counters.error("lost");
                }
            }
            Err(_) => {
                let deadline = Some(Instant::now() + Duration::from_secs(1));
                ws.dispatch_until(deadline, || ended.get()).map_err(|e| text(&e))?;
            }
        }
    }
    counters.borrow_mut().elapsed_ns = started.elapsed().as_nanos() as u64;
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    let counters = Shared::default();
    let started = Instant::now();
    let result = match &options.role {
        Role::Serve(serve_options) => {
            counters.borrow_mut().role = "serve";
            serve(serve_options, &counters)
        }
        role @ (Role::Echo(traffic_options)
        | Role::Stream(traffic_options)
        | Role::Caps(traffic_options)) => {
            counters.borrow_mut().role = match role {
                Role::Stream(_) => "stream",
                Role::Caps(_) => "caps",
                _ => "echo",
            };
            traffic(role, traffic_options, &counters)
        }
    };
    let mut counters = counters.borrow_mut();
    if counters.elapsed_ns == 0 {
        counters.elapsed_ns = started.elapsed().as_nanos() as u64;
    }
    if let Err(error) = &result {
        eprintln!("peer: {error}");
        counters.error("failed");
    }
    match serde_json::to_string(&*counters) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("peer: {error}"),
    }
    if counters.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
