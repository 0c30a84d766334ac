//! Lookups that wait for a name. The cost of one lookup does not depend on how many others there
//! are. The caller of [`wait`](WaitingLookups::wait) charges the account of the domain, which limits
//! how many there are.

use std::collections::BTreeMap;
use std::rc::Rc;

/// The waiting lookups. `W` is the value with which a lookup is answered.
#[derive(Debug)]
pub(crate) struct WaitingLookups<W> {
    by_name: BTreeMap<(Rc<str>, Ticket), W>,
    by_ticket: BTreeMap<Ticket, Rc<str>>,
}

/// Number of a domain, and the ticket that it chose for the lookup.
type Ticket = (u64, u64);

impl<W> WaitingLookups<W> {
    pub(crate) const fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_ticket: BTreeMap::new() }
    }

    /// Adds a lookup. Returns `answer` if there is one with this ticket.
    pub(crate) fn wait(&mut self, ticket: Ticket, name: &str, answer: W) -> Result<(), W> {
        if self.by_ticket.contains_key(&ticket) {
            return Err(answer);
        }
        let name = Rc::<str>::from(name);
        self.by_ticket.insert(ticket, Rc::clone(&name));
        self.by_name.insert((name, ticket), answer);
        Ok(())
    }

    /// Removes and returns the lookups that wait for `name` and are now to be answered.
    pub(crate) fn take(&mut self, name: &str, is_answered: impl Fn(&W) -> bool) -> Vec<W> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        let name = Rc::<str>::from(name);
        let range = (Rc::clone(&name), (0, 0))..=(name, (u64::MAX, u64::MAX));
        let answered = self.by_name.range(range).filter(|(_, waiting)| is_answered(waiting));
        let tickets: Vec<_> = answered.map(|((_, ticket), _)| *ticket).collect();
        tickets.into_iter().filter_map(|ticket| self.forget(ticket)).collect()
    }

    /// Returns the names that lookups wait for, in order.
    pub(crate) fn names(&self) -> Vec<Rc<str>> {
        let mut names: Vec<_> = self.by_name.keys().map(|(name, _)| Rc::clone(name)).collect();
        names.dedup();
        names
    }

    /// Removes one lookup.
    pub(crate) fn forget(&mut self, ticket: Ticket) -> Option<W> {
        let name = self.by_ticket.remove(&ticket)?;
        self.by_name.remove(&(name, ticket))
    }

    /// Removes all lookups of a domain.
    pub(crate) fn forget_all(&mut self, domain: u64) -> Vec<W> {
        let theirs = self.by_ticket.range((domain, 0)..=(domain, u64::MAX));
        let tickets: Vec<_> = theirs.map(|(ticket, _)| *ticket).collect();
        tickets.into_iter().filter_map(|ticket| self.forget(ticket)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_found_by_name() {
        let mut waiting_lookups = WaitingLookups::new();
        waiting_lookups.wait((1, 10), "a", "first").expect("the number is free");
        waiting_lookups.wait((2, 10), "a", "second").expect("the number is free");
        waiting_lookups.wait((2, 11), "b", "other").expect("the number is free");
        waiting_lookups.wait((2, 12), "ab", "longer").expect("the number is free");
        assert_eq!(waiting_lookups.forget((2, 10)), Some("second"));
        assert_eq!(waiting_lookups.names(), ["a", "ab", "b"].map(Rc::from));
        assert_eq!(waiting_lookups.take("a", |_| false), [""; 0]);
        assert_eq!(waiting_lookups.take("a", |_| true), ["first"]);
        assert_eq!(waiting_lookups.take("a", |_| true), [""; 0]);
        assert_eq!(waiting_lookups.forget((1, 10)), None, "it was answered");
        assert_eq!(waiting_lookups.forget_all(2), ["other", "longer"]);
        assert!(waiting_lookups.by_name.is_empty() && waiting_lookups.by_ticket.is_empty());
    }

    #[test]
    fn ticket_of_a_waiting_lookup_is_refused() {
        let mut waiting_lookups = WaitingLookups::new();
        waiting_lookups.wait((1, 1), "a", "first").expect("the number is free");
        assert_eq!(waiting_lookups.wait((1, 1), "b", "twice"), Err("twice"));
        assert_eq!(waiting_lookups.wait((2, 1), "b", "other"), Ok(()), "of another domain");
        assert_eq!(waiting_lookups.take("a", |_| true), ["first"]);
        assert_eq!(waiting_lookups.wait((1, 1), "b", "again"), Ok(()));
    }
}
