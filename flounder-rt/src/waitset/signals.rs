//! Signals of the process in a waitset.
//!
//! The handler, which the crate `signal-hook` installs, writes a byte to a socket; its other end is waited for. Why not
//! `signalfd`: it needs the signal blocked in every thread, also in those that libraries make, and the programs that this
//! one starts inherit that.

use core::cell::RefCell;
use core::ffi::c_int;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};

use signal_hook::SigId;
use signal_hook::consts::signal;
use signal_hook::low_level::{pipe, unregister};

use crate::fork::{Mark, ProcessFd};
use crate::waitset::{Interest, Outcome, Waitset};

/// Time after which the kernel is asked again to watch for a signal.
const RETRY: Duration = Duration::from_millis(10);

/// A signal that a program may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnixSignal {
    /// `SIGALRM`
    Alarm,
    /// `SIGCHLD`; for children of one's own see [`Waitset::when_exited`].
    Child,
    /// `SIGCONT`
    Continue,
    /// `SIGHUP`
    Hangup,
    /// `SIGINT`
    Interrupt,
    /// `SIGQUIT`
    Quit,
    /// `SIGTERM`
    Terminate,
    /// `SIGUSR1`
    User1,
    /// `SIGUSR2`
    User2,
    /// `SIGWINCH`
    WindowChange,
}

impl UnixSignal {
    const fn number(self) -> c_int {
        match self {
            Self::Alarm => signal::SIGALRM,
            Self::Child => signal::SIGCHLD,
            Self::Continue => signal::SIGCONT,
            Self::Hangup => signal::SIGHUP,
            Self::Interrupt => signal::SIGINT,
            Self::Quit => signal::SIGQUIT,
            Self::Terminate => signal::SIGTERM,
            Self::User1 => signal::SIGUSR1,
            Self::User2 => signal::SIGUSR2,
            Self::WindowChange => signal::SIGWINCH,
        }
    }
}

/// A signal that is waited for. Dropping this changes nothing: it is waited for until [`stop`](SignalWatch::stop), or until
/// the waitset is gone.
#[derive(Debug)]
pub struct SignalWatch(Weak<Registration>);

impl SignalWatch {
    /// Waits for it no more. What it has not run yet is not run. The signal's default action does not come back: from now
    /// on the signal does nothing, unless somebody else waits for it.
    pub fn stop(self) {
        if let Some(registration) = self.0.upgrade() {
            registration.end();
        }
    }
}

/// With `signal-hook`. At its end the socket that the handler has is closed, which the waitset hears.
#[derive(Debug)]
struct Registration(RefCell<Option<Registered>>);

/// Signals of a forked child, which inherits the handler, are not the parent's: the child has no copy of the socket.
#[derive(Debug)]
struct Registered {
    // Dropped before the handler, which closes the socket.
    mark: Mark,
    id: SigId,
}

impl Registration {
    fn end(&self) {
        let registered = self.0.take();
        if let Some(Registered { mark, id }) = registered {
            drop(mark);
            unregister(id);
        }
    }

    fn is_over(&self) -> bool {
        self.0.borrow().is_none()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where a signal is heard, and what is to be done then.
struct Listener<F> {
    registration: Rc<Registration>,
    socket: ProcessFd,
    task: F,
}

impl<F> AsFd for Listener<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<F: FnMut(&Waitset) -> Outcome + 'static> Listener<F> {
    /// Waits for the next signal.
    fn listen(self, waitset: &Waitset) -> Result<(), (io::Error, Self)> {
        waitset.try_when(self, Interest::Readable, |waitset, listener| {
            // Before the task runs: a signal that comes during it is an event of its own.
            while rustix::io::read(&listener.socket, &mut [0; 64]).is_ok_and(|bytes| bytes > 0) {}
            if listener.registration.is_over() {
                return Ok(());
            }
            let mut turn = Turn { waitset, listener: Some(listener) };
            let outcome =
                turn.listener.as_mut().map_or(Ok(()), |listener| (listener.task)(waitset));
            turn.end()?;
            outcome
        })
    }
}

/// While the task runs. Afterwards the signal is waited for again, also if the task has panicked.
struct Turn<'a, F: FnMut(&Waitset) -> Outcome + 'static> {
    waitset: &'a Waitset,
    listener: Option<Listener<F>>,
}

/// Waits for the next signal; if the kernel refuses for the moment, after a while, and the error is reported each time.
fn listen_on<F: FnMut(&Waitset) -> Outcome + 'static>(
    listener: Listener<F>,
    waitset: &Waitset,
) -> io::Result<()> {
    listener.listen(waitset).map_err(|(error, listener)| {
        waitset.after(RETRY, move |waitset| {
            if listener.registration.is_over() {
                return Ok(());
            }
            Ok(listen_on(listener, waitset)?)
        });
        error
    })
}

impl<F: FnMut(&Waitset) -> Outcome + 'static> Turn<'_, F> {
    fn end(&mut self) -> io::Result<()> {
        match self.listener.take() {
            Some(listener) if !listener.registration.is_over() => listen_on(listener, self.waitset),
            _ => Ok(()),
        }
    }
}

impl<F: FnMut(&Waitset) -> Outcome + 'static> Drop for Turn<'_, F> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "a signal cannot be waited for now; that is tried again");
        }
    }
}

impl Waitset {
    /// Runs `task` whenever the process has got `signal`, instead of the signal's default action.
    ///
    /// It runs from the waitset, as all tasks do, and may do what they may. Signals that come faster than they are
    /// dispatched are one event. Any number of waitsets may wait for one signal; each hears it.
    ///
    /// ```
    /// use flounder_rt::waitset::{UnixSignal, Waitset};
    /// use std::{cell::Cell, rc::Rc};
    /// let (ws, over) = (Waitset::new(), Rc::new(Cell::new(false)));
    /// let theirs = Rc::clone(&over);
    /// ws.on_signal(UnixSignal::Terminate, move |_| { theirs.set(true); Ok(()) })?;
    /// # rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
    /// while !over.get() {
    ///     ws.dispatch()?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the kernel has no descriptors or memory for it.
    pub fn on_signal(
        &self,
        signal: UnixSignal,
        task: impl FnMut(&Self) -> Outcome + 'static,
    ) -> io::Result<SignalWatch> {
        let (socket, handlers) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mark = Mark::new(handlers.as_fd());
        let id = pipe::register(signal.number(), handlers)?;
        let registration = Rc::new(Registration(RefCell::new(Some(Registered { mark, id }))));
        let watch = SignalWatch(Rc::downgrade(&registration));
        let socket = ProcessFd::new(socket.into());
        Listener { registration, socket, task }.listen(self).map_err(|(error, _)| error)?;
        Ok(watch)
    }
}
