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

use crate::waitset::block::Visit;
use crate::waitset::queues::Item;
use crate::waitset::{DispatchError, Inner, Remote, Waitset};

/// Size in bytes above which a future is moved once, into memory of its own.
const LARGE: usize = 1024;

/// The flag that a waker sets to end the wait of `block_on`.
pub(super) struct WakeFlag {
    /// Set by wakers on the thread of `block_on`; no other thread writes it.
    here: AtomicBool,
    /// Set by wakers on other threads.
    elsewhere: AtomicBool,
    remote: Arc<Remote>,
    /// The thread of `block_on`, as [`thread_number`] returns it.
    thread: usize,
}

thread_local! {
    /// Its address is the number of the thread.
    static MARK: u8 = const { 0 };
}

/// Returns a number that no other living thread has. Cheaper than the thread id, whose handle has a
/// reference count.
fn thread_number() -> usize {
    MARK.with(|mark| core::ptr::from_ref(mark).addr())
}

impl WakeFlag {
    /// Clears the flag, and returns true if it was set. Does no atomic write unless another thread
    /// has set it.
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
        // `block_on` looks at the flag after everything that runs on its own thread.
        if thread_number() == self.thread {
            return self.here.store(true, Ordering::Relaxed);
        }
        // SYNC block-on: pairs with the Acquire swap in `take`, which sees what this thread did
        // before. If the flag was set already, the thread that set it posts, or `block_on` is about
        // to look.
        if !self.elsewhere.swap(true, Ordering::AcqRel) {
            self.remote.post(|_| Ok(()));
        }
    }
}

/// A flag with its waker, kept for the next `block_on`: creating them takes two allocations.
pub(super) struct CachedWaker {
    flag: Arc<WakeFlag>,
    waker: Waker,
}

/// The wait of one `block_on`.
struct Runner<'a> {
    waitset: &'a Waitset,
    /// `None` once the drop has put it back.
    cached_waker: Option<Rc<CachedWaker>>,
}

impl<'a> Runner<'a> {
    fn new(waitset: &'a Waitset) -> Self {
        // After the first `block_on`, only one inside of another finds none.
        let cached_waker = waitset.0.cached_waker.take().unwrap_or_else(|| {
            let (remote, thread) = (waitset.remote(), thread_number());
            let flag = WakeFlag { here: false.into(), elsewhere: false.into(), remote, thread };
            let flag = Arc::new(flag);
            Rc::new(CachedWaker { waker: Waker::from(Arc::clone(&flag)), flag })
        });
        Self { waitset, cached_waker: Some(cached_waker) }
    }

    fn cached_waker(&self) -> &CachedWaker {
        self.cached_waker.as_ref().expect("only the drop puts it back")
    }

    /// Dispatches until the future is woken.
    fn wait(&self) -> Result<(), DispatchError> {
        let flag = &self.cached_waker().flag;
        let mut is_woken = || flag.is_set();
        loop {
            // A future that wakes itself at once lets other events run first.
            if !self.waitset.step(Some(&mut is_woken))? && !flag.is_set() {
                self.waitset.block(None, &mut Visit::Run(Some(&mut is_woken)))?;
            }
            // A waker of an earlier future may set the flag: the future is then polled in vain.
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

/// Wakers of all futures that were spawned on a waitset and have not ended. Any other waker may be
/// in another thread, which may keep it for ever.
#[derive(Default)]
pub(super) struct Tasks(RefCell<Slots>);

#[derive(Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// The slot of a future in [`Tasks`]; the drop releases it.
struct TaskEntry {
    waitset: Weak<Inner>,
    id: usize,
}

pin_project_lite::pin_project! {
    /// A future with its slot.
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

    /// Drops the futures: the waitset is closed, so a woken future is refused, and dropped here.
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
    /// Dispatches until `future` is ready, and returns its value.
    ///
    /// # Errors
    /// [`DispatchError::Callback`] if the callback of an event fails meanwhile, and the other
    /// errors of [`dispatch`](Self::dispatch). The future is dropped then.
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
                waitset.0.queues.borrow_mut().push(Item::Runnable(runnable));
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
    fn local_task_runs_inside_block_on() {
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
