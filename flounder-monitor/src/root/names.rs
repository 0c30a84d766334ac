//! The table of names: who owns which, and who waits for one. Pure bookkeeping; owners are numbers.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use flounder_rt::Iref;

/// Longest name, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Names of one domain.
pub(crate) const MAX_NAMES: usize = 4096;

/// Names of all domains of one user.
pub(crate) const MAX_NAMES_OF_USER: usize = 65_536;

/// Lookups of one domain that wait. Fewer than the replies that a binding may owe, so that a domain that waits for this
/// many names is still heard.
pub(crate) const MAX_WAITING: usize = 512;

/// The table; `W` is what a waiting lookup leaves behind to be answered with.
#[derive(Debug)]
pub(crate) struct Names<W> {
    table: BTreeMap<String, Owned>,
    waiting: HashMap<String, Vec<Waiting<W>>>,
    /// Names, and waiting lookups, of each owner.
    counts: HashMap<u64, Counts>,
    /// Names of each user.
    users: HashMap<u32, usize>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The domain.
    pub(crate) owner: u64,
    /// Its user.
    pub(crate) user: u32,
    /// Owners that are gone, and whose place it takes.
    pub(crate) before: &'a [u64],
}

impl Asker<'_> {
    fn is(&self, owner: u64) -> bool {
        owner == self.owner || self.before.contains(&owner)
    }
}

/// A name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owned {
    /// The domain.
    pub(crate) owner: u64,
    /// What it stands for.
    pub(crate) iref: Iref,
}

#[derive(Debug)]
struct Waiting<W> {
    owner: u64,
    ticket: u64,
    answer: W,
}

#[derive(Debug, Default)]
struct Counts {
    user: u32,
    names: usize,
    waiting: usize,
}

/// Why a request about a name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// By another domain.
    Taken(u64),
    /// There is none.
    Unknown,
    /// It cannot be one.
    Invalid,
    /// This domain has too many.
    Quota,
    /// It belongs to another domain.
    NotOwner,
}

impl<W> Names<W> {
    pub(crate) fn new() -> Self {
        Self {
            table: BTreeMap::new(),
            waiting: HashMap::new(),
            counts: HashMap::new(),
            users: HashMap::new(),
        }
    }

    /// Gives `name` to a domain, and returns the lookups that waited for it. The owner itself may change what it stands for.
    pub(crate) fn register(
        &mut self,
        asker: Asker<'_>,
        name: &str,
        iref: Iref,
    ) -> Result<Vec<W>, Refused> {
        if !is_name(name) {
            return Err(Refused::Invalid);
        }
        match self.table.get(name).copied() {
            Some(owned) if !asker.is(owned.owner) => return Err(Refused::Taken(owned.owner)),
            Some(owned) => self.uncount(owned.owner),
            None => {
                let names = self.counts.get(&asker.owner).map_or(0, |counts| counts.names);
                let of_user = self.users.get(&asker.user).copied().unwrap_or_default();
                if names >= MAX_NAMES || of_user >= MAX_NAMES_OF_USER {
                    return Err(Refused::Quota);
                }
            }
        }
        self.put(asker, name, iref);
        let waiting = self.waiting.remove(name).unwrap_or_default();
        for waiting in &waiting {
            self.counts_of(waiting.owner).waiting -= 1;
        }
        Ok(waiting.into_iter().map(|waiting| waiting.answer).collect())
    }

    /// Gives `name` to an owner who is known to have had it. False if it has another, or cannot be one.
    pub(crate) fn keep(&mut self, asker: Asker<'_>, name: &str, iref: Iref) -> bool {
        let free = is_name(name) && !self.table.contains_key(name);
        if free {
            self.put(asker, name, iref);
        }
        free
    }

    /// Takes a name away from its owner.
    pub(crate) fn unregister(&mut self, asker: Asker<'_>, name: &str) -> Result<(), Refused> {
        match self.table.get(name) {
            None => Err(Refused::Unknown),
            Some(owned) if !asker.is(owned.owner) => Err(Refused::NotOwner),
            Some(owned) => {
                let owner = owned.owner;
                self.table.remove(name);
                self.uncount(owner);
                Ok(())
            }
        }
    }

    /// What a name stands for.
    pub(crate) fn lookup(&self, name: &str) -> Result<Owned, Refused> {
        if !is_name(name) {
            return Err(Refused::Invalid);
        }
        self.table.get(name).copied().ok_or(Refused::Unknown)
    }

    /// Has a lookup wait for a name that [`lookup`](Self::lookup) does not know. Refused, the answer comes back.
    pub(crate) fn wait(&mut self, owner: u64, ticket: u64, name: &str, answer: W) -> Result<(), W> {
        let counts = self.counts.entry(owner).or_default();
        if counts.waiting >= MAX_WAITING {
            return Err(answer);
        }
        counts.waiting += 1;
        let waiting = self.waiting.entry(name.to_owned()).or_default();
        waiting.push(Waiting { owner, ticket, answer });
        Ok(())
    }

