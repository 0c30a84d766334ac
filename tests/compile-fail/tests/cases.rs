//! Every case is refused with the expected report: `TRYBUILD=overwrite cargo test -p flounder-compile-fail` rewrites them.

use std::process::Command;

/// The compiler that the expected reports come from.
const COMPILER: &str = "rustc 1.95.0";

#[test]
fn misuse_is_refused_with_the_expected_report() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.starts_with(COMPILER) {
        let version = version.trim();
        return eprintln!("SKIPPED: the reports are those of {COMPILER}, and this is {version}");
    }
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
