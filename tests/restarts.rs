//! Services that end and come back, and the programs that live with it.

#[path = "restarts/watch.rs"]
mod watch;

#[test]
fn test_process() {
    flounder_test_support::process::run();
}
