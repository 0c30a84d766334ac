//! The service that most cases use, and a client of it.

use std::process::exit;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use flounder::{Cap, Iref, Peer, Waitset, nameservice};

use crate::common::say;

flounder::flounder! {
    pub interface echo "Says what it hears" {
        message note(uint32 n);
        message text(string s);
        message bytes(uint8 data[len, 16777216]);
        message give(uint32 n, cap c);
        rpc say(in uint32 n, out uint32 n);
        rpc tell(in string s, out string s);
        rpc pid(out uint32 pid);
    };
}

/// Takes everything, and answers calls at once.
pub struct Echo;

impl echo::Rx for Echo {
    fn note(&mut self, _: &echo::Binding, _: u32) {}

    fn text(&mut self, _: &echo::Binding, _: &str) {}

    fn bytes(&mut self, _: &echo::Binding, _: &[u8]) {}

    fn give(&mut self, _: &echo::Binding, _: u32, _: Cap) {}

    fn say(&mut self, _: &echo::Binding, n: u32, reply: echo::SayReply) {
        reply.send(n);
    }

    fn tell(&mut self, _: &echo::Binding, s: &str, reply: echo::TellReply) {
        reply.send(s);
    }

    fn pid(&mut self, _: &echo::Binding, reply: echo::PidReply) {
        reply.send(std::process::id());
    }
}

/// Exports and names the service, says "ready", and dispatches for ever.
pub fn serve(name: &str) -> ! {
    let ws = Waitset::current();
    let service = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().expect("export");
    if let Err(error) = nameservice::register(name, service.iref()).wait() {
        say(format!("refused {error} {error:?}"));
        exit(3);
    }
    say("ready");
    dispatch_for_ever(&ws)
}

/// Joins first and so becomes the root monitor, says "ready", and does nothing until it is killed.
pub fn be_root() -> ! {
    let _ = nameservice::list().wait();
    say("ready");
    loop {
        thread::sleep(Duration::from_secs(1))
    }
}

/// Exports the service in a thread of its own, which dispatches for ever.
pub fn serve_in_thread() -> Iref {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let ws = Waitset::current();
        let service = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().expect("export");
        sender.send(service.iref()).expect("it is waited for");
        dispatch_for_ever(&ws)
    });
    receiver.recv().expect("the thread exports")
}

/// Dispatches whatever comes, and whatever goes wrong.
pub fn dispatch_for_ever(ws: &Waitset) -> ! {
    loop {
        let _ = ws.dispatch();
    }
}

/// Looks up, as a client that starts before its service.
pub fn find(name: &str) -> Iref {
    nameservice::blocking_lookup(name).timeout(Duration::from_secs(5)).wait().expect("the name is there")
}

/// Looks up, binds and calls once. Returns the driver, or what failed.
pub fn call_once(name: &str, patience: f64) -> Result<&'static str, String> {
    let patience = Duration::from_secs_f64(patience);
    let iref = nameservice::blocking_lookup(name).timeout(patience).wait();
    let iref = iref.map_err(|error| format!("lookup: {error}"))?;
    let bind = echo::bind(iref, &Waitset::current(), echo::RxVtbl::default()).timeout(patience);
    let binding = bind.wait().map_err(|error| format!("bind: {error}"))?;
    let answer = echo::RpcClient::new(&binding).timeout(patience).say(41);
    match answer.map_err(|error| format!("call: {error}"))? {
        41 => Ok(binding.driver()),
        other => Err(format!("wrong answer {other}")),
    }
}

/// Calls once, says "called DRIVER" or "error WHAT", and ends.
pub fn client(name: &str, patience: f64) -> ! {
    match call_once(name, patience) {
        Ok(driver) => {
            say(format!("called {driver}"));
            exit(0)
        }
        Err(error) => {
            say(format!("error {error}"));
            exit(2)
        }
    }
}

/// Returns true if a client has said that it has called.
pub fn called(said: &Option<String>) -> bool {
    said.as_deref().is_some_and(|said| said.starts_with("called"))
}
