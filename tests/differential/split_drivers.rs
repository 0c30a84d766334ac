//! The drivers between processes, run within one process. Each end makes its half of the channel; one link for all bindings
//! carries offers and capabilities. So rings are mapped memory, doorbells are sockets, and scc uses the cache instructions
//! of this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flounder::driver::channel::{Connector, End, Pair};
use flounder::drivers::registry;
use flounder::error::ConnectError;
use flounder_conformance::TestLink;

/// Registers a split driver for each driver that reaches other processes. Returns their names, each of which begins with the
/// name of the driver.
pub(crate) fn register_all() -> Vec<&'static str> {
    let far =
        [("lmp", "lmp by halves"), ("ump", "ump by halves"), ("beehive", "beehive by halves")];
    let scc = cfg!(target_arch = "x86_64").then_some(("scc", "scc by halves"));
    let register = |(driver, name)| {
        let driver = registry::find(driver).expect("it is built in");
        let (link, connections) = (TestLink::pair(), AtomicU64::new(1));
        // The tests of this file share a registry: the first one registers.
        let _ = registry::register(Arc::new(SplitDriver { driver, name, link, connections }));
        name
    };
    far.into_iter().chain(scc).map(register).collect()
}

struct SplitDriver {
    driver: &'static dyn Connector,
    name: &'static str,
    /// Lives as long as the process, as one between processes outlives the channels.
    link: (Arc<TestLink>, Arc<TestLink>),
    connections: AtomicU64,
}

impl Connector for SplitDriver {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pair_local(&self, client: &End, service: &End) -> Result<Pair, ConnectError> {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let [client, service] = [client, service].map(|end| End { connection, ..end.clone() });
        let (here, there) = &self.link;
        let (client, service) = TestLink::connect_over(self.driver, &client, &service, here, there);
        Ok((client, service))
    }
}
