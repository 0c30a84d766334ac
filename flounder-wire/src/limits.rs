//! Numbers and sizes of messages.

/// Number of the runtime's own messages, such as the notice that a reply will never come. Messages
/// of interfaces are numbered from 1.
pub const RUNTIME_MESSAGE: u16 = 0;

/// Largest message number.
pub const MAX_NUMBER: u16 = (1 << 14) - 1;

/// Maximum number of capabilities in one message.
pub const MAX_CAPS: usize = 64;

/// Maximum size of one message of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimit {
    /// Maximum number of words in the body.
    pub words: usize,
    /// Maximum number of capabilities.
    pub caps: usize,
}

/// Maximum sizes of the messages of an interface: entry `i` is for the message numbered `i + 1`.
pub type Limits = &'static [MessageLimit];
