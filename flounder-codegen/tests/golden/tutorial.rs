/// The interface of the tutorial.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod test {
    use ::flounder::__private as __rt;
    /// `typedef enum { .. } myenum;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    #[repr(u32)]
    pub enum Myenum {
        Foo = 0,
        Bar = 1,
        Baz = 2,
    }
    #[automatically_derived]
    impl __rt::Shape for Myenum {
        const SIZE: __rt::usize = 4;
        const ALIGN: __rt::usize = 4;
        const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
            "enum{FOO,BAR,BAZ}",
            &[],
        );
    }
    #[automatically_derived]
    impl __rt::Encode for Myenum {
        #[inline]
        fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
            __rt::put_tag(*self as __rt::u32, __words, __at);
        }
    }
    #[automatically_derived]
    impl<'__a> __rt::Decode<'__a> for Myenum {
        #[inline]
        fn take(
            __decoder: &mut __rt::Decoder<'__a>,
            __at: __rt::usize,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            __rt::Ok(
                match __decoder.tag(__at, 3, "myenum")? {
                    0 => Self::Foo {},
                    1 => Self::Bar {},
                    _ => Self::Baz {},
                },
            )
        }
    }
    /// `typedef struct { .. } point;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Point {
        pub x: u32,
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
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{x,y}",
                &[<u32 as __rt::Shape>::FORM, <u32 as __rt::Shape>::FORM],
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
    const __MESSAGES: [__rt::MessageInfo; 6] = __rt::numbered(
        [
            __Basic::info(
                "basic",
                "arg: uint32, e: myenum",
                "message basic(arg:uint32,e:enum{FOO,BAR,BAZ})",
            ),
            __Str::info(
                "str",
                "arg: uint32, s: string[65536]",
                "message str(arg:uint32,s:string[65536])",
            ),
            __Caps::info(
                "caps",
                "arg: uint32, cap1: cap, cap2: cap",
                "message caps(arg:uint32,cap1:cap,cap2:cap)",
            ),
            __Buffy::info(
                "buffy",
                "buf: uint8[buflen, 65536]",
                "message buffy(buf:uint8[;65536])",
            ),
            __TestrpcCall::call_info(
                "testrpc_call",
                "s: string[65536]",
                "rpc-call testrpc_call(s:string[65536])",
            ),
            __TestrpcResponse::response_info(
                "testrpc_response",
                "result: uint32",
                "rpc-response testrpc_response(result:uint32)",
            ),
        ],
        [
            71123757155009377649836330666141386063,
            6022052201044314383049808791948979676,
            194872896028370605901615968100544766922,
            191103372994197126844784031093427357631,
            112235472364153691937880696844680916093,
            76424005421384084096614228554611769022,
        ],
    );
    /// Describes the interface `test`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "test",
        "Test interface",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `test`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local, S: __rt::Side = __rt::ServiceSide>(
        __rt::RawEnd<E>,
        __rt::PhantomData<S>,
    );
    /// The client's end of a connection that speaks `test`.
    pub type ClientBinding<E = __rt::Local> = Binding<E, __rt::ClientSide>;
    #[inline]
    fn __binding<E: __rt::End, S: __rt::Side>(__end: __rt::RawEnd<E>) -> Binding<E, S> {
        Binding(__end, __rt::PhantomData)
    }
    impl<E: __rt::End, S: __rt::Side> Binding<E, S> {
        /// Sends basic values.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_basic(&self, arg: u32, e: Myenum) -> __sent<'_, E> {
            __Basic::tx(&self.0, (arg, e))
        }
        /// Sends `basic(uint32 arg, myenum e)` once the binding is not busy.
        pub fn send_basic(&self, arg: u32, e: Myenum) -> __rt::Sending<'_, E> {
            __Basic::sending(&self.0, (arg, e))
        }
        /// Sends `str(uint32 arg, string s)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_str(&self, arg: u32, s: &str) -> __sent<'_, E> {
            __Str::tx(&self.0, (arg, s))
        }
        /// Sends `str(uint32 arg, string s)` once the binding is not busy.
        pub fn send_str<'a>(&'a self, arg: u32, s: &'a str) -> __rt::Sending<'a, E> {
            __Str::sending(&self.0, (arg, s))
        }
        /// Sends `caps(uint32 arg, cap cap1, cap cap2)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_caps(
            &self,
            arg: u32,
            cap1: &__rt::Cap,
            cap2: &__rt::Cap,
        ) -> __sent<'_, E> {
            __Caps::tx(&self.0, (arg, cap1, cap2))
        }
        /// Sends `caps(uint32 arg, cap cap1, cap cap2)` once the binding is not busy.
        pub fn send_caps<'a>(
            &'a self,
            arg: u32,
            cap1: &'a __rt::Cap,
            cap2: &'a __rt::Cap,
        ) -> __rt::Sending<'a, E> {
            __Caps::sending(&self.0, (arg, cap1, cap2))
        }
        /// Sends `buffy(uint8 buf[buflen, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_buffy(&self, buf: &[u8]) -> __sent<'_, E> {
            __Buffy::tx(&self.0, (buf,))
        }
        /// Sends `buffy(uint8 buf[buflen, 65536])` once the binding is not busy.
        pub fn send_buffy<'a>(&'a self, buf: &'a [u8]) -> __rt::Sending<'a, E> {
            __Buffy::sending(&self.0, (buf,))
        }
        /// Receives the next `basic(uint32 arg, myenum e)`; the inbox keeps others.
        pub fn recv_basic(&self) -> __rt::Receiving<'_, (u32, Myenum), E> {
            __Basic::recv(&self.0)
        }
        /// Receives the next `str(uint32 arg, string s)`; the inbox keeps others.
        pub fn recv_str(&self) -> __rt::Receiving<'_, (u32, __rt::String), E> {
            __Str::recv(&self.0)
        }
        /// Receives the next `caps(uint32 arg, cap cap1, cap cap2)`; the inbox keeps others.
        pub fn recv_caps(&self) -> __rt::Receiving<'_, (u32, __rt::Cap, __rt::Cap), E> {
            __Caps::recv(&self.0)
        }
        /// Receives the next `buffy(uint8 buf[buflen, 65536])`; the inbox keeps others.
        pub fn recv_buffy(&self) -> __rt::Receiving<'_, __rt::Vec<u8>, E> {
            __Buffy::recv(&self.0)
        }
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
    /// What handles the messages of `test`: an [`Rx`] or a [`ClientRx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
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
    /// What a service of `test` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Sends basic values.
        fn basic(&mut self, binding: &Binding<E>, arg: u32, e: Myenum);
        /// Handles `str(uint32 arg, string s)`.
        fn str(&mut self, binding: &Binding<E>, arg: u32, s: &str);
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        fn caps(
            &mut self,
            binding: &Binding<E>,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        );
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        fn buffy(&mut self, binding: &Binding<E>, buf: &[u8]);
        /// Handles `rpc testrpc(in string s, out uint32 result)`.
        fn testrpc(&mut self, binding: &Binding<E>, s: &str, reply: TestrpcReply<E>);
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a service of `test` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Sends basic values.
        pub basic: __closure<dyn __rt::FnMut(&Binding, u32, Myenum)>,
        /// Handles `str(uint32 arg, string s)`.
        pub str: __closure<dyn __rt::FnMut(&Binding, u32, &str)>,
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        pub caps: __closure<dyn __rt::FnMut(&Binding, u32, __rt::Cap, __rt::Cap)>,
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        pub buffy: __closure<dyn __rt::FnMut(&Binding, &[u8])>,
        /// Handles `rpc testrpc(in string s, out uint32 result)`.
        pub testrpc: __closure<dyn __rt::FnMut(&Binding, &str, TestrpcReply)>,
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
            1 => __Basic::deliver(__m, |(arg, e)| Rx::basic(__rx, __b, arg, e)),
            2 => __Str::deliver(__m, |(arg, s)| Rx::str(__rx, __b, arg, s)),
            3 => {
                __Caps::deliver(
                    __m,
                    |(arg, cap1, cap2)| Rx::caps(__rx, __b, arg, cap1, cap2),
                )
            }
            4 => __Buffy::deliver(__m, |(buf,)| Rx::buffy(__rx, __b, buf)),
            5 => {
                __TestrpcCall::deliver_call(
                    __m,
                    &__b.0,
                    6,
                    |__reply, (__id, s)| Rx::testrpc(__rx, __b, s, TestrpcReply(__reply)),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `test` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `ClientRx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait ClientRx<E: __rt::End = __rt::Local> {
        /// Sends basic values.
        fn basic(&mut self, binding: &ClientBinding<E>, arg: u32, e: Myenum);
        /// Handles `str(uint32 arg, string s)`.
        fn str(&mut self, binding: &ClientBinding<E>, arg: u32, s: &str);
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        fn caps(
            &mut self,
            binding: &ClientBinding<E>,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        );
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        fn buffy(&mut self, binding: &ClientBinding<E>, buf: &[u8]);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &ClientBinding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a client of `test` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct ClientRxVtbl {
        /// Sends basic values.
        pub basic: __closure<dyn __rt::FnMut(&ClientBinding, u32, Myenum)>,
        /// Handles `str(uint32 arg, string s)`.
        pub str: __closure<dyn __rt::FnMut(&ClientBinding, u32, &str)>,
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        pub caps: __closure<dyn __rt::FnMut(&ClientBinding, u32, __rt::Cap, __rt::Cap)>,
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        pub buffy: __closure<dyn __rt::FnMut(&ClientBinding, &[u8])>,
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
        fn basic(&mut self, binding: &ClientBinding, arg: u32, e: Myenum) {
            match &mut self.basic {
                __rt::Some(__handler) => __handler(binding, arg, e),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("basic")),
            }
        }
        fn str(&mut self, binding: &ClientBinding, arg: u32, s: &str) {
            match &mut self.str {
                __rt::Some(__handler) => __handler(binding, arg, s),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("str")),
            }
        }
        fn caps(
            &mut self,
            binding: &ClientBinding,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        ) {
            match &mut self.caps {
                __rt::Some(__handler) => __handler(binding, arg, cap1, cap2),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("caps")),
            }
        }
        fn buffy(&mut self, binding: &ClientBinding, buf: &[u8]) {
            match &mut self.buffy {
                __rt::Some(__handler) => __handler(binding, buf),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("buffy")),
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
            6 => return __TestrpcResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => __Basic::deliver(__m, |(arg, e)| ClientRx::basic(__rx, __b, arg, e)),
            2 => __Str::deliver(__m, |(arg, s)| ClientRx::str(__rx, __b, arg, s)),
            3 => {
                __Caps::deliver(
                    __m,
                    |(arg, cap1, cap2)| ClientRx::caps(__rx, __b, arg, cap1, cap2),
                )
            }
            4 => __Buffy::deliver(__m, |(buf,)| ClientRx::buffy(__rx, __b, buf)),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a service of `test` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
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
            1 => __Basic::spawn(__m, __rx, __b, __R::basic),
            2 => __Str::spawn(__m, __rx, __b, __R::str),
            3 => __Caps::spawn(__m, __rx, __b, __R::caps),
            4 => __Buffy::spawn(__m, __rx, __b, __R::buffy),
            5 => {
                __TestrpcCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::testrpc,
                    6,
                    |__reply, result| { TestrpcReply(__reply).send(result) },
                    __rt::handler_failed,
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `test` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncClientRx {
        /// Sends basic values.
        async fn basic(&self, binding: &ClientBinding, arg: u32, e: Myenum);
        /// Handles `str(uint32 arg, string s)`.
        async fn str(&self, binding: &ClientBinding, arg: u32, s: __rt::String);
        /// Handles `caps(uint32 arg, cap cap1, cap cap2)`.
        async fn caps(
            &self,
            binding: &ClientBinding,
            arg: u32,
            cap1: __rt::Cap,
            cap2: __rt::Cap,
        );
        /// Handles `buffy(uint8 buf[buflen, 65536])`.
        async fn buffy(&self, binding: &ClientBinding, buf: __rt::Vec<u8>);
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
            6 => return __TestrpcResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => __Basic::spawn(__m, __rx, __b, __R::basic),
            2 => __Str::spawn(__m, __rx, __b, __R::str),
            3 => __Caps::spawn(__m, __rx, __b, __R::caps),
            4 => __Buffy::spawn(__m, __rx, __b, __R::buffy),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// The reply that a caller of `rpc testrpc(in string s, out uint32 result)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct TestrpcReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> TestrpcReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, result: u32) {
            __TestrpcResponse::reply((self.0.id(), result), self.0);
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
    impl __rt::Reply for TestrpcReply {
        type Values = u32;
        type Response = __TestrpcResponse;
    }
    /// Calls the remote procedures of `test`.
    ///
    /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient<E: __rt::End = __rt::Local>(ClientBinding<E>, __rt::Timeout);
    impl<E: __rt::End> RpcClient<E> {
        /// Calls `rpc testrpc(in string s, out uint32 result)` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn testrpc(&self, s: &str) -> __rt::Result<u32, __rt::RpcError> {
            let __id = self.0.0.next_call();
            __TestrpcCall::call::<E, TestrpcReply>(&self.0.0, __id, (__id, s), self.1)
        }
        /// Makes the call of `testrpc`: the result is a future.
        pub fn testrpc_async(&self, s: &str) -> __rt::Call<TestrpcReply, E> {
            let __id = self.0.0.next_call();
            __TestrpcCall::call_async(&self.0.0, __id, (__id, s), self.1)
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
    /// Any message of `test`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// Sends basic values.
        Basic { arg: u32, e: Myenum },
        /// `str(uint32 arg, string s)`
        Str { arg: u32, s: __rt::String },
        /// `caps(uint32 arg, cap cap1, cap cap2)`
        Caps { arg: u32, cap1: __rt::Cap, cap2: __rt::Cap },
        /// `buffy(uint8 buf[buflen, 65536])`
        Buffy { buf: __rt::Vec<u8> },
        /// `testrpc_call(string s)`: the call of the rpc.
        TestrpcCall {
            /// The number of the call.
            id: u32,
            s: __rt::String,
        },
        /// `testrpc_response(uint32 result)`: the response of the rpc.
        TestrpcResponse {
            /// The number of the call.
            id: u32,
            result: u32,
        },
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
                Self::TestrpcCall { id, s } => __TestrpcCall::encode(INTERFACE, (*id, s)),
                Self::TestrpcResponse { id, result } => {
                    __TestrpcResponse::encode(INTERFACE, (*id, *result))
                }
            }
        }
        #[inline]
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __Basic::read(__m, |(arg, e)| Self::Basic { arg, e }),
                2 => __Str::read(__m, |(arg, s)| Self::Str { arg, s }),
                3 => {
                    __Caps::read(__m, |(arg, cap1, cap2)| Self::Caps { arg, cap1, cap2 })
                }
                4 => __Buffy::read(__m, |(buf,)| Self::Buffy { buf }),
                5 => __TestrpcCall::read(__m, |(id, s)| Self::TestrpcCall { id, s }),
                6 => {
                    __TestrpcResponse::read(
                        __m,
                        |(id, result)| Self::TestrpcResponse {
                            id,
                            result,
                        },
                    )
                }
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
