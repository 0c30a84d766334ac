//! An echo whose service and client are futures.
//!
//! The service holds each call for as long as its client asks for; others are served meanwhile. The client makes three calls
//! that end in another order than they began, and gives one up.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use flounder::error::Chain;
use flounder::{CallbackError, Peer, RpcError, Waitset, flounder};

flounder! {
    interface echo "Returns its argument, later" {
        message note(string text);
        rpc say(in string text, in uint32 milliseconds, out string text);
    };
}

struct Service(Waitset);

impl echo::AsyncRx for Service {
    async fn note(&self, _: &echo::Binding, text: String) {
        println!("service: note {text:?}");
    }

    async fn say(
        &self,
        _: &echo::Binding,
        text: String,
        milliseconds: u32,
    ) -> Result<String, CallbackError> {
        if text.is_empty() {
            // The caller gets an error, and the reason is logged.
            return Err("there is nothing to say".into());
        }
        self.0.sleep(Duration::from_millis(milliseconds.into())).await;
        Ok(text)
    }
}

async fn client(ws: &Waitset, binding: &echo::ClientBinding) -> Result<(), Box<dyn Error>> {
    // Waits while the binding is busy, until the message is accepted.
    binding.send_note("hello").await?;

    let rpc = echo::RpcClient::new(binding);
    let slow = ws.spawn_local(rpc.say_async("slow", 60));
    let quick = ws.spawn_local(rpc.say_async("quick", 20));
    assert_eq!(quick.await?, "quick");
    assert!(!slow.is_finished(), "the slow one began first and is not done");
    assert_eq!(slow.await?, "slow");

    // The handler is dropped once its caller has gone.
    let never = rpc.say_async("never", 3_600_000).timeout(Duration::from_millis(10)).await;
    assert_eq!(never, Err(RpcError::Deadline));
    assert_eq!(rpc.say_async("", 0).await, Err(RpcError::HandlerFailed));
    println!("client: all calls ended as they should");
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let ws = Waitset::current();
    let own = ws.clone();
    ws.block_on(async {
        let export = echo::export(&ws, move |_: &Peer| Ok(flounder::Async(Service(own.clone()))));
        let service = export.await?;
        let binding = echo::bind(service.iref(), &ws, ()).await?;
        client(&ws, &binding).await
    })?
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("async_echo: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
