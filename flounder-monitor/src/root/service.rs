//! Requests of domains, and the answers of the root.

use core::ops::Bound;
use std::os::fd::AsFd;
use std::rc::Rc;

use flounder_rt::account::Resource;
use flounder_rt::{BindingError, Escaped, Iref, log_limited};

use crate::accounts::limit_to_wire;
use crate::directory::name_journal::Record;
use crate::name::MAX_NAME;
use crate::process::{is_dead, is_unknown_uid, own_uid, to_wire};
use crate::protocol::VERSION;
use crate::protocol::monitor::{self, Binding, Verdict};
use crate::root::names::{NameRefusal, Registration, Requester};
use crate::root::reports::ReportReply;
use crate::root::{Domain, MessageToDomain, Root, Service, WaitingLookup};

/// Most entries in one page of a list.
const PAGE: usize = 64;

/// Receives the messages of one domain.
pub(super) struct DomainHandler {
    pub(super) number: u64,
}

impl DomainHandler {
    /// Returns the root and the domain. Closes the connection if there was no `hello`, or if the
    /// root is released.
    fn joined_domain(&self) -> Option<(Rc<Root>, Rc<Domain>)> {
        let root = Root::current()?;
        let domain = root.domain(self.number)?;
        if domain.id.get().is_none() || root.released.get() {
            root.remove(self.number);
            return None;
        }
        Some((root, domain))
    }
}

// A dropped reply ends the call without an answer.
impl monitor::Rx for DomainHandler {
    fn hello(&mut self, _: &Binding, version: u32, domain: u64, reply: monitor::HelloReply) {
        let Some(root) = Root::current() else { return };
        let Some(this) = root.domain(self.number) else { return };
        if version != VERSION {
            return reply.send(Verdict::Version);
        }
        if this.forbidden {
            reply.send(Verdict::Forbidden);
            return root.remove(self.number);
        }
        let mut ids = root.ids.borrow_mut();
        if domain == 0 || this.id.get().is_some() || ids.contains_key(&domain) {
            return reply.send(Verdict::Duplicate);
        }
        ids.insert(domain, self.number);
        this.id.set(Some(domain));
        if let Some(hello_timer) = this.hello_timer.take() {
            hello_timer.cancel();
        }
        root.users.borrow_mut().joined(this.uid);
        drop(this.connection_charge.take());
        this.account.set_domain(domain);
        tracing::debug!(peer = %this.peer, "a domain has joined");
        reply.send(Verdict::Ok);
    }

    fn publish(
        &mut self,
        _: &Binding,
        iref: Iref,
        interface: &str,
        digest: u128,
        reply: monitor::PublishReply,
    ) {
        let Some((root, domain)) = self.joined_domain() else { return };
        let mut services = root.services.borrow_mut();
        let (verdict, limit) = match services.get(&iref) {
            Some(service) if service.owner == self.number => (Verdict::Ok, 0),
            // References are random numbers that are used once: the domain does not own this one.
            Some(_) => (Verdict::Duplicate, 0),
            None if root.is_kept_from(&domain, iref) => (Verdict::Duplicate, 0),
            None => match domain.account.charge(Resource::Services, 1) {
                Ok(charge) => {
                    let interface = interface.to_owned();
                    let (owner, _charge) = (self.number, charge);
                    services.insert(iref, Service { owner, interface, digest, _charge });
                    domain.services.borrow_mut().insert(iref);
                    (Verdict::Ok, 0)
                }
                Err(limit) => (Verdict::Quota, limit_to_wire(limit)),
            },
        };
        drop(services);
        reply.send(verdict, limit);
        root.retry_deferred();
    }

    fn withdraw(&mut self, _: &Binding, iref: Iref) {
        let Some((root, domain)) = self.joined_domain() else { return };
        if domain.services.borrow_mut().remove(&iref) {
            root.services.borrow_mut().remove(&iref);
            let freed = root.names.borrow_mut().remove_service(self.number, iref);
            freed.iter().for_each(|name| root.erase_name(name));
        }
    }

