//! Every case is refused with the expected report: `TRYBUILD=overwrite cargo test -p flounder-compile-fail` rewrites them.

use std::process::Command;

/// The compiler that the expected reports come from.
const COMPILER: &str = "rustc 1.95.0";

/// Variable from which cargo takes flags of the compiler before all others.
const FLAGS_VARIABLE: &str = "CARGO_ENCODED_RUSTFLAGS";

/// The flags that trybuild passes for the cases. It passes others for the libraries, so that cargo would check all of them
/// twice.
const FLAGS: &str = "--cfg\x1ftrybuild\x1f--verbose\x1f-A\x1fdead_code\x1f--diagnostic-width=140";

#[test]
fn misuse_is_refused_with_the_expected_report() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.starts_with(COMPILER) {
        let version = version.trim();
        return eprintln!("SKIPPED: the reports are those of {COMPILER}, and this is {version}");
    }
    if std::env::var(FLAGS_VARIABLE).as_deref() != Ok(FLAGS) {
        let program = std::env::current_exe().expect("this program has a path");
        let mut again = Command::new(program);
        again.args(["misuse_is_refused_with_the_expected_report", "--exact", "--nocapture"]);
        let status = again.env(FLAGS_VARIABLE, FLAGS).status().expect("it can be started");
        return assert!(status.success(), "a report differs");
    }
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
