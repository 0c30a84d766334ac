//! The table of names and their owners. Owners are numbers. The cost of a request does not depend
//! on how many names others have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use flounder_rt::Iref;

use crate::name::is_name;

/// Most names of one domain.
pub(crate) const MAX_NAMES: usize = 4096;

/// Most names of all domains of one user.
pub(crate) const MAX_NAMES_OF_USER: usize = 65_536;

/// The table of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: BTreeMap<Rc<str>, Registration>,
    /// Index by owner and service.
    by_owner: BTreeSet<(u64, Iref, Rc<str>)>,
    /// Owners that have at least one name.
    owners: HashMap<u64, Owner>,
    /// Number of names of each user that has one.
    users: HashMap<u32, usize>,
}

#[derive(Debug)]
struct Owner {
    user: u32,
    names: usize,
}

/// The domain that makes a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requester<'a> {
    /// Number of the domain.
    pub(crate) owner: u64,
    /// User of the domain.
    pub(crate) user: u32,
    /// Numbers of former connections of the same process, whose names the domain may take over.
    pub(crate) replaces: &'a [u64],
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
    /// Another domain, with this number, has the name.
    Taken(u64),
    /// There is no such name.
    Unknown,
    /// The string cannot be a name.
    Invalid,
    /// The domain, or its user, has too many names.
    Quota,
    /// The name belongs to another domain.
    NotOwner,
}

