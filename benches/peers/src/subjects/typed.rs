//! What channels of Rust values have in common: a payload is an array where it is small, and a box where it is not, as
//! one would write it.

use std::time::Duration;

use crate::load::Load;
use crate::machine::Cores;
use crate::subject::{End, Result};
use crate::thread::carry;

/// A value that is sent.
pub(crate) trait Payload: Send + 'static {
    /// Values that a bounded channel holds.
    const DEPTH: usize;

    fn of(bytes: &[u8]) -> Self;

    fn bytes(&self) -> &[u8];
}

impl<const N: usize> Payload for [u8; N] {
    const DEPTH: usize = 1024;

    #[inline]
    fn of(bytes: &[u8]) -> Self {
        bytes.try_into().expect("the load's size chose the type")
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Payload for Box<[u8]> {
    const DEPTH: usize = 64;

    #[inline]
    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A kind of channel between threads.
pub(crate) trait Carrier {
    type End<P: Payload>: End + Send;

    /// Both ends of a pair of channels.
    fn pair<P: Payload>() -> (Self::End<P>, Self::End<P>);
}

/// Carries a load over channels of the type that fits its size.
pub(crate) fn run<C: Carrier>(cores: Cores, load: &Load) -> Result<Duration> {
    match load.size {
        8 => run_as::<C, [u8; 8]>(cores, load),
        56 => run_as::<C, [u8; 56]>(cores, load),
        _ => run_as::<C, Box<[u8]>>(cores, load),
    }
}

fn run_as<C: Carrier, P: Payload>(cores: Cores, load: &Load) -> Result<Duration> {
    let (ours, theirs) = C::pair::<P>();
    carry(cores, load, ours, theirs)
}
