//! A waitset in an existing event loop: `cargo run --release --example epoll_loop`.
//!
//! The program has an epoll loop, as many have, with a descriptor of its own in it: a pipe on which a child process writes
//! lines. It also is a client of a service in another process. Both are served by the one loop: the waitset is one
//! more descriptor. The service runs in a child, which the waitset waits for; `SIGINT` and `SIGTERM` end the program.

use std::cell::Cell;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::mem::MaybeUninit;
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use flounder::error::Chain;
use flounder::event::UnixSignal;
use flounder::{Peer, Waitset, flounder, nameservice};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

flounder! {
    interface words "Counts words" {
        message line(string text);
        message count(string text, uint32 words);
        message over();
    };
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Keys of the descriptors in the epoll set.
const WAITSET: u64 = 0;
const LINES: u64 = 1;

/// Events between two looks at everything else.
const TURN: usize = 64;

struct Service;

impl words::Rx for Service {
    fn line(&mut self, binding: &words::Binding, text: &str) {
        let words = text.split_whitespace().count() as u32;
        if let Err(error) = binding.tx_count(text, words) {
            eprintln!("service: {error:?}");
        }
    }

    fn count(&mut self, _: &words::Binding, _: &str, _: u32) {}

    fn over(&mut self, _: &words::Binding) {
        println!("service: done");
        std::process::exit(0);
    }
}

fn service(name: &str) -> Result {
    let ws = Waitset::current();
    let name = name.to_owned();
    words::export(&ws, |_: &Peer| Ok(Service))
        .then(move |service| nameservice::register(&name, service?.iref()).wait());
    loop {
        ws.dispatch()?;
    }
}

/// Work of the program itself: a source of lines.
fn writer() -> Result<Child> {
    let script = "for line in 'one' 'one two' 'one two three'; do echo \"$line\"; sleep 0.01; done";
    Ok(Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?)
}

fn program() -> Result {
    let ws = Waitset::current();
    let name = format!("epoll_loop {}", std::process::id());
    let service = Command::new(std::env::current_exe()?).args(["service", &name]).spawn()?;
    let iref = nameservice::blocking_lookup(&name).timeout(Duration::from_secs(10)).wait()?;

    let over = Rc::new(Cell::new(false));
    for signal in [UnixSignal::Interrupt, UnixSignal::Terminate] {
        let over = Rc::clone(&over);
        ws.on_signal(signal, move |_| {
            over.set(true);
            Ok(())
        })?;
    }
    let ended = Rc::clone(&over);
    ws.when_exited(service, move |_, _, status| {
        println!("program: the service has ended: {}", status?);
        ended.set(true);
        Ok(())
    })?;
    let handlers = words::RxVtbl {
        count: Some(Box::new(|_: &words::Binding, text: &str, words| {
            println!("program: {words} words in {text:?}");
        })),
        ..words::RxVtbl::default()
    };
    let binding = words::bind(iref, &ws, handlers).wait()?;

    let mut writer = writer()?;
    let mut lines = BufReader::new(writer.stdout.take().ok_or("the writer has no output")?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &ws, EventData::new_u64(WAITSET), EventFlags::IN)?;
    epoll::add(&epoll, lines.get_ref(), EventData::new_u64(LINES), EventFlags::IN)?;

    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut events = [const { MaybeUninit::uninit() }; 16];
    while !over.get() {
        // The rule: prepare before each wait, and wait only if it returns true.
        let timeout = if ws.prepare_wait()? { None } else { Some(&at_once) };
        let ready = match epoll::wait(&epoll, &mut events, timeout) {
            Ok((ready, _)) => ready,
            // A signal, perhaps one that the waitset has received: prepare again.
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if ready.iter().any(|event| event.data.u64() == LINES) {
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line)? == 0 {
                    epoll::delete(&epoll, lines.get_ref())?;
                    binding.tx_over()?;
                    break;
                }
                binding.tx_line(line.trim_end())?;
                // Lines that were read ahead cause no further event.
                if !lines.buffer().contains(&b'\n') {
                    break;
                }
            }
        }
        // In turns, so that a flood of messages does not starve the other sources of the program.
        for _ in 0..TURN {
            if !ws.try_dispatch()? {
                break;
            }
        }
    }
    writer.wait()?;
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "service", name] => service(name),
        _ => program(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("epoll_loop: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
