//! Processes that live, have names, and are not connected: they have lost the root and not found the next one yet.
//!
//! Such a process keeps the number that its connection had, or a new one, as the owner of its names; nobody else gets them.
//! A lookup waits for [`REJOIN_TIMEOUT`], then it is told what is written down: the name has an owner, who lives. When the process
//! comes back it takes its names over one by one as it registers them, and what is left when it has [`rejoined`] is free.
//!
//! | who is not connected | keeps its names |
//! |---|---|
//! | an owner under the last root | for as long as it lives |
//! | the same, whose number says nothing in this PID namespace: nobody can see whether it lives | for [`REJOIN_TIMEOUT`] |
//! | an owner whose connection to this root has ended, where there are several users | for as long as it lives |
//! | the same, where there is one user: it may have run another program | for [`REJOIN_TIMEOUT`] |
//!
//! [`rejoined`]: super::Root::rejoined

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::rc::Rc;

use std::time::Instant;

use flounder_rt::Iref;
use flounder_rt::cap::Cap;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::directory::name_journal::{ProcessIdentity, Record};
use crate::exit_watch::ExitWatch;
use crate::process::is_dead;
use crate::root::names::Requester;
use crate::root::{Domain, REJOIN_TIMEOUT, Root, next_number};

/// One of them.
pub(super) struct UnjoinedOwner {
    pub(super) identity: ProcessIdentity,
    /// Its services that have names: nobody else may publish them.
    services: HashSet<Iref>,
    /// Whether its names are kept for as long as it lives; else until then.
    for_life: bool,
    /// It is waited for until then.
    until: Instant,
    /// None if it is not visible from here.
    _death: Option<ExitWatch>,
}

impl UnjoinedOwner {
    pub(super) fn has_published(&self, iref: Iref) -> bool {
        self.services.contains(&iref)
    }
}

impl Root {
    /// Keeps what the last root has written down for those that still live, and writes it down anew.
    pub(super) fn restore_names(&self) {
        let found = self.journal.borrow_mut().as_mut().map(|journal| journal.take_previous());
        let mut by_owner: HashMap<ProcessIdentity, Vec<Record>> = HashMap::new();
        let found = found.unwrap_or_default().into_iter();
        found.for_each(|record| by_owner.entry(record.owner).or_default().push(record));
        for (identity, records) in by_owner {
            if let Some(number) = self.find_unjoined_owner(identity) {
                self.restore_names_of(number, identity, &records);
            }
        }
        self.rewrite_journal();
    }

    /// Writes down anew whose the names are, if another process has put its file in that place.
    pub(super) fn check_journal(&self) {
        let in_place = self.journal.borrow().as_ref().is_none_or(|journal| journal.is_in_place());
        if !in_place {
            self.rewrite_journal();
        }
    }

    pub(super) fn rewrite_journal(&self) {
        let (names, domains, unjoined) =
            (self.names.borrow(), self.domains.borrow(), self.unjoined.borrow());
        let records = names.after("").filter_map(|(name, owned)| {
            let here = domains.get(&owned.owner).map(|domain| domain.identity);
            let owner = here.or_else(|| Some(unjoined.get(&owned.owner)?.identity))?;
            Some(Record { name: name.to_owned(), iref: owned.iref, owner })
        });
        let records: Vec<_> = records.collect();
        if let Some(journal) = &mut *self.journal.borrow_mut()
            && let Err(error) = journal.replace(&records)
        {
            tracing::warn!(%error, "the names could not be written down for the next root");
        }
    }

    fn restore_names_of(&self, number: u64, identity: ProcessIdentity, records: &[Record]) {
        let requester = Requester { owner: number, user: identity.uid, replaces: &[] };
        for Record { name, iref, .. } in records {
            self.names.borrow_mut().restore(requester, name, *iref);
        }
        self.remember_services(number);
        tracing::debug!(?identity, names = records.len(), "names are kept for a process");
    }

    /// Keeps the names of a domain that is not connected any more, if its process lives. False if they are free.
    pub(super) fn retain_names(self: &Rc<Self>, number: u64, domain: &Domain) -> bool {
        let several = self.users.borrow().policy().has_others();
        let kept = self.journal.borrow().is_some()
            && self.names.borrow().has_some(number)
            && domain.death.process().try_clone().is_ok_and(|process| {
                self.add_unjoined_owner(number, domain.identity, Some(process), several)
            });
        if kept {
            self.remember_services(number);
            self.retry_deferred_later();
        }
        kept
    }