    fn register(
        &mut self,
        _: &Binding,
        name: &str,
        iref: Iref,
        takes_over: bool,
        reply: monitor::RegisterReply,
    ) {
        let Some((root, domain)) = self.joined_domain() else { return };
        if !domain.services.borrow().contains(&iref) {
            return reply.send(Verdict::Unknown, 0, 0);
        }
        let replaces = root.unjoined_numbers(&domain);
        let takes_over = takes_over.then(|| root.owner_of_same_user(&domain, name)).flatten();
        let requester = Requester {
            owner: self.number,
            account: &domain.account,
            replaces: &replaces,
            takes_over,
        };
        let registered = root.names.borrow_mut().register(requester, name, iref);
        match registered {
            Ok(()) => {}
            Err(NameRefusal::Taken(owner)) => {
                return reply.send(Verdict::Taken, root.pid_of(owner), 0);
            }
            Err(refused) => return reply.send(verdict(refused), 0, limit(refused)),
        }
        if let Some(loser) = takes_over.filter(|owner| *owner != self.number) {
            root.report_taken(loser, name, &domain);
        }
        let written = root.record_name(&domain, name, iref);
        if let Err(error) = &written {
            log_limited!(warn, %error, name = %Escaped(name), "a name could not be recorded in the journal");
        }
        // The next root is of the root's user, and owners of that user register again. A name of
        // another user that is not in the journal could go to a third user while there is no root.
        if written.is_err() && domain.uid != own_uid() {
            let taken_back = root.names.borrow_mut().unregister(requester, name);
            debug_assert_eq!(taken_back, Ok(()));
            root.erase_name(name);
            return reply.send(Verdict::Exhausted, 0, 0);
        }
        reply.send(Verdict::Ok, 0, 0);
        root.answer_waiting_lookups(name);
    }

    fn unregister(&mut self, _: &Binding, name: &str, reply: monitor::UnregisterReply) {
        let Some((root, domain)) = self.joined_domain() else { return };
        let replaces = root.unjoined_numbers(&domain);
        let requester = Requester {
            owner: self.number,
            account: &domain.account,
            replaces: &replaces,
            takes_over: None,
        };
        let done = root.names.borrow_mut().unregister(requester, name);
        if done.is_ok() {
            root.erase_name(name);
        }
        reply.send(done.map_or_else(verdict, |()| Verdict::Ok));
    }

    fn rejoined(&mut self, _: &Binding) {
        let Some((root, domain)) = self.joined_domain() else { return };
        root.rejoined(&domain);
    }

    fn lookup(&mut self, _: &Binding, name: &str, reply: monitor::LookupReply) {
        let Some((root, _)) = self.joined_domain() else { return };
        root.look_up(name.to_owned(), reply);
    }

    fn await_name(
        &mut self,
        _: &Binding,
        ticket: u64,
        name: &str,
        known: u64,
        reply: monitor::AwaitNameReply,
    ) {
        let Some((root, domain)) = self.joined_domain() else { return };
        let known = Iref::from_bits(known);
        let Some(found) = root.find_change(name, known) else {
            let charge = match domain.account.charge(Resource::Lookups, 1) {
                Ok(charge) => charge,
                Err(limit) => return reply.send(Verdict::Quota, 0, 0, 0, limit_to_wire(limit)),
            };
            let (ticket, waiting) =
                ((self.number, ticket), WaitingLookup { reply, known, _charge: charge });
            let kept = root.waiting_lookups.borrow_mut().wait(ticket, name, waiting);
            if let Err(WaitingLookup { reply, .. }) = kept {
                reply.send(Verdict::Duplicate, 0, 0, 0, 0);
            }
            return;
        };
        let (verdict, iref, pid, uid) = root.describe(found);
        reply.send(verdict, iref, pid, uid, 0);
    }

    fn forget(&mut self, _: &Binding, ticket: u64, reply: monitor::ForgetReply) {
        let Some((root, _)) = self.joined_domain() else { return };
        let forgotten = root.waiting_lookups.borrow_mut().forget((self.number, ticket));
        drop(forgotten);
        reply.send();
    }

