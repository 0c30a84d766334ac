/// The interface `rpcs`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub mod rpcs {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } entry;`
    #[doc(alias = "entry")]
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Entry {
        /// `name`
        pub name: __rt::String,
        /// `size`
        pub size: u64,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <__rt::String as __rt::Shape>::PLACE,
            <u64 as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Entry {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[
                    <__rt::String as __rt::Shape>::MAX_TAIL,
                    <u64 as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[
                    <__rt::String as __rt::Shape>::MAX_CAPS,
                    <u64 as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{name,size}"),
                &[
                    <__rt::String as __rt::Shape>::FINGERPRINT,
                    <u64 as __rt::Shape>::FINGERPRINT,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Entry {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { name: __0, size: __1 } = self;
                <__rt::String as __rt::Encode>::check(__0)?;
                <u64 as __rt::Encode>::check(__1)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { name: __0, size: __1 } = self;
                <__rt::String as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <u64 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { name: __0, size: __1 } = self;
                <__rt::String as __rt::Encode>::put_tail(__0, __tail);
                <u64 as __rt::Encode>::put_tail(__1, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { name: __0, size: __1 } = self;
                <__rt::String as __rt::Encode>::put_caps(__0, __caps);
                <u64 as __rt::Encode>::put_caps(__1, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Entry {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<__rt::String>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<u64>(__at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { name: __0, size: __1 })
            }
        }
    };
    type __PingCall = __rt::MessageType<1, 1, (__rt::Copied<u32>,)>;
    type __PingResponse = __rt::MessageType<2, 1, (__rt::Copied<u32>,)>;
    type __OneCall = __rt::MessageType<
        3,
        2,
        (__rt::Copied<u32>, __rt::Copied<u32>, __rt::Text<65536>),
    >;
    type __OneResponse = __rt::MessageType<4, 1, (__rt::Copied<u32>, __rt::Text<65536>)>;
    type __ManyCall = __rt::MessageType<
        5,
        3,
        (__rt::Copied<u32>, __rt::Lent<Entry>, __rt::Slice<u8, 32>),
    >;
    type __ManyResponse = __rt::MessageType<
        6,
        2,
        (
            __rt::Copied<u32>,
            __rt::Items<Entry, 100>,
            __rt::Slice<u8, 65536>,
            __rt::Texts<65536>,
        ),
    >;
    type __Ask = __rt::MessageType<7, 1, (__rt::Copied<u32>,)>;
    type __Answer = __rt::MessageType<
        8,
        2,
        (__rt::Copied<u32>, __rt::Copied<__rt::Errval>),
    >;
    /// Describes the interface `rpcs`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "rpcs",
        "rpcs",
        &__rt::numbered(
            [
                __PingCall::call_info("ping_call", ""),
                __PingResponse::response_info("ping_response", ""),
                __OneCall::call_info(
                    "one_call",
                    "reply: uint32, binding: string[65536]",
                ),
                __OneResponse::response_info("one_response", "s: string[65536]"),
                __ManyCall::call_info("many_call", "e: entry, key: uint8[key_len, 32]"),
                __ManyResponse::response_info(
                    "many_response",
                    "found: entry[n, 100], data: uint8[len, 65536], names: string[65536][m, 65536]",
                ),
                __Ask::info("ask", "token: uint32"),
                __Answer::info("answer", "token: uint32, err: errval"),
            ],
            &[
                51595523843201080921430445317355269382,
                156078301340516475231160607692214558833,
                152183435731338542281013111249378356878,
                13357846369336494140321016555968630085,
                178293217830059666357375581871349396673,
                335770545456370672814039324617123955832,
                170014236188090903268840310581693167460,
                225054400992600137688023913363399057828,
            ],
        ),
        &[
            __PingCall::LIMIT,
            __PingResponse::LIMIT,
            __OneCall::LIMIT,
            __OneResponse::LIMIT,
            __ManyCall::LIMIT,
            __ManyResponse::LIMIT,
            __Ask::LIMIT,
            __Answer::LIMIT,
        ],
    );
    /// One end of a connection that speaks `rpcs`.
    ///
    /// Clones are the same end. What every binding can do is on the endpoint that it dereferences to.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding(__rt::RawBinding);
    impl Binding {
        /// Makes a binding over one end of a channel; `rx` handles what arrives.
        ///
        /// # Errors
        /// If the waitset cannot watch the channel.
        pub fn attach(
            channel: __rt::Box<dyn __rt::Channel>,
            waitset: &__rt::Waitset,
            rx: impl Handlers,
        ) -> __rt::io::Result<Self> {
            __rt::RawBinding::attach(channel, waitset, INTERFACE, rx.__deliver())
                .map(Self)
        }
        /// Sends a message that is a value, which stays as it is: capabilities are copied, also those that would be given
        /// away.
        ///
        /// # Errors
        /// As the `tx_*` method of the message.
        #[inline]
        pub fn tx(
            &self,
            message: &Message,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            self.0.send_message(message)
        }
        /// Waits for the next message of the [`Inbox`] that the binding was made with. The future gives an error when the
        /// binding has ended, after everything that came before.
        #[inline]
        pub fn recv(&self) -> __rt::Receiving<'_, Message> {
            self.0.recv()
        }
        /// The messages of the [`Inbox`] that the binding was made with, as a stream, until the binding has ended.
        #[inline]
        pub fn messages(&self) -> __rt::Messages<'_, Message> {
            self.0.messages()
        }
        /// As `recv`, for the next `ask(uint32 token)`; others are kept.
        #[inline]
        pub fn recv_ask(&self) -> __rt::Receiving<'_, u32> {
            __Ask::recv(&self.0)
        }
        /// As `recv`, for the next `answer(uint32 token, errval err)`; others are kept.
        #[inline]
        pub fn recv_answer(&self) -> __rt::Receiving<'_, (u32, __rt::Errval)> {
            __Answer::recv(&self.0)
        }
        /// Sends `ask(uint32 token)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_ask(&self, token: u32) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Ask::send(&self.0, (token,))
        }
        /// Sends `ask(uint32 token)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_ask<'__a>(&'__a self, token: u32) -> __rt::Sending<'__a, __Ask> {
            __Ask::sending(&self.0, (token,))
        }
        /// Sends `answer(uint32 token, errval err)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_answer(
            &self,
            token: u32,
            err: __rt::Errval,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Answer::send(&self.0, (token, err))
        }
        /// Sends `answer(uint32 token, errval err)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_answer<'__a>(
            &'__a self,
            token: u32,
            err: __rt::Errval,
        ) -> __rt::Sending<'__a, __Answer> {
            __Answer::sending(&self.0, (token, err))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for Binding {
        type Target = __rt::RawBinding;
        fn deref(&self) -> &__rt::RawBinding {
            &self.0
        }
    }
    /// What one end of `rpcs` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
    pub trait Rx {
        /// Nothing in, nothing out.
        fn ping(&mut self, binding: &Binding, reply: PingReply);
        /// Handles `rpc one(in uint32 reply, in string binding, out string s)`.
        fn one(
            &mut self,
            __binding: &Binding,
            reply: u32,
            binding: &str,
            __reply: OneReply,
        );
        /// Handles `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])`.
        fn many(&mut self, binding: &Binding, e: Entry, key: &[u8], reply: ManyReply);
        /// Handles `ask(uint32 token)`.
        fn ask(&mut self, binding: &Binding, token: u32);
        /// Handles `answer(uint32 token, errval err)`.
        fn answer(&mut self, binding: &Binding, token: u32, err: __rt::Errval);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Handlers of `rpcs` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Nothing in, nothing out.
        pub ping: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, PingReply)>>,
        /// Handles `rpc one(in uint32 reply, in string binding, out string s)`.
        pub one: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, u32, &str, OneReply)>>,
        /// Handles `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])`.
        pub many: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, Entry, &[u8], ManyReply)>,
        >,
        /// Handles `ask(uint32 token)`.
        pub ask: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, u32)>>,
        /// Handles `answer(uint32 token, errval err)`.
        pub answer: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, u32, __rt::Errval)>,
        >,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, __rt::BindingError)>,
        >,
    }
    #[automatically_derived]
    impl __rt::Debug for RxVtbl {
        fn fmt(&self, __f: &mut __rt::Formatter<'_>) -> __rt::fmt::Result {
            __rt::closures(__f)
        }
    }
    #[automatically_derived]
    impl Rx for RxVtbl {
        fn ping(&mut self, binding: &Binding, reply: PingReply) {
            match &mut self.ping {
                __rt::Some(__handler) => __handler(binding, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("ping")),
            }
        }
        fn one(
            &mut self,
            __binding: &Binding,
            reply: u32,
            binding: &str,
            __reply: OneReply,
        ) {
            match &mut self.one {
                __rt::Some(__handler) => __handler(__binding, reply, binding, __reply),
                __rt::None => Rx::error(self, __binding, __rt::no_handler("one")),
            }
        }
        fn many(&mut self, binding: &Binding, e: Entry, key: &[u8], reply: ManyReply) {
            match &mut self.many {
                __rt::Some(__handler) => __handler(binding, e, key, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("many")),
            }
        }
        fn ask(&mut self, binding: &Binding, token: u32) {
            match &mut self.ask {
                __rt::Some(__handler) => __handler(binding, token),
                __rt::None => Rx::error(self, binding, __rt::no_handler("ask")),
            }
        }
        fn answer(&mut self, binding: &Binding, token: u32, err: __rt::Errval) {
            match &mut self.answer {
                __rt::Some(__handler) => __handler(binding, token, err),
                __rt::None => Rx::error(self, binding, __rt::no_handler("answer")),
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(INTERFACE, &error),
            }
        }
    }
    /// What can be put behind a binding of `rpcs`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
    pub trait Handlers: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch>;
    }
    #[automatically_derived]
    impl<__R: Rx + 'static> Handlers for __R {
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch> {
            __rt::dispatcher(
                self,
                |__rx, __raw, __message| match __message.number {
                    1 => {
                        __PingCall::deliver(
                            __message,
                            |(__id,)| {
                                Rx::ping(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    PingReply(__rt::ReplyToken::new(__raw, __id, 2)),
                                )
                            },
                        )
                    }
                    3 => {
                        __OneCall::deliver(
                            __message,
                            |(__id, reply, binding)| {
                                Rx::one(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    reply,
                                    binding,
                                    OneReply(__rt::ReplyToken::new(__raw, __id, 4)),
                                )
                            },
                        )
                    }
                    5 => {
                        __ManyCall::deliver(
                            __message,
                            |(__id, e, key)| {
                                Rx::many(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    e,
                                    key,
                                    ManyReply(__rt::ReplyToken::new(__raw, __id, 6)),
                                )
                            },
                        )
                    }
                    7 => {
                        __Ask::deliver(
                            __message,
                            |(token,)| { Rx::ask(__rx, &Binding(__raw.handle()), token) },
                        )
                    }
                    8 => {
                        __Answer::deliver(
                            __message,
                            |(token, err)| {
                                Rx::answer(__rx, &Binding(__raw.handle()), token, err)
                            },
                        )
                    }
                    2 => __PingResponse::answer(__raw, __message),
                    4 => __OneResponse::answer(__raw, __message),
                    6 => __ManyResponse::answer(__raw, __message),
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    Rx::error(__rx, __binding, __error)
                },
            )
        }
    }
    /// What one end of `rpcs` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
    /// caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Nothing in, nothing out.
        async fn ping(&self, binding: &Binding) -> __rt::Result<(), __rt::CallbackError>;
        /// Handles `rpc one(in uint32 reply, in string binding, out string s)`.
        async fn one(
            &self,
            __binding: &Binding,
            reply: u32,
            binding: __rt::String,
        ) -> __rt::Result<__rt::String, __rt::CallbackError>;
        /// Handles `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])`.
        async fn many(
            &self,
            binding: &Binding,
            e: Entry,
            key: __rt::Vec<u8>,
        ) -> __rt::Result<
            (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>),
            __rt::CallbackError,
        >;
        /// Handles `ask(uint32 token)`.
        async fn ask(&self, binding: &Binding, token: u32);
        /// Handles `answer(uint32 token, errval err)`.
        async fn answer(&self, binding: &Binding, token: u32, err: __rt::Errval);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Puts an [`AsyncRx`] behind a binding.
    #[__rt::derive(__rt::Debug)]
    pub struct Async<S>(pub S);
    #[automatically_derived]
    impl<__R: AsyncRx + 'static> Handlers for Async<__R> {
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch> {
            __rt::dispatcher(
                __rt::Rc::new(self.0),
                |__rx, __raw, __message| match __message.number {
                    1 => {
                        __PingCall::deliver_owned(
                            __message,
                            |(__id,)| {
                                let __reply = __rt::ReplyToken::new(__raw, __id, 2);
                                __raw
                                    .spawn_call(
                                        __reply,
                                        __rx,
                                        Binding,
                                        (),
                                        __R::ping,
                                        |__reply, ()| { PingReply(__reply).send() },
                                    )
                            },
                        )
                    }
                    3 => {
                        __OneCall::deliver_owned(
                            __message,
                            |(__id, reply, binding)| {
                                let __reply = __rt::ReplyToken::new(__raw, __id, 4);
                                __raw
                                    .spawn_call(
                                        __reply,
                                        __rx,
                                        Binding,
                                        (reply, binding),
                                        __R::one,
                                        |__reply, s| { OneReply(__reply).send(&s) },
                                    )
                            },
                        )
                    }
                    5 => {
                        __ManyCall::deliver_owned(
                            __message,
                            |(__id, e, key)| {
                                let __reply = __rt::ReplyToken::new(__raw, __id, 6);
                                __raw
                                    .spawn_call(
                                        __reply,
                                        __rx,
                                        Binding,
                                        (e, key),
                                        __R::many,
                                        |__reply, (found, data, names)| {
                                            ManyReply(__reply).send(&found, &data, &names)
                                        },
                                    )
                            },
                        )
                    }
                    7 => {
                        __Ask::deliver_owned(
                            __message,
                            |(token,)| {
                                __raw.spawn_handler(__rx, Binding, (token,), __R::ask)
                            },
                        )
                    }
                    8 => {
                        __Answer::deliver_owned(
                            __message,
                            |(token, err)| {
                                __raw
                                    .spawn_handler(__rx, Binding, (token, err), __R::answer)
                            },
                        )
                    }
                    2 => __PingResponse::answer(__raw, __message),
                    4 => __OneResponse::answer(__raw, __message),
                    6 => __ManyResponse::answer(__raw, __message),
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    AsyncRx::error(&**__rx, __binding, __error)
                },
            )
        }
    }
    /// The reply that a caller of `rpc ping()` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct PingReply(__rt::ReplyToken);
    impl PingReply {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller learns
        /// that no reply will come, and the error handler of this end why.
        #[inline]
        pub fn send(self) {
            __PingResponse::reply((self.0.id(),), self.0);
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[inline]
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        #[inline]
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_> {
            self.0.cancelled()
        }
    }
    impl __rt::Reply for PingReply {
        type Values = ();
        #[inline]
        fn decode(__message: __rt::Received<'_>) -> __rt::Result<(), __rt::DecodeError> {
            __PingResponse::returned(__message)
        }
    }
    /// The reply that a caller of `rpc one(in uint32 reply, in string binding, out string s)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct OneReply(__rt::ReplyToken);
    impl OneReply {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller learns
        /// that no reply will come, and the error handler of this end why.
        #[inline]
        pub fn send(self, s: &str) {
            __OneResponse::reply((self.0.id(), s), self.0);
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[inline]
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        #[inline]
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_> {
            self.0.cancelled()
        }
    }
    impl __rt::Reply for OneReply {
        type Values = __rt::String;
        #[inline]
        fn decode(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<__rt::String, __rt::DecodeError> {
            __OneResponse::returned(__message)
        }
    }
    /// The reply that a caller of `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct ManyReply(__rt::ReplyToken);
    impl ManyReply {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller learns
        /// that no reply will come, and the error handler of this end why.
        #[inline]
        pub fn send(self, found: &[Entry], data: &[u8], names: &[impl __rt::TextItem]) {
            __ManyResponse::reply(
                (self.0.id(), found, data, __rt::TextItem::strings(names)),
                self.0,
            );
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[inline]
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        #[inline]
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_> {
            self.0.cancelled()
        }
    }
    impl __rt::Reply for ManyReply {
        type Values = (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>);
        #[inline]
        fn decode(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<
            (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>),
            __rt::DecodeError,
        > {
            __ManyResponse::returned(__message)
        }
    }
    /// Calls the remote procedures of `rpcs`.
    ///
    /// Many calls may be under way at a time; replies find theirs by number, not by order. A blocking call without a
    /// time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient(Binding, __rt::Timeout);
    impl RpcClient {
        /// A client over a binding.
        pub fn new(binding: &Binding) -> Self {
            Self(__rt::Clone::clone(binding), __rt::Timeout::Default)
        }
        /// A client whose calls, blocking or not, end with an error if they take longer than this. The longest time
        /// there is means for ever.
        #[must_use]
        pub fn timeout(&self, timeout: __rt::Duration) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::For(timeout))
        }
        /// A client whose calls, blocking or not, end with an error if they are not done by then.
        #[must_use]
        pub fn deadline(&self, deadline: __rt::Instant) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::Until(deadline))
        }
        /// The binding.
        pub fn binding(&self) -> &Binding {
            &self.0
        }
        /// Nothing in, nothing out.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn ping(&self) -> __rt::Result<(), __rt::RpcError> {
            let __id = self.0.0.next_call();
            __PingCall::call::<
                PingReply,
                __PingResponse,
            >(&self.0.0, __id, (__id,), self.1)
        }
        /// As `ping`, without waiting: the result is a future.
        #[inline]
        pub fn ping_async(&self) -> __rt::Call<PingReply> {
            let __id = self.0.0.next_call();
            __PingCall::call_async(&self.0.0, __id, (__id,), self.1)
        }
        /// Calls `rpc one(in uint32 reply, in string binding, out string s)` and waits for the reply.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn one(
            &self,
            reply: u32,
            binding: &str,
        ) -> __rt::Result<__rt::String, __rt::RpcError> {
            let __id = self.0.0.next_call();
            __OneCall::call::<
                OneReply,
                __OneResponse,
            >(&self.0.0, __id, (__id, reply, binding), self.1)
        }
        /// As `one`, without waiting: the result is a future.
        #[inline]
        pub fn one_async(&self, reply: u32, binding: &str) -> __rt::Call<OneReply> {
            let __id = self.0.0.next_call();
            __OneCall::call_async(&self.0.0, __id, (__id, reply, binding), self.1)
        }
        /// Calls `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])` and waits for the reply.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn many(
            &self,
            e: &Entry,
            key: &[u8],
        ) -> __rt::Result<
            (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>),
            __rt::RpcError,
        > {
            let __id = self.0.0.next_call();
            __ManyCall::call::<
                ManyReply,
                __ManyResponse,
            >(&self.0.0, __id, (__id, e, key), self.1)
        }
        /// As `many`, without waiting: the result is a future.
        #[inline]
        pub fn many_async(&self, e: &Entry, key: &[u8]) -> __rt::Call<ManyReply> {
            let __id = self.0.0.next_call();
            __ManyCall::call_async(&self.0.0, __id, (__id, e, key), self.1)
        }
    }
    /// One end of a connection that speaks `rpcs`, for any thread.
    ///
    /// It is made by `Binding::shared`. Messages wait in a queue, in order, until the thread of the binding's waitset sends
    /// them. What every such binding can do is on the endpoint that it dereferences to.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct SharedBinding(__rt::SharedEndpoint);
    impl Binding {
        /// Returns a handle to this end for other threads. The handlers stay in this one.
        pub fn shared(&self) -> SharedBinding {
            SharedBinding(self.0.share())
        }
    }
    impl SharedBinding {
        /// Sends `ask(uint32 token)`.
        #[inline]
        pub fn send_ask(&self, token: u32) -> __rt::SharedSend {
            __Ask::send_shared(&self.0, (token,))
        }
        /// Sends `answer(uint32 token, errval err)`.
        #[inline]
        pub fn send_answer(&self, token: u32, err: __rt::Errval) -> __rt::SharedSend {
            __Answer::send_shared(&self.0, (token, err))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for SharedBinding {
        type Target = __rt::SharedEndpoint;
        fn deref(&self) -> &__rt::SharedEndpoint {
            &self.0
        }
    }
    /// Calls the remote procedures of `rpcs`, from any thread.
    ///
    /// Many calls may be under way at a time; replies find theirs by number, not by order. A blocking call without a
    /// time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct SharedClient(SharedBinding, __rt::Timeout);
    impl SharedClient {
        /// A client over a binding.
        pub fn new(binding: &SharedBinding) -> Self {
            Self(__rt::Clone::clone(binding), __rt::Timeout::Default)
        }
        /// A client whose calls, blocking or not, end with an error if they take longer than this. The longest time
        /// there is means for ever.
        #[must_use]
        pub fn timeout(&self, timeout: __rt::Duration) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::For(timeout))
        }
        /// A client whose calls, blocking or not, end with an error if they are not done by then.
        #[must_use]
        pub fn deadline(&self, deadline: __rt::Instant) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::Until(deadline))
        }
        /// The binding.
        pub fn binding(&self) -> &SharedBinding {
            &self.0
        }
        /// Nothing in, nothing out.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; in the thread of the binding's waitset, always. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn ping(&self) -> __rt::Result<(), __rt::RpcError> {
            self.ping_async().wait()
        }
        /// As `ping`, without blocking: the result is a future, `Send`.
        #[inline]
        pub fn ping_async(&self) -> __rt::SharedCall<PingReply> {
            __PingCall::call_shared(&self.0.0, (0,), self.1)
        }
        /// Calls `rpc one(in uint32 reply, in string binding, out string s)` and blocks the thread until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; in the thread of the binding's waitset, always. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn one(
            &self,
            reply: u32,
            binding: &str,
        ) -> __rt::Result<__rt::String, __rt::RpcError> {
            self.one_async(reply, binding).wait()
        }
        /// As `one`, without blocking: the result is a future, `Send`.
        #[inline]
        pub fn one_async(
            &self,
            reply: u32,
            binding: &str,
        ) -> __rt::SharedCall<OneReply> {
            __OneCall::call_shared(&self.0.0, (0, reply, binding), self.1)
        }
        /// Calls `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])` and blocks the thread until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; in the thread of the binding's waitset, always. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn many(
            &self,
            e: &Entry,
            key: &[u8],
        ) -> __rt::Result<
            (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>),
            __rt::RpcError,
        > {
            self.many_async(e, key).wait()
        }
        /// As `many`, without blocking: the result is a future, `Send`.
        #[inline]
        pub fn many_async(&self, e: &Entry, key: &[u8]) -> __rt::SharedCall<ManyReply> {
            __ManyCall::call_shared(&self.0.0, (0, e, key), self.1)
        }
    }
    /// Any message of `rpcs`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
    /// equals none.
    pub enum Message {
        /// Nothing in, nothing out.
        PingCall {
            /// The number of the call.
            id: u32,
        },
        /// Nothing in, nothing out.
        PingResponse {
            /// The number of the call.
            id: u32,
        },
        /// `one_call(uint32 reply, string binding)`: the call of the rpc.
        OneCall {
            /// The number of the call.
            id: u32,
            /// `reply`
            reply: u32,
            /// `binding`
            binding: __rt::String,
        },
        /// `one_response(string s)`: the response of the rpc.
        OneResponse {
            /// The number of the call.
            id: u32,
            /// `s`
            s: __rt::String,
        },
        /// `many_call(entry e, uint8 key[key_len, 32])`: the call of the rpc.
        ManyCall {
            /// The number of the call.
            id: u32,
            /// `e`
            e: Entry,
            /// `key`
            key: __rt::Vec<u8>,
        },
        /// `many_response(entry found[n, 100], uint8 data[len, 65536], string names[m, 65536])`: the response of the rpc.
        ManyResponse {
            /// The number of the call.
            id: u32,
            /// `found`
            found: __rt::Vec<Entry>,
            /// `data`
            data: __rt::Vec<u8>,
            /// `names`
            names: __rt::Vec<__rt::String>,
        },
        /// `ask(uint32 token)`
        Ask {
            /// `token`
            token: u32,
        },
        /// `answer(uint32 token, errval err)`
        Answer {
            /// `token`
            token: u32,
            /// `err`
            err: __rt::Errval,
        },
    }
    impl Message {
        /// The message in words, those that go over the wire. Capabilities are copied.
        ///
        /// # Errors
        /// If a value is over its maximum, or a capability cannot be copied.
        #[inline]
        pub fn encode(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            __rt::MessageBuffer::encode(self)
        }
        /// Reads message `number` from its words and capabilities.
        ///
        /// # Errors
        /// If no sender of the interface writes these words.
        #[inline]
        pub fn decode(
            number: u16,
            words: &[u64],
            mut caps: __rt::Vec<__rt::Cap>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            <Self as __rt::MessageValue>::unmarshal(__rt::Received {
                number,
                words,
                caps: &mut caps,
            })
        }
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            match self {
                Self::PingCall { id: __id } => __PingCall::encode(INTERFACE, (*__id,)),
                Self::PingResponse { id: __id } => {
                    __PingResponse::encode(INTERFACE, (*__id,))
                }
                Self::OneCall { id: __id, reply, binding } => {
                    __OneCall::encode(INTERFACE, (*__id, *reply, binding))
                }
                Self::OneResponse { id: __id, s } => {
                    __OneResponse::encode(INTERFACE, (*__id, s))
                }
                Self::ManyCall { id: __id, e, key } => {
                    __ManyCall::encode(INTERFACE, (*__id, e, key))
                }
                Self::ManyResponse { id: __id, found, data, names } => {
                    __ManyResponse::encode(
                        INTERFACE,
                        (*__id, found, data, __rt::TextItem::strings(names)),
                    )
                }
                Self::Ask { token } => __Ask::encode(INTERFACE, (*token,)),
                Self::Answer { token, err } => {
                    __Answer::encode(INTERFACE, (*token, *err))
                }
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => __PingCall::read(__message, |(__id,)| Self::PingCall { id: __id }),
                2 => {
                    __PingResponse::read(
                        __message,
                        |(__id,)| Self::PingResponse { id: __id },
                    )
                }
                3 => {
                    __OneCall::read(
                        __message,
                        |(__id, reply, binding)| Self::OneCall {
                            id: __id,
                            reply,
                            binding,
                        },
                    )
                }
                4 => {
                    __OneResponse::read(
                        __message,
                        |(__id, s)| Self::OneResponse { id: __id, s },
                    )
                }
                5 => {
                    __ManyCall::read(
                        __message,
                        |(__id, e, key)| Self::ManyCall { id: __id, e, key },
                    )
                }
                6 => {
                    __ManyResponse::read(
                        __message,
                        |(__id, found, data, names)| Self::ManyResponse {
                            id: __id,
                            found,
                            data,
                            names,
                        },
                    )
                }
                7 => __Ask::read(__message, |(token,)| Self::Ask { token }),
                8 => {
                    __Answer::read(__message, |(token, err)| Self::Answer { token, err })
                }
                __number => __rt::unknown_message(__number),
            }
        }
    }
    #[automatically_derived]
    impl __rt::PartialEq for Message {
        #[inline]
        fn eq(&self, __other: &Self) -> bool {
            __rt::same(self, __other)
        }
    }
    #[automatically_derived]
    impl __rt::Debug for Message {
        #[inline]
        fn fmt(&self, __f: &mut __rt::Formatter<'_>) -> __rt::fmt::Result {
            match self {
                Self::PingCall { id: __id } => {
                    __rt::show(__f, INTERFACE, 1, "PingCall", &[__id])
                }
                Self::PingResponse { id: __id } => {
                    __rt::show(__f, INTERFACE, 2, "PingResponse", &[__id])
                }
                Self::OneCall { id: __id, reply, binding } => {
                    __rt::show(__f, INTERFACE, 3, "OneCall", &[__id, reply, binding])
                }
                Self::OneResponse { id: __id, s } => {
                    __rt::show(__f, INTERFACE, 4, "OneResponse", &[__id, s])
                }
                Self::ManyCall { id: __id, e, key } => {
                    __rt::show(__f, INTERFACE, 5, "ManyCall", &[__id, e, key])
                }
                Self::ManyResponse { id: __id, found, data, names } => {
                    __rt::show(
                        __f,
                        INTERFACE,
                        6,
                        "ManyResponse",
                        &[__id, found, data, names],
                    )
                }
                Self::Ask { token } => __rt::show(__f, INTERFACE, 7, "Ask", &[token]),
                Self::Answer { token, err } => {
                    __rt::show(__f, INTERFACE, 8, "Answer", &[token, err])
                }
            }
        }
    }
    /// Keeps messages for `recv` of its binding: given to `bind` or `export` in place of handlers.
    #[__rt::derive(__rt::Debug)]
    pub struct Inbox(__rt::Inbox);
    impl Inbox {
        /// Room for `bound` messages, at least one. While it is full, the binding receives nothing. Calls of rpcs are
        /// refused.
        #[inline]
        pub fn new(bound: __rt::usize) -> Self {
            Self::beside(bound, <RxVtbl as __rt::Default>::default())
        }
        /// An inbox beside the handlers `rx`, which get the calls of rpcs, as they come, and errors. None of its other handlers runs.
        pub fn beside(bound: __rt::usize, rx: impl Handlers) -> Self {
            Self(__rt::Inbox::new(bound, rx.__deliver()))
        }
        /// Has `callback` run from the waitset with the binding, once there is one: for a service, whose connect
        /// callback comes before.
        #[must_use]
        pub fn on_bound(self, callback: impl __rt::FnOnce(Binding) + 'static) -> Self {
            Self(self.0.on_bound(|__endpoint| callback(Binding(__endpoint))))
        }
    }
    #[automatically_derived]
    impl Handlers for Inbox {
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch> {
            self.0.into_deliver()
        }
    }
    /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
    pub fn export<C, X>(waitset: &__rt::Waitset, mut connect: C) -> __rt::Export
    where
        C: __rt::FnMut(&__rt::Peer) -> __rt::Result<X, __rt::Refusal> + 'static,
        X: Handlers,
    {
        __rt::Export::new(
            waitset,
            INTERFACE,
            __rt::broker(),
            move |__peer: &__rt::Peer| { connect(__peer).map(Handlers::__deliver) },
        )
    }
    /// Connects to the service that `iref` names; `rx` handles what it sends.
    pub fn bind<X: Handlers>(
        iref: __rt::Iref,
        waitset: &__rt::Waitset,
        rx: X,
    ) -> __rt::Bind<Binding> {
        __rt::Bind::new(
            iref,
            waitset,
            INTERFACE,
            __rt::broker(),
            rx.__deliver(),
            Binding,
        )
    }
    /// Offers the service under `name`, in a thread of the library: `handlers` makes what handles the messages of one
    /// client.
    pub fn serve<S, X>(name: &__rt::str, mut handlers: S) -> __rt::Serve
    where
        S: __rt::FnMut() -> X + __rt::Send + 'static,
        X: Handlers,
    {
        __rt::Serve::new(name, INTERFACE, move || handlers().__deliver())
    }
    /// Connects to the service called `name`, once there is one, for any thread.
    pub fn connect(name: &__rt::str) -> __rt::Connect<SharedBinding> {
        let __handlers = || <RxVtbl as __rt::Default>::default().__deliver();
        __rt::Connect::new(
            name,
            INTERFACE,
            __handlers,
            |__raw| SharedBinding(__raw.share()),
        )
    }
}
