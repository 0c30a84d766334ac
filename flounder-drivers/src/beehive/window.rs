//! The window of a channel, which bounds the number of its words that are under way, independently
//! of the credit of its cores.
//!
//! Both ends count the words of the frames of one direction, and one more for each frame (its
//! length, where it waits), modulo 2^16. The receiver sends the number of words that it has
//! consumed in each frame of its own, and by itself when the sender might run dry.

use flounder_rt::channel::{End, ProtocolError};

use crate::beehive::frame::MAX_FRAME;

/// The smallest window: one frame.
pub const MIN_WINDOW: u16 = MAX_FRAME as u16;

/// Default window: two frames.
pub const DEFAULT_WINDOW: u16 = 2 * MAX_FRAME as u16;

/// Largest window. Less than half of 2^16, so that old counts can be distinguished from new ones.
pub const MAX_WINDOW: u16 = 1 << 14;

/// Returns the window, in words of 32 bits, for what an end sends.
pub(crate) fn window_of(end: &End) -> u16 {
    match end.buffer {
        0 => DEFAULT_WINDOW,
        bytes => {
            u16::try_from(bytes / 4).map_or(MAX_WINDOW, |words| words.clamp(MIN_WINDOW, MAX_WINDOW))
        }
    }
}

/// The sender's side.
#[derive(Debug, Clone, Copy)]
pub struct SendWindow {
    sent: u16,
    /// The last checked claim of the receiver; never ahead of `sent`.
    acked: u16,
    length: u16,
}

impl SendWindow {
    /// Returns a window of `length` words, with both counts at `start`.
    #[must_use]
    pub const fn starting_at(length: u16, start: u16) -> Self {
        Self { sent: start, acked: start, length }
    }

    /// Returns the length of the longest frame that fits: `n` words do if `sent - acked <= length -
    /// n`.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.length.saturating_sub(self.sent.wrapping_sub(self.acked)) as usize
    }

    /// Counts a frame of `words` words.
    ///
    /// # Panics
    /// If the frame does not fit.
    pub const fn send(&mut self, words: usize) {
        assert!(words <= self.room(), "a frame is sent only into its window");
        self.sent = self.sent.wrapping_add(words as u16 + 1);
    }

    /// Takes the receiver's claim of the words that it has consumed.
    ///
    /// # Errors
    /// If they were not sent, or are fewer than before.
    pub const fn acknowledge(&mut self, claim: u16) -> Result<(), ProtocolError> {
        if claim.wrapping_sub(self.acked) > self.sent.wrapping_sub(self.acked) {
            return Err(ProtocolError::Position { claim: claim as u64, max: self.sent as u64 });
        }
        self.acked = claim;
        Ok(())
    }
}

/// The receiver's side.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveWindow {
    arrived: u16,
    /// Never ahead of `arrived`.
    consumed: u16,
    /// Never ahead of `consumed`.
    reported: u16,
    length: u16,
}

impl ReceiveWindow {
    /// Returns a window of `length` words, with all counts at `start`.
    #[must_use]
    pub const fn starting_at(length: u16, start: u16) -> Self {
        Self { arrived: start, consumed: start, reported: start, length }
    }

    /// Sets the length, once the sender has sent it.
    pub const fn set_length(&mut self, length: u16) {
        self.length = length;
    }

    /// Counts a frame that came out of the FIFO.
    ///
    /// # Errors
    /// If the frame does not fit into the window, whichever acknowledgements have reached the
    /// sender.
    pub const fn arrive(&mut self, words: usize) -> Result<(), ProtocolError> {
        let under_way = self.arrived.wrapping_sub(self.reported) as usize;
        if under_way + words > self.length as usize {
            return Err(ProtocolError::Frame("a frame does not fit into the window"));
        }
        self.arrived = self.arrived.wrapping_add(words as u16 + 1);
        Ok(())
    }

    /// Counts a frame that its channel has taken.
    pub const fn consume(&mut self, words: usize) {
        self.consumed = self.consumed.wrapping_add(words as u16 + 1);
    }

    /// Returns true if the sender may be waiting for an acknowledgement.
    #[must_use]
    pub const fn is_ack_due(&self) -> bool {
        self.consumed != self.reported
            && self.consumed.wrapping_sub(self.reported) >= self.length.saturating_sub(MIN_WINDOW)
    }

    /// Returns the count to send to the sender, and notes that it was sent.
    pub const fn report(&mut self) -> u16 {
        self.reported = self.consumed;
        self.consumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_may_fill_the_window_exactly() {
        let mut out = SendWindow::starting_at(DEFAULT_WINDOW, 0);
        out.send(58);
        assert_eq!(out.room(), 57);
        out.send(57);
        assert_eq!(out.room(), 0);
        assert_eq!(out.acknowledge(59), Ok(()));
        assert_eq!(out.room(), 58);
    }

    /// For all lengths and counts, a sender without room gets an ack.
    #[test]
    fn acks_keep_the_sender_going_over_the_wrap() {
        for length in [MIN_WINDOW, MIN_WINDOW + 1, DEFAULT_WINDOW, 1000, MAX_WINDOW] {
            let start = u16::MAX - 700;
            let mut out = SendWindow::starting_at(length, start);
            let mut into = ReceiveWindow::starting_at(length, start);
            for round in 0..20_000_usize {
                let words = 1 + round * 31 % MAX_FRAME;
                if out.room() < words {
                    assert!(into.is_ack_due(), "{words} words do not fit into {length}");
                    assert_eq!(out.acknowledge(into.report()), Ok(()));
                }
                out.send(words);
                assert_eq!(into.arrive(words), Ok(()));
                into.consume(words);
            }
        }
    }

    #[test]
    fn false_claims_are_errors() {
        let mut out = SendWindow::starting_at(DEFAULT_WINDOW, u16::MAX);
        out.send(5);
        assert!(out.acknowledge(u16::MAX - 1).is_err());
        assert!(out.acknowledge(6).is_err());
        assert_eq!(out.acknowledge(5), Ok(()));
        assert!(out.acknowledge(4).is_err());
        let mut into = ReceiveWindow::starting_at(MIN_WINDOW, 0);
        assert_eq!(into.arrive(58), Ok(()));
        assert!(into.arrive(1).is_err());
    }
}
