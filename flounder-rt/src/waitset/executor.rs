//! Futures on a waitset. The tasks are those of the crate `async-task`; the waitset is their run queue.

use core::cell::RefCell;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Wake;
use std::thread;

use crate::waitset::queues::Item;
use crate::waitset::{DispatchError, Inner, Remote, Visit, Waitset};

/// Bytes of a future that is not moved about.
const LARGE: usize = 1024;

/// Wakes a blocked `block_on`.
pub(super) struct WakeFlag {
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

impl WakeFlag {
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
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whatever happens on its own thread, `block_on` looks afterwards.
        if here() == self.home {
            return self.here.store(true, Ordering::Relaxed);
        }
        // SYNC block-on: pairs with the Acquire swap in `take`; what the waker's thread did before is seen there. If it was
        // woken already, whoever did it posts, or `block_on` is about to look anyway.
        if !self.elsewhere.swap(true, Ordering::AcqRel) {
            self.remote.post(|_| Ok(()));
        }
    }
}

/// What is kept for the next `block_on`.
pub(super) struct CachedWaker {
    flag: Arc<WakeFlag>,
    waker: Waker,
}

/// What a `block_on` waits with.
struct Runner<'a> {
    waitset: &'a Waitset,
    /// Until it is put back.
    cached_waker: Option<Rc<CachedWaker>>,
}

impl<'a> Runner<'a> {
    fn new(waitset: &'a Waitset) -> Self {
        // Only one that is called from within another finds none, after the first.
        let cached_waker = waitset.0.cached_waker.take().unwrap_or_else(|| {
            let (remote, home) = (waitset.remote(), here());
            let flag = WakeFlag { here: false.into(), elsewhere: false.into(), remote, home };
            let flag = Arc::new(flag);
            Rc::new(CachedWaker { waker: Waker::from(Arc::clone(&flag)), flag })
        });
        Self { waitset, cached_waker: Some(cached_waker) }
    }

    fn cached_waker(&self) -> &CachedWaker {
        self.cached_waker.as_ref().expect("it is put back at the end")
    }

    /// Dispatches until the future was woken.
    fn wait(&self) -> Result<(), DispatchError> {
        let flag = &self.cached_waker().flag;
        loop {
            // A future that wakes itself at once lets the others in first.
            if !self.waitset.step()? && !flag.is_set() {
                self.waitset.block(None, Visit::Run)?;
            }
            // A waker that is left from the last future wakes this one in vain.
            if flag.take() {
                return Ok(());
            }
        }
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.waitset.0.cached_waker.set(self.cached_waker.take());
    }
}

/// The wakers of all futures that were spawned on a waitset and are not over: whoever else could wake one may be in another
/// thread, and keep it for ever.
#[derive(Default)]
pub(super) struct Tasks(RefCell<Slots>);

#[derive(Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// The place of a future, which it gives up when it is dropped.
struct TaskEntry {
    waitset: Weak<Inner>,
    id: usize,
}

pin_project_lite::pin_project! {
    /// A future with its place among the tasks.
    struct Tracked<F> {
        #[pin]
        future: F,
        _entry: TaskEntry,
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl Tasks {
    fn reserve(&self, waitset: &Waitset) -> TaskEntry {
        let slots = &mut *self.0.borrow_mut();
        let id = slots.free.pop().unwrap_or_else(|| {
            slots.wakers.push(None);
            slots.wakers.len() - 1
        });
        TaskEntry { waitset: Rc::downgrade(&waitset.0), id }
    }

    fn fill(&self, id: usize, waker: Waker) {
        self.0.borrow_mut().wakers[id] = Some(waker);
    }

    fn release(&self, id: usize) {
        let waker = {
            let slots = &mut *self.0.borrow_mut();
            slots.free.push(id);
            slots.wakers[id].take()
        };
        drop(waker);
    }

    /// Drops the futures: the waitset is closed, so that each that is woken is refused, and dropped here.
    pub(super) fn cancel_all(&self) {
        let wakers: Vec<_> = match self.0.try_borrow_mut() {
            Ok(mut slots) => slots.wakers.iter_mut().filter_map(Option::take).collect(),
            Err(_) => return,
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for TaskEntry {
    fn drop(&mut self) {
        if let Some(inner) = self.waitset.upgrade() {
            inner.tasks.release(self.id);
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
        let mut future = pin!(future);
        let runner = Runner::new(self);
        let mut context = Context::from_waker(&runner.cached_waker().waker);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return Ok(value);
            }
            runner.wait()?;
        }
    }

    /// Runs `future` from the waitset's dispatch. Dropping the task cancels it; `detach` lets it go on alone.
    ///
    /// The future is dropped on this thread: when it is ready, when it is cancelled, or with the waitset.
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
                waitset.wake_host_loop();
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
        let entry = self.0.tasks.reserve(self);
        let id = entry.id;
        // A large future is moved once, into memory of its own: this may be a thread with a small stack.
        let (runnable, task) = if size_of::<F>() > LARGE {
            let future = Tracked { future: Box::pin(future), _entry: entry };
            async_task::spawn_local(future, schedule)
        } else {
            async_task::spawn_local(Tracked { future, _entry: entry }, schedule)
        };
        self.0.tasks.fill(id, runnable.waker());
        runnable.schedule();
        task
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

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
