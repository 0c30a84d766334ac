//! Futures that wait for a time.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::rc::Rc;
use std::time::Instant;

use crate::waitset::{Timer, Waitset, WeakWaitset};

impl Waitset {
    /// Returns a future that completes `delay` from now. [`Duration::MAX`] and other times beyond the end of the clock mean
    /// that it never completes.
    ///
    /// A timer of the waitset wakes the future, so the waitset has to dispatch. The drop of the future cancels the timer. On
    /// a waitset that closes before, the future never completes.
    ///
    /// ```
    /// use std::time::Duration;
    /// let ws = flounder_rt::Waitset::new();
    /// ws.block_on(ws.sleep(Duration::from_millis(1)))?;
    /// # Ok::<(), flounder_rt::DispatchError>(())
    /// ```
    pub fn sleep(&self, delay: Duration) -> Sleep {
        Sleep { waitset: self.downgrade(), end: Instant::now().checked_add(delay), alarm: None }
    }

    /// Limits `future` to `timeout`, from now. [`Duration::MAX`] and other times beyond the end of the clock mean no limit.
    ///
    /// The future is polled first: one that is ready succeeds, even if the time is over. It is dropped when the time is over.
    ///
    /// # Errors
    /// The output is [`Elapsed`] if the time is over first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use flounder_rt::waitset::Elapsed;
    /// let ws = flounder_rt::Waitset::new();
    /// let never = core::future::pending::<()>();
    /// assert_eq!(ws.block_on(ws.timeout(Duration::from_millis(1), never))?, Err(Elapsed));
    /// # Ok::<(), flounder_rt::DispatchError>(())
    /// ```
    pub fn timeout<F: Future>(&self, timeout: Duration, future: F) -> Limited<F> {
        Limited { future: Some(future), sleep: self.sleep(timeout) }
    }

    /// Limits `future` to the time before `deadline`, like [`timeout`](Self::timeout).
    ///
    /// # Errors
    /// The output is [`Elapsed`] if the time is over first.
    pub fn deadline<F: Future>(&self, deadline: Instant, future: F) -> Limited<F> {
        Limited { future: Some(future), sleep: self.sleep_until(deadline) }
    }

    /// Returns a future that completes at `time`.
    pub(crate) fn sleep_until(&self, time: Instant) -> Sleep {
        Sleep { waitset: self.downgrade(), end: Some(time), alarm: None }
    }
}

/// Future of [`Waitset::sleep`].
#[must_use = "nothing waits before `.await`"]
pub struct Sleep {
    waitset: WeakWaitset,
    /// `None` for ever.
    end: Option<Instant>,
    /// Set by the first poll that has to wait.
    alarm: Option<Alarm>,
}

/// A timer that wakes a future.
struct Alarm {
    /// `None` once it is cancelled.
    timer: Option<Timer>,
    state: Rc<AlarmState>,
}

#[derive(Default)]
struct AlarmState {
    has_fired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Alarm {
    fn new(waitset: &Waitset, end: Instant) -> Self {
        let state = Rc::<AlarmState>::default();
        let theirs = Rc::clone(&state);
        let timer = waitset.at(end, move |_| {
            theirs.has_fired.set(true);
            let waker = theirs.waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
            Ok(())
        });
        Self { timer: Some(timer), state }
    }

    fn listen(&self, waker: &Waker) {
        let known = self.state.waker.borrow().as_ref().is_some_and(|known| known.will_wake(waker));
        if !known {
            // Clones and drops of wakers are code of the program: nothing is borrowed.
            let old = self.state.waker.replace(Some(waker.clone()));
            drop(old);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(end) = self.end else { return Poll::Pending };
        if let Some(alarm) = &self.alarm {
            if alarm.state.has_fired.get() {
                return Poll::Ready(());
            }
            alarm.listen(cx.waker());
            return Poll::Pending;
        }
        if Instant::now() >= end {
            return Poll::Ready(());
        }
        if let Some(waitset) = self.waitset.upgrade() {
            let alarm = Alarm::new(&waitset, end);
            alarm.listen(cx.waker());
            self.alarm = Some(alarm);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("end", &self.end).finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// Future of [`Waitset::timeout`] and [`Waitset::deadline`].
    #[must_use = "nothing runs before `.await`"]
    pub struct Limited<F> {
        // `None` once it is over.
        #[pin]
        future: Option<F>,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(value) = future.poll(cx) {
            this.sleep.alarm = None;
            return Poll::Ready(Ok(value));
        }
        let over = Pin::new(this.sleep).poll(cx);
        over.map(|()| {
            this.future.set(None);
            Err(Elapsed)
        })
    }
}

impl<F> fmt::Debug for Limited<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limited").field("sleep", &self.sleep).finish_non_exhaustive()
    }
}

/// Error of a future that took longer than its limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

crate::debug_as_chain!(Elapsed);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit passed")
    }
}

