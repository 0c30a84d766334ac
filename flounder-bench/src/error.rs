//! What ends a measurement.

/// The reason why a measurement ended: an error of flounder or of the system, or a text of this crate.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of whatever can end a measurement.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;
