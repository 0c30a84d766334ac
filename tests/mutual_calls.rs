//! Blocking calls inside handlers, nested and mutual: each ends with an answer or with an error that says what to do, and none
//! hangs.

use flounder_test_support as support;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use flounder::event::Remote;
use flounder::{Iref, Waitset};
use support::group::{
    AdoptClient, Call, DEADLINE, Form, GroupMember, Rpc, TIME, WOULD_DEADLOCK, client, code, group,
};
use support::protocol::Driver;
use support::{TIMEOUT, TestProcess, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

const DRIVERS: [&str; 3] = ["loopback", "ump", "lmp"];

/// Runs a test that may hang, and fails it if it does.
fn within(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    let end = finished.recv_timeout(2 * TIMEOUT);
    assert!(end != Err(std::sync::mpsc::RecvTimeoutError::Timeout), "the test hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn nested_calls_in_one_thread_succeed_or_would_deadlock() {
    within(|| {
        for (there, back) in DRIVERS.iter().flat_map(|a| DRIVERS.map(|b| (*a, b))) {
            let ws = Waitset::new();
            let (a, b) = (GroupMember::default(), GroupMember::default());
            let (to_a, to_b) = (a.export(&ws), b.export(&ws));
            a.other.replace(Some(a.bind(to_b, &ws, there)));
            b.other.replace(Some(b.bind(to_a, &ws, back)));
            let own = GroupMember::default().bind(to_a, &ws, there);
            let rpc = client(&own);
            assert_eq!(rpc.answer(7), Ok(7));
            assert_eq!(rpc.nest(1), Ok(0), "A calls B");
            assert_eq!(rpc.nest(2), Ok(0), "A calls B, which calls A");
            assert_eq!(rpc.nest(3), Ok(WOULD_DEADLOCK), "A's call to B is still being handled");
            assert_eq!(rpc.back(7), Ok(WOULD_DEADLOCK), "over the binding of the handler");
            // The error handler does not run, and everything goes on.
            assert_eq!(rpc.answer(8), Ok(8), "{there} and {back}");
        }
    });
}

/// What a thread is to do.
enum Job {
    Bind(Iref),
    /// Call the other member with this depth.
    Nest(u32),
    /// Call the other member over the binding, which calls back over it.
    Back,
    End,
}

/// A member in a thread of its own, which serves until it gets a command.
struct Thread {
    jobs: Sender<Job>,
    answers: Receiver<u32>,
    remote: Arc<Remote>,
    iref: Iref,
    thread: thread::JoinHandle<()>,
}

impl Thread {
    fn start(driver: &'static str) -> Self {
        let ((jobs, queue), (answer, answers)) = (channel(), channel());
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            let (ws, group) = (Waitset::new(), GroupMember::default());
            tell.send((group.export(&ws), ws.remote())).expect("someone waits");
            loop {
                let end = Some(Instant::now() + TIMEOUT);
                let mut job = None;
                let found = ws.dispatch_until(end, || {
                    job = job.take().or_else(|| queue.try_recv().ok());
                    job.is_some()
                });
                assert!(found.expect("no callback fails"), "no job comes");
                let other = || group.other.borrow().clone().expect("it is bound");
                match job.expect("it was found") {
                    Job::Bind(iref) => {
                        group.other.replace(Some(group.bind(iref, &ws, driver)));
                        answer.send(0).expect("someone waits");
                    }
                    Job::Nest(depth) => {
                        let result = code(client(&other()).nest(depth));
                        answer.send(result).expect("someone waits");
                    }
                    Job::Back => {
                        let result = code(client(&other()).back(7));
                        answer.send(result).expect("someone waits");
                    }
                    Job::End => {
                        group.other.take();
                        return;
                    }
                }
            }
        });
        let (iref, remote) = told.recv().expect("it starts");
        Self { jobs, answers, remote, iref, thread }
    }

    fn send(&self, job: Job) {
        self.jobs.send(job).expect("it lives");
        self.remote.post(|_| Ok(()));
    }

    fn answer(&self) -> u32 {
        self.answers.recv_timeout(TIMEOUT).expect("it answers")
    }

    fn run(&self, job: Job) -> u32 {
        self.send(job);
        self.answer()
    }

    fn end(self) {
        self.send(Job::End);
        self.thread.join().expect("it ends well");
    }
}

