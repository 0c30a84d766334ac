//! A waitset inside of another event loop: one descriptor that is readable unless there is nothing to do.
//!
//! ```text
//!   as_fd() ---> epoll of the host loop's sight
//!                  |-- the waitset's own epoll set      bell, descriptors, what drivers watch
//!                  |-- flag (eventfd)                   up unless the waitset rests
//!                  '-- timer (timerfd)                  the next timer, while it rests
//!
//!                 prepare_wait: armed, asleep, looked once more
//!      [stirred] ----------------------------------------------> [at rest]
//!       flag up  <----------------------------------------------  flag down
//!                 anything that this thread does to the waitset
//! ```
//! At rest, news can come from the kernel, from other threads, and from this thread. The first two arrive in the epoll set,
//! since what is polled is armed and others see the waitset asleep. The third puts the flag up ([`Waitset::wake_host_loop`]): between
//! two waits of the host loop its other tasks may post, send, or even dispatch.
//!
//! The flag is not in the waitset's own set, so a waitset that blocks by itself never sees it.

use core::cell::Cell;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::fork::ProcessFd;
use crate::waitset::Waitset;
use crate::waitset::block::Rest;
use crate::waitset::sleeper::timespec;

/// State of a waitset that a host loop waits for.
pub(crate) struct HostLoop {
    epoll: ProcessFd,
    flag: ProcessFd,
    timer: ProcessFd,
    /// Time to which the timer is set.
    set: Cell<Option<Instant>>,
    /// The flag is down.
    at_rest: Cell<bool>,
}

impl HostLoop {
    fn new(own: BorrowedFd<'_>) -> io::Result<Self> {
        let host_loop = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?.into(),
            flag: eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?.into(),
            timer: timerfd_create(
                TimerfdClockId::Monotonic,
                TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
            )?
            .into(),
            set: Cell::new(None),
            at_rest: Cell::new(false),
        };
        for fd in [own, host_loop.flag.as_fd(), host_loop.timer.as_fd()] {
            epoll::add(&host_loop.epoll, fd, EventData::new_u64(0), EventFlags::IN)?;
        }
        Ok(host_loop)
    }

    /// Takes the flag down, and sets the timer.
    fn rest(&self, until: Option<Instant>) -> io::Result<()> {
        self.set_timer(until)?;
        if !self.at_rest.replace(true) {
            // It is up, so this does not fail; and a flag that stays up costs a wake-up in vain.
            let _ = rustix::io::read(&self.flag, &mut [0_u8; 8]);
        }
        Ok(())
    }

    /// Puts the flag up, if it is down; says whether it was.
    #[cold]
    fn wake(&self) -> bool {
        let rested = self.at_rest.replace(false);
        if rested {
            // Its counter is 0 here: nobody else writes to it.
            let _ = rustix::io::write(&self.flag, &1_u64.to_ne_bytes());
        }
        rested
    }

    fn set_timer(&self, at: Option<Instant>) -> io::Result<()> {
        if self.set.get() == at {
            return Ok(());
        }
        // Zero would switch it off.
        let left =
            |at: Instant| at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let off = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = at.map_or(off, |at| timespec(left(at)));
        // Setting it also forgets that it has fired.
        let value = Itimerspec { it_interval: off, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        self.set.set(at);
        Ok(())
    }
}

impl Waitset {
    /// Prepares for a wait of a host event loop; says whether the loop may wait now.
    ///
    /// The waitset's descriptor ([`AsFd`]) is level-triggered: it is readable, except from a call of this that says `true`
    /// until the next thing that happens to the waitset, whether from the kernel, another thread or process, a timer, or
    /// this thread. So the rule for a loop is: *before each wait prepare; if that says `false`, do not wait (look at
    /// the other descriptors with a timeout of zero); afterwards dispatch.*
    ///
    /// ```
    /// use rustix::event::{PollFd, PollFlags, poll};
    /// let ws = flounder_rt::Waitset::new();
    /// let remote = ws.remote();
    /// std::thread::spawn(move || remote.post(|_| { println!("from another thread"); Ok(()) }));
    /// let mut events = 0;
    /// while events == 0 {
    ///     if ws.prepare_wait()? {
    ///         // Any loop: epoll, poll, select, io_uring, one of a library; together with descriptors of its own.
    ///         poll(&mut [PollFd::new(&ws, PollFlags::IN)], None)?;
    ///     }
    ///     while ws.try_dispatch()? {
    ///         events += 1;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Edge-triggered loops may use the same rule: when this says `true`, nothing is left that has made an edge already.
    /// A loop that forgets to call this spins, and loses nothing.
    ///
    /// What it costs: three more descriptors for the waitset, from the first call on; and no polling before the wait, as
    /// [`dispatch`](Self::dispatch) does for its spin time. A waitset that has an
    /// [`EventChannel`](crate::waitset::EventChannel) with a poll function never rests: the answer is always `false`.
    ///
    /// # Errors
    /// If the kernel has no descriptors or memory for it; the descriptor, if there is one, is readable then. If the waitset is
    /// closed or the parent's, see [`DispatchError`](crate::DispatchError).
    pub fn prepare_wait(&self) -> io::Result<bool> {
        self.usable()?;
        let host_loop = self.host_loop()?;
        self.trim_sources();
        let timer = self.0.timers.borrow_mut().next();
        let is_due = timer.is_some_and(|at| at <= Instant::now());
        let rest = if is_due || !self.is_quiet() { Rest::News } else { self.rest() };
        let (Rest::Asleep(limit), true) = (rest, self.0.remote.sleep()) else {
            host_loop.wake();
            self.0.remote.awake();
            return Ok(false);
        };
        let timer = [timer, limit, self.0.trim_at.get()].into_iter().flatten().min();
        // Events that came before are fetched here, so that each after is one that a loop waits for; and what drivers have
        // had watched is watched again.
        let looked =
            host_loop.rest(timer).and_then(|()| self.wait_for_descriptors(Some(Duration::ZERO)));
        if let Ok(false) = looked {
            return Ok(true);
        }
        host_loop.wake();
        self.0.remote.awake();
        looked?;
        self.take_found()?;
        Ok(false)
    }

    /// This thread has changed something, or looks for itself: a host loop must not go on waiting.
    #[inline]
    pub(crate) fn wake_host_loop(&self) {
        if let Some(host_loop) = self.0.host_loop.get()
            && host_loop.wake()
        {
            self.0.remote.awake();
        }
    }

    fn host_loop(&self) -> io::Result<&HostLoop> {
        if let Some(host_loop) = self.0.host_loop.get() {
            return Ok(host_loop);
        }
        let made = self.with_sleeper(|sleeper| HostLoop::new(sleeper.epoll.as_fd()))?;
        Ok(self.0.host_loop.get_or_init(|| made))
    }
}

/// For a host event loop: see [`prepare_wait`](Waitset::prepare_wait). It is the same descriptor for as long as the
/// waitset lives.
///
/// # Panics
/// If the kernel has no descriptors for it. After a `prepare_wait` that did not fail it is there.
impl AsFd for Waitset {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let host_loop =
            self.host_loop().expect("there are descriptors left, or `prepare_wait` was called");
        host_loop.epoll.as_fd()
    }
}

/// For libraries that ask for a number. It is that of [`AsFd`]: the same, and open, for as long as there is a clone of the
/// waitset.
impl AsRawFd for Waitset {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
