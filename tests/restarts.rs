//! Services that end and come back, and the programs that live with it.

#[path = "restarts/health.rs"]
mod health;
#[path = "restarts/reconnect.rs"]
mod reconnect;
#[path = "restarts/take_over.rs"]
mod take_over;
#[path = "restarts/watch.rs"]
mod watch;

#[test]
fn test_process() {
    flounder_test_support::process::run();
}

/// Not a test of its own: what the processes of the tests do that need no test process.
#[test]
fn role() {
    if let Ok(role) = std::env::var(reconnect::ROLE) {
        reconnect::play(&role);
    }
}
