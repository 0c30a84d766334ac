//! Commands for many bindings in one process, one after the other or all at once, and what they cost.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::{Iref, Peer, Refusal, Waitset, limits, nameservice};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::protocol::{Driver, Event, Limit, ResourceKind, ServiceId, commands};

flounder::flounder! {
    interface many "For tests with many bindings" {
        rpc add(in uint64 a, in uint64 b, out uint64 sum);
    };
}

type Limits = Vec<Limit>;

commands! { Many:
    /// Exports a service that accepts all clients, and registers it.
    export_many: Export { name: String } -> ServiceId;
    /// Exports a service that refuses all clients, and registers it.
    export_refusing_all: ExportRefusing { name: String } -> ();
    /// Exports a service whose connect callback dispatches before it accepts, and registers it.
    export_dispatching: ExportDispatching { name: String } -> ();
    /// Returns the processes that connect callbacks ran for, in the order of the calls.
    connect_order: ConnectOrder {} -> Vec<u32>;
    /// Returns what all peers together use of a resource.
    used_by_peers: UsedByPeers { resource: ResourceKind } -> u64;
    /// Returns the bytes of memory in use, private and shared.
    memory_in_use: MemoryInUse {} -> u64;
    /// Sets the limits of what peers may use.
    set_limits: SetLimits { limits: Limits } -> ();
    /// Binds `count` times, some binds at once; returns how long that took.
    bind_many: Bind { driver: Driver, name: String, count: usize, buffer: usize } -> Duration;
    /// Binds `count` times, one after the other, until one fails.
    bind_until_refused: BindUntilRefused {
        driver: Driver, name: String, count: usize, buffer: usize
    } -> Filled;
    /// Binds `count` times, whatever comes of it; returns the number of binds that succeeded.
    try_bind_many: TryBind { driver: Driver, name: String, count: usize, buffer: usize } -> usize;
    /// Binds, calls and tears down, `count` times in turn; returns the medians.
    cycle_many: Cycle { driver: Driver, name: String, count: usize } -> Medians;
    /// Calls over each binding once; returns how long that took.
    call_over_each: CallOverEach {} -> Duration;
    /// Calls over some of the bindings, after pauses in which both ends fall asleep; returns the median time of a call.
    wake_up: WakeUp { count: usize } -> Duration;
    /// Tears down all bindings.
    close_many: Close {} -> ();
    /// Returns the number of ends of bindings in this process.
    ends: Ends {} -> usize;
    /// Returns the processor time that this process has used.
    processor_time: ProcessorTime {} -> Duration;
}

/// How far [`BindUntilRefused`] got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// Number of bindings that were made.
    pub made: usize,
    /// Why there are no more; none if all were made.
    pub refusal: Option<BindRefusal>,
}

/// Why a bind failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindRefusal {
    /// True if a later bind can succeed.
    pub retryable: bool,
    /// Text of the error.
    pub text: String,
}

/// Median times of [`Cycle`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Medians {
    pub bind: Duration,
    pub teardown: Duration,
}

/// Pause before each wake-up: both ends are asleep by then.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a connect callback dispatches.
const CALLBACK: Duration = Duration::from_millis(100);

/// Number of bindings that [`WakeUp`] calls over, spread over all there are. The memory of a binding that has been quiet for
/// long is in no cache; a wake-up among few and one among many are compared with as many that are in use.
const WOKEN: usize = 10;

/// Number of binds of [`Bind`] that are under way at once.
const BINDS_AT_ONCE: usize = 16;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The bindings and services of a test process.
pub struct ManyBindings {
    waitset: Waitset,
    bindings: Rc<RefCell<Vec<many::ClientBinding>>>,
    ends: Rc<Cell<usize>>,
    /// Processes that a connect callback ran for.
    order: Rc<RefCell<Vec<u32>>>,
}

/// Either end of a binding; counted.
struct End(Rc<Cell<usize>>);

impl End {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl many::Rx for End {
    fn add(&mut self, _: &many::Binding, a: u64, b: u64, reply: many::AddReply) {
        reply.send(a.wrapping_add(b));
    }

