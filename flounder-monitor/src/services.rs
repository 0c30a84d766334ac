//! The services of this process, by reference. In-process binding needs nothing else.

use std::collections::HashMap;

use flounder_rt::Iref;
use flounder_rt::export::{ExportError, ServiceEntry};
use parking_lot::Mutex;

/// Services of one process.
const MAX_SERVICES: usize = 65_536;

/// Before the first sweep.
const FEW: usize = 64;

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

struct Table {
    services: HashMap<Iref, ServiceEntry>,
    /// At this many, those whose waitset is gone are thrown out.
    sweep_at: usize,
}

fn with<T>(f: impl FnOnce(&mut Table) -> T) -> T {
    let mut table = TABLE.lock();
    f(table.get_or_insert_with(|| Table { services: HashMap::new(), sweep_at: FEW }))
}

/// Adds a service.
pub(crate) fn insert(service: ServiceEntry) -> Result<(), ExportError> {
    with(|table| {
        if table.services.len() >= table.sweep_at {
            table.services.retain(|_, service| !service.remote.is_closed());
            table.sweep_at = (table.services.len() * 2).max(FEW);
        }
        if table.services.len() >= MAX_SERVICES {
            return Err(ExportError::Full);
        }
        table.services.insert(service.iref, service);
        Ok(())
    })
}

/// Removes one.
pub(crate) fn remove(iref: Iref) {
    let removed = with(|table| table.services.remove(&iref));
    drop(removed);
}

/// The service of this reference, if it is one of this process and its waitset is still there.
pub(crate) fn find(iref: Iref) -> Option<ServiceEntry> {
    let found = with(|table| table.services.get(&iref).cloned())?;
    if found.remote.is_closed() {
        remove(iref);
        return None;
    }
    Some(found)
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
