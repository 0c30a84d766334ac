//! What monitors say to each other, as Flounder generates it from `src/if/`.

use flounder_macros::flounder;

flounder! {
    crate = ::flounder_rt;
    file = "src/if/monitor.if";
}

flounder! {
    crate = ::flounder_rt;
    file = "src/if/intermon.if";
}

/// Version of both protocols.
pub(crate) const VERSION: u32 = 3;

pub(crate) fn halves(fingerprint: u128) -> (u64, u64) {
    ((fingerprint >> 64) as u64, fingerprint as u64)
}

/// The fingerprint of which these are the halves.
pub(crate) fn digest(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_survive_their_halves() {
        let fingerprint = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        let (high, low) = halves(fingerprint);
        assert_eq!(digest(high, low), fingerprint);
    }
}
