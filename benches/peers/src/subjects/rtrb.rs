//! rtrb: a ring for each direction, polled.

use std::hint::spin_loop;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::typed::{self, Carrier, Payload};
use crate::load::Inbox;
use crate::subject::{Candidate, End, Result};

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_threads("rtrb, polled", |_, cores| {
        Ok(Box::new(move |load: &_| typed::run::<Rings>(cores, load)))
    })];

struct Rings;

impl Carrier for Rings {
    type End<P: Payload> = RingEnd<P>;

    fn pair<P: Payload>() -> (RingEnd<P>, RingEnd<P>) {
        let (to_peer, from_leader) = RingBuffer::new(P::DEPTH);
        let (to_leader, from_peer) = RingBuffer::new(P::DEPTH);
        (RingEnd { tx: to_peer, rx: from_peer }, RingEnd { tx: to_leader, rx: from_leader })
    }
}

struct RingEnd<P> {
    tx: Producer<P>,
    rx: Consumer<P>,
}

impl<P: Payload> End for RingEnd<P> {
    fn send(&mut self, payload: &[u8]) -> Result {
        let mut value = P::of(payload);
        while let Err(PushError::Full(back)) = self.tx.push(value) {
            if self.tx.is_abandoned() {
                return Err("the other end is gone".into());
            }
            value = back;
            spin_loop();
        }
        Ok(())
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        loop {
            let popped = match self.rx.pop() {
                // The producer may have pushed its last value in between.
                Err(_) if self.rx.is_abandoned() => Some(self.rx.pop()?),
                popped => popped.ok(),
            };
            match popped {
                Some(value) => return Ok(inbox.accept(value.bytes())?),
                None => spin_loop(),
            }
        }
    }
}
