//! Bindings, waitsets and shared clients live in thread-local variables of the main thread, and are used by their destructors
//! and by `atexit` functions after `main` has returned; the process is the root monitor. Expected: it ends, with status 0.

use std::any::Any;
use std::cell::RefCell;
use std::process::exit;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use cases::*;
use flounder::*;

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

static SHARED: OnceLock<Mutex<echo::RpcClient<flounder::Shared>>> = OnceLock::new();

struct Late(echo::Binding);

impl Drop for Late {
    fn drop(&mut self) {
        let _ = self.0.tx_note(7);
        let _ = echo::RpcClient::new(&self.0).timeout(Duration::from_millis(100)).say(1);
        let _ = nameservice::lookup("svc").wait();
        let ws = Waitset::current();
        let _ = ws.try_dispatch();
        eprintln!("late in a destructor");
    }
}

extern "C" fn at_exit() {
    let c = SHARED.get().unwrap().lock().unwrap();
    let r = c.say_async(3).timeout(Duration::from_millis(100)).wait();
    let l = nameservice::lookup_with_owner("svc").wait().map(|_| ());
    let b = echo::bind(Iref::from_bits(5).unwrap(), &Waitset::new(), echo::RxVtbl::default())
        .timeout(Duration::from_millis(200))
        .wait()
        .map(|_| ());
    eprintln!("late at exit: {r:?} {l:?} {b:?}");
}

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "late" {
        let ws = Waitset::current();
        let _ = nameservice::list().wait();
        say("root");
        let iref = nameservice::blocking_lookup("svc").timeout(Duration::from_secs(6)).wait().unwrap();
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap();
        echo::RpcClient::new(&b).say(1).unwrap();
        let own = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        nameservice::register("late", own.iref()).wait().unwrap();
        SHARED.set(Mutex::new(echo::RpcClient::new(&b).shared())).unwrap();
        // SAFETY:
        // * The function stays, and does not unwind: there is a client by then.
        unsafe { libc::atexit(at_exit) };
        KEPT.with(|k| {
            let mut k = k.borrow_mut();
            k.push(Box::new(Late(b.clone())));
            k.push(Box::new(own));
            k.push(Box::new(b));
            k.push(Box::new(ws));
        });
        say("main returns");
        if arg(3) == "exit" {
            exit(0)
        }
        return;
    }
    watchdog(60);
    let mut bad_ones = Vec::new();
    for driver in ["ump", "lmp"] {
        for how in ["return", "exit"] {
            isolate();
            let mut p = run(&["late", driver, how]);
            p.line("root", 5.0).unwrap();
            let mut s = run(&["serve"]);
            s.line("ready", 5.0).unwrap();
            let said = p.line("main returns", 8.0);
            let end = p.end(6.0);
            let gone = {
                thread::sleep(Duration::from_millis(200));
                s.child.try_wait().ok().flatten().is_none()
            };
            if said.is_none() || !end.is_some_and(|e| e.success()) || !gone {
                bad_ones.push(format!("{driver} {how}: {said:?} {end:?}"))
            }
        }
    }
    verdict(bad_ones.is_empty(), format!("bad: {bad_ones:?}"));
}
