//! Waitsets leave no descriptor behind. Alone in its process, because it counts them.

mod waitset_support;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flounder_rt::waitset::{Interest, SharedEvent, UnixSignal};
use flounder_rt::{SharedWaitset, Waitset};
use waitset_support::open_descriptors;

#[test]
fn waitsets_leave_no_descriptor() {
    let before = open_descriptors();
    let idle = (Waitset::new(), SharedWaitset::new());
    idle.0.post(|_| Ok(()));
    idle.0.dispatch().expect("no callback fails");
    idle.1.post(|_| Ok(()));
    idle.1.dispatch().expect("no callback fails");
    assert_eq!(open_descriptors(), before, "one that never blocks has none");
    drop(idle);

    for _ in 0..10 {
        let ws = Waitset::new();
        let remote = ws.remote();
        ws.after(Duration::from_millis(1), |_| Ok(()));
        ws.dispatch().expect("no callback fails");
        let (_near, far) = UnixStream::pair().expect("a socket pair");
        ws.when(far, Interest::Readable, |_, _| Ok(())).expect("it can be watched");
        assert!(open_descriptors() > before);
        // A task that the waitset never runs goes with it.
        remote.post(|_| Ok(()));
    }
    assert_eq!(open_descriptors(), before);

    for _ in 0..10 {
        let ws = SharedWaitset::new();
        let event = SharedEvent::new();
        event.register(&ws, |_| Ok(())).expect("it is free");
        event.trigger().expect("it is registered");
        let (_near, far) = UnixStream::pair().expect("a socket pair");
        ws.when(far, Interest::Readable, |_, _| Ok(())).expect("it can be watched");
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        ws.after(Duration::from_secs(60), move |_| {
            drop(theirs);
            Ok(())
        });
        drop(ws);
        assert_eq!(Arc::strong_count(&alive), 1, "a timer goes with its waitset");
    }
    assert_eq!(open_descriptors(), before);

    // In an outer loop, with a signal and a child that it still waits for when it goes.
    for _ in 0..10 {
        let ws = Waitset::new();
        assert!(ws.prepare_wait().expect("there are descriptors"));
        assert!(ws.as_raw_fd() >= 0);
        assert_eq!(open_descriptors(), before + 5, "what docs/async.md says");
        ws.on_signal(UnixSignal::User1, |_| Ok(())).expect("it can be waited for");
        let stopped = ws.on_signal(UnixSignal::User1, |_| Ok(())).expect("it can be waited for");
        stopped.stop();
        let child = Command::new("true").spawn().expect("there is one");
        ws.when_exited(child, |_, _, _| Ok(())).expect("it can be waited for");
    }
    assert_eq!(open_descriptors(), before);
}
