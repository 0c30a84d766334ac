//! Accounts of this process, as messages carry them.

use flounder_rt::account::{self, Resource, Scope};

use crate::protocol::monitor::{AccountReport, Amounts};

/// Accounts in one answer.
const PAGE: usize = 64;

/// Accounts of this process after `after`, in the order of their domains, and its limits.
pub(crate) fn page_of_accounts(after: u64) -> (Vec<AccountReport>, Vec<u64>) {
    let mut accounts: Vec<_> =
        account::usage().into_iter().filter(|usage| usage.domain > after).collect();
    accounts.sort_unstable_by_key(|usage| usage.domain);
    accounts.truncate(PAGE);
    let report = |usage: account::Usage| {
        let used = amounts(Resource::ALL.map(|resource| usage.used(resource)));
        AccountReport { domain: usage.domain, pid: 0, uid: 0, used }
    };
    let limits = account::limits();
    let limit = |scope| Resource::ALL.map(|resource| limits.get(resource, scope, None));
    let limits = [limit(Scope::Process), limit(Scope::All)].concat();
    (accounts.into_iter().map(report).collect(), limits)
}

const fn amounts(of: [u64; Resource::ALL.len()]) -> Amounts {
    let [bindings, mappings, bytes, descriptors, requests, connections, services, lookups, closes] =
        of;
    Amounts {
        bindings,
        mappings,
        bytes,
        descriptors,
        requests,
        connections,
        services,
        lookups,
        closes,
    }
}
