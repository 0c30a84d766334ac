//! Ends the program when a candidate hangs, and reports which: a thread that polls cannot be stopped.

use std::process;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// What a candidate may take for one load: hundreds of times what it should.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Watchdog {
    tell: Sender<Option<String>>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let (tell, told) = channel::<Option<String>>();
        thread::spawn(move || {
            let mut watched = None;
            loop {
                watched = match (&watched, told.recv_timeout(PATIENCE)) {
                    (_, Ok(now)) => now,
                    (Some(what), Err(RecvTimeoutError::Timeout)) => {
                        eprintln!("peers: {what}: nothing in {} seconds", PATIENCE.as_secs());
                        process::exit(1);
                    }
                    (None, Err(RecvTimeoutError::Timeout)) => None,
                    (_, Err(RecvTimeoutError::Disconnected)) => return,
                };
            }
        });
        Self { tell }
    }

    /// Watches until the returned value is dropped.
    pub(crate) fn watch(&self, what: impl FnOnce() -> String) -> Watched<'_> {
        // The thread that listens ends after this one only.
        let _ = self.tell.send(Some(what()));
        Watched(self)
    }
}

/// While it lives, the watchdog watches.
pub(crate) struct Watched<'a>(&'a Watchdog);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let _ = self.0.tell.send(None);
    }
}
