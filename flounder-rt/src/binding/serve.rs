//! Asynchronous handlers: each call runs as a task of the waitset that serves the binding.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::binding::connection::NoReply;
use crate::binding::shell::Shell;
use crate::binding::{BindingError, RawBinding, Refusal, ReplyToken, Rest};
use crate::waitset::CallbackError;

/// Handlers that are futures: an `AsyncRx` of the interface, given to `bind` or `export` in place of an `Rx`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Async<S>(pub S);

/// How a handler ended.
enum End<T> {
    Value(T),
    Panicked,
    Cancelled,
}

/// What sends the value of a handler, and what sends its error.
type Send<T, X> = (fn(ReplyToken, T), fn(ReplyToken, X));

/// Ends a call whose handler returned an error: the caller gets a [`Refusal`], and of another error that there was one.
pub fn handler_failed(reply: ReplyToken, error: CallbackError) {
    match error.into_inner().downcast::<Refusal>() {
        Ok(refusal) => reply.refuse(*refusal),
        Err(error) => {
            let (call, error) = (reply.call_name(), CallbackError::from(error));
            crate::log_limited!(
                warn,
                call,
                ?error,
                "a handler gave an error: its caller gets no reply"
            );
            reply.no_reply(NoReply::Failed);
        }
    }
}

/// A message that a handler works on. It counts as a pending reply, so too many of them hold back
/// further messages.
struct Work(Rc<Shell>);

impl Work {
    fn begin(shell: &Rc<Shell>) -> Self {
        shell.io.borrow_mut().connection.begin_work();
        Self(Rc::clone(shell))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let resumes = self.0.io.borrow_mut().connection.finish_work();
        if resumes {
            self.0.poke();
        }
    }
}

/// An asynchronous method of the service `S`, called with the binding `B` and the arguments `A`.
pub trait Handler<S, B, A, T>: Sized + 'static {
    /// Calls the method.
    fn run(self, service: Rc<S>, binding: B, args: A) -> impl Future<Output = T> + 'static;
}

macro_rules! handlers {
    ($($($arg:ident $value:ident),*;)*) => {$(
        impl<F, S: 'static, B: 'static, T: 'static, $($arg: 'static),*> Handler<S, B, ($($arg,)*), T> for F
        where
            F: AsyncFnOnce(&S, &B, $($arg),*) -> T + 'static,
        {
            async fn run(self, service: Rc<S>, binding: B, ($($value,)*): ($($arg,)*)) -> T {
                self(&service, &binding, $($value),*).await
            }
        }
    )*};
}

handlers! {
    ;
    A0 a0;
    A0 a0, A1 a1;
    A0 a0, A1 a1, A2 a2;
    A0 a0, A1 a1, A2 a2, A3 a3;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9, A10 a10;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9, A10 a10, A11 a11;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9, A10 a10, A11 a11, A12 a12;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9, A10 a10, A11 a11, A12 a12, A13 a13;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9, A10 a10, A11 a11, A12 a12, A13 a13, A14 a14;
    A0 a0, A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8, A9 a9, A10 a10, A11 a11, A12 a12, A13 a13, A14 a14, A15 a15;
}

impl RawBinding {
    /// Runs the handler of a message. A panic ends the binding. Used by generated code.
    pub fn spawn<S, B, A>(
        &self,
        service: &Rc<S>,
        binding: B,
        args: A,
        handler: impl Handler<S, B, A, ()>,
    ) {
        self.handle_with(handler.run(Rc::clone(service), binding, args));
    }

    /// Runs the handler of a call, and sends its value, or its error, with one of two functions. After a panic, the caller gets
    /// [`RpcError::HandlerPanicked`](crate::RpcError::HandlerPanicked). If the caller gives up, the handler is dropped. Used by
    /// generated code.
    pub fn spawn_call<S, B, A, T: 'static, X: 'static>(
        &self,
        service: &Rc<S>,
        binding: B,
        args: A,
        handler: impl Handler<S, B, A, Result<T, X>>,
        reply: ReplyToken,
        send: Send<T, X>,
    ) {
        self.answer_with(reply, handler.run(Rc::clone(service), binding, args), send);
    }

    fn handle_with(&self, handler: impl Future<Output = ()> + 'static) {
        let work = Work::begin(self.shell());
        self.spawn_task(async move {
            let end = run(handler, None).await;
            if matches!(end, End::Panicked) {
                crate::log_limited!(
                    error,
                    interface = work.0.interface.name,
                    "a handler panicked; its binding is closed"
                );
                work.0.end(BindingError::Closed, false, Rest::IsSent);
            }
        });
    }

    fn answer_with<T: 'static, X: 'static>(
        &self,
        mut reply: ReplyToken,
        handler: impl Future<Output = Result<T, X>> + 'static,
        (send, fail): Send<T, X>,
    ) {
        self.spawn_task(async move {
            let end = run(handler, Some(&mut reply)).await;
            match end {
                End::Value(Ok(value)) => send(reply, value),
                End::Value(Err(error)) => fail(reply, error),
                End::Panicked => {
                    crate::log_limited!(
                        error,
                        call = reply.call_name(),
                        "a handler panicked: its caller gets no reply"
                    );
                    reply.no_reply(NoReply::Panicked);
                }
                End::Cancelled => {}
            }
        });
    }

    fn spawn_task(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(waitset) = self.waitset() {
            waitset.spawn_local(task).detach();
        }
    }
}

/// Runs a handler until it ends, or until the caller of `reply` gives up.
async fn run<T>(handler: impl Future<Output = T>, mut reply: Option<&mut ReplyToken>) -> End<T> {
    let mut handler = pin!(handler);
    poll_fn(|cx| {
        if let Some(reply) = &mut reply
            && reply.poll_cancelled(cx).is_ready()
        {
            return Poll::Ready(End::Cancelled);
        }
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(poll) => poll.map(End::Value),
            Err(_) => Poll::Ready(End::Panicked),
        }
    })
    .await
}
