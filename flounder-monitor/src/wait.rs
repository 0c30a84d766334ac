//! Futures of the monitor's thread that wait for a condition, for a root that may be stuck, or until they are cancelled.

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::time::Instant;

use flounder_rt::Waitset;

/// Wakes futures that wait for a condition, so that they check it again.
#[derive(Debug, Default)]
pub(crate) struct ChangeNotifier(RefCell<Vec<Waker>>);

impl ChangeNotifier {
    /// Wakes all waiting futures.
    pub(crate) fn notify_all(&self) {
        let wakers = self.0.take();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `look` returns a value. `look` runs at once, and after each
    /// [`notify_all`](Self::notify_all).
    pub(crate) async fn wait_for<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
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

/// Time without an answer after which a root counts as stuck.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Number of parts of [`RESPONSE_TIMEOUT`]; each must pass on time.
const TIMEOUT_PARTS: u32 = 4;

/// Returns the value of `future`, or `None` if it takes longer than [`RESPONSE_TIMEOUT`]. Time in
/// which this process did not run does not count: it may have been stopped, or the machine be
/// overloaded.
pub(crate) fn within_response_timeout<F: Future>(
    waitset: &Waitset,
    future: F,
) -> impl Future<Output = Option<F::Output>> {
    within_response_timeout_while(waitset, || true, future)
}

/// Like [`within_response_timeout`]; also returns `None` soon after `condition` has become false.
pub(crate) fn within_response_timeout_while<F: Future>(
    waitset: &Waitset,
    condition: impl Fn() -> bool,
    future: F,
) -> impl Future<Output = Option<F::Output>> {
    let mut future = Box::pin(future);
    async move {
        let part = RESPONSE_TIMEOUT / TIMEOUT_PARTS;
        let mut passed = 0;
        while passed < TIMEOUT_PARTS && condition() {
            let began = Instant::now();
            if let Ok(value) = waitset.timeout(part, future.as_mut()).await {
                return Some(value);
            }
            passed = if began.elapsed() < part * 2 { passed + 1 } else { 0 };
        }
        None
    }
}

/// Returns the value of `future`, or `None` if `end` completes first.
pub(crate) fn until_cancelled<F: Future>(
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

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn notify_all_checks_the_condition_again() {
        let ws = Waitset::new();
        let (signal, flag) = (Rc::new(ChangeNotifier::default()), Rc::new(Cell::new(false)));
        let (theirs, set) = (Rc::clone(&signal), Rc::clone(&flag));
        ws.post(move |_| {
            theirs.notify_all();
            set.set(true);
            theirs.notify_all();
            Ok(())
        });
        ws.block_on(signal.wait_for(|| flag.get().then_some(()))).expect("dispatch");
    }
}
