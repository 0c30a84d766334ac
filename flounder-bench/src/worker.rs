//! The other processes of a benchmark: the same program once more, with this command line.

use std::io::Write;

use clap::{Args, Subcommand};
use flounder::{Waitset, nameservice};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::error::Result;
use crate::machine::{Core, pin};
use crate::memory::Order;
use crate::over;
use crate::process::READY;

/// The command line of the other processes.
#[derive(Args)]
pub struct Options {
    /// The process that this one ends with.
    #[arg(long)]
    parent: u32,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Exports a service under a name and serves until it is killed.
    Serve {
        name: String,
        #[arg(long)]
        core: Option<usize>,
    },
    /// Measures the memory of bindings and prints it as JSON.
    Memory(Order),
}

/// Runs as such a process: serves until it is killed, or prints what it measured.
///
/// # Errors
/// If the parent has ended, or the service or the measurement fails.
pub fn run(options: Options) -> Result {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(options.parent) {
        return Err("the process that started this one has ended".into());
    }
    match options.role {
        Role::Serve { name, core } => serve(&name, core.map(Core)),
        Role::Memory(order) => say(&serde_json::to_string(&order.carry_out()?)?),
    }
}

fn serve(name: &str, core: Option<Core>) -> Result {
    // The monitor's thread starts with the name, before this one is pinned: it runs where the kernel likes.
    let service = over::Service::export(Waitset::current())?;
    nameservice::register(name, service.iref())?;
    core.map_or(Ok(()), pin)?;
    say(READY)?;
    service.run(|| false)
}

fn say(line: &str) -> Result {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}