impl Names {
    /// Registers `name` for a service. The owner may register it again for another service.
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
            Some(owned) if !requester.acts_for(owned.owner) => {
                return Err(NameRefusal::Taken(owned.owner));
            }
            Some(_) => self.remove(name),
            None => {
                let of_owner = self.owners.get(&requester.owner).map_or(0, |owner| owner.names);
                let of_user = self.users.get(&requester.user).copied().unwrap_or_default();
                if of_owner >= MAX_NAMES || of_user >= MAX_NAMES_OF_USER {
                    return Err(NameRefusal::Quota);
                }
            }
        }
        self.insert(requester, name, iref);
        Ok(())
    }

    /// Restores `name` for its owner under the last root. Returns false if it is taken or cannot be
    /// a name.
    pub(crate) fn restore(&mut self, requester: Requester<'_>, name: &str, iref: Iref) -> bool {
        let free = is_name(name) && !self.table.contains_key(name);
        if free {
            self.insert(requester, name, iref);
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
            Some(owned) if !requester.acts_for(owned.owner) => Err(NameRefusal::NotOwner),
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
        self.table.get(name).copied().ok_or(NameRefusal::Unknown)
    }

    /// Removes the names of an owner, and returns them.
    pub(crate) fn remove_owner(&mut self, owner: u64) -> Vec<Rc<str>> {
        let names: Vec<_> = self.of_owner(owner).map(|(_, name)| Rc::clone(name)).collect();
        names.iter().for_each(|name| self.remove(name));
        names
    }

    /// Removes the names of a service, and returns them.
    pub(crate) fn remove_service(&mut self, owner: u64, iref: Iref) -> Vec<Rc<str>> {
        let of_service = self.by_owner.range((owner, iref, Rc::from(""))..);
        let of_service = of_service.take_while(|entry| (entry.0, entry.1) == (owner, iref));
        let names: Vec<_> = of_service.map(|(_, _, name)| Rc::clone(name)).collect();
        names.iter().for_each(|name| self.remove(name));
        names
    }

    /// Returns the services with names of an owner, once for each name.
    pub(crate) fn services_of(&self, owner: u64) -> impl Iterator<Item = Iref> {
        self.of_owner(owner).map(|(iref, _)| iref)
    }

    /// Returns true if an owner has a name.
    pub(crate) fn has_some(&self, owner: u64) -> bool {
        self.owners.contains_key(&owner)
    }

    /// Returns the names after `name`, in order.
    pub(crate) fn after(&self, name: &str) -> impl Iterator<Item = (&str, Registration)> {
        let range = self.table.range::<str, _>((Bound::Excluded(name), Bound::Unbounded));
        range.map(|(name, owned)| (&**name, *owned))
    }

    fn of_owner(&self, owner: u64) -> impl Iterator<Item = (Iref, &Rc<str>)> {
        let least = Iref::from_bits(1).expect("1 is not 0");
        let theirs = self.by_owner.range((owner, least, Rc::from(""))..);
        theirs.take_while(move |entry| entry.0 == owner).map(|(_, iref, name)| (*iref, name))
    }

    fn insert(&mut self, requester: Requester<'_>, name: &str, iref: Iref) {
        let (owner, user, name) = (requester.owner, requester.user, Rc::<str>::from(name));
        self.owners.entry(owner).or_insert(Owner { user, names: 0 }).names += 1;
        *self.users.entry(user).or_default() += 1;
        self.by_owner.insert((owner, iref, Rc::clone(&name)));
        self.table.insert(name, Registration { owner, iref });
    }

    fn remove(&mut self, name: &str) {
        let Some((name, Registration { owner: number, iref })) = self.table.remove_entry(name)
        else {
            return;
        };
        self.by_owner.remove(&(number, iref, name));
        let owner = self.owners.get_mut(&number).expect("an owner with a name is counted");
        let names = self.users.get_mut(&owner.user).expect("the users of owners are counted");
        owner.names -= 1;
        *names -= 1;
        if *names == 0 {
            self.users.remove(&owner.user);
        }
        if owner.names == 0 {
            self.owners.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iref(bits: u64) -> Iref {
        Iref::from_bits(bits).expect("not zero")
    }

    /// Returns a requester whose user has the number of the domain.
    fn domain(owner: u64) -> Requester<'static> {
        Requester { owner, user: owner as u32, replaces: &[] }
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
        assert_eq!(names.register(domain(1), "a", iref(7)), Ok(()));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 1, iref: iref(7) }));
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
    fn quota_of_a_domain_is_freed_by_unregister() {
        let mut names = names();
        for i in 0..MAX_NAMES {
            names.register(domain(1), &format!("n{i}"), iref(1)).expect("below the quota");
        }
        assert_eq!(names.register(domain(1), "more", iref(1)), Err(NameRefusal::Quota));
        assert_eq!(names.register(domain(2), "more", iref(1)), Ok(()), "the quota is per domain");
        names.unregister(domain(1), "n0").expect("it is its own");
        assert_eq!(names.register(domain(1), "again", iref(1)), Ok(()));
        assert_eq!(names.register(domain(1), "n0", iref(1)), Err(NameRefusal::Quota));
    }

    #[test]
    fn quota_of_a_user_spans_its_domains() {
        let mut names = names();
        let of_one = |owner: u64| Requester { owner, user: 7, replaces: &[] };
        for i in 0..MAX_NAMES_OF_USER {
            let owner = (i / MAX_NAMES) as u64;
            names.register(of_one(owner), &format!("n{i}"), iref(1)).expect("below the quota");
        }
        assert_eq!(names.register(of_one(99), "more", iref(1)), Err(NameRefusal::Quota));
        assert_eq!(names.register(domain(99), "more", iref(1)), Ok(()), "of another user");
        assert_eq!(names.remove_owner(0).len(), MAX_NAMES);
        assert_eq!(names.register(of_one(98), "room", iref(1)), Ok(()));
        (1..99).for_each(|owner| drop(names.remove_owner(owner)));
        assert_eq!(names.users.len(), 1);
    }

    #[test]
    fn rejoined_owner_takes_over_its_names() {
        let mut names = names();
        assert!(names.restore(domain(1), "a", iref(5)));
        assert!(names.restore(domain(1), "b", iref(5)));
        assert!(!names.restore(domain(2), "a", iref(6)), "it is kept for another");
        assert_eq!(names.register(domain(2), "a", iref(6)), Err(NameRefusal::Taken(1)));
        let rejoined = Requester { owner: 3, user: 1, replaces: &[1] };
        assert_eq!(names.register(rejoined, "a", iref(5)), Ok(()));
        assert_eq!(names.lookup("a"), Ok(Registration { owner: 3, iref: iref(5) }));
        assert_eq!(names.unregister(rejoined, "b"), Ok(()));
        assert!(!names.has_some(1));
        assert_eq!(removed(names.remove_owner(3)), ["a"]);
        assert_eq!(names.users.len(), 0);
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
        assert!(names.owners.is_empty() && names.users.is_empty() && names.by_owner.is_empty());
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
