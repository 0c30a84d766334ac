//! Command line of the other processes of a benchmark, which run the same program.

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
    /// Process id of the parent: this process ends with it.
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

/// Runs such a process: serves until it is killed, or prints its measurement.
///
/// # Errors
/// Fails if the parent has ended, or the service or the measurement fails.
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
    // Registering the name starts the monitor's thread, which must not inherit the pinning of this one.
    let service = over::Service::export(Waitset::current())?;
    nameservice::register(name, service.iref()).wait()?;
    core.map_or(Ok(()), pin)?;
    say(READY)?;
    service.run(|| false)
}

fn say(line: &str) -> Result {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}
