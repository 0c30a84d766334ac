//! Processes that live, have names, and are not connected: they have lost the root and not found the next one yet.
//!
//! Such a process keeps the number that its connection had, or a new one, as the owner of its names; nobody else gets them.
//! A lookup waits for [`COME_BACK`], then it is told what is written down: the name has an owner, who lives. When the process
//! comes back it takes its names over one by one as it registers them, and what is left when it has [`settled`] is free.
//!
//! | who is not connected | keeps its names |
//! |---|---|
//! | an owner under the last root | for as long as it lives |
//! | the same, whose number says nothing in this PID namespace: nobody can see whether it lives | for [`COME_BACK`] |
//! | an owner whose connection to this root has ended, where there are several users | for as long as it lives |
//! | the same, where there is one user: it may have run another program | for [`COME_BACK`] |
//!
//! [`settled`]: super::Root::settled

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::rc::Rc;

use std::time::Instant;

use flounder_rt::Iref;
use flounder_rt::cap::Cap;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::death::DeathWatch;
use crate::process::is_dead;
use crate::root::names::Asker;
use crate::root::register::{Identity, Record};
use crate::root::{COME_BACK, Domain, Root, next_number};

/// One of them.
pub(super) struct Absent {
    pub(super) identity: Identity,
    /// Its services that have names: nobody else may publish them.
    services: HashSet<Iref>,
    /// Whether its names are kept for as long as it lives; else until then.
    for_life: bool,
    /// It is waited for until then.
    until: Instant,
    /// None if it is not visible from here.
    _death: Option<DeathWatch>,
}

impl Absent {
    pub(super) fn has_published(&self, iref: Iref) -> bool {
        self.services.contains(&iref)
    }
}

impl Root {
    /// Keeps what the last root has written down for those that still live, and writes it down anew.
    pub(super) fn keep_names_found(&self) {
        let found = self.register.borrow_mut().as_mut().map(|register| register.take_found());
        let mut by_owner: HashMap<Identity, Vec<Record>> = HashMap::new();
        let found = found.unwrap_or_default().into_iter();
        found.for_each(|record| by_owner.entry(record.owner).or_default().push(record));
        for (identity, records) in by_owner {
            if let Some(number) = self.find_absent(identity) {
                self.keep_names_of(number, identity, &records);
            }
        }
        self.write_register();
    }

    /// Writes down anew whose the names are, if another process has put its file in that place.
    pub(super) fn check_register(&self) {
        let in_place =
            self.register.borrow().as_ref().is_none_or(|register| register.is_in_place());
        if !in_place {
            self.write_register();
        }
    }

    pub(super) fn write_register(&self) {
        let (names, domains, absent) =
            (self.names.borrow(), self.domains.borrow(), self.absent.borrow());
        let records = names.after("").filter_map(|(name, owned)| {
            let here = domains.get(&owned.owner).map(|domain| domain.identity);
            let owner = here.or_else(|| Some(absent.get(&owned.owner)?.identity))?;
            Some(Record { name: name.to_owned(), iref: owned.iref, owner })
        });
        let records: Vec<_> = records.collect();
        if let Some(register) = &mut *self.register.borrow_mut()
            && let Err(error) = register.replace(&records)
        {
            tracing::warn!(%error, "the names could not be written down for the next root");
        }
    }

    fn keep_names_of(&self, number: u64, identity: Identity, records: &[Record]) {
        let asker = Asker { owner: number, user: identity.uid, before: &[] };
        for Record { name, iref, .. } in records {
            self.names.borrow_mut().keep(asker, name, *iref);
        }
        self.remember_services(number);
        tracing::debug!(?identity, names = records.len(), "names are kept for a process");
    }

    /// Keeps the names of a domain that is not connected any more, if its process lives. False if they are free.
    pub(super) fn keep_names(self: &Rc<Self>, number: u64, domain: &Domain) -> bool {
        let several = self.users.borrow().policy().has_others();
        let kept = self.register.borrow().is_some()
            && self.names.borrow().has_some(number)
            && domain.death.process().try_clone().is_ok_and(|process| {
                self.add_absent(number, domain.identity, Some(process), several)
            });
        if kept {
            self.remember_services(number);
            self.look_again_later();
        }
        kept
    }

    /// Finds a process of which a root before has written; gives it a number.
    fn find_absent(&self, identity: Identity) -> Option<u64> {
        let number = next_number();
        let Some(pid) = identity.pid() else {
            return self.add_absent(number, identity, None, false).then_some(number);
        };
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let found = Identity::new(&process, identity.pid(), identity.uid).ok()?;
        let same = found.is_same(&identity);
        (same && self.add_absent(number, identity, Some(process.into()), true)).then_some(number)
    }

    fn add_absent(
        &self,
        number: u64,
        identity: Identity,
        process: Option<Cap>,
        for_life: bool,
    ) -> bool {
        if process.as_ref().is_some_and(|process| is_dead(process.as_fd())) {
            return false;
        }
        let Ok(death) = process.map(|process| self.watch(number, process)).transpose() else {
            return false;
        };
        let (services, until) = (HashSet::new(), Instant::now() + COME_BACK);
        let absent = Absent { identity, services, for_life, until, _death: death };
        self.absent.borrow_mut().insert(number, absent);
        self.users.borrow_mut().keep(identity.uid);
        true
    }

    fn remember_services(&self, number: u64) {
        if let Some(absent) = self.absent.borrow_mut().get_mut(&number) {
            absent.services = self.names.borrow().services_of(number).collect();
        }
    }

    /// Whether an owner that is not connected may come back soon.
    pub(super) fn is_expected(&self, number: u64) -> bool {
        let absent = self.absent.borrow();
        absent.get(&number).is_some_and(|absent| Instant::now() < absent.until)
    }

    /// Whether any owner may come back soon.
    pub(super) fn expects_owners(&self) -> bool {
        let now = Instant::now();
        self.absent.borrow().values().any(|absent| now < absent.until)
    }

    /// Whether a service is that of a process which is not connected and lives.
    pub(super) fn expects_service(&self, iref: Iref) -> bool {
        self.absent.borrow().values().any(|absent| absent.has_published(iref))
    }

    /// Forgets those who are not waited for any longer.
    pub(super) fn give_up_absent(&self) {
        let (now, absent) = (Instant::now(), self.absent.borrow());
        let late = absent.iter().filter(|(_, absent)| !absent.for_life && absent.until <= now);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        drop(absent);
        late.into_iter().for_each(|number| self.forget_absent(number));
    }

    /// The owners whose place a domain takes: its own process, as it was connected before.
    pub(super) fn before(&self, domain: &Domain) -> Vec<u64> {
        let absent = self.absent.borrow();
        let same = absent.iter().filter(|(_, absent)| absent.identity.is_same(&domain.identity));
        same.map(|(number, _)| *number).collect()
    }

    /// A domain has told all that it has: what else was kept for it is free.
    pub(super) fn settled(self: &Rc<Self>, domain: &Rc<Domain>) {
        self.before(domain).into_iter().for_each(|number| self.forget_absent(number));
        self.look_again();
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
