//! A test process that calls others, and is called by them, as long as that may last.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use flounder::{BindingError, Iref, RpcError, Waitset, nameservice};

use super::process::{answer, say};

flounder::flounder! {
    interface group "Calls and is called" {
        /// Has the receiver call the sender, over this binding, in its handler.
        message call_me();
        /// Has the receiver keep its end.
        message meet();
        /// Answers at once.
        rpc answer(in uint32 n, out uint32 n);
        /// Answers with what a call back over this binding gives.
        rpc back(in uint32 n, out uint32 code);
        /// Answers with what a call of `depth - 1` gives over the receiver's own binding to the other member.
        rpc nest(in uint32 depth, out uint32 code);
    };
}

/// How long a call may take that is not answered.
pub const TIME: Duration = Duration::from_millis(300);

/// What a call came to, as a number.
pub fn code(result: Result<u32, RpcError>) -> u32 {
    match result {
        Ok(code) => code,
        Err(RpcError::WouldDeadlock) => WOULD_DEADLOCK,
        Err(RpcError::Deadline) => DEADLINE,
        Err(RpcError::Closed(_) | RpcError::NoReply) => 1003,
        Err(error) => panic!("{error}"),
    }
}

pub const WOULD_DEADLOCK: u32 = 1001;
pub const DEADLINE: u32 = 1002;

/// How a member calls in its handlers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Blocking,
    Async,
}

/// A service, with the binding to the other one once there is one.
#[derive(Clone, Default)]
pub struct GroupMember {
    pub other: Rc<RefCell<Option<group::Binding>>>,
    pub log: Rc<RefCell<Vec<u32>>>,
    pub met: Rc<RefCell<Option<group::Binding>>>,
    form: Rc<Cell<Form>>,
    patience: Rc<Cell<Option<Duration>>>,
}

pub fn client(binding: &group::Binding) -> group::RpcClient {
    group::RpcClient::new(binding).timeout(TIME)
}

impl group::Rx for GroupMember {
    fn call_me(&mut self, b: &group::Binding) {
        self.log.borrow_mut().push(code(client(b).answer(1)));
    }

    fn meet(&mut self, b: &group::Binding) {
        self.met.replace(Some(b.clone()));
    }

    fn answer(&mut self, _: &group::Binding, n: u32, reply: group::AnswerReply) {
        reply.send(n);
    }

    fn back(&mut self, b: &group::Binding, n: u32, reply: group::BackReply) {
        let rpc = self.client(b);
        match self.form.get() {
            Form::Blocking => reply.send(code(rpc.answer(n))),
            Form::Async => spawn(b, async move { reply.send(code(rpc.answer_async(n).await)) }),
        }
    }

    fn nest(&mut self, b: &group::Binding, depth: u32, reply: group::NestReply) {
        let other = self.other.borrow().clone();
        match (depth, other) {
            (0, _) | (_, None) => reply.send(0),
            (depth, Some(other)) => {
                let rpc = self.client(&other);
                match self.form.get() {
                    Form::Blocking => reply.send(code(rpc.nest(depth - 1))),
                    Form::Async => spawn(b, async move {
                        reply.send(code(rpc.nest_async(depth - 1).await));
                    }),
                }
            }
        }
    }

    fn error(&mut self, _: &group::Binding, _: BindingError) {}
}

fn spawn(binding: &group::Binding, task: impl Future<Output = ()> + 'static) {
    binding.waitset().expect("it runs from there").spawn_local(task).detach();
}

impl GroupMember {
    pub fn export(&self, ws: &Waitset) -> Iref {
        let myself = self.clone();
        let export = group::export(ws, move |_| Ok(myself.clone()));
        export.start().expect("it can be exported").iref()
    }

    pub fn bind(&self, iref: Iref, ws: &Waitset, driver: &str) -> group::Binding {
        let bind = group::bind(iref, ws, self.clone()).driver(driver);
        bind.wait().expect("it can be bound to")
    }

    fn client(&self, binding: &group::Binding) -> group::RpcClient {
        group::RpcClient::new(binding).timeout(self.patience.get().unwrap_or(TIME))
    }

    /// Runs a command of a test process.
    pub fn run(&self, waitset: &Waitset, words: &[&str]) {
        match *words {
            ["export", name] => answer(&nameservice::register(name, self.export(waitset))),
            ["form", form] => {
                self.form.set(if form == "Async" { Form::Async } else { Form::Blocking });
                say("ok");
            }
            ["patience", millis] => {
                let time = Duration::from_millis(millis.parse().expect("a number"));
                self.patience.set(Some(time));
                say("ok");
            }
            ["bind", driver, name] => {
                let (iref, myself) = (nameservice::lookup(name), self.clone());
                let bind = group::bind(iref.expect("it is registered"), waitset, self.clone());
                let started = bind.driver(driver).on_bound(move |bound| {
                    answer(&bound.map(|binding| {
                        binding.tx_meet().expect("there is room");
                        myself.other.replace(Some(binding));
                    }));
                });
                started.expect("it starts");
            }
            // Calls over the binding of whoever has bound.
            ["adopt"] => {
                let met = self.met.take();
                say(if met.is_some() { "ok" } else { "error: nobody has come" });
                self.other.replace(met);
            }
            ["call", what, number] => self.call(waitset, what, number.parse().expect("a number")),
            _ => say(&format!("error: no such command: {words:?}")),
        }
    }

    /// Calls the other one from outside of handlers.
    fn call(&self, waitset: &Waitset, what: &str, number: u32) {
        let rpc = self.client(&self.other.borrow().clone().expect("it is bound"));
        if self.form.get() == Form::Blocking {
            let result = match what {
                "answer" => rpc.answer(number),
                "back" => rpc.back(number),
                _ => rpc.nest(number),
            };
            return say(&code(result).to_string());
        }
        let what = what.to_owned();
        let task = async move {
            let result = match &*what {
                "answer" => rpc.answer_async(number).await,
                "back" => rpc.back_async(number).await,
                _ => rpc.nest_async(number).await,
            };
            say(&code(result).to_string());
        };
        waitset.spawn_local(task).detach();
    }
}