    fn list(&mut self, _: &Binding, after: &str, reply: monitor::ListReply) {
        let Some((root, _)) = self.joined_domain() else { return };
        root.list(after.to_owned(), reply);
    }

    fn members(&mut self, _: &Binding, after: u64, reply: monitor::MembersReply) {
        let Some((root, requester)) = self.joined_domain() else { return };
        let all = root.users.borrow().policy().is_own(requester.uid);
        let ids = root.ids.borrow();
        let later = ids.range((Bound::Excluded(after), Bound::Unbounded));
        let members = later.filter_map(|(id, number)| {
            let member = root.domain(*number)?;
            let (pid, uid, _) = to_wire(&member.peer);
            (all || member.uid == requester.uid).then_some(monitor::Member {
                domain: *id,
                pid,
                uid,
            })
        });
        let members: Vec<_> = members.take(PAGE).collect();
        drop(ids);
        reply.send(&members);
    }

    fn bindings(
        &mut self,
        _: &Binding,
        domain: u64,
        link: u64,
        connection: u64,
        reply: monitor::BindingsReply,
    ) {
        let Some((root, requester)) = self.joined_domain() else { return };
        match root.domain_of(domain) {
            Some(asked) => {
                let question = |ticket| MessageToDomain::Report { ticket, link, connection };
                root.forward_report_request(
                    &requester,
                    &asked,
                    ReportReply::Bindings(reply),
                    question,
                );
            }
            None => reply.send(Verdict::Unknown, 0, &[]),
        }
    }

    fn accounts(&mut self, _: &Binding, domain: u64, after: u64, reply: monitor::AccountsReply) {
        let Some((root, requester)) = self.joined_domain() else { return };
        match root.domain_of(domain) {
            Some(asked) => {
                let question = |ticket| MessageToDomain::ReportAccounts { ticket, after };
                root.forward_report_request(
                    &requester,
                    &asked,
                    ReportReply::Accounts(reply),
                    question,
                );
            }
            None if domain == 0 => root.own_accounts(&requester, after, reply),
            None => reply.send(Verdict::Unknown, 0, &[], &[]),
        }
    }

    fn reported_accounts(
        &mut self,
        _: &Binding,
        ticket: u64,
        accounts: &[monitor::AccountReport],
        limits: &[u64],
    ) {
        let Some((root, domain)) = self.joined_domain() else { return };
        root.report_accounts(&domain, ticket, accounts, limits);
    }

    fn reported(&mut self, _: &Binding, ticket: u64, held: &[monitor::HeldBinding]) {
        let Some((root, domain)) = self.joined_domain() else { return };
        root.report(&domain, ticket, held);
    }

    fn request_handover(&mut self, _: &Binding, reply: monitor::RequestHandoverReply) {
        let Some((root, domain)) = self.joined_domain() else { return };
        let users = root.users.borrow();
        let (stays, own) = (users.policy().is_daemon(), users.policy().is_own(domain.uid));
        drop(users);
        match (own, stays) {
            (false, _) => reply.send(Verdict::Forbidden),
            (true, true) => reply.send(Verdict::Stays),
            (true, false) => {
                root.hand_over();
                reply.send(Verdict::Ok);
            }
        }
    }

    fn find(&mut self, _: &Binding, iref: Iref, reply: monitor::FindReply) {
        let Some((root, _)) = self.joined_domain() else { return };
        root.find(iref, reply);
    }

    fn introduce(&mut self, _: &Binding, domain: u64, reply: monitor::IntroduceReply) {
        let Some((root, _)) = self.joined_domain() else { return };
        root.introduce_to(self.number, domain, reply);
    }

    fn alive(&mut self, _: &Binding, reply: monitor::AliveReply) {
        let Some((root, _)) = self.joined_domain() else { return };
        reply.send(root.awaits_owners());
    }

