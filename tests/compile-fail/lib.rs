//! Programs that use flounder wrongly, as a user would write them: `cases/*.rs`, one mistake each, with the compiler's report.
//!
//! Mistakes in interfaces are cases of `tests/ui`.
