//! Signals and children in a waitset. A program of its own, because signals are the whole process's.

mod waitset_support;

use std::cell::Cell;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use flounder_rt::waitset::UnixSignal;
use flounder_rt::{DispatchError, Outcome, Waitset};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use waitset_support::{LIMIT, within};

fn send(signal: Signal) {
    kill_process(getpid(), signal).expect("a process may signal itself");
}

/// A counter, and a task that counts.
fn counter() -> (Rc<Cell<u32>>, impl FnMut(&Waitset) -> Outcome + 'static) {
    let count = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&count);
    let task = move |_: &Waitset| {
        theirs.set(theirs.get() + 1);
        Ok(())
    };
    (count, task)
}

fn dispatch_until(ws: &Waitset, done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    assert!(ws.dispatch_until(Some(deadline), done).expect("no callback fails"), "it is late");
}

fn drain(ws: &Waitset) {
    while ws.try_dispatch().expect("no callback fails") {}
}

#[test]
fn each_waitset_that_waits_for_a_signal_gets_each() {
    let (one, other) = (Waitset::new(), Waitset::new());
    let (first, task) = counter();
    one.on_signal(UnixSignal::User1, task).expect("it can be waited for");
    let (second, task) = counter();
    other.on_signal(UnixSignal::User1, task).expect("it can be waited for");
    for round in 1..=10 {
        send(Signal::USR1);
        dispatch_until(&one, || first.get() == round);
        dispatch_until(&other, || second.get() == round);
    }
    drain(&one);
    assert_eq!(first.get(), 10, "one signal is one event");
}

#[test]
fn signal_wakes_a_blocked_waitset_and_a_host_loop() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let (count, task) = counter();
        ws.on_signal(UnixSignal::User2, task).expect("it can be waited for");
        let rung = |wait: &dyn Fn()| {
            let thread = thread::spawn(|| send(Signal::USR2));
            wait();
            thread.join().expect("it does not panic");
        };
        rung(&|| ws.dispatch().expect("no callback fails"));
        assert_eq!(count.get(), 1);

        drain(&ws);
        assert!(ws.prepare_wait().expect("there are descriptors"));
        rung(&|| {
            let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
            let mut fds = [PollFd::new(&ws, PollFlags::IN)];
            // The signal itself may interrupt the call, as any other.
            let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit)));
            assert_eq!(ready.expect("it can be polled"), 1, "the outer loop is not woken");
        });
        drain(&ws);
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn signal_during_its_task_is_another_event() {
    let ws = Waitset::new();
    let count = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&count);
    ws.on_signal(UnixSignal::WindowChange, move |_| {
        theirs.set(theirs.get() + 1);
        if theirs.get() == 1 {
            send(Signal::WINCH);
        }
        Ok(())
    })
    .expect("it can be waited for");
    send(Signal::WINCH);
    dispatch_until(&ws, || count.get() == 2);
    for _ in 0..10_000 {
        send(Signal::WINCH);
    }
    dispatch_until(&ws, || count.get() > 2);
    drain(&ws);
    let before = count.get();
    send(Signal::WINCH);
    dispatch_until(&ws, || count.get() == before + 1);
}

#[test]
fn task_that_fails_or_panics_gets_the_next_signal() {
    let ws = Waitset::new();
    let count = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&count);
    ws.on_signal(UnixSignal::Hangup, move |_| {
        theirs.set(theirs.get() + 1);
        match theirs.get() {
            1 => Err("not today".into()),
            2 => panic!("on purpose"),
            _ => Ok(()),
        }
    })
    .expect("it can be waited for");
    send(Signal::HUP);
    let end = ws.dispatch_until(Some(Instant::now() + LIMIT), || false);
    assert!(matches!(end, Err(DispatchError::Callback(_))), "{end:?}");
    assert_eq!(count.get(), 1);
    send(Signal::HUP);
    let panicked = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        dispatch_until(&ws, || false);
    }));
    assert!(panicked.is_err());
    assert_eq!(count.get(), 2);
    send(Signal::HUP);
    dispatch_until(&ws, || count.get() == 3);
}