    fn error(&mut self, _: &Binding, error: BindingError) {
        if error.is_fatal()
            && let Some(root) = Root::current()
        {
            root.ended(self.number, &error);
        }
    }
}

impl Root {
    /// Answers a lookup. Defers it while the owner of the name may rejoin.
    fn look_up(self: &Rc<Self>, name: String, reply: monitor::LookupReply) {
        let found = self.names.borrow().lookup(&name);
        match found {
            Ok(owned) if self.may_rejoin(owned.owner) => {
                self.defer(move |root| root.look_up(name, reply));
            }
            found => {
                let (verdict, iref, pid, uid) = self.describe(found);
                reply.send(verdict, iref, pid, uid);
            }
        }
    }

    /// Answers with a page of names. Deferred while owners may rejoin.
    fn list(self: &Rc<Self>, after: String, reply: monitor::ListReply) {
        if self.awaits_owners() {
            return self.defer(move |root| root.list(after, reply));
        }
        let names = self.names.borrow();
        let entries = names.after(&after).filter_map(|(name, owned)| self.entry(name, owned));
        let entries: Vec<_> = entries.take(PAGE).collect();
        drop(names);
        reply.send(&entries);
    }

    /// Answers with the domain of a service. Deferred while the service may be published again.
    fn find(self: &Rc<Self>, iref: Iref, reply: monitor::FindReply) {
        let owner = self.services.borrow().get(&iref).map(|service| service.owner);
        let domain = owner.and_then(|owner| self.domain(owner)?.id.get());
        match domain {
            Some(domain) => reply.send(Verdict::Ok, domain),
            None if self.awaits_services() || self.awaits_service(iref) => {
                self.defer(move |root| root.find(iref, reply));
            }
            None => reply.send(Verdict::Unknown, 0),
        }
    }

    /// Introduces a domain to another. Deferred while the other may rejoin.
    fn introduce_to(self: &Rc<Self>, caller: u64, domain: u64, reply: monitor::IntroduceReply) {
        let Some(caller) = self.domain(caller) else { return };
        let verdict = match self.domain_of(domain) {
            Some(callee) if is_dead(callee.death.process().as_fd()) => {
                // The end of its connection has not been received yet.
                self.remove(callee.number);
                Verdict::Unknown
            }
            Some(callee) if !Rc::ptr_eq(&callee, &caller) => {
                self.introduce(&caller, &callee).map_or_else(|verdict| verdict, |()| Verdict::Ok)
            }
            None if self.awaits_services() => {
                let number = caller.number;
                return self.defer(move |root| root.introduce_to(number, domain, reply));
            }
            _ => Verdict::Unknown,
        };
        reply.send(verdict);
    }

    /// Returns the reply to a lookup.
    fn describe(&self, found: Result<Registration, NameRefusal>) -> (Verdict, u64, u32, u32) {
        match found {
            Ok(owned) => match self.owner(owned.owner) {
                Some((pid, uid)) => (Verdict::Ok, owned.iref.to_bits(), pid, uid),
                None => (Verdict::Unknown, 0, 0, 0),
            },
            Err(refused) => (verdict(refused), 0, 0, 0),
        }
    }

    /// Looks a name up for `await_name`. `None` if that waits: for another service than `known`, and until the owner is
    /// connected.
    fn find_change(
        &self,
        name: &str,
        known: Option<Iref>,
    ) -> Option<Result<Registration, NameRefusal>> {
        match self.names.borrow().lookup(name) {
            Ok(owned) if Some(owned.iref) == known => None,
            Ok(owned) => self.domains.borrow().contains_key(&owned.owner).then_some(Ok(owned)),
            // Its owner may not have joined this root yet.
            Err(NameRefusal::Unknown) if known.is_none() || self.awaits_services() => None,
            refused => Some(refused),
        }
    }

