//! A program forks (without exec) while its other threads export, bind and withdraw all the time. The child uses a service of
//! its own thread, which needs no monitor and no other thread. Expected: it works, or gives an error; the child does not hang.

use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    watchdog(80);
    for _ in 0..3 {
        thread::spawn(|| {
            let ws = Waitset::current();
            loop {
                let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
                let b = echo::bind(s.iref(), &ws, echo::RxVtbl::default()).wait();
                drop(b);
                s.withdraw();
            }
        });
    }
    thread::sleep(Duration::from_millis(50));
    let (mut hung, mut wrong, mut n) = (0, 0, 0);
    let end = Instant::now() + Duration::from_secs(25);
    while Instant::now() < end && n < 600 && hung < 5 {
        n += 1;
        let child = fork();
        if child == 0 {
            // It ends a child that hangs.
            alarm(3);
            let ws = Waitset::new();
            let good = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().map(|s| {
                echo::bind(s.iref(), &ws, echo::RxVtbl::default())
                    .wait()
                    .map(|b| echo::RpcClient::new(&b).say(7))
            });
            exit_at_once(if matches!(good, Ok(Ok(Ok(7)))) { 0 } else { 4 })
        }
        let status = wait_for(child);
        if libc::WIFSIGNALED(status) {
            hung += 1
        } else if status != 0 {
            wrong += 1
        }
        thread::sleep(Duration::from_micros(u64::from(n as u32 * 37 % 500)));
    }
    verdict(
        hung == 0 && wrong == 0,
        format!("{n} forks: {hung} children hung until SIGALRM, {wrong} got an error"),
    );
}
