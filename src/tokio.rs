//! A waitset in a tokio runtime (feature `tokio`).
//!
//! A program that needs no more than names of services uses `serve` and `connect` ([`service`](crate::service)), whose futures
//! and clients work in every runtime, without this feature. What is here is for a waitset of the program's own, whose
//! handlers run among the futures of its thread.
//!
//! The waitset belongs to one thread, so its driver is a future of that thread: of `#[tokio::main]`, with one thread or
//! several, or of a `LocalSet`. All other futures on the thread may use the waitset's bindings, also while the driver waits.
//!
//! ```
//! use flounder::{Peer, Waitset, flounder};
//!
//! flounder! {
//!     interface sum "Adds" {
//!         rpc add(in uint32 a, in uint32 b, out uint32 sum);
//!     };
//! }
//!
//! struct Server;
//!
//! impl sum::Rx for Server {
//!     fn add(&mut self, _: &sum::Binding, a: u32, b: u32, reply: sum::AddReply) {
//!         reply.send(a + b);
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let ws = Waitset::current();
//!     flounder::tokio::run_until(&ws, async {
//!         let service = sum::export(&ws, |_: &Peer| Ok(Server)).await?;
//!         let binding = sum::bind(service.iref(), &ws, ()).await?;
//!         let client = sum::RpcClient::new(&binding);
//!         assert_eq!(client.add_async(40, 2).await?, 42);
//!         Ok(())
//!     })
//!     .await?
//! }
//! ```

pub use flounder_rt::tokio::{drive, run_until};
