//! Code of the program that runs where a binding drops, copies or wakes something: it may do anything to the binding.

mod support;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use flounder_rt::binding::{
    CALL_WINDOW, Inbox, RawBinding, RawEnd, ReplyToken, SHARED_QUEUE, inbox as inbox_of,
};
use flounder_rt::channel::ChannelError;
use flounder_rt::interface::Direction;
use flounder_rt::{Local, Waitset};
use support::{DOUBLE_RESPONSE, Handler, INTERFACE, Log, NOTE, Pipe, double_async};

/// What the foreign code does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Send,
    Call,
    Teardown,
    DropLast,
    Dispatch,
    ChangeWaitset,
    Share,
    Panic,
}

const ACTS: [Act; 8] = [
    Act::Send,
    Act::Call,
    Act::Teardown,
    Act::DropLast,
    Act::Dispatch,
    Act::ChangeWaitset,
    Act::Share,
    Act::Panic,
];

const PLANNED: &str = "as the test wants";

struct Scene {
    ws: Waitset,
    act: Act,
    client: Cell<Option<RawBinding>>,
    service: Cell<Option<RawBinding>>,
    to_service: Rc<Pipe>,
    to_client: Rc<Pipe>,
    ran: Cell<u32>,
}

thread_local! {
    static SCENE: RefCell<Option<Rc<Scene>>> = const { RefCell::new(None) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The foreign code.
fn act() {
    let Ok(Some(scene)) = SCENE.try_with(|scene| scene.borrow().clone()) else { return };
    if DEPTH.get() > 1 || std::thread::panicking() {
        return;
    }
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(|| scene.run()));
    DEPTH.set(DEPTH.get() - 1);
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}

impl Scene {
    fn client(&self) -> Option<RawBinding> {
        let client = self.client.take();
        self.client.set(client.clone());
        client
    }

    fn service(&self) -> RawBinding {
        let service = self.service.take();
        self.service.set(service.clone());
        service.expect("it is there")
    }

    fn run(&self) {
        self.ran.set(self.ran.get() + 1);
        let client = self.client();
        match (self.act, client) {
            (Act::Send, Some(client)) => _ = client.send(NOTE, &[7], &[]).map(drop),
            (Act::Call, Some(client)) => {
                let call = pin!(double_async(&client, 1));
                _ = call.poll(&mut Context::from_waker(Waker::noop()));
            }
            (Act::Teardown, Some(client)) => client.teardown(),
            (Act::DropLast, client) => drop((client, self.client.take())),
            (Act::Dispatch, _) => {
                for _ in 0..3 {
                    _ = self.ws.try_dispatch();
                }
            }
            (Act::ChangeWaitset, Some(client)) => _ = client.change_waitset(&Waitset::current()),
            (Act::Share, Some(client)) => drop(client.share()),
            (Act::Panic, _) => panic!("{PLANNED}"),
            (_, None) => {}
        }
    }

    fn settle(&self) {
        for ws in [&self.ws, &Waitset::current()] {
            for _ in 0..200 {
                _ = ws.try_dispatch();
            }
        }
    }
}

/// A value with code in its drop.
struct Value;

impl Drop for Value {
    fn drop(&mut self) {
        act();
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        act();
        RawWaker::new(data, &VTABLE)
    },
    |_| act(),
    |_| act(),
    |_| act(),
);

/// A waker whose every operation is foreign code.
#[allow(unsafe_code)]
fn waker() -> Waker {
    // SAFETY:
    // * The functions of `VTABLE` never use the data, and may be called from any thread.
    unsafe { Waker::new(std::ptr::null(), &VTABLE) }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&waker()))
}

