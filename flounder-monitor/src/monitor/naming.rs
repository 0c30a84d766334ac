//! Publishing and naming of services, and lookups, at the root.

use core::cell::Cell;
use std::collections::{HashSet, hash_map};
use std::rc::Rc;

use flounder_rt::{Call, Iref, RpcError, log_limited};

use crate::accounts::limit_from_wire;
use crate::directory::{choice, root_lock};
use crate::error::MonitorError;
use crate::limit::Progress;
use crate::monitor::Monitor;
use crate::monitor::membership::{Membership, MessageToRoot};
use crate::name::{
    Awaited, Entry, InvalidName, LostName, MAX_NAME, RequestError, ResolvedName, is_name,
};
use crate::prefix::prefix;
use crate::process::{id_from_wire, pid_from_wire};
use crate::protocol::monitor::{PublishReply, RpcClient, Verdict};
use crate::root_location::RootLocation;
use crate::{oneshot, services};

impl Monitor {
    /// Makes a service reachable from other domains, also with later roots.
    pub(crate) async fn publish(&self, iref: Iref) -> Result<(), RequestError> {
        if services::find(iref).is_none() {
            return Err(RequestError::NoService);
        }
        if self.published.borrow().contains(&iref) {
            return Ok(());
        }
        self.publishing.borrow_mut().insert(iref);
        let (verdict, limit) = self.call_root(|root| publish_call(root, iref)).await?;
        match verdict {
            Verdict::Ok => {
                if services::find(iref).is_none() {
                    // Withdrawn meanwhile, perhaps before the root knew the service.
                    self.send_to_root(MessageToRoot::Withdraw(iref));
                    return Err(RequestError::NoService);
                }
                self.publishing.borrow_mut().remove(&iref);
                self.published.borrow_mut().insert(iref);
                Ok(())
            }
            verdict => Err(refused(verdict, limit)),
        }
    }

    /// Publishes a service again, with a new root. Forgets the service if it is gone.
    pub(super) async fn publish_over(&self, root: &RpcClient, iref: Iref) -> Result<(), RpcError> {
        if services::find(iref).is_none() {
            self.published.borrow_mut().remove(&iref);
            return Ok(());
        }
        let (verdict, _) = publish_call(root, iref).await?;
        if verdict != Verdict::Ok {
            log_limited!(warn, %iref, ?verdict, "a service could not be published again");
            self.published.borrow_mut().remove(&iref);
        }
        Ok(())
    }

    /// Withdraws a service that is gone.
    pub(crate) fn withdraw(&self, iref: Iref) {
        let is_known = self.published.borrow_mut().remove(&iref);
        let may_be_known = self.publishing.borrow_mut().remove(&iref);
        if !is_known && !may_be_known {
            return;
        }
        self.names.borrow_mut().retain(|_, named| *named != iref);
        self.changed.notify_all();
        self.send_to_root(MessageToRoot::Withdraw(iref));
    }

    /// Registers a name for a service of this process. If dropped, the name is not registered. With `takes_over`, a process of
    /// the same user that has the name loses it.
    pub(crate) async fn register(
        self: &Rc<Self>,
        name: &str,
        iref: Iref,
        takes_over: bool,
    ) -> Result<(), RequestError> {
        check(name)?;
        let _claim = Claim::new(self, name, iref)?;
        root_lock::has_names();
        self.publish(iref).await?;
        let register = || self.register_at_root(name, iref, takes_over);
        let (mut verdict, mut pid, mut limit) = register().await?;
        if verdict == Verdict::Taken && self.frees(name, pid_from_wire(pid)).await? {
            (verdict, pid, limit) = register().await?;
        }
        match verdict {
            // Withdrawn meanwhile, and the root has removed the name.
            Verdict::Ok if services::find(iref).is_none() => Err(RequestError::NoService),
            Verdict::Ok => {
                self.lost.borrow_mut().remove(name);
                self.names.borrow_mut().insert(name.to_owned(), iref);
                Ok(())
            }
            Verdict::Taken => Err(RequestError::Taken { pid: pid_from_wire(pid) }),
            Verdict::Unknown => Err(RequestError::NoService),
            verdict => Err(refused(verdict, limit)),
        }
    }

