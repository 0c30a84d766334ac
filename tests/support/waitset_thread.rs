//! A thread that dispatches a waitset until it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flounder::Waitset;
use flounder::event::Remote;

/// How long its beginning may take.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct WaitsetThread {
    remote: Arc<Remote>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WaitsetThread {
    /// Starts the thread, and returns what `begin` makes there.
    pub(crate) fn start<T: Send + 'static>(
        begin: impl FnOnce(&Waitset) -> T + Send + 'static,
    ) -> (Self, T) {
        let (sender, receiver) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let ws = Waitset::new();
            let made = begin(&ws);
            sender.send((ws.remote(), made)).expect("it is waited for");
            ws.dispatch_until(None, || theirs.load(Ordering::Acquire)).expect("no callback fails");
        });
        let (remote, made) = receiver.recv_timeout(TIMEOUT).expect("the thread begins");
        (Self { remote, stop, thread: Some(thread) }, made)
    }

    /// Ends the thread, and its waitset with it.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.remote.post(|_| Ok(()));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

impl Drop for WaitsetThread {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}