/// Has every act done where `place` brings the foreign code to; the only panic is the planned one.
#[track_caller]
fn everywhere(room: usize, place: impl Fn(&Scene)) {
    for act in ACTS {
        let ws = Waitset::new();
        let (near, far, to_service, to_client) = support::pair(room);
        let attach = |channel, handler| {
            RawBinding::attach(Box::new(channel), &ws, INTERFACE, handler).expect("no descriptor")
        };
        let client = attach(near, Handler::logging(&Log::default()));
        let service = attach(far, Handler::logging(&Log::default()));
        let (client, service) = (Cell::new(Some(client)), Cell::new(Some(service)));
        let ran = Cell::new(0);
        let scene = Rc::new(Scene { ws, act, client, service, to_service, to_client, ran });
        SCENE.set(Some(Rc::clone(&scene)));
        let mut steps: Vec<Box<dyn FnOnce()>> = Vec::new();
        steps.push(Box::new(|| place(&scene)));
        for _ in 0..10 {
            steps.push(Box::new(|| scene.settle()));
        }
        steps.push(Box::new(|| drop((scene.client.take(), scene.service.take()))));
        steps.push(Box::new(|| scene.settle()));
        for step in steps {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                assert_eq!(text.as_deref(), Some(PLANNED), "{act:?}");
            }
        }
        assert!(scene.ran.get() > 0, "{act:?}: the foreign code has not run");
        SCENE.set(None);
    }
}

#[test]
fn wakers_of_sent_messages_may_do_anything() {
    everywhere(0, |scene| {
        let client = scene.client().expect("it is there");
        let Ok(sent) = client.send(NOTE, &[1], &[]) else { return };
        _ = poll(pin!(sent));
        _ = poll(pin!(sent));
        scene.to_service.room.set(5);
    });
}

#[test]
fn wakers_that_wait_for_the_slot_may_do_anything() {
    everywhere(0, |scene| {
        let client = scene.client().expect("it is there");
        _ = client.send(NOTE, &[1], &[]).map(drop);
        let mut calls: Vec<_> = (0..3).map(|n| Box::pin(double_async(&client, n))).collect();
        for call in &mut calls {
            _ = poll(call.as_mut());
            _ = poll(call.as_mut());
        }
        calls.pop();
        scene.to_service.room.set(50);
        scene.settle();
        for call in &mut calls {
            _ = poll(call.as_mut());
        }
    });
}

#[test]
fn wakers_that_wait_for_a_place_may_do_anything() {
    everywhere(2 * CALL_WINDOW, |scene| {
        let client = scene.client().expect("it is there");
        scene.to_client.room.set(0);
        let more = CALL_WINDOW + 3;
        let mut calls: Vec<_> = (0..more as u64).map(|n| double_async(&client, n)).collect();
        let mut noop = Context::from_waker(Waker::noop());
        for call in &mut calls[..CALL_WINDOW] {
            _ = Pin::new(call).poll(&mut noop);
        }
        for call in &mut calls[CALL_WINDOW..] {
            _ = poll(Pin::new(call));
        }
        drop(calls.pop());
        scene.to_client.room.set(10);
        scene.settle();
    });
}

#[test]
fn captured_values_may_use_the_library_when_dropped() {
    for fails in [false, true] {
        everywhere(0, |scene| {
            let client = scene.client().expect("it is there");
            let sent = client.send(NOTE, &[1], &[]).expect("the slot takes one");
            let value = Value;
            sent.then(move || drop(value));
            let value = Value;
            let registered = client.register_send(&scene.ws, move |_| {
                drop(value);
                Ok(())
            });
            registered.expect("none waits");
            if fails {
                *scene.to_client.fault.borrow_mut() = Some(ChannelError::PeerDied);
            } else {
                scene.to_service.room.set(5);
            }
        });
    }
}

