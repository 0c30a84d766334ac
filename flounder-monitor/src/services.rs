//! The services of this process, by reference. A bind within the process needs nothing else.

use std::collections::HashMap;

use flounder_rt::Iref;
use flounder_rt::export::{ExportError, ServiceEntry};
use flounder_rt::fork::PerProcess;
use parking_lot::Mutex;

/// Maximum number of services of one process.
const MAX_SERVICES: usize = 65_536;

/// Exported services. A waitset withdraws its services when it ends; a forked child starts without
/// services.
static TABLE: PerProcess<Mutex<HashMap<Iref, ServiceEntry>>> =
    PerProcess::new(|_| Mutex::default());

/// Adds a service.
pub(crate) fn insert(service: ServiceEntry) -> Result<(), ExportError> {
    let mut table = TABLE.here().lock();
    if table.len() >= MAX_SERVICES {
        return Err(ExportError::Full);
    }
    table.insert(service.iref, service);
    Ok(())
}

/// Removes a service.
pub(crate) fn remove(iref: Iref) {
    let removed = TABLE.here().lock().remove(&iref);
    drop(removed);
}

/// Returns the service with this reference, if this process exports it and its waitset exists.
pub(crate) fn find(iref: Iref) -> Option<ServiceEntry> {
    let found = TABLE.here().lock().get(&iref).cloned()?;
    (!found.host.is_closed()).then_some(found)
}

#[cfg(test)]
mod tests {
    use flounder_rt::export::ServiceHost;
    use flounder_rt::{Interface, Waitset};

    use super::*;

    static INTERFACE: Interface =
        Interface { name: "none", description: "", messages: &[], limits: &[], fingerprint: 0 };

    #[test]
    fn service_ends_with_its_waitset() {
        let iref = Iref::from_bits(0xfeed).expect("not zero");
        let ws = Waitset::new();
        let host = ServiceHost::thread(&ws);
        let service = ServiceEntry { iref, interface: &INTERFACE, host, key: 0 };
        insert(service).expect("below the limit");
        assert!(find(iref).is_some());
        drop(ws);
        assert!(find(iref).is_none());
    }
}
