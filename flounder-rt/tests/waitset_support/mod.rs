//! What the tests of both waitsets need.

#![allow(dead_code, unreachable_pub)]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::thread::ClockId;

/// What is the same for both waitsets: how what is pending is dispatched. Names a [`drain`] and tests, which need `Log`,
/// `note` and `seen` beside them.
#[allow(unused_macros, reason = "not all of those who need the rest are about a waitset alone")]
macro_rules! rules_of_each_waitset {
    ($waitset:ident, $event:ident) => {
        /// Runs what there is, and returns how many events it was.
        fn drain(ws: &$waitset) -> usize {
            let mut events = 0;
            while ws.try_dispatch().expect("no callback fails") {
                events += 1;
                assert!(events < 1_000_000, "the waitset does not come to rest");
            }
            events
        }

        #[test]
        fn pending_is_first_in_first_out() {
            let (ws, log) = ($waitset::new(), Log::default());
            let event = $event::new();
            event.register(&ws, note(&log, 2)).expect("it is free");
            ws.post(note(&log, 1));
            event.trigger().expect("it is registered");
            ws.post(note(&log, 3));
            for expected in 1..=3 {
                ws.dispatch().expect("no callback fails");
                assert_eq!(seen(&log), [expected]);
            }
            assert!(!ws.try_dispatch().expect("no callback fails"));
        }

        #[test]
        fn callbacks_may_dispatch() {
            let (ws, log) = ($waitset::new(), Log::default());
            let (inner, outer) = (note(&log, 1), note(&log, 2));
            ws.post(move |ws| {
                ws.post(inner);
                ws.dispatch()?;
                outer(ws)
            });
            assert_eq!(drain(&ws), 1);
            assert_eq!(seen(&log), [1, 2]);
        }
    };
}
#[allow(unused_imports)]
pub(crate) use rules_of_each_waitset;

/// Runs a test that may hang in a thread of its own, and fails it if it does.
pub fn within(limit: Duration, test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    // The sender is dropped at the end, also by a panic.
    let end = finished.recv_timeout(limit);
    assert!(end != Err(mpsc::RecvTimeoutError::Timeout), "the test hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub const LIMIT: Duration = Duration::from_secs(30);

/// The processor time that this thread has used.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("time is positive");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Descriptors of this process.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}
