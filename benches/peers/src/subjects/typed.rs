//! Common code of the channels of Rust values. A small payload is an array, a large one a box, as a program would send it.

use std::time::Duration;

use crate::load::Load;
use crate::machine::Cores;
use crate::subject::{End, Result};
use crate::thread::carry;

/// A type of payload.
pub(crate) trait Payload: Send + 'static {
    /// Capacity of a bounded channel, in values.
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

    /// Creates a pair of channels, and returns both ends.
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

/// Defines a candidate over a bounded channel for each direction, from its constructor and the types of its halves.
macro_rules! two_channels {
    ($name:literal, $channel:ident, $sender:ident, $receiver:ident) => {
        pub(crate) const CANDIDATES: &[$crate::subject::Candidate] =
            &[$crate::subject::Candidate::between_threads($name, |_, cores| {
                Ok(Box::new(move |load: &_| $crate::subjects::typed::run::<Channels>(cores, load)))
            })];

        struct Channels;

        impl $crate::subjects::typed::Carrier for Channels {
            type End<P: $crate::subjects::typed::Payload> = ChannelEnd<P>;

            fn pair<P: $crate::subjects::typed::Payload>() -> (ChannelEnd<P>, ChannelEnd<P>) {
                let (to_peer, from_leader) = $channel(P::DEPTH);
                let (to_leader, from_peer) = $channel(P::DEPTH);
                let ours = ChannelEnd { tx: to_peer, rx: from_peer };
                (ours, ChannelEnd { tx: to_leader, rx: from_leader })
            }
        }

        struct ChannelEnd<P> {
            tx: $sender<P>,
            rx: $receiver<P>,
        }

        impl<P: $crate::subjects::typed::Payload> $crate::subject::End for ChannelEnd<P> {
            fn send(&mut self, payload: &[u8]) -> $crate::subject::Result {
                self.tx.send(P::of(payload)).map_err(|_| "the other end is gone".into())
            }

            fn receive(&mut self, inbox: &mut $crate::load::Inbox) -> $crate::subject::Result {
                Ok(inbox.accept(self.rx.recv()?.bytes())?)
            }
        }
    };
}
pub(crate) use two_channels;
