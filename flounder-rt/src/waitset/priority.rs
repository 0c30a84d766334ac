//! Priorities: which of the events that have come is the next one.
//!
//! The events of a waitset are in three classes. An event of a higher class is served before one of a lower class, with an
//! exception that keeps the lower classes from starving: [`Order`] counts the events that are served while a class is not
//! looked at, and once these are [`NORMAL_WAITS`] or [`LOW_WAITS`], that class is looked at first.

use std::collections::VecDeque;

/// How soon the events of a binding are served, among those of its waitset.
///
/// Where several bindings have an event, one of a higher priority is served first. No priority starves: after 8 events
/// of other priorities one of [`Normal`](Self::Normal) comes first if there is one, and after 64 one of [`Low`](Self::Low).
/// An event is one message, or up to 32 of a stream. Bindings of one priority take turns, so that among `n` of low priority
/// each has its event after `n` times 65 events at most. Tasks, timers and futures have normal priority.
///
/// ```
/// use flounder_rt::Priority;
/// assert_eq!(Priority::default(), Priority::Normal);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// The priority of everything for which none is set.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// All of them, the highest first.
    pub(crate) const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

/// Events of other classes that are served before one of normal priority comes first.
pub(crate) const NORMAL_WAITS: u32 = 8;

/// Events of other classes that are served before one of low priority comes first.
pub(crate) const LOW_WAITS: u32 = 64;

/// Decides in which order the classes are looked at for the next event.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// For each class, the events that were served since it was looked at last.
    passed_over: [u32; 3],
}

impl Order {
    /// Returns the classes in the order in which the next event is to be looked for.
    pub(crate) const fn next(&self) -> [Priority; 3] {
        use Priority::{High, Low, Normal};

        if self.passed_over[Low as usize] >= LOW_WAITS {
            [Low, High, Normal]
        } else if self.passed_over[Normal as usize] >= NORMAL_WAITS {
            [Normal, High, Low]
        } else {
            Priority::ALL
        }
    }

    /// An event of `order[found]` is served: the classes before it had none, those behind it were not looked at.
    pub(crate) fn served(&mut self, order: [Priority; 3], found: usize) {
        for (at, priority) in order.into_iter().enumerate() {
            let passed_over = &mut self.passed_over[priority as usize];
            *passed_over = if at > found { passed_over.saturating_add(1) } else { 0 };
        }
    }
}

/// A queue of events with priorities; those of one priority are first in, first out.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    classes: [VecDeque<T>; 3],
    order: Order,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { classes: Default::default(), order: Order::default() }
    }
}

impl<T> Pending<T> {
    pub(crate) fn push(&mut self, priority: Priority, event: T) {
        self.classes[priority as usize].push_back(event);
    }

    /// Takes the next event.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let order = self.order.next();
        let found = order.iter().position(|class| !self.classes[*class as usize].is_empty())?;
        self.order.served(order, found);
        self.classes[order[found] as usize].pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{High, Low, Normal};

    /// Takes `count` events of a queue in which there is always one of each of `classes`.
    fn served(classes: &[Priority], count: usize) -> Vec<Priority> {
        let mut pending = Pending::default();
        classes.iter().for_each(|class| pending.push(*class, *class));
        let mut next = || {
            let class = pending.pop().expect("there is one of each");
            pending.push(class, class);
            class
        };
        (0..count).map(|_| next()).collect()
    }

    /// The most events in a row without one of `class`.
    fn longest_wait(served: &[Priority], class: Priority) -> usize {
        served.split(|other| *other == class).map(<[_]>::len).max().unwrap_or(0)
    }

    #[test]
    fn lower_classes_wait_for_a_bounded_number_of_events() {
        let served = served(&Priority::ALL, 100_000);
        assert_eq!(longest_wait(&served, Low), LOW_WAITS as usize);
        // The turn of the low ones may come first.
        assert_eq!(longest_wait(&served, Normal), NORMAL_WAITS as usize + 1);
        assert!(longest_wait(&served, High) <= 2);
        let high = served.iter().filter(|class| **class == High).count();
        assert!(high > 85_000, "{high} events of high priority");
    }

    #[test]
    fn normal_comes_before_low() {
        let served = served(&[Normal, Low], 10_000);
        assert_eq!(longest_wait(&served, Low), LOW_WAITS as usize);
        assert_eq!(longest_wait(&served, Normal), 1);
    }

    #[test]
    fn events_of_one_class_are_first_in_first_out() {
        let mut pending = Pending::default();
        (0..100).for_each(|n| pending.push(Normal, n));
        assert!((0..100).all(|n| pending.pop() == Some(n)));
        assert!(pending.is_empty());
    }
}