    /// Answers the lookups that wait for what has happened to a name.
    pub(super) fn answer_waiting_lookups(&self, name: &str) {
        let is_answered = |waiting: &WaitingLookup| self.find_change(name, waiting.known).is_some();
        let answered = self.waiting_lookups.borrow_mut().take(name, is_answered);
        for WaitingLookup { reply, known, .. } in answered {
            if let Some(found) = self.find_change(name, known) {
                let (verdict, iref, pid, uid) = self.describe(found);
                reply.send(verdict, iref, pid, uid, 0);
            }
        }
    }

    /// Returns the owner of a name, if it is of the user of `domain`.
    fn owner_of_same_user(&self, domain: &Domain, name: &str) -> Option<u64> {
        let owner = self.names.borrow().lookup(name).ok()?.owner;
        let here = self.domain(owner).map(|owner| owner.uid);
        let uid = here.or_else(|| Some(self.unjoined.borrow().get(&owner)?.identity.uid))?;
        (uid == domain.uid && !is_unknown_uid(uid)).then_some(owner)
    }

    /// Reports to an owner that `taker` has taken over its name. One that is not connected learns of it when it joins.
    fn report_taken(self: &Rc<Self>, owner: u64, name: &str, taker: &Domain) {
        let Some(loser) = self.domain(owner) else { return };
        let (pid, _, _) = to_wire(&taker.peer);
        if !loser.outbox.push(MessageToDomain::NameTaken { name: name.to_owned(), pid }) {
            // It has not read for long. When it joins again, it finds that it has lost the name.
            self.remove(owner);
        }
    }

    /// Returns pid and uid of an owner of names.
    fn owner(&self, owner: u64) -> Option<(u32, u32)> {
        let here = self.domain(owner).map(|domain| to_wire(&domain.peer));
        let unjoined = || {
            let unjoined = self.unjoined.borrow();
            let identity = unjoined.get(&owner)?.identity;
            Some((identity.pid().unwrap_or(0), identity.uid))
        };
        here.map(|(pid, uid, _)| (pid, uid)).or_else(unjoined)
    }

    fn entry(&self, name: &str, owned: Registration) -> Option<monitor::Entry> {
        let (pid, uid) = self.owner(owned.owner)?;
        let services = self.services.borrow();
        let service = services.get(&owned.iref);
        let (iface, digest) =
            service.map(|service| (service.interface.clone(), service.digest)).unwrap_or_default();
        debug_assert!(name.len() <= MAX_NAME && iface.len() <= MAX_NAME);
        Some(monitor::Entry {
            name: name.to_owned(),
            iref: owned.iref.to_bits(),
            iface,
            digest,
            pid,
            uid,
        })
    }

    /// Returns the pid of an owner of names; 0 if it is unknown.
    fn pid_of(&self, owner: u64) -> u32 {
        self.owner(owner).map_or(0, |(pid, _)| pid)
    }

    /// Returns true if a service belongs to another process, which is not connected.
    fn is_kept_from(&self, domain: &Domain, iref: Iref) -> bool {
        let unjoined = self.unjoined.borrow();
        unjoined.values().any(|unjoined| {
            unjoined.has_published(iref) && !unjoined.identity.is_same(&domain.identity)
        })
    }

    /// Records the owner of a name in the journal, unless the root is released.
    fn record_name(&self, domain: &Domain, name: &str, iref: Iref) -> std::io::Result<()> {
        match &mut *self.journal.borrow_mut() {
            Some(journal) => journal.record_owner(&Record {
                name: name.to_owned(),
                iref,
                owner: domain.identity,
            }),
            None => Ok(()),
        }
    }
}

fn verdict(refused: NameRefusal) -> Verdict {
    match refused {
        NameRefusal::Taken(_) => Verdict::Taken,
        NameRefusal::Unknown => Verdict::Unknown,
        NameRefusal::Invalid => Verdict::Invalid,
        NameRefusal::OverLimit(_) => Verdict::Quota,
        NameRefusal::NotOwner => Verdict::NotOwner,
    }
}

/// Returns the limit of a refusal as a reply carries it.
fn limit(refused: NameRefusal) -> u64 {
    match refused {
        NameRefusal::OverLimit(limit) => limit_to_wire(limit),
        _ => 0,
    }
}
