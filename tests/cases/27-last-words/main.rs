//! A client sends and its process ends at once: by returning, exit, _exit, abort, SIGKILL of itself. What `tx` futures said is
//! sent, descriptors included, arrives; and nothing twice or torn. (Documented: what is accepted only, may be lost.)

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Seek, Write};
use std::os::fd::FromRawFd;
use std::process::exit;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

struct Log(Rc<RefCell<Vec<String>>>);

impl echo::Rx for Log {
    fn note(&mut self, _: &echo::Binding, n: u32) {
        self.0.borrow_mut().push(format!("n{n}"))
    }

    fn text(&mut self, _: &echo::Binding, s: &str) {
        self.0.borrow_mut().push(format!("t{}", s.len()))
    }

    fn bytes(&mut self, _: &echo::Binding, d: &[u8]) {
        self.0.borrow_mut().push(format!("b{} {}", d.len(), d.iter().all(|x| *x == 7)))
    }

    fn give(&mut self, _: &echo::Binding, n: u32, c: Cap) {
        let mut s = String::new();
        let _ = fs::File::from(c).read_to_string(&mut s);
        self.0.borrow_mut().push(format!("c{n} {s}"))
    }

    fn say(&mut self, _: &echo::Binding, n: u32, r: echo::SayReply) {
        r.send(n)
    }

    fn tell(&mut self, _: &echo::Binding, s: &str, r: echo::TellReply) {
        r.send(s)
    }

    fn pid(&mut self, _: &echo::Binding, r: echo::PidReply) {
        r.send(0)
    }

    fn error(&mut self, _: &echo::Binding, e: BindingError) {
        self.0.borrow_mut().push(format!("end {}", e.is_fatal()))
    }
}

fn main() {
    if role() == "client" {
        let (driver, how, caps) = (arg(2), arg(3), arg(4) == "caps");
        let ws = Waitset::current();
        let iref = Iref::from_bits(arg(5).parse().unwrap()).unwrap();
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(driver).wait().unwrap();
        ws.block_on(async {
            for n in 0..50 {
                b.send_note(n).await.unwrap();
            }
            b.send_bytes(&vec![7; 300_000]).await.unwrap();
            if caps {
                // SAFETY:
                // * The name is a string of C.
                let f = unsafe { libc::memfd_create(c"x".as_ptr(), libc::MFD_CLOEXEC) };
                // SAFETY:
                // * The descriptor is new, and nothing else owns it.
                let mut f = unsafe { fs::File::from_raw_fd(f) };
                f.write_all(b"hi").unwrap();
                f.rewind().unwrap();
                b.send_give(9, &Cap::from(f)).await.unwrap();
            }
            b.send_text("last").await.unwrap();
            loop {
                match b.tx_note(99) {
                    Ok(sent) => {
                        sent.await.unwrap();
                        break;
                    }
                    Err(TxError::Busy) => b.send_note(98).await.unwrap(),
                    Err(e) => panic!("{e}"),
                }
            }
        })
        .unwrap();
        match how.as_str() {
            "exit" => exit(0),
            "_exit" => exit_at_once(0),
            "abort" => std::process::abort(),
            "kill" => signal(std::process::id() as i32, libc::SIGKILL),
            _ => return,
        }
    }
    watchdog(100);
    isolate();
    let ws = Waitset::current();
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let theirs = log.clone();
    let s = echo::export(&ws, move |_: &Peer| Ok(Log(theirs.clone()))).wait().unwrap();
    flounder::monitor::publish(s.iref()).wait().unwrap();
    let mut bad_ones = Vec::new();
    let mut tried = 0;
    for driver in ["ump", "lmp", "scc", "beehive"] {
        for how in ["return", "exit", "_exit", "abort", "kill"] {
            for caps in ["none", "caps"] {
                for _ in 0..3 {
                    log.borrow_mut().clear();
                    tried += 1;
                    let mut c =
                        run(&["client", driver, how, caps, &s.iref().to_bits().to_string()]);
                    let l = log.clone();
                    ws.dispatch_until(Some(Instant::now() + Duration::from_secs(5)), || {
                        l.borrow().last().is_some_and(|s| s == "end true")
                    })
                    .unwrap();
                    let _ = c.end(3.0);
                    let got = log.borrow();
                    let mut want: Vec<String> = (0..50).map(|n| format!("n{n}")).collect();
                    want.push("b300000 true".into());
                    if caps == "caps" {
                        want.push("c9 hi".into())
                    }
                    want.push("t4".into());
                    let tail = &got[want.len().min(got.len())..];
                    if got.len() < want.len()
                        || got[..want.len()] != want[..]
                        || !tail.contains(&"n99".to_string())
                    {
                        bad_ones.push(format!(
                            "{driver} {how} {caps}: got {} of {}, ends {:?}",
                            got.len(),
                            want.len() + 2,
                            got.iter().rev().take(3).collect::<Vec<_>>()
                        ))
                    }
                }
            }
        }
    }
    bad_ones.dedup();
    verdict(
        bad_ones.is_empty(),
        format!("{tried} runs, bad {}: {}", bad_ones.len(), bad_ones.join("; ")),
    );
}
