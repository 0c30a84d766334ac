//! Many bindings in one process, one after the other or all at once, and what they cost.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::account::{self, Limits, Resource, Scope};
use flounder::{Iref, Peer, Refusal, Waitset, nameservice};
use rustix::time::{ClockId, clock_gettime};

use super::process::{say, tell};

flounder::flounder! {
    interface many "For tests with many bindings" {
        rpc add(in uint64 a, in uint64 b, out uint64 sum);
    };
}

/// Before each wake-up: both ends are asleep by then.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a connect callback dispatches.
const CALLBACK: Duration = Duration::from_millis(100);

/// Number of bindings that `wake` calls over, spread over all there are. The memory of a binding that has been quiet for long
/// is in no cache; a wake-up among few and one among many are compared with as many that are in use.
const WOKEN: usize = 10;

type Result<T = String, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// What a test process has of it.
pub struct ManyBindings {
    waitset: Waitset,
    bindings: RefCell<Vec<many::Binding>>,
    ends: Rc<Cell<usize>>,
    /// The processes that a connect callback was asked for.
    order: Rc<RefCell<Vec<u32>>>,
}

/// Either end; counted.
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

impl ManyBindings {
    pub fn new(waitset: &Waitset) -> Self {
        Self {
            waitset: waitset.clone(),
            bindings: RefCell::default(),
            ends: Rc::default(),
            order: Rc::default(),
        }
    }

    /// Does what a command says and answers.
    pub fn run(&self, words: &[&str]) {
        match self.result_of(words) {
            Ok(answer) => say(&answer),
            Err(error) => say(&format!("error {error}")),
        }
    }

