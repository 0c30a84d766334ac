//! The `flounder` command.

fn main() {}
