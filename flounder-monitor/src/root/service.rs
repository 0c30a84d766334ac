//! What the root does for its domains.

use std::rc::Rc;

use flounder_rt::cap::Cap;
use flounder_rt::{BindingError, Iref};

use crate::protocol::VERSION;
use crate::protocol::monitor::{self, Binding, Verdict};
use crate::root::names::{MAX_NAME, Owned, Refused};
use crate::root::{Domain, MAX_SERVICES, Root, Service};

/// Names in one page of a list.
const PAGE: usize = 64;

/// What a domain says.
pub(super) struct FromDomain {
    pub(super) number: u64,
}

impl FromDomain {
    /// The root, and the domain if it has said hello.
    fn known(&self) -> Option<(Rc<Root>, Rc<Domain>)> {
        let root = Root::here()?;
        let domain = root.domain(self.number)?;
        if domain.id.get().is_none() {
            root.remove(self.number);
            return None;
        }
        Some((root, domain))
    }
}

// A reply that is dropped tells the caller that none will come.
impl monitor::Rx for FromDomain {
    fn hello(&mut self, _: &Binding, version: u32, domain: u64, reply: monitor::HelloReply) {
        let Some(root) = Root::here() else { return };
        let Some(this) = root.domain(self.number) else { return };
        if version != VERSION {
            return reply.send(Verdict::Version);
        }
        let mut ids = root.ids.borrow_mut();
        if domain == 0 || this.id.get().is_some() || ids.contains_key(&domain) {
            return reply.send(Verdict::Duplicate);
        }
        ids.insert(domain, self.number);
        this.id.set(Some(domain));
        tracing::debug!(peer = %this.peer, "a domain has joined");
        reply.send(Verdict::Ok);
    }

    fn publish(
        &mut self,
        _: &Binding,
        iref: Iref,
        interface: &str,
        _digest_high: u64,
        _digest_low: u64,
        reply: monitor::PublishReply,
    ) {
        let Some((root, domain)) = self.known() else { return };
        let mut services = root.services.borrow_mut();
        let verdict = match services.get(&iref) {
            Some(service) if service.owner == self.number => Verdict::Ok,
            // A reference is a random number that is used once: this is a lie.
            Some(_) => Verdict::Duplicate,
            None if domain.services.borrow().len() >= MAX_SERVICES => Verdict::Quota,
            None => {
                let service = Service { owner: self.number, interface: interface.to_owned() };
                services.insert(iref, service);
                domain.services.borrow_mut().insert(iref);
                Verdict::Ok
            }
        };
        reply.send(verdict);
    }

    fn withdraw(&mut self, _: &Binding, iref: Iref) {
        let Some((root, domain)) = self.known() else { return };
        if domain.services.borrow_mut().remove(&iref) {
            root.services.borrow_mut().remove(&iref);
            root.names.borrow_mut().remove_service(self.number, iref);
        }
    }

    fn register(&mut self, _: &Binding, name: &str, iref: Iref, reply: monitor::RegisterReply) {
        let Some((root, domain)) = self.known() else { return };
        if !domain.services.borrow().contains(&iref) {
            return reply.send(Verdict::Unknown, 0);
        }
        let registered = root.names.borrow_mut().register(self.number, name, iref);
        match registered {
            Ok(waited) => {
                reply.send(Verdict::Ok, 0);
                let (pid, uid) = (domain.peer.pid, domain.peer.uid);
                for waiting in waited {
                    waiting.send(Verdict::Ok, iref.to_bits(), pid, uid);
                }
            }
            Err(Refused::Taken(owner)) => {
                let pid = root.domain(owner).map_or(0, |owner| owner.peer.pid);
                reply.send(Verdict::Taken, pid);
            }
            Err(refused) => reply.send(verdict(refused), 0),
        }
    }

    fn unregister(&mut self, _: &Binding, name: &str, reply: monitor::UnregisterReply) {
        let Some((root, _)) = self.known() else { return };
        let done = root.names.borrow_mut().unregister(self.number, name);
        reply.send(done.map_or_else(verdict, |()| Verdict::Ok));
    }