    /// Registers a name at the root. If dropped, the name is not registered.
    async fn register_at_root(
        self: &Rc<Self>,
        name: &str,
        iref: Iref,
        takes_over: bool,
    ) -> Result<(Verdict, u32, u64), MonitorError> {
        let is_known = self.names.borrow().contains_key(name);
        let undo = (!is_known).then(|| RemovalGuard::new(self, name));
        let answer = self.call_root(|root| root.register_async(name, iref, takes_over)).await?;
        if let Some(undo) = undo {
            undo.answered.set(true);
        }
        Ok(answer)
    }

    /// Unregisters a name that the root has for a service of this process that is gone: it has not
    /// received yet that the service is withdrawn. Returns false if the name is not such a one.
    async fn frees(&self, name: &str, owner: Option<u32>) -> Result<bool, RequestError> {
        if owner.is_some_and(|owner| owner != std::process::id()) {
            return Ok(false);
        }
        let (verdict, iref, _, _) = self.call_root(|root| root.lookup_async(name)).await?;
        match (verdict, Iref::from_bits(iref)) {
            // The root may not tell whose it is, in another PID namespace.
            (Verdict::Ok, Some(iref)) if services::find(iref).is_some() => {
                Err(RequestError::Taken { pid: Some(std::process::id()) })
            }
            (Verdict::Ok, _) => {
                let verdict = self.call_root(|root| root.unregister_async(name)).await?;
                Ok(matches!(verdict, Verdict::Ok | Verdict::Unknown))
            }
            (verdict, _) => Ok(verdict == Verdict::Unknown),
        }
    }

