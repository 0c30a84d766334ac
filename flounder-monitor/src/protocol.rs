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
