//! Clients that come back: they look the name up and bind again when their binding is lost, or when another service takes over
//! the name.
//!
//! ```text
//!            .--- bound <---------------------------------------------------------------.
//!            |      | '-- the name has another service: binds to that one; calls under way finish over the old binding
//!            |      v                                                                   |
//!         on_back  lost --on_lost--> waits for the name --> pause --> bind --failed--> a longer pause
//! ```
//! All of this is one future on the thread of the library for each client. It ends with the last handle of the client.

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use flounder_rt::binding::{
    BoxDispatch, Dispatch, Local, Meanwhile, RawBinding, RawEnd, Received, ReconnectingEndpoint,
    Replacement, SharedEndpoint,
};
use flounder_rt::wire::DecodeError;
use flounder_rt::{BindError, BindingError, Iref, Peer, Waitset, log_limited};
use futures_core::Stream as _;

use super::{RETRY_DELAY, ServiceError, Target, bind, find};
use crate::nameservice::{self, NameChange, Watch};
use crate::oneshot;
use crate::process::random_number;
use crate::wait::until_cancelled;

/// How a client comes back to a service whose binding was lost: when it tries, what becomes of calls meanwhile, and what the
/// program learns.
///
/// A client that is lost waits for the name, pauses, and binds; after each bind that fails the pause is twice as long, up to
/// the greatest. So clients whose service is started again do not come back all at once, and a service that fails at once
/// costs little. Whatever the reason of the failure is, the client goes on until its last handle is dropped.
///
/// A call that was sent before the binding was lost may have run: it fails with [`RpcError::Closed`], and is not repeated,
/// unless its rpc is `@idempotent`. A call that was not sent is made over the next binding.
///
/// When another service takes over the name, the client binds to it at once. Calls that are under
/// way finish over the old binding.
///
/// [`RpcError::Closed`]: flounder_rt::RpcError::Closed
#[must_use = "pass it to `connect(..).reconnecting(..)`"]
pub struct Reconnect {
    first_delay: Duration,
    greatest_delay: Duration,
    jitter: f64,
    meanwhile: Meanwhile,
    on_lost: Box<dyn FnMut(&BindingError) + Send>,
    on_back: Box<dyn FnMut(&Peer) + Send>,
}

impl Default for Reconnect {
    /// A first pause of 10 ms, one second at most, of which up to a half is taken away at random. Calls wait.
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(10),
            greatest_delay: Duration::from_secs(1),
            jitter: 0.5,
            meanwhile: Meanwhile::Wait,
            on_lost: Box::new(|_| {}),
            on_back: Box::new(|_| {}),
        }
    }
}

impl Reconnect {
    /// Sets the pause before the first bind; 10 ms by default.
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// Sets the longest pause; one second by default.
    pub fn greatest_delay(mut self, delay: Duration) -> Self {
        self.greatest_delay = delay;
        self
    }

    /// Sets the part of each pause, from 0 to 1, of which a random share is taken away; 0.5 by default. With 0 all clients of a
    /// service come back at the same time.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Has calls that are made while there is no connection fail at once, with
    /// [`TxError::NotConnected`](flounder_rt::TxError::NotConnected): nothing was sent. Otherwise they wait, until their
    /// deadline. Nothing is repeated then, not even rpcs that are `@idempotent`.
    pub fn fail_meanwhile(mut self) -> Self {
        self.meanwhile = Meanwhile::Fail;
        self
    }

    /// Runs `callback` when the binding is lost, with the reason, on the thread of the library: it must not block.
    pub fn on_lost(mut self, callback: impl FnMut(&BindingError) + Send + 'static) -> Self {
        self.on_lost = Box::new(callback);
        self
    }

    /// Runs `callback` when there is a binding again, and when the client has moved to another service that has taken over the
    /// name, with the process at the other end; on the thread of the library: it must not block.
    pub fn on_back(mut self, callback: impl FnMut(&Peer) + Send + 'static) -> Self {
        self.on_back = Box::new(callback);
        self
    }

    /// Returns the pause, less a random share.
    fn pause(&self, delay: Duration) -> Duration {
        let random = random_number().map_or(0.0, |number| number as f64 / u64::MAX as f64);
        delay.mul_f64(1.0 - self.jitter * random)
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("first_delay", &self.first_delay)
            .field("greatest_delay", &self.greatest_delay)
            .field("jitter", &self.jitter)
            .field("meanwhile", &self.meanwhile)
            .finish_non_exhaustive()
    }
}

/// A binding to a service, and what happens to it.
struct Bound {
    iref: Iref,
    endpoint: SharedEndpoint,
    lost: oneshot::Receiver<BindingError>,
}

/// What ends the use of a binding.
enum Event {
    Lost(BindingError),
    /// The name belongs to this service now.
    Moved(Iref),
}

/// Receives the end of a binding.
struct EndHandler {
    handlers: BoxDispatch,
    lost: Option<oneshot::Sender<BindingError>>,
}

impl Dispatch for EndHandler {
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        self.handlers.deliver(raw, message)
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        match self.lost.take() {
            Some(lost) if error.is_fatal() => lost.send(error),
            lost => {
                self.lost = lost;
                self.handlers.error(raw, error);
            }
        }
    }

    fn attached(&mut self, raw: &RawBinding) -> bool {
        self.handlers.attached(raw)
    }

    fn connected(&mut self, raw: &RawBinding) {
        self.handlers.connected(raw);
    }
}