    /// Ends the waiting lookups of `owner` with this ticket.
    pub(crate) fn forget(&mut self, owner: u64, ticket: u64) -> Vec<W> {
        self.drop_waiting(|waiting| waiting.owner == owner && waiting.ticket == ticket)
    }

    /// Ends all waiting lookups of a domain.
    pub(crate) fn forget_all(&mut self, owner: u64) -> Vec<W> {
        let waits = self.counts.get(&owner).is_some_and(|counts| counts.waiting > 0);
        if waits { self.drop_waiting(|waiting| waiting.owner == owner) } else { Vec::new() }
    }

    /// Forgets the names of a domain whose lookups are forgotten, and returns them.
    pub(crate) fn remove_owner(&mut self, owner: u64) -> Vec<String> {
        let removed = self.extract(owner, |_| true);
        let counts = self.counts.remove(&owner);
        debug_assert!(counts.is_none_or(|counts| counts.waiting == 0 && counts.names == 0));
        removed
    }

    /// Forgets the names of a service that is no more, and returns them.
    pub(crate) fn remove_service(&mut self, owner: u64, iref: Iref) -> Vec<String> {
        self.extract(owner, |owned| owned.iref == iref)
    }

    /// The services that an owner has named.
    pub(crate) fn services_of(&self, owner: u64) -> impl Iterator<Item = Iref> {
        self.table.values().filter(move |owned| owned.owner == owner).map(|owned| owned.iref)
    }

    /// Whether an owner has a name.
    pub(crate) fn has_some(&self, owner: u64) -> bool {
        self.counts.get(&owner).is_some_and(|counts| counts.names > 0)
    }

    /// The names after this one, in order.
    pub(crate) fn after(&self, name: &str) -> impl Iterator<Item = (&str, Owned)> {
        let range = self.table.range::<str, _>((Bound::Excluded(name), Bound::Unbounded));
        range.map(|(name, owned)| (name.as_str(), *owned))
    }

    fn put(&mut self, asker: Asker<'_>, name: &str, iref: Iref) {
        let counts = self.counts.entry(asker.owner).or_default();
        counts.user = asker.user;
        counts.names += 1;
        *self.users.entry(asker.user).or_default() += 1;
        self.table.insert(name.to_owned(), Owned { owner: asker.owner, iref });
    }

    /// A name of this owner is gone.
    fn uncount(&mut self, owner: u64) {
        let counts = self.counts_of(owner);
        counts.names -= 1;
        let user = counts.user;
        if let Some(names) = self.users.get_mut(&user) {
            *names -= 1;
            if *names == 0 {
                self.users.remove(&user);
            }
        }
    }

    fn extract(&mut self, owner: u64, which: impl Fn(&Owned) -> bool) -> Vec<String> {
        if !self.has_some(owner) {
            return Vec::new();
        }
        let theirs = |_: &String, owned: &mut Owned| owned.owner == owner && which(owned);
        let removed: Vec<_> = self.table.extract_if(.., theirs).map(|(name, _)| name).collect();
        removed.iter().for_each(|_| self.uncount(owner));
        removed
    }

    fn drop_waiting(&mut self, which: impl Fn(&Waiting<W>) -> bool) -> Vec<W> {
        let mut dropped = Vec::new();
        self.waiting.retain(|_, waiting| {
            dropped.extend(waiting.extract_if(.., |waiting| which(waiting)));
            !waiting.is_empty()
        });
        for waiting in &dropped {
            self.counts_of(waiting.owner).waiting -= 1;
        }
        dropped.into_iter().map(|waiting| waiting.answer).collect()
    }

    fn counts_of(&mut self, owner: u64) -> &mut Counts {
        self.counts.get_mut(&owner).expect("who has something is counted")
    }
}

