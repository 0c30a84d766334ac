//! The macros of flounder: flounder! and derive(FlounderMessage).
