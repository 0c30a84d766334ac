//! Numbers and sizes of messages.

/// Number of the messages of the runtime itself (a reply that will never come); interfaces number theirs from 1.
pub const RUNTIME_MESSAGE: u16 = 0;

/// The largest number a message can have.
pub const MAX_NUMBER: u16 = (1 << 14) - 1;

/// The most capabilities in one message.
pub const MAX_CAPS: usize = 64;

/// What an interface allows of one of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimit {
    /// Words of the body, at most.
    pub words: usize,
    /// Capabilities, at most.
    pub caps: usize,
}

/// What an interface allows: entry `i` is for the message numbered `i + 1`.
pub type Limits = &'static [MessageLimit];