/// Whether a string can be a name: not empty, not too long, and nothing in it that a terminal would obey.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iref(bits: u64) -> Iref {
        Iref::from_bits(bits).expect("not zero")
    }

    /// A domain, of the user with its number.
    fn domain(owner: u64) -> Asker<'static> {
        Asker { owner, user: owner as u32, before: &[] }
    }

    fn names() -> Names<&'static str> {
        Names::new()
    }

    #[test]
    fn the_first_owner_wins_until_it_lets_go() {
        let mut names = names();
        assert_eq!(names.register(domain(1), "a", iref(5)), Ok(vec![]));
        assert_eq!(names.register(domain(2), "a", iref(6)), Err(Refused::Taken(1)));
        assert_eq!(names.unregister(domain(2), "a"), Err(Refused::NotOwner));
        assert_eq!(names.lookup("a"), Ok(Owned { owner: 1, iref: iref(5) }));
        assert_eq!(names.register(domain(1), "a", iref(7)), Ok(vec![]));
        assert_eq!(names.lookup("a"), Ok(Owned { owner: 1, iref: iref(7) }));
        assert_eq!(names.unregister(domain(1), "a"), Ok(()));
        assert_eq!(names.unregister(domain(1), "a"), Err(Refused::Unknown));
        assert_eq!(names.register(domain(2), "a", iref(6)), Ok(vec![]));
    }

    #[test]
    fn bad_names_are_refused() {
        let mut names = names();
        for name in ["", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(256)] {
            assert_eq!(names.register(domain(1), name, iref(1)), Err(Refused::Invalid), "{name:?}");
            assert_eq!(names.lookup(name), Err(Refused::Invalid), "{name:?}");
        }
        assert_eq!(names.register(domain(1), &"x".repeat(255), iref(1)), Ok(vec![]));
        assert_eq!(names.register(domain(1), "naïve 名前", iref(1)), Ok(vec![]));
    }

    #[test]
    fn a_domain_has_its_quota_and_gets_room_back() {
        let mut names = names();
        for i in 0..MAX_NAMES {
            names.register(domain(1), &format!("n{i}"), iref(1)).expect("within the quota");
        }
        assert_eq!(names.register(domain(1), "more", iref(1)), Err(Refused::Quota));
        assert_eq!(
            names.register(domain(2), "more", iref(1)),
            Ok(vec![]),
            "a quota is one domain's"
        );
        names.unregister(domain(1), "n0").expect("it is its own");
        assert_eq!(names.register(domain(1), "again", iref(1)), Ok(vec![]));
        assert_eq!(names.register(domain(1), "n0", iref(1)), Err(Refused::Quota));
    }

    #[test]
    fn a_user_has_a_quota_over_all_domains() {
        let mut names = names();
        let of_one = |owner: u64| Asker { owner, user: 7, before: &[] };
        for i in 0..MAX_NAMES_OF_USER {
            let owner = (i / MAX_NAMES) as u64;
            names.register(of_one(owner), &format!("n{i}"), iref(1)).expect("within the quota");
        }
        assert_eq!(names.register(of_one(99), "more", iref(1)), Err(Refused::Quota));
        assert_eq!(names.register(domain(99), "more", iref(1)), Ok(vec![]), "of another user");
        assert_eq!(names.remove_owner(0).len(), MAX_NAMES);
        assert_eq!(names.register(of_one(98), "room", iref(1)), Ok(vec![]));
        (1..99).for_each(|owner| drop(names.remove_owner(owner)));
        assert_eq!(names.users.len(), 1);
    }

    #[test]
    fn who_takes_the_place_of_an_owner_has_its_names() {
        let mut names = names();
        assert!(names.keep(domain(1), "a", iref(5)));
        assert!(names.keep(domain(1), "b", iref(5)));
        assert!(!names.keep(domain(2), "a", iref(6)), "it is kept for another");
        assert_eq!(names.register(domain(2), "a", iref(6)), Err(Refused::Taken(1)));
        let heir = Asker { owner: 3, user: 1, before: &[1] };
        assert_eq!(names.register(heir, "a", iref(5)), Ok(vec![]));
        assert_eq!(names.lookup("a"), Ok(Owned { owner: 3, iref: iref(5) }));
        assert_eq!(names.unregister(heir, "b"), Ok(()));
        assert!(!names.has_some(1));
        assert_eq!(names.remove_owner(3), ["a"]);
        assert_eq!(names.users.len(), 0);
    }

    #[test]
    fn a_registration_finds_those_who_wait() {
        let mut names = names();
        names.wait(1, 10, "a", "first").expect("room");
        names.wait(2, 10, "a", "second").expect("room");
        names.wait(2, 11, "b", "other").expect("room");
        assert_eq!(names.forget(2, 10), ["second"]);
        assert_eq!(names.register(domain(3), "a", iref(1)), Ok(vec!["first"]));
        assert_eq!(names.forget(1, 10), [""; 0], "it was answered");
        assert_eq!(names.forget_all(2), ["other"]);
    }

    #[test]
    fn waiting_is_bounded() {
        let mut names = names();
        for ticket in 0..MAX_WAITING as u64 {
            names.wait(1, ticket, "a", "").expect("room");
        }
        assert_eq!(names.wait(1, 9999, "a", "full"), Err("full"));
        names.forget(1, 0);
        assert_eq!(names.wait(1, 9999, "a", "room"), Ok(()));
    }

    #[test]
    fn a_dead_domain_leaves_nothing() {
        let mut names = names();
        names.register(domain(1), "a", iref(1)).expect("free");
        names.register(domain(2), "b", iref(2)).expect("free");
        names.wait(1, 1, "c", "").expect("room");
        assert_eq!(names.forget_all(1), [""]);
        assert_eq!(names.remove_owner(1), ["a"]);
        assert_eq!(names.lookup("a"), Err(Refused::Unknown));
        assert_eq!(
            names.register(domain(2), "c", iref(2)),
            Ok(vec![]),
            "nobody waits for it any more"
        );
        assert_eq!(names.remove_service(2, iref(2)), ["b", "c"]);
        assert_eq!(names.after("").count(), 0);
        assert_eq!(names.counts.get(&2).map(|counts| counts.names), Some(0));
    }

    #[test]
    fn a_listing_goes_on_where_it_stopped() {
        let mut names = names();
        for name in ["c", "a", "b"] {
            names.register(domain(1), name, iref(1)).expect("free");
        }
        let listed: Vec<_> = names.after("a").map(|(name, _)| name).collect();
        assert_eq!(listed, ["b", "c"]);
    }
}
