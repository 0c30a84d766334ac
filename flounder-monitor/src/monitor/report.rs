//! What this domain tells of its bindings, for those who watch over the host.

use std::time::SystemTime;

use crate::monitor::Monitor;
use crate::monitor::membership::Notice;
use crate::protocol::monitor::Held;

/// Bindings in one answer.
const PAGE: usize = 64;

impl Monitor {
    /// Answers the root: the bindings of clients here, after this link and connection.
    pub(super) fn report(&self, ticket: u64, after: (u64, u64)) {
        let links = self.links.borrow();
        let mut numbers: Vec<_> =
            links.keys().copied().filter(|number| *number >= after.0).collect();
        numbers.sort_unstable();
        let mut bindings = Vec::new();
        for number in numbers {
            let Some(link) = links.get(&number) else { continue };
            let after = (number == after.0).then_some(after.1);
            for (connection, about) in link.line().held(after, PAGE - bindings.len()) {
                bindings.push(Held {
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
        self.notify_root(Notice::Reported { ticket, bindings });
    }
}

/// After 1970 began.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
