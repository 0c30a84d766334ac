/// The interface `caps`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod caps {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } holder;`
    #[__rt::derive(__rt::Debug)]
    pub struct Holder {
        pub c: __rt::Cap,
        pub n: u32,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <__rt::Cap as __rt::Shape>::PLACE,
            <u32 as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Holder {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[<__rt::Cap as __rt::Shape>::MAX_TAIL, <u32 as __rt::Shape>::MAX_TAIL],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[<__rt::Cap as __rt::Shape>::MAX_CAPS, <u32 as __rt::Shape>::MAX_CAPS],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{c,n}",
                &[<__rt::Cap as __rt::Shape>::FORM, <u32 as __rt::Shape>::FORM],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Holder {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { c: __0, n: __1 } = self;
                <__rt::Cap as __rt::Encode>::check(__0)?;
                <u32 as __rt::Encode>::check(__1)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { c: __0, n: __1 } = self;
                <__rt::Cap as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <u32 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { c: __0, n: __1 } = self;
                <__rt::Cap as __rt::Encode>::put_tail(__0, __tail);
                <u32 as __rt::Encode>::put_tail(__1, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { c: __0, n: __1 } = self;
                <__rt::Cap as __rt::Encode>::put_caps(__0, __caps);
                <u32 as __rt::Encode>::put_caps(__1, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Holder {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = <__rt::Cap as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                let __1 = <u32 as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { c: __0, n: __1 })
            }
        }
    };
    /// `typedef struct { .. } gift;`
    #[__rt::derive(__rt::Debug)]
    pub struct Gift {
        pub c: __rt::Cap,
        pub why: __rt::String,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <__rt::Cap as __rt::Shape>::PLACE,
            <__rt::String as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Gift {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[
                    <__rt::Cap as __rt::Shape>::MAX_TAIL,
                    <__rt::String as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[
                    <__rt::Cap as __rt::Shape>::MAX_CAPS,
                    <__rt::String as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{c,why}",
                &[<__rt::Cap as __rt::Shape>::FORM, <__rt::String as __rt::Shape>::FORM],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Gift {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { c: __0, why: __1 } = self;
                <__rt::Cap as __rt::Encode>::check(__0)?;
                <__rt::String as __rt::Encode>::check(__1)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { c: __0, why: __1 } = self;
                <__rt::Cap as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <__rt::String as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { c: __0, why: __1 } = self;
                <__rt::Cap as __rt::Encode>::put_tail(__0, __tail);
                <__rt::String as __rt::Encode>::put_tail(__1, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { c: __0, why: __1 } = self;
                <__rt::Cap as __rt::Encode>::put_caps(__0, __caps);
                <__rt::String as __rt::Encode>::put_caps(__1, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Gift {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = <__rt::Cap as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                let __1 = <__rt::String as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { c: __0, why: __1 })
            }
        }
    };
    type __Copied = __rt::MessageType<1, 1, (__rt::Lent<__rt::Cap>, __rt::Lent<Holder>)>;
    type __Moved = __rt::MessageType<2, 0, (__rt::Moved,)>;
    type __Mixed = __rt::MessageType<
        3,
        1,
        (
            __rt::Lent<__rt::Cap>,
            __rt::Moved,
            __rt::Text<64>,
            __rt::Lent<Holder>,
            __rt::Moved,
        ),
    >;
    type __Given = __rt::MessageType<4, 1, (__rt::Lent<Gift>,)>;
    type __ExchangeCall = __rt::MessageType<
        5,
        1,
        (__rt::Copied<u32>, __rt::Lent<__rt::Cap>, __rt::Moved),
    >;
    type __ExchangeResponse = __rt::MessageType<
        6,
        1,
        (__rt::Copied<u32>, __rt::Lent<__rt::Cap>, __rt::Moved),
    >;
    const __MESSAGES: [__rt::MessageInfo; 6] = __rt::numbered(
        [
            __Copied::info(
                "copied",
                "a: cap, b: holder",
                "message copied(a:cap,b:{c:cap,n:uint32})",
            ),
            __Moved::info("moved", "a: give_away_cap", "message moved(a:give_away_cap)"),
            __Mixed::info(
                "mixed",
                "a: cap, b: give_away_cap, why: string[64], c: holder, d: give_away_cap",
                "message mixed(a:cap,b:give_away_cap,why:string[64],c:{c:cap,n:uint32},d:give_away_cap)",
            ),
            __Given::info(
                "given",
                "g: gift",
                "message given(g:{c:give_away_cap,why:string[65536]})",
            ),
            __ExchangeCall::call_info(
                "exchange_call",
                "a: cap, b: give_away_cap",
                "rpc-call exchange_call(a:cap,b:give_away_cap)",
            ),
            __ExchangeResponse::response_info(
                "exchange_response",
                "c: cap, d: give_away_cap",
                "rpc-response exchange_response(c:cap,d:give_away_cap)",
            ),
        ],
        [
            93148367173606453637942647565913657939,
            301268730769755768539114688268579275233,
            32715011797945037903032794303440454815,
            281780660216544971999997568809596573349,
            303299216978660726469179723316562410380,
            115787097037390089571458261110394804251,
        ],
    );
    /// Describes the interface `caps`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "caps",
        "caps",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `caps`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local, S: __rt::Side = __rt::ServiceSide>(
        __rt::RawEnd<E>,
        __rt::PhantomData<S>,
    );
    /// The client's end of a connection that speaks `caps`.
    pub type ClientBinding<E = __rt::Local> = Binding<E, __rt::ClientSide>;
    #[inline]
    fn __binding<E: __rt::End, S: __rt::Side>(__end: __rt::RawEnd<E>) -> Binding<E, S> {
        Binding(__end, __rt::PhantomData)
    }
    impl<E: __rt::End, S: __rt::Side> Binding<E, S> {
        /// Sends `copied(cap a, holder b)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_copied(&self, a: &__rt::Cap, b: &Holder) -> __sent<'_, E> {
            __Copied::tx(&self.0, (a, b))
        }
        /// Sends `copied(cap a, holder b)` once the binding is not busy.
        pub fn send_copied<'a>(
            &'a self,
            a: &'a __rt::Cap,
            b: &'a Holder,
        ) -> __rt::Sending<'a, E> {
            __Copied::sending(&self.0, (a, b))
        }
        /// Sends `moved(give_away_cap a)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_moved(
            &self,
            a: __rt::Cap,
        ) -> __rt::Result<__rt::Sent<'_, E>, __rt::Rejected<__rt::Cap>> {
            let a = __rt::CapToMove::new(a);
            __Moved::tx(&self.0, (__rt::Giving::CapToMove(&a),))
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: a.back(),
                })
        }
        /// Sends `moved(give_away_cap a)` once the binding is not busy.
        pub fn send_moved(&self, a: __rt::Cap) -> __rt::SendingCaps<'_, E, __rt::Cap> {
            let a = __rt::CapToMove::new(a);
            __Moved::given(&self.0, (__rt::Giving::CapToMove(&a),))
                .giving(move |__caps| a.back_from(__caps))
        }
        /// Sends `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_mixed(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: &Holder,
            d: __rt::Cap,
        ) -> __rt::Result<__rt::Sent<'_, E>, __rt::Rejected<(__rt::Cap, __rt::Cap)>> {
            let b = __rt::CapToMove::new(b);
            let d = __rt::CapToMove::new(d);
            __Mixed::tx(
                    &self.0,
                    (a, __rt::Giving::CapToMove(&b), why, c, __rt::Giving::CapToMove(&d)),
                )
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: (b.back(), d.back()),
                })
        }
        /// Sends `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)` once the binding is not busy.
        pub fn send_mixed(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: &Holder,
            d: __rt::Cap,
        ) -> __rt::SendingCaps<'_, E, (__rt::Cap, __rt::Cap)> {
            let b = __rt::CapToMove::new(b);
            let d = __rt::CapToMove::new(d);
            __Mixed::given(
                    &self.0,
                    (a, __rt::Giving::CapToMove(&b), why, c, __rt::Giving::CapToMove(&d)),
                )
                .giving(move |__caps| (b.back_from(__caps), d.back_from(__caps)))
        }
        /// Sends `given(gift g)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_given(
            &self,
            g: Gift,
        ) -> __rt::Result<__rt::Sent<'_, E>, __rt::Rejected<Gift>> {
            __Given::tx(&self.0, (&g,))
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: g,
                })
        }
        /// Sends `given(gift g)` once the binding is not busy.
        pub fn send_given(&self, g: Gift) -> __rt::SendingCaps<'_, E, Gift> {
            __Given::given(&self.0, (&g,)).giving(move |__caps| g)
        }
        /// Receives the next `copied(cap a, holder b)`; the inbox keeps others.
        pub fn recv_copied(&self) -> __rt::Receiving<'_, (__rt::Cap, Holder), E> {
            __Copied::recv(&self.0)
        }
        /// Receives the next `moved(give_away_cap a)`; the inbox keeps others.
        pub fn recv_moved(&self) -> __rt::Receiving<'_, __rt::Cap, E> {
            __Moved::recv(&self.0)
        }
        /// Receives the next `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`; the inbox keeps others.
        pub fn recv_mixed(
            &self,
        ) -> __rt::Receiving<
            '_,
            (__rt::Cap, __rt::Cap, __rt::String, Holder, __rt::Cap),
            E,
        > {
            __Mixed::recv(&self.0)
        }
        /// Receives the next `given(gift g)`; the inbox keeps others.
        pub fn recv_given(&self) -> __rt::Receiving<'_, Gift, E> {
            __Given::recv(&self.0)
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
    /// What handles the messages of `caps`: an [`Rx`] or a [`ClientRx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
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
    /// What a service of `caps` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Handles `copied(cap a, holder b)`.
        fn copied(&mut self, binding: &Binding<E>, a: __rt::Cap, b: Holder);
        /// Handles `moved(give_away_cap a)`.
        fn moved(&mut self, binding: &Binding<E>, a: __rt::Cap);
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        fn mixed(
            &mut self,
            binding: &Binding<E>,
            a: __rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: Holder,
            d: __rt::Cap,
        );
        /// Handles `given(gift g)`.
        fn given(&mut self, binding: &Binding<E>, g: Gift);
        /// Handles `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)`.
        fn exchange(
            &mut self,
            binding: &Binding<E>,
            a: __rt::Cap,
            b: __rt::Cap,
            reply: ExchangeReply<E>,
        );
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a service of `caps` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `copied(cap a, holder b)`.
        pub copied: __closure<dyn __rt::FnMut(&Binding, __rt::Cap, Holder)>,
        /// Handles `moved(give_away_cap a)`.
        pub moved: __closure<dyn __rt::FnMut(&Binding, __rt::Cap)>,
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        pub mixed: __closure<
            dyn __rt::FnMut(&Binding, __rt::Cap, __rt::Cap, &str, Holder, __rt::Cap),
        >,
        /// Handles `given(gift g)`.
        pub given: __closure<dyn __rt::FnMut(&Binding, Gift)>,
        /// Handles `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)`.
        pub exchange: __closure<
            dyn __rt::FnMut(&Binding, __rt::Cap, __rt::Cap, ExchangeReply),
        >,
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
        fn copied(&mut self, binding: &Binding, a: __rt::Cap, b: Holder) {
            match &mut self.copied {
                __rt::Some(__handler) => __handler(binding, a, b),
                __rt::None => Rx::error(self, binding, __rt::no_handler("copied")),
            }
        }
        fn moved(&mut self, binding: &Binding, a: __rt::Cap) {
            match &mut self.moved {
                __rt::Some(__handler) => __handler(binding, a),
                __rt::None => Rx::error(self, binding, __rt::no_handler("moved")),
            }
        }
        fn mixed(
            &mut self,
            binding: &Binding,
            a: __rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: Holder,
            d: __rt::Cap,
        ) {
            match &mut self.mixed {
                __rt::Some(__handler) => __handler(binding, a, b, why, c, d),
                __rt::None => Rx::error(self, binding, __rt::no_handler("mixed")),
            }
        }
        fn given(&mut self, binding: &Binding, g: Gift) {
            match &mut self.given {
                __rt::Some(__handler) => __handler(binding, g),
                __rt::None => Rx::error(self, binding, __rt::no_handler("given")),
            }
        }
        fn exchange(
            &mut self,
            binding: &Binding,
            a: __rt::Cap,
            b: __rt::Cap,
            reply: ExchangeReply,
        ) {
            match &mut self.exchange {
                __rt::Some(__handler) => __handler(binding, a, b, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("exchange")),
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
            1 => __Copied::deliver(__m, |(a, b)| Rx::copied(__rx, __b, a, b)),
            2 => __Moved::deliver(__m, |(a,)| Rx::moved(__rx, __b, a)),
            3 => {
                __Mixed::deliver(
                    __m,
                    |(a, b, why, c, d)| Rx::mixed(__rx, __b, a, b, why, c, d),
                )
            }
            4 => __Given::deliver(__m, |(g,)| Rx::given(__rx, __b, g)),
            5 => {
                __ExchangeCall::deliver_call(
                    __m,
                    &__b.0,
                    6,
                    |__reply, (__id, a, b)| Rx::exchange(
                        __rx,
                        __b,
                        a,
                        b,
                        ExchangeReply(__reply),
                    ),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `caps` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `ClientRx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait ClientRx<E: __rt::End = __rt::Local> {
        /// Handles `copied(cap a, holder b)`.
        fn copied(&mut self, binding: &ClientBinding<E>, a: __rt::Cap, b: Holder);
        /// Handles `moved(give_away_cap a)`.
        fn moved(&mut self, binding: &ClientBinding<E>, a: __rt::Cap);
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        fn mixed(
            &mut self,
            binding: &ClientBinding<E>,
            a: __rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: Holder,
            d: __rt::Cap,
        );
        /// Handles `given(gift g)`.
        fn given(&mut self, binding: &ClientBinding<E>, g: Gift);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &ClientBinding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a client of `caps` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct ClientRxVtbl {
        /// Handles `copied(cap a, holder b)`.
        pub copied: __closure<dyn __rt::FnMut(&ClientBinding, __rt::Cap, Holder)>,
        /// Handles `moved(give_away_cap a)`.
        pub moved: __closure<dyn __rt::FnMut(&ClientBinding, __rt::Cap)>,
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        pub mixed: __closure<
            dyn __rt::FnMut(
                &ClientBinding,
                __rt::Cap,
                __rt::Cap,
                &str,
                Holder,
                __rt::Cap,
            ),
        >,
        /// Handles `given(gift g)`.
        pub given: __closure<dyn __rt::FnMut(&ClientBinding, Gift)>,
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
        fn copied(&mut self, binding: &ClientBinding, a: __rt::Cap, b: Holder) {
            match &mut self.copied {
                __rt::Some(__handler) => __handler(binding, a, b),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("copied")),
            }
        }
        fn moved(&mut self, binding: &ClientBinding, a: __rt::Cap) {
            match &mut self.moved {
                __rt::Some(__handler) => __handler(binding, a),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("moved")),
            }
        }
        fn mixed(
            &mut self,
            binding: &ClientBinding,
            a: __rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: Holder,
            d: __rt::Cap,
        ) {
            match &mut self.mixed {
                __rt::Some(__handler) => __handler(binding, a, b, why, c, d),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("mixed")),
            }
        }
        fn given(&mut self, binding: &ClientBinding, g: Gift) {
            match &mut self.given {
                __rt::Some(__handler) => __handler(binding, g),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("given")),
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
            6 => return __ExchangeResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => __Copied::deliver(__m, |(a, b)| ClientRx::copied(__rx, __b, a, b)),
            2 => __Moved::deliver(__m, |(a,)| ClientRx::moved(__rx, __b, a)),
            3 => {
                __Mixed::deliver(
                    __m,
                    |(a, b, why, c, d)| ClientRx::mixed(__rx, __b, a, b, why, c, d),
                )
            }
            4 => __Given::deliver(__m, |(g,)| ClientRx::given(__rx, __b, g)),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a service of `caps` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `copied(cap a, holder b)`.
        async fn copied(&self, binding: &Binding, a: __rt::Cap, b: Holder);
        /// Handles `moved(give_away_cap a)`.
        async fn moved(&self, binding: &Binding, a: __rt::Cap);
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        async fn mixed(
            &self,
            binding: &Binding,
            a: __rt::Cap,
            b: __rt::Cap,
            why: __rt::String,
            c: Holder,
            d: __rt::Cap,
        );
        /// Handles `given(gift g)`.
        async fn given(&self, binding: &Binding, g: Gift);
        /// Handles `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)`.
        async fn exchange(
            &self,
            binding: &Binding,
            a: __rt::Cap,
            b: __rt::Cap,
        ) -> __rt::Result<(__rt::Cap, __rt::Cap), __rt::CallbackError>;
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
            1 => __Copied::spawn(__m, __rx, __b, __R::copied),
            2 => __Moved::spawn(__m, __rx, __b, __R::moved),
            3 => __Mixed::spawn(__m, __rx, __b, __R::mixed),
            4 => __Given::spawn(__m, __rx, __b, __R::given),
            5 => {
                __ExchangeCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::exchange,
                    6,
                    |__reply, (c, d)| { ExchangeReply(__reply).send(&c, d) },
                    __rt::handler_failed,
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `caps` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncClientRx {
        /// Handles `copied(cap a, holder b)`.
        async fn copied(&self, binding: &ClientBinding, a: __rt::Cap, b: Holder);
        /// Handles `moved(give_away_cap a)`.
        async fn moved(&self, binding: &ClientBinding, a: __rt::Cap);
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        async fn mixed(
            &self,
            binding: &ClientBinding,
            a: __rt::Cap,
            b: __rt::Cap,
            why: __rt::String,
            c: Holder,
            d: __rt::Cap,
        );
        /// Handles `given(gift g)`.
        async fn given(&self, binding: &ClientBinding, g: Gift);
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
            6 => return __ExchangeResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => __Copied::spawn(__m, __rx, __b, __R::copied),
            2 => __Moved::spawn(__m, __rx, __b, __R::moved),
            3 => __Mixed::spawn(__m, __rx, __b, __R::mixed),
            4 => __Given::spawn(__m, __rx, __b, __R::given),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// The reply that a caller of `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct ExchangeReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> ExchangeReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, c: &__rt::Cap, d: __rt::Cap) {
            let d = __rt::CapToMove::new(d);
            __ExchangeResponse::reply(
                (self.0.id(), c, __rt::Giving::CapToMove(&d)),
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
    impl __rt::Reply for ExchangeReply {
        type Values = (__rt::Cap, __rt::Cap);
        type Response = __ExchangeResponse;
    }
    /// Calls the remote procedures of `caps`.
    ///
    /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient<E: __rt::End = __rt::Local>(ClientBinding<E>, __rt::Timeout);
    impl<E: __rt::End> RpcClient<E> {
        /// Calls `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn exchange(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
        ) -> __rt::Result<(__rt::Cap, __rt::Cap), __rt::RpcError> {
            let __id = self.0.0.next_call();
            let b = __rt::CapToMove::new(b);
            __ExchangeCall::call::<
                E,
                ExchangeReply,
            >(&self.0.0, __id, (__id, a, __rt::Giving::CapToMove(&b)), self.1)
        }
        /// Makes the call of `exchange`: the result is a future.
        pub fn exchange_async(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
        ) -> __rt::Call<ExchangeReply, E> {
            let __id = self.0.0.next_call();
            let b = __rt::CapToMove::new(b);
            __ExchangeCall::call_async(
                &self.0.0,
                __id,
                (__id, a, __rt::Giving::CapToMove(&b)),
                self.1,
            )
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
    /// Any message of `caps`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// `copied(cap a, holder b)`
        Copied { a: __rt::Cap, b: Holder },
        /// `moved(give_away_cap a)`
        Moved { a: __rt::Cap },
        /// `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`
        Mixed { a: __rt::Cap, b: __rt::Cap, why: __rt::String, c: Holder, d: __rt::Cap },
        /// `given(gift g)`
        Given { g: Gift },
        /// `exchange_call(cap a, give_away_cap b)`: the call of the rpc.
        ExchangeCall {
            /// The number of the call.
            id: u32,
            a: __rt::Cap,
            b: __rt::Cap,
        },
        /// `exchange_response(cap c, give_away_cap d)`: the response of the rpc.
        ExchangeResponse {
            /// The number of the call.
            id: u32,
            c: __rt::Cap,
            d: __rt::Cap,
        },
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            match self {
                Self::Copied { a, b } => __Copied::encode(INTERFACE, (a, b)),
                Self::Moved { a } => __Moved::encode(INTERFACE, (__rt::Giving::Copy(a),)),
                Self::Mixed { a, b, why, c, d } => {
                    __Mixed::encode(
                        INTERFACE,
                        (a, __rt::Giving::Copy(b), why, c, __rt::Giving::Copy(d)),
                    )
                }
                Self::Given { g } => __Given::encode(INTERFACE, (g,)),
                Self::ExchangeCall { id, a, b } => {
                    __ExchangeCall::encode(INTERFACE, (*id, a, __rt::Giving::Copy(b)))
                }
                Self::ExchangeResponse { id, c, d } => {
                    __ExchangeResponse::encode(
                        INTERFACE,
                        (*id, c, __rt::Giving::Copy(d)),
                    )
                }
            }
        }
        #[inline]
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __Copied::read(__m, |(a, b)| Self::Copied { a, b }),
                2 => __Moved::read(__m, |(a,)| Self::Moved { a }),
                3 => {
                    __Mixed::read(
                        __m,
                        |(a, b, why, c, d)| Self::Mixed { a, b, why, c, d },
                    )
                }
                4 => __Given::read(__m, |(g,)| Self::Given { g }),
                5 => {
                    __ExchangeCall::read(
                        __m,
                        |(id, a, b)| Self::ExchangeCall { id, a, b },
                    )
                }
                6 => {
                    __ExchangeResponse::read(
                        __m,
                        |(id, c, d)| Self::ExchangeResponse { id, c, d },
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
