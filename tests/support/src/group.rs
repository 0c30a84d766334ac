//! Commands for processes that call each other, in handlers and outside of them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use flounder::{BindingError, Iref, RpcError, Waitset, nameservice};
use serde::{Deserialize, Serialize};

use super::protocol::{Driver, Reply, commands};

flounder::flounder! {
    @symmetric
    interface group "Calls and is called" {
        /// Has the receiver call the sender, over this binding, in its handler.
        message call_me();
        /// Has the receiver keep its end.
        message meet();
        /// Answers at once.
        rpc answer(in uint32 n, out uint32 n);
        /// Answers with the result of a call back over this binding.
        rpc back(in uint32 n, out uint32 code);
        /// Answers with the result of a call of `depth - 1` over the receiver's own binding to the other member.
        rpc nest(in uint32 depth, out uint32 code);
    };
}

commands! { Group:
    /// Exports the member, and registers it.
    export_member: Export { name: String } -> ();
    /// Binds to another member, whose end of the binding is kept.
    bind_member: Bind { driver: Driver, name: String } -> ();
    /// From now on calls over the binding of a member that has bound; fails if there is none.
    adopt_client: AdoptClient {} -> ();
    /// Sets how the member calls.
    set_form: SetForm { form: Form } -> ();
    /// Sets how long a call may take.
    set_call_timeout: SetCallTimeout { timeout: Duration } -> ();
    /// Calls the other member from outside of handlers; returns the result as [`code`] does.
    call_member: Call { rpc: Rpc, number: u32 } -> u32;
}

/// An rpc of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rpc {
    Answer,
    Back,
    Nest,
}

/// How long a call may take that is not answered.
pub const TIME: Duration = Duration::from_millis(300);

/// What a call came to, as a number.
pub fn code(result: Result<u32, RpcError>) -> u32 {
    match result {
        Ok(code) => code,
        Err(RpcError::WouldDeadlock) => WOULD_DEADLOCK,
        Err(RpcError::Deadline) => DEADLINE,
        Err(
            RpcError::Closed(_)
            | RpcError::NotSent(_)
            | RpcError::ServiceClosed
            | RpcError::NoReply,
        ) => 1003,
        Err(error) => panic!("{error}"),
    }
}

pub const WOULD_DEADLOCK: u32 = 1001;
pub const DEADLINE: u32 = 1002;

/// How a member calls in its handlers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    timeout: Rc<Cell<Option<Duration>>>,
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
        export.wait().expect("it can be exported").iref()
    }

    pub fn bind(&self, iref: Iref, ws: &Waitset, driver: &str) -> group::Binding {
        let bind = group::bind(iref, ws, self.clone()).driver(driver);
        bind.wait().expect("it can be bound to")
    }

    fn client(&self, binding: &group::Binding) -> group::RpcClient {
        group::RpcClient::new(binding).timeout(self.timeout.get().unwrap_or(TIME))
    }

    /// Runs a command.
    pub fn run(&self, waitset: &Waitset, request: Request) {
        match request {
            Request::Export(Export { name }, reply) => {
                reply.send(nameservice::register(&name, self.export(waitset)).wait());
            }
            Request::SetForm(SetForm { form }, reply) => {
                self.form.set(form);
                reply.ok(());
            }
            Request::SetCallTimeout(SetCallTimeout { timeout }, reply) => {
                self.timeout.set(Some(timeout));
                reply.ok(());
            }
            Request::Bind(Bind { driver, name }, reply) => {
                let (iref, myself) = (nameservice::lookup(&name).wait(), self.clone());
                let bind = group::bind(iref.expect("it is registered"), waitset, self.clone());
                bind.driver(driver.name()).then(move |bound| {
                    reply.send(bound.map(|binding| {
                        binding.tx_meet().expect("there is room");
                        myself.other.replace(Some(binding));
                    }));
                });
            }
            Request::AdoptClient(AdoptClient {}, reply) => {
                let met = self.met.take();
                reply.result(met.as_ref().map(drop).ok_or("no client has bound"));
                self.other.replace(met);
            }
            Request::Call(call, reply) => self.call(waitset, &call, reply),
        }
    }

    fn call(&self, waitset: &Waitset, call: &Call, reply: Reply<u32>) {
        let rpc = self.client(&self.other.borrow().clone().expect("it is bound"));
        let Call { rpc: which, number } = *call;
        match self.form.get() {
            Form::Blocking => reply.ok(code(match which {
                Rpc::Answer => rpc.answer(number),
                Rpc::Back => rpc.back(number),
                Rpc::Nest => rpc.nest(number),
            })),
            Form::Async => {
                let task = async move {
                    reply.ok(code(match which {
                        Rpc::Answer => rpc.answer_async(number).await,
                        Rpc::Back => rpc.back_async(number).await,
                        Rpc::Nest => rpc.nest_async(number).await,
                    }));
                };
                waitset.spawn_local(task).detach();
            }
        }
    }
}
