//! A sign of life of a service.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use flounder::error::Escaped;
use flounder::monitor::snapshot;
use flounder::nameservice;

use crate::output;

#[derive(Args)]
pub(crate) struct Options {
    /// Name of the service.
    #[arg(value_name = "NAME")]
    name: String,
    /// Milliseconds to wait for the answer.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    timeout: u64,
}

/// Pings the service, and prints the time until its answer.
pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Without a root there is no service, and this process is not to become root.
    snapshot::root(None)?;
    let timeout = Duration::from_millis(options.timeout);
    let time = nameservice::ping(&options.name).timeout(timeout).wait()?;
    let milliseconds = time.as_secs_f64() * 1e3;
    let line = format!("{} has answered after {milliseconds:.3} ms\n", Escaped(&options.name));
    Ok(output::print(&line)?)
}
