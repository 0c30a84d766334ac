//! List of the measurements, from the drivers and the command line.

use std::fmt;
use std::mem::discriminant;

use crate::limits::Limit;
use crate::work::{Between, Work};

/// A measurement of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Time of hardware or kernel.
    Limit(Limit),
    /// Time of a driver.
    Figure { work: Work, driver: &'static str, between: Between, one_core: bool },
}

/// A measurement of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemorySubject {
    pub(crate) driver: &'static str,
    pub(crate) between: Between,
    pub(crate) buffer: Buffer,
}

/// Buffer size of a binding, for drivers with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffer {
    Default,
    Smallest,
}

impl Buffer {
    /// Returns the argument of `bind(..).buffer`.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Default => 0,
            Self::Smallest => 1,
        }
    }
}

/// All measurements.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Limits, then figures, without duplicates.
    pub(crate) subjects: Vec<Subject>,
    pub(crate) memory: Vec<MemorySubject>,
}

impl Plan {
    /// Creates a plan for `drivers`: rows whose name contains one of `only`, with their limits; all rows if `only` is
    /// empty. `one_core` is true if both sides share a core.
    pub(crate) fn new(drivers: &[&'static str], only: &[String], one_core: bool) -> Self {
        let wanted = |name: String| {
            let name = name.to_lowercase();
            only.is_empty() || only.iter().any(|part| name.contains(&part.to_lowercase()))
        };
        let pairs = || {
            drivers.iter().flat_map(|&driver| {
                Between::of(driver).iter().map(move |&between| (driver, between))
            })
        };
        let figures = Work::ALL.into_iter().flat_map(|work| {
            let able = pairs().filter(move |(driver, between)| {
                work.is_for(driver, *between)
                    && (!one_core || (work.is_for_one_core() && *between != Between::Here))
            });
            able.map(move |(driver, between)| Subject::Figure { work, driver, between, one_core })
        });
        let figures: Vec<_> = figures.filter(|figure| wanted(figure.to_string())).collect();
        let own: &[Limit] = if one_core { &Limit::ONE_CORE } else { &Limit::OWN };
        let own = own.iter().copied().filter(|&limit| wanted(Subject::Limit(limit).to_string()));
        let compared = figures.iter().flat_map(|figure| figure.floor());
        let mut subjects = Vec::new();
        for limit in own.chain(compared).map(Subject::Limit) {
            if !subjects.contains(&limit) {
                subjects.push(limit);
            }
        }
        subjects.extend(figures);
        let memory = pairs().filter(|_| !one_core).flat_map(|(driver, between)| {
            [Buffer::Default, Buffer::Smallest].map(|buffer| MemorySubject {
                driver,
                between,
                buffer,
            })
        });
        Self { subjects, memory: memory.filter(|subject| wanted(subject.to_string())).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subjects.is_empty() && self.memory.is_empty()
    }
}

impl Subject {
    /// Returns the length of a message in bytes, for work with several.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            Self::Limit(limit) => limit.size(),
            Self::Figure { work, .. } => work.size(),
        }
    }

    /// Returns true if the two differ at most in the length of their messages.
    pub(crate) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Limit(one), Self::Limit(other)) => discriminant(&one) == discriminant(&other),
            (
                Self::Figure { work, driver, between, .. },
                Self::Figure { work: other, driver: its_driver, between: its_place, .. },
            ) => {
                discriminant(&work) == discriminant(&other)
                    && (driver, between) == (its_driver, its_place)
            }
            _ => false,
        }
    }

    /// Returns the limits that the figure is compared with; the fastest counts.
    pub(crate) fn limits(self) -> Vec<Limit> {
        match self {
            Self::Limit(_) => Vec::new(),
            Self::Figure { work, driver, one_core, .. } => Limit::of(driver, work, one_core),
        }
    }

    /// Returns what bounds the figure from below (see [`Limit::floor`]).
    pub(crate) fn floor(self) -> Vec<Limit> {
        match self {
            Self::Limit(_) => Vec::new(),
            Self::Figure { work, driver, one_core, .. } => Limit::floor(driver, work, one_core),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => write!(f, "limit: {limit}"),
            Self::Figure { work, driver, between, .. } => write!(f, "{driver}, {between}: {work}"),
        }
    }
}

impl fmt::Display for MemorySubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: memory, {} buffer", self.driver, self.between, self.buffer)
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Smallest => "smallest",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plan: &Plan) -> Vec<String> {
        let subjects = plan.subjects.iter().map(ToString::to_string);
        subjects.chain(plan.memory.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_new_driver_has_all_rows() {
        let plan = Plan::new(&["loopback", "new"], &[], false);
        let of_new = |between| {
            let is_it = |subject: &&Subject| matches!(subject, Subject::Figure { driver: "new", between: b, .. } if *b == between);
            plan.subjects.iter().filter(is_it).count()
        };
        let works =
            Work::ALL.into_iter().filter(|work| work.is_for("new", Between::Threads)).count();
        assert_eq!((of_new(Between::Threads), of_new(Between::Processes)), (works, works));
        assert_eq!(of_new(Between::Here), 0);
        let memory: Vec<_> = plan.memory.iter().map(ToString::to_string).collect();
        assert_eq!(memory[0], "loopback, one thread: memory, default buffer");
        assert_eq!(memory.len(), 6);
    }

    #[test]
    fn a_pattern_chooses_figures_and_their_limits() {
        let only = |pattern: &str| {
            names(&Plan::new(&["loopback", "ump", "lmp"], &[pattern.into()], false))
        };
        let chosen = only("ump, THREADS: round trip, 8 b");
        assert_eq!(chosen[0], "limit: raw line");
        let (figure, limits) = chosen.split_last().expect("there is a figure");
        assert_eq!(figure, "ump, threads: round trip, 8 B");
        assert!(limits.iter().all(|name| name.starts_with("limit: raw ")), "{limits:?}");
        assert_eq!(only("limit: memcpy").len(), 2);
        assert_eq!(only("nothing is called so"), [""; 0]);
    }

    #[test]
    fn one_core_has_no_limit_that_polls() {
        let names = names(&Plan::new(&["loopback", "ump", "lmp"], &[], true));
        assert!(names.contains(&"limit: pipe, blocking".to_owned()), "{names:?}");
        assert!(names.contains(&"lmp, processes: rpc".to_owned()), "{names:?}");
        assert!(names.iter().all(|name| !name.contains("raw ring") && !name.contains("polled")));
    }

    #[test]
    fn limits_come_first_and_once() {
        let plan = Plan::new(&["loopback", "ump", "lmp"], &[], false);
        let is_limit = |subject: &Subject| matches!(subject, Subject::Limit(_));
        let limits = plan.subjects.iter().take_while(|subject| is_limit(subject)).count();
        assert!(!plan.subjects[limits..].iter().any(is_limit));
        for (i, subject) in plan.subjects.iter().enumerate() {
            assert!(!plan.subjects[..i].contains(subject), "{subject}");
        }
    }
}
