//! References to services, and error values of interfaces.

use core::fmt;
use core::num::NonZeroU64;

/// An interface reference: names one exported service on this host.
///
/// It is a random number that is never used twice. A process that knows it can bind, as if it had looked the service up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Iref(NonZeroU64);

impl Iref {
    /// Returns the reference with these bits; `None` for zero, which no reference has.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Returns the bits, for the wire and for tables.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Iref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The `errval` of interfaces: 0 is success; the two ends agree on the meaning of other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Errval(pub u64);

impl Errval {
    /// Success (`SYS_ERR_OK`).
    pub const OK: Self = Self(0);

    /// Returns true if this is success.
    #[inline]
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Errval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errval {}", self.0)
    }
}
