//! `flounder bench`: what messages cost on this machine, and what they would cost at least.
//!
//! | file | what |
//! |---|---|
//! | `work` | what is measured, and its names |
//! | `over` | through a generated interface and a waitset |
//! | `limits`, `ring` | what hardware and kernel need for the same |
//! | `process`, `memory` | services in other threads and processes; what bindings hold |
//! | `sample` | the clock, what is left out, statistics |
//! | `machine` | cores |
//! | `report`, `plot` | tables, JSON, pictures |

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use flounder::drivers::registry;
use flounder::waitset::DEFAULT_SPIN;
use flounder::{Waitset, nameservice};
use indicatif::{ProgressBar, ProgressStyle};

mod limits;
mod machine;
mod memory;
mod over;
mod plan;
mod plot;
pub(crate) mod process;
mod report;
mod ring;
mod sample;
mod work;

use machine::{Cores, Machine, pin};
use over::{Client, Service};
use plan::{Plan, Subject};
use process::{Process, ServiceThread};
use report::{MemoryRow, Report, Settings};
use sample::{Amount, Probe, Series};
use work::Between;

/// Anything that ends a measurement.
pub(crate) type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// When nothing has moved for so long, something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command line.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter samples: done within a minute, and less exact.
    #[arg(long)]
    quick: bool,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Draw the figures.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Measure this driver only; may be given several times.
    #[arg(long, value_name = "NAME")]
    driver: Vec<String>,
    /// Measure only what has this in its name ("ump, threads: round trip, 8 B"), and its limits; may be given several
    /// times.
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// The cores that the two sides run on.
    #[arg(long, value_name = "A,B", value_parser = Cores::parse)]
    cores: Option<Cores>,
    /// Samples of each measurement, however long that takes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: Option<u32>,
    /// Microseconds that a sample should take.
    #[arg(long, value_name = "MICROSECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sample: Option<u64>,
    /// Bindings that are opened to see what one holds.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    bindings: Option<u64>,
}

/// Measures, and prints what it found.
pub(crate) fn run(options: &Options) -> Result {
    if cfg!(debug_assertions) {
        eprintln!(
            "flounder: bench: THIS IS A DEBUG BUILD: its figures mean nothing (build with --release)"
        );
    }
    let plan = Plan::new(&drivers(&options.driver)?, &options.only);
    if plan.is_empty() {
        return Err("nothing has such a name".into());
    }
    let cores = options.cores.map_or_else(Cores::choose, Ok)?;
    let settings = Settings {
        cores,
        rounds: options.rounds.unwrap_or(if options.quick { 15 } else { 200 }),
        budget: match options.rounds {
            Some(_) => Duration::MAX,
            None => Duration::from_secs(if options.quick { 32 } else { 7 * 60 }),
        },
        sample_microseconds: options.sample.unwrap_or(if options.quick { 2000 } else { 6000 }),
        bindings: options.bindings.unwrap_or(if options.quick { 64 } else { 512 }),
        spin_nanoseconds: DEFAULT_SPIN.as_nanos() as u64,
        ring_bytes: flounder::drivers::ump::DEFAULT_BUFFER,
    };
    let watchdog = Watchdog::start();
    // Memory comes first: its processes should not meet those that are measured.
    let memory = measure_memory(&plan, &settings, &watchdog)?;
    let series = measure(&plan, &settings, &watchdog)?;
    drop(watchdog);
    let report = Report::new(Machine::describe(cores), settings, &series, memory);
    if let Some(path) = &options.plot {
        plot::draw(&report, path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    report.print(if options.json { report::Form::Json } else { report::Form::Tables })
}

/// The drivers to measure: those that were named, or all there are.
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

/// A measurement on its way.
struct Measurement {
    subject: Subject,
    probe: Probe,
    amount: Amount,
    series: Series,
}

/// Samples everything in turn, round after round, so that what changes with time changes all alike.
fn measure(
    plan: &Plan,
    settings: &Settings,
    watchdog: &Watchdog,
) -> Result<Vec<(Subject, Series)>> {
    let cores = settings.cores;
    let mut hosts = Hosts::default();
    for &subject in &plan.subjects {
        if let Subject::Figure { driver, between, .. } = subject {
            watchdog.pat(format!("{driver}, {between}: start"));
            hosts.prepare(driver, between, cores)?;
        }
    }
    // Those that were started inherit nothing of this; that both are possible is known from here on.
    pin(cores.service)?;
    pin(cores.client)?;
    hosts.bind()?;

    let time = Duration::from_micros(settings.sample_microseconds);
    let bar = progress("calibrating", plan.subjects.len() as u64);
    let mut measurements = Vec::new();
    for &subject in &plan.subjects {
        watchdog.pat(subject.to_string());
        let probe = match subject {
            Subject::Limit(limit) => Some(limit.probe(cores.service)),
            Subject::Figure { work, driver, between } => {
                hosts.clients.get(&(driver, between)).map(|client| client.probe(work))
            }
        };
        bar.inc(1);
        // The driver may not reach so far.
        let Some(mut probe) = probe else { continue };
        let amount = sample::calibrate(&mut probe, time).map_err(|error| told(subject, &*error))?;
        measurements.push(Measurement { subject, probe, amount, series: Series::default() });
    }
    bar.finish_and_clear();

    let bar = progress("measuring", u64::from(settings.rounds) * measurements.len() as u64);
    let started = Instant::now();
    for _ in 0..settings.rounds {
        if started.elapsed() > settings.budget {
            break;
        }
        for Measurement { subject, probe, amount, series } in &mut measurements {
            watchdog.pat(subject.to_string());
            let before = limits::guard(cores.service)?;
            let sample = probe(*amount).map_err(|error| told(*subject, &*error))?;
            let after = limits::guard(cores.service)?;
            series.add(sample, [before, after]);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(measurements.into_iter().map(|done| (done.subject, done.series)).collect())
}

fn told(subject: Subject, error: &(dyn Error + Send + Sync)) -> String {
    let mut text = format!("{subject}: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// The services, and the clients that are bound to them.
#[derive(Default)]
struct Hosts {
    // Before what they are bound to: fields are dropped in this order.
    clients: HashMap<(&'static str, Between), Client>,
    waiting: Vec<(&'static str, Between, Waitset, flounder::Iref)>,
    threads: Vec<ServiceThread>,
    processes: Vec<Process>,
}

impl Hosts {
    /// Starts the service, each with a waitset of its own at either end: polling one driver is no part of the cost of
    /// another.
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
                // The own monitor starts here, on whatever core.
                nameservice::list()?;
                let name = process::fresh_name();
                self.processes.push(Process::serve(&name, Some(cores.service))?);
                process::find(&name)?
            }
        };
        self.waiting.push((driver, between, ws, iref));
        Ok(())
    }

    /// Binds to all of them, as far as their drivers reach.
    fn bind(&mut self) -> Result {
        for (driver, between, ws, iref) in self.waiting.drain(..) {
            let client = Client::bind(ws, iref, driver, 0)
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

/// Ends the program when nothing moves: a lost message must not look like a long measurement.
struct Watchdog(Sender<String>);

impl Watchdog {
    fn start() -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut last = String::new();
            loop {
                match receiver.recv_timeout(PATIENCE) {
                    Ok(next) => last = next,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        eprintln!("flounder: bench: {last}: nothing has moved for {PATIENCE:?}");
                        std::process::exit(1);
                    }
                }
            }
        });
        Self(sender)
    }

    fn pat(&self, next: String) {
        // It ends only with this.
        let _ = self.0.send(next);
    }
}
