//! Errors of measurements.

/// Error that ended a measurement: from flounder, from the system, or a text of this crate.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Result of a measurement.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;
