//! The table of names and their owners. Owners are numbers. The cost of a request does not depend
//! on how many names others have.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

use flounder_rt::Iref;
use flounder_rt::account::{Account, Charge, OverLimit, Resource};

use crate::name::is_name;

/// The table of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: BTreeMap<Rc<str>, (Registration, Charge)>,
    /// Index by owner and service.
    by_owner: BTreeSet<(u64, Iref, Rc<str>)>,
}

/// The domain that makes a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requester<'a> {
    /// Number of the domain.
    pub(crate) owner: u64,
    /// Account of the domain's process, which names are charged to.
    pub(crate) account: &'a Account,
    /// Numbers of former connections of the same process, whose names the domain may take over.
    pub(crate) replaces: &'a [u64],
    /// An owner whose name the domain takes over for another service.
    pub(crate) takes_over: Option<u64>,
}

impl Requester<'_> {
    fn acts_for(&self, owner: u64) -> bool {
        owner == self.owner || self.replaces.contains(&owner)
    }
}

/// Owner and service of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    /// Number of the domain.
    pub(crate) owner: u64,
    /// Service that has the name.
    pub(crate) iref: Iref,
}

/// Why a request about a name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRefusal {
    /// The domain with this number has the name: another one, or the requester for another service.
    Taken(u64),
    /// There is no such name.
    Unknown,
    /// The string cannot be a name.
    Invalid,
    /// The domain, or its user, would have more names than it may.
    OverLimit(OverLimit),
    /// The name belongs to another domain.
    NotOwner,
}

impl Names {
    /// Registers `name` for a service. A domain that has the name already keeps it for the service
    /// that it has, and may take over that of a former connection for any of its services.
    pub(crate) fn register(
        &mut self,
        requester: Requester<'_>,
        name: &str,
        iref: Iref,
    ) -> Result<(), NameRefusal> {
        if !is_name(name) {
            return Err(NameRefusal::Invalid);
        }
        match self.table.get(name) {
            Some((owned, _)) if (owned.owner, owned.iref) == (requester.owner, iref) => {
                return Ok(());
            }
            Some((owned, charge)) if requester.takes_over == Some(owned.owner) => {
                let more = match charge.account().is_same(requester.account) {
                    true => None,
                    false => Some(requester.account.charge(Resource::Names, 1)),
                };
                let more = more.transpose().map_err(NameRefusal::OverLimit)?;
                if let (Some(old), more) = (self.remove(name), more) {
                    self.insert(requester.owner, name, iref, more.unwrap_or(old));
                }
                return Ok(());
            }
            Some((owned, _)) if !requester.replaces.contains(&owned.owner) => {
                return Err(NameRefusal::Taken(owned.owner));
            }
            _ => {}
        }
        let charge = match self.remove(name) {
            Some(charge) if charge.account().is_same(requester.account) => charge,
            // Of a former connection: the process has the name already.
            Some(_) => requester.account.charge_held(Resource::Names, 1),
            None => {
                let charge = requester.account.charge(Resource::Names, 1);
                charge.map_err(NameRefusal::OverLimit)?
            }
        };
        self.insert(requester.owner, name, iref, charge);
        Ok(())
    }

    /// Restores `name` for its owner under the last root, also beyond the limits of this one.
    /// Returns false if it is taken or cannot be a name.
    pub(crate) fn restore(&mut self, requester: Requester<'_>, name: &str, iref: Iref) -> bool {
        let free = is_name(name) && !self.table.contains_key(name);
        if free {
            let charge = requester.account.charge_held(Resource::Names, 1);
            self.insert(requester.owner, name, iref, charge);
        }
        free
    }

    /// Removes a name of its owner.
    pub(crate) fn unregister(
        &mut self,
        requester: Requester<'_>,
        name: &str,
    ) -> Result<(), NameRefusal> {
        match self.table.get(name) {
            None => Err(NameRefusal::Unknown),
            Some((owned, _)) if !requester.acts_for(owned.owner) => Err(NameRefusal::NotOwner),
            Some(_) => {
                self.remove(name);
                Ok(())
            }
        }
    }

