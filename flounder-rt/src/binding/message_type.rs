//! Message types: the functions that generated code calls for each message, generic over its arguments.
//!
//! A user's crate contains the code of the messages that it sends or receives, and only of those.
//! What does not depend on the arguments is a method of [`RawBinding`].

use core::marker::PhantomData;

use crate::binding::{
    Call, Procedure, RawBinding, Received, Receiving, Reply, ReplyToken, RpcError, Sending, Sent,
    SharedCall, SharedEndpoint, SharedSend, Timeout, TxError,
};
use crate::cap::Cap;
use crate::channel::MessageLimit;
use crate::interface::{Interface, MessageInfo, MessageKind};
use crate::message::args::{Args, Refused, Results};
use crate::message::{EncodeError, MessageBuffer, MessageValue};
use crate::wire::{DecodeError, Gather};

/// A message of an interface: its number, the words of its record, and its arguments.
#[derive(Debug)]
pub struct MessageType<const NUMBER: u16, const WORDS: usize, A>(PhantomData<A>);

/// A message that [`Sending`] can send.
pub trait Sendable {
    /// Arguments as the sender passes them.
    type Sent<'a>: Copy;

    /// Sends the message, or returns [`TxError::Busy`].
    ///
    /// # Errors
    /// [`TxError`].
    fn try_send<'a>(raw: &'a RawBinding, args: Self::Sent<'_>) -> Result<Sent<'a>, TxError>;
}

/// Layout of the response to an rpc.
pub trait Response {
    /// Message number.
    const NUMBER: u16;
    /// Byte offset of the id of the call.
    const ID: usize;
}

impl<const NUMBER: u16, const WORDS: usize, A: Args> MessageType<NUMBER, WORDS, A> {
    /// Limits of this message on the wire.
    pub const LIMIT: MessageLimit =
        MessageLimit { words: WORDS.saturating_add(A::MAX_TAIL), caps: A::MAX_CAPS };

    /// Byte offset of the id of the call, in a call or a response.
    pub const ID: usize = A::FIRST_AT;

    /// Describes the message: its name and its arguments, as in [`MessageInfo::args`].
    #[must_use]
    pub const fn info(name: &'static str, args: &'static str) -> MessageInfo {
        MessageInfo::new(name, MessageKind::Message, args)
    }

    /// Describes the call of an rpc.
    #[must_use]
    pub const fn call_info(name: &'static str, args: &'static str) -> MessageInfo {
        MessageInfo::new(name, MessageKind::RpcCall { at: Self::ID }, args)
    }

