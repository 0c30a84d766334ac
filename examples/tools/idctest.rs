//! The original's reference test, step by step, over a driver of choice:
//! `cargo run --release --example idctest -- --driver ump [--threads]`.
//!
//! Eight steps: `basic`, `str` with a short string, `str` with text from the heap that its continuation frees, `str` with
//! a long one, `caps`, `buf`, `one_cap`, and the call `basic_rpc`. The receiver checks each of them (capabilities by the
//! inode they lead to) and reports at the end; any difference ends the program with an error.
//!
//! Service and client are two processes; with `--threads`, two threads of one process. Loopback reaches no further than
//! its own dispatcher: there both ends share one thread, which with `--threads` is not the main one.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use flounder::error::Chain;
use flounder::{BindingError, Cap, Iref, Peer, Waitset, flounder, nameservice};

flounder! {
    interface idctest "The reference test" {
        message basic(uint32 arg);
        message str(uint32 arg, string s);
        message caps(uint32 arg, cap cap1, cap cap2);
        message buf(uint8 buf[buflen]);
        message one_cap(uint32 arg, cap cap1);
        rpc basic_rpc(in uint32 arg, out uint32 result);
        /// Result of the service: the number of correct steps, and the first wrong one.
        rpc verdict(in uint64 inode1, in uint64 inode2, out uint32 passed, out string wrong);
    };
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SHORT: &str = "Hello, world!";
const STEPS: u32 = 8;
const BUFFER: usize = 3000;

fn long() -> String {
    "The quick brown fox jumps over the lazy dog. ".repeat(40)
}

fn buffer() -> Vec<u8> {
    (0..BUFFER).map(|i| (i * 7 % 251) as u8).collect()
}

#[derive(Parser)]
struct Options {
    /// The interconnect driver.
    #[arg(long)]
    driver: Driver,
    /// Two threads instead of two processes.
    #[arg(long)]
    threads: bool,
    /// Run one half only, under this name.
    #[arg(long, hide = true, num_args = 2, value_names = ["ROLE", "NAME"])]
    half: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Driver {
    Loopback,
    Lmp,
    Ump,
    Scc,
    Beehive,
}

impl Driver {
    fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lmp => "lmp",
            Self::Ump => "ump",
            Self::Scc => "scc",
            Self::Beehive => "beehive",
        }
    }
}

/// What the service has seen.
#[derive(Default)]
struct Server {
    passed: u32,
    wrong: Option<String>,
    inodes: Vec<u64>,
    done: Rc<Cell<bool>>,
}

impl Server {
    fn check(&mut self, step: &str, right: bool) {
        println!("service: {step}: {}", if right { "ok" } else { "WRONG" });
        if right {
            self.passed += 1;
        } else if self.wrong.is_none() {
            self.wrong = Some(step.to_owned());
        }
    }
}

impl idctest::Rx for Server {
    fn basic(&mut self, _b: &idctest::Binding, arg: u32) {
        self.check("basic", arg == 7);
    }

    fn str(&mut self, _b: &idctest::Binding, arg: u32, s: &str) {
        match arg {
            9 => self.check("str, short", s == SHORT),
            37 => self.check("str, from the heap", s == SHORT),
            _ => self.check("str, long", arg == 42 && s == long()),
        }
    }

    fn caps(&mut self, _b: &idctest::Binding, arg: u32, cap1: Cap, cap2: Cap) {
        self.inodes.extend([inode(&cap1), inode(&cap2)]);
        self.check("caps", arg == 69);
    }

    fn buf(&mut self, _b: &idctest::Binding, buf: &[u8]) {
        self.check("buf", buf == buffer());
    }

    fn one_cap(&mut self, _b: &idctest::Binding, arg: u32, cap1: Cap) {
        self.inodes.push(inode(&cap1));
        self.check("one_cap", arg == 70);
    }

    fn basic_rpc(&mut self, _b: &idctest::Binding, arg: u32, reply: idctest::BasicRpcReply) {
        self.check("basic_rpc", arg == 5);
        reply.send(arg + 1);
    }

    fn verdict(
        &mut self,
        _b: &idctest::Binding,
        inode1: u64,
        inode2: u64,
        reply: idctest::VerdictReply,
    ) {
        if self.inodes != [inode1, inode2, inode1] {
            self.wrong.get_or_insert(format!(
                "capabilities lead to {:?}, not {inode1} and {inode2}",
                self.inodes
            ));
        }
        reply.send(self.passed, self.wrong.as_deref().unwrap_or_default());
    }

    fn error(&mut self, _b: &idctest::Binding, error: BindingError) {
        println!("service: {error:?}");
        self.done.set(true);
    }
}

fn inode(cap: &Cap) -> u64 {
    rustix::fs::fstat(cap.as_fd()).map_or(0, |stat| stat.st_ino)
}

