//! The thread behind [`serve`](crate::service): it dispatches the services and connections of a program that has no
//! waitset of its own. It starts with the first of them, and never before. The end of the process does not wait for it.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use flounder_rt::Waitset;
use flounder_rt::fork::PerProcess;
use flounder_rt::waitset::Remote;
use parking_lot::Mutex;

use crate::service::ServiceError;
use crate::{monitor_thread, oneshot, sys};

/// The thread of this process. A forked child starts a thread of its own.
static STARTED: PerProcess<Mutex<Option<ServiceThread>>> = PerProcess::new(|_| Mutex::default());

struct ServiceThread {
    remote: Arc<Remote>,
    thread: ThreadId,
}

/// Returns the remote of the thread's waitset, and starts the thread if there is none.
///
/// # Errors
/// [`ServiceError::Thread`] if the thread cannot start.
pub(crate) fn remote() -> Result<Arc<Remote>, ServiceError> {
    let mut started = STARTED.here().lock();
    if let Some(ServiceThread { remote, .. }) = &*started
        && !remote.is_closed()
    {
        return Ok(Arc::clone(remote));
    }
    let new = start()?;
    let remote = Arc::clone(&new.remote);
    *started = Some(new);
    Ok(remote)
}

/// Returns true on the thread itself.
pub(crate) fn is_current() -> bool {
    let started = STARTED.here().lock();
    started.as_ref().is_some_and(|started| started.thread == thread::current().id())
}

fn start() -> Result<ServiceThread, ServiceError> {
    let (sender, receiver) = oneshot::channel();
    let builder = thread::Builder::new().name("flounder-serve".into());
    let thread = builder.spawn(move || run(sender));
    let thread = thread.map_err(|error| ServiceError::Thread(error.into()))?;
    let remote = receiver.wait(None).map_err(|_| ServiceError::Ended)??;
    Ok(ServiceThread { remote, thread: thread.thread().id() })
}

fn run(ready: oneshot::Sender<Result<Arc<Remote>, ServiceError>>) {
    sys::block_signals();
    // Handlers get this waitset from `Waitset::current`.
    let waitset = Waitset::current();
    // Makes the descriptors that the waitset needs to block, so that a lack of them is reported now.
    if let Err(error) = monitor_thread::make_descriptors(&waitset) {
        let error = error.map_or(ServiceError::Ended, ServiceError::Thread);
        return ready.send(Err(error));
    }
    ready.send(Ok(waitset.remote()));
    // A panic ends the task that caused it and does not affect other services.
    monitor_thread::serve(&waitset, "the thread of the services")
}
