//! Reassembly of a message and the capabilities that follow it.
//!
//! ```text
//!   Idle --head, caps = 0--> complete                    any other message in Following: the peer broke the protocol
//!   Idle --head, caps = n--> Following --cap | no_cap (n times)--> complete
//! ```
//! At the descriptor limit of this process, a message with several capabilities would be lost
//! whole, and the lost message could not be identified. So the head comes first, without
//! capabilities; a capability that is lost then belongs to the head before it.

use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapRefusal, MAX_CAPS};

/// State of one direction of a link. `H` is the head of a message.
#[derive(Debug)]
pub(super) enum Assembly<H> {
    Idle,
    Following { head: H, left: usize, caps: Result<Vec<Cap>, CapRefusal> },
}

/// A head with its capabilities, or the reason why they are lost.
pub(super) type Complete<H> = (H, Result<Vec<Cap>, CapRefusal>);

impl<H> Assembly<H> {
    /// Starts a message that `caps` capabilities follow. Returns it if there are none.
    pub(super) fn begin(
        &mut self,
        head: H,
        caps: u32,
    ) -> Result<Option<Complete<H>>, &'static str> {
        self.expect_idle()?;
        let left = usize::try_from(caps).ok().filter(|caps| *caps <= MAX_CAPS);
        let left = left.ok_or("it announced too many capabilities")?;
        if left == 0 {
            return Ok(Some((head, Ok(Vec::new()))));
        }
        *self = Self::Following { head, left, caps: Ok(Vec::with_capacity(left)) };
        Ok(None)
    }

    /// Adds a capability, or the reason why it is lost. Returns the message after the last one.
    pub(super) fn add(
        &mut self,
        cap: Result<Cap, CapRefusal>,
    ) -> Result<Option<Complete<H>>, &'static str> {
        let Self::Following { left, caps, .. } = self else {
            return Err("it sent a capability that no message announced");
        };
        match (cap, &mut *caps) {
            (Ok(cap), Ok(caps)) => caps.push(cap),
            // The capabilities that did arrive are closed with the vector.
            (Err(refusal), Ok(_)) => *caps = Err(refusal),
            (_, Err(_)) => {}
        }
        *left -= 1;
        if *left > 0 {
            return Ok(None);
        }
        match core::mem::replace(self, Self::Idle) {
            Self::Following { head, caps, .. } => Ok(Some((head, caps))),
            Self::Idle => Ok(None),
        }
    }

    /// Fails if a message is incomplete: nothing may come between a head and its capabilities.
    pub(super) fn expect_idle(&self) -> Result<(), &'static str> {
        match self {
            Self::Idle => Ok(()),
            Self::Following { .. } => {
                Err("it sent a message between another one and its capabilities")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn cap() -> Result<Cap, CapRefusal> {
        Ok(Cap::from(File::open("/dev/null").expect("null")))
    }

    #[test]
    fn head_without_capabilities_is_complete() {
        let mut assembly = Assembly::Idle;
        let complete = assembly.begin("a", 0).expect("idle").expect("complete");
        assert!(matches!(complete, ("a", Ok(caps)) if caps.is_empty()));
        assert!(assembly.expect_idle().is_ok());
    }

    #[test]
    fn head_waits_for_all_its_capabilities() {
        let mut assembly = Assembly::Idle;
        assert!(assembly.begin("a", 2).expect("idle").is_none());
        assert!(assembly.add(cap()).expect("announced").is_none());
        assert!(assembly.expect_idle().is_err());
        let (head, caps) = assembly.add(cap()).expect("announced").expect("complete");
        assert_eq!((head, caps.expect("all came").len()), ("a", 2));
    }

    #[test]
    fn one_lost_capability_loses_all() {
        for lost in 0..3 {
            let mut assembly = Assembly::Idle;
            assert!(assembly.begin((), 3).expect("idle").is_none());
            let mut complete = None;
            for i in 0..3 {
                let item = if i == lost { Err(CapRefusal::ReceiverLimit) } else { cap() };
                complete = assembly.add(item).expect("announced");
            }
            let ((), caps) = complete.expect("complete");
            assert_eq!(caps.expect_err("one is lost"), CapRefusal::ReceiverLimit);
        }
    }

    #[test]
    fn unannounced_capability_is_refused() {
        let mut assembly = Assembly::Idle;
        assert!(assembly.add(cap()).is_err());
        assert!(assembly.begin((), 65).is_err());
        assert!(assembly.begin((), 1).expect("idle").is_none());
        assert!(assembly.begin((), 0).is_err(), "the first is not complete");
    }
}
