//! Accounts of this process as messages carry them, for the root and for monitors.

use flounder_rt::account::{self, OverLimit, Resource, Scope};

use crate::protocol::monitor::{AccountReport, Amounts};

/// Most accounts in one report.
const PAGE: usize = 64;

/// Returns the accounts of domains after `after`, in the order of domains, and the limits of this
/// process.
pub(crate) fn page_of_accounts(after: u64) -> (Vec<AccountReport>, Vec<u64>) {
    let mut accounts: Vec<_> =
        account::usage().into_iter().filter(|usage| usage.domain > after).collect();
    accounts.sort_unstable_by_key(|usage| usage.domain);
    accounts.truncate(PAGE);
    let report = |usage: account::Usage| {
        let used = amounts_to_wire(Resource::ALL.map(|resource| usage.used(resource)));
        AccountReport { domain: usage.domain, pid: 0, uid: 0, used }
    };
    let limits = account::limits();
    let limit = |scope| Resource::ALL.map(|resource| limits.get(resource, scope, None));
    let limits = [limit(Scope::Process), limit(Scope::All)].concat();
    (accounts.into_iter().map(report).collect(), limits)
}

macro_rules! amounts {
    ($($resource:ident),*) => {
        /// Returns amounts, in the order of [`Resource::ALL`], as a message carries them.
        pub(crate) const fn amounts_to_wire([$($resource),*]: [u64; Resource::ALL.len()]) -> Amounts {
            Amounts { $($resource),* }
        }

        /// Returns the amounts of a message in the order of [`Resource::ALL`].
        pub(crate) const fn amounts_from_wire(amounts: &Amounts) -> [u64; Resource::ALL.len()] {
            let Amounts { $($resource),* } = *amounts;
            [$($resource),*]
        }
    };
}

amounts! {
    bindings, mappings, bytes, descriptors, requests, connections, services, lookups, closes, names,
    reports
}

/// Width of a limit on the wire, in bits.
const LIMIT_BITS: u32 = 48;

/// Returns a limit as a message carries it: from the top the resource, the scope, and the limit.
pub(crate) fn limit_to_wire(OverLimit { resource, limit, of, .. }: OverLimit) -> u64 {
    let limit = limit.min((1 << LIMIT_BITS) - 1);
    u64::from(resource.number()) << 56 | u64::from(of.number()) << LIMIT_BITS | limit
}

/// Returns the limit of a message, or `None` if its resource or scope is unknown.
pub(crate) fn limit_from_wire(code: u64) -> Option<OverLimit> {
    let resource = Resource::from_number((code >> 56) as u8)?;
    let of = Scope::from_number((code >> LIMIT_BITS) as u8)?;
    Some(OverLimit::new(resource, code & ((1 << LIMIT_BITS) - 1), of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_survives_encoding() {
        for resource in Resource::ALL {
            for of in Scope::ALL {
                let limit = OverLimit::new(resource, 4096, of);
                assert_eq!(limit_from_wire(limit_to_wire(limit)), Some(limit));
            }
        }
        assert_eq!(limit_from_wire(0xff << 56), None);
        assert_eq!(limit_from_wire(7 << LIMIT_BITS), None);
    }
}
