//! `Duration::MAX`, zero, and instants far away or past, wherever a time is taken. Expected: no panic; for ever is for ever.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    watchdog(40);
    let (max, zero, far) =
        (Duration::MAX, Duration::ZERO, Instant::now() + Duration::from_secs(1 << 32));
    isolate();
    let (tx, rx) = channel();
    thread::spawn(move || {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        nameservice::register("svc", s.iref()).wait().unwrap();
        tx.send(s.iref()).unwrap();
        dispatch_for_ever(&ws)
    });
    let iref = rx.recv().unwrap();
    let ws = Waitset::current();
    ws.set_spin(Duration::from_micros(1));
    assert_eq!(nameservice::blocking_lookup("svc").timeout(max).wait(), Ok(iref));
    let none = nameservice::blocking_lookup("none").timeout(zero).wait();
    assert!(matches!(none, Err(nameservice::NameError::Deadline { .. })), "{none:?}");
    let t = ws.after(max, |_| panic!("for ever is over"));
    ws.after(zero, |_| Ok(()));
    ws.dispatch().unwrap();
    let b = echo::bind(iref, &ws, echo::RxVtbl::default()).timeout(max).wait().unwrap();
    let c = echo::RpcClient::new(&b);
    assert_eq!(c.timeout(max).say(1), Ok(1));
    assert_eq!(c.deadline(far).say(2), Ok(2));
    assert_eq!(ws.block_on(c.timeout(max).say_async(3)).unwrap(), Ok(3));
    assert_eq!(ws.block_on(c.say_async(4).timeout(max)).unwrap(), Ok(4));
    assert_eq!(ws.block_on(c.say_async(5).deadline(far)).unwrap(), Ok(5));
    assert_eq!(ws.block_on(c.say_async(6).timeout(zero)).unwrap(), Err(RpcError::Deadline));
    assert_eq!(c.timeout(zero).say(7), Err(RpcError::Deadline));
    assert_eq!(c.deadline(Instant::now() - Duration::from_secs(1)).say(8), Err(RpcError::Deadline));
    let shared = echo::RpcClient::new(&b).shared();
    let other = thread::spawn(move || {
        (
            shared.timeout(max).say(9),
            shared.say_async(10).timeout(max).wait(),
            shared.timeout(zero).say(11),
            shared.deadline(far).say(12),
        )
    });
    while !other.is_finished() {
        ws.dispatch_until(Some(Instant::now() + Duration::from_millis(5)), || false).unwrap();
    }
    assert_eq!(other.join().unwrap(), (Ok(9), Ok(10), Err(RpcError::Deadline), Ok(12)));
    ws.set_spin(max);
    assert_eq!(c.say(13), Ok(13));
    ws.set_spin(zero);
    let _ = echo::bind(iref, &ws, echo::RxVtbl::default()).timeout(zero).wait();
    assert!(t.cancel());
    assert!(!ws.dispatch_until(Some(Instant::now()), || false).unwrap());
    ok("all taken")
}
