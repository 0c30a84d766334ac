//! Drivers by name: the built-in ones, of which `scc` and `beehive` are cargo features, and those that other crates add at
//! run time.

use core::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use flounder_rt::channel::Connector;
use flounder_rt::fork::PerProcess;

#[cfg(feature = "beehive")]
use crate::beehive::Beehive;
#[cfg(feature = "scc")]
use crate::scc::Scc;
use crate::{lmp::Lmp, loopback::Loopback, ump::Ump};

static BUILT_IN: &[&dyn Connector] = &[
    &Loopback,
    &Ump,
    &Lmp,
    #[cfg(feature = "scc")]
    &Scc,
    #[cfg(feature = "beehive")]
    &Beehive,
];

/// A forked child has those of its parent, unless another thread was about to add one.
static ADDED: PerProcess<RwLock<Vec<&'static dyn Connector>>> = PerProcess::new(|parents| {
    let added = parents.and_then(RwLock::try_read).map(|added| added.clone());
    RwLock::new(added.unwrap_or_default())
});

/// The driver of this name.
///
/// ```
/// assert!(flounder_drivers::registry::find("lmp").is_some());
/// assert!(flounder_drivers::registry::find("pigeon").is_none());
/// ```
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Connector> {
    BUILT_IN.iter().copied().find(|driver| driver.name() == name).or_else(|| {
        let added = ADDED.here().read();
        added.iter().copied().find(|driver| driver.name() == name)
    })
}

/// Names of all drivers, built-in ones first.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let added = ADDED.here().read();
    BUILT_IN.iter().chain(added.iter()).map(|driver| driver.name()).collect()
}

/// Adds a driver, for the rest of the life of the process.
///
/// # Errors
/// [`NameTaken`] if there is a driver of this name.
pub fn register(driver: Arc<dyn Connector>) -> Result<(), NameTaken> {
    let mut added = ADDED.here().write();
    let name = driver.name();
    if BUILT_IN.iter().chain(added.iter()).any(|other| other.name() == name) {
        return Err(NameTaken(name));
    }
    // Never removed, so that `find` can lend it out for good.
    added.push(&**Box::leak(Box::new(driver)));
    Ok(())
}

/// There is a driver of this name.
#[derive(Clone, PartialEq, Eq)]
pub struct NameTaken(pub &'static str);

flounder_rt::debug_as_chain!(NameTaken);

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is a driver named {} already", self.0)
    }
}

impl std::error::Error for NameTaken {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver that reaches nobody.
    struct Pigeon(&'static str);

    impl Connector for Pigeon {
        fn name(&self) -> &'static str {
            self.0
        }
    }

    #[test]
    fn a_driver_is_found_once_it_is_added_and_its_name_is_taken() {
        assert!(find("carrier pigeon").is_none());
        assert_eq!(register(Arc::new(Pigeon("carrier pigeon"))), Ok(()));
        assert_eq!(find("carrier pigeon").map(Connector::name), Some("carrier pigeon"));
        let mut expected = vec!["loopback", "ump", "lmp"];
        expected.extend(cfg!(feature = "scc").then_some("scc"));
        expected.extend(cfg!(feature = "beehive").then_some("beehive"));
        expected.push("carrier pigeon");
        assert_eq!(names(), expected);
        for name in ["carrier pigeon", "ump"] {
            assert_eq!(register(Arc::new(Pigeon(name))), Err(NameTaken(name)));
        }
    }
}
