//! The front end of the Flounder language: text or tokens in, a checked model out.

pub mod model;
