//! Generates Rust from a checked Flounder interface.
