//! What an idle binding holds: many are opened, and what they hold together is divided.
//!
//! It is measured in processes of its own, where no earlier measurement has left memory behind that can be used again.

use clap::Args;
use flounder::{BindError, Waitset};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::over::{Client, Service};
use crate::process::{Process, ServiceThread, find, fresh_name};
use crate::usage::Usage;
use crate::work::Between;

/// What one binding holds in one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Bytes of private memory.
    pub(crate) private_bytes: f64,
    /// Bytes of shared memory. Both ends map the same.
    pub(crate) shared_bytes: f64,
    /// Descriptors.
    pub(crate) descriptors: f64,
}

impl Held {
    /// The share of one binding in what `count` bindings added.
    fn share(added: Usage, count: u64) -> Self {
        let part = |total: u64| total as f64 / count as f64;
        Self {
            private_bytes: part(added.heap),
            shared_bytes: part(added.shared),
            descriptors: part(added.descriptors),
        }
    }
}

/// What one binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PerBinding {
    /// In the client's process; in both ends' process, if that is one.
    pub(crate) client: Held,
    /// In the service's process, if that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Held>,
}

/// What a process is to measure.
#[derive(Args)]
pub(crate) struct Order {
    #[arg(long)]
    driver: String,
    /// Bytes of buffer to ask for; 0 for the default.
    #[arg(long)]
    buffer: usize,
    /// Bindings to open, at most.
    #[arg(long)]
    count: u64,
    /// The service, in another process.
    #[arg(long)]
    name: Option<String>,
    /// The service is in another thread.
    #[arg(long)]
    threads: bool,
}

impl Order {
    /// Does it; there is nothing to measure where the driver does not reach.
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
        // The first of its kind may make what all others use.
        let first = client.bind_idle(self.buffer)?;
        let before = (Usage::now()?, client.memory_of_service()?);
        let mut bindings = Vec::new();
        for _ in 0..self.count {
            match client.bind_idle(self.buffer) {
                Ok(binding) => bindings.push(binding),
                // There are drivers that can have so many and no more.
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

/// Measures it: `count` bindings of a driver with a buffer of this size (0 for the default). There is nothing to measure
/// where the driver does not reach.
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
