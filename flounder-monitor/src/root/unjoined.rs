//! Owners of names that live and are not connected: they have lost the root and not joined this
//! one.
//!
//! Such an owner keeps the number that its connection had, or gets a new one; no other process gets
//! its names. A lookup waits for [`REJOIN_TIMEOUT`], and is then answered from the journal: the
//! name has a living owner. When the process joins, it takes its names over one by one as it
//! registers them. Names that are left when it has sent `rejoined` are free.
//!
//! | owner that is not connected | keeps its names |
//! |---|---|
//! | an owner under the last root | for as long as it lives |
//! | an owner under the last root whose pid is of another PID namespace, so that its life cannot be observed | for [`REJOIN_TIMEOUT`] |
//! | an owner whose connection to this root has ended, with several users | for as long as it lives |
//! | an owner whose connection to this root has ended, with one user: it may have run another program | for [`REJOIN_TIMEOUT`] |

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::rc::Rc;

use std::time::Instant;

use flounder_rt::Iref;
use flounder_rt::cap::Cap;

use crate::directory::name_journal::{ProcessIdentity, Record};
use crate::exit_watch::ExitWatch;
use crate::process::is_dead;
use crate::root::names::Requester;
use crate::root::{Domain, REJOIN_TIMEOUT, Root, next_number};

/// A journalled owner that lives and has not joined this root.
pub(super) struct UnjoinedOwner {
    pub(super) identity: ProcessIdentity,
    /// Services of the owner that have names: no other process may publish them.
    services: HashSet<Iref>,
    /// True if the names are kept for as long as the owner lives; otherwise until `until`.
    for_life: bool,
    /// Lookups wait for the owner until then.
    until: Instant,
    /// `None` if the process is not visible from here.
    _death: Option<ExitWatch>,
}

impl UnjoinedOwner {
    pub(super) fn has_published(&self, iref: Iref) -> bool {
        self.services.contains(&iref)
    }
}

impl Root {
    /// Restores the names in the last root's journal whose owners still live, and writes a journal
    /// of its own.
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

    /// Writes the journal again if another process has replaced the file.
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
            tracing::warn!(%error, "the name journal could not be written");
        }
    }

    fn restore_names_of(&self, number: u64, identity: ProcessIdentity, records: &[Record]) {
        let account = identity.account();
        let requester =
            Requester { owner: number, account: &account, replaces: &[], takes_over: None };
        for Record { name, iref, .. } in records {
            self.names.borrow_mut().restore(requester, name, *iref);
        }
        self.remember_services(number);
        tracing::debug!(
            ?identity,
            names = records.len(),
            "names are kept for a process that has not joined"
        );
    }

    /// Keeps the names of a domain whose connection has ended, if its process lives. Returns false
    /// if the names are free.
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

    /// Finds the process of a journal record. Returns a number for it, or `None` if it is dead.
    fn find_unjoined_owner(&self, identity: ProcessIdentity) -> Option<u64> {
        let number = next_number();
        if identity.pid().is_none() {
            return self.add_unjoined_owner(number, identity, None, false).then_some(number);
        }
        let process = identity.open()?;
        self.add_unjoined_owner(number, identity, Some(process.into()), true).then_some(number)
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

    /// Returns true while lookups wait for this owner.
    pub(super) fn may_rejoin(&self, number: u64) -> bool {
        let unjoined = self.unjoined.borrow();
        unjoined.get(&number).is_some_and(|unjoined| Instant::now() < unjoined.until)
    }

    /// Returns true while lookups wait for any owner.
    pub(super) fn awaits_owners(&self) -> bool {
        let now = Instant::now();
        self.unjoined.borrow().values().any(|unjoined| now < unjoined.until)
    }

    /// Returns true if a service belongs to an unjoined owner.
    pub(super) fn awaits_service(&self, iref: Iref) -> bool {
        self.unjoined.borrow().values().any(|unjoined| unjoined.has_published(iref))
    }

    /// Removes the owners whose time is over, unless their names are kept for life.
    pub(super) fn expire_unjoined_owners(&self) {
        let (now, unjoined) = (Instant::now(), self.unjoined.borrow());
        let late =
            unjoined.iter().filter(|(_, unjoined)| !unjoined.for_life && unjoined.until <= now);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        drop(unjoined);
        late.into_iter().for_each(|number| self.forget_unjoined_owner(number));
    }

    /// Returns the numbers of former connections of a domain's process.
    pub(super) fn unjoined_numbers(&self, domain: &Domain) -> Vec<u64> {
        let unjoined = self.unjoined.borrow();
        let same =
            unjoined.iter().filter(|(_, unjoined)| unjoined.identity.is_same(&domain.identity));
        same.map(|(number, _)| *number).collect()
    }

    /// Handles `rejoined`: the names that were kept for the domain and not registered again are
    /// free.
    pub(super) fn rejoined(self: &Rc<Self>, domain: &Rc<Domain>) {
        self.unjoined_numbers(domain)
            .into_iter()
            .for_each(|number| self.forget_unjoined_owner(number));
        self.retry_deferred();
    }

    /// Removes an unjoined owner that has died or joined. Its names are free.
    pub(super) fn forget_unjoined_owner(&self, number: u64) {
        let Some(unjoined) = self.unjoined.borrow_mut().remove(&number) else { return };
        self.users.borrow_mut().left(unjoined.identity.uid, true);
        self.free_names(number);
        // The callback of the watch may be on the stack.
        self.waitset.post(move |_| {
            drop(unjoined);
            Ok(())
        });
    }

    /// Frees the names of an owner.
    pub(super) fn free_names(&self, number: u64) {
        let freed = self.names.borrow_mut().remove_owner(number);
        freed.iter().for_each(|name| self.erase_name(name));
    }

    /// Erases the record of a name that is free, and answers the lookups that wait for that.
    pub(super) fn erase_name(&self, name: &str) {
        if let Some(journal) = &mut *self.journal.borrow_mut() {
            journal.erase(name);
        }
        self.answer_waiting_lookups(name);
    }
}
