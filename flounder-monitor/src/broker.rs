//! The broker that the facade passes to exports and binds.

use std::time::Instant;

use flounder_drivers::{recommended, registry};
use flounder_rt::Iref;
use flounder_rt::bind::{BindError, BindRequest, BrokerError, bind_in_process};
use flounder_rt::channel::Connector;
use flounder_rt::export::{Broker, ExportError, ServiceEntry};

use crate::monitor::Monitor;
use crate::oneshot::{self, WaitError};
use crate::{monitor_thread, services};

/// Connects clients to services: within the process directly, beyond it through the monitor.
#[derive(Debug)]
pub struct MonitorBroker(());

static BROKER: MonitorBroker = MonitorBroker(());

/// Returns the broker of this process.
#[must_use]
pub fn broker() -> &'static dyn Broker {
    &BROKER
}

impl Broker for MonitorBroker {
    fn export(&self, service: ServiceEntry) -> Result<(), ExportError> {
        services::insert(service)
    }

    fn withdraw(&self, iref: Iref) {
        services::remove(iref);
        if let Some(remote) = monitor_thread::started() {
            remote.post(move |_| {
                Monitor::with_current(|monitor| monitor.withdraw(iref));
                Ok(())
            });
        }
    }

    fn bind(&self, request: BindRequest) {
        let wanted: Result<Vec<&'static dyn Connector>, _> = request
            .drivers
            .iter()
            .map(|name| registry::find(name).ok_or_else(|| BindError::UnknownDriver(name.clone())))
            .collect();
        let mut drivers = match wanted {
            Ok(drivers) => drivers,
            Err(error) => return request.reply.failed(error),
        };
        let choose = drivers.is_empty();
        if let Some(service) = services::find(request.iref) {
            if choose {
                // Drivers that cannot span the distance report that, and are skipped.
                drivers.extend(recommended::SAME_DISPATCHER);
            }
            return bind_in_process(&service, drivers, request);
        }
        if choose {
            drivers.extend(recommended::ELSEWHERE);
        }
        match monitor_thread::remote() {
            Ok(remote) => remote.post(move |_| {
                if let Some(monitor) = Monitor::current() {
                    monitor.bind(request, drivers);
                }
                Ok(())
            }),
            Err(error) => request.reply.failed(BindError::Broker(BrokerError::new(error))),
        }
    }

    fn flush(&self, deadline: Instant) {
        let Some(remote) = monitor_thread::running_elsewhere() else { return };
        let (sender, receiver) = oneshot::channel();
        remote.post(move |_| {
            Monitor::with_current(|monitor| monitor.flush(sender));
            Ok(())
        });
        if receiver.wait(Some(deadline)) == Err(WaitError::Deadline) {
            tracing::warn!(
                "the monitor could not send all that this process gave it before the deadline"
            );
        }
    }
}
