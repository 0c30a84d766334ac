//! Ctrl-C ends a program that blocks in a call, a bind, a lookup, a dispatch, in the main thread, when it has no handler; and
//! with a handler (EINTR) the wait goes on.

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

extern "C" fn nothing(_: libc::c_int) {}

fn main() {
    if role() == "mute" {
        let ws = Waitset::current();
        let mut v = echo::RxVtbl::default();
        let kept = Rc::new(RefCell::new(Vec::new()));
        let k = kept.clone();
        v.say = Some(Box::new(move |_, _, r| k.borrow_mut().push(r)));
        let mut v = Some(v);
        let s =
            echo::export(&ws, move |_: &Peer| Ok(v.take().unwrap_or_default())).wait().unwrap();
        nameservice::register("svc", s.iref()).wait().unwrap();
        say("ready");
        dispatch_for_ever(&ws)
    }
    if role() == "dead" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        nameservice::register("svc", s.iref()).wait().unwrap();
        say("ready");
        thread::sleep(Duration::from_secs(60))
    }
    if role() == "client" {
        if arg(3) == "handled" {
            // SAFETY:
            // * It is made of integers, and of a pointer that may be null.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = nothing as *const () as usize;
            // SAFETY:
            // * The action lives until the call returns, and its handler does nothing.
            unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) };
        }
        let ws = Waitset::current();
        if arg(2) == "lookup" {
            say("waiting");
            say(format!(
                "over {:?}",
                nameservice::blocking_lookup("none").timeout(Duration::from_secs(2)).wait()
            ));
            return;
        }
        if arg(2) == "dispatch" {
            say("waiting");
            let r = ws.dispatch_until(Some(Instant::now() + Duration::from_secs(2)), || false);
            say(format!("over {r:?}"));
            return;
        }
        let iref = find("svc");
        if arg(2) == "bind" {
            say("waiting");
            say(format!(
                "over {:?}",
                echo::bind(iref, &ws, echo::RxVtbl::default())
                    .timeout(Duration::from_secs(2))
                    .wait()
                    .map(|_| ())
            ));
            return;
        }
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).wait().unwrap();
        say("waiting");
        say(format!("over {:?}", echo::RpcClient::new(&b).timeout(Duration::from_secs(2)).say(1)));
        return;
    }
    watchdog(80);
    let mut bad_ones = Vec::new();
    for what in ["call", "bind", "lookup", "dispatch"] {
        for how in ["default", "handled"] {
            isolate();
            let mut s = run(&[if what == "bind" { "dead" } else { "mute" }]);
            s.line("ready", 5.0).unwrap();
            let mut c = run(&["client", what, how]);
            if c.line("waiting", 6.0).is_none() {
                bad_ones.push(format!("{what}: never waited"));
                continue;
            }
            thread::sleep(Duration::from_millis(150));
            c.kill(libc::SIGINT);
            let over = c.line("over", 4.0);
            let end = c.end(2.0);
            let killed = end.and_then(|e| e.signal()) == Some(libc::SIGINT);
            if (how == "default") != killed || (how == "handled") != over.is_some() {
                bad_ones.push(format!("{what} {how}: over {over:?}, end {end:?}"))
            }
        }
    }
    verdict(bad_ones.is_empty(), format!("8 ways, bad: {bad_ones:?}"));
}