    fn lookup(&mut self, _: &Binding, name: &str, reply: monitor::LookupReply) {
        let Some((root, _)) = self.known() else { return };
        let found = root.names.borrow().lookup(name);
        let (verdict, iref, pid, uid) = root.describe(found);
        reply.send(verdict, iref, pid, uid);
    }

    fn await_name(&mut self, _: &Binding, ticket: u64, name: &str, reply: monitor::AwaitNameReply) {
        let Some((root, _)) = self.known() else { return };
        let found = root.names.borrow().lookup(name);
        if found == Err(Refused::Unknown) {
            let kept = root.names.borrow_mut().wait(self.number, ticket, name, reply);
            if let Err(reply) = kept {
                reply.send(Verdict::Quota, 0, 0, 0);
            }
            return;
        }
        let (verdict, iref, pid, uid) = root.describe(found);
        reply.send(verdict, iref, pid, uid);
    }

    fn forget(&mut self, _: &Binding, ticket: u64) {
        let Some((root, _)) = self.known() else { return };
        let forgotten = root.names.borrow_mut().forget(self.number, ticket);
        drop(forgotten);
    }

    fn list(&mut self, _: &Binding, after: &str, reply: monitor::ListReply) {
        let Some((root, _)) = self.known() else { return };
        let names = root.names.borrow();
        let entries: Vec<_> =
            names.after(after).take(PAGE).map(|(name, owned)| root.entry(name, owned)).collect();
        drop(names);
        reply.send(&entries);
    }

    fn find(&mut self, _: &Binding, iref: Iref, reply: monitor::FindReply) {
        let Some((root, _)) = self.known() else { return };
        let owner = root.services.borrow().get(&iref).map(|service| service.owner);
        let domain = owner.and_then(|owner| root.domain(owner)?.id.get());
        match domain {
            Some(domain) => reply.send(Verdict::Ok, domain),
            None => reply.send(Verdict::Unknown, 0),
        }
    }

    fn introduce(&mut self, _: &Binding, domain: u64, reply: monitor::IntroduceReply) {
        let Some((root, caller)) = self.known() else { return };
        let number = root.ids.borrow().get(&domain).copied();
        let callee = number.and_then(|number| root.domain(number));
        let verdict = match callee {
            Some(callee) if !Rc::ptr_eq(&callee, &caller) => {
                root.introduce(&caller, &callee).map_or_else(|verdict| verdict, |()| Verdict::Ok)
            }
            _ => Verdict::Unknown,
        };
        reply.send(verdict);
    }

    /// Only a root introduces: this one is a liar, and what it sent is closed.
    fn introduced(&mut self, _: &Binding, _: u64, _: u32, _: u32, _: u32, _: bool, _: Cap, _: Cap) {
        if let Some(root) = Root::here() {
            root.remove(self.number);
        }
    }

    fn error(&mut self, _: &Binding, error: BindingError) {
        if error.is_fatal()
            && let Some(root) = Root::here()
        {
            root.ended(self.number, &error);
        }
    }
}

impl Root {
    /// What a lookup found, with the owner.
    fn describe(&self, found: Result<Owned, Refused>) -> (Verdict, u64, u32, u32) {
        match found {
            Ok(owned) => match self.domain(owned.owner) {
                Some(owner) => (Verdict::Ok, owned.iref.to_bits(), owner.peer.pid, owner.peer.uid),
                None => (Verdict::Unknown, 0, 0, 0),
            },
            Err(refused) => (verdict(refused), 0, 0, 0),
        }
    }

    fn entry(&self, name: &str, owned: Owned) -> monitor::Entry {
        let (_, iref, pid, uid) = self.describe(Ok(owned));
        let services = self.services.borrow();
        let interface = services.get(&owned.iref).map_or("", |service| service.interface.as_str());
        debug_assert!(name.len() <= MAX_NAME && interface.len() <= MAX_NAME);
        monitor::Entry { name: name.to_owned(), iref, iface: interface.to_owned(), pid, uid }
    }
}

fn verdict(refused: Refused) -> Verdict {
    match refused {
        Refused::Taken(_) => Verdict::Taken,
        Refused::Unknown => Verdict::Unknown,
        Refused::Invalid => Verdict::Invalid,
        Refused::Quota => Verdict::Quota,
        Refused::NotOwner => Verdict::NotOwner,
    }
}