    /// Returns owner and service of a name.
    pub(crate) fn lookup(&self, name: &str) -> Result<Registration, NameRefusal> {
        if !is_name(name) {
            return Err(NameRefusal::Invalid);
        }
        self.table.get(name).map(|(owned, _)| *owned).ok_or(NameRefusal::Unknown)
    }

    /// Removes the names of an owner, and returns them.
    pub(crate) fn remove_owner(&mut self, owner: u64) -> Vec<Rc<str>> {
        let names: Vec<_> = self.of_owner(owner).map(|(_, name)| Rc::clone(name)).collect();
        names.iter().for_each(|name| drop(self.remove(name)));
        names
    }

    /// Removes the names of a service, and returns them.
    pub(crate) fn remove_service(&mut self, owner: u64, iref: Iref) -> Vec<Rc<str>> {
        let of_service = self.by_owner.range((owner, iref, Rc::from(""))..);
        let of_service = of_service.take_while(|entry| (entry.0, entry.1) == (owner, iref));
        let names: Vec<_> = of_service.map(|(_, _, name)| Rc::clone(name)).collect();
        names.iter().for_each(|name| drop(self.remove(name)));
        names
    }

    /// Returns the services with names of an owner, once for each name.
    pub(crate) fn services_of(&self, owner: u64) -> impl Iterator<Item = Iref> {
        self.of_owner(owner).map(|(iref, _)| iref)
    }

    /// Returns true if an owner has a name.
    pub(crate) fn has_some(&self, owner: u64) -> bool {
        self.of_owner(owner).next().is_some()
    }

    /// Returns the names after `name`, in order.
    pub(crate) fn after(&self, name: &str) -> impl Iterator<Item = (&str, Registration)> {
        let range = self.table.range::<str, _>((Bound::Excluded(name), Bound::Unbounded));
        range.map(|(name, (owned, _))| (&**name, *owned))
    }

    fn of_owner(&self, owner: u64) -> impl Iterator<Item = (Iref, &Rc<str>)> {
        let least = Iref::from_bits(1).expect("1 is not 0");
        let theirs = self.by_owner.range((owner, least, Rc::from(""))..);
        theirs.take_while(move |entry| entry.0 == owner).map(|(_, iref, name)| (*iref, name))
    }

    fn insert(&mut self, owner: u64, name: &str, iref: Iref, charge: Charge) {
        let name = Rc::<str>::from(name);
        self.by_owner.insert((owner, iref, Rc::clone(&name)));
        self.table.insert(name, (Registration { owner, iref }, charge));
    }

    /// Removes a name, and returns its charge.
    fn remove(&mut self, name: &str) -> Option<Charge> {
        let (name, (Registration { owner, iref }, charge)) = self.table.remove_entry(name)?;
        self.by_owner.remove(&(owner, iref, name));
        Some(charge)
    }
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::collections::HashMap;

    use flounder_rt::account::{ProcessId, Scope};

    use super::*;

    /// Default limits of names.
    const OF_PROCESS: u64 = 4096;
    const OF_USER: u64 = 65_536;

    fn iref(bits: u64) -> Iref {
        Iref::from_bits(bits).expect("not zero")
    }

    /// Returns a user without processes.
    fn new_user() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(200_000);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    thread_local! {
        /// Accounts of the domains of one test.
        static ACCOUNTS: RefCell<HashMap<u64, &'static Account>> = RefCell::default();
    }

