//! Messages of the compiler: one mistake per file in `tests/ui/<topic>/`, with the expected error.
//!
//! The texts are those of one compiler. `TRYBUILD=overwrite cargo test --test ui` rewrites them.

use std::process::Command;

/// The compiler that the expected errors come from.
const COMPILER: &str = "rustc 1.95.0";

#[test]
fn mistakes_give_the_expected_errors() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.starts_with(COMPILER) {
        eprintln!(
            "SKIPPED: the expected errors are those of {COMPILER}, and this is {}",
            version.trim()
        );
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    for topic in ["syntax", "names", "types", "bounds", "caps", "rpc", "derive", "usage"] {
        cases.compile_fail(format!("tests/ui/{topic}/*.rs"));
    }
}
