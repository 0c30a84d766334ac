//! `flounder bench`: cost of messages on this machine, beside what hardware and kernel need for the same work.
//!
//! The only user of this library is the command `flounder`.
//!
//! | file | contents |
//! |---|---|
//! | `work` | the kinds of work that are measured, and their names |
//! | `over` | measurements through a generated interface and a waitset |
//! | `shared` | calls through a shared binding |
//! | `limits`, `ring` | measurements of hardware and kernel at the same work |
//! | `process`, `worker` | services in other threads and processes; the command line of such a process |
//! | `usage`, `memory` | memory and descriptors of a process, and of a binding |
//! | `sample` | clock, samples, statistics |
//! | `machine` | cores, description of the machine |
//! | `report`, `plot` | tables, JSON, pictures |

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use flounder::drivers::registry;
use flounder::error::Chain;
use flounder::limits::DEFAULT_SPIN;
use flounder::{Waitset, nameservice};
use indicatif::{ProgressBar, ProgressStyle};

mod error;
mod limits;
mod log;
mod machine;
mod memory;
mod over;
mod plan;
mod plot;
mod process;
mod report;
mod ring;
mod sample;
mod shared;
mod usage;
mod work;
pub mod worker;

pub use error::{Error, Result};
use log::warn;
use machine::{Cores, Machine, pin};
use over::{Client, Service};
use plan::{Plan, Subject};
use process::{Process, ServiceThread};
use report::{Measured, MemoryRow, Report, Settings};
use sample::{Amount, Probe, Series};
use work::Between;

/// Longest time without progress, after which the program ends.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// An unlimited time budget.
const FOREVER: Duration = Duration::from_secs(1 << 32);

/// The command line.
#[derive(Args)]
pub struct Options {
    /// Take fewer and shorter samples: about one minute instead of nine, and less exact.
    #[arg(long)]
    quick: bool,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Draw the figures into this file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Measure this driver only; may be given several times.
    #[arg(long, value_name = "NAME")]
    driver: Vec<String>,
    /// Measure only rows whose name contains this ("ump, threads: round trip, 8 B"), and their limits; may be given
    /// several times.
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Cores of the client and the service.
    #[arg(long, value_name = "A,B", value_parser = Cores::parse)]
    cores: Option<Cores>,
    /// Run both sides on one core: round trips and calls, beside the ways of the kernel to switch between two threads.
    #[arg(long, conflicts_with = "cores")]
    one_core: bool,
    /// Number of samples of each measurement, without a limit of time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: Option<u32>,
    /// Length of a sample in microseconds.
    #[arg(long, value_name = "MICROSECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sample: Option<u64>,
    /// Buffer of a binding in bytes, for each direction, for drivers with a buffer. Raw rings keep the default.
    #[arg(long, value_name = "BYTES")]
    buffer: Option<usize>,
    /// Number of bindings to open for the memory of one.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    bindings: Option<u64>,
}

/// Measures and returns the report: tables, or one JSON document.
///
/// # Errors
/// Fails if no row has a chosen name, a core cannot be used, a measurement fails, or the picture cannot be written.
pub fn run(options: &Options) -> Result<String> {
    if cfg!(debug_assertions) {
        warn(
            "flounder: bench: THIS IS A DEBUG BUILD: its figures mean nothing (build with --release)",
        );
    }
    let plan = Plan::new(&drivers(&options.driver)?, &options.only, options.one_core);
    if plan.is_empty() {
        return Err("nothing has such a name".into());
    }
    let cores = match options.cores {
        Some(cores) => cores,
        None if options.one_core => Cores::one()?,
        None => Cores::choose()?,
    };
    let settings = Settings {
        cores,
        rounds: options.rounds.unwrap_or(if options.quick { 15 } else { 200 }),
        budget: match options.rounds {
            Some(_) => FOREVER,
            None => Duration::from_secs(if options.quick { 50 } else { 8 * 60 }),
        },
        longest: Duration::from_millis(if options.quick { 300 } else { 2000 }),
        sample_microseconds: options.sample.unwrap_or(if options.quick { 2000 } else { 6000 }),
        bindings: options.bindings.unwrap_or(if options.quick { 64 } else { 512 }),
        spin_nanoseconds: DEFAULT_SPIN.as_nanos() as u64,
        ring_bytes: flounder::drivers::ump::DEFAULT_BUFFER,
        buffer_bytes: options.buffer,
    };
    let (watchdog, started) = (Watchdog::start(), Instant::now());
    // Memory first: its processes must have ended before times are measured.
    let memory = measure_memory(&plan, &settings, &watchdog)?;
    let measured = measure(&plan, &settings, started, &watchdog)?;
    drop(watchdog);
    let report = Report::new(Machine::describe(cores), settings, &measured, memory);
    if let Some(path) = &options.plot {
        plot::draw(&report, path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    report.render(if options.json { report::Form::Json } else { report::Form::Tables })
}

/// Returns the drivers to measure: the named ones, or all.
fn drivers(named: &[String]) -> Result<Vec<&'static str>> {
    let all = registry::names();
    if let Some(unknown) = named.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(format!("there is no driver called {unknown}, only {}", all.join(", ")).into());
    }
    Ok(all
        .into_iter()
        .filter(|driver| named.is_empty() || named.iter().any(|name| name == driver))
        .collect())
}

