//! Both ends have the same verbs: what tries, what waits with and without a limit, what is received, in any thread.

#[path = "support/waitset_thread.rs"]
mod waitset_thread;

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use flounder::{
    BindingError, Cap, Inbox, Peer, RecvError, Rejected, Shared, TxError, Waitset, flounder,
};
use rustix::fs::fstat;
use waitset_thread::WaitsetThread;

/// The longest that anything may take before its test fails.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Long enough for a limit that has to pass.
const SHORT: Duration = Duration::from_millis(30);
const DRIVERS: [&str; 5] = ["loopback", "ump", "lmp", "scc", "beehive"];

flounder! {
    interface ends "Both ends" {
        message note(uint32 n);
        message text(string s);
        message file(give_away_cap file, uint32 n);
    };
}

/// A service with an inbox of `room` messages, and its end for any thread.
fn serve(
    ws: &Waitset,
    room: usize,
) -> (flounder::Iref, Rc<RefCell<Option<ends::Binding<Shared>>>>) {
    let bound = Rc::new(RefCell::new(None));
    let theirs = Rc::clone(&bound);
    let export = ends::export(ws, move |_: &Peer| {
        let theirs = Rc::clone(&theirs);
        Ok(Inbox::new(room).on_bound(move |end: ends::Binding| {
            theirs.replace(Some(end.shared()));
        }))
    });
    (export.wait().expect("export the service").iref(), bound)
}

/// A thread that dispatches both ends of a binding, and the two ends for any thread: service and client.
fn pair(driver: &'static str) -> (WaitsetThread, ends::Binding<Shared>, ends::Binding<Shared>) {
    let (thread, (service, client)) = WaitsetThread::start(move |ws| {
        let (iref, bound) = serve(ws, 4);
        let client = ends::bind(iref, ws, Inbox::new(4)).driver(driver).wait();
        let client = client.expect("bind the client").shared();
        let end = Some(Instant::now() + TIMEOUT);
        let is_bound = ws.dispatch_until(end, || bound.borrow().is_some());
        assert!(is_bound.expect("no callback fails"));
        (bound.take().expect("the service is bound"), client)
    });
    (thread, service, client)
}

fn wait_for_end(end: &ends::Binding<Shared>) {
    let deadline = Instant::now() + TIMEOUT;
    while end.ended().is_none() {
        assert!(Instant::now() < deadline, "the binding does not end");
        thread::yield_now();
    }
}

#[test]
fn shared_end_receives_in_any_thread_until_the_end() {
    for driver in DRIVERS {
        let (_thread, service, client) = pair(driver);
        service.tx_note(1).expect("there is room").wait().expect("it is sent");
        service.send_text("one").wait().expect("it is accepted");
        service.send_note(2).wait().expect("it is accepted");
        assert_eq!(client.recv_text().timeout(TIMEOUT).wait(), Ok("one".into()), "{driver}");
        assert_eq!(client.recv_note().wait(), Ok(1), "{driver}");
        assert_eq!(client.recv().wait(), Ok(ends::Message::Note { n: 2 }), "{driver}");
        assert_eq!(client.recv().timeout(SHORT).wait(), Err(RecvError::Deadline), "{driver}");
        service.send_note(3).wait().expect("it is accepted");
        service.teardown();
        assert_eq!(client.recv_note().wait(), Ok(3), "{driver}");
        let ended = RecvError::Ended(BindingError::Closed);
        assert_eq!(client.recv_note().wait(), Err(ended), "{driver}");
    }
}

#[test]
fn full_inbox_receives_again_when_another_thread_takes() {
    for driver in DRIVERS {
        let (_thread, service, client) = pair(driver);
        let sender = thread::spawn(move || {
            (0..200).try_for_each(|n| service.send_note(n).wait()).map(|()| service)
        });
        for n in 0..200 {
            assert_eq!(client.recv_note().timeout(TIMEOUT).wait(), Ok(n), "{driver}");
        }
        sender.join().expect("it does not panic").expect("all are accepted");
    }
}

