//! Reports of this domain's bindings and accounts, for tools that inspect the host.

use std::time::SystemTime;

use crate::accounts::page_of_accounts;
use crate::monitor::Monitor;
use crate::monitor::membership::MessageToRoot;
use crate::protocol::monitor::HeldBinding;

/// Most bindings in one report.
const PAGE: usize = 64;

impl Monitor {
    /// Reports the bindings of clients here, after this link and connection.
    pub(super) fn report(&self, ticket: u64, after: (u64, u64)) {
        let links = self.links.borrow();
        let mut numbers: Vec<_> =
            links.keys().copied().filter(|number| *number >= after.0).collect();
        numbers.sort_unstable();
        let mut bindings = Vec::new();
        for number in numbers {
            let Some(link) = links.get(&number) else { continue };
            let after = (number == after.0).then_some(after.1);
            for (connection, about) in link.handle().client_bindings(after, PAGE - bindings.len()) {
                bindings.push(HeldBinding {
                    link: number,
                    connection,
                    service: link.domain(),
                    iref: about.iref.to_bits(),
                    driver: about.driver.to_owned(),
                    since: milliseconds(about.since),
                });
            }
            if bindings.len() >= PAGE {
                break;
            }
        }
        drop(links);
        self.send_to_root(MessageToRoot::Reported { ticket, bindings });
    }

    /// Reports the accounts of peers of this process, after this domain.
    pub(super) fn report_accounts(&self, ticket: u64, after: u64) {
        let (accounts, limits) = page_of_accounts(after);
        self.send_to_root(MessageToRoot::ReportedAccounts { ticket, accounts, limits });
    }
}

/// Returns the milliseconds since 1970 began.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
