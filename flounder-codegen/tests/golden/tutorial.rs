/// The interface of the tutorial.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub mod test {
    use ::flounder::__private as __rt;
    /// `typedef enum { .. } myenum;`
    #[doc(alias = "myenum")]
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    #[repr(u32)]
    pub enum Myenum {
        /// `FOO`
        #[doc(alias = "FOO")]
        Foo = 0,
        /// `BAR`
        #[doc(alias = "BAR")]
        Bar = 1,
        /// `BAZ`
        #[doc(alias = "BAZ")]
        Baz = 2,
    }
    const _: () = {
        #[automatically_derived]
        impl __rt::Shape for Myenum {
            const SIZE: __rt::usize = 4;
            const ALIGN: __rt::usize = 4;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("enum{FOO,BAR,BAZ}"),
                &[],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Myenum {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let __tag: __rt::u32 = match self {
                    Self::Foo { .. } => 0,
                    Self::Bar { .. } => 1,
                    Self::Baz { .. } => 2,
                };
                __rt::Encode::put(&__tag, __words, __at);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Myenum {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __value = match __decoder.tag(__at, 3, "myenum")? {
                    0 => Self::Foo {},
                    1 => Self::Bar {},
                    _ => Self::Baz {},
                };
                __rt::Ok(__value)
            }
        }
    };
    /// `typedef struct { .. } point;`
    #[doc(alias = "point")]
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Point {
        /// `x`
        pub x: u32,
        /// `y`
        pub y: u32,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <u32 as __rt::Shape>::PLACE,
            <u32 as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Point {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{x,y}"),
                &[<u32 as __rt::Shape>::FINGERPRINT, <u32 as __rt::Shape>::FINGERPRINT],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Point {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { x: __0, y: __1 } = self;
                <u32 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <u32 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Point {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<u32>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<u32>(__at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { x: __0, y: __1 })
            }
        }
    };
    type __Basic = __rt::MessageType<1, 1, (__rt::Copied<u32>, __rt::Copied<Myenum>)>;
    type __Str = __rt::MessageType<2, 1, (__rt::Copied<u32>, __rt::Text<65536>)>;
    type __Caps = __rt::MessageType<
        3,
        1,
        (__rt::Copied<u32>, __rt::Lent<__rt::Cap>, __rt::Lent<__rt::Cap>),
    >;
    type __Buffy = __rt::MessageType<4, 1, (__rt::Slice<u8, 65536>,)>;
    type __TestrpcCall = __rt::MessageType<5, 1, (__rt::Copied<u32>, __rt::Text<65536>)>;
    type __TestrpcResponse = __rt::MessageType<
        6,
        1,
        (__rt::Copied<u32>, __rt::Copied<u32>),
    >;
    /// Describes the interface `test`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "test",
        "Test interface",
        &__rt::numbered(
            [
                __Basic::info("basic", "arg: uint32, e: myenum"),
                __Str::info("str", "arg: uint32, s: string[65536]"),
                __Caps::info("caps", "arg: uint32, cap1: cap, cap2: cap"),
                __Buffy::info("buffy", "buf: uint8[buflen, 65536]"),
                __TestrpcCall::call_info("testrpc_call", "s: string[65536]"),
                __TestrpcResponse::response_info("testrpc_response", "result: uint32"),
            ],
            &[
                71123757155009377649836330666141386063,
                6022052201044314383049808791948979676,
                194872896028370605901615968100544766922,
                191103372994197126844784031093427357631,
                112235472364153691937880696844680916093,
                76424005421384084096614228554611769022,
            ],
        ),
        &[
            __Basic::LIMIT,
            __Str::LIMIT,
            __Caps::LIMIT,
            __Buffy::LIMIT,
            __TestrpcCall::LIMIT,
            __TestrpcResponse::LIMIT,
        ],
    );
    /// One end of a connection that speaks `test`.
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
        /// As `recv`, for the next `basic(uint32 arg, myenum e)`; others are kept.
        #[inline]
        pub fn recv_basic(&self) -> __rt::Receiving<'_, (u32, Myenum)> {
            __Basic::recv(&self.0)
        }
        /// As `recv`, for the next `str(uint32 arg, string s)`; others are kept.
        #[inline]
        pub fn recv_str(&self) -> __rt::Receiving<'_, (u32, __rt::String)> {
            __Str::recv(&self.0)
        }
        /// As `recv`, for the next `caps(uint32 arg, cap cap1, cap cap2)`; others are kept.
        #[inline]
        pub fn recv_caps(&self) -> __rt::Receiving<'_, (u32, __rt::Cap, __rt::Cap)> {
            __Caps::recv(&self.0)
        }
        /// As `recv`, for the next `buffy(uint8 buf[buflen, 65536])`; others are kept.
        #[inline]
        pub fn recv_buffy(&self) -> __rt::Receiving<'_, __rt::Vec<u8>> {
            __Buffy::recv(&self.0)
        }
        /// Sends basic values.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_basic(
            &self,
            arg: u32,
            e: Myenum,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Basic::send(&self.0, (arg, e))
        }
        /// Sends `basic(uint32 arg, myenum e)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_basic<'__a>(
            &'__a self,
            arg: u32,
            e: Myenum,
        ) -> __rt::Sending<'__a, __Basic> {
            __Basic::sending(&self.0, (arg, e))
        }
        /// Sends `str(uint32 arg, string s)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_str(
            &self,
            arg: u32,
            s: &str,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Str::send(&self.0, (arg, s))
        }
        /// Sends `str(uint32 arg, string s)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_str<'__a>(
            &'__a self,
            arg: u32,
            s: &'__a str,
        ) -> __rt::Sending<'__a, __Str> {
            __Str::sending(&self.0, (arg, s))
        }
        /// Sends `caps(uint32 arg, cap cap1, cap cap2)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_caps(
            &self,
            arg: u32,
            cap1: &__rt::Cap,
            cap2: &__rt::Cap,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Caps::send(&self.0, (arg, cap1, cap2))
        }
        /// Sends `caps(uint32 arg, cap cap1, cap cap2)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_caps<'__a>(
            &'__a self,
            arg: u32,
            cap1: &'__a __rt::Cap,
            cap2: &'__a __rt::Cap,
        ) -> __rt::Sending<'__a, __Caps> {
            __Caps::sending(&self.0, (arg, cap1, cap2))
        }
        /// Sends `buffy(uint8 buf[buflen, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_buffy(
            &self,
            buf: &[u8],
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Buffy::send(&self.0, (buf,))
        }
        /// Sends `buffy(uint8 buf[buflen, 65536])`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_buffy<'__a>(
            &'__a self,
            buf: &'__a [u8],
        ) -> __rt::Sending<'__a, __Buffy> {
            __Buffy::sending(&self.0, (buf,))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for Binding {
        type Target = __rt::RawBinding;
        fn deref(&self) -> &__rt::RawBinding {
            &self.0
        }
    }
    /// What one end of `test` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
    pub trait Rx {
        /// Sends basic values.
        fn basic(&mut self, binding: &Binding, arg: u32, e: Myenum);
        /// Handles `str(uint32 arg, string s)`.
        fn str(&mut self, binding: &Binding, arg: u32, s: &str);
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        fn caps(
            &mut self,
            binding: &Binding,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        );
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        fn buffy(&mut self, binding: &Binding, buf: &[u8]);
        /// Handles `rpc testrpc(in string s, out uint32 result)`.
        fn testrpc(&mut self, binding: &Binding, s: &str, reply: TestrpcReply);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Handlers of `test` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Sends basic values.
        pub basic: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, u32, Myenum)>>,
        /// Handles `str(uint32 arg, string s)`.
        pub str: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, u32, &str)>>,
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        pub caps: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, u32, __rt::Cap, __rt::Cap)>,
        >,
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        pub buffy: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, &[u8])>>,
        /// Handles `rpc testrpc(in string s, out uint32 result)`.
        pub testrpc: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, &str, TestrpcReply)>,
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
        fn basic(&mut self, binding: &Binding, arg: u32, e: Myenum) {
            match &mut self.basic {
                __rt::Some(__handler) => __handler(binding, arg, e),
                __rt::None => Rx::error(self, binding, __rt::no_handler("basic")),
            }
        }
        fn str(&mut self, binding: &Binding, arg: u32, s: &str) {
            match &mut self.str {
                __rt::Some(__handler) => __handler(binding, arg, s),
                __rt::None => Rx::error(self, binding, __rt::no_handler("str")),
            }
        }
        fn caps(
            &mut self,
            binding: &Binding,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        ) {
            match &mut self.caps {
                __rt::Some(__handler) => __handler(binding, arg, cap1, cap2),
                __rt::None => Rx::error(self, binding, __rt::no_handler("caps")),
            }
        }
        fn buffy(&mut self, binding: &Binding, buf: &[u8]) {
            match &mut self.buffy {
                __rt::Some(__handler) => __handler(binding, buf),
                __rt::None => Rx::error(self, binding, __rt::no_handler("buffy")),
            }
        }
        fn testrpc(&mut self, binding: &Binding, s: &str, reply: TestrpcReply) {
            match &mut self.testrpc {
                __rt::Some(__handler) => __handler(binding, s, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("testrpc")),
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(INTERFACE, &error),
            }
        }
    }
    /// What can be put behind a binding of `test`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
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
                        __Basic::deliver(
                            __message,
                            |(arg, e)| {
                                Rx::basic(__rx, &Binding(__raw.handle()), arg, e)
                            },
                        )
                    }
                    2 => {
                        __Str::deliver(
                            __message,
                            |(arg, s)| {
                                Rx::str(__rx, &Binding(__raw.handle()), arg, s)
                            },
                        )
                    }
                    3 => {
                        __Caps::deliver(
                            __message,
                            |(arg, cap1, cap2)| {
                                Rx::caps(__rx, &Binding(__raw.handle()), arg, cap1, cap2)
                            },
                        )
                    }
                    4 => {
                        __Buffy::deliver(
                            __message,
                            |(buf,)| { Rx::buffy(__rx, &Binding(__raw.handle()), buf) },
                        )
                    }
                    5 => {
                        __TestrpcCall::deliver(
                            __message,
                            |(__id, s)| {
                                Rx::testrpc(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    s,
                                    TestrpcReply(__rt::ReplyToken::new(__raw, __id, 6)),
                                )
                            },
                        )
                    }
                    6 => __TestrpcResponse::answer(__raw, __message),
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    Rx::error(__rx, __binding, __error)
                },
            )
        }
    }
    /// What one end of `test` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
    /// caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Sends basic values.
        async fn basic(&self, binding: &Binding, arg: u32, e: Myenum);
        /// Handles `str(uint32 arg, string s)`.
        async fn str(&self, binding: &Binding, arg: u32, s: __rt::String);
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        async fn caps(
            &self,
            binding: &Binding,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        );
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        async fn buffy(&self, binding: &Binding, buf: __rt::Vec<u8>);
        /// Handles `rpc testrpc(in string s, out uint32 result)`.
        async fn testrpc(
            &self,
            binding: &Binding,
            s: __rt::String,
        ) -> __rt::Result<u32, __rt::CallbackError>;
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
                        __Basic::deliver_owned(
                            __message,
                            |(arg, e)| {
                                __raw.spawn_handler(__rx, Binding, (arg, e), __R::basic)
                            },
                        )
                    }
                    2 => {
                        __Str::deliver_owned(
                            __message,
                            |(arg, s)| {
                                __raw.spawn_handler(__rx, Binding, (arg, s), __R::str)
                            },
                        )
                    }
                    3 => {
                        __Caps::deliver_owned(
                            __message,
                            |(arg, cap1, cap2)| {
                                __raw
                                    .spawn_handler(__rx, Binding, (arg, cap1, cap2), __R::caps)
                            },
                        )
                    }
                    4 => {
                        __Buffy::deliver_owned(
                            __message,
                            |(buf,)| {
                                __raw.spawn_handler(__rx, Binding, (buf,), __R::buffy)
                            },
                        )
                    }
                    5 => {
                        __TestrpcCall::deliver_owned(
                            __message,
                            |(__id, s)| {
                                let __reply = __rt::ReplyToken::new(__raw, __id, 6);
                                __raw
                                    .spawn_call(
                                        __reply,
                                        __rx,
                                        Binding,
                                        (s,),
                                        __R::testrpc,
                                        |__reply, result| { TestrpcReply(__reply).send(result) },
                                    )
                            },
                        )
                    }
                    6 => __TestrpcResponse::answer(__raw, __message),
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    AsyncRx::error(&**__rx, __binding, __error)
                },
            )
        }
    }
    /// The reply that a caller of `rpc testrpc(in string s, out uint32 result)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct TestrpcReply(__rt::ReplyToken);
    impl TestrpcReply {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller learns
        /// that no reply will come, and the error handler of this end why.
        #[inline]
        pub fn send(self, result: u32) {
            __TestrpcResponse::reply((self.0.id(), result), self.0);
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
    impl __rt::Reply for TestrpcReply {
        type Values = u32;
        #[inline]
        fn decode(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<u32, __rt::DecodeError> {
            __TestrpcResponse::returned(__message)
        }
    }
    /// Calls the remote procedures of `test`.
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
        /// Calls `rpc testrpc(in string s, out uint32 result)` and waits for the reply.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn testrpc(&self, s: &str) -> __rt::Result<u32, __rt::RpcError> {
            let __id = self.0.0.next_call();
            __TestrpcCall::call::<
                TestrpcReply,
                __TestrpcResponse,
            >(&self.0.0, __id, (__id, s), self.1)
        }
        /// As `testrpc`, without waiting: the result is a future.
        #[inline]
        pub fn testrpc_async(&self, s: &str) -> __rt::Call<TestrpcReply> {
            let __id = self.0.0.next_call();
            __TestrpcCall::call_async(&self.0.0, __id, (__id, s), self.1)
        }
    }
    /// One end of a connection that speaks `test`, for any thread.
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
        /// Sends basic values.
        #[inline]
        pub fn send_basic(&self, arg: u32, e: Myenum) -> __rt::SharedSend {
            __Basic::send_shared(&self.0, (arg, e))
        }
        /// Sends `str(uint32 arg, string s)`.
        #[inline]
        pub fn send_str(&self, arg: u32, s: &str) -> __rt::SharedSend {
            __Str::send_shared(&self.0, (arg, s))
        }
        /// Sends `caps(uint32 arg, cap cap1, cap cap2)`.
        #[inline]
        pub fn send_caps(
            &self,
            arg: u32,
            cap1: &__rt::Cap,
            cap2: &__rt::Cap,
        ) -> __rt::SharedSend {
            __Caps::send_shared(&self.0, (arg, cap1, cap2))
        }
        /// Sends `buffy(uint8 buf[buflen, 65536])`.
        #[inline]
        pub fn send_buffy(&self, buf: &[u8]) -> __rt::SharedSend {
            __Buffy::send_shared(&self.0, (buf,))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for SharedBinding {
        type Target = __rt::SharedEndpoint;
        fn deref(&self) -> &__rt::SharedEndpoint {
            &self.0
        }
    }
    /// Calls the remote procedures of `test`, from any thread.
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
        /// Calls `rpc testrpc(in string s, out uint32 result)` and blocks the thread until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; in the thread of the binding's waitset, always. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn testrpc(&self, s: &str) -> __rt::Result<u32, __rt::RpcError> {
            self.testrpc_async(s).wait()
        }
        /// As `testrpc`, without blocking: the result is a future, `Send`.
        #[inline]
        pub fn testrpc_async(&self, s: &str) -> __rt::SharedCall<TestrpcReply> {
            __TestrpcCall::call_shared(&self.0.0, (0, s), self.1)
        }
    }
    /// Any message of `test`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
    /// equals none.
    pub enum Message {
        /// Sends basic values.
        Basic {
            /// `arg`
            arg: u32,
            /// `e`
            e: Myenum,
        },
        /// `str(uint32 arg, string s)`
        Str {
            /// `arg`
            arg: u32,
            /// `s`
            s: __rt::String,
        },
        /// `caps(uint32 arg, cap cap1, cap cap2)`
        Caps {
            /// `arg`
            arg: u32,
            /// `cap1`
            cap1: __rt::Cap,
            /// `cap2`
            cap2: __rt::Cap,
        },
        /// `buffy(uint8 buf[buflen, 65536])`
        Buffy {
            /// `buf`
            buf: __rt::Vec<u8>,
        },
        /// `testrpc_call(string s)`: the call of the rpc.
        TestrpcCall {
            /// The number of the call.
            id: u32,
            /// `s`
            s: __rt::String,
        },
        /// `testrpc_response(uint32 result)`: the response of the rpc.
        TestrpcResponse {
            /// The number of the call.
            id: u32,
            /// `result`
            result: u32,
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
                Self::Basic { arg, e } => __Basic::encode(INTERFACE, (*arg, *e)),
                Self::Str { arg, s } => __Str::encode(INTERFACE, (*arg, s)),
                Self::Caps { arg, cap1, cap2 } => {
                    __Caps::encode(INTERFACE, (*arg, cap1, cap2))
                }
                Self::Buffy { buf } => __Buffy::encode(INTERFACE, (buf,)),
                Self::TestrpcCall { id: __id, s } => {
                    __TestrpcCall::encode(INTERFACE, (*__id, s))
                }
                Self::TestrpcResponse { id: __id, result } => {
                    __TestrpcResponse::encode(INTERFACE, (*__id, *result))
                }
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => __Basic::read(__message, |(arg, e)| Self::Basic { arg, e }),
                2 => __Str::read(__message, |(arg, s)| Self::Str { arg, s }),
                3 => {
                    __Caps::read(
                        __message,
                        |(arg, cap1, cap2)| Self::Caps { arg, cap1, cap2 },
                    )
                }
                4 => __Buffy::read(__message, |(buf,)| Self::Buffy { buf }),
                5 => {
                    __TestrpcCall::read(
                        __message,
                        |(__id, s)| Self::TestrpcCall { id: __id, s },
                    )
                }
                6 => {
                    __TestrpcResponse::read(
                        __message,
                        |(__id, result)| Self::TestrpcResponse {
                            id: __id,
                            result,
                        },
                    )
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
                Self::Basic { arg, e } => {
                    __rt::show(__f, INTERFACE, 1, "Basic", &[arg, e])
                }
                Self::Str { arg, s } => __rt::show(__f, INTERFACE, 2, "Str", &[arg, s]),
                Self::Caps { arg, cap1, cap2 } => {
                    __rt::show(__f, INTERFACE, 3, "Caps", &[arg, cap1, cap2])
                }
                Self::Buffy { buf } => __rt::show(__f, INTERFACE, 4, "Buffy", &[buf]),
                Self::TestrpcCall { id: __id, s } => {
                    __rt::show(__f, INTERFACE, 5, "TestrpcCall", &[__id, s])
                }
                Self::TestrpcResponse { id: __id, result } => {
                    __rt::show(__f, INTERFACE, 6, "TestrpcResponse", &[__id, result])
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