#[test]
fn future_of_a_shared_end_has_a_limit_in_any_runtime() {
    let (_thread, service, client) = pair("ump");
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("start threads");
    let task = runtime.spawn(async move {
        let late = client.recv().timeout(SHORT).await;
        let note = client.recv_note();
        service.send_note(7).await.expect("it is accepted");
        (late, note.await)
    });
    let (late, note) = runtime.block_on(task).expect("it does not panic");
    assert_eq!((late, note), (Err(RecvError::Deadline), Ok(7)));
}

#[test]
fn what_is_given_away_comes_back_through_a_shared_end() {
    let (_thread, service, client) = pair("lmp");
    let file = || Cap::from(File::open("/proc/self/exe").expect("it is there"));
    let inode = |cap: &Cap| fstat(cap.as_fd()).expect("it is open").st_ino;
    let expected = inode(&file());
    client.send_file(file(), 1).wait().expect("it is accepted");
    let (received, n) = service.recv_file().wait().expect("it comes");
    assert_eq!((inode(&received), n), (expected, 1));
    service.teardown();
    wait_for_end(&client);
    let Rejected { error, given } = client.send_file(file(), 2).wait().expect_err("it has ended");
    assert_eq!((error, inode(&given)), (TxError::Closed, expected));
    let Rejected { error, given } = client.tx_file(file(), 3).map(drop).expect_err("it has ended");
    assert_eq!((error, inode(&given)), (TxError::Closed, expected));
}

#[test]
fn local_end_waits_for_a_message_and_no_longer_than_its_limit() {
    let (_thread, (iref, bound)) = WaitsetThread::start(|ws| {
        let (iref, bound) = serve(ws, 4);
        let (sender, receiver) = std::sync::mpsc::channel();
        ws.spawn_local({
            let ws = ws.clone();
            async move {
                while bound.borrow().is_none() {
                    ws.sleep(Duration::from_millis(1)).await;
                }
                let end = bound.take().expect("it was there");
                sender.send(end).expect("the test waits");
            }
        })
        .detach();
        (iref, receiver)
    });
    let ws = Waitset::new();
    let client = ends::bind(iref, &ws, Inbox::new(4)).driver("ump").wait().expect("bind");
    let service = bound.recv_timeout(TIMEOUT).expect("the service is bound");
    assert_eq!(client.recv().timeout(SHORT).wait(), Err(RecvError::Deadline));
    let late = ws.block_on(client.recv().timeout(SHORT)).expect("no callback fails");
    assert_eq!(late, Err(RecvError::Deadline));
    service.send_note(5).wait().expect("it is accepted");
    assert_eq!(client.recv_note().timeout(TIMEOUT).wait(), Ok(5));
    // The inbox of the service takes four, and the channel some more.
    let mut sent = 0;
    while client.send_note(sent).timeout(SHORT).wait() != Err(TxError::Busy) {
        sent += 1;
    }
    let late = ws.block_on(client.send_note(sent).timeout(SHORT)).expect("no callback fails");
    assert_eq!(late, Err(TxError::Busy));
    let reader = thread::spawn(move || {
        (0..=sent).try_for_each(|n| {
            assert_eq!(service.recv_note().timeout(TIMEOUT).wait()?, n);
            Ok::<_, RecvError>(())
        })
    });
    client.send_note(sent).wait().expect("there is room again");
    ws.block_on(client.close()).expect("no callback fails").expect("all is sent");
    reader.join().expect("it does not panic").expect("everything comes");
}

#[test]
fn unit_stands_for_no_handlers() {
    let ws = Waitset::new();
    let (iref, bound) = serve(&ws, 4);
    let client = ends::bind(iref, &ws, ()).wait().expect("bind");
    let end = Some(Instant::now() + TIMEOUT);
    assert!(ws.dispatch_until(end, || bound.borrow().is_some()).expect("no callback fails"));
    let service = bound.take().expect("it is bound");
    service.tx_note(1).expect("there is room");
    client.tx_note(2).expect("there is room");
    for _ in 0..20 {
        ws.try_dispatch().expect("no callback fails");
    }
    assert_eq!(client.ended(), None);
    assert_eq!(client.recv_note().timeout(SHORT).wait(), Err(RecvError::NoInbox));
    assert_eq!(service.recv_note().timeout(SHORT).wait(), Ok(2), "it is there already");
}
