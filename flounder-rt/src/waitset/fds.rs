//! Descriptors of the user in a waitset.

use core::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use crate::waitset::{Outcome, Source, Task, Waitset};

/// What to wait for on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Readable,
    /// Room to write, or the end.
    Writable,
}

/// A descriptor that waits for its event.
struct Waiting {
    waitset: super::WeakWaitset,
    token: Cell<u64>,
    task: Cell<Option<Task>>,
}

impl Source for Waiting {
    fn turn(&self) -> bool {
        let (Some(task), Some(waitset)) = (self.task.take(), self.waitset.upgrade()) else {
            return false;
        };
        waitset.remove(self.token.get(), None);
        waitset.post(task);
        false
    }

    fn ready(&self) -> bool {
        false
    }

    fn arm(&self) -> bool {
        true
    }

    fn disarm(&self) {}

    fn is_polled(&self) -> bool {
        false
    }

    fn peer_died(&self) {}
    fn abandoned(&self) {}
}

impl Waitset {
    /// Runs `task` once when `fd` is as wanted, and gives the descriptor back to it.
    ///
    /// ```
    /// use flounder_rt::waitset::{Interest, Waitset};
    /// use std::io::{Read, Write};
    /// let (mut ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    /// let ws = Waitset::new();
    /// ws.when(theirs, Interest::Readable, |_, mut fd| {
    ///     let mut byte = [0];
    ///     fd.read_exact(&mut byte)?;
    ///     Ok(())
    /// })?;
    /// ours.write_all(b"x")?;
    /// ws.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the kernel cannot watch the descriptor (a regular file, or no memory).
    pub fn when<F: AsFd + 'static>(
        &self,
        fd: F,
        interest: Interest,
        task: impl FnOnce(&Self, F) -> Outcome + 'static,
    ) -> io::Result<()> {
        let flags = match interest {
            Interest::Readable => EventFlags::IN | EventFlags::RDHUP,
            Interest::Writable => EventFlags::OUT,
        };
        let source = Rc::new(Waiting {
            waitset: self.downgrade(),
            token: Cell::new(0),
            task: Cell::new(None),
        });
        let token = self.0.queues.borrow_mut().insert(Rc::clone(&source) as Rc<dyn Source>);
        source.token.set(token);
        if let Err(error) = self.with_sleeper(|sleeper| sleeper.add_once(fd.as_fd(), token, flags))
        {
            self.remove(token, None);
            return Err(error);
        }
        source.task.set(Some(Box::new(move |waitset| {
            if let Some(sleeper) = &*waitset.0.sleeper.borrow() {
                sleeper.remove(fd.as_fd());
            }
            task(waitset, fd)
        })));
        Ok(())
    }
}
