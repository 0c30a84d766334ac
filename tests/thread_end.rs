//! A thread that ends closes its waitsets, also those of which another thread has a clone. A program of its own, because it
//! counts descriptors.

use std::cell::RefCell;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flounder::driver::closer::wait_until_closed;
use flounder::event::UnixSignal;
use flounder::{BindError, Iref, Peer, RpcError, Waitset, flounder};

const PATIENCE: Duration = Duration::from_secs(30);

flounder! {
    interface ending "A service whose thread ends" {
        rpc say(in uint32 n, out uint32 n);
    };
}

/// Exports a service whose handlers own the waitset, as does the connect callback.
fn export(ws: &Waitset) -> Iref {
    let own = ws.clone();
    let exported = ending::export(ws, move |_: &Peer| {
        let (own, mut rx) = (own.clone(), ending::RxVtbl::default());
        rx.say = Some(Box::new(move |_, n, reply| {
            let _ = &own;
            reply.send(n)
        }));
        Ok(rx)
    });
    exported.wait().expect("it can be exported").iref()
}

fn bind(iref: Iref, ws: &Waitset) -> Result<ending::ClientBinding, BindError> {
    ending::bind(iref, ws, ()).timeout(PATIENCE).wait()
}

/// A thread that serves until the command to end.
fn service() -> (Iref, mpsc::Sender<()>, JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    let thread = thread::spawn(move || {
        let ws = Waitset::current();
        let remote = ws.remote();
        thread::spawn(move || {
            let _ = stopped.recv();
            remote.post(|_| Err("over".into()));
        });
        tell.send(export(&ws)).expect("somebody waits");
        while ws.dispatch().is_ok() {}
    });
    (told.recv().expect("it starts"), stop, thread)
}

/// In a thread of its own, makes a waitset that owns itself in some way and has blocked.
fn in_a_thread(own: impl FnOnce(&Waitset) + Send + 'static) {
    let thread = thread::spawn(move || {
        let ws = Waitset::new();
        let sleep = ws.dispatch_until(Some(Instant::now()), || false);
        assert!(!sleep.expect("no callback fails"));
        ws.after(Duration::ZERO, |_| Ok(()));
        ws.dispatch().expect("no callback fails");
        own(&ws);
    });
    thread.join().expect("it does not panic");
}

/// Something that is dropped with the thread, after the waitsets that were made before it, and makes one more.
struct Late;

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    static EARLY: RefCell<Option<Late>> = const { RefCell::new(None) };
}

impl Drop for Late {
    fn drop(&mut self) {
        let ws = Waitset::current();
        ws.after(Duration::ZERO, |_| Ok(()));
        ws.dispatch().expect("no callback fails");
        let own = ws.clone();
        ws.after(Duration::from_secs(3600), move |_| {
            drop(own);
            Ok(())
        });
    }
}

fn open_descriptors() -> usize {
    // The process of a peer, or a socket, may be closed by another thread.
    assert!(wait_until_closed(Instant::now() + Duration::from_secs(20)), "everything gets closed");
    std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}

fn clients_learn_of_it() {
    let (iref, stop, thread) = service();
    let ws = Waitset::new();
    let binding = bind(iref, &ws).expect("it is there");
    let client = ending::RpcClient::new(&binding).timeout(PATIENCE);
    assert_eq!(client.say(1), Ok(1));
    stop.send(()).expect("it waits");
    thread.join().expect("it ends");
    let late = client.say(2);
    let is_ended = |error| matches!(error, RpcError::Closed(_) | RpcError::NotSent(_));
    assert!(late.is_err_and(is_ended), "the service has ended");
    let ended = ws.dispatch_until(Some(Instant::now() + PATIENCE), || binding.ended().is_some());
    assert!(ended.expect("no callback fails"));
    assert_eq!(bind(iref, &ws).map(|_| ()), Err(BindError::NoService));
}

type Own = fn(&Waitset);

