//! Descriptors of the user in a waitset.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use crate::waitset::{Outcome, Waitset};

/// Event of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Readable,
    /// Room to write, or the end.
    Writable,
}

impl Interest {
    pub(crate) const fn flags(self) -> EventFlags {
        match self {
            Self::Readable => EventFlags::IN.union(EventFlags::RDHUP),
            Self::Writable => EventFlags::OUT,
        }
    }
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
    /// If the kernel cannot watch the descriptor (a regular file, one that is waited for already, or no memory). The
    /// descriptor is closed then.
    pub fn when<F: AsFd + 'static>(
        &self,
        fd: F,
        interest: Interest,
        task: impl FnOnce(&Self, F) -> Outcome + 'static,
    ) -> io::Result<()> {
        self.try_when(fd, interest, task).map_err(|(error, _)| error)
    }

    /// As [`when`](Self::when), but gives the descriptor back if it cannot be watched.
    pub(crate) fn try_when<F: AsFd + 'static>(
        &self,
        fd: F,
        interest: Interest,
        task: impl FnOnce(&Self, F) -> Outcome + 'static,
    ) -> Result<(), (io::Error, F)> {
        if let Err(error) = self.usable() {
            return Err((error.into(), fd));
        }
        let fd = Rc::new(fd);
        let theirs = Rc::clone(&fd);
        let token = self.0.queues.borrow_mut().insert_once(Box::new(move |waitset| {
            // What tells the descriptor is code of the program: nothing is borrowed.
            let number = theirs.as_fd();
            if let Some(sleeper) = &*waitset.0.sleeper.borrow() {
                sleeper.epoll.remove(number);
            }
            let fd = Rc::into_inner(theirs).expect("`try_when` has dropped its copy");
            task(waitset, fd)
        }));
        let number = fd.as_fd();
        let added =
            self.with_sleeper(|sleeper| sleeper.epoll.add_once(number, token, interest.flags()));
        let Err(error) = added else { return Ok(()) };
        self.remove(token, None);
        Err((error, Rc::into_inner(fd).expect("the task and its copy are dropped")))
    }
}