    fn result_of(&self, words: &[&str]) -> Result {
        match words {
            ["export", name] => {
                let ends = Rc::clone(&self.ends);
                let connect = move |_: &Peer| Ok(End::new(&ends));
                let exported = many::export(&self.waitset, connect).start()?;
                nameservice::register(name, exported.iref())?;
                Ok(exported.iref().to_bits().to_string())
            }
            ["export", name, "refusing"] => {
                let connect = |_: &Peer| Err::<End, _>(Refusal::new(7, "nobody"));
                let exported = many::export(&self.waitset, connect).start()?;
                nameservice::register(name, exported.iref())?;
                Ok("ok".into())
            }
            // Its connect callback dispatches before it agrees.
            ["export", name, "dispatching"] => {
                let (ends, waitset) = (Rc::clone(&self.ends), self.waitset.clone());
                let order = Rc::clone(&self.order);
                let connect = move |peer: &Peer| {
                    order.borrow_mut().push(peer.pid().unwrap_or(0));
                    let end = Instant::now() + CALLBACK;
                    waitset.dispatch_until(Some(end), || false).expect("no callback fails");
                    Ok(End::new(&ends))
                };
                let exported = many::export(&self.waitset, connect).start()?;
                nameservice::register(name, exported.iref())?;
                Ok("ok".into())
            }
            ["order"] => {
                Ok(self.order.borrow().iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
            }
            ["used", resource] => Ok(account::used_by_all(resource_of(resource)?).to_string()),
            ["memory"] => Ok(memory()?.to_string()),
            // Binds until that fails: says how many there are, and why there are no more.
            ["fill", driver, name, count, buffer] => {
                let (iref, buffer) = (nameservice::lookup(name)?, buffer.parse()?);
                for made in 0..count.parse::<usize>()? {
                    match self.bind(driver, iref, buffer) {
                        Ok(binding) => self.bindings.borrow_mut().push(binding),
                        Err(error) => {
                            let again = if error.is_retryable() { "later" } else { "never" };
                            return Ok(format!("{made} {again} {error}"));
                        }
                    }
                }
                Ok(format!("{count} all"))
            }
            // Binds so many times, whatever comes of it: says how many there are.
            ["attempt", driver, name, count, buffer] => {
                let (iref, buffer) = (nameservice::lookup(name)?, buffer.parse()?);
                let made = (0..count.parse::<usize>()?).filter(|_| {
                    let made = self.bind(driver, iref, buffer);
                    made.map(|binding| self.bindings.borrow_mut().push(binding)).is_ok()
                });
                Ok(made.count().to_string())
            }
            ["cycle", driver, name, count] => {
                self.cycle(driver, nameservice::lookup(name)?, count.parse()?)
            }
            ["bind", driver, name, count, buffer] => {
                let (iref, buffer) = (nameservice::lookup(name)?, buffer.parse()?);
                let started = Instant::now();
                for _ in 0..count.parse()? {
                    let binding = self.bind(driver, iref, buffer)?;
                    self.bindings.borrow_mut().push(binding);
                }
                Ok(started.elapsed().as_nanos().to_string())
            }
            ["limit", limits @ ..] => {
                account::set_limits(limits_of(limits)?);
                Ok("ok".into())
            }
            ["talk"] => {
                let (bindings, started) = (self.bindings.borrow(), Instant::now());
                (0_u64..).zip(&*bindings).try_for_each(|(n, binding)| call(binding, n))?;
                Ok(started.elapsed().as_nanos().to_string())
            }
            ["wake", count] => Ok(self.wake(count.parse()?)?.as_nanos().to_string()),
            ["close"] => {
                let bindings = self.bindings.take();
                bindings.iter().for_each(|binding| binding.teardown());
                Ok("ok".into())
            }
            ["ends"] => Ok(self.ends.get().to_string()),
            ["processor"] => {
                let time = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))?;
                Ok(time.as_nanos().to_string())
            }
            _ => Err(format!("no such command: {words:?}").into()),
        }
    }

    fn bind(
        &self,
        driver: &str,
        iref: Iref,
        buffer: usize,
    ) -> Result<many::Binding, flounder::BindError> {
        many::bind(iref, &self.waitset, End::new(&self.ends)).driver(driver).buffer(buffer).wait()
    }

    /// Binds, makes a call, tears down; and again. Says how many nanoseconds a bind and a teardown took.
    fn cycle(&self, driver: &str, iref: Iref, count: usize) -> Result {
        let (mut binds, mut teardowns) = (Vec::with_capacity(count), Vec::with_capacity(count));
        tell("cycling");
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
        let [bind, teardown] = [binds, teardowns].map(|times| median(times).as_nanos());
        Ok(format!("{bind} {teardown}"))
    }

    /// Returns the median time of a call over one of [`WOKEN`] bindings, after a pause in which both ends fall asleep.
    fn wake(&self, count: usize) -> Result<Duration> {
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

fn resource_of(name: &str) -> Result<Resource> {
    let found = Resource::ALL.into_iter().find(|resource| resource.name().starts_with(name));
    Ok(found.ok_or("no such resource")?)
}

/// Bytes of memory in use: of its own, and shared.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
    };
    let kilobytes = of("RssAnon:").zip(of("RssShmem:")).ok_or("the kernel does not say")?;
    Ok((kilobytes.0 + kilobytes.1) * 1024)
}

/// Limits from words such as `bindings:process:7`; a number that is left out stands for no limit.
fn limits_of(words: &[&str]) -> Result<Limits> {
    words.iter().try_fold(Limits::default(), |limits, word| {
        let mut parts = word.split(':');
        let (resource, scope, limit) = (parts.next(), parts.next(), parts.next());
        let resource = resource_of(resource.unwrap_or_default())?;
        let scope = match scope {
            Some("process") => Scope::Process,
            Some("user") => Scope::User,
            _ => Scope::All,
        };
        let limit = limit.map_or(Ok(account::UNLIMITED), str::parse)?;
        Ok(limits.with(resource, scope, limit))
    })
}

fn call(binding: &many::Binding, n: u64) -> Result<()> {
    let sum = many::RpcClient::new(binding).add(n, 1)?;
    if sum == n + 1 { Ok(()) } else { Err(format!("{n} + 1 is not {sum}").into()) }
}

fn median(mut times: Vec<Duration>) -> Duration {
    let middle = times.len() / 2;
    times.select_nth_unstable(middle);
    times[middle]
}