    /// Finds a process of which a root before has written; gives it a number.
    fn find_unjoined_owner(&self, identity: ProcessIdentity) -> Option<u64> {
        let number = next_number();
        let Some(pid) = identity.pid() else {
            return self.add_unjoined_owner(number, identity, None, false).then_some(number);
        };
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let found = ProcessIdentity::new(&process, identity.pid(), identity.uid).ok()?;
        let same = found.is_same(&identity);
        (same && self.add_unjoined_owner(number, identity, Some(process.into()), true))
            .then_some(number)
    }

    fn add_unjoined_owner(
        &self,
        number: u64,
        identity: ProcessIdentity,
        process: Option<Cap>,
        for_life: bool,
    ) -> bool {
        if process.as_ref().is_some_and(|process| is_dead(process.as_fd())) {
            return false;
        }
        let Ok(death) = process.map(|process| self.watch(number, process)).transpose() else {
            return false;
        };
        let (services, until) = (HashSet::new(), Instant::now() + REJOIN_TIMEOUT);
        let unjoined = UnjoinedOwner { identity, services, for_life, until, _death: death };
        self.unjoined.borrow_mut().insert(number, unjoined);
        self.users.borrow_mut().count_unjoined_owner(identity.uid);
        true
    }

    fn remember_services(&self, number: u64) {
        if let Some(unjoined) = self.unjoined.borrow_mut().get_mut(&number) {
            unjoined.services = self.names.borrow().services_of(number).collect();
        }
    }

    /// Whether an owner that is not connected may come back soon.
    pub(super) fn may_rejoin(&self, number: u64) -> bool {
        let unjoined = self.unjoined.borrow();
        unjoined.get(&number).is_some_and(|unjoined| Instant::now() < unjoined.until)
    }

    /// Whether any owner may come back soon.
    pub(super) fn awaits_owners(&self) -> bool {
        let now = Instant::now();
        self.unjoined.borrow().values().any(|unjoined| now < unjoined.until)
    }

    /// Whether a service is that of a process which is not connected and lives.
    pub(super) fn awaits_service(&self, iref: Iref) -> bool {
        self.unjoined.borrow().values().any(|unjoined| unjoined.has_published(iref))
    }

    /// Forgets those who are not waited for any longer.
    pub(super) fn expire_unjoined_owners(&self) {
        let (now, unjoined) = (Instant::now(), self.unjoined.borrow());
        let late =
            unjoined.iter().filter(|(_, unjoined)| !unjoined.for_life && unjoined.until <= now);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        drop(unjoined);
        late.into_iter().for_each(|number| self.forget_unjoined_owner(number));
    }

    /// The owners whose place a domain takes: its own process, as it was connected before.
    pub(super) fn unjoined_numbers(&self, domain: &Domain) -> Vec<u64> {
        let unjoined = self.unjoined.borrow();
        let same =
            unjoined.iter().filter(|(_, unjoined)| unjoined.identity.is_same(&domain.identity));
        same.map(|(number, _)| *number).collect()
    }

    /// A domain has told all that it has: what else was kept for it is free.
    pub(super) fn rejoined(self: &Rc<Self>, domain: &Rc<Domain>) {
        self.unjoined_numbers(domain)
            .into_iter()
            .for_each(|number| self.forget_unjoined_owner(number));
        self.retry_deferred();
    }

    /// The process is dead, or has come back. Its names are free.
    pub(super) fn forget_unjoined_owner(&self, number: u64) {
        let Some(unjoined) = self.unjoined.borrow_mut().remove(&number) else { return };
        self.users.borrow_mut().left(unjoined.identity.uid, true);
        self.free_names(number);
        // The watch may be what told of the death.
        self.waitset.post(move |_| {
            drop(unjoined);
            Ok(())
        });
    }

    /// The names of an owner are nobody's any more.
    pub(super) fn free_names(&self, number: u64) {
        let freed = self.names.borrow_mut().remove_owner(number);
        freed.iter().for_each(|name| self.erase_name(name));
    }

    /// A name is nobody's any more.
    pub(super) fn erase_name(&self, name: &str) {
        if let Some(journal) = &mut *self.journal.borrow_mut() {
            journal.erase(name);
        }
    }
}