    fn domain_of(owner: u64, user: impl FnOnce() -> u32) -> Requester<'static> {
        let account = ACCOUNTS.with_borrow_mut(|accounts| {
            *accounts.entry(owner).or_insert_with(|| {
                let inode = u64::from(new_user());
                let id = ProcessId { pid: None, uid: Some(user()), inode };
                Box::leak(Box::new(Account::of(id)))
            })
        });
        Requester { owner, account, replaces: &[], takes_over: None }
    }

    /// Returns a requester of a user of its own.
    fn domain(owner: u64) -> Requester<'static> {
        domain_of(owner, new_user)
    }

    fn used(requester: Requester<'_>) -> u64 {
        requester.account.used(Resource::Names)
    }

    fn over(limit: u64, of: Scope) -> Result<(), NameRefusal> {
        Err(NameRefusal::OverLimit(OverLimit::new(Resource::Names, limit, of)))
    }

    fn names() -> Names {
        Names::default()
    }

    /// Converts removed names for comparison.
    fn removed(names: Vec<Rc<str>>) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn first_owner_keeps_a_name_until_it_unregisters() {
        let mut names = names();
        assert_eq!(names.register(domain(1), "a", iref(5)), Ok(()));
        assert_eq!(names.register(domain(2), "a", iref(6)), Err(NameRefusal::Taken(1)));
        assert_eq!(names.unregister(domain(2), "a"), Err(NameRefusal::NotOwner));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 1, iref: iref(5) }));
        assert_eq!(names.register(domain(1), "a", iref(7)), Err(NameRefusal::Taken(1)));
        assert_eq!(names.register(domain(1), "a", iref(5)), Ok(()), "it has it");
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 1, iref: iref(5) }));
        assert_eq!(names.unregister(domain(1), "a"), Ok(()));
        assert_eq!(names.unregister(domain(1), "a"), Err(NameRefusal::Unknown));
        assert_eq!(names.register(domain(2), "a", iref(6)), Ok(()));
    }

    #[test]
    fn invalid_names_are_refused() {
        let mut names = names();
        for name in ["", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(256)] {
            assert_eq!(
                names.register(domain(1), name, iref(1)),
                Err(NameRefusal::Invalid),
                "{name:?}"
            );
            assert_eq!(names.lookup(name), Err(NameRefusal::Invalid), "{name:?}");
        }
        assert_eq!(names.register(domain(1), &"x".repeat(255), iref(1)), Ok(()));
        assert_eq!(names.register(domain(1), "naïve 名前", iref(1)), Ok(()));
    }

    #[test]
    fn limit_of_a_domain_is_freed_by_unregister() {
        let mut names = names();
        for i in 0..OF_PROCESS {
            names.register(domain(1), &format!("n{i}"), iref(1)).expect("below the limit");
        }
        let refused = over(OF_PROCESS, Scope::Process);
        assert_eq!(names.register(domain(1), "more", iref(1)), refused);
        assert_eq!(names.register(domain(2), "more", iref(1)), Ok(()), "the limit is per domain");
        names.unregister(domain(1), "n0").expect("it is its own");
        assert_eq!(names.register(domain(1), "again", iref(1)), Ok(()));
        assert_eq!(names.register(domain(1), "n0", iref(1)), refused);
        assert_eq!(names.register(domain(1), "again", iref(1)), Ok(()), "it has the name");
        assert_eq!(used(domain(1)), OF_PROCESS);
    }

    #[test]
    fn limit_of_a_user_spans_its_domains() {
        let (mut names, user) = (names(), new_user());
        let of_one = |owner: u64| domain_of(owner, || user);
        for i in 0..OF_USER {
            names
                .register(of_one(i / OF_PROCESS), &format!("n{i}"), iref(1))
                .expect("below the limit");
        }
        assert_eq!(names.register(of_one(99), "more", iref(1)), over(OF_USER, Scope::User));
        assert_eq!(names.register(domain(100), "more", iref(1)), Ok(()), "of another user");
        assert_eq!(names.remove_owner(0).len() as u64, OF_PROCESS);
        assert_eq!(names.register(of_one(98), "room", iref(1)), Ok(()));
        (1..99).for_each(|owner| drop(names.remove_owner(owner)));
        assert!((0..100).all(|owner| used(of_one(owner)) == 0));
    }

    #[test]
    fn rejoined_owner_takes_over_its_names() {
        let mut names = names();
        assert!(names.restore(domain(1), "a", iref(5)));
        assert!(names.restore(domain(1), "b", iref(5)));
        assert!(!names.restore(domain(2), "a", iref(6)), "it is kept for another");
        assert_eq!(names.register(domain(2), "a", iref(6)), Err(NameRefusal::Taken(1)));
        assert_eq!((used(domain(1)), used(domain(2))), (2, 0));
        let rejoined = Requester { owner: 3, replaces: &[1], ..domain(1) };
        assert_eq!(names.register(rejoined, "a", iref(5)), Ok(()));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 3, iref: iref(5) }));
        assert_eq!(names.register(rejoined, "b", iref(6)), Ok(()), "its record may be an old one");
        assert_eq!(names.register(rejoined, "b", iref(5)), Err(NameRefusal::Taken(3)));
        assert_eq!(names.unregister(rejoined, "b"), Ok(()));
        assert!(!names.has_some(1));
        assert_eq!(used(domain(1)), 1);
        assert_eq!(removed(names.remove_owner(3)), ["a"]);
        assert_eq!(used(domain(1)), 0);
    }

    #[test]
    fn name_that_is_taken_over_is_charged_to_the_new_owner() {
        let mut names = names();
        names.register(domain(1), "a", iref(5)).expect("free");
        let taker = Requester { takes_over: Some(1), ..domain(2) };
        for i in 0..OF_PROCESS {
            names.register(domain(2), &format!("n{i}"), iref(6)).expect("below the limit");
        }
        assert_eq!(names.register(taker, "a", iref(6)), over(OF_PROCESS, Scope::Process));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 1, iref: iref(5) }));
        names.unregister(domain(2), "n0").expect("it is its own");
        assert_eq!(names.register(taker, "a", iref(6)), Ok(()));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 2, iref: iref(6) }));
        assert_eq!((used(domain(1)), used(domain(2))), (0, OF_PROCESS));
        assert_eq!(removed(names.remove_owner(1)), [""; 0]);
        // Of another service of the same process.
        let again = Requester { takes_over: Some(2), ..domain(2) };
        assert_eq!(names.register(again, "a", iref(7)), Ok(()));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 2, iref: iref(7) }));
        assert_eq!(used(domain(2)), OF_PROCESS);
    }

    #[test]
    fn names_of_the_last_root_are_charged_and_stay_beyond_the_limit() {
        let mut names = names();
        for i in 0..=OF_PROCESS {
            assert!(names.restore(domain(1), &format!("n{i}"), iref(1)));
        }
        assert_eq!(used(domain(1)), OF_PROCESS + 1);
        assert_eq!(names.register(domain(1), "more", iref(1)), over(OF_PROCESS, Scope::Process));
        // Its process is known by another account now.
        let rejoined = Requester { owner: 3, replaces: &[1], ..domain(3) };
        for i in 0..=OF_PROCESS {
            assert_eq!(names.register(rejoined, &format!("n{i}"), iref(1)), Ok(()));
        }
        assert_eq!((used(domain(1)), used(rejoined)), (0, OF_PROCESS + 1));
        assert_eq!(names.register(rejoined, "more", iref(1)), over(OF_PROCESS, Scope::Process));
    }

    #[test]
    fn removed_owner_leaves_nothing() {
        let mut names = names();
        names.register(domain(1), "a", iref(1)).expect("free");
        names.register(domain(2), "b", iref(2)).expect("free");
        names.register(domain(2), "d", iref(3)).expect("free");
        assert_eq!(removed(names.remove_owner(1)), ["a"]);
        assert_eq!(names.lookup("a"), Err(NameRefusal::Unknown));
        assert_eq!(names.register(domain(2), "c", iref(2)), Ok(()));
        assert_eq!(names.services_of(2).collect::<Vec<_>>(), [iref(2), iref(2), iref(3)]);
        assert_eq!(removed(names.remove_service(2, iref(2))), ["b", "c"]);
        assert_eq!(names.after("").map(|(name, _)| name).collect::<Vec<_>>(), ["d"]);
        assert_eq!(removed(names.remove_service(2, iref(3))), ["d"]);
        assert!(names.table.is_empty() && names.by_owner.is_empty());
        assert_eq!((used(domain(1)), used(domain(2))), (0, 0));
    }

    #[test]
    fn listing_continues_after_a_name() {
        let mut names = names();
        for name in ["c", "a", "b"] {
            names.register(domain(1), name, iref(1)).expect("free");
        }
        let listed: Vec<_> = names.after("a").map(|(name, _)| name).collect();
        assert_eq!(listed, ["b", "c"]);
    }
}