/// Makes the first connection, and returns an end whose connection is made again from then on.
pub(super) async fn connect(
    waitset: &Waitset,
    target: Target,
    policy: Reconnect,
    deadline: Option<Instant>,
) -> Result<ReconnectingEndpoint, ServiceError> {
    let bound = loop {
        let iref = find(&target.name, deadline).await?;
        match bind_to(waitset, &target, iref, deadline).await {
            Err(BindError::NoService) => waitset.sleep(RETRY_DELAY).await,
            bound => break bound?,
        }
    };
    let (keeper, dropped) = oneshot::channel::<()>();
    let (endpoint, keeper) = (bound.endpoint.clone(), Box::new(keeper));
    let end = ReconnectingEndpoint::new(endpoint, policy.meanwhile, waitset.remote(), keeper);
    let client = Client { waitset: waitset.clone(), target, policy, end: end.replacement() };
    let work = until_cancelled(client.run(bound), async {
        let _ = dropped.await;
    });
    waitset
        .spawn_local(async {
            let _ = work.await;
        })
        .detach();
    Ok(end)
}

struct Client {
    waitset: Waitset,
    target: Target,
    policy: Reconnect,
    end: Replacement,
}

impl Client {
    /// Keeps the client connected. Returns when nobody uses it any more.
    async fn run(mut self, first: Bound) {
        let Bound { mut iref, endpoint, mut lost } = first;
        // The end that the program has keeps the binding.
        drop(endpoint);
        while let Some(next) = self.next(iref, &mut lost).await {
            let peer = next.endpoint.peer().clone();
            if !self.end.replace(next.endpoint) {
                return;
            }
            (iref, lost) = (next.iref, next.lost);
            run_callback("on_back", || (self.policy.on_back)(&peer));
        }
    }

    /// Waits until the binding is lost, or the name is another's, and returns the next binding.
    async fn next(
        &mut self,
        iref: Iref,
        lost: &mut oneshot::Receiver<BindingError>,
    ) -> Option<Bound> {
        let mut watch = Some(nameservice::watch(&self.target.name));
        loop {
            match next_event(iref, lost, &mut watch).await {
                Event::Lost(error) => {
                    drop(watch);
                    run_callback("on_lost", || (self.policy.on_lost)(&error));
                    return self.come_back().await;
                }
                Event::Moved(next) => match self.bind_within_limit(next).await {
                    Ok(next) => return Some(next),
                    Err(error) => log_failure(&self.target.name, &error),
                },
            }
        }
    }

    /// Binds to the service that has the name, as often as it takes.
    async fn come_back(&self) -> Option<Bound> {
        let mut delay = self.policy.first_delay.min(self.policy.greatest_delay);
        loop {
            let found = find(&self.target.name, None).await;
            self.waitset.sleep(self.policy.pause(delay)).await;
            let failure = match found {
                Ok(iref) => match self.bind_within_limit(iref).await {
                    Ok(bound) => return Some(bound),
                    Err(error) => error.into(),
                },
                // The process has forked, or its monitor cannot serve: no later attempt differs.
                Err(error @ (ServiceError::Ended | ServiceError::OwnThread)) => {
                    log_limited!(error, ?error, "a client cannot come back");
                    return None;
                }
                Err(error) => error,
            };
            log_limited!(debug, ?failure, name = self.target.name, "a client is not back yet");
            delay = (delay * 2).min(self.policy.greatest_delay);
        }
    }

    async fn bind_within_limit(&self, iref: Iref) -> Result<Bound, BindError> {
        let deadline = Instant::now().checked_add(nameservice::DEFAULT_TIMEOUT);
        bind_to(&self.waitset, &self.target, iref, deadline).await
    }
}

/// Runs a callback of the program. Its panic does not end the client.
fn run_callback(which: &'static str, callback: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(callback)).is_err() {
        log_limited!(error, "{which} of a client that reconnects panicked");
    }
}

fn log_failure(name: &str, error: &BindError) {
    log_limited!(warn, ?error, name, "a client cannot move to the service that took over its name");
}

/// Binds to a service with handlers that report the end of the binding.
async fn bind_to(
    waitset: &Waitset,
    target: &Target,
    iref: Iref,
    deadline: Option<Instant>,
) -> Result<Bound, BindError> {
    let (sender, lost) = oneshot::channel();
    let handlers = EndHandler { handlers: (target.handlers)(), lost: Some(sender) };
    let wrap = |end: RawEnd<Local>| end.shared().0;
    let handlers = Box::new(handlers);
    let endpoint = bind(waitset, iref, target.interface, handlers, wrap, deadline).await?;
    Ok(Bound { iref, endpoint, lost })
}

/// Waits until the binding ends, or until the name has another service than `iref`.
async fn next_event(
    iref: Iref,
    lost: &mut oneshot::Receiver<BindingError>,
    watch: &mut Option<Watch>,
) -> Event {
    poll_fn(|cx| {
        if let Poll::Ready(error) = Pin::new(&mut *lost).poll(cx) {
            return Poll::Ready(Event::Lost(error.unwrap_or(BindingError::Closed)));
        }
        while let Some(changes) = watch
            && let Poll::Ready(change) = Pin::new(changes).poll_next(cx)
        {
            match change {
                Some(Ok(NameChange::There(found))) if found.iref != iref => {
                    return Poll::Ready(Event::Moved(found.iref));
                }
                Some(Ok(_)) => {}
                // Without a watch, the client moves when its binding ends.
                Some(Err(_)) | None => *watch = None,
            }
        }
        Poll::Pending
    })
    .await
}