#[test]
fn calls_between_two_threads_are_answered_or_time_out() {
    within(|| {
        for (there, back) in ["ump", "lmp"].iter().flat_map(|a| ["ump", "lmp"].map(|b| (*a, b))) {
            let (a, b) = (Thread::start(there), Thread::start(back));
            assert_eq!(a.run(Job::Bind(b.iref)), 0);
            assert_eq!(b.run(Job::Bind(a.iref)), 0);
            assert_eq!(a.run(Job::Nest(0)), 0, "there is nobody else");
            assert_eq!(a.run(Job::Back), WOULD_DEADLOCK);
            // A calls B, whose handler calls A: A waits and serves only its binding to B, so that B waits in vain.
            assert_eq!(a.run(Job::Nest(1)), DEADLINE, "the inner call ends first, or both at once");
            // Both at a time, from outside of handlers.
            a.send(Job::Nest(0));
            b.send(Job::Nest(0));
            for result in [a.answer(), b.answer()] {
                assert!(result == 0 || result == DEADLINE, "{result}");
            }
            // Nothing is left of it.
            assert_eq!(a.run(Job::Nest(0)), 0, "{there} and {back}");
            assert_eq!(b.run(Job::Nest(0)), 0);
            a.end();
            b.end();
        }
    });
}

#[test]
fn two_threads_call_each_other_over_one_binding() {
    within(|| {
        for driver in ["ump", "lmp"] {
            let (tell, told) = channel();
            let service = thread::spawn(move || {
                let (ws, group) = (Waitset::new(), GroupMember::default());
                tell.send(group.export(&ws)).expect("someone waits");
                let end = Some(Instant::now() + TIMEOUT);
                // The client has it call: its handler may not, over this binding.
                let asked = ws.dispatch_until(end, || !group.log.borrow().is_empty());
                assert!(asked.expect("no callback fails"));
                assert_eq!(*group.log.borrow(), [WOULD_DEADLOCK]);
            });
            let (ws, group) = (Waitset::new(), GroupMember::default());
            let binding = group.bind(told.recv().expect("it starts"), &ws, driver);
            binding.tx_call_me().expect("there is room");
            service.join().expect("it ends well");
        }
        for driver in ["ump", "lmp"] {
            let done = Arc::<Done>::default();
            let theirs = Arc::clone(&done);
            let (tell, told) = channel();
            let service = thread::spawn(move || {
                let (ws, group) = (Waitset::new(), GroupMember::default());
                tell.send(group.export(&ws)).expect("someone waits");
                let end = Some(Instant::now() + TIMEOUT);
                let met = ws.dispatch_until(end, || group.met.borrow().is_some());
                assert!(met.expect("no callback fails"));
                let binding = group.met.take().expect("it was found");
                call_and_serve(&ws, &binding, &theirs);
            });
            let (ws, group) = (Waitset::new(), GroupMember::default());
            let binding = group.bind(told.recv().expect("it starts"), &ws, driver);
            binding.tx_meet().expect("there is room");
            call_and_serve(&ws, &binding, &done);
            drop(binding);
            service.join().expect("it ends well");
        }
    });
}

/// Makes calls while the other end does, and then serves it until it is done as well.
fn call_and_serve(ws: &Waitset, binding: &group::Binding, done: &Done) {
    let rpc = group::RpcClient::new(binding).timeout(TIMEOUT);
    for n in 0..1000 {
        assert_eq!(rpc.answer(n), Ok(n));
    }
    let end = Some(Instant::now() + TIMEOUT);
    done.tell(ws);
    assert!(ws.dispatch_until(end, || done.both()).expect("no callback fails"));
}

/// Which of two threads is done.
#[derive(Default)]
struct Done {
    count: AtomicU32,
    remotes: Mutex<Vec<Arc<Remote>>>,
}

impl Done {
    fn tell(&self, ws: &Waitset) {
        let mut remotes = self.remotes.lock().expect("nobody panics here");
        self.count.fetch_add(1, Ordering::SeqCst);
        remotes.push(ws.remote());
        remotes.iter().for_each(|remote| remote.post(|_| Ok(())));
    }

    fn both(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 2
    }
}

/// The drivers between processes.
const OVER: [Driver; 2] = [Driver::Ump, Driver::Lmp];

const FORMS: [Form; 2] = [Form::Blocking, Form::Async];

/// Long enough for every call that is answered, on a machine with much else to do.
fn patient(processes: &mut [&mut TestProcess]) {
    processes.iter_mut().for_each(|process| process.set_call_timeout(TIMEOUT / 2));
}

fn impatient(processes: &mut [&mut TestProcess]) {
    processes.iter_mut().for_each(|process| process.set_call_timeout(TIME));
}

/// Has both call at once.
fn both(a: &mut TestProcess, b: &mut TestProcess) -> [u32; 2] {
    let calls = [&mut *a, &mut *b].map(|process| process.start(Call::new(Rpc::Answer, 7)));
    let [of_a, of_b] = calls;
    [a.wait(of_a), b.wait(of_b)]
}

