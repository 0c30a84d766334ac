//! Message types: the functions that generated code calls for each message, generic over its arguments.
//!
//! A user's crate contains the code of the messages that it sends or receives, and only of those.
//! What does not depend on the arguments is a method of [`RawBinding`].

use core::marker::PhantomData;
use std::rc::Rc;

use crate::binding::connection::Message;
use crate::binding::end::{End, RawEnd};
use crate::binding::inbox::What;
use crate::binding::sending::SendBody;
use crate::binding::serve::Handler;
use crate::binding::{
    AsRaw, Call, Messages, Procedure, RawBinding, Received, Receiving, Reply, ReplyToken, RpcError,
    Sending, Sent, Timeout, TxError,
};
use crate::cap::Cap;
use crate::channel::MessageLimit;
use crate::interface::{Direction, Interface, MessageInfo, MessageKind};
use crate::message::args::{Args, CapsToSend, Refused, Results};
use crate::message::{EncodeError, MessageBuffer, MessageValue};
use crate::wire::{Bulks, DecodeError, Gather, LINE};

/// A message of an interface: its number, the words of its record, and its arguments.
#[derive(Debug)]
pub struct MessageType<const NUMBER: u16, const WORDS: usize, A>(PhantomData<A>);

/// Layout of the response to an rpc.
pub trait Response {
    /// Message number.
    const NUMBER: u16;
    /// Byte offset of the id of the call.
    const ID: usize;
    /// Where the record has the heads of bulk arguments.
    const BULKS: Bulks;
    /// Results of the rpc: one value, or a tuple in order.
    type Values;

    /// Decodes a response, and checks that it is of this rpc: the peer chose the number.
    ///
    /// # Errors
    /// [`DecodeError`] if it is the response to another rpc, or malformed.
    fn returned(message: Received<'_>) -> Result<Self::Values, DecodeError>;
}

impl<const NUMBER: u16, const WORDS: usize, A: Args> MessageType<NUMBER, WORDS, A> {
    /// Limits of this message on the wire.
    pub const LIMIT: MessageLimit =
        MessageLimit { words: WORDS.saturating_add(A::MAX_TAIL), caps: A::MAX_CAPS };

    /// Byte offset of the id of the call, in a call or a response.
    pub const ID: usize = A::FIRST_AT;

    /// Describes the message: its name, its arguments as in [`MessageInfo::args`], and its canonical form.
    #[must_use]
    pub const fn info(name: &'static str, args: &'static str, form: &'static str) -> MessageInfo {
        MessageInfo::new(name, MessageKind::Message, args, form, Self::LIMIT).bulks(A::BULKS)
    }

    /// Describes the call of an rpc.
    #[must_use]
    pub const fn call_info(
        name: &'static str,
        args: &'static str,
        form: &'static str,
    ) -> MessageInfo {
        MessageInfo::new(name, MessageKind::RpcCall { at: Self::ID }, args, form, Self::LIMIT)
            .bulks(A::BULKS)
    }

    /// Describes the response of an rpc.
    #[must_use]
    pub const fn response_info(
        name: &'static str,
        args: &'static str,
        form: &'static str,
    ) -> MessageInfo {
        MessageInfo::new(name, MessageKind::RpcResponse { at: Self::ID }, args, form, Self::LIMIT)
            .bulks(A::BULKS)
    }

