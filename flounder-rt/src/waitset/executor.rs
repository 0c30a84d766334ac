//! Futures on a waitset. The tasks are those of the crate `async-task`; the waitset is their run queue.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread;

use crate::waitset::queues::Item;
use crate::waitset::{DispatchError, Remote, Visit, Waitset};

/// Wakes a blocked `block_on`.
pub(super) struct Flag {
    /// Written by its own thread alone.
    here: AtomicBool,
    elsewhere: AtomicBool,
    remote: Arc<Remote>,
    home: usize,
}

thread_local! {
    static HERE: u8 = const { 0 };
}

/// A number that no other living thread has: cheaper than its id, which is counted in and out.
fn here() -> usize {
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

impl Flag {
    /// Clears the flag; says whether it was set. No atomic operation that writes unless another thread has set it.
    #[inline]
    fn take(&self) -> bool {
        if self.here.load(Ordering::Relaxed) {
            self.here.store(false, Ordering::Relaxed);
            return true;
        }
        self.elsewhere.load(Ordering::Relaxed) && self.elsewhere.swap(false, Ordering::Acquire)
    }

    #[inline]
    fn is_set(&self) -> bool {
        self.here.load(Ordering::Relaxed) || self.elsewhere.load(Ordering::Relaxed)
    }

    fn set_here(&self) {
        self.here.store(true, Ordering::Relaxed);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whatever happens on its own thread, `block_on` looks afterwards.
        if here() == self.home {
            return self.set_here();
        }
        // SYNC block-on: pairs with the Acquire swap in `take`; what the waker's thread did before is seen there. If it was
        // woken already, whoever did it posts, or `block_on` is about to look anyway.
        if !self.elsewhere.swap(true, Ordering::AcqRel) {
            self.remote.post(|_| Ok(()));
        }
    }
}

impl Waitset {
    /// Dispatches until `future` is ready, and gives its value.
    ///
    /// # Errors
    /// What an event's callback returned meanwhile; the future is dropped then.
    #[inline]
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, DispatchError> {
        let (mut future, mut value) = (pin!(future), None);
        self.poll_until(&mut |context| match future.as_mut().poll(context) {
            Poll::Ready(ready) => {
                value = Some(ready);
                true
            }
            Poll::Pending => false,
        })?;
        Ok(value.expect("it is ready"))
    }

    /// Dispatches until `poll` says that it is done; it is polled at first, and whenever it was woken.
    fn poll_until(
        &self,
        poll: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> Result<(), DispatchError> {
        // Only one that is called from within another finds none, after the first.
        let (flag, waker) = self.0.flag.take().unwrap_or_else(|| {
            let (remote, home) = (self.remote(), here());
            let flag = Flag { here: false.into(), elsewhere: false.into(), remote, home };
            let flag = Arc::new(flag);
            let waker = Waker::from(Arc::clone(&flag));
            (flag, waker)
        });
        // A waker that is left from the last future wakes this one in vain, and so do we now.
        flag.set_here();
        let mut context = Context::from_waker(&waker);
        let result = loop {
            if flag.take() && poll(&mut context) {
                break Ok(());
            }
            // A future that wakes itself at once lets the others in first.
            match self.step() {
                Ok(true) => {}
                Ok(false) if flag.is_set() => {}
                Ok(false) => {
                    if let Err(error) = self.block(None, Visit::Run) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.0.flag.set(Some((flag, waker)));
        result
    }

    /// Runs `future` from the waitset's dispatch. Dropping the task cancels it; `detach` lets it go on alone.
    ///
    /// A future that is woken from another thread after its waitset is gone is leaked: it may be dropped on this thread
    /// only, and nothing runs here any more.
    pub fn spawn_local<F>(&self, future: F) -> async_task::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let remote = self.remote();
        let home = thread::current().id();
        let schedule = move |runnable: async_task::Runnable| {
            if let Some(waitset) = Self::local(&remote) {
                waitset.0.queues.borrow_mut().pending.push_back(Item::Runnable(runnable));
                waitset.stir();
                return;
            }
            let refused = remote.offer(Box::new(|_| {
                runnable.run();
                Ok(())
            }));
            if let Err(task) = refused
                && thread::current().id() != home
            {
                core::mem::forget(task);
            }
        };
        let (runnable, task) = async_task::spawn_local(future, schedule);
        runnable.schedule();
        task
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_local_task_and_block_on_share_the_waitset() {
        let ws = Waitset::new();
        let hits = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&hits);
        let task = ws.spawn_local(async move {
            theirs.set(theirs.get() + 1);
            7
        });
        assert_eq!(ws.block_on(task).expect("no callback fails"), 7);
        assert_eq!(hits.get(), 1);
    }
}
