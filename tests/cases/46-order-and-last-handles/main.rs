//! A note, a reply, a note, from one handler, come in that order, whatever the client does meanwhile; and what another thread
//! has sent through a shared binding arrives although it drops the last handle at once.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    watchdog(60);
    let mut bad_ones = Vec::new();
    for driver in ["ump", "lmp", "scc", "beehive"] {
        let (tx, rx) = channel();
        let (seen_tx, seen) = channel::<u32>();
        thread::spawn(move || {
            let ws = Waitset::current();
            let s = echo::export(&ws, move |_: &Peer| {
                let seen_tx = seen_tx.clone();
                Ok(echo::RxVtbl {
                    say: Some(Box::new(|b, n, r| {
                        let _ = b.tx_note(n);
                        r.send(n);
                        let _ = b.tx_note(n + 1);
                    })),
                    note: Some(Box::new(move |_, n| {
                        let _ = seen_tx.send(n);
                    })),
                    ..Default::default()
                })
            })
            .wait()
            .unwrap();
            tx.send(s.iref()).unwrap();
            dispatch_for_ever(&ws)
        });
        let iref = rx.recv().unwrap();
        let ws = Waitset::new();
        let log: Rc<RefCell<Vec<u32>>> = Rc::default();
        let l = log.clone();
        let v = echo::RxVtbl {
            note: Some(Box::new(move |_, n| l.borrow_mut().push(n))),
            ..Default::default()
        };
        let b = echo::bind(iref, &ws, v).driver(driver).wait().unwrap();
        let c = echo::RpcClient::new(&b).timeout(Duration::from_secs(3));
        for n in (10..400u32).step_by(10) {
            let r = if n % 20 == 0 { c.say(n) } else { ws.block_on(c.say_async(n)).unwrap() };
            if r != Ok(n)
                || log.borrow().last() != Some(&n) && log.borrow().last() != Some(&(n + 1))
            {
                bad_ones.push(format!(
                    "{driver}: at the reply to {n} ({r:?}) the log ends with {:?}",
                    log.borrow().last()
                ));
                break;
            }
            let l = log.clone();
            ws.dispatch_until(Some(Instant::now() + Duration::from_secs(2)), || {
                l.borrow().last() == Some(&(n + 1))
            })
            .unwrap();
        }
        let want: Vec<u32> = (10..400).step_by(10).flat_map(|n| [n, n + 1]).collect();
        if *log.borrow() != want {
            bad_ones.push(format!("{driver}: notes {} of {}", log.borrow().len(), want.len()))
        }
        let shared = b.shared();
        drop((b, c));
        let t = thread::spawn(move || {
            for n in 1000..1500 {
                shared.send_note(n).wait().unwrap()
            }
            drop(shared)
        });
        let end = Instant::now() + Duration::from_secs(4);
        let mut got = Vec::new();
        while Instant::now() < end && got.len() < 500 {
            ws.dispatch_until(Some(Instant::now() + Duration::from_millis(20)), || false).unwrap();
            got.extend(seen.try_iter());
        }
        t.join().unwrap();
        if got != (1000..1500).collect::<Vec<_>>() {
            bad_ones.push(format!("{driver}: through the shared one {} of 500", got.len()))
        }
    }
    verdict(bad_ones.is_empty(), format!("bad: {bad_ones:?}"));
}