impl std::error::Error for Elapsed {}

#[cfg(test)]
mod tests {
    use core::future::{pending, ready};

    use super::*;

    const SOON: Duration = Duration::from_millis(2);

    fn has_timers(ws: &Waitset) -> bool {
        !ws.0.timers.borrow().is_empty()
    }

    #[test]
    fn sleep_lasts_as_long_as_it_was_asked_to() {
        let ws = Waitset::new();
        let began = Instant::now();
        ws.block_on(ws.sleep(SOON)).expect("dispatch");
        assert!(began.elapsed() >= SOON);
        ws.block_on(ws.sleep(Duration::ZERO)).expect("dispatch");
        assert!(!has_timers(&ws));
    }

    #[test]
    fn sleeps_end_in_the_order_of_their_times() {
        let ws = Waitset::new();
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks = [3, 1, 2].map(|n| {
            let (sleep, order) = (ws.sleep(SOON * n), Rc::clone(&order));
            ws.spawn_local(async move {
                sleep.await;
                order.borrow_mut().push(n);
            })
        });
        for task in tasks {
            ws.block_on(task).expect("dispatch");
        }
        assert_eq!(*order.borrow(), [1, 2, 3]);
    }

    #[test]
    fn time_counts_from_the_call_and_not_from_the_first_poll() {
        let ws = Waitset::new();
        let sleep = ws.sleep(SOON);
        std::thread::sleep(SOON);
        let noop = &mut Context::from_waker(Waker::noop());
        assert_eq!(core::pin::pin!(sleep).poll(noop), Poll::Ready(()));
    }

    #[test]
    fn dropped_sleep_cancels_its_timer() {
        let ws = Waitset::new();
        let mut sleep = ws.sleep(Duration::from_secs(100));
        let noop = &mut Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut sleep).poll(noop), Poll::Pending);
        assert!(has_timers(&ws));
        drop(sleep);
        assert!(!has_timers(&ws));
    }

    #[test]
    fn timeout_ends_a_pending_future_and_drops_it() {
        let ws = Waitset::new();
        let held = Rc::new(());
        let theirs = Rc::clone(&held);
        let mut limited = Box::pin(ws.timeout(SOON, async move {
            let _held = theirs;
            pending::<()>().await;
        }));
        assert_eq!(ws.block_on(limited.as_mut()).expect("dispatch"), Err(Elapsed));
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn ready_future_needs_no_time() {
        let ws = Waitset::new();
        let now = Instant::now();
        assert_eq!(ws.block_on(ws.timeout(Duration::ZERO, ready(1))).expect("dispatch"), Ok(1));
        assert_eq!(ws.block_on(ws.deadline(now, ready(2))).expect("dispatch"), Ok(2));
        let over = ws.block_on(ws.deadline(now, pending::<()>())).expect("dispatch");
        assert_eq!(over, Err(Elapsed));
        assert!(!has_timers(&ws));
    }

    #[test]
    fn longest_time_means_no_limit() {
        let ws = Waitset::new();
        let noop = &mut Context::from_waker(Waker::noop());
        let mut limited = core::pin::pin!(ws.timeout(Duration::MAX, pending::<()>()));
        assert!(limited.as_mut().poll(noop).is_pending());
        assert!(!has_timers(&ws));
    }

    #[test]
    fn sleep_moves_to_the_task_that_polls_it_last() {
        let ws = Waitset::new();
        let mut sleep = ws.sleep(SOON);
        let noop = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(noop).is_pending());
        ws.block_on(sleep).expect("dispatch");
    }

    #[test]
    fn sleep_does_not_keep_its_waitset() {
        let ws = Waitset::new();
        let mut sleep = ws.sleep(SOON);
        let noop = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(noop).is_pending());
        drop(ws);
        assert!(!sleep.waitset.is_there());
        assert!(Pin::new(&mut sleep).poll(noop).is_pending());
    }
}
