//! The table of names: who owns which, and who waits for one. Pure bookkeeping; owners are numbers.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use flounder_rt::Iref;

/// Longest name, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Names of one domain.
pub(crate) const MAX_NAMES: usize = 4096;

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
        Self { table: BTreeMap::new(), waiting: HashMap::new(), counts: HashMap::new() }
    }

    /// Gives `name` to `owner`, and returns the lookups that waited for it. The owner itself may change what it stands for.
    pub(crate) fn register(
        &mut self,
        owner: u64,
        name: &str,
        iref: Iref,
    ) -> Result<Vec<W>, Refused> {
        if !is_name(name) {
            return Err(Refused::Invalid);
        }
        match self.table.get_mut(name) {
            Some(owned) if owned.owner == owner => owned.iref = iref,
            Some(owned) => return Err(Refused::Taken(owned.owner)),
            None => {
                let counts = self.counts.entry(owner).or_default();
                if counts.names >= MAX_NAMES {
                    return Err(Refused::Quota);
                }
                counts.names += 1;
                self.table.insert(name.to_owned(), Owned { owner, iref });
            }
        }
        let waiting = self.waiting.remove(name).unwrap_or_default();
        for waiting in &waiting {
            self.counts_of(waiting.owner).waiting -= 1;
        }
        Ok(waiting.into_iter().map(|waiting| waiting.answer).collect())
    }

    /// Takes a name away from its owner.
    pub(crate) fn unregister(&mut self, owner: u64, name: &str) -> Result<(), Refused> {
        match self.table.get(name) {
            None => Err(Refused::Unknown),
            Some(owned) if owned.owner != owner => Err(Refused::NotOwner),
            Some(_) => {
                self.table.remove(name);
                self.counts_of(owner).names -= 1;
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

    /// Forgets all of a domain.
    pub(crate) fn remove_owner(&mut self, owner: u64) -> Vec<W> {
        self.table.retain(|_, owned| owned.owner != owner);
        let dropped = self.drop_waiting(|waiting| waiting.owner == owner);
        self.counts.remove(&owner);
        dropped
    }

    /// Forgets the names of a service that is no more.
    pub(crate) fn remove_service(&mut self, owner: u64, iref: Iref) {
        let before = self.table.len();
        self.table.retain(|_, owned| owned.owner != owner || owned.iref != iref);
        let removed = before - self.table.len();
        if removed > 0 {
            self.counts_of(owner).names -= removed;
        }
    }

    /// The names after this one, in order.
    pub(crate) fn after(&self, name: &str) -> impl Iterator<Item = (&str, Owned)> {
        let range = self.table.range::<str, _>((Bound::Excluded(name), Bound::Unbounded));
        range.map(|(name, owned)| (name.as_str(), *owned))
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

    fn names() -> Names<&'static str> {
        Names::new()
    }

    #[test]
    fn the_first_owner_wins_until_it_lets_go() {
        let mut names = names();
        assert_eq!(names.register(1, "a", iref(5)), Ok(vec![]));
        assert_eq!(names.register(2, "a", iref(6)), Err(Refused::Taken(1)));
        assert_eq!(names.unregister(2, "a"), Err(Refused::NotOwner));
        assert_eq!(names.lookup("a"), Ok(Owned { owner: 1, iref: iref(5) }));
        assert_eq!(names.register(1, "a", iref(7)), Ok(vec![]));
        assert_eq!(names.lookup("a"), Ok(Owned { owner: 1, iref: iref(7) }));
        assert_eq!(names.unregister(1, "a"), Ok(()));
        assert_eq!(names.unregister(1, "a"), Err(Refused::Unknown));
        assert_eq!(names.register(2, "a", iref(6)), Ok(vec![]));
    }

    #[test]
    fn bad_names_are_refused() {
        let mut names = names();
        for name in ["", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(256)] {
            assert_eq!(names.register(1, name, iref(1)), Err(Refused::Invalid), "{name:?}");
            assert_eq!(names.lookup(name), Err(Refused::Invalid), "{name:?}");
        }
        assert_eq!(names.register(1, &"x".repeat(255), iref(1)), Ok(vec![]));
        assert_eq!(names.register(1, "naïve 名前", iref(1)), Ok(vec![]));
    }

    #[test]
    fn a_domain_has_its_quota_and_gets_room_back() {
        let mut names = names();
        for i in 0..MAX_NAMES {
            names.register(1, &format!("n{i}"), iref(1)).expect("within the quota");
        }
        assert_eq!(names.register(1, "more", iref(1)), Err(Refused::Quota));
        assert_eq!(names.register(2, "more", iref(1)), Ok(vec![]), "a quota is one domain's");
        names.unregister(1, "n0").expect("it is its own");
        assert_eq!(names.register(1, "again", iref(1)), Ok(vec![]));
        assert_eq!(names.register(1, "n0", iref(1)), Err(Refused::Quota));
    }

    #[test]
    fn a_registration_finds_those_who_wait() {
        let mut names = names();
        names.wait(1, 10, "a", "first").expect("room");
        names.wait(2, 10, "a", "second").expect("room");
        names.wait(2, 11, "b", "other").expect("room");
        assert_eq!(names.forget(2, 10), ["second"]);
        assert_eq!(names.register(3, "a", iref(1)), Ok(vec!["first"]));
        assert_eq!(names.forget(1, 10), [""; 0], "it was answered");
        assert_eq!(names.remove_owner(2), ["other"]);
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
        names.register(1, "a", iref(1)).expect("free");
        names.register(2, "b", iref(2)).expect("free");
        names.wait(1, 1, "c", "").expect("room");
        names.remove_owner(1);
        assert_eq!(names.lookup("a"), Err(Refused::Unknown));
        assert_eq!(names.register(2, "c", iref(2)), Ok(vec![]), "nobody waits for it any more");
        names.remove_service(2, iref(2));
        assert_eq!(names.after("").count(), 0);
        assert_eq!(names.counts.get(&2).map(|counts| counts.names), Some(0));
    }

    #[test]
    fn a_listing_goes_on_where_it_stopped() {
        let mut names = names();
        for name in ["c", "a", "b"] {
            names.register(1, name, iref(1)).expect("free");
        }
        let listed: Vec<_> = names.after("a").map(|(name, _)| name).collect();
        assert_eq!(listed, ["b", "c"]);
    }
}
