//! Waiting within the monitor's thread: for a condition, for the first of several, with a deadline.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::rc::Rc;
use std::time::Instant;

use flounder_rt::Waitset;

/// Wakes those who wait for a condition to be looked at again.
#[derive(Debug, Default)]
pub(crate) struct Signal(RefCell<Vec<Waker>>);

impl Signal {
    /// Something has changed.
    pub(crate) fn raise(&self) {
        let wakers = self.0.take();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `look` finds something. It is asked at once, and whenever the signal is raised.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        poll_fn(|cx| match look() {
            Some(found) => Poll::Ready(found),
            None => {
                self.0.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

/// `future`'s value, unless `delay` passes before.
pub(crate) fn within<F: Future>(
    waitset: &Waitset,
    delay: Duration,
    future: F,
) -> impl Future<Output = Option<F::Output>> {
    // An `async fn` would hold its arguments twice, and nested ones double with each level: the thread's stack is small.
    let future = Box::pin(future);
    async move {
        let passed = Rc::new(Cell::new(false));
        let signal = Rc::new(Signal::default());
        let (theirs, ring) = (Rc::clone(&passed), Rc::clone(&signal));
        let timer = waitset.after(delay, move |_| {
            theirs.set(true);
            ring.raise();
            Ok(())
        });
        let _cancel = Cancel(Some(timer));
        first(future, signal.until(|| passed.get().then_some(()))).await
    }
}

/// Waits for this long.
pub(crate) async fn sleep(waitset: &Waitset, delay: Duration) {
    within(waitset, delay, core::future::pending::<()>()).await;
}

/// How long a process may say nothing before it counts as stuck.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);

/// Parts of that time; each must pass on time.
const PARTS: u32 = 4;

/// `future`'s value, unless it takes longer than [`SILENCE`]. Time in which this process did not run itself does not count:
/// it may have been stopped, or the machine have too much to do.
pub(crate) fn unless_silent<F: Future>(
    waitset: &Waitset,
    future: F,
) -> impl Future<Output = Option<F::Output>> {
    let mut future = Box::pin(future);
    async move {
        let part = SILENCE / PARTS;
        let mut passed = 0;
        while passed < PARTS {
            let began = Instant::now();
            if let Some(value) = within(waitset, part, future.as_mut()).await {
                return Some(value);
            }
            passed = if began.elapsed() < part * 2 { passed + 1 } else { 0 };
        }
        None
    }
}

/// `future`'s value, unless `end` completes before.
pub(crate) fn first<F: Future>(
    future: F,
    end: impl Future<Output = ()>,
) -> impl Future<Output = Option<F::Output>> {
    let (mut future, mut end) = (Box::pin(future), Box::pin(end));
    poll_fn(move |cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        end.as_mut().poll(cx).map(|()| None)
    })
}

/// Cancels a timer when the wait ends, however it ends.
struct Cancel(Option<flounder_rt::waitset::Timer>);

impl Drop for Cancel {
    fn drop(&mut self) {
        if let Some(timer) = self.0.take() {
            timer.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_ends_what_never_does() {
        let ws = Waitset::new();
        let wait = within(&ws, Duration::from_millis(2), core::future::pending::<()>());
        assert_eq!(ws.block_on(wait).expect("no callback fails"), None);
    }

    #[test]
    fn what_is_ready_needs_no_deadline() {
        let ws = Waitset::new();
        let wait = within(&ws, Duration::from_secs(100), async { 3 });
        assert_eq!(ws.block_on(wait).expect("no callback fails"), Some(3));
    }

    #[test]
    fn a_signal_has_its_condition_looked_at() {
        let ws = Waitset::new();
        let (signal, flag) = (Rc::new(Signal::default()), Rc::new(Cell::new(false)));
        let (theirs, set) = (Rc::clone(&signal), Rc::clone(&flag));
        ws.post(move |_| {
            theirs.raise();
            set.set(true);
            theirs.raise();
            Ok(())
        });
        ws.block_on(signal.until(|| flag.get().then_some(()))).expect("no callback fails");
    }
}
