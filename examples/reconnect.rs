//! A client whose service is killed, started again, and replaced by a new version. The process starts the services itself.
//!
//! `cargo run --release --example reconnect` prints
//!
//! ```text
//! the service counts: 1
//! the service is killed
//! lost: the peer died
//! back
//! a call that waited: 1
//! ping: answered
//! version 2 takes over
//! back
//! the first version ended with success
//! version 2 answers
//! ```

use std::error::Error;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use flounder::service::Reconnect;
use flounder::{flounder, nameservice};

flounder! {
    interface counter "Counts, until it ends" {
        /// May not run twice: it is not repeated if the connection ends before the reply comes.
        rpc count(out uint64 total);
        /// May run twice, so it is repeated.
        @idempotent
        rpc version(out uint32 version);
    };
}

struct Counter {
    total: u64,
    version: u32,
}

impl counter::Rx for Counter {
    fn count(&mut self, _: &counter::Binding, reply: counter::CountReply) {
        self.total += 1;
        reply.send(self.total);
    }

    fn version(&mut self, _: &counter::Binding, reply: counter::VersionReply) {
        reply.send(self.version);
    }
}

/// Serves until the next version takes over the name, and until the clients of this one have left.
fn serve(version: u32) -> Result<(), flounder::Error> {
    let service = counter::serve("counter", move || Counter { total: 0, version });
    let service = service.taking_over().wait()?;
    service.lost().wait()?;
    service.drain(Instant::now() + Duration::from_secs(10)).wait()?;
    Ok(())
}

fn start(version: u32) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?).arg(version.to_string()).spawn()
}

fn use_it(services: &mut Vec<Child>) -> Result<(), Box<dyn Error>> {
    services.push(start(1)?);
    let (sender, events) = mpsc::channel();
    let lost = sender.clone();
    let policy = Reconnect::default()
        .on_lost(move |why| _ = lost.send(format!("lost: {why}")))
        .on_back(move |_| _ = sender.send("back".to_owned()));
    let next = || events.recv_timeout(Duration::from_secs(10));
    let client = counter::RpcClient::new(&counter::connect("counter").reconnecting(policy).wait()?);
    println!("the service counts: {}", client.count()?);

    println!("the service is killed");
    services[0].kill()?;
    services[0].wait()?;
    println!("{}", next()?);
    services.push(start(1)?);
    let waited = client.count()?; // it begins while there is no service
    println!("{}", next()?);
    println!("a call that waited: {waited}");

    nameservice::ping("counter").timeout(Duration::from_secs(10)).wait()?;
    println!("ping: answered");

    println!("version 2 takes over");
    services.push(start(2)?);
    println!("{}", next()?);
    let ended = services[1].wait()?;
    println!("the first version ended {}", if ended.success() { "with success" } else { "badly" });
    println!("version {} answers", client.version()?);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(version) = std::env::args().nth(1) {
        return Ok(serve(version.parse()?)?);
    }
    let mut services = Vec::new();
    let used = use_it(&mut services);
    for mut service in services {
        service.kill()?;
        service.wait()?;
    }
    used
}