    /// Describes the response of an rpc.
    #[must_use]
    pub const fn response_info(name: &'static str, args: &'static str) -> MessageInfo {
        MessageInfo::new(name, MessageKind::RpcResponse { at: Self::ID }, args)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`TxError`].
    #[inline]
    pub fn send<'a>(raw: &'a RawBinding, args: A::Sent<'_>) -> Result<Sent<'a>, TxError> {
        let refuse = |refused| raw.refuse(NUMBER, refused);
        A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| match caps {
            None => raw.send(NUMBER, words, tails),
            Some(caps) => raw.send_caps(NUMBER, words, tails, caps),
        })
    }

    /// Sends a message as soon as the binding accepts it.
    #[inline]
    pub fn sending<'a>(raw: &'a RawBinding, args: A::Sent<'a>) -> Sending<'a, Self> {
        Sending::new(raw, args)
    }

    /// Sends a message from any thread.
    #[inline]
    pub fn send_shared(raw: &SharedEndpoint, args: A::Sent<'_>) -> SharedSend {
        let refuse = |refused| raw.refuse(NUMBER, refused);
        let send = A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            Ok(raw.send(NUMBER, words, tails, taken(caps)))
        });
        send.unwrap_or_else(SharedSend::failed)
    }

    /// Makes call `id`, whose arguments begin with that id, and blocks until the reply comes.
    ///
    /// # Errors
    /// [`RpcError`].
    #[inline]
    pub fn call<R: Reply, F: Response>(
        raw: &RawBinding,
        id: u32,
        args: A::Sent<'_>,
        timeout: Timeout,
    ) -> Result<R::Values, RpcError> {
        let refuse = |refused| RpcError::from(raw.refuse(NUMBER, refused));
        A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            let procedure = Procedure { call: NUMBER, response: F::NUMBER, id: F::ID };
            raw.call::<R>(id, procedure, words, tails, taken(caps), timeout)
        })
    }

    /// Makes call `id`, whose arguments begin with that id. The future completes with the reply.
    #[inline]
    pub fn call_async<R>(
        raw: &RawBinding,
        id: u32,
        args: A::Sent<'_>,
        timeout: Timeout,
    ) -> Call<R> {
        let refuse = |refused| raw.refuse(NUMBER, refused);
        let call = A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            Ok(raw.call_async(id, NUMBER, words, tails, taken(caps), timeout))
        });
        call.unwrap_or_else(|error| raw.call_failed(id, error.into()))
    }

    /// Makes a call from any thread. The thread of the binding chooses its id.
    #[inline]
    pub fn call_shared<R: Reply>(
        raw: &SharedEndpoint,
        args: A::Sent<'_>,
        timeout: Timeout,
    ) -> SharedCall<R> {
        let refuse = |refused| raw.refuse(NUMBER, refused);
        let call = A::marshal::<WORDS, _, _>(args, refuse, |words, tails, caps| {
            Ok(raw.call(NUMBER, words, tails, taken(caps), timeout))
        });
        call.unwrap_or_else(|error| SharedCall::failed(error.into()))
    }

    /// Sends a reply, whose arguments begin with the id of the call.
    #[inline]
    pub fn reply(args: A::Sent<'_>, token: ReplyToken) {
        let mut token = Some(token);
        let sent = A::marshal::<WORDS, _, _>(
            args,
            |refused| refused,
            |words, tails, caps| {
                if let Some(token) = token.take() {
                    match caps {
                        None => token.send(words, tails),
                        Some(caps) => token.send_caps(words, tails, core::mem::take(caps)),
                    }
                }
                Ok(())
            },
        );
        if let (Err(refused), Some(token)) = (sent, token) {
            token.refuse(refused);
        }
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
    pub fn recv(raw: &RawBinding) -> Receiving<'_, A::Output> {
        raw.recv_one(NUMBER, |message| Self::read(message, A::output))
    }

    /// Passes a response to the call that waits for it, which decodes the rest.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    #[inline]
    pub fn answer(raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        raw.answer(message, Self::ID, WORDS)
    }

    /// Decodes a message without copying it, and passes its arguments to `handle`.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    #[inline]
    pub fn deliver<'a>(
        message: Received<'a>,
        handle: impl FnOnce(A::Taken<'a>),
    ) -> Result<(), DecodeError> {
        match A::take(message.words, message.caps) {
            Ok(args) => {
                handle(args);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Decodes a message into values that can be kept, and passes them to `handle`.
    ///
    /// # Errors
    /// [`DecodeError`] if the words are not those of such a message.
    #[inline]
    pub fn deliver_owned(
        message: Received<'_>,
        handle: impl FnOnce(A::Owned),
    ) -> Result<(), DecodeError> {
        Self::read(message, handle)
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

impl<const NUMBER: u16, const WORDS: usize, A: Args> Sendable for MessageType<NUMBER, WORDS, A> {
    type Sent<'a> = A::Sent<'a>;

    #[inline]
    fn try_send<'a>(raw: &'a RawBinding, args: A::Sent<'_>) -> Result<Sent<'a>, TxError> {
        Self::send(raw, args)
    }
}

impl<const NUMBER: u16, const WORDS: usize, A: Results> MessageType<NUMBER, WORDS, A> {
    /// Decodes a response, and checks that it is of this rpc: the peer chose the number.
    ///
    /// # Errors
    /// [`DecodeError`] if it is the response to another rpc, or malformed.
    #[inline]
    pub fn returned(message: Received<'_>) -> Result<A::Returned, DecodeError> {
        if message.number != NUMBER {
            return Err(DecodeError::Number(message.number));
        }
        Self::read(message, A::returned)
    }
}

impl<const NUMBER: u16, const WORDS: usize, A: Results> Response for MessageType<NUMBER, WORDS, A> {
    const NUMBER: u16 = NUMBER;
    const ID: usize = A::FIRST_AT;
}

/// Takes the capabilities of a message.
#[inline]
fn taken(caps: Option<&mut Vec<Cap>>) -> Vec<Cap> {
    caps.map(core::mem::take).unwrap_or_default()
}

impl RawBinding {
    /// Returns the error of a message whose arguments are refused.
    #[cold]
    fn refuse(&self, number: u16, refused: Refused) -> TxError {
        TxError::refused(refused, self.interface(), number, |error| self.cap_copy(error))
    }
}

impl RawBinding {
    /// Sends a message that is a value. Used by generated code.
    ///
    /// # Errors
    /// As `tx_*`.
    #[doc(hidden)]
    pub fn send_message(&self, message: &impl MessageValue) -> Result<Sent<'_>, TxError> {
        match MessageBuffer::encode(message) {
            Ok(MessageBuffer { number, words, caps }) if caps.is_empty() => {
                self.send(number, &words, &[])
            }
            Ok(MessageBuffer { number, words, mut caps }) => {
                self.send_caps(number, &words, &[], &mut caps)
            }
            Err(EncodeError::TooLong { arg, length }) => Err(TxError::too_long(arg, length)),
            Err(EncodeError::CapCopy(errno)) => Err(self.cap_copy(errno.into())),
        }
    }
}

impl SharedEndpoint {
    /// Returns the error of a message whose arguments are refused.
    #[cold]
    fn refuse(&self, number: u16, refused: Refused) -> TxError {
        TxError::refused(refused, self.interface(), number, |error| self.cap_copy(error))
    }
}
