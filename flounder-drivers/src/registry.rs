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

/// Added drivers. A forked child has those of its parent, unless another thread of the parent was
/// adding one during the fork.
static ADDED: PerProcess<RwLock<Vec<&'static dyn Connector>>> = PerProcess::new(|parents| {
    let added = parents.and_then(RwLock::try_read).map(|added| added.clone());
    RwLock::new(added.unwrap_or_default())
});

/// Returns the driver with this name.
///
/// ```
/// assert!(flounder_drivers::registry::find("lmp").is_some());
/// assert!(flounder_drivers::registry::find("unknown").is_none());
/// ```
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Connector> {
    BUILT_IN.iter().copied().find(|driver| driver.name() == name).or_else(|| {
        let added = ADDED.here().read();
        added.iter().copied().find(|driver| driver.name() == name)
    })
}

/// Returns the names of all drivers, built-in ones first.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let added = ADDED.here().read();
    BUILT_IN.iter().chain(added.iter()).map(|driver| driver.name()).collect()
}

/// Adds a driver for the lifetime of the process.
///
/// # Errors
/// [`NameTaken`] if a driver has this name.
pub fn register(driver: Arc<dyn Connector>) -> Result<(), NameTaken> {
    let mut added = ADDED.here().write();
    let name = driver.name();
    if BUILT_IN.iter().chain(added.iter()).any(|other| other.name() == name) {
        return Err(NameTaken { name });
    }
    // Leaked, so that `find` can return a `'static` reference.
    added.push(&**Box::leak(Box::new(driver)));
    Ok(())
}

/// Error: a driver has this name already.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameTaken {
    /// The name.
    pub name: &'static str,
}

flounder_rt::debug_as_chain!(NameTaken);

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is a driver named {} already", self.name)
    }
}

impl std::error::Error for NameTaken {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver that makes no channel.
    struct Unreachable(&'static str);

    impl Connector for Unreachable {
        fn name(&self) -> &'static str {
            self.0
        }
    }

    #[test]
    fn registered_driver_is_found_and_its_name_is_taken() {
        assert!(find("unreachable").is_none());
        assert_eq!(register(Arc::new(Unreachable("unreachable"))), Ok(()));
        assert_eq!(find("unreachable").map(Connector::name), Some("unreachable"));
        let mut expected = vec!["loopback", "ump", "lmp"];
        expected.extend(cfg!(feature = "scc").then_some("scc"));
        expected.extend(cfg!(feature = "beehive").then_some("beehive"));
        expected.push("unreachable");
        assert_eq!(names(), expected);
        for name in ["unreachable", "ump"] {
            assert_eq!(register(Arc::new(Unreachable(name))), Err(NameTaken { name }));
        }
    }
}
