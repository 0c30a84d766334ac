//! The brokers that the end of the process waits for.

use std::time::Instant;

use crate::exit;
use crate::export::Broker;
use crate::fork::PerProcess;
use crate::sync::Mutex;

static BROKERS: PerProcess<Mutex<Vec<&'static dyn Broker>>> = PerProcess::new(|_| Mutex::default());

/// Makes the end of the process wait until `broker` has sent everything that was passed to it.
pub(super) fn flush_at_exit(broker: &'static dyn Broker) {
    exit::flush_with(flush_all);
    let mut brokers = BROKERS.here().lock();
    if !brokers.iter().any(|known| core::ptr::addr_eq(*known, broker)) {
        brokers.push(broker);
    }
}

fn flush_all(deadline: Instant) {
    let brokers = BROKERS.here().lock().clone();
    for broker in brokers {
        broker.flush(deadline);
    }
}