fn adopt(process: &mut TestProcess) {
    let end = Instant::now() + TIMEOUT;
    while process.run(AdoptClient::new()).is_err() {
        assert!(Instant::now() < end, "nobody has come");
    }
}

#[test]
fn two_processes_call_each_other_over_one_binding() {
    for driver in OVER {
        let system = TestSystem::new();
        let (mut a, mut b) = (system.spawn(), system.spawn());
        b.export_member("b");
        a.bind_member(driver, "b");
        adopt(&mut b);
        patient(&mut [&mut a, &mut b]);
        for (form, of_b) in FORMS.iter().flat_map(|a| FORMS.map(|b| (*a, b))) {
            let what = format!("{driver}, {form:?} and {of_b:?}");
            a.set_form(form);
            b.set_form(of_b);
            for _ in 0..20 {
                assert_eq!(both(&mut a, &mut b), [7, 7], "{what}");
            }
            // In its handler, B cannot wait for a reply that no code could receive.
            let back = if of_b == Form::Blocking { WOULD_DEADLOCK } else { 7 };
            assert_eq!(a.call_member(Rpc::Back, 7), back, "{what}");
            let back = if form == Form::Blocking { WOULD_DEADLOCK } else { 7 };
            assert_eq!(b.call_member(Rpc::Back, 7), back, "{what}");
        }
    }
}

#[test]
fn two_processes_call_each_other_over_two_bindings() {
    for (there, back) in OVER.iter().flat_map(|a| OVER.map(|b| (*a, b))) {
        let system = TestSystem::new();
        let (mut a, mut b) = (system.spawn(), system.spawn());
        a.export_member("a");
        b.export_member("b");
        a.bind_member(there, "b");
        b.bind_member(back, "a");
        for (form, of_b) in FORMS.iter().flat_map(|a| FORMS.map(|b| (*a, b))) {
            let what = format!("{there} and {back}, {form:?} and {of_b:?}");
            a.set_form(form);
            b.set_form(of_b);
            if form == Form::Blocking {
                // A serves only its own binding while it waits.
                impatient(&mut [&mut a, &mut b]);
                assert_eq!(a.call_member(Rpc::Nest, 1), DEADLINE, "{what}");
            } else {
                patient(&mut [&mut a, &mut b]);
                assert_eq!(a.call_member(Rpc::Nest, 1), 0, "{what}");
            }
            if (form, of_b) == (Form::Blocking, Form::Blocking) {
                // Whether they meet is up to them.
                for result in both(&mut a, &mut b) {
                    assert!([7, DEADLINE].contains(&result), "{what}: {result}");
                }
            } else {
                patient(&mut [&mut a, &mut b]);
                for _ in 0..20 {
                    assert_eq!(both(&mut a, &mut b), [7, 7], "{what}");
                }
            }
            // Nothing is left of it.
            patient(&mut [&mut a, &mut b]);
            assert_eq!(a.call_member(Rpc::Nest, 0), 0, "{what}");
            assert_eq!(b.call_member(Rpc::Nest, 0), 0, "{what}");
        }
    }
}

#[test]
fn ring_of_three_processes_answers_unless_one_blocks() {
    use Driver::{Lmp, Ump};
    for drivers in [[Ump; 3], [Lmp; 3], [Ump, Lmp, Ump]] {
        let system = TestSystem::new();
        let mut ring = ["a", "b", "c"].map(|name| {
            let mut process = system.spawn();
            process.export_member(name);
            process
        });
        for ((process, next), driver) in ring.iter_mut().zip(["b", "c", "a"]).zip(drivers) {
            process.bind_member(driver, next);
        }
        for bits in 0..8 {
            let forms = [0, 1, 2].map(|at| FORMS[bits >> at & 1]);
            let [a, b, c] = &mut ring;
            for (process, form) in [&mut *a, &mut *b, &mut *c].into_iter().zip(forms) {
                process.set_form(form);
            }
            let waits = |group: usize| forms[group] == Form::Blocking;
            // A is called by C in the third call, and B by A in the fourth.
            for (depth, is_stuck) in [(2, false), (3, waits(0)), (4, waits(0) || waits(1))] {
                let what = format!("{drivers:?}, {forms:?}, {depth} calls");
                if is_stuck {
                    impatient(&mut [&mut *a, &mut *b, &mut *c]);
                } else {
                    patient(&mut [&mut *a, &mut *b, &mut *c]);
                }
                let expected = if is_stuck { DEADLINE } else { 0 };
                assert_eq!(a.call_member(Rpc::Nest, depth - 1), expected, "{what}");
            }
        }
    }
}
