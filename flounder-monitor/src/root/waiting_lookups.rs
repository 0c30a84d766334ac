//! Lookups that wait for a name. The cost of one lookup does not depend on how many others there
//! are.

use core::hash::Hash;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Most waiting lookups of one domain. Fewer than the pending replies of a binding, so that a
/// domain with this many lookups can still make other calls.
pub(crate) const MAX_WAITING: usize = 512;

/// Most waiting lookups of all domains of one user.
const MAX_WAITING_OF_USER: usize = 65_536;

/// The waiting lookups. `W` is the value with which a lookup is answered.
#[derive(Debug)]
pub(crate) struct WaitingLookups<W> {
    by_name: BTreeMap<(Rc<str>, Ticket), W>,
    by_ticket: BTreeMap<Ticket, Waiting>,
    /// Number of lookups of each domain, and of each user, that has one.
    domains: HashMap<u64, usize>,
    users: HashMap<u32, usize>,
}

/// Number of a domain, and the ticket that it chose for the lookup.
type Ticket = (u64, u64);

#[derive(Debug)]
struct Waiting {
    name: Rc<str>,
    user: u32,
}

impl<W> WaitingLookups<W> {
    pub(crate) fn new() -> Self {
        Self {
            by_name: BTreeMap::new(),
            by_ticket: BTreeMap::new(),
            domains: HashMap::new(),
            users: HashMap::new(),
        }
    }

    /// Adds a lookup of a domain of `user`. Returns `answer` if there are too many lookups, or one
    /// with this ticket.
    pub(crate) fn wait(
        &mut self,
        user: u32,
        ticket @ (domain, _): Ticket,
        name: &str,
        answer: W,
    ) -> Result<(), W> {
        let of_domain = self.domains.get(&domain).copied().unwrap_or_default();
        let of_user = self.users.get(&user).copied().unwrap_or_default();
        let full = of_domain >= MAX_WAITING || of_user >= MAX_WAITING_OF_USER;
        if full || self.by_ticket.contains_key(&ticket) {
            return Err(answer);
        }
        self.domains.insert(domain, of_domain + 1);
        self.users.insert(user, of_user + 1);
        let name = Rc::<str>::from(name);
        self.by_ticket.insert(ticket, Waiting { name: Rc::clone(&name), user });
        self.by_name.insert((name, ticket), answer);
        Ok(())
    }

    /// Removes and returns the lookups that wait for `name`.
    pub(crate) fn take(&mut self, name: &str) -> Vec<W> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        let name = Rc::<str>::from(name);
        let range = (Rc::clone(&name), (0, 0))..=(name, (u64::MAX, u64::MAX));
        let tickets: Vec<_> = self.by_name.range(range).map(|((_, ticket), _)| *ticket).collect();
        tickets.into_iter().filter_map(|ticket| self.forget(ticket)).collect()
    }

    /// Removes one lookup.
    pub(crate) fn forget(&mut self, ticket: Ticket) -> Option<W> {
        let Waiting { name, user } = self.by_ticket.remove(&ticket)?;
        uncount(&mut self.domains, ticket.0);
        uncount(&mut self.users, user);
        self.by_name.remove(&(name, ticket))
    }

    /// Removes all lookups of a domain.
    pub(crate) fn forget_all(&mut self, domain: u64) -> Vec<W> {
        let theirs = self.by_ticket.range((domain, 0)..=(domain, u64::MAX));
        let tickets: Vec<_> = theirs.map(|(ticket, _)| *ticket).collect();
        tickets.into_iter().filter_map(|ticket| self.forget(ticket)).collect()
    }
}

fn uncount<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_found_by_name() {
        let mut waiting_lookups = WaitingLookups::new();
        waiting_lookups.wait(7, (1, 10), "a", "first").expect("below the limit");
        waiting_lookups.wait(7, (2, 10), "a", "second").expect("below the limit");
        waiting_lookups.wait(7, (2, 11), "b", "other").expect("below the limit");
        waiting_lookups.wait(7, (2, 12), "ab", "longer").expect("below the limit");
        assert_eq!(waiting_lookups.forget((2, 10)), Some("second"));
        assert_eq!(waiting_lookups.take("a"), ["first"]);
        assert_eq!(waiting_lookups.take("a"), [""; 0]);
        assert_eq!(waiting_lookups.forget((1, 10)), None, "it was answered");
        assert_eq!(waiting_lookups.forget_all(2), ["other", "longer"]);
        assert!(waiting_lookups.by_name.is_empty() && waiting_lookups.by_ticket.is_empty());
        assert!(waiting_lookups.domains.is_empty() && waiting_lookups.users.is_empty());
    }

    #[test]
    fn lookups_of_a_domain_are_limited() {
        let mut waiting_lookups = WaitingLookups::new();
        for number in 0..MAX_WAITING as u64 {
            waiting_lookups.wait(7, (1, number), "a", "").expect("below the limit");
        }
        assert_eq!(waiting_lookups.wait(7, (1, 9999), "a", "full"), Err("full"));
        assert_eq!(
            waiting_lookups.wait(7, (2, 9999), "a", "room"),
            Ok(()),
            "the limit is per domain"
        );
        waiting_lookups.forget((1, 0));
        assert_eq!(
            waiting_lookups.wait(7, (1, 1), "b", "twice"),
            Err("twice"),
            "the number is taken"
        );
        assert_eq!(waiting_lookups.wait(7, (1, 9999), "a", "room"), Ok(()));
    }

    #[test]
    fn lookups_of_a_user_are_limited() {
        let mut waiting_lookups = WaitingLookups::new();
        let ticket = |i: usize| ((i / MAX_WAITING) as u64, i as u64);
        for i in 0..MAX_WAITING_OF_USER {
            waiting_lookups.wait(7, ticket(i), "a", ()).expect("below the limit");
        }
        let next = ticket(MAX_WAITING_OF_USER);
        assert_eq!(waiting_lookups.wait(7, next, "a", ()), Err(()));
        assert_eq!(waiting_lookups.wait(8, next, "a", ()), Ok(()), "the limit is per user");
        waiting_lookups.forget(ticket(0));
        assert_eq!(waiting_lookups.wait(7, (u64::MAX, 0), "a", ()), Ok(()));
        assert_eq!(waiting_lookups.take("a").len(), MAX_WAITING_OF_USER + 1);
    }
}
