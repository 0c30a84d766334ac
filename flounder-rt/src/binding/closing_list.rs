//! The bindings of a thread, or of a shared waitset, that are closing.

use std::collections::VecDeque;

/// Maximum number of bindings that are closing at a time.
pub(super) const MAX_CLOSING: usize = 1024;

/// Maximum number of words of messages that closing bindings hold, unless one alone holds more.
pub(super) const MAX_CLOSING_WORDS: usize = (64 << 20) / 8;

/// Bindings that are closing, oldest first, each with the number of words that it held when it began to close.
#[derive(Debug)]
pub(super) struct ClosingList<S>(VecDeque<(S, usize)>);

impl<S> ClosingList<S> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Adds a binding. Returns the oldest ones, which are to be cut off if there are too many or they hold too many words
    /// together. The new one stays.
    #[must_use]
    pub(super) fn add(&mut self, shell: S, words: usize) -> Vec<S> {
        self.0.push_back((shell, words));
        let mut cut = Vec::new();
        let mut total: usize = self.0.iter().map(|(_, words)| words).sum();
        while self.0.len() > 1 && (self.0.len() > MAX_CLOSING || total > MAX_CLOSING_WORDS) {
            let Some((oldest, words)) = self.0.pop_front() else { break };
            total -= words;
            cut.push(oldest);
        }
        cut
    }

    /// Removes the binding for which `is_it` is true.
    pub(super) fn remove(&mut self, is_it: impl Fn(&S) -> bool) -> Option<S> {
        let at = self.0.iter().position(|(shell, _)| is_it(shell))?;
        self.0.remove(at).map(|(shell, _)| shell)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &S> {
        self.0.iter().map(|(shell, _)| shell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_closing_bindings_are_cut_first() {
        let mut list = ClosingList::new();
        for name in 0..MAX_CLOSING {
            assert_eq!(list.add(name, 1), []);
        }
        assert_eq!(list.add(MAX_CLOSING, 1), [0]);
        assert_eq!(list.iter().count(), MAX_CLOSING);
        let mut list = ClosingList::new();
        assert_eq!(list.add("small", 2), [""; 0]);
        assert_eq!(list.add("large", MAX_CLOSING_WORDS), ["small"]);
        assert_eq!(list.add("new", 1), ["large"]);
        assert_eq!(list.add("alone", 2 * MAX_CLOSING_WORDS), ["new"], "the newest one stays");
    }

    #[test]
    fn removed_binding_counts_no_longer() {
        let mut list = ClosingList::new();
        assert_eq!(list.add("first", MAX_CLOSING_WORDS), [""; 0]);
        assert_eq!(list.remove(|name| *name == "second"), None);
        assert_eq!(list.remove(|name| *name == "first"), Some("first"));
        assert_eq!(list.add("second", MAX_CLOSING_WORDS), [""; 0]);
    }
}