#[test]
fn a_watch_that_was_stopped_runs_no_more_and_goes() {
    let ws = Waitset::new();
    let (count, task) = counter();
    let watch = ws.on_signal(UnixSignal::Alarm, task).expect("it can be waited for");
    send(Signal::ALARM);
    dispatch_until(&ws, || count.get() == 1);
    // One is under way.
    send(Signal::ALARM);
    watch.stop();
    send(Signal::ALARM);
    dispatch_until(&ws, || Rc::strong_count(&count) == 1);
    assert_eq!(count.get(), 1);

    // From its own task.
    let stop = Rc::new(Cell::new(None));
    let (theirs, seen) = (Rc::clone(&stop), Rc::clone(&count));
    let watch = ws.on_signal(UnixSignal::Alarm, move |_| {
        seen.set(seen.get() + 1);
        theirs.take().map_or(Ok(()), |watch: flounder_rt::waitset::SignalWatch| {
            watch.stop();
            Ok(())
        })
    });
    stop.set(Some(watch.expect("it can be waited for")));
    send(Signal::ALARM);
    dispatch_until(&ws, || Rc::strong_count(&count) == 1);
    assert_eq!(count.get(), 2);

    // With its waitset.
    let (count, task) = counter();
    ws.on_signal(UnixSignal::Alarm, task).expect("it can be waited for");
    drop(ws);
    assert_eq!(Rc::strong_count(&count), 1);
    send(Signal::ALARM);
}

fn shell(script: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("there is a shell")
}

/// Output of a child, and its status as text.
fn end_of(ws: &Waitset, child: Child) -> String {
    let told = Rc::new(Cell::new(None));
    let theirs = Rc::clone(&told);
    ws.when_exited(child, move |_, mut child, status| {
        let mut text = String::new();
        child.stdout.take().expect("it is piped").read_to_string(&mut text)?;
        let status = status?;
        theirs.set(Some(format!("{text}{:?} {:?}", status.code(), status.signal())));
        Ok(())
    })
    .expect("it can be waited for");
    let mut end = None;
    dispatch_until(ws, || {
        end = end.take().or_else(|| told.take());
        end.is_some()
    });
    end.expect("it is over")
}

#[test]
fn exit_of_a_child_is_reported_with_its_status() {
    let ws = Waitset::new();
    assert_eq!(end_of(&ws, shell("echo said; exit 7")), "said\nSome(7) None");
    let mut child = shell("read forever");
    child.kill().expect("it lives");
    assert_eq!(end_of(&ws, child), "None Some(9)");
    // One that was over, and waited for, before.
    let mut child = shell("exit 3");
    child.wait().expect("it is ours");
    assert_eq!(end_of(&ws, child), "Some(3) None");
    // One that is over, and was not.
    let mut child = shell("exit 4");
    child.stdout.as_mut().expect("it is piped").read_to_end(&mut Vec::new()).expect("it ends");
    assert_eq!(end_of(&ws, child), "Some(4) None");
}

#[test]
fn children_are_reported_one_by_one_and_leave_no_zombie() {
    let ws = Waitset::new();
    let ended = Rc::new(Cell::new(0_u64));
    let mut stdins = Vec::new();
    for i in 0..20 {
        let mut child = shell(&format!("read line; exit {i}"));
        stdins.push(child.stdin.take().expect("it is piped"));
        let (ended, pid) = (Rc::clone(&ended), child.id());
        ws.when_exited(child, move |_, _, status| {
            assert_eq!(status?.code(), Some(i));
            assert!(!std::fs::exists(format!("/proc/{pid}"))?, "a zombie is left");
            ended.set(ended.get() | 1 << i);
            Ok(())
        })
        .expect("it can be waited for");
    }
    ws.after(Duration::from_millis(1), |_| Ok(()));
    ws.dispatch().expect("no callback fails");
    assert_eq!(ended.get(), 0, "they all live");
    // The end of its input ends a child.
    drop(stdins.remove(13));
    dispatch_until(&ws, || ended.get() != 0);
    assert_eq!(ended.get(), 1 << 13);
    stdins.clear();
    dispatch_until(&ws, || ended.get() == (1 << 20) - 1);
}

#[test]
fn a_child_whose_end_wakes_an_outer_loop() {
    let ws = Waitset::new();
    let ended = Rc::new(Cell::new(None));
    let theirs = Rc::clone(&ended);
    let mut child = shell("read line");
    let stdin = child.stdin.take();
    ws.when_exited(child, move |_, _, status| {
        theirs.set(Some(status?.success()));
        Ok(())
    })
    .expect("it can be waited for");
    drain(&ws);
    assert!(ws.prepare_wait().expect("there are descriptors"));
    drop(stdin);
    let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
    let mut fds = [PollFd::new(&ws, PollFlags::IN)];
    let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit)));
    assert_eq!(ready.expect("it can be polled"), 1);
    // `read` fails at the end of its input.
    dispatch_until(&ws, || ended.get() == Some(false));
}
