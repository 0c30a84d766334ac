//! Waiting inside of waiting: `block_on` and blocking calls in tasks, handlers, timers, and in each other, with the service in
//! the same thread (handlers and futures) or in another one. Expected: an answer, or `WouldDeadlock`; nothing hangs.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

struct Slow(Waitset);

impl echo::AsyncRx for Slow {
    async fn note(&self, _: &echo::Binding, _: u32) {}

    async fn text(&self, _: &echo::Binding, _: String) {}

    async fn bytes(&self, _: &echo::Binding, _: Vec<u8>) {}

    async fn give(&self, _: &echo::Binding, _: u32, _: Cap) {}

    async fn say(&self, _: &echo::Binding, n: u32) -> Result<u32, CallbackError> {
        let done = Rc::new(Cell::new(false));
        let d = done.clone();
        self.0.after(Duration::from_millis(3), move |_| {
            d.set(true);
            Ok(())
        });
        poll_fn(move |cx| {
            if done.get() {
                Poll::Ready(())
            } else {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        Ok(n)
    }

    async fn tell(&self, _: &echo::Binding, s: String) -> Result<String, CallbackError> {
        Ok(s)
    }

    async fn pid(&self, _: &echo::Binding) -> Result<u32, CallbackError> {
        Ok(1)
    }
}

/// Returns a result as text, with a word for a refusal to wait.
fn text<T: Debug>(result: Result<T, RpcError>) -> String {
    match result {
        Err(RpcError::WouldDeadlock) => "Err(WouldDeadlock)".into(),
        other => format!("{other:?}"),
    }
}

fn main() {
    watchdog(40);
    let ws = Waitset::new();
    let got: Rc<RefCell<Vec<(&str, String)>>> = Rc::default();
    let near = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
    let own = ws.clone();
    let slow =
        echo::export(&ws, move |_: &Peer| Ok(flounder::Async(Slow(own.clone())))).wait().unwrap();
    let far = serve_in_thread();
    for (what, iref) in [("near", near.iref()), ("slow", slow.iref()), ("far", far)] {
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).wait().unwrap();
        let c = echo::RpcClient::new(&b).timeout(Duration::from_secs(3));
        let put =
            |how: &'static str, r: String| got.borrow_mut().push((how, format!("{what} {r}")));
        // in a task
        let r = ws
            .block_on(ws.spawn_local({
                let c = c.clone();
                async move { c.say(1) }
            }))
            .unwrap();
        put("call in a task", text(r));
        let r = ws
            .block_on(ws.spawn_local({
                let (c, w) = (c.clone(), ws.clone());
                async move { w.block_on(c.say_async(2)).unwrap() }
            }))
            .unwrap();
        put("block_on in a task", text(r));
        // in block_on's own future
        let r = ws
            .block_on({
                let (c, w) = (c.clone(), ws.clone());
                async move { w.block_on(async { w.block_on(c.say_async(3)).unwrap() }).unwrap() }
            })
            .unwrap();
        put("block_on three deep", text(r));
        // in a timer
        let slot = Rc::new(RefCell::new(None));
        let s = slot.clone();
        let (c2, w) = (c.clone(), ws.clone());
        ws.after(Duration::ZERO, move |_| {
            *s.borrow_mut() = Some((text(c2.say(4)), text(w.block_on(c2.say_async(5)).unwrap())));
            Ok(())
        });
        ws.dispatch_until(Some(Instant::now() + Duration::from_secs(8)), || {
            slot.borrow().is_some()
        })
        .unwrap();
        put("in a timer", format!("{:?}", slot.borrow()));
        // binding in a timer
        let slot = Rc::new(RefCell::new(None));
        let s = slot.clone();
        let w = ws.clone();
        ws.after(Duration::ZERO, move |_| {
            *s.borrow_mut() =
                Some(echo::bind(iref, &w, echo::RxVtbl::default()).wait().map(|b| {
                    text(echo::RpcClient::new(&b).timeout(Duration::from_secs(3)).say(6))
                }));
            Ok(())
        });
        ws.dispatch_until(Some(Instant::now() + Duration::from_secs(8)), || {
            slot.borrow().is_some()
        })
        .unwrap();
        put("bind in a timer", format!("{:?}", slot.borrow()));
    }
    let bad_ones: Vec<_> = got
        .borrow()
        .iter()
        .filter(|(_, r)| r.contains("Err") && !r.contains("WouldDeadlock") || r.contains("None"))
        .cloned()
        .collect();
    let refused = got.borrow().iter().filter(|(_, r)| r.contains("WouldDeadlock")).count();
    verdict(
        bad_ones.is_empty(),
        format!("{} ways, {refused} refused, bad: {bad_ones:?}", got.borrow().len()),
    );
}
