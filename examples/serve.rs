//! A store and its clients that need no waitset: a name is enough. A thread of the library is behind both ends.
//!
//! `cargo run --release --example serve` has both in one process; `.. serve -- serve` and `.. serve -- use` have a process
//! each, in either order. `examples/event-loops/examples/tokio_service.rs` is the same in tokio.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use flounder::flounder;

flounder! {
    interface kv "Keeps numbers" {
        rpc put(in string key[64], in uint64 value, out uint64 before);
        rpc get(in string key[64], out uint64 value);
    };
}

/// Each client has a value of its own, which shares the table.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<String, u64>>>);

impl kv::Rx for Store {
    fn put(&mut self, _: &kv::Binding, key: &str, value: u64, reply: kv::PutReply) {
        let before = self.0.lock().expect("no handler panics").insert(key.to_owned(), value);
        reply.send(before.unwrap_or(0));
    }

    fn get(&mut self, _: &kv::Binding, key: &str, reply: kv::GetReply) {
        reply.send(self.0.lock().expect("no handler panics").get(key).copied().unwrap_or(0));
    }
}

fn serve() -> Result<flounder::service::ServiceHandle, flounder::Error> {
    let store = Store::default();
    Ok(kv::serve("kv", move || store.clone()).wait()?) // until the handle is dropped
}

fn use_it() -> Result<(), flounder::Error> {
    let client = kv::RpcClient::new(&kv::connect("kv").wait()?); // waits for the name, for 5 seconds
    std::thread::scope(|scope| {
        for key in ["one", "two", "three"] {
            let client = &client;
            scope.spawn(move || client.put(key, key.len() as u64).expect("the store lives"));
        }
    });
    println!("three has {} letters", client.get("three")?); // `client.get_async("three").await` in any executor
    Ok(())
}

fn main() -> Result<(), flounder::Error> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => println!("{:?} has the name now", serve()?.lost().wait()?.pid),
        Some("use") => use_it()?,
        _ => {
            let _service = serve()?;
            use_it()?;
        }
    }
    Ok(())
}