fn measure_memory(plan: &Plan, settings: &Settings, watchdog: &Watchdog) -> Result<Vec<MemoryRow>> {
    let bar = progress("memory", plan.memory.len() as u64);
    let mut rows = Vec::new();
    for subject in &plan.memory {
        watchdog.pat(subject.to_string());
        let held = memory::measure(
            subject.driver,
            subject.between,
            subject.buffer.bytes(),
            settings.bindings,
        );
        let held = held.map_err(|error| format!("{subject}: {error}"))?;
        rows.extend(held.map(|held| MemoryRow::new(*subject, held)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// A measurement with the samples taken so far.
struct Measurement {
    subject: Subject,
    probe: Probe,
    amount: Amount,
    /// Approximate time of one operation, in nanoseconds.
    typical: f64,
    series: Series,
}

/// Takes one sample of each measurement per round, so that a machine whose speed changes changes all figures alike. Ends
/// after the last round or when the time budget is used up.
fn measure(
    plan: &Plan,
    settings: &Settings,
    started: Instant,
    watchdog: &Watchdog,
) -> Result<Measured> {
    let cores = settings.cores;
    let mut hosts = Hosts::default();
    for &subject in &plan.subjects {
        if let Subject::Figure { driver, between, .. } = subject {
            watchdog.pat(format!("{driver}, {between}: start"));
            hosts.prepare(driver, between, cores)?;
        }
    }
    // Threads and processes that are already running keep their cores. Pinning here shows that both cores can be used.
    pin(cores.service)?;
    pin(cores.client)?;
    hosts.bind(settings.buffer_bytes.unwrap_or(0))?;

    // After half of the budget, calibration ends: further measurements have samples of one operation.
    let enough = started + settings.budget / 2;
    let (mut measurements, too_long) = hosts.calibrate(plan, settings, enough, watchdog)?;
    let bar = progress("measuring", u64::from(settings.rounds) * measurements.len() as u64);
    'rounds: for _ in 0..settings.rounds {
        for Measurement { subject, probe, amount, series, .. } in &mut measurements {
            if started.elapsed() > settings.budget {
                break 'rounds;
            }
            watchdog.pat(subject.to_string());
            let before = limits::guard(cores)?;
            let sample = probe(*amount).map_err(|error| hosts.explain(*subject, &*error))?;
            let after = limits::guard(cores)?;
            series.add(sample, [before, after]);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let series = measurements.into_iter().map(|done| (done.subject, done.series)).collect();
    Ok(Measured { series, too_long })
}

/// Estimates the time of an operation from the same operation with shorter messages. Zero if there is none.
fn forecast(measurements: &[Measurement], subject: Subject) -> Duration {
    let like = measurements.iter().filter(|known| subject.is_like(known.subject));
    let smaller = like.filter_map(|known| {
        let (size, known_size) = (subject.size()?, known.subject.size()?);
        let times = size as f64 / known_size as f64;
        (times > 1.0).then_some((known_size, times * known.typical))
    });
    let best = smaller.max_by_key(|(size, _)| *size);
    best.map_or(Duration::ZERO, |(_, nanoseconds)| Duration::from_secs_f64(nanoseconds / 1e9))
}

/// The services, and the clients bound to them.
#[derive(Default)]
struct Hosts {
    // First, because fields are dropped in this order: clients before their services.
    clients: HashMap<(&'static str, Between), Client>,
    waiting: Vec<(&'static str, Between, Waitset, flounder::Iref)>,
    threads: Vec<ServiceThread>,
    processes: Vec<Process>,
}

impl Hosts {
    /// Starts a service. Each driver has its own waitset at either end, so polling one driver does not slow another.
    fn prepare(&mut self, driver: &'static str, between: Between, cores: Cores) -> Result {
        if self.waiting.iter().any(|waiting| (waiting.0, waiting.1) == (driver, between)) {
            return Ok(());
        }
        let ws = Waitset::new();
        let iref = match between {
            Between::Here => Service::export(ws.clone())?.iref(),
            Between::Threads => {
                let thread = ServiceThread::start(Some(cores.service))?;
                let iref = thread.iref();
                self.threads.push(thread);
                iref
            }
            Between::Processes => {
                // Starts the monitor of this process before the thread is pinned.
                nameservice::list().wait()?;
                let name = process::fresh_name();
                self.processes.push(Process::serve(&name, Some(cores.service))?);
                process::find(&name)?
            }
        };
        self.waiting.push((driver, between, ws, iref));
        Ok(())
    }

    /// Determines the number of operations in a sample. Operations that take too long are not measured.
    fn calibrate(
        &self,
        plan: &Plan,
        settings: &Settings,
        enough: Instant,
        watchdog: &Watchdog,
    ) -> Result<(Vec<Measurement>, Vec<Subject>)> {
        let time = Duration::from_micros(settings.sample_microseconds);
        let bar = progress("calibrating", plan.subjects.len() as u64);
        let (mut measurements, mut too_long) = (Vec::new(), Vec::new());
        for &subject in &plan.subjects {
            watchdog.pat(subject.to_string());
            let probe = match subject {
                Subject::Limit(limit) => Some(limit.probe(settings.cores)),
                Subject::Figure { work, driver, between, .. } => {
                    self.clients.get(&(driver, between)).map(|client| client.probe(work))
                }
            };
            bar.inc(1);
            // A driver that does not reach the service has no probe.
            let Some(mut probe) = probe else { continue };
            if forecast(&measurements, subject) > settings.longest {
                too_long.push(subject);
                continue;
            }
            let calibrated = if Instant::now() < enough {
                sample::calibrate(&mut probe, time)
            } else {
                Ok((Amount::LEAST, 0.0))
            };
            let (amount, typical) = calibrated.map_err(|error| self.explain(subject, &*error))?;
            let series = Series::default();
            measurements.push(Measurement { subject, probe, amount, typical, series });
        }
        bar.finish_and_clear();
        Ok((measurements, too_long))
    }

    /// Returns the text of an error with its sources, and the errors that the services printed.
    fn explain(&self, subject: Subject, error: &(dyn std::error::Error + 'static)) -> String {
        let mut text = format!("{subject}: {}", Chain(error));
        for words in self.processes.iter().filter_map(Process::last_words) {
            text.push_str(&format!("; a service's process said: {words}"));
        }
        text
    }

    /// Binds to all services that their drivers reach.
    fn bind(&mut self, buffer: usize) -> Result {
        for (driver, between, ws, iref) in self.waiting.drain(..) {
            let client = Client::bind(ws, iref, driver, buffer)
                .map_err(|error| format!("{driver}, {between}: {error}"))?;
            self.clients.extend(client.map(|client| ((driver, between), client)));
        }
        Ok(())
    }
}

fn progress(what: &'static str, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:12} {wide_bar} {percent:>3} %  {eta}")
        .expect("the template is sound");
    let bar = ProgressBar::new(steps).with_style(style).with_message(what);
    bar.tick();
    bar
}

/// Ends the program if there is no progress: a lost message must not look like a long measurement.
struct Watchdog(Sender<String>);

impl Watchdog {
    fn start() -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut last = String::new();
            loop {
                match receiver.recv_timeout(STALL_TIMEOUT) {
                    Ok(next) => last = next,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        warn(format_args!(
                            "flounder: bench: {last}: nothing has moved for {STALL_TIMEOUT:?}"
                        ));
                        std::process::exit(1);
                    }
                }
            }
        });
        Self(sender)
    }

    fn pat(&self, next: String) {
        // The thread ends only when `self` is dropped.
        let _ = self.0.send(next);
    }
}

#[cfg(test)]
mod tests {
    use super::work::Work;
    use super::*;

    #[test]
    fn time_of_longer_messages_is_forecast() {
        let figure = |work, driver| {
            let (between, one_core) = (Between::Threads, false);
            Subject::Figure { work, driver, between, one_core }
        };
        let known = |work, driver, typical| Measurement {
            subject: figure(work, driver),
            probe: Box::new(|_| Err("it is not used".into())),
            amount: Amount { warm: 1, batches: 1, each: 1, singles: 1 },
            typical,
            series: Series::default(),
        };
        let known = [
            known(Work::RoundTrip(8), "ump", 500.0),
            known(Work::RoundTrip(1 << 10), "ump", 1e6),
            known(Work::RoundTrip(1 << 10), "lmp", 5e6),
            known(Work::Stream(1 << 10), "ump", 7.0),
        ];
        let large = figure(Work::RoundTrip(64 << 10), "ump");
        assert_eq!(forecast(&known, large), Duration::from_millis(64));
        assert_eq!(forecast(&known, figure(Work::RoundTrip(8), "ump")), Duration::ZERO);
        assert_eq!(forecast(&known, figure(Work::Rpc, "ump")), Duration::ZERO);
    }
}