const WAYS: [(&str, Own); 9] = [
    ("a handler", |ws| {
        let iref = export(ws);
        let binding = bind(iref, ws).expect("it is there");
        assert_eq!(ending::RpcClient::new(&binding).timeout(PATIENCE).say(1), Ok(1));
    }),
    ("a connect callback", |ws| _ = export(ws)),
    ("a task", |ws| {
        let own = ws.clone();
        ws.post(move |_| {
            drop(own);
            Ok(())
        });
    }),
    ("a timer", |ws| {
        let own = ws.clone();
        ws.after(Duration::from_secs(3600), move |_| {
            drop(own);
            Ok(())
        });
    }),
    ("a signal", |ws| {
        let own = ws.clone();
        let task = move |_: &Waitset| {
            let _ = &own;
            Ok(())
        };
        ws.on_signal(UnixSignal::User2, task).expect("there are descriptors");
    }),
    ("a future whose waker is elsewhere", |ws| {
        let own = ws.clone();
        let (waker, kept) = mpsc::channel();
        let future = std::future::poll_fn(move |cx| {
            let _ = &own;
            waker.send(cx.waker().clone()).expect("it is kept");
            std::task::Poll::<()>::Pending
        });
        ws.spawn_local(future).detach();
        assert!(ws.try_dispatch().expect("no callback fails"));
        // For longer than the thread lives.
        std::mem::forget(kept);
    }),
    ("an event channel", |ws| {
        let own = ws.clone();
        let channel = flounder::event::EventChannel::new();
        let poll = move || {
            let _ = &own;
            false
        };
        channel.register_polled(ws, poll, |_| Ok(())).expect("it is free");
    }),
    ("an outer loop", |ws| {
        ws.prepare_wait().expect("there are descriptors");
        let own = ws.clone();
        ws.post(move |_| {
            drop(own);
            Ok(())
        });
    }),
    ("the destructor of a thread-local variable", |ws| {
        // One is destroyed before the waitsets of the thread are closed, one afterwards.
        LATE.with(|late| late.replace(Some(Late)));
        let own = ws.clone();
        ws.post(move |_| {
            drop(own);
            Ok(())
        });
    }),
];

fn threads_leave_no_descriptor() {
    // What the process makes once.
    for (_, own) in WAYS {
        in_a_thread(own);
    }
    let before = open_descriptors();
    for (way, own) in WAYS {
        for _ in 0..50 {
            in_a_thread(own);
        }
        assert_eq!(open_descriptors(), before, "{way}");
    }
    for _ in 0..50 {
        let late = thread::spawn(|| {
            EARLY.with(|early| early.replace(Some(Late)));
            drop(Waitset::current());
        });
        late.join().expect("it does not panic");
    }
    assert_eq!(open_descriptors(), before, "a waitset made after the others were closed");
}

fn a_dropped_waitset_leaves_nothing() {
    let before = open_descriptors();
    for _ in 0..10 {
        let ws = Waitset::new();
        let remote = ws.remote();
        let exported = ending::export(&ws, |_: &Peer| Ok(ending::RxVtbl::default())).wait();
        let iref = exported.as_ref().expect("it can be exported").iref();
        ws.after(Duration::from_millis(1), |_| Ok(()));
        ws.dispatch().expect("no callback fails");
        assert!(open_descriptors() > before);
        drop((exported, ws));
        assert_eq!(open_descriptors(), before);
        assert!(remote.is_closed());
        assert_eq!(bind(iref, &Waitset::new()).map(|_| ()), Err(BindError::NoService));
    }
}

#[test]
fn a_thread_ends_with_its_waitsets() {
    let dir = tempfile::tempdir().expect("a directory");
    // The bind to a service that is nowhere asks the root monitor; its descriptors are made before they are counted.
    // SAFETY:
    // * No other thread of this process reads or writes the environment now: this is its only test.
    unsafe { std::env::set_var("FLOUNDER_RUNTIME_DIR", dir.path().join("run")) };
    clients_learn_of_it();
    a_dropped_waitset_leaves_nothing();
    threads_leave_no_descriptor();
}
