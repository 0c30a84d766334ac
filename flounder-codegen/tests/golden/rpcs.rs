/// The interface `rpcs`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod rpcs {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } entry;`
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Entry {
        pub name: __rt::String,
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
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{name,size}",
                &[<__rt::String as __rt::Shape>::FORM, <u64 as __rt::Shape>::FORM],
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
                let __0 = <__rt::String as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                let __1 = <u64 as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[1])?;
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
    const __MESSAGES: [__rt::MessageInfo; 8] = __rt::numbered(
        [
            __PingCall::call_info("ping_call", "", "rpc-call ping_call()"),
            __PingResponse::response_info(
                "ping_response",
                "",
                "rpc-response ping_response()",
            ),
            __OneCall::call_info(
                "one_call",
                "reply: uint32, binding: string[65536]",
                "rpc-call one_call(reply:uint32,binding:string[65536])",
            ),
            __OneResponse::response_info(
                "one_response",
                "s: string[65536]",
                "rpc-response one_response(s:string[65536])",
            ),
            __ManyCall::call_info(
                "many_call",
                "e: entry, key: uint8[key_len, 32]",
                "rpc-call many_call(e:{name:string[65536],size:uint64},key:uint8[;32])",
            ),
            __ManyResponse::response_info(
                "many_response",
                "found: entry[n, 100], data: uint8[len, 65536], names: string[65536][m, 65536]",
                "rpc-response many_response(found:{name:string[65536],size:uint64}[;100],data:uint8[;65536],names:string[65536][;65536])",
            ),
            __Ask::info("ask", "token: uint32", "call ask(token:uint32)"),
            __Answer::info(
                "answer",
                "token: uint32, err: errval",
                "response answer(token:uint32,err:errval)",
            ),
        ],
        [
            51595523843201080921430445317355269382,
            156078301340516475231160607692214558833,
            152183435731338542281013111249378356878,
            13357846369336494140321016555968630085,
            178293217830059666357375581871349396673,
            335770545456370672814039324617123955832,
            320329308753797479724040440559896505049,
            95358186806584600723354843388269263867,
        ],
    );
    /// Describes the interface `rpcs`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "rpcs",
        "rpcs",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `rpcs`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local, S: __rt::Side = __rt::ServiceSide>(
        __rt::RawEnd<E>,
        __rt::PhantomData<S>,
    );
    /// The client's end of a connection that speaks `rpcs`.
    pub type ClientBinding<E = __rt::Local> = Binding<E, __rt::ClientSide>;
    #[inline]
    fn __binding<E: __rt::End, S: __rt::Side>(__end: __rt::RawEnd<E>) -> Binding<E, S> {
        Binding(__end, __rt::PhantomData)
    }
    impl<E: __rt::End> Binding<E> {
        /// Sends `answer(uint32 token, errval err)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_answer(&self, token: u32, err: __rt::Errval) -> __sent<'_, E> {
            __Answer::tx(&self.0, (token, err))
        }
        /// Sends `answer(uint32 token, errval err)` once the binding is not busy.
        pub fn send_answer(
            &self,
            token: u32,
            err: __rt::Errval,
        ) -> __rt::Sending<'_, E> {
            __Answer::sending(&self.0, (token, err))
        }
        /// Receives the next `ask(uint32 token)`; the inbox keeps others.
        pub fn recv_ask(&self) -> __rt::Receiving<'_, u32, E> {
            __Ask::recv(&self.0)
        }
    }
    impl<E: __rt::End> Binding<E, __rt::ClientSide> {
        /// Sends `ask(uint32 token)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_ask(&self, token: u32) -> __sent<'_, E> {
            __Ask::tx(&self.0, (token,))
        }
        /// Sends `ask(uint32 token)` once the binding is not busy.
        pub fn send_ask(&self, token: u32) -> __rt::Sending<'_, E> {
            __Ask::sending(&self.0, (token,))
        }
        /// Receives the next `answer(uint32 token, errval err)`; the inbox keeps others.
        pub fn recv_answer(&self) -> __rt::Receiving<'_, (u32, __rt::Errval), E> {
            __Answer::recv(&self.0)
        }
    }
    impl<E: __rt::End, S: __rt::Side> Binding<E, S> {
        /// Sends a message that is a value: `tx_*` with copies of all capabilities, also those that would be given away.
        pub fn tx(&self, message: &Message) -> __sent<'_, E> {
            self.0.send_message(message, S::RECEIVES)
        }
        /// Receives the next message of the `Inbox` that the binding was made with.
        pub fn recv(&self) -> __rt::Receiving<'_, Message, E> {
            self.0.recv()
        }
        /// Receives the messages of the `Inbox` as a stream, until the binding has ended.
        pub fn messages(&self) -> __rt::Messages<'_, Message, E> {
            self.0.messages()
        }
        /// Returns an end for any thread, which is `Send` and `Sync`. The handlers stay in the thread of the waitset.
        pub fn shared(&self) -> Binding<__rt::Shared, S> {
            __binding(self.0.shared())
        }
        /// Returns the process at the other end.
        pub fn peer(&self) -> &__rt::Peer {
            self.0.peer()
        }
        /// Returns the name of the driver.
        pub fn driver(&self) -> &'static __rt::str {
            self.0.driver()
        }
        /// Returns the reason why the binding ended, if it has.
        pub fn ended(&self) -> __rt::Option<__rt::BindingError> {
            self.0.ended()
        }
        /// Tears the binding down, without blocking. The peer receives what was accepted, and then `BindingError::Closed`.
        pub fn teardown(&self) {
            self.0.teardown();
        }
        /// Tears the binding down. The future completes when everything that was accepted is sent.
        pub fn close(&self) -> __rt::Closing<E> {
            self.0.close()
        }
        /// Returns true if a message would be accepted now.
        pub fn can_send(&self) -> __rt::bool {
            self.0.can_send()
        }
        /// Gives the binding another priority among the bindings of its waitset. Does nothing once the binding has ended.
        pub fn set_priority(&self, priority: __rt::Priority) {
            self.0.set_priority(priority);
        }
    }
    type __sent<'a, E> = __rt::Result<__rt::Sent<'a, E>, __rt::TxError>;
    type __controlled = __rt::Result<(), __rt::ControlError>;
    impl<S: __rt::Side> Binding<__rt::Local, S> {
        /// Runs `callback` once from `waitset` when a message is likely to be accepted. Fails if another callback waits.
        pub fn register_send(
            &self,
            waitset: &__rt::Waitset,
            callback: impl __rt::FnOnce(&__rt::Waitset) -> __rt::Outcome + 'static,
        ) -> __controlled {
            self.0.0.register_send(waitset, callback)
        }
        /// Returns the waitset that serves the binding, unless it is gone.
        pub fn waitset(&self) -> __rt::Option<__rt::Waitset> {
            self.0.0.waitset()
        }
        /// Moves the binding to another waitset of this thread. Fails if that cannot watch the channel.
        pub fn change_waitset(&self, waitset: &__rt::Waitset) -> __controlled {
            self.0.0.change_waitset(waitset)
        }
        /// Executes a control operation. A driver ignores an operation that it has no use for.
        pub fn control(&self, control: __rt::Control) -> __controlled {
            self.0.0.control(control)
        }
    }
    impl<S: __rt::Side> Binding<__rt::Shared, S> {
        /// Runs `callback` once from `waitset` when a message is likely to be accepted. Fails if another callback waits.
        pub fn register_send(
            &self,
            waitset: &__rt::SharedWaitset,
            callback: impl __rt::FnOnce(
                &__rt::SharedWaitset,
            ) -> __rt::Outcome + __rt::Send + 'static,
        ) -> __controlled {
            self.0.0.register_send(waitset, callback)
        }
        /// Moves a binding of a `SharedWaitset` to another one. Fails if that cannot watch the channel, or the binding
        /// belongs to one thread.
        pub fn change_waitset(&self, waitset: &__rt::SharedWaitset) -> __controlled {
            self.0.0.change_waitset(waitset)
        }
    }
    #[automatically_derived]
    impl<S: __rt::Side> __rt::AsRaw for Binding<__rt::Local, S> {
        fn as_raw(&self) -> &__rt::RawBinding {
            &self.0.0
        }
    }
    /// What handles the messages of `rpcs`: an [`Rx`] or a [`ClientRx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
    pub trait Handlers<
        E: __rt::End = __rt::Local,
        S: __rt::Side = __rt::ServiceSide,
    >: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::BoxDispatch<E>;
    }
    #[automatically_derived]
    impl<E: __rt::End, S: __rt::Side> Handlers<E, S> for () {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::nothing::<E, Message>(S::RECEIVES)
        }
    }
    #[automatically_derived]
    impl<E: __rt::End, S: __rt::Side, __R: Handlers<E, S>> Handlers<E, S>
    for __rt::Inbox<Binding<E, S>, __R> {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::inbox(self, S::RECEIVES, __binding, __R::__deliver)
        }
    }
    /// What a service of `rpcs` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Nothing in, nothing out.
        fn ping(&mut self, binding: &Binding<E>, reply: PingReply<E>);
        /// Handles `rpc one(in uint32 reply, in string binding, out string s)`.
        fn one(
            &mut self,
            __binding: &Binding<E>,
            reply: u32,
            binding: &str,
            __reply: OneReply<E>,
        );
        /// Handles `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])`.
        fn many(
            &mut self,
            binding: &Binding<E>,
            e: Entry,
            key: &[u8],
            reply: ManyReply<E>,
        );
        /// Handles `ask(uint32 token)`.
        fn ask(&mut self, binding: &Binding<E>, token: u32);
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a service of `rpcs` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Nothing in, nothing out.
        pub ping: __closure<dyn __rt::FnMut(&Binding, PingReply)>,
        /// Handles `rpc one(in uint32 reply, in string binding, out string s)`.
        pub one: __closure<dyn __rt::FnMut(&Binding, u32, &str, OneReply)>,
        /// Handles `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])`.
        pub many: __closure<dyn __rt::FnMut(&Binding, Entry, &[u8], ManyReply)>,
        /// Handles `ask(uint32 token)`.
        pub ask: __closure<dyn __rt::FnMut(&Binding, u32)>,
        /// The binding has been made, and may send. Runs before any other handler.
        pub connected: __closure<dyn __rt::FnMut(&Binding)>,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __closure<dyn __rt::FnMut(&Binding, __rt::BindingError)>,
    }
    type __closure<F> = __rt::Option<__rt::Box<F>>;
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
        fn connected(&mut self, binding: &Binding) {
            if let __rt::Some(__handler) = &mut self.connected {
                __handler(binding);
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(&binding.0, error),
            }
        }
    }
    #[automatically_derived]
    impl<__R: Rx + 'static> Handlers<__rt::Local> for __R {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::dispatcher(
                self,
                __binding,
                __deliver,
                Rx::error,
                __rt::Some(Rx::connected),
            )
        }
    }
    #[automatically_derived]
    impl<__R: Rx<__rt::Shared> + __rt::Send + 'static> Handlers<__rt::Shared> for __R {
        fn __deliver(self) -> __rt::BoxDispatch<__rt::Shared> {
            __rt::shared_dispatcher(
                self,
                __binding,
                __deliver,
                Rx::error,
                __rt::Some(Rx::connected),
            )
        }
    }
    #[inline(always)]
    fn __deliver<E: __rt::End, __R: Rx<E>>(
        __rx: &mut __R,
        __b: &Binding<E>,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            1 => {
                __PingCall::deliver_call(
                    __m,
                    &__b.0,
                    2,
                    |__reply, (__id,)| Rx::ping(__rx, __b, PingReply(__reply)),
                )
            }
            3 => {
                __OneCall::deliver_call(
                    __m,
                    &__b.0,
                    4,
                    |__reply, (__id, reply, binding)| Rx::one(
                        __rx,
                        __b,
                        reply,
                        binding,
                        OneReply(__reply),
                    ),
                )
            }
            5 => {
                __ManyCall::deliver_call(
                    __m,
                    &__b.0,
                    6,
                    |__reply, (__id, e, key)| Rx::many(
                        __rx,
                        __b,
                        e,
                        key,
                        ManyReply(__reply),
                    ),
                )
            }
            7 => __Ask::deliver(__m, |(token,)| Rx::ask(__rx, __b, token)),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `rpcs` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `ClientRx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait ClientRx<E: __rt::End = __rt::Local> {
        /// Handles `answer(uint32 token, errval err)`.
        fn answer(&mut self, binding: &ClientBinding<E>, token: u32, err: __rt::Errval);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &ClientBinding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a client of `rpcs` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct ClientRxVtbl {
        /// Handles `answer(uint32 token, errval err)`.
        pub answer: __closure<dyn __rt::FnMut(&ClientBinding, u32, __rt::Errval)>,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __closure<dyn __rt::FnMut(&ClientBinding, __rt::BindingError)>,
    }
    #[automatically_derived]
    impl __rt::Debug for ClientRxVtbl {
        fn fmt(&self, __f: &mut __rt::Formatter<'_>) -> __rt::fmt::Result {
            __rt::closures(__f)
        }
    }
    #[automatically_derived]
    impl ClientRx for ClientRxVtbl {
        fn answer(&mut self, binding: &ClientBinding, token: u32, err: __rt::Errval) {
            match &mut self.answer {
                __rt::Some(__handler) => __handler(binding, token, err),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("answer")),
            }
        }
        fn error(&mut self, binding: &ClientBinding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(&binding.0, error),
            }
        }
    }
    #[automatically_derived]
    impl<__R: ClientRx + 'static> Handlers<__rt::Local, __rt::ClientSide> for __R {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::dispatcher(
                self,
                __binding,
                __deliver_client,
                ClientRx::error,
                __rt::None,
            )
        }
    }
    #[automatically_derived]
    impl<
        __R: ClientRx<__rt::Shared> + __rt::Send + 'static,
    > Handlers<__rt::Shared, __rt::ClientSide> for __R {
        fn __deliver(self) -> __rt::BoxDispatch<__rt::Shared> {
            __rt::shared_dispatcher(
                self,
                __binding,
                __deliver_client,
                ClientRx::error,
                __rt::None,
            )
        }
    }
    #[inline(always)]
    fn __deliver_client<E: __rt::End, __R: ClientRx<E>>(
        __rx: &mut __R,
        __b: &Binding<E, __rt::ClientSide>,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            2 => return __PingResponse::answer(&__b.0, __m),
            4 => return __OneResponse::answer(&__b.0, __m),
            6 => return __ManyResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            8 => {
                __Answer::deliver(
                    __m,
                    |(token, err)| ClientRx::answer(__rx, __b, token, err),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a service of `rpcs` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
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
        /// The binding has been made, and may send. Starts before any other handler.
        async fn connected(&self, binding: &Binding) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&self, binding: &Binding, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    #[automatically_derived]
    impl<__R: AsyncRx + 'static> Handlers for __rt::Async<__R> {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::async_dispatcher(
                self.0,
                __binding,
                __deliver_async,
                __R::error,
                __rt::Some(|__rx, __b| {
                    __b.0.0.spawn(__rx, __rt::Clone::clone(__b), (), __R::connected);
                }),
            )
        }
    }
    fn __deliver_async<__R: AsyncRx + 'static>(
        __rx: &mut __rt::Rc<__R>,
        __b: &Binding,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            1 => {
                __PingCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::ping,
                    2,
                    |__reply, ()| { PingReply(__reply).send() },
                    __rt::handler_failed,
                )
            }
            3 => {
                __OneCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::one,
                    4,
                    |__reply, s| { OneReply(__reply).send(&s) },
                    __rt::handler_failed,
                )
            }
            5 => {
                __ManyCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::many,
                    6,
                    |__reply, (found, data, names)| {
                        ManyReply(__reply).send(&found, &data, &names)
                    },
                    __rt::handler_failed,
                )
            }
            7 => __Ask::spawn(__m, __rx, __b, __R::ask),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `rpcs` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncClientRx {
        /// Handles `answer(uint32 token, errval err)`.
        async fn answer(&self, binding: &ClientBinding, token: u32, err: __rt::Errval);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&self, binding: &ClientBinding, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    #[automatically_derived]
    impl<__R: AsyncClientRx + 'static> Handlers<__rt::Local, __rt::ClientSide>
    for __rt::Async<__R> {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::async_dispatcher(
                self.0,
                __binding,
                __deliver_async_client,
                __R::error,
                __rt::None,
            )
        }
    }
    fn __deliver_async_client<__R: AsyncClientRx + 'static>(
        __rx: &mut __rt::Rc<__R>,
        __b: &ClientBinding,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            2 => return __PingResponse::answer(&__b.0, __m),
            4 => return __OneResponse::answer(&__b.0, __m),
            6 => return __ManyResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            8 => __Answer::spawn(__m, __rx, __b, __R::answer),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// The reply that a caller of `rpc ping()` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct PingReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> PingReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self) {
            __PingResponse::reply((self.0.id(),), self.0);
        }
        /// Refuses the call: the caller gets `RpcError::Refused`, and knows that the call was not carried out.
        #[cold]
        pub fn refuse(self, refusal: __rt::Refusal) {
            self.0.refuse(refusal);
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_, E> {
            self.0.cancelled()
        }
    }
    #[automatically_derived]
    impl __rt::Reply for PingReply {
        type Values = ();
        type Response = __PingResponse;
    }
    /// The reply that a caller of `rpc one(in uint32 reply, in string binding, out string s)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct OneReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> OneReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, s: &str) {
            __OneResponse::reply((self.0.id(), s), self.0);
        }
        /// Refuses the call: the caller gets `RpcError::Refused`, and knows that the call was not carried out.
        #[cold]
        pub fn refuse(self, refusal: __rt::Refusal) {
            self.0.refuse(refusal);
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_, E> {
            self.0.cancelled()
        }
    }
    #[automatically_derived]
    impl __rt::Reply for OneReply {
        type Values = __rt::String;
        type Response = __OneResponse;
    }
    /// The reply that a caller of `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct ManyReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> ManyReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, found: &[Entry], data: &[u8], names: &[impl __rt::TextItem]) {
            __ManyResponse::reply(
                (self.0.id(), found, data, __rt::TextItem::strings(names)),
                self.0,
            );
        }
        /// Refuses the call: the caller gets `RpcError::Refused`, and knows that the call was not carried out.
        #[cold]
        pub fn refuse(self, refusal: __rt::Refusal) {
            self.0.refuse(refusal);
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_, E> {
            self.0.cancelled()
        }
    }
    #[automatically_derived]
    impl __rt::Reply for ManyReply {
        type Values = (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>);
        type Response = __ManyResponse;
    }
    /// Calls the remote procedures of `rpcs`.
    ///
    /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient<E: __rt::End = __rt::Local>(ClientBinding<E>, __rt::Timeout);
    impl<E: __rt::End> RpcClient<E> {
        /// Nothing in, nothing out.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn ping(&self) -> __rt::Result<(), __rt::RpcError> {
            let __id = self.0.0.next_call();
            __PingCall::call::<E, PingReply>(&self.0.0, __id, (__id,), self.1)
        }
        /// Makes the call of `ping`: the result is a future.
        pub fn ping_async(&self) -> __rt::Call<PingReply, E> {
            let __id = self.0.0.next_call();
            __PingCall::call_async(&self.0.0, __id, (__id,), self.1)
        }
        /// Calls `rpc one(in uint32 reply, in string binding, out string s)` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn one(
            &self,
            reply: u32,
            binding: &str,
        ) -> __rt::Result<__rt::String, __rt::RpcError> {
            let __id = self.0.0.next_call();
            __OneCall::call::<
                E,
                OneReply,
            >(&self.0.0, __id, (__id, reply, binding), self.1)
        }
        /// Makes the call of `one`: the result is a future.
        pub fn one_async(&self, reply: u32, binding: &str) -> __rt::Call<OneReply, E> {
            let __id = self.0.0.next_call();
            __OneCall::call_async(&self.0.0, __id, (__id, reply, binding), self.1)
        }
        /// Calls `rpc many(in entry e, in uint8 key[key_len, 32], out entry found[n, 100], out uint8 data[len, 65536], out string names[m, 65536])` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn many(
            &self,
            e: &Entry,
            key: &[u8],
        ) -> __rt::Result<
            (__rt::Vec<Entry>, __rt::Vec<u8>, __rt::Vec<__rt::String>),
            __rt::RpcError,
        > {
            let __id = self.0.0.next_call();
            __ManyCall::call::<E, ManyReply>(&self.0.0, __id, (__id, e, key), self.1)
        }
        /// Makes the call of `many`: the result is a future.
        pub fn many_async(&self, e: &Entry, key: &[u8]) -> __rt::Call<ManyReply, E> {
            let __id = self.0.0.next_call();
            __ManyCall::call_async(&self.0.0, __id, (__id, e, key), self.1)
        }
        /// Returns a client over a binding.
        pub fn new(binding: &ClientBinding<E>) -> Self {
            Self(__rt::Clone::clone(binding), __rt::Timeout::Default)
        }
        /// Returns a client whose calls end with an error if they take longer than this. `Duration::MAX` is no limit.
        #[must_use]
        pub fn timeout(&self, timeout: __rt::Duration) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::For(timeout))
        }
        /// Returns a client whose calls end with an error if they are not done by then.
        #[must_use]
        pub fn deadline(&self, deadline: __rt::Instant) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::Until(deadline))
        }
        /// Returns the binding.
        pub fn binding(&self) -> &ClientBinding<E> {
            &self.0
        }
        /// Returns a client for any thread, which is `Send` and `Sync`.
        pub fn shared(&self) -> RpcClient<__rt::Shared> {
            RpcClient(self.0.shared(), self.1)
        }
    }
    /// Any message of `rpcs`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
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
            reply: u32,
            binding: __rt::String,
        },
        /// `one_response(string s)`: the response of the rpc.
        OneResponse {
            /// The number of the call.
            id: u32,
            s: __rt::String,
        },
        /// `many_call(entry e, uint8 key[key_len, 32])`: the call of the rpc.
        ManyCall {
            /// The number of the call.
            id: u32,
            e: Entry,
            key: __rt::Vec<u8>,
        },
        /// `many_response(entry found[n, 100], uint8 data[len, 65536], string names[m, 65536])`: the response of the rpc.
        ManyResponse {
            /// The number of the call.
            id: u32,
            found: __rt::Vec<Entry>,
            data: __rt::Vec<u8>,
            names: __rt::Vec<__rt::String>,
        },
        /// `ask(uint32 token)`
        Ask { token: u32 },
        /// `answer(uint32 token, errval err)`
        Answer { token: u32, err: __rt::Errval },
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            match self {
                Self::PingCall { id } => __PingCall::encode(INTERFACE, (*id,)),
                Self::PingResponse { id } => __PingResponse::encode(INTERFACE, (*id,)),
                Self::OneCall { id, reply, binding } => {
                    __OneCall::encode(INTERFACE, (*id, *reply, binding))
                }
                Self::OneResponse { id, s } => __OneResponse::encode(INTERFACE, (*id, s)),
                Self::ManyCall { id, e, key } => {
                    __ManyCall::encode(INTERFACE, (*id, e, key))
                }
                Self::ManyResponse { id, found, data, names } => {
                    __ManyResponse::encode(
                        INTERFACE,
                        (*id, found, data, __rt::TextItem::strings(names)),
                    )
                }
                Self::Ask { token } => __Ask::encode(INTERFACE, (*token,)),
                Self::Answer { token, err } => {
                    __Answer::encode(INTERFACE, (*token, *err))
                }
            }
        }
        #[inline]
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __PingCall::read(__m, |(id,)| Self::PingCall { id }),
                2 => __PingResponse::read(__m, |(id,)| Self::PingResponse { id }),
                3 => {
                    __OneCall::read(
                        __m,
                        |(id, reply, binding)| Self::OneCall {
                            id,
                            reply,
                            binding,
                        },
                    )
                }
                4 => __OneResponse::read(__m, |(id, s)| Self::OneResponse { id, s }),
                5 => __ManyCall::read(__m, |(id, e, key)| Self::ManyCall { id, e, key }),
                6 => {
                    __ManyResponse::read(
                        __m,
                        |(id, found, data, names)| Self::ManyResponse {
                            id,
                            found,
                            data,
                            names,
                        },
                    )
                }
                7 => __Ask::read(__m, |(token,)| Self::Ask { token }),
                8 => __Answer::read(__m, |(token, err)| Self::Answer { token, err }),
                __number => __rt::stray(INTERFACE, __number),
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
    /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
    pub fn export<W: __rt::AnyWaitset, C, X>(waitset: &W, connect: C) -> W::Export
    where
        C: __rt::FnMut(&__rt::Peer) -> __rt::Result<X, __rt::Refusal>
            + __rt::Connects<W::End, X>,
        X: Handlers<W::End>,
    {
        __rt::export(waitset, INTERFACE, __rt::broker(), connect, X::__deliver)
    }
    /// Connects to the service that `iref` names; `rx` handles what it sends.
    pub fn bind<W: __rt::AnyWaitset, X: Handlers<W::End, __rt::ClientSide>>(
        iref: __rt::Iref,
        waitset: &W,
        rx: X,
    ) -> W::Bind<ClientBinding<W::End>> {
        __rt::bind(iref, waitset, INTERFACE, __rt::broker(), rx.__deliver(), __binding)
    }
    /// Makes a binding over one end of a channel that the caller has; `rx` handles what it receives. The binding ends when
    /// its last handle is dropped. Its peer is unknown. Fails if the waitset cannot watch the channel.
    pub fn over<S: __rt::Side>(
        channel: __rt::Box<dyn __rt::Channel>,
        waitset: &__rt::Waitset,
        rx: impl Handlers<__rt::Local, S>,
    ) -> __rt::io::Result<Binding<__rt::Local, S>> {
        __rt::attach(channel, waitset, INTERFACE, rx.__deliver()).map(__binding)
    }
    /// Offers the service under `name`, in a thread of the library. `handlers` makes the handlers of each client.
    pub fn serve<S, X>(name: &__rt::str, mut handlers: S) -> __rt::Serve
    where
        S: __rt::FnMut() -> X + __rt::Send + 'static,
        X: Handlers,
    {
        __rt::serve(name, INTERFACE, move || handlers().__deliver())
    }
    /// Connects to the service called `name`, once there is one, for any thread.
    #[inline]
    pub fn connect(name: &__rt::str) -> __connect {
        __rt::connect::<Message, _, _>(name, |__e| __binding(__e.shared()), __binding)
    }
    type __connect = __rt::Connect<
        ClientBinding<__rt::Shared>,
        __rt::Again<ClientBinding<__rt::Reconnecting>>,
    >;
}
