//! Processes that live, have names, and are not connected: they have lost the root and not found the next one yet.
//!
//! Only where there are several users, and so a register. Such a process keeps the number that its connection had, or a
//! new one, as the owner of its names; nobody else gets them, and a lookup waits as if there were none. When the process
//! comes back it takes them over one by one as it registers them, and what is left when it has [`settled`] is free.
//!
//! [`settled`]: super::Root::settled

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use flounder_rt::Iref;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::death::DeathWatch;
use crate::root::names::Asker;
use crate::root::register::{Identity, Record};
use crate::root::{Domain, Root, next_number};

/// One of them.
pub(super) struct Absent {
    pub(super) identity: Identity,
    /// Its services that have names: nobody else may publish them.
    services: HashSet<Iref>,
    _death: DeathWatch,
}

impl Absent {
    pub(super) fn has_published(&self, iref: Iref) -> bool {
        self.services.contains(&iref)
    }
}

impl Root {
    /// Keeps what the last root has written down for those that still live.
    pub(super) fn keep_names_found(&self) {
        let found = match &mut *self.register.borrow_mut() {
            Some(register) => register.take_found(),
            None => return,
        };
        let mut by_owner: HashMap<Identity, Vec<Record>> = HashMap::new();
        found.into_iter().for_each(|record| by_owner.entry(record.owner).or_default().push(record));
        for (identity, records) in by_owner {
            match self.watch_absent(identity) {
                Some(number) => self.keep_names_of(number, identity, &records),
                None => records.iter().for_each(|record| self.strike(&record.name)),
            }
        }
    }

    fn keep_names_of(&self, number: u64, identity: Identity, records: &[Record]) {
        let asker = Asker { owner: number, user: identity.uid, before: &[] };
        for Record { name, iref, .. } in records {
            if !self.names.borrow_mut().keep(asker, name, *iref) {
                self.strike(name);
            }
        }
        self.remember_services(number);
        tracing::debug!(
            pid = identity.pid(),
            names = records.len(),
            "names are kept for a process"
        );
    }

    /// Keeps the names of a domain that is not connected any more, if its process lives. False if they are free.
    pub(super) fn keep_names(&self, number: u64, domain: &Domain) -> bool {
        let kept = self.register.borrow().is_some()
            && self.names.borrow().has_some(number)
            && domain
                .death
                .process()
                .try_clone()
                .is_ok_and(|process| self.add_absent(number, domain.identity, process));
        if kept {
            self.remember_services(number);
        }
        kept
    }

    /// Finds a process of which a root before has written; gives it a number.
    fn watch_absent(&self, identity: Identity) -> Option<u64> {
        let pid = Pid::from_raw(i32::try_from(identity.pid()?).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let same = Identity::new(&process, identity.pid(), identity.uid).ok()? == identity;
        let number = next_number();
        (same && self.add_absent(number, identity, process)).then_some(number)
    }

    fn add_absent(&self, number: u64, identity: Identity, process: std::os::fd::OwnedFd) -> bool {
        if crate::process::is_dead(std::os::fd::AsFd::as_fd(&process)) {
            return false;
        }
        let Ok(death) = self.watch(number, process) else { return false };
        let absent = Absent { identity, services: HashSet::new(), _death: death };
        self.absent.borrow_mut().insert(number, absent);
        self.users.borrow_mut().keep(identity.uid);
        true
    }

    fn remember_services(&self, number: u64) {
        if let Some(absent) = self.absent.borrow_mut().get_mut(&number) {
            absent.services = self.names.borrow().services_of(number).collect();
        }
    }

    /// The owners whose place a domain takes: its own process, as it was connected before.
    pub(super) fn before(&self, domain: &Domain) -> Vec<u64> {
        let absent = self.absent.borrow();
        let same = absent.iter().filter(|(_, absent)| absent.identity == domain.identity);
        same.map(|(number, _)| *number).collect()
    }

    /// A domain has told all that it has: what else was kept for it is free.
    pub(super) fn settled(&self, domain: &Rc<Domain>) {
        self.before(domain).into_iter().for_each(|number| self.forget_absent(number));
    }

    /// The process is dead, or has come back. Its names are free.
    pub(super) fn forget_absent(&self, number: u64) {
        let Some(absent) = self.absent.borrow_mut().remove(&number) else { return };
        self.users.borrow_mut().left(absent.identity.uid, true);
        self.free_names(number);
        // The watch may be what told of the death.
        self.waitset.post(move |_| {
            drop(absent);
            Ok(())
        });
    }

    /// The names of an owner are nobody's any more.
    pub(super) fn free_names(&self, number: u64) {
        let freed = self.names.borrow_mut().remove_owner(number);
        freed.iter().for_each(|name| self.strike(name));
    }

    /// A name is nobody's any more.
    pub(super) fn strike(&self, name: &str) {
        if let Some(register) = &mut *self.register.borrow_mut() {
            register.strike(name);
        }
    }
}