    /// Unregisters a name of this process.
    pub(crate) async fn unregister(self: &Rc<Self>, name: &str) -> Result<(), RequestError> {
        check(name)?;
        // Removed here first: if the root dies now, the name is not registered with the next one.
        let had = self.names.borrow_mut().remove(name);
        let removal = RemovalGuard::new(self, name);
        let verdict = self.call_root(|root| root.unregister_async(name)).await;
        removal.answered.set(true);
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                if let Some(iref) = had {
                    self.names.borrow_mut().insert(name.to_owned(), iref);
                }
                return Err(error.into());
            }
        };
        self.lost.borrow_mut().remove(name);
        self.changed.notify_all();
        match verdict {
            Verdict::Ok => Ok(()),
            Verdict::Unknown if had.is_some() => Ok(()),
            Verdict::Unknown => Err(RequestError::Unknown),
            Verdict::NotOwner => Err(RequestError::NotOwner),
            verdict => Err(unexpected(verdict)),
        }
    }

    /// Notes that another process has a name of this process.
    pub(super) fn name_taken(&self, name: &str, pid: u32) {
        if self.names.borrow_mut().remove(name).is_some() {
            let lost = LostName { name: name.to_owned(), pid: pid_from_wire(pid) };
            self.lost.borrow_mut().insert(name.to_owned(), lost);
            self.changed.notify_all();
        }
    }

    /// Waits until another process has a name of this process.
    pub(crate) async fn lost(
        &self,
        name: &str,
        progress: &Progress,
    ) -> Result<LostName, RequestError> {
        check(name)?;
        progress.set_awaited(Awaited::Loss);
        let look = || match self.lost.borrow().get(name) {
            Some(lost) => Some(Ok(lost.clone())),
            None if self.names.borrow().contains_key(name) => None,
            None => Some(Err(RequestError::NotOwner)),
        };
        self.changed.wait_for(look).await
    }

    /// Looks a name up.
    pub(crate) async fn lookup(&self, name: &str) -> Result<ResolvedName, RequestError> {
        check(name)?;
        let (verdict, iref, pid, uid) = self.call_root(|root| root.lookup_async(name)).await?;
        found(verdict, iref, pid, uid, 0)
    }

    /// Looks a name up, and waits until it is registered. If dropped, the root removes the waiting
    /// lookup.
    pub(crate) async fn await_name(
        self: &Rc<Self>,
        name: &str,
        progress: &Progress,
    ) -> Result<ResolvedName, RequestError> {
        self.await_change(name, None, progress).await
    }

    /// Looks a name up, and waits until it is registered for another service than `known`, or, if a service is known, until
    /// it is not registered ([`RequestError::Unknown`]).
    pub(crate) async fn await_change(
        self: &Rc<Self>,
        name: &str,
        known: Option<Iref>,
        progress: &Progress,
    ) -> Result<ResolvedName, RequestError> {
        check(name)?;
        let known = known.map_or(0, Iref::to_bits);
        let ticket = self.next_number();
        let waiting = LookupGuard { monitor: Rc::clone(self), ticket, answered: Cell::new(false) };
        let answer = self
            .call_root_deferred(progress, |root| root.await_name_async(ticket, name, known))
            .await;
        waiting.answered.set(true);
        let (verdict, iref, pid, uid, limit) = answer?;
        found(verdict, iref, pid, uid, limit)
    }

    /// Returns all names, in order.
    pub(crate) async fn list(&self) -> Result<Vec<Entry>, RequestError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let last = entries.last().map_or("", |entry| entry.name.as_str());
            let page = self.call_root(|root| root.list_async(last)).await?;
            // Names are sent in order: a root that repeats itself ends the list.
            let next = page.into_iter().filter_map(Entry::from_wire);
            let next: Vec<_> = next.filter(|entry| entry.name.as_str() > last).collect();
            if next.is_empty() {
                return Ok(entries);
            }
            entries.extend(next);
        }
    }

    /// Withdraws the services that have names, for the end of the process, and completes `sender` with true once the root
    /// has received it. They are not registered again with a later root.
    pub(crate) fn leave(self: &Rc<Self>, sender: oneshot::Sender<bool>) {
        let named: HashSet<_> = self.names.take().into_values().collect();
        named.into_iter().for_each(|iref| self.withdraw(iref));
        let me = Rc::clone(self);
        let task = async move {
            let received = match me.member() {
                Some(membership) => membership.client.alive_async().await.is_ok(),
                None => false,
            };
            sender.send(received);
        };
        self.waitset.spawn_local(task).detach();
    }

    /// Sends a message to the root, if there is one.
    pub(super) fn send_to_root(&self, notice: MessageToRoot) {
        match (self.member(), notice) {
            (Some(membership), notice) => membership.send(self, notice),
            // The service may already be published with the next root.
            (None, MessageToRoot::Withdraw(iref)) => {
                self.unsent_withdrawals.borrow_mut().push(iref)
            }
            (None, MessageToRoot::Reported { .. } | MessageToRoot::ReportedAccounts { .. }) => {}
        }
    }

    /// Withdraws the services that were withdrawn while this domain joined the root.
    pub(super) fn send_unsent_withdrawals(&self) {
        for iref in self.unsent_withdrawals.take() {
            self.send_to_root(MessageToRoot::Withdraw(iref));
        }
    }
}

impl Membership {
    fn send(&self, monitor: &Monitor, notice: MessageToRoot) {
        if !self.outbox.push(notice) {
            // The root has not read for long, and its state of this domain is wrong now: join
            // again.
            self.end(monitor);
        }
    }
}

/// Removes a waiting lookup from the root when dropped, unless it was answered.
struct LookupGuard {
    monitor: Rc<Monitor>,
    ticket: u64,
    answered: Cell<bool>,
}

impl Drop for LookupGuard {
    fn drop(&mut self) {
        if !self.answered.get()
            && let Some(membership) = self.monitor.member()
        {
            let forget = membership.client.forget_async(self.ticket);
            // Without an answer the membership has ended, and with it all lookups at the root.
            let forget = async move { drop(forget.await) };
            self.monitor.waitset.spawn_local(forget).detach();
        }
    }
}

