//! The part of a shared binding in the thread of its waitset: a source of the waitset, which sends what
//! other threads have queued and distributes the replies.

use core::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use crate::binding::connection::Message;
use crate::binding::shell::Shell;
use crate::binding::threading::{LeftMessage, OneThread};
use crate::binding::{BindingError, RawBinding, RpcError};
use crate::exit;
use crate::notify::{Gone, Notifier};
use crate::waitset::{Source, Timer, Turned, Waitset};

use super::jobs::Jobs;
use super::{HandleEvent, Link, Server, ServingThread};

/// Serves the handles that other threads have of a binding, which owns it.
pub(in crate::binding) struct SharedServer {
    shell: Weak<Shell>,
    jobs: Jobs<OneThread>,
    /// Keeps the binding while there are handles in other threads.
    raw: Cell<Option<RawBinding>>,
    /// Token in the waitset.
    token: Cell<u64>,
    /// Fires when the first alarm is due.
    timer: Cell<Option<Timer>>,
}

struct Nudge(Notifier);

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

impl SharedServer {
    /// Returns the server of a binding, which is created at the first call.
    pub(super) fn of(raw: &RawBinding) -> Rc<Self> {
        let shell = raw.shell();
        let server = shell.own.shared.get_or_init(|| Self::new(shell));
        let ended = shell.io.borrow().connection.ended().cloned();
        match &ended {
            Some(why) => {
                server.end(why);
                server.link().note_closed(shell.close_result());
            }
            None => {
                // All handles in other threads count as one handle of this thread.
                let kept = server.raw.take().unwrap_or_else(|| raw.clone());
                server.raw.set(Some(kept));
            }
        }
        Rc::clone(server)
    }

    /// Has the thread of the binding look when other threads have news about its pools.
    pub(in crate::binding) fn watch_pools(shell: &Rc<Shell>) {
        shell.own.shared.get_or_init(|| Self::new(shell));
    }

    fn new(shell: &Rc<Shell>) -> Rc<Self> {
        let notifier = Notifier::new();
        let server = Server::Thread(ServingThread::here(notifier.clone()));
        let mail = shell.own.mail.get().cloned();
        let (peer, bulk) = (shell.peer.clone(), shell.pools().cloned());
        let link = Link::new(server, shell.interface, shell.driver, peer, mail, bulk);
        let link = Arc::new(link);
        if let Some(bulk) = &link.bulk {
            let link = Arc::downgrade(&link);
            bulk.tell_by(move || {
                if let Some(link) = link.upgrade().filter(|link| link.born.is_here()) {
                    link.notify(link.job_queue.report(HandleEvent::BulkNews));
                }
            });
        }
        let server = Rc::new(Self {
            shell: Rc::downgrade(shell),
            jobs: Jobs::new(link, Arc::new(Nudge(notifier)).into()),
            raw: Cell::new(None),
            token: Cell::new(u64::MAX),
            timer: Cell::default(),
        });
        if let Some(waitset) = shell.waitset() {
            server.attach(&waitset);
        }
        let link = Arc::downgrade(server.link());
        exit::wait_for(link);
        server
    }

    pub(in crate::binding) const fn link(&self) -> &Arc<Link> {
        self.jobs.link()
    }

    /// Registers with a waitset.
    pub(in crate::binding) fn attach(self: &Rc<Self>, waitset: &Waitset) {
        let token = waitset.insert_idle(Rc::clone(self) as Rc<dyn Source>);
        self.token.set(token);
        self.link().retarget(waitset, token);
        waitset.poke(token);
        self.look_at_the_clock(waitset);
    }

    /// Unregisters from a waitset.
    pub(in crate::binding) fn detach(&self, waitset: &Waitset) {
        waitset.remove(self.token.get(), None);
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }

    /// Wakes the calls whose deadline has passed, and sets a timer for the next deadline.
    fn look_at_the_clock(self: &Rc<Self>, waitset: &Waitset) {
        let now = Instant::now();
        let next = self.link().alarms.look(now);
        let timer = next.map(|next| {
            let server = Rc::downgrade(self);
            waitset.after(next.saturating_duration_since(now), move |waitset| {
                if let Some(server) = server.upgrade() {
                    server.look_at_the_clock(waitset);
                }
                Ok(())
            })
        });
        if let Some(old) = self.timer.replace(timer) {
            old.cancel();
        }
    }

    /// Settles a call. `result` is not called if the call was given up.
    pub(in crate::binding) fn settle(
        &self,
        id: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    ) {
        if let Some(shell) = self.shell.upgrade() {
            self.jobs.settle(&shell, id, result);
        }
    }

    /// The binding has ended: every call ends with an error.
    pub(in crate::binding) fn end(&self, why: &BindingError) {
        self.link().detach();
        if let Some(waitset) = self.shell.upgrade().and_then(|shell| shell.waitset()) {
            self.detach(&waitset);
        }
        self.jobs.end(why);
        drop(self.raw.take());
    }

    /// Closes the queue, and returns the messages in it.
    pub(in crate::binding) fn take_messages(&self, why: &BindingError) -> Vec<LeftMessage> {
        self.jobs.take_messages(why)
    }
}

impl Source for SharedServer {
    fn turn(&self) -> Turned {
        let Some(shell) = self.shell.upgrade() else { return Turned::Nothing };
        if self.link().alarms.take_new()
            && let (Some(server), Some(waitset)) = (shell.own.shared.get(), shell.waitset())
        {
            server.look_at_the_clock(&waitset);
        }
        let served = self.jobs.serve(&shell);
        if served.is_unused && self.jobs.release(&shell) {
            drop(self.raw.take());
        }
        Turned::of(served.done > 0)
    }

    fn ready(&self) -> bool {
        self.jobs.has_held()
    }

    fn arm(&self) -> bool {
        true
    }

    fn disarm(&self) {}

    fn is_polled(&self) -> bool {
        false
    }

    fn peer_gone(&self, _gone: Gone) {}

    fn abandoned(&self) {
        // The binding is a source of the same waitset, and ends this with itself.
    }
}
