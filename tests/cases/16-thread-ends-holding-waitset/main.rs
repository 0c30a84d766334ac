//! A thread with a service ends; its handler holds the thread's waitset (as examples/async_echo.rs does).
//! Expected: its clients, in another thread and in another process, learn that the service is gone.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn service(holds: bool, name: Option<&'static str>) -> (Iref, Sender<()>, JoinHandle<()>) {
    let (tx, rx) = channel();
    let (stop, stopped) = channel::<()>();
    let thread = thread::spawn(move || {
        let ws = Waitset::current();
        let own = holds.then(|| ws.clone());
        let s = echo::export(&ws, move |_: &Peer| {
            let (own, mut rx) = (own.clone(), echo::RxVtbl::default());
            rx.say = Some(Box::new(move |_, n, reply| {
                let _ = &own;
                reply.send(n)
            }));
            Ok(rx)
        })
        .wait()
        .unwrap();
        if let Some(name) = name {
            nameservice::register(name, s.iref()).wait().unwrap();
        }
        tx.send(s.iref()).unwrap();
        while stopped.try_recv().is_err() {
            ws.dispatch_until(Some(Instant::now() + Duration::from_millis(20)), || false).unwrap();
        }
    });
    (rx.recv().unwrap(), stop, thread)
}

/// The result of a call; "Deadline" if the end of the service is not reported.
fn learn(b: &echo::Binding) -> String {
    let (began, c) = (Instant::now(), echo::RpcClient::new(b).timeout(Duration::from_secs(4)));
    let what = match c.say(2) {
        Err(RpcError::Deadline) => "Deadline".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{what} after {:.1} s", began.elapsed().as_secs_f64())
}

fn bound(iref: Iref) -> Result<echo::Binding, BindError> {
    echo::bind(iref, &Waitset::current(), echo::RxVtbl::default())
        .timeout(Duration::from_secs(3))
        .wait()
}

fn main() {
    if role() == "serve" {
        let (_, stop, t) = service(arg(2) == "true", Some("svc"));
        say("ready");
        wait_for_line();
        let _ = stop.send(());
        t.join().unwrap();
        say("thread ended");
        thread::sleep(Duration::from_secs(30));
        return;
    }
    if role() == "client" {
        let b = bound(find("svc")).unwrap();
        echo::RpcClient::new(&b).say(1).unwrap();
        say("bound");
        thread::sleep(Duration::from_millis(700));
        say(format!("learnt {}", learn(&b)));
        return;
    }
    watchdog(80);
    let mut seen = Vec::new();
    for holds in [false, true] {
        let (iref, stop, thread) = service(holds, None);
        let b = bound(iref).unwrap();
        assert_eq!(echo::RpcClient::new(&b).say(1), Ok(1));
        stop.send(()).unwrap();
        thread.join().unwrap();
        let learnt = learn(&b);
        let again = match bound(iref) {
            Err(BindError::Deadline) => "Deadline".to_owned(),
            other => format!("{:?}", other.map(|_| ())),
        };
        seen.push(format!("holds {holds}, thread: {learnt}; bind afterwards: {again}"));
        isolate();
        let mut p = run_with_input(&["serve", &holds.to_string()]);
        p.line("ready", 8.0).unwrap();
        let mut c = run(&["client"]);
        c.line("bound", 8.0).unwrap();
        p.go_on();
        p.line("thread ended", 5.0).unwrap();
        let learnt = c.line("learnt", 9.0).unwrap_or("Deadline".into());
        seen.push(format!("holds {holds}, process: {learnt}"));
    }
    verdict(seen.iter().all(|s| !s.contains("Deadline")), seen.join("; "));
}
