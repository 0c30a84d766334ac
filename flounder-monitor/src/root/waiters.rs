//! Lookups that wait for a name. What one of them costs the root does not depend on how many others there are.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Lookups of one domain that wait. Fewer than the replies that a binding may owe, so that a domain that waits for this
/// many names is still heard.
pub(crate) const MAX_WAITING: usize = 512;

/// Those lookups; `W` is what each leaves behind to be answered with.
#[derive(Debug)]
pub(crate) struct Waiters<W> {
    by_name: BTreeMap<(Rc<str>, Ticket), W>,
    by_ticket: BTreeMap<Ticket, Rc<str>>,
    /// Of each domain that has some.
    counts: HashMap<u64, usize>,
}

/// A domain, and its number for a lookup.
type Ticket = (u64, u64);

impl<W> Waiters<W> {
    pub(crate) fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_ticket: BTreeMap::new(), counts: HashMap::new() }
    }

    /// Has a lookup wait. Refused, because the domain has too many or one of this number, the answer comes back.
    pub(crate) fn wait(
        &mut self,
        domain: u64,
        number: u64,
        name: &str,
        answer: W,
    ) -> Result<(), W> {
        let (ticket, name) = ((domain, number), Rc::<str>::from(name));
        let count = self.counts.get(&domain).copied().unwrap_or_default();
        if count >= MAX_WAITING || self.by_ticket.contains_key(&ticket) {
            return Err(answer);
        }
        self.counts.insert(domain, count + 1);
        self.by_ticket.insert(ticket, Rc::clone(&name));
        self.by_name.insert((name, ticket), answer);
        Ok(())
    }

    /// Those who wait for this name wait no longer.
    pub(crate) fn take(&mut self, name: &str) -> Vec<W> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        let name = Rc::<str>::from(name);
        let range = (Rc::clone(&name), (0, 0))..=(name, (u64::MAX, u64::MAX));
        let tickets: Vec<_> = self.by_name.range(range).map(|((_, ticket), _)| *ticket).collect();
        tickets.into_iter().filter_map(|ticket| self.forget(ticket.0, ticket.1)).collect()
    }

    /// Ends one lookup.
    pub(crate) fn forget(&mut self, domain: u64, number: u64) -> Option<W> {
        let ticket = (domain, number);
        let name = self.by_ticket.remove(&ticket)?;
        if let Some(count) = self.counts.get_mut(&domain) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&domain);
            }
        }
        self.by_name.remove(&(name, ticket))
    }

    /// Ends all lookups of a domain.
    pub(crate) fn forget_all(&mut self, domain: u64) -> Vec<W> {
        let theirs = self.by_ticket.range((domain, 0)..=(domain, u64::MAX));
        let numbers: Vec<_> = theirs.map(|((_, number), _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.forget(domain, number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_for_a_name_are_found() {
        let mut waiters = Waiters::new();
        waiters.wait(1, 10, "a", "first").expect("room");
        waiters.wait(2, 10, "a", "second").expect("room");
        waiters.wait(2, 11, "b", "other").expect("room");
        waiters.wait(2, 12, "ab", "longer").expect("room");
        assert_eq!(waiters.forget(2, 10), Some("second"));
        assert_eq!(waiters.take("a"), ["first"]);
        assert_eq!(waiters.take("a"), [""; 0]);
        assert_eq!(waiters.forget(1, 10), None, "it was answered");
        assert_eq!(waiters.forget_all(2), ["other", "longer"]);
        assert!(waiters.by_name.is_empty() && waiters.by_ticket.is_empty());
        assert!(waiters.counts.is_empty());
    }

    #[test]
    fn waiting_is_bounded() {
        let mut waiters = Waiters::new();
        for number in 0..MAX_WAITING as u64 {
            waiters.wait(1, number, "a", "").expect("room");
        }
        assert_eq!(waiters.wait(1, 9999, "a", "full"), Err("full"));
        assert_eq!(waiters.wait(2, 9999, "a", "room"), Ok(()), "the bound is one domain's");
        waiters.forget(1, 0);
        assert_eq!(waiters.wait(1, 1, "b", "twice"), Err("twice"), "the number is taken");
        assert_eq!(waiters.wait(1, 9999, "a", "room"), Ok(()));
    }
}
