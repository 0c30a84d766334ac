/// The interface `fails`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod fails {
    use ::flounder::__private as __rt;
    /// `typedef enum { .. } reason;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    #[repr(u32)]
    pub enum Reason {
        Missing = 0,
        Denied = 1,
    }
    #[automatically_derived]
    impl __rt::Shape for Reason {
        const SIZE: __rt::usize = 4;
        const ALIGN: __rt::usize = 4;
        const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
            "enum{MISSING,DENIED}",
            &[],
        );
    }
    #[automatically_derived]
    impl __rt::Encode for Reason {
        #[inline]
        fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
            __rt::put_tag(*self as __rt::u32, __words, __at);
        }
    }
    #[automatically_derived]
    impl<'__a> __rt::Decode<'__a> for Reason {
        #[inline]
        fn take(
            __decoder: &mut __rt::Decoder<'__a>,
            __at: __rt::usize,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            __rt::Ok(
                match __decoder.tag(__at, 2, "reason")? {
                    0 => Self::Missing {},
                    _ => Self::Denied {},
                },
            )
        }
    }
    /// `typedef struct { .. } failure;`
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Failure {
        pub why: __rt::String,
        pub code: __rt::Errval,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <__rt::String as __rt::Shape>::PLACE,
            <__rt::Errval as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Failure {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[
                    <__rt::String as __rt::Shape>::MAX_TAIL,
                    <__rt::Errval as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[
                    <__rt::String as __rt::Shape>::MAX_CAPS,
                    <__rt::Errval as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{why,code}",
                &[
                    <__rt::String as __rt::Shape>::FORM,
                    <__rt::Errval as __rt::Shape>::FORM,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Failure {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { why: __0, code: __1 } = self;
                <__rt::String as __rt::Encode>::check(__0)?;
                <__rt::Errval as __rt::Encode>::check(__1)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { why: __0, code: __1 } = self;
                <__rt::String as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <__rt::Errval as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { why: __0, code: __1 } = self;
                <__rt::String as __rt::Encode>::put_tail(__0, __tail);
                <__rt::Errval as __rt::Encode>::put_tail(__1, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { why: __0, code: __1 } = self;
                <__rt::String as __rt::Encode>::put_caps(__0, __caps);
                <__rt::Errval as __rt::Encode>::put_caps(__1, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Failure {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = <__rt::String as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                let __1 = <__rt::Errval as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { why: __0, code: __1 })
            }
        }
    };
    type __GetCall = __rt::MessageType<1, 1, (__rt::Copied<u32>, __rt::Text<65536>)>;
    type __GetResponse = __rt::MessageType<2, 2, (__rt::Copied<u32>, __rt::Copied<u64>)>;
    type __GetError = __rt::MessageType<3, 1, (__rt::Copied<u32>, __rt::Copied<Reason>)>;
    type __PutCall = __rt::MessageType<
        4,
        2,
        (__rt::Copied<u32>, __rt::Text<65536>, __rt::Copied<u64>),
    >;
    type __PutResponse = __rt::MessageType<5, 1, (__rt::Copied<u32>,)>;
    type __PutError = __rt::MessageType<6, 3, (__rt::Copied<u32>, __rt::Lent<Failure>)>;
    type __OpenCall = __rt::MessageType<7, 1, (__rt::Copied<u32>, __rt::Text<65536>)>;
    type __OpenResponse = __rt::MessageType<
        8,
        1,
        (__rt::Copied<u32>, __rt::Moved, __rt::Slice<u8, 16>),
    >;
    type __OpenError = __rt::MessageType<9, 1, (__rt::Copied<u32>, __rt::Text<65536>)>;
    const __MESSAGES: [__rt::MessageInfo; 9] = __rt::numbered(
        [
            __GetCall::call_info(
                "get_call",
                "key: string[65536]",
                "rpc-call get_call(key:string[65536])",
            ),
            __GetResponse::response_info(
                "get_response",
                "value: uint64",
                "rpc-response get_response(value:uint64)",
            ),
            __GetError::response_info(
                "get_error",
                "error: reason",
                "rpc-error get_error(error:enum{MISSING,DENIED})",
            ),
            __PutCall::call_info(
                "put_call",
                "key: string[65536], value: uint64",
                "rpc-call put_call(key:string[65536],value:uint64)",
            ),
            __PutResponse::response_info(
                "put_response",
                "",
                "rpc-response put_response()",
            ),
            __PutError::response_info(
                "put_error",
                "error: failure",
                "rpc-error put_error(error:{why:string[65536],code:errval})",
            ),
            __OpenCall::call_info(
                "open_call",
                "path: string[65536]",
                "rpc-call open_call(path:string[65536])",
            ),
            __OpenResponse::response_info(
                "open_response",
                "file: give_away_cap, data: uint8[n, 16]",
                "rpc-response open_response(file:give_away_cap,data:uint8[;16])",
            ),
            __OpenError::response_info(
                "open_error",
                "error: string[65536]",
                "rpc-error open_error(error:string[65536])",
            ),
        ],
        [
            169872019725215766628570239349180844767,
            142669159463078658376060813063225844553,
            291769601789925016611289753274368830391,
            107136320202655050778760550281759970300,
            60525816000653146572732232202328375179,
            88143817619262593270514619437836157826,
            60564324652430804033602478447779363812,
            160453174896237312274525059811262052664,
            75814093175251449513855828686356071244,
        ],
    );
    /// Describes the interface `fails`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "fails",
        "fails",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `fails`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local, S: __rt::Side = __rt::ServiceSide>(
        __rt::RawEnd<E>,
        __rt::PhantomData<S>,
    );
    /// The client's end of a connection that speaks `fails`.
    pub type ClientBinding<E = __rt::Local> = Binding<E, __rt::ClientSide>;
    #[inline]
    fn __binding<E: __rt::End, S: __rt::Side>(__end: __rt::RawEnd<E>) -> Binding<E, S> {
        Binding(__end, __rt::PhantomData)
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
    /// What handles the messages of `fails`: an [`Rx`] or a [`ClientRx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
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
    /// What a service of `fails` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Handles `rpc get(in string key, out uint64 value) fails reason`.
        fn get(&mut self, binding: &Binding<E>, key: &str, reply: GetReply<E>);
        /// Handles `rpc put(in string key, in uint64 value) fails failure`.
        fn put(
            &mut self,
            binding: &Binding<E>,
            key: &str,
            value: u64,
            reply: PutReply<E>,
        );
        /// Handles `rpc open(in string path, out give_away_cap file, out uint8 data[n, 16]) fails string`.
        fn open(&mut self, binding: &Binding<E>, path: &str, reply: OpenReply<E>);
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a service of `fails` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `rpc get(in string key, out uint64 value) fails reason`.
        pub get: __closure<dyn __rt::FnMut(&Binding, &str, GetReply)>,
        /// Handles `rpc put(in string key, in uint64 value) fails failure`.
        pub put: __closure<dyn __rt::FnMut(&Binding, &str, u64, PutReply)>,
        /// Handles `rpc open(in string path, out give_away_cap file, out uint8 data[n, 16]) fails string`.
        pub open: __closure<dyn __rt::FnMut(&Binding, &str, OpenReply)>,
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
        fn get(&mut self, binding: &Binding, key: &str, reply: GetReply) {
            match &mut self.get {
                __rt::Some(__handler) => __handler(binding, key, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("get")),
            }
        }
        fn put(&mut self, binding: &Binding, key: &str, value: u64, reply: PutReply) {
            match &mut self.put {
                __rt::Some(__handler) => __handler(binding, key, value, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("put")),
            }
        }
        fn open(&mut self, binding: &Binding, path: &str, reply: OpenReply) {
            match &mut self.open {
                __rt::Some(__handler) => __handler(binding, path, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("open")),
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
                __GetCall::deliver_call(
                    __m,
                    &__b.0,
                    2,
                    |__reply, (__id, key)| Rx::get(__rx, __b, key, GetReply(__reply)),
                )
            }
            4 => {
                __PutCall::deliver_call(
                    __m,
                    &__b.0,
                    5,
                    |__reply, (__id, key, value)| Rx::put(
                        __rx,
                        __b,
                        key,
                        value,
                        PutReply(__reply),
                    ),
                )
            }
            7 => {
                __OpenCall::deliver_call(
                    __m,
                    &__b.0,
                    8,
                    |__reply, (__id, path)| Rx::open(__rx, __b, path, OpenReply(__reply)),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `fails` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `ClientRx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait ClientRx<E: __rt::End = __rt::Local> {
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &ClientBinding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a client of `fails` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct ClientRxVtbl {
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
            2 => return __GetResponse::answer(&__b.0, __m),
            3 => return __GetError::answer(&__b.0, __m),
            5 => return __PutResponse::answer(&__b.0, __m),
            6 => return __PutError::answer(&__b.0, __m),
            8 => return __OpenResponse::answer(&__b.0, __m),
            9 => return __OpenError::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a service of `fails` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `rpc get(in string key, out uint64 value) fails reason`.
        async fn get(
            &self,
            binding: &Binding,
            key: __rt::String,
        ) -> __rt::Result<u64, Reason>;
        /// Handles `rpc put(in string key, in uint64 value) fails failure`.
        async fn put(
            &self,
            binding: &Binding,
            key: __rt::String,
            value: u64,
        ) -> __rt::Result<(), Failure>;
        /// Handles `rpc open(in string path, out give_away_cap file, out uint8 data[n, 16]) fails string`.
        async fn open(
            &self,
            binding: &Binding,
            path: __rt::String,
        ) -> __rt::Result<(__rt::Cap, __rt::Vec<u8>), __rt::String>;
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
                __GetCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::get,
                    2,
                    |__reply, value| { GetReply(__reply).send(value) },
                    |__reply, error| GetReply(__reply).fail(error),
                )
            }
            4 => {
                __PutCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::put,
                    5,
                    |__reply, ()| { PutReply(__reply).send() },
                    |__reply, error| PutReply(__reply).fail(&error),
                )
            }
            7 => {
                __OpenCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::open,
                    8,
                    |__reply, (file, data)| { OpenReply(__reply).send(file, &data) },
                    |__reply, error| OpenReply(__reply).fail(&error),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// The reply that a caller of `rpc get(in string key, out uint64 value) fails reason` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct GetReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> GetReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, value: u64) {
            __GetResponse::reply((self.0.id(), value), self.0);
        }
        /// Sends the error in place of the reply. If it cannot be sent, that has the consequences described at `send`.
        #[inline]
        pub fn fail(self, error: Reason) {
            __GetError::fail((self.0.id(), error), self.0);
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
    impl __rt::Reply for GetReply {
        type Values = __rt::Result<u64, Reason>;
        type Response = __rt::Fallible<__GetResponse, __GetError>;
    }
    /// The reply that a caller of `rpc put(in string key, in uint64 value) fails failure` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct PutReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> PutReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self) {
            __PutResponse::reply((self.0.id(),), self.0);
        }
        /// Sends the error in place of the reply. If it cannot be sent, that has the consequences described at `send`.
        #[inline]
        pub fn fail(self, error: &Failure) {
            __PutError::fail((self.0.id(), error), self.0);
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
    impl __rt::Reply for PutReply {
        type Values = __rt::Result<(), Failure>;
        type Response = __rt::Fallible<__PutResponse, __PutError>;
    }
    /// The reply that a caller of `rpc open(in string path, out give_away_cap file, out uint8 data[n, 16]) fails string` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct OpenReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> OpenReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, file: __rt::Cap, data: &[u8]) {
            let file = __rt::CapToMove::new(file);
            __OpenResponse::reply(
                (self.0.id(), __rt::Giving::CapToMove(&file), data),
                self.0,
            );
        }
        /// Sends the error in place of the reply. If it cannot be sent, that has the consequences described at `send`.
        #[inline]
        pub fn fail(self, error: &str) {
            __OpenError::fail((self.0.id(), error), self.0);
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
    impl __rt::Reply for OpenReply {
        type Values = __rt::Result<(__rt::Cap, __rt::Vec<u8>), __rt::String>;
        type Response = __rt::Fallible<__OpenResponse, __OpenError>;
    }
    /// Calls the remote procedures of `fails`.
    ///
    /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient<E: __rt::End = __rt::Local>(ClientBinding<E>, __rt::Timeout);
    impl<E: __rt::End> RpcClient<E> {
        /// Calls `rpc get(in string key, out uint64 value) fails reason` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn get(
            &self,
            key: &str,
        ) -> __rt::Result<__rt::Result<u64, Reason>, __rt::RpcError> {
            let __id = self.0.0.next_call();
            __GetCall::call::<E, GetReply>(&self.0.0, __id, (__id, key), self.1)
        }
        /// Makes the call of `get`: the result is a future.
        pub fn get_async(&self, key: &str) -> __rt::Call<GetReply, E> {
            let __id = self.0.0.next_call();
            __GetCall::call_async(&self.0.0, __id, (__id, key), self.1)
        }
        /// Calls `rpc put(in string key, in uint64 value) fails failure` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn put(
            &self,
            key: &str,
            value: u64,
        ) -> __rt::Result<__rt::Result<(), Failure>, __rt::RpcError> {
            let __id = self.0.0.next_call();
            __PutCall::call::<E, PutReply>(&self.0.0, __id, (__id, key, value), self.1)
        }
        /// Makes the call of `put`: the result is a future.
        pub fn put_async(&self, key: &str, value: u64) -> __rt::Call<PutReply, E> {
            let __id = self.0.0.next_call();
            __PutCall::call_async(&self.0.0, __id, (__id, key, value), self.1)
        }
        /// Calls `rpc open(in string path, out give_away_cap file, out uint8 data[n, 16]) fails string` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn open(
            &self,
            path: &str,
        ) -> __rt::Result<
            __rt::Result<(__rt::Cap, __rt::Vec<u8>), __rt::String>,
            __rt::RpcError,
        > {
            let __id = self.0.0.next_call();
            __OpenCall::call::<E, OpenReply>(&self.0.0, __id, (__id, path), self.1)
        }
        /// Makes the call of `open`: the result is a future.
        pub fn open_async(&self, path: &str) -> __rt::Call<OpenReply, E> {
            let __id = self.0.0.next_call();
            __OpenCall::call_async(&self.0.0, __id, (__id, path), self.1)
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
    /// Any message of `fails`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// `get_call(string key)`: the call of the rpc.
        GetCall {
            /// The number of the call.
            id: u32,
            key: __rt::String,
        },
        /// `get_response(uint64 value)`: the response of the rpc.
        GetResponse {
            /// The number of the call.
            id: u32,
            value: u64,
        },
        /// `get_error(reason error)`: the error of the rpc.
        GetError {
            /// The number of the call.
            id: u32,
            error: Reason,
        },
        /// `put_call(string key, uint64 value)`: the call of the rpc.
        PutCall {
            /// The number of the call.
            id: u32,
            key: __rt::String,
            value: u64,
        },
        /// `put_response()`: the response of the rpc.
        PutResponse {
            /// The number of the call.
            id: u32,
        },
        /// `put_error(failure error)`: the error of the rpc.
        PutError {
            /// The number of the call.
            id: u32,
            error: Failure,
        },
        /// `open_call(string path)`: the call of the rpc.
        OpenCall {
            /// The number of the call.
            id: u32,
            path: __rt::String,
        },
        /// `open_response(give_away_cap file, uint8 data[n, 16])`: the response of the rpc.
        OpenResponse {
            /// The number of the call.
            id: u32,
            file: __rt::Cap,
            data: __rt::Vec<u8>,
        },
        /// `open_error(string error)`: the error of the rpc.
        OpenError {
            /// The number of the call.
            id: u32,
            error: __rt::String,
        },
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            match self {
                Self::GetCall { id, key } => __GetCall::encode(INTERFACE, (*id, key)),
                Self::GetResponse { id, value } => {
                    __GetResponse::encode(INTERFACE, (*id, *value))
                }
                Self::GetError { id, error } => {
                    __GetError::encode(INTERFACE, (*id, *error))
                }
                Self::PutCall { id, key, value } => {
                    __PutCall::encode(INTERFACE, (*id, key, *value))
                }
                Self::PutResponse { id } => __PutResponse::encode(INTERFACE, (*id,)),
                Self::PutError { id, error } => {
                    __PutError::encode(INTERFACE, (*id, error))
                }
                Self::OpenCall { id, path } => __OpenCall::encode(INTERFACE, (*id, path)),
                Self::OpenResponse { id, file, data } => {
                    __OpenResponse::encode(
                        INTERFACE,
                        (*id, __rt::Giving::Copy(file), data),
                    )
                }
                Self::OpenError { id, error } => {
                    __OpenError::encode(INTERFACE, (*id, error))
                }
            }
        }
        #[inline]
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __GetCall::read(__m, |(id, key)| Self::GetCall { id, key }),
                2 => {
                    __GetResponse::read(
                        __m,
                        |(id, value)| Self::GetResponse { id, value },
                    )
                }
                3 => __GetError::read(__m, |(id, error)| Self::GetError { id, error }),
                4 => {
                    __PutCall::read(
                        __m,
                        |(id, key, value)| Self::PutCall { id, key, value },
                    )
                }
                5 => __PutResponse::read(__m, |(id,)| Self::PutResponse { id }),
                6 => __PutError::read(__m, |(id, error)| Self::PutError { id, error }),
                7 => __OpenCall::read(__m, |(id, path)| Self::OpenCall { id, path }),
                8 => {
                    __OpenResponse::read(
                        __m,
                        |(id, file, data)| Self::OpenResponse {
                            id,
                            file,
                            data,
                        },
                    )
                }
                9 => __OpenError::read(__m, |(id, error)| Self::OpenError { id, error }),
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
