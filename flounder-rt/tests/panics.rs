//! Code of the program that panics: the panic leaves `dispatch`, and the waitset is as usable as before.

mod waitset_support;

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flounder_rt::waitset::{EventChannel, Interest, Watched};
use flounder_rt::{DispatchError, Waitset};
use waitset_support::LIMIT;

type Given = fn(&Waitset);

/// Code of a program that panics when the waitset runs it.
const GIVEN: [(&str, Given); 7] = [
    ("a posted closure", |ws| ws.post(|_| panic!("meant"))),
    ("one from another thread", |ws| ws.remote().post(|_| panic!("meant"))),
    ("a timer", |ws| _ = ws.after(Duration::ZERO, |_| panic!("meant"))),
    ("a task", |ws| ws.spawn_local(async { panic!("meant") }).detach()),
    ("an event", |ws| {
        let event = EventChannel::new();
        event.register(ws, |_| panic!("meant")).expect("it is free");
        event.trigger().expect("it is registered");
    }),
    ("a descriptor", |ws| {
        let (near, far) = UnixStream::pair().expect("a socket pair");
        drop(near);
        ws.when(far, Interest::Readable, |_, _| panic!("meant")).expect("it can be watched");
    }),
    ("a drop", |ws| {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                panic!("meant");
            }
        }
        let loud = Loud;
        ws.post(move |_| {
            drop(loud);
            Ok(())
        });
    }),
];

#[test]
fn a_panic_leaves_dispatch_and_nothing_else_is_lost() {
    for (what, give) in GIVEN {
        let (ws, ran) = (Waitset::new(), Rc::new(Cell::new(0)));
        let count = || {
            let ran = Rc::clone(&ran);
            move |_: &Waitset| {
                ran.set(ran.get() + 1);
                Ok(())
            }
        };
        ws.post(count());
        give(&ws);
        ws.post(count());
        ws.after(Duration::from_millis(1), count());
        ws.remote().post(|_| Ok(()));
        let mut panics = 0;
        let deadline = Instant::now() + LIMIT;
        while (ran.get() < 3 || panics == 0) && Instant::now() < deadline {
            let run = || ws.dispatch_until(Some(deadline), || ran.get() == 3);
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(done) => assert!(done.expect("no callback fails"), "{what}"),
                Err(_) => panics += 1,
            }
        }
        assert_eq!((ran.get(), panics), (3, 1), "{what}");
        assert!(ws.prepare_wait().expect("there are descriptors"), "{what}");
    }
}

#[test]
fn dropped_waitset_drops_everything_despite_panics() {
    struct Loud(Rc<Cell<usize>>);
    impl Drop for Loud {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            panic!("meant");
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let ws = Waitset::new();
    for _ in 0..3 {
        let loud = Loud(Rc::clone(&dropped));
        ws.post(move |_| {
            drop(loud);
            Ok(())
        });
    }
    let remote = ws.remote();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(ws))).is_err(), "the first panic goes on");
    assert_eq!(dropped.get(), 3);
    assert!(remote.is_closed());
}

/// Returns another descriptor than its own, for a time.
struct Watch {
    own: OwnedFd,
    other: OwnedFd,
    lies: AtomicBool,
    fired: AtomicUsize,
}

impl Watched for Watch {
    fn fd(&self) -> BorrowedFd<'_> {
        if self.lies.load(Ordering::Relaxed) { self.other.as_fd() } else { self.own.as_fd() }
    }

    fn fired(&self) {
        self.fired.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_descriptor_that_cannot_be_watched_on_is_owed() {
    let ws = Waitset::new();
    let (near, far) = UnixStream::pair().expect("a socket pair");
    // Not in the set: the kernel refuses to watch it on.
    let (other, _end) = UnixStream::pair().expect("a socket pair");
    let watch = Arc::new(Watch {
        own: far.into(),
        other: other.into(),
        lies: AtomicBool::new(false),
        fired: AtomicUsize::new(0),
    });
    ws.watch(&(Arc::clone(&watch) as Arc<dyn Watched>)).expect("it can be watched");
    // Readable for good.
    drop(near);
    let wait = || ws.dispatch_until(Some(Instant::now() + Duration::from_millis(5)), || false);
    while watch.fired.load(Ordering::Relaxed) == 0 {
        wait().expect("no callback fails");
    }
    watch.lies.store(true, Ordering::Relaxed);
    // Others go on, and the error is reported when there is nothing else.
    let error = (0..10).find_map(|_| wait().err());
    assert!(matches!(error, Some(DispatchError::Os(_))), "{error:?}");
    let (sender, receiver) = UnixStream::pair().expect("a socket pair");
    drop(sender);
    let heard = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&heard);
    let task = move |_: &Waitset, _| {
        theirs.set(true);
        Ok(())
    };
    ws.when(receiver, Interest::Readable, task).expect("it can be watched");
    let deadline = Instant::now() + LIMIT;
    while !heard.get() && Instant::now() < deadline {
        let _ = wait();
    }
    assert!(heard.get());
    let before = watch.fired.load(Ordering::Relaxed);
    watch.lies.store(false, Ordering::Relaxed);
    while watch.fired.load(Ordering::Relaxed) == before && Instant::now() < deadline {
        let _ = wait();
    }
    assert!(watch.fired.load(Ordering::Relaxed) > before, "it is watched again");
}