fn file() -> Result<Cap> {
    Ok(Cap::from(rustix::fs::memfd_create("idctest", rustix::fs::MemfdFlags::CLOEXEC)?))
}

/// Exports the service; the cell becomes true when its client has gone.
fn export(ws: &Waitset) -> Result<(Iref, Rc<Cell<bool>>)> {
    let done = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&done);
    let exported = idctest::export(ws, move |_peer: &Peer| {
        Ok(Server { done: Rc::clone(&theirs), ..Server::default() })
    })
    .wait()?;
    Ok((exported.iref(), done))
}

fn serve(ws: &Waitset, done: &Cell<bool>) -> Result {
    while !done.get() {
        ws.dispatch()?;
    }
    Ok(())
}

/// The client's half: sends everything, one message after the other, then asks for the verdict.
fn run_client(ws: &Waitset, iref: Iref, driver: Driver) -> Result {
    let binding = idctest::bind(iref, ws, ()).driver(driver.name()).wait()?;
    if binding.driver() != driver.name() {
        return Err(format!("asked for {}, got {}", driver.name(), binding.driver()).into());
    }
    println!("client: bound over {}", binding.driver());
    let (cap1, cap2) = (file()?, file()?);
    let freed = Rc::new(RefCell::new(Some(SHORT.to_owned())));
    ws.block_on(async {
        binding.tx_basic(7)?.await?;
        binding.tx_str(9, SHORT)?.await?;
        let text = freed.borrow().clone().unwrap_or_default();
        let theirs = Rc::clone(&freed);
        binding.tx_str(37, &text)?.then(move || *theirs.borrow_mut() = None);
        while freed.borrow().is_some() {
            yield_now().await;
        }
        binding.tx_str(42, &long())?.await?;
        binding.tx_caps(69, &cap1, &cap2)?.await?;
        binding.tx_buf(&buffer())?.await?;
        binding.tx_one_cap(70, &cap1)?.await?;
        Result::Ok(())
    })??;
    let client = idctest::RpcClient::new(&binding);
    let answer = client.basic_rpc(5)?;
    let (passed, wrong) = client.verdict(inode(&cap1), inode(&cap2))?;
    binding.teardown();
    if answer != 6 {
        return Err(format!("basic_rpc(5) gave {answer}, not 6").into());
    }
    if passed != STEPS || !wrong.is_empty() {
        return Err(format!("{passed} of {STEPS} steps passed; first difference: {wrong}").into());
    }
    println!("client: all {STEPS} steps done");
    Ok(())
}

/// Lets other events of the waitset run.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

fn one_thread(driver: Driver) -> Result {
    let ws = Waitset::current();
    let (iref, done) = export(&ws)?;
    run_client(&ws, iref, driver)?;
    serve(&ws, &done)
}

fn two_threads(driver: Driver) -> Result {
    let (send, receive) = std::sync::mpsc::channel();
    let service = std::thread::spawn(move || -> Result {
        let ws = Waitset::current();
        let (iref, done) = export(&ws)?;
        send.send(iref)?;
        serve(&ws, &done)
    });
    run_client(&Waitset::current(), receive.recv_timeout(Duration::from_secs(10))?, driver)?;
    service.join().map_err(|_| "the service panicked")?
}

fn two_processes(driver: Driver) -> Result {
    let name = format!("idctest {}", std::process::id());
    let start = |role: &str| {
        Command::new(std::env::current_exe()?)
            .args(["--driver", driver.name(), "--half", role, &name])
            .spawn()
    };
    let mut service = start("service")?;
    let client = start("client")?.wait()?;
    if !client.success() {
        service.kill()?;
        service.wait()?;
        return Err(format!("the client failed: {client}").into());
    }
    let service = service.wait()?;
    if service.success() { Ok(()) } else { Err(format!("the service failed: {service}").into()) }
}

fn half(role: &str, name: &str, driver: Driver) -> Result {
    let ws = Waitset::current();
    if role == "service" {
        let (iref, done) = export(&ws)?;
        nameservice::register(name, iref).wait()?;
        return serve(&ws, &done);
    }
    run_client(
        &ws,
        nameservice::blocking_lookup(name).timeout(Duration::from_secs(10)).wait()?,
        driver,
    )
}

fn main() -> ExitCode {
    let options = Options::parse();
    let driver = options.driver;
    let result = match (options.half.as_deref(), driver, options.threads) {
        (Some([role, name]), ..) => half(role, name, driver),
        (_, Driver::Loopback, false) => one_thread(driver),
        (_, Driver::Loopback, true) => std::thread::spawn(move || one_thread(driver))
            .join()
            .unwrap_or_else(|_| Err("the test's thread panicked".into())),
        (_, _, true) => two_threads(driver),
        (_, _, false) => two_processes(driver),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idctest: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
