//! The monitor's thread. It starts when something first leaves the process, and never before.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};

use flounder_rt::fork::PerProcess;
use flounder_rt::waitset::Remote;
use flounder_rt::{DispatchError, Errno, Waitset, barrier, log_limited};
use parking_lot::Mutex;

use crate::error::MonitorError;
use crate::monitor::Monitor;
use crate::oneshot;
use crate::sys;

/// Size of the thread's stack: it runs the monitor's handlers, and capability policies.
const STACK_BYTES: usize = 512 << 10;

/// The thread of this process. A forked child starts a thread of its own.
static STARTED: PerProcess<Mutex<Option<MonitorThread>>> = PerProcess::new(|_| Mutex::default());

struct MonitorThread {
    remote: Arc<Remote>,
    thread: ThreadId,
}

/// Returns the remote of the monitor's waitset, and starts the thread if there is none.
///
/// # Errors
/// If the thread cannot start, or is the calling thread.
pub(crate) fn remote() -> Result<Arc<Remote>, MonitorError> {
    let mut started = STARTED.here().lock();
    if let Some(MonitorThread { remote, thread }) = &*started {
        if *thread == thread::current().id() {
            return Err(MonitorError::OwnThread);
        }
        if !remote.is_closed() {
            return Ok(Arc::clone(remote));
        }
    }
    let new = start()?;
    let remote = Arc::clone(&new.remote);
    *started = Some(new);
    Ok(remote)
}

/// Returns the remote of the monitor's waitset, if the thread was started in this process.
pub(crate) fn started() -> Option<Arc<Remote>> {
    STARTED.here().lock().as_ref().map(|started| Arc::clone(&started.remote))
}

/// Like [`started`], but `None` on the monitor's thread.
pub(crate) fn running_elsewhere() -> Option<Arc<Remote>> {
    let started = STARTED.here().lock();
    let started = started.as_ref().filter(|started| started.thread != thread::current().id());
    started.map(|started| Arc::clone(&started.remote))
}

fn start() -> Result<MonitorThread, MonitorError> {
    if is_single_threaded() {
        // The process may bind over shared memory soon. In a process with one thread the kernel
        // registers at once; with several it waits for every processor, which may be most of the
        // time of a first bind.
        barrier::register();
    }
    let (sender, receiver) = oneshot::channel();
    let builder = thread::Builder::new().name("flounder-monitor".into()).stack_size(STACK_BYTES);
    let thread =
        builder.spawn(move || run(sender)).map_err(|error| MonitorError::Thread(error.into()))?;
    let remote = receiver.wait(None).unwrap_or(Err(MonitorError::Ended))?;
    Ok(MonitorThread { remote, thread: thread.thread().id() })
}

fn run(ready: oneshot::Sender<Result<Arc<Remote>, MonitorError>>) {
    sys::block_signals();
    let waitset = Waitset::new();
    // The monitor never spins.
    waitset.set_spin(Duration::ZERO);
    if let Err(error) = prepare(&waitset) {
        return ready.send(Err(error));
    }
    Monitor::install(&waitset);
    ready.send(Ok(waitset.remote()));
    serve(&waitset, "the monitor")
}

/// Returns true if the process has one thread. The task directory has a link for each thread beside
/// its own two.
fn is_single_threaded() -> bool {
    rustix::fs::stat("/proc/self/task").is_ok_and(|tasks| tasks.st_nlink == 3)
}

/// Dispatches events for ever, for `subject`.
pub(crate) fn serve(waitset: &Waitset, subject: &'static str) -> ! {
    loop {
        // A panic ends the task that caused it, not every binding of the process.
        match catch_unwind(AssertUnwindSafe(|| waitset.dispatch())) {
            Ok(Ok(())) => {}
            Ok(Err(DispatchError::Os(error))) => {
                // The kernel lacks memory for a moment: the thread continues.
                log_limited!(error, %error, "{subject} cannot wait");
                thread::sleep(Duration::from_millis(10));
            }
            Ok(Err(error)) => log_limited!(error, ?error, "a task of {subject} failed"),
            Err(_) => log_limited!(error, "a task of {subject} panicked"),
        }
    }
}

/// Creates the descriptors that a waitset needs to block, so that a lack of descriptors is reported
/// now.
pub(crate) fn prepare(waitset: &Waitset) -> Result<(), MonitorError> {
    let failed = |error| MonitorError::os("make the monitor's event queue")(error);
    make_descriptors(waitset).map_err(|error| error.map_or(MonitorError::Ended, failed))
}

/// Creates the descriptors that a waitset needs to block. The error is `None` if the waitset is closed.
pub(crate) fn make_descriptors(waitset: &Waitset) -> Result<(), Option<Errno>> {
    waitset.after(Duration::ZERO, |_| Ok(()));
    waitset.dispatch().map_err(|error| match error {
        DispatchError::Os(error) => Some(error.into()),
        _ => None,
    })
}
