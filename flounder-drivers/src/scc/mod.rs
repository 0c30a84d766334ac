//! Messages over memory that no hardware keeps coherent: rings of 32-byte lines, written back and
//! invalidated explicitly.
//!
//! A channel is two rings, one in each direction, each with one writer, as in [`ump`](crate::ump).
//! But a store reaches memory only when its line is written back, a load may return an old value
//! until the line is invalidated, and both operations finish only at a fence. Memory is expensive to poll, so no end
//! polls it: an end is *rung* for everything that is written for it, and an idle end checks its
//! doorbell only. `docs/wire.md` has the format.
//!
//! The driver uses a small trait, [`Hardware`], with two machines behind it:
//!
//! * the real one, on x86-64: memory shared by two threads or processes, `clwb`, `clflushopt` or
//!   `clflush`, and fences. On a host with coherent caches these cost time and change nothing; a
//!   pool of memory between hosts needs them;
//! * the [`Model`], whose caches behave as badly as the trait permits. Tests run over it
//!   ([`Scc::over`]), and each cache operation of the driver has a test that fails without it
//!   ([`CacheOpReason`] lists them).
//!
//! **Other processors:** the instructions are known for x86-64 only. Elsewhere [`Scc`] connects
//! threads over a model, which is slow, and does not reach other processes.
//!
//! Capabilities, the death of the peer and calls from a forked child are handled as in `ump`.

use std::sync::Arc;

use flounder_rt::channel::{
    Channel, ConnectError, Connector, End, Link, Offer, PendingOffer, SendPair,
};

use crate::caps::Caps;
use crate::mem::seal::{MAX_REGION, PAGE};

mod cache;
mod channel;
mod connect;
mod hardware;
pub(crate) mod line;
mod machine;
pub mod model;
pub(crate) mod pool;
pub(crate) mod ring;

pub use hardware::{CacheOpReason, DoorbellFlag, Hardware, LINE_WORDS, LineCaches};
pub use model::Model;

use cache::Caches;
use channel::SccChannel;
use model::FaultRates;
use ring::Ring;

const NAME: &str = "scc";

/// Default size of a ring in bytes: 2047 lines of data.
pub const DEFAULT_BUFFER: usize = 64 << 10;

/// The driver, over the real machine where there is one.
#[derive(Debug, Clone, Copy)]
pub struct Scc;

impl Scc {
    /// The driver over a model, within a process.
    ///
    /// ```
    /// use flounder_drivers::scc::{Model, Scc};
    /// use flounder_rt::channel::{Connector, End};
    /// use flounder_rt::notify::Notifier;
    ///
    /// let scc = Scc::over(&Model::new(1));
    /// let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
    /// let (client, _service) = scc.pair(&end(), &end())?;
    /// assert_eq!(client.driver(), "scc");
    /// # Ok::<(), flounder_rt::channel::ConnectError>(())
    /// ```
    #[must_use]
    pub fn over(model: &Model) -> Modelled {
        Modelled { model: model.clone(), lines: None, start: 0 }
    }
}

impl Connector for Scc {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        match Caches::of_this_machine() {
            Some(caches) => connect::pair(caches, client, service),
            None => Self::over(&Model::with_faults(0, FaultRates::NONE)).pair(client, service),
        }
    }

    fn offer(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        connect::offer(end, link)
    }

    fn accept(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        connect::accept(end, link, offer)
    }
}

/// The driver over a model: see [`Scc::over`].
#[derive(Debug, Clone)]
pub struct Modelled {
    model: Model,
    lines: Option<usize>,
    start: u64,
}

impl Modelled {
    /// Sets the number of lines of each ring, at least two, whatever buffer an end requests: to
    /// wrap around often.
    #[must_use]
    pub fn with_lines(self, lines: usize) -> Self {
        Self { lines: Some(lines), ..self }
    }

    /// Sets the first position and lap of the rings: for tests of their wrap-around.
    #[must_use]
    pub fn starting_at(self, start: u64) -> Self {
        Self { start, ..self }
    }
}

impl Connector for Modelled {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        let lines = |end| self.lines.unwrap_or(pages(end) * PAGE / (LINE_WORDS * 8));
        let (a, b) = self
            .model
            .connect((lines(client), &client.notifier), (lines(service), &service.notifier));
        Ok(ends_at((a, client), (b, service), self.start))
    }
}

/// Returns a channel within this process over two connected ends of any hardware.
pub fn ends<A, B>(client: (A, &End), service: (B, &End)) -> SendPair
where
    A: Hardware + 'static,
    B: Hardware + 'static,
{
    ends_at(client, service, 0)
}

fn ends_at<A, B>(client: (A, &End), service: (B, &End), start: u64) -> SendPair
where
    A: Hardware + 'static,
    B: Hardware + 'static,
{
    let [client_caps, service_caps] = Caps::between(client.1, service.1);
    (
        Box::new(SccChannel::new(Ring::starting_at(client.0, start), client_caps)),
        Box::new(SccChannel::new(Ring::starting_at(service.0, start), service_caps)),
    )
}

/// Returns the pages of the ring that this end writes.
fn pages(end: &End) -> usize {
    let bytes = if end.buffer == 0 { DEFAULT_BUFFER } else { end.buffer };
    bytes.clamp(1, MAX_REGION).div_ceil(PAGE)
}
