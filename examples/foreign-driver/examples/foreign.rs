//! A binding over a driver from another crate: `cargo run --release -p foreign-driver --example foreign`.

use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;

use flounder::driver::registry;
use flounder::{Waitset, flounder};
use foreign_driver::Mailbox;

flounder! {
    interface greeter "Greets" {
        rpc greet(in string name, out string greeting);
    };
}

struct Greeter;

impl greeter::Rx for Greeter {
    fn greet(&mut self, b: &greeter::Binding, name: &str, reply: greeter::GreetReply) {
        reply.send(&format!("hello {name}, over {}", b.driver()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    registry::register(Arc::new(Mailbox))?;
    println!("drivers: {}", registry::names().join(", "));

    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
        let ws = Waitset::current();
        let service = greeter::export(&ws, |_| Ok(Greeter)).wait()?;
        sender.send(service.iref())?;
        loop {
            ws.dispatch()?;
        }
    });
    let iref = receiver.recv()?;

    let ws = Waitset::current();
    for order in [&["mailbox"][..], &["loopback", "mailbox", "ump"], &["ump"]] {
        let binding = greeter::bind(iref, &ws, ()).drivers(order.iter().copied()).wait()?;
        let greeting = greeter::RpcClient::new(&binding).greet("world")?;
        println!("asked for {}: got {}; {greeting}", order.join(", "), binding.driver());
    }
    // Loopback does not reach another thread, and this order has no other driver.
    match greeter::bind(iref, &ws, ()).driver("loopback").wait() {
        Ok(binding) => Err(format!("bound by {}", binding.driver()).into()),
        Err(error) => {
            println!("asked for loopback: {error}");
            Ok(())
        }
    }
}
