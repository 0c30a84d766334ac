//! The same work over flounder and over its alternatives, in one run and with one clock.
//!
//! ```text
//! main ── comparison ── subjects/*        the candidates
//!             |             |
//!         machine       subject           the traits of a subject; both sides of a load over two ends
//!         watchdog      thread, process   the peer, as a thread or a process
//!             |             |
//!          report         load            payloads: creating and checking
//! ```

mod comparison;
mod load;
mod machine;
#[rustfmt::skip]
#[allow(
    unreachable_pub,
    clippy::all,
    clippy::unimplemented,
    reason = "the schema compiler's work, as it is"
)]
mod peer_capnp;
mod process;
mod report;
mod subject;
mod subjects;
mod thread;
mod watchdog;

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use self::comparison::{Comparison, Plan};
use self::machine::{Cores, Machine};
use self::process::Seat;
use self::report::{Readme, Report};
use self::subject::{Candidate, Result};

#[derive(Parser)]
#[command(about = "The same work over flounder and over what one would use instead")]
struct Options {
    /// Take fewer rounds and shorter samples.
    #[arg(long)]
    quick: bool,
    /// Measure nothing: check that every candidate carries its payloads intact, and fail if one does not.
    #[arg(long, conflicts_with_all = ["json", "markdown", "readme"])]
    check: bool,
    /// Run only candidates whose name, followed by "threads" or "processes", contains this.
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// The two cores to run on; by default the first two that are allowed.
    #[arg(long, value_name = "LEADER,PEER")]
    cores: Option<Cores>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Also write the Markdown into this file, between <!-- figures --> and <!-- /figures -->.
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
    /// Run as the peer of a candidate.
    #[arg(long, hide = true, value_name = "CANDIDATE")]
    peer: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.peer {
        Some(id) => be_peer(id, &options),
        None => compare(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result {
    let pattern = options.only.as_deref().unwrap_or_default();
    let mut candidates = subjects::all();
    candidates.retain(|candidate| candidate.id().contains(pattern));
    if candidates.is_empty() {
        return Err(format!("no candidate is called {pattern}").into());
    }
    // Check the marks before the work, not after it.
    let readme = match &options.readme {
        Some(path) => Some((path, Readme::new(&fs::read_to_string(path)?)?)),
        None => None,
    };
    let plan = if options.check {
        Plan { rounds: 0, sample: Duration::ZERO }
    } else if options.quick {
        Plan { rounds: 3, sample: Duration::from_millis(2) }
    } else {
        Plan { rounds: 15, sample: Duration::from_millis(10) }
    };
    let cores = options.cores.map_or_else(Cores::first_two, Ok)?;

    let shows_progress = stderr().is_terminal();
    let comparison = comparison::run(&candidates, cores, plan, &mut |round, candidate| {
        if shows_progress {
            eprint!("\r\x1b[Kround {round} of {}: {}", plan.rounds, candidate.id());
        }
    })?;
    if shows_progress {
        eprint!("\r\x1b[K");
    }

    if options.check {
        return checked(&candidates, &comparison);
    }
    if comparison.samples == 0 {
        let reasons: Vec<_> = comparison.failed.values().map(ToString::to_string).collect();
        return Err(format!("nothing was measured: {}", reasons.join("; ")).into());
    }
    let report = Report {
        machine: Machine::this(),
        cores,
        rounds: plan.rounds,
        candidates: &candidates,
        comparison,
    };
    if options.json {
        println!("{}", report.json()?);
    } else if options.markdown {
        print!("{}", report.markdown());
    } else {
        print!("{}", report.text());
    }
    if let Some((path, readme)) = readme {
        fs::write(path, report.put_into(&readme))?;
    }
    Ok(())
}

fn checked(candidates: &[Candidate], comparison: &Comparison) -> Result {
    for (place, candidate) in candidates.iter().enumerate() {
        match comparison.failed.get(&place) {
            None => println!("{}: intact", candidate.id()),
            Some(error) => println!("{}: {error}", candidate.id()),
        }
    }
    match comparison.failed.len() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} candidates failed", candidates.len()).into()),
    }
}

fn be_peer(id: &str, options: &Options) -> Result {
    options.cores.ok_or("a peer is told its cores")?.pin_peer()?;
    let serves = |candidate: &&Candidate| candidate.id() == id;
    let all = subjects::all();
    let candidate = all.iter().find(serves).ok_or_else(|| format!("{id} is nobody's peer"))?;
    Seat::serve(candidate.serve)
}
