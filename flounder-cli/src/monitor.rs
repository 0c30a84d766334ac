//! `flounder monitor`: the root monitor as a daemon.

use std::convert::Infallible;
use std::error::Error;
use std::path::PathBuf;
use std::thread;

use clap::Args;
use flounder::error::Escaped;
use flounder::monitor::daemon::{self, Daemon};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::log;
use crate::output::tell;

#[derive(Args)]
pub(crate) struct Options {
    /// Runtime directory. Default: $FLOUNDER_RUNTIME_DIR,
    /// $XDG_RUNTIME_DIR/flounder, /run/user/UID/flounder or /tmp/flounder-UID.
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// Users whose processes may join, by number; may be given several times. They set
    /// FLOUNDER_RUNTIME_DIR to the
    /// directory and, unless it belongs to user 0, FLOUNDER_TRUST_UID to its owner.
    #[arg(long = "allow-uid", value_name = "UID", num_args = 1..)]
    allowed: Vec<u32>,
}

/// Becomes root, reports that and every warning on standard error, and serves until a signal arrives.
pub(crate) fn run(options: Options) -> Result<Infallible, Box<dyn Error + Send + Sync>> {
    log::start();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            // A normal exit removes the monitor's files from the directory.
            std::process::exit(0);
        }
    })?;
    let mut wanted = daemon::Options::default();
    wanted.directory = options.runtime_dir;
    wanted.allowed.extend(options.allowed.iter().copied());
    let who = match wanted.allowed.len() {
        0 => String::from("its own user"),
        _ => {
            let users: Vec<_> = wanted.allowed.iter().map(u32::to_string).collect();
            format!("its own user and {}", users.join(", "))
        }
    };
    let daemon = Daemon::start(wanted, |root| {
        tell(format_args!(
            "flounder: monitor: waiting for {root}, which is the root monitor and does not hand over"
        ));
    })?;
    tell(format_args!(
        "flounder: monitor: process {} is the root monitor in {}, for {who}",
        std::process::id(),
        Escaped(daemon.directory().display())
    ));
    daemon.serve()
}
