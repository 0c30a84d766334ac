//! The services of this process, by reference. In-process binding needs nothing else.

use std::collections::HashMap;

use flounder_rt::Iref;
use flounder_rt::export::{ExportError, ServiceEntry};
use flounder_rt::fork::PerProcess;
use parking_lot::Mutex;

/// Services of one process.
const MAX_SERVICES: usize = 65_536;

/// Those that are exported: a waitset withdraws its services when it ends. A forked child has none of its parent's.
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

/// Removes one.
pub(crate) fn remove(iref: Iref) {
    let removed = TABLE.here().lock().remove(&iref);
    drop(removed);
}

/// The service of this reference, if it is one of this process and its waitset is still there.
pub(crate) fn find(iref: Iref) -> Option<ServiceEntry> {
    let found = TABLE.here().lock().get(&iref).cloned()?;
    (!found.remote.is_closed()).then_some(found)
}

#[cfg(test)]
mod tests {
    use flounder_rt::{Interface, Waitset};

    use super::*;

    static INTERFACE: Interface =
        Interface { name: "none", description: "", messages: &[], limits: &[], fingerprint: 0 };

    #[test]
    fn a_service_goes_with_its_waitset() {
        let iref = Iref::from_bits(0xfeed).expect("not zero");
        let ws = Waitset::new();
        let service = ServiceEntry { iref, interface: &INTERFACE, remote: ws.remote(), key: 0 };
        insert(service).expect("room");
        assert!(find(iref).is_some());
        drop(ws);
        assert!(find(iref).is_none());
    }
}