    /// Sends a message, or returns [`TxError::Busy`].
    ///
    /// # Errors
    /// [`TxError`].
    #[inline]
    pub fn tx<'a, E: End>(end: &'a RawEnd<E>, args: A::Sent<'_>) -> Result<Sent<'a, E>, TxError> {
        let refuse = |refused| end.refuse(NUMBER, refused);
        A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            let caps = caps.map(|c| if E::SENDS_BORROWED { c.caps() } else { c.kept() });
            E::tx(&end.0, NUMBER, words, tails, caps)
        })
    }

    /// Sends a message once the binding accepts it.
    #[inline]
    pub fn sending<'a, E: End>(end: &'a RawEnd<E>, args: A::Sent<'a>) -> Sending<'a, E> {
        Sending::new(&end.0, Self::body::<E>(end, args))
    }

    /// Sends a message that gives capabilities away, once the binding accepts it: to be followed by [`Sending::giving`].
    #[inline]
    pub fn given<'a, E: End>(end: &'a RawEnd<E>, args: A::Sent<'_>) -> Sending<'a, E> {
        Sending::new(&end.0, Self::copied_body(end, args))
    }

    fn body<'a, E: End>(end: &RawEnd<E>, args: A::Sent<'a>) -> SendBody<'a> {
        if const { E::SENDS_BORROWED && A::MAX_CAPS == 0 && A::MAX_TAIL > 0 } {
            let fits = |words: &[u64], tails: &[&[u8]], _: Option<&mut CapsToSend<'_>>| {
                let body = Gather { fixed: words, tails };
                Ok((body.len() <= LINE).then(|| Message::new(NUMBER, body, Vec::new())))
            };
            return match A::marshal::<WORDS, _, _>(
                args,
                |refused| end.refuse(NUMBER, refused),
                fits,
            ) {
                Err(error) => SendBody::Failed(error),
                Ok(Some(message)) => SendBody::Message(message),
                Ok(None) => SendBody::Attempt(Box::new(move |raw| {
                    let refuse = |refused| raw.refuse(NUMBER, refused);
                    A::marshal::<WORDS, _, _>(args, refuse, |words, tails, _| {
                        raw.send(NUMBER, words, tails).map(drop)
                    })
                })),
            };
        }
        Self::copied_body(end, args)
    }

    fn copied_body<E: End>(end: &RawEnd<E>, args: A::Sent<'_>) -> SendBody<'static> {
        let refuse = |refused| match refused {
            Refused::Caps(error) => SendBody::Missed(error.into()),
            refused => SendBody::Failed(end.refuse(NUMBER, refused)),
        };
        let body = A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            let body = Gather { fixed: words, tails };
            Ok(SendBody::Message(Message::new(NUMBER, body, taken(caps))))
        });
        body.unwrap_or_else(|refused| refused)
    }

    /// Makes call `id`, whose arguments begin with that id, and blocks until the reply comes.
    ///
    /// # Errors
    /// [`RpcError`].
    #[inline]
    pub fn call<E: End, R: Reply>(
        end: &RawEnd<E>,
        id: u32,
        args: A::Sent<'_>,
        timeout: Timeout,
    ) -> Result<R::Values, RpcError> {
        let refuse = |refused| RpcError::from(end.refuse(NUMBER, refused));
        A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            let (response, at) = (R::Response::NUMBER, R::Response::ID);
            let procedure = Procedure { call: NUMBER, response, id: at };
            E::call::<R>(&end.0, id, procedure, words, tails, taken(caps), timeout)
        })
    }

    /// Makes call `id`, whose arguments begin with that id. The future completes with the reply.
    #[inline]
    pub fn call_async<E: End, R: Reply>(
        end: &RawEnd<E>,
        id: u32,
        args: A::Sent<'_>,
        timeout: Timeout,
    ) -> Call<R, E> {
        let refuse = |refused| end.refuse(NUMBER, refused);
        let call = A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            Ok(E::call_async(&end.0, id, NUMBER, words, tails, taken(caps), timeout))
        });
        Call(call.unwrap_or_else(|error| E::call_failed(&end.0, id, error.into())))
    }

    /// Sends a reply, whose arguments begin with the id of the call.
    #[inline]
    pub fn reply<E: End>(args: A::Sent<'_>, token: ReplyToken<E>) {
        let mut token = Some(token);
        let sent = A::marshal::<WORDS, _, _>(
            args,
            |refused| refused,
            |words, tails, caps| {
                if let Some(token) = token.take() {
                    match caps {
                        None => token.send(words, tails),
                        caps => token.send_caps(words, tails, taken(caps)),
                    }
                }
                Ok(())
            },
        );
        if let (Err(refused), Some(token)) = (sent, token) {
            token.refuse_value(refused);
        }
    }

    /// Sends an error in place of a reply, likewise.
    #[inline]
    pub fn fail<E: End>(args: A::Sent<'_>, mut token: ReplyToken<E>) {
        token.renumber(NUMBER);
        Self::reply(args, token);
    }

    /// Encodes a message.
    ///
    /// # Errors
    /// [`EncodeError`].
    #[inline]
    pub fn encode(interface: &Interface, args: A::Sent<'_>) -> Result<MessageBuffer, EncodeError> {
        let refuse = |refused: Refused| EncodeError::new(NUMBER, interface, refused);
        A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            Ok(MessageBuffer::new(NUMBER, Gather { fixed: words, tails }, taken(caps)))
        })
    }

    /// Waits for the next such message of the inbox.
    #[inline]
    pub fn recv<E: End>(end: &RawEnd<E>) -> Receiving<'_, A::Output, E> {
        let decode = |message: Received<'_>| Self::read(message, A::output);
        Receiving::new(&end.0, What { number: Some(NUMBER), decode })
    }

    /// Passes a response to the call that waits for it, which decodes the rest.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    #[inline]
    pub fn answer<E: End>(end: &RawEnd<E>, message: &mut Received<'_>) -> Result<(), DecodeError> {
        E::answer(&end.0, message, Self::ID, WORDS)
    }

    /// Decodes a message without copying it, and passes its arguments to `handle`.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    #[inline]
    pub fn deliver<'a>(
        message: &'a mut Received<'_>,
        handle: impl FnOnce(A::Taken<'a>),
    ) -> Result<(), DecodeError> {
        match A::take(message.words, &mut *message.caps) {
            Ok(args) => {
                handle(args);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the bulk data of a message, for the function that decodes it.
    ///
    /// # Errors
    /// [`DecodeError`] if the message names what it may not name.
    pub fn resolve<E: End>(end: &RawEnd<E>, message: &mut Received<'_>) -> Result<(), DecodeError> {
        E::resolve(&end.0, &A::BULKS, message)
    }

    /// Decodes a message with bulk data like [`deliver`](Self::deliver). What the handler does not keep is released when it
    /// returns.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    pub fn deliver_bulk<'a, E: End>(
        end: &RawEnd<E>,
        message: &'a mut Received<'_>,
        handle: impl FnOnce(A::Taken<'a>),
    ) -> Result<(), DecodeError> {
        Self::resolve(end, message)?;
        E::delivering(&end.0, move || Self::deliver(message, handle))
    }

    /// Passes a response with bulk data to the call that waits for it.
    ///
    /// # Errors
    /// [`DecodeError`] if the message is too short, or names what it may not name.
    pub fn answer_bulk<E: End>(
        end: &RawEnd<E>,
        message: &mut Received<'_>,
    ) -> Result<(), DecodeError> {
        Self::resolve(end, message)?;
        let answered = Self::answer(end, message);
        // Nobody may wait for it.
        message.caps.clear();
        answered
    }

    /// Decodes a call without copying it, and passes the reply to be sent as message `response`, and the arguments, to
    /// `handle`.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a call.
    #[inline]
    pub fn deliver_call<'a, E: End>(
        message: &'a mut Received<'_>,
        end: &RawEnd<E>,
        response: u16,
        handle: impl FnOnce(ReplyToken<E>, A::Taken<'a>),
    ) -> Result<(), DecodeError> {
        let id = message.id_at(Self::ID).unwrap_or_default();
        Self::deliver(message, |args| handle(ReplyToken::new(&end.0, id, response), args))
    }

    /// Decodes a message into values that can be kept, and runs its handler as a task.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    #[inline]
    pub fn spawn<S, B: AsRaw + Clone>(
        message: &mut Received<'_>,
        service: &Rc<S>,
        binding: &B,
        handler: impl Handler<S, B, A::Owned, ()>,
    ) -> Result<(), DecodeError> {
        Self::read(message.reborrow(), |args| {
            binding.as_raw().spawn(service, binding.clone(), args, handler);
        })
    }

    /// Runs a handler like [`spawn`](Self::spawn), with all arguments as one: the runtime calls no function of so many.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    #[inline]
    pub fn spawn_whole<S, B: AsRaw + Clone>(
        message: &mut Received<'_>,
        service: &Rc<S>,
        binding: &B,
        handler: impl Handler<S, B, (A::Owned,), ()>,
    ) -> Result<(), DecodeError> {
        Self::read(message.reborrow(), |args| {
            binding.as_raw().spawn(service, binding.clone(), (args,), handler);
        })
    }

    /// Decodes a message into a value that `make` makes of its arguments.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    #[inline]
    pub fn read<T>(
        message: Received<'_>,
        make: impl FnOnce(A::Owned) -> T,
    ) -> Result<T, DecodeError> {
        match A::take_owned(message.words, message.caps) {
            Ok(args) => Ok(make(args)),
            Err(error) => Err(error),
        }
    }
}

impl<const NUMBER: u16, const WORDS: usize, A: Results> Response for MessageType<NUMBER, WORDS, A> {
    const NUMBER: u16 = NUMBER;
    const ID: usize = A::FIRST_AT;
    const BULKS: Bulks = A::BULKS;
    type Values = A::Returned;

    #[inline]
    fn returned(message: Received<'_>) -> Result<A::Returned, DecodeError> {
        if message.number != NUMBER {
            return Err(DecodeError::Number(message.number));
        }
        Self::read(message, A::returned)
    }
}

/// Layout of what an rpc with an error of its own returns: the response `R`, or the error `X` in its place.
#[derive(Debug)]
pub struct Fallible<R, X>(PhantomData<(R, X)>);

impl<R: Response, X: Response> Response for Fallible<R, X> {
    const NUMBER: u16 = R::NUMBER;
    const ID: usize = R::ID;
    const BULKS: Bulks = R::BULKS;
    type Values = Result<R::Values, X::Values>;

    #[inline]
    fn returned(message: Received<'_>) -> Result<Self::Values, DecodeError> {
        if message.number == X::NUMBER {
            return X::returned(message).map(Err);
        }
        R::returned(message).map(Ok)
    }
}

impl<const NUMBER: u16, const WORDS: usize, A: Results<Id = u32>> MessageType<NUMBER, WORDS, A> {
    /// Decodes a call, and runs its handler as a task. `send` sends what it returns as message `response`, `fail` its error.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a call.
    #[inline]
    pub fn serve<S, B: AsRaw + Clone, T: 'static, X: 'static>(
        message: &mut Received<'_>,
        service: &Rc<S>,
        binding: &B,
        handler: impl Handler<S, B, A::Rest, Result<T, X>>,
        response: u16,
        send: fn(ReplyToken, T),
        fail: fn(ReplyToken, X),
    ) -> Result<(), DecodeError> {
        Self::read(message.reborrow(), |args| {
            let (id, args) = A::split(args);
            let raw = binding.as_raw();
            let reply = ReplyToken::new(raw, id, response);
            raw.spawn_call(service, binding.clone(), args, handler, reply, (send, fail));
        })
    }

    /// Serves a call like [`serve`](Self::serve), with all arguments as one.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a call.
    #[inline]
    pub fn serve_whole<S, B: AsRaw + Clone, T: 'static, X: 'static>(
        message: &mut Received<'_>,
        service: &Rc<S>,
        binding: &B,
        handler: impl Handler<S, B, (A::Rest,), Result<T, X>>,
        response: u16,
        send: fn(ReplyToken, T),
        fail: fn(ReplyToken, X),
    ) -> Result<(), DecodeError> {
        Self::read(message.reborrow(), |args| {
            let (id, args) = A::split(args);
            let raw = binding.as_raw();
            let reply = ReplyToken::new(raw, id, response);
            raw.spawn_call(service, binding.clone(), (args,), handler, reply, (send, fail));
        })
    }
}

/// Takes the capabilities of a message that is kept.
#[inline]
fn taken(caps: Option<&mut CapsToSend<'_>>) -> Vec<Cap> {
    caps.map(|caps| core::mem::take(caps.kept())).unwrap_or_default()
}

impl RawBinding {
    /// Returns the error of a message whose arguments are refused.
    #[cold]
    fn refuse(&self, number: u16, refused: Refused) -> TxError {
        TxError::refused(refused, self.interface(), number, |error| self.cap_copy(error))
    }
}

impl<E: End> RawEnd<E> {
    /// Returns the error of a message whose arguments are refused.
    #[cold]
    fn refuse(&self, number: u16, refused: Refused) -> TxError {
        let interface = E::interface(&self.0);
        TxError::refused(refused, interface, number, |error| E::cap_copy(&self.0, error))
    }

    /// Sends a message that is a value, from a side that receives messages of this direction.
    ///
    /// # Errors
    /// [`TxError`].
    pub fn send_message<M: MessageValue>(
        &self,
        message: &M,
        receives: Direction,
    ) -> Result<Sent<'_, E>, TxError> {
        let buffer = MessageBuffer::encode(message);
        if let Ok(MessageBuffer { number, .. }) = buffer {
            let info = M::INTERFACE.message(number);
            let comes = |direction| direction != Direction::Both && receives == direction;
            if info.is_some_and(|info| comes(info.direction)) {
                return Err(TxError::Direction);
            }
        }
        match buffer {
            Ok(MessageBuffer { number, words, caps }) if caps.is_empty() => {
                E::tx(&self.0, number, &words, &[], None)
            }
            Ok(MessageBuffer { number, words, mut caps }) => {
                E::tx(&self.0, number, &words, &[], Some(&mut caps))
            }
            Err(EncodeError::TooLong { arg, length }) => Err(TxError::too_long(arg, length)),
            Err(EncodeError::CapCopy(errno)) => Err(E::cap_copy(&self.0, errno.into())),
        }
    }

    /// Returns the next message of the inbox.
    #[inline]
    pub fn recv<M: MessageValue>(&self) -> Receiving<'_, M, E> {
        Receiving::any(&self.0)
    }

    /// Returns a stream of the messages of the inbox.
    #[inline]
    pub const fn messages<M: MessageValue>(&self) -> Messages<'_, M, E> {
        Messages::new(&self.0)
    }
}