#[test]
fn callbacks_of_a_closed_waitset_may_use_the_library() {
    everywhere(0, |scene| {
        let client = scene.client().expect("it is there");
        _ = client.send(NOTE, &[1], &[]).map(drop);
        let other = Waitset::new();
        let (value, task) = (Value, Value);
        other.post(move |_| {
            drop(task);
            Ok(())
        });
        let call = double_async(&client, 1);
        other
            .spawn_local(async move {
                _ = call.await;
            })
            .detach();
        let registered = client.register_send(&other, move |_| {
            drop(value);
            Ok(())
        });
        registered.expect("none waits");
        // The last handle.
        drop(other);
        scene.to_service.room.set(5);
    });
}

#[test]
fn handlers_may_do_anything_when_they_are_dropped() {
    everywhere(5, |scene| {
        let (near, _far, ..) = support::pair(0);
        let value = Value;
        let handler = Handler::hooked(&Log::default(), move |_, _| {
            let _ = &value;
        });
        let own = RawBinding::attach(Box::new(near), &scene.ws, INTERFACE, handler);
        drop(own.expect("no descriptor"));
    });
}

#[test]
fn wakers_of_an_inbox_may_do_anything() {
    everywhere(5, |scene| {
        let (near, far, ..) = support::pair(10);
        let inbox = Inbox::beside(2, Handler::logging(&Log::default()));
        let inbox = inbox_of(inbox, Direction::Both, |raw: RawEnd<Local>| raw, |handler| handler);
        let ws = &scene.ws;
        let own = RawBinding::attach(Box::new(near), ws, INTERFACE, inbox).expect("no descriptor");
        let own = own.handle();
        let logging = Handler::logging(&Log::default());
        let peer =
            RawBinding::attach(Box::new(far), ws, INTERFACE, logging).expect("no descriptor");
        let mut recv = pin!(own.recv::<Note>());
        _ = poll(recv.as_mut());
        _ = poll(recv.as_mut());
        _ = peer.send(NOTE, &[1], &[]).map(drop);
        scene.settle();
    });
}

/// Any message.
struct Note;

impl flounder_rt::message::MessageValue for Note {
    const INTERFACE: &'static flounder_rt::Interface = INTERFACE;

    fn marshal(&self) -> Result<flounder_rt::MessageBuffer, flounder_rt::EncodeError> {
        unreachable!("it is received only")
    }

    fn unmarshal(
        _: flounder_rt::binding::Received<'_>,
    ) -> Result<Self, flounder_rt::wire::DecodeError> {
        Ok(Self)
    }
}

#[test]
fn wakers_of_cancelled_replies_may_do_anything() {
    everywhere(10, |scene| {
        let mut reply = ReplyToken::<Local>::new(&scene.service(), 1, DOUBLE_RESPONSE);
        _ = poll(pin!(reply.cancelled()));
        _ = poll(pin!(reply.cancelled()));
        let mut other = ReplyToken::<Local>::new(&scene.service(), 2, DOUBLE_RESPONSE);
        _ = poll(pin!(other.cancelled()));
        drop(reply);
        other.send(&[2, 3], &[]);
    });
}

#[test]
fn wakers_of_shared_bindings_may_do_anything() {
    everywhere(0, |scene| {
        let client = scene.client().expect("it is there");
        let shared = client.share();
        let mut sends: Vec<_> = (0..2 * SHARED_QUEUE + 3)
            .map(|_| Box::pin(shared.send(NOTE, &[1], &[], Vec::new()).sent()))
            .collect();
        for send in &mut sends {
            _ = poll(send.as_mut());
        }
        let mut call = pin!(support_double(&shared).timeout(Duration::from_millis(1)));
        _ = poll(call.as_mut());
        scene.settle();
        scene.to_service.room.set(1000);
        scene.settle();
        drop(sends);
    });
}

fn support_double(
    shared: &flounder_rt::binding::SharedEndpoint,
) -> flounder_rt::Call<support::Doubled, flounder_rt::Shared> {
    let timeout = flounder_rt::binding::Timeout::Default;
    shared.call(support::DOUBLE_CALL, &[0, 1], &[], Vec::new(), timeout)
}