/// A name that is being registered, until dropped: a request that is given up removes the name, which
/// must not be another one's by then.
struct Claim<'a> {
    monitor: &'a Monitor,
    name: &'a str,
}

impl<'a> Claim<'a> {
    /// Fails if this process is registering the name for another service.
    fn new(monitor: &'a Monitor, name: &'a str, iref: Iref) -> Result<Self, RequestError> {
        let mut claimed = monitor.claimed.borrow_mut();
        let (other, requests) = claimed.entry(name.to_owned()).or_insert((iref, 0));
        if *other != iref {
            return Err(RequestError::Taken { pid: Some(std::process::id()) });
        }
        *requests += 1;
        Ok(Self { monitor, name })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claimed = self.monitor.claimed.borrow_mut();
        if let hash_map::Entry::Occupied(mut claim) = claimed.entry(self.name.to_owned()) {
            claim.get_mut().1 -= 1;
            if claim.get().1 == 0 {
                claim.remove();
            }
        }
    }
}

/// Removes a name from the root when dropped, unless the root has answered: it may have the name.
struct RemovalGuard<'a> {
    monitor: Rc<Monitor>,
    name: &'a str,
    answered: Cell<bool>,
}

impl<'a> RemovalGuard<'a> {
    fn new(monitor: &Rc<Monitor>, name: &'a str) -> Self {
        Self { monitor: Rc::clone(monitor), name, answered: Cell::new(false) }
    }
}

impl Drop for RemovalGuard<'_> {
    fn drop(&mut self) {
        if !self.answered.get()
            && let Some(membership) = self.monitor.member()
        {
            // Another process may have the name: the root removes those of this process only.
            let unregister = membership.client.unregister_async(self.name);
            let unregister = async move { drop(unregister.await) };
            self.monitor.waitset.spawn_local(unregister).detach();
        }
    }
}

fn publish_call(root: &RpcClient, iref: Iref) -> Call<PublishReply> {
    let (name, digest) = services::find(iref)
        .map_or(("", 0), |service| (service.interface.name, service.interface.fingerprint));
    let name = prefix(name, MAX_NAME);
    root.publish_async(iref, name, digest)
}

fn check(name: &str) -> Result<(), RequestError> {
    if is_name(name) {
        return Ok(());
    }
    Err(RequestError::Invalid(match name.len() {
        0 => InvalidName::Empty,
        1..=MAX_NAME => InvalidName::Control,
        length => InvalidName::TooLong { length },
    }))
}

fn found(
    verdict: Verdict,
    iref: u64,
    pid: u32,
    uid: u32,
    limit: u64,
) -> Result<ResolvedName, RequestError> {
    match (verdict, Iref::from_bits(iref)) {
        (Verdict::Ok, Some(iref)) => {
            Ok(ResolvedName { iref, pid: pid_from_wire(pid), uid: id_from_wire(uid) })
        }
        (Verdict::Unknown, _) => Err(RequestError::Unknown),
        (verdict, _) => Err(refused(verdict, limit)),
    }
}

/// Returns the error for a refusal that does not concern the name.
fn refused(verdict: Verdict, limit: u64) -> RequestError {
    match (verdict, limit_from_wire(limit)) {
        (Verdict::Quota, Some(limit)) => RequestError::OverLimit(limit),
        (Verdict::Exhausted, _) => MonitorError::Busy.into(),
        _ => unexpected(verdict),
    }
}

/// Returns the location of the root that this thread's monitor uses.
fn location_of_thread() -> RootLocation {
    let here = || RootLocation::new(choice::chosen(), None);
    Monitor::current().map_or_else(here, |monitor| monitor.location())
}

/// Returns the error for a verdict that a root of this version does not send.
fn unexpected(verdict: Verdict) -> RequestError {
    log_limited!(warn, ?verdict, "the root monitor sent a verdict that does not fit the request");
    RequestError::Monitor(MonitorError::Version { location: location_of_thread() })
}
