//! Credit between two cores, which keeps FIFOs from filling up.
//!
//! The hardware has no flow control, so each core starts with [`START`] words of credit toward every other one, and spends
//! for each message the space that it takes in the FIFO: its words and the two headers. Once the receiver has taken the message
//! out, it owes that credit, and returns it in the kernel header of its next message, or in a message of credit alone.
//!
//! # Invariants
//! * Each of the 64 words of one direction is in one place: available, in the FIFO, owed, or on its way back. So twelve
//!   cores together put 768 words into a FIFO of 1024.
//! * A message leaves two words of credit, and a message of credit alone needs no more: credit can always be returned. It
//!   may use up those two. That does not stop both sides: the last message that was sent was then one of credit, of more
//!   than two words, and the side that takes it has that credit.
//! * A debt of two words or less is not returned by a message of its own: it may be for one of credit alone, and
//!   acknowledging that would never end. A message of credit returns three words or more and makes a debt of two,
//!   so that a chain of them is over soon.
//! * A receiver keeps two words at most, so 62 come back: what a message of 58 words needs.

use flounder_rt::channel::ProtocolError;

use crate::beehive::frame::MAX_FRAME;
use crate::beehive::hardware::{CORES, FIFO_WORDS};

/// Words of credit toward each other core at the start.
pub const START: u16 = 64;

/// Words of the hardware header and the kernel header of a message.
pub const HEADERS: u16 = 2;

/// Words that a message leaves for a message of credit alone.
pub const RESERVE: u16 = 2;

/// Debt that is not worth a message of its own.
const MAX_UNRETURNED: u16 = 2;

const _: () = assert!((CORES - 1) * START as usize <= FIFO_WORDS);
const _: () =
    assert!(MAX_FRAME + (HEADERS + RESERVE) as usize <= (START - MAX_UNRETURNED) as usize);

/// The credit between this core and another one, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// `available <= START`.
    available: u16,
    /// `owed <= START`.
    owed: u16,
}

impl Credit {
    /// Returns the credit of two cores that have sent each other nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { available: START, owed: 0 }
    }

    /// Returns the words that this core may still put into the other core's FIFO.
    #[must_use]
    pub const fn available(&self) -> u16 {
        self.available
    }

    /// Returns the words that this core has taken and not returned.
    #[must_use]
    pub const fn owed(&self) -> u16 {
        self.owed
    }

    /// Returns the length of the longest message that there is credit for, in words behind the
    /// kernel header.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.available.saturating_sub(HEADERS + RESERVE) as usize
    }

    /// Spends the credit for a message of `words` words behind the kernel header. Returns the
    /// credit that the message returns to the other core.
    ///
    /// # Panics
    /// If there is no credit for it (see [`room`](Self::room)).
    pub const fn spend(&mut self, words: usize) -> u16 {
        assert!(words <= self.room(), "a message is sent only with credit for it");
        self.available -= words as u16 + HEADERS;
        self.take_owed()
    }

    /// Returns true if a message of credit alone is due and possible.
    #[must_use]
    pub const fn is_return_due(&self) -> bool {
        self.owed > MAX_UNRETURNED && self.available >= HEADERS
    }

    /// Spends the credit for a message of credit alone. Returns the credit that it returns.
    ///
    /// # Panics
    /// If none is due (see [`is_return_due`](Self::is_return_due)).
    pub const fn spend_reserve(&mut self) -> u16 {
        assert!(self.is_return_due(), "credit is returned alone only when it is due");
        self.available -= HEADERS;
        self.take_owed()
    }

    /// Counts a message taken out of the FIFO: its words with both headers, and the credit that it
    /// returns.
    ///
    /// # Errors
    /// If the other core has sent without credit, or returns more than it was sent.
    pub const fn receive(&mut self, words: usize, returned: u16) -> Result<(), ProtocolError> {
        if words > (START - self.owed) as usize {
            return Err(ProtocolError::Frame("a message was sent without credit"));
        }
        let outstanding = START - self.available;
        if returned > outstanding {
            return Err(ProtocolError::Position {
                claim: returned as u64,
                max: outstanding as u64,
            });
        }
        self.owed += words as u16;
        self.available += returned;
        Ok(())
    }

    const fn take_owed(&mut self) -> u16 {
        let returned = self.owed;
        self.owed = 0;
        returned
    }
}

impl Default for Credit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_message_fits_the_credit_that_comes_back() {
        let mut credit = Credit::new();
        assert_eq!(credit.room(), 60);
        assert_eq!(credit.spend(60), 0);
        assert_eq!((credit.available(), credit.room()), (2, 0));
        // All but two come back.
        assert_eq!(credit.receive(2, 60), Ok(()));
        assert_eq!((credit.available(), credit.owed(), credit.room()), (62, 2, MAX_FRAME));
    }

    #[test]
    fn debt_of_two_words_is_returned_with_a_message() {
        let mut credit = Credit::new();
        credit.receive(2, 0).unwrap();
        assert!(!credit.is_return_due());
        assert_eq!(credit.spend(1), 2);
        credit.receive(3, 0).unwrap();
        assert!(credit.is_return_due());
        assert_eq!(credit.spend_reserve(), 3);
        assert_eq!(credit.available(), START - 3 - 2);
    }

    #[test]
    fn reserve_is_spent_by_credit_messages_only() {
        let mut credit = Credit::new();
        credit.spend(60);
        assert_eq!(credit.room(), 0);
        credit.receive(5, 0).unwrap();
        assert!(credit.is_return_due());
        assert_eq!(credit.spend_reserve(), 5);
        assert_eq!(credit.available(), 0);
        credit.receive(5, 0).unwrap();
        assert!(!credit.is_return_due(), "there is nothing to send it with");
    }

    #[test]
    fn false_claims_are_errors_and_change_nothing() {
        let mut credit = Credit::new();
        credit.spend(10);
        let before = credit;
        assert_eq!(credit.receive(3, 13), Err(ProtocolError::Position { claim: 13, max: 12 }));
        assert!(credit.receive(65, 0).is_err());
        assert_eq!(credit, before);
        credit.receive(64, 12).unwrap();
        assert!(credit.receive(1, 0).is_err());
        assert_eq!(credit.available(), START);
    }
}