    fn error(&mut self, _: &many::Binding, _: flounder::BindingError) {}
}

impl many::ClientRx for End {
    fn error(&mut self, _: &many::ClientBinding, _: flounder::BindingError) {}
}

impl ManyBindings {
    pub fn new(waitset: &Waitset) -> Self {
        Self {
            waitset: waitset.clone(),
            bindings: Rc::default(),
            ends: Rc::default(),
            order: Rc::default(),
        }
    }

    /// Runs a command.
    pub fn run(&self, request: Request) {
        match request {
            Request::Export(Export { name }, reply) => {
                let ends = Rc::clone(&self.ends);
                reply.result(self.export(&name, move |_: &Peer| Ok(End::new(&ends))));
            }
            Request::ExportRefusing(ExportRefusing { name }, reply) => {
                let connect = |_: &Peer| Err(Refusal::new(7, "nobody"));
                reply.result(self.export(&name, connect).map(drop));
            }
            Request::ExportDispatching(ExportDispatching { name }, reply) => {
                let (ends, waitset) = (Rc::clone(&self.ends), self.waitset.clone());
                let order = Rc::clone(&self.order);
                let connect = move |peer: &Peer| {
                    order.borrow_mut().push(peer.pid().unwrap_or(0));
                    let end = Instant::now() + CALLBACK;
                    waitset.dispatch_until(Some(end), || false).expect("no callback fails");
                    Ok(End::new(&ends))
                };
                reply.result(self.export(&name, connect).map(drop));
            }
            Request::ConnectOrder(ConnectOrder {}, reply) => reply.ok(self.order.borrow().clone()),
            Request::UsedByPeers(UsedByPeers { resource }, reply) => {
                reply.ok(limits::used_by_all(resource.0));
            }
            Request::MemoryInUse(MemoryInUse {}, reply) => reply.result(memory_in_use()),
            Request::SetLimits(SetLimits { limits }, reply) => {
                let none = limits::Limits::default();
                limits::set_limits(limits.iter().fold(none, |all, limit| limit.apply(all)));
                reply.ok(());
            }
            Request::Bind(Bind { driver, name, count, buffer }, reply) => {
                reply.result(self.bind_many(driver, &name, count, buffer));
            }
            Request::BindUntilRefused(BindUntilRefused { driver, name, count, buffer }, reply) => {
                reply.result(self.bind_until_refused(driver, &name, count, buffer));
            }
            Request::TryBind(TryBind { driver, name, count, buffer }, reply) => {
                reply.result(self.try_bind_many(driver, &name, count, buffer));
            }
            Request::Cycle(Cycle { driver, name, count }, reply) => {
                reply.result(self.cycle(driver, &name, count));
            }
            Request::CallOverEach(CallOverEach {}, reply) => reply.result(self.call_over_each()),
            Request::WakeUp(WakeUp { count }, reply) => reply.result(self.wake_up(count)),
            Request::Close(Close {}, reply) => {
                let bindings = self.bindings.take();
                bindings.iter().for_each(|binding| binding.teardown());
                reply.ok(());
            }
            Request::Ends(Ends {}, reply) => reply.ok(self.ends.get()),
            Request::ProcessorTime(ProcessorTime {}, reply) => {
                reply.result(Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)));
            }
        }
    }

    fn export(
        &self,
        name: &str,
        connect: impl FnMut(&Peer) -> Result<End, Refusal> + 'static,
    ) -> Result<ServiceId> {
        let exported = many::export(&self.waitset, connect).wait()?;
        nameservice::register(name, exported.iref()).wait()?;
        Ok(exported.iref().into())
    }

    fn bind(
        &self,
        driver: Driver,
        iref: Iref,
        buffer: usize,
    ) -> Result<many::ClientBinding, flounder::BindError> {
        let end = End::new(&self.ends);
        many::bind(iref, &self.waitset, end).driver(driver.name()).buffer(buffer).wait()
    }

    fn bind_many(
        &self,
        driver: Driver,
        name: &str,
        count: usize,
        buffer: usize,
    ) -> Result<Duration> {
        let (iref, started) = (nameservice::lookup(name).wait()?, Instant::now());
        let (left, failed) = (Rc::new(Cell::new(count)), Rc::new(RefCell::new(None)));
        let tasks: Vec<_> = (0..BINDS_AT_ONCE.min(count))
            .map(|_| {
                let (waitset, ends) = (self.waitset.clone(), Rc::clone(&self.ends));
                let (bindings, left) = (Rc::clone(&self.bindings), Rc::clone(&left));
                let failed = Rc::clone(&failed);
                self.waitset.spawn_local(async move {
                    while let Some(rest) = left.get().checked_sub(1) {
                        left.set(rest);
                        let bind = many::bind(iref, &waitset, End::new(&ends));
                        match bind.driver(driver.name()).buffer(buffer).await {
                            Ok(binding) => bindings.borrow_mut().push(binding),
                            Err(error) => {
                                left.set(0);
                                failed.replace(Some(error));
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            self.waitset.block_on(task)?;
        }
        match failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(started.elapsed()),
        }
    }

    fn bind_until_refused(
        &self,
        driver: Driver,
        name: &str,
        count: usize,
        buffer: usize,
    ) -> Result<Filled> {
        let iref = nameservice::lookup(name).wait()?;
        for made in 0..count {
            match self.bind(driver, iref, buffer) {
                Ok(binding) => self.bindings.borrow_mut().push(binding),
                Err(error) => {
                    let (retryable, text) = (error.is_retryable(), format!("{error:?}"));
                    return Ok(Filled { made, refusal: Some(BindRefusal { retryable, text }) });
                }
            }
        }
        Ok(Filled { made: count, refusal: None })
    }

    fn try_bind_many(
        &self,
        driver: Driver,
        name: &str,
        count: usize,
        buffer: usize,
    ) -> Result<usize> {
        let iref = nameservice::lookup(name).wait()?;
        let made = (0..count).filter(|_| {
            let made = self.bind(driver, iref, buffer);
            made.map(|binding| self.bindings.borrow_mut().push(binding)).is_ok()
        });
        Ok(made.count())
    }

    fn cycle(&self, driver: Driver, name: &str, count: usize) -> Result<Medians> {
        let iref = nameservice::lookup(name).wait()?;
        let (mut binds, mut teardowns) = (Vec::with_capacity(count), Vec::with_capacity(count));
        Event::Cycling.report();
        for n in 0..count {
            let before = Instant::now();
            let binding = self.bind(driver, iref, 0)?;
            binds.push(before.elapsed());
            call(&binding, n as u64)?;
            let before = Instant::now();
            binding.teardown();
            drop(binding);
            teardowns.push(before.elapsed());
        }
        Ok(Medians { bind: median(binds), teardown: median(teardowns) })
    }

    fn call_over_each(&self) -> Result<Duration> {
        let (bindings, started) = (self.bindings.borrow(), Instant::now());
        (0_u64..).zip(&*bindings).try_for_each(|(n, binding)| call(binding, n))?;
        Ok(started.elapsed())
    }

    fn wake_up(&self, count: usize) -> Result<Duration> {
        let bindings = self.bindings.borrow();
        let times = (0..count).map(|round| {
            let at = round % WOKEN * bindings.len() / WOKEN;
            self.waitset.dispatch_until(Some(Instant::now() + PAUSE), || false)?;
            let before = Instant::now();
            call(&bindings[at], at as u64)?;
            Ok(before.elapsed())
        });
        times.collect::<Result<Vec<_>>>().map(median)
    }
}

fn memory_in_use() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
    };
    let kilobytes = of("RssAnon:").zip(of("RssShmem:")).ok_or("the kernel does not say")?;
    Ok((kilobytes.0 + kilobytes.1) * 1024)
}

fn call(binding: &many::ClientBinding, n: u64) -> Result<()> {
    let sum = many::RpcClient::new(binding).add(n, 1)?;
    if sum == n + 1 { Ok(()) } else { Err(format!("{n} + 1 is not {sum}").into()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    let middle = times.len() / 2;
    times.select_nth_unstable(middle);
    times[middle]
}
