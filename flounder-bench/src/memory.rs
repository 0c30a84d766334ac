//! Memory and descriptors of an idle binding: the growth of a process that opens many, divided by their number.
//!
//! Each measurement runs in new processes, in which no earlier one has left free memory behind.

use clap::Args;
use flounder::{BindError, Waitset};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::over::{Client, Service};
use crate::process::{Process, ServiceThread, find, fresh_name};
use crate::usage::Usage;
use crate::work::Between;

/// Resources of one binding in one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Private memory in bytes.
    pub(crate) private_bytes: f64,
    /// Shared memory in bytes. Both ends map the same memory.
    pub(crate) shared_bytes: f64,
    /// Number of descriptors.
    pub(crate) descriptors: f64,
}

impl Held {
    /// Returns the share of one of `count` bindings in the growth of a process.
    fn share(added: Usage, count: u64) -> Self {
        let part = |total: u64| total as f64 / count as f64;
        Self {
            private_bytes: part(added.heap),
            shared_bytes: part(added.shared),
            descriptors: part(added.descriptors),
        }
    }
}

/// Resources of one binding, in all processes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PerBinding {
    /// In the client's process, which may have both ends.
    pub(crate) client: Held,
    /// In the service's process, if the service has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Held>,
}

/// A measurement of memory, by a process of its own.
#[derive(Args)]
pub(crate) struct Order {
    #[arg(long)]
    driver: String,
    /// Buffer in bytes; 0 for the default.
    #[arg(long)]
    buffer: usize,
    /// Maximum number of bindings to open.
    #[arg(long)]
    count: u64,
    /// Name of the service, if it is in another process.
    #[arg(long)]
    name: Option<String>,
    /// True if the service is in another thread.
    #[arg(long)]
    threads: bool,
}

impl Order {
    /// Measures. Returns `None` if the driver does not reach the service.
    pub(crate) fn carry_out(&self) -> Result<Option<PerBinding>> {
        let driver = flounder::drivers::registry::find(&self.driver)
            .ok_or_else(|| format!("there is no driver called {}", self.driver))?
            .name();
        let ws = Waitset::current();
        let thread = if self.threads { Some(ServiceThread::start(None)?) } else { None };
        let iref = match (&self.name, &thread) {
            (Some(name), _) => find(name)?,
            (None, Some(thread)) => thread.iref(),
            (None, None) => Service::export(ws.clone())?.iref(),
        };
        let Some(client) = Client::bind(ws, iref, driver, self.buffer)? else { return Ok(None) };
        // The first binding may allocate what all others share.
        let first = client.bind_idle(self.buffer)?;
        let before = (Usage::now()?, client.memory_of_service()?);
        let mut bindings = Vec::new();
        for _ in 0..self.count {
            match client.bind_idle(self.buffer) {
                Ok(binding) => bindings.push(binding),
                // Some drivers have a maximum number of bindings.
                Err(BindError::Drivers(_)) if !bindings.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        let count = bindings.len() as u64;
        let after = (Usage::now()?, client.memory_of_service()?);
        drop((first, bindings));
        Ok(Some(PerBinding {
            client: Held::share(after.0 - before.0, count),
            service: self.name.is_some().then(|| Held::share(after.1 - before.1, count)),
        }))
    }
}

/// Measures `count` bindings of a driver with a buffer of this size (0 for the default). Returns `None` if the driver does
/// not reach the service.
pub(crate) fn measure(
    driver: &str,
    between: Between,
    buffer: usize,
    count: u64,
) -> Result<Option<PerBinding>> {
    let number = |number: u64| number.to_string();
    let mut arguments = vec!["memory".to_owned(), "--driver".into(), driver.into()];
    arguments.extend(["--buffer".into(), number(buffer as u64), "--count".into(), number(count)]);
    let mut service = None;
    match between {
        Between::Here => {}
        Between::Threads => arguments.push("--threads".into()),
        Between::Processes => {
            let name = fresh_name();
            service = Some(Process::serve(&name, None)?);
            arguments.extend(["--name".into(), name]);
        }
    }
    let answer = Process::ask(&arguments)?;
    drop(service);
    Ok(serde_json::from_str(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_growth_divided_by_the_count() {
        let before = Usage { heap: 1000, shared: 10, descriptors: 9 };
        let after = Usage { heap: 3000, shared: 10, descriptors: 8 };
        let held = Held::share(after - before, 4);
        assert_eq!((held.private_bytes, held.shared_bytes, held.descriptors), (500.0, 0.0, 0.0));
    }
}
