/// The interface `caps`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub mod caps {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } holder;`
    #[doc(alias = "holder")]
    #[__rt::derive(__rt::Debug)]
    pub struct Holder {
        /// `c`
        pub c: __rt::Cap,
        /// `n`
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
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{c,n}"),
                &[
                    <__rt::Cap as __rt::Shape>::FINGERPRINT,
                    <u32 as __rt::Shape>::FINGERPRINT,
                ],
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
                let __0 = __decoder.take::<__rt::Cap>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<u32>(__at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { c: __0, n: __1 })
            }
        }
    };
    /// `typedef struct { .. } gift;`
    #[doc(alias = "gift")]
    #[__rt::derive(__rt::Debug)]
    pub struct Gift {
        /// `c`
        pub c: __rt::Cap,
        /// `why`
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
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{c,why}"),
                &[
                    <__rt::Cap as __rt::Shape>::FINGERPRINT,
                    <__rt::String as __rt::Shape>::FINGERPRINT,
                ],
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
                let __0 = __decoder.take::<__rt::Cap>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<__rt::String>(__at + __REC.at[1])?;
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
    /// Describes the interface `caps`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "caps",
        "caps",
        &__rt::numbered(
            [
                __Copied::info("copied", "a: cap, b: holder"),
                __Moved::info("moved", "a: give_away_cap"),
                __Mixed::info(
                    "mixed",
                    "a: cap, b: give_away_cap, why: string[64], c: holder, d: give_away_cap",
                ),
                __Given::info("given", "g: gift"),
                __ExchangeCall::call_info("exchange_call", "a: cap, b: give_away_cap"),
                __ExchangeResponse::response_info(
                    "exchange_response",
                    "c: cap, d: give_away_cap",
                ),
            ],
            &[
                93148367173606453637942647565913657939,
                301268730769755768539114688268579275233,
                32715011797945037903032794303440454815,
                281780660216544971999997568809596573349,
                303299216978660726469179723316562410380,
                115787097037390089571458261110394804251,
            ],
        ),
        &[
            __Copied::LIMIT,
            __Moved::LIMIT,
            __Mixed::LIMIT,
            __Given::LIMIT,
            __ExchangeCall::LIMIT,
            __ExchangeResponse::LIMIT,
        ],
    );
    /// One end of a connection that speaks `caps`.
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
        /// As `recv`, for the next `copied(cap a, holder b)`; others are kept.
        #[inline]
        pub fn recv_copied(&self) -> __rt::Receiving<'_, (__rt::Cap, Holder)> {
            __Copied::recv(&self.0)
        }
        /// As `recv`, for the next `moved(give_away_cap a)`; others are kept.
        #[inline]
        pub fn recv_moved(&self) -> __rt::Receiving<'_, __rt::Cap> {
            __Moved::recv(&self.0)
        }
        /// As `recv`, for the next `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`; others are kept.
        #[inline]
        pub fn recv_mixed(
            &self,
        ) -> __rt::Receiving<
            '_,
            (__rt::Cap, __rt::Cap, __rt::String, Holder, __rt::Cap),
        > {
            __Mixed::recv(&self.0)
        }
        /// As `recv`, for the next `given(gift g)`; others are kept.
        #[inline]
        pub fn recv_given(&self) -> __rt::Receiving<'_, Gift> {
            __Given::recv(&self.0)
        }
        /// Sends `copied(cap a, holder b)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_copied(
            &self,
            a: &__rt::Cap,
            b: &Holder,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Copied::send(&self.0, (a, b))
        }
        /// Sends `copied(cap a, holder b)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_copied<'__a>(
            &'__a self,
            a: &'__a __rt::Cap,
            b: &'__a Holder,
        ) -> __rt::Sending<'__a, __Copied> {
            __Copied::sending(&self.0, (a, b))
        }
        /// Sends `moved(give_away_cap a)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_moved(
            &self,
            a: __rt::Cap,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::Rejected<__rt::Cap>> {
            let a = __rt::CapToMove::new(a);
            __Moved::send(&self.0, (__rt::Giving::CapToMove(&a),))
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: a.back(),
                })
        }
        /// Sends `moved(give_away_cap a)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_moved(
            &self,
            a: __rt::Cap,
        ) -> __rt::Result<(), __rt::Rejected<__rt::Cap>> {
            let a = __rt::CapToMove::new(a);
            let __result = __Moved::sending(&self.0, (__rt::Giving::CapToMove(&a),))
                .await;
            __result
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: a.back(),
                })
        }
        /// Sends `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_mixed(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: &Holder,
            d: __rt::Cap,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::Rejected<(__rt::Cap, __rt::Cap)>> {
            let b = __rt::CapToMove::new(b);
            let d = __rt::CapToMove::new(d);
            __Mixed::send(
                    &self.0,
                    (a, __rt::Giving::CapToMove(&b), why, c, __rt::Giving::CapToMove(&d)),
                )
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: (b.back(), d.back()),
                })
        }
        /// Sends `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_mixed(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: &Holder,
            d: __rt::Cap,
        ) -> __rt::Result<(), __rt::Rejected<(__rt::Cap, __rt::Cap)>> {
            let b = __rt::CapToMove::new(b);
            let d = __rt::CapToMove::new(d);
            let __result = __Mixed::sending(
                    &self.0,
                    (a, __rt::Giving::CapToMove(&b), why, c, __rt::Giving::CapToMove(&d)),
                )
                .await;
            __result
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: (b.back(), d.back()),
                })
        }
        /// Sends `given(gift g)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_given(
            &self,
            g: Gift,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::Rejected<Gift>> {
            __Given::send(&self.0, (&g,))
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: g,
                })
        }
        /// Sends `given(gift g)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_given(
            &self,
            g: Gift,
        ) -> __rt::Result<(), __rt::Rejected<Gift>> {
            let __result = __Given::sending(&self.0, (&g,)).await;
            __result
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: g,
                })
        }
    }
    #[automatically_derived]
    impl __rt::Deref for Binding {
        type Target = __rt::RawBinding;
        fn deref(&self) -> &__rt::RawBinding {
            &self.0
        }
    }
    /// What one end of `caps` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
    pub trait Rx {
        /// Handles `copied(cap a, holder b)`.
        fn copied(&mut self, binding: &Binding, a: __rt::Cap, b: Holder);
        /// Handles `moved(give_away_cap a)`.
        fn moved(&mut self, binding: &Binding, a: __rt::Cap);
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        fn mixed(
            &mut self,
            binding: &Binding,
            a: __rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: Holder,
            d: __rt::Cap,
        );
        /// Handles `given(gift g)`.
        fn given(&mut self, binding: &Binding, g: Gift);
        /// Handles `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)`.
        fn exchange(
            &mut self,
            binding: &Binding,
            a: __rt::Cap,
            b: __rt::Cap,
            reply: ExchangeReply,
        );
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Handlers of `caps` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `copied(cap a, holder b)`.
        pub copied: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, __rt::Cap, Holder)>,
        >,
        /// Handles `moved(give_away_cap a)`.
        pub moved: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, __rt::Cap)>>,
        /// Handles `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        pub mixed: __rt::Option<
            __rt::Box<
                dyn __rt::FnMut(&Binding, __rt::Cap, __rt::Cap, &str, Holder, __rt::Cap),
            >,
        >,
        /// Handles `given(gift g)`.
        pub given: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, Gift)>>,
        /// Handles `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)`.
        pub exchange: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, __rt::Cap, __rt::Cap, ExchangeReply)>,
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
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(INTERFACE, &error),
            }
        }
    }
    /// What can be put behind a binding of `caps`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
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
                        __Copied::deliver(
                            __message,
                            |(a, b)| { Rx::copied(__rx, &Binding(__raw.handle()), a, b) },
                        )
                    }
                    2 => {
                        __Moved::deliver(
                            __message,
                            |(a,)| { Rx::moved(__rx, &Binding(__raw.handle()), a) },
                        )
                    }
                    3 => {
                        __Mixed::deliver(
                            __message,
                            |(a, b, why, c, d)| {
                                Rx::mixed(__rx, &Binding(__raw.handle()), a, b, why, c, d)
                            },
                        )
                    }
                    4 => {
                        __Given::deliver(
                            __message,
                            |(g,)| { Rx::given(__rx, &Binding(__raw.handle()), g) },
                        )
                    }
                    5 => {
                        __ExchangeCall::deliver(
                            __message,
                            |(__id, a, b)| {
                                Rx::exchange(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    a,
                                    b,
                                    ExchangeReply(__rt::ReplyToken::new(__raw, __id, 6)),
                                )
                            },
                        )
                    }
                    6 => __ExchangeResponse::answer(__raw, __message),
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    Rx::error(__rx, __binding, __error)
                },
            )
        }
    }
    /// What one end of `caps` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
    /// caller gives up, the handler is dropped where it waits.
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
                        __Copied::deliver_owned(
                            __message,
                            |(a, b)| {
                                __raw.spawn_handler(__rx, Binding, (a, b), __R::copied)
                            },
                        )
                    }
                    2 => {
                        __Moved::deliver_owned(
                            __message,
                            |(a,)| {
                                __raw.spawn_handler(__rx, Binding, (a,), __R::moved)
                            },
                        )
                    }
                    3 => {
                        __Mixed::deliver_owned(
                            __message,
                            |(a, b, why, c, d)| {
                                __raw
                                    .spawn_handler(__rx, Binding, (a, b, why, c, d), __R::mixed)
                            },
                        )
                    }
                    4 => {
                        __Given::deliver_owned(
                            __message,
                            |(g,)| {
                                __raw.spawn_handler(__rx, Binding, (g,), __R::given)
                            },
                        )
                    }
                    5 => {
                        __ExchangeCall::deliver_owned(
                            __message,
                            |(__id, a, b)| {
                                let __reply = __rt::ReplyToken::new(__raw, __id, 6);
                                __raw
                                    .spawn_call(
                                        __reply,
                                        __rx,
                                        Binding,
                                        (a, b),
                                        __R::exchange,
                                        |__reply, (c, d)| { ExchangeReply(__reply).send(&c, d) },
                                    )
                            },
                        )
                    }
                    6 => __ExchangeResponse::answer(__raw, __message),
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    AsyncRx::error(&**__rx, __binding, __error)
                },
            )
        }
    }
    /// The reply that a caller of `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct ExchangeReply(__rt::ReplyToken);
    impl ExchangeReply {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller learns
        /// that no reply will come, and the error handler of this end why.
        #[inline]
        pub fn send(self, c: &__rt::Cap, d: __rt::Cap) {
            let d = __rt::CapToMove::new(d);
            __ExchangeResponse::reply(
                (self.0.id(), c, __rt::Giving::CapToMove(&d)),
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
    impl __rt::Reply for ExchangeReply {
        type Values = (__rt::Cap, __rt::Cap);
        #[inline]
        fn decode(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<(__rt::Cap, __rt::Cap), __rt::DecodeError> {
            __ExchangeResponse::returned(__message)
        }
    }
    /// Calls the remote procedures of `caps`.
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
        /// Calls `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)` and waits for the reply.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn exchange(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
        ) -> __rt::Result<(__rt::Cap, __rt::Cap), __rt::RpcError> {
            let __id = self.0.0.next_call();
            let b = __rt::CapToMove::new(b);
            __ExchangeCall::call::<
                ExchangeReply,
                __ExchangeResponse,
            >(&self.0.0, __id, (__id, a, __rt::Giving::CapToMove(&b)), self.1)
        }
        /// As `exchange`, without waiting: the result is a future.
        #[inline]
        pub fn exchange_async(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
        ) -> __rt::Call<ExchangeReply> {
            let __id = self.0.0.next_call();
            let b = __rt::CapToMove::new(b);
            __ExchangeCall::call_async(
                &self.0.0,
                __id,
                (__id, a, __rt::Giving::CapToMove(&b)),
                self.1,
            )
        }
    }
    /// One end of a connection that speaks `caps`, for any thread.
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
        /// Sends `copied(cap a, holder b)`.
        #[inline]
        pub fn send_copied(&self, a: &__rt::Cap, b: &Holder) -> __rt::SharedSend {
            __Copied::send_shared(&self.0, (a, b))
        }
        /// Sends `moved(give_away_cap a)`.
        #[inline]
        pub fn send_moved(&self, a: __rt::Cap) -> __rt::SharedSend {
            let a = __rt::CapToMove::new(a);
            __Moved::send_shared(&self.0, (__rt::Giving::CapToMove(&a),))
        }
        /// Sends `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`.
        #[inline]
        pub fn send_mixed(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
            why: &str,
            c: &Holder,
            d: __rt::Cap,
        ) -> __rt::SharedSend {
            let b = __rt::CapToMove::new(b);
            let d = __rt::CapToMove::new(d);
            __Mixed::send_shared(
                &self.0,
                (a, __rt::Giving::CapToMove(&b), why, c, __rt::Giving::CapToMove(&d)),
            )
        }
        /// Sends `given(gift g)`.
        #[inline]
        pub fn send_given(&self, g: Gift) -> __rt::SharedSend {
            __Given::send_shared(&self.0, (&g,))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for SharedBinding {
        type Target = __rt::SharedEndpoint;
        fn deref(&self) -> &__rt::SharedEndpoint {
            &self.0
        }
    }
    /// Calls the remote procedures of `caps`, from any thread.
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
        /// Calls `rpc exchange(in cap a, in give_away_cap b, out cap c, out give_away_cap d)` and blocks the thread until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; in the thread of the binding's waitset, always. Capabilities that are given away with a call that fails are closed.
        #[inline]
        pub fn exchange(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
        ) -> __rt::Result<(__rt::Cap, __rt::Cap), __rt::RpcError> {
            self.exchange_async(a, b).wait()
        }
        /// As `exchange`, without blocking: the result is a future, `Send`.
        #[inline]
        pub fn exchange_async(
            &self,
            a: &__rt::Cap,
            b: __rt::Cap,
        ) -> __rt::SharedCall<ExchangeReply> {
            let b = __rt::CapToMove::new(b);
            __ExchangeCall::call_shared(
                &self.0.0,
                (0, a, __rt::Giving::CapToMove(&b)),
                self.1,
            )
        }
    }
    /// Any message of `caps`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
    /// equals none.
    pub enum Message {
        /// `copied(cap a, holder b)`
        Copied {
            /// `a`
            a: __rt::Cap,
            /// `b`
            b: Holder,
        },
        /// `moved(give_away_cap a)`
        Moved {
            /// `a`
            a: __rt::Cap,
        },
        /// `mixed(cap a, give_away_cap b, string why, holder c, give_away_cap d)`
        Mixed {
            /// `a`
            a: __rt::Cap,
            /// `b`
            b: __rt::Cap,
            /// `why`
            why: __rt::String,
            /// `c`
            c: Holder,
            /// `d`
            d: __rt::Cap,
        },
        /// `given(gift g)`
        Given {
            /// `g`
            g: Gift,
        },
        /// `exchange_call(cap a, give_away_cap b)`: the call of the rpc.
        ExchangeCall {
            /// The number of the call.
            id: u32,
            /// `a`
            a: __rt::Cap,
            /// `b`
            b: __rt::Cap,
        },
        /// `exchange_response(cap c, give_away_cap d)`: the response of the rpc.
        ExchangeResponse {
            /// The number of the call.
            id: u32,
            /// `c`
            c: __rt::Cap,
            /// `d`
            d: __rt::Cap,
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
                Self::Copied { a, b } => __Copied::encode(INTERFACE, (a, b)),
                Self::Moved { a } => __Moved::encode(INTERFACE, (__rt::Giving::Copy(a),)),
                Self::Mixed { a, b, why, c, d } => {
                    __Mixed::encode(
                        INTERFACE,
                        (a, __rt::Giving::Copy(b), why, c, __rt::Giving::Copy(d)),
                    )
                }
                Self::Given { g } => __Given::encode(INTERFACE, (g,)),
                Self::ExchangeCall { id: __id, a, b } => {
                    __ExchangeCall::encode(INTERFACE, (*__id, a, __rt::Giving::Copy(b)))
                }
                Self::ExchangeResponse { id: __id, c, d } => {
                    __ExchangeResponse::encode(
                        INTERFACE,
                        (*__id, c, __rt::Giving::Copy(d)),
                    )
                }
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => __Copied::read(__message, |(a, b)| Self::Copied { a, b }),
                2 => __Moved::read(__message, |(a,)| Self::Moved { a }),
                3 => {
                    __Mixed::read(
                        __message,
                        |(a, b, why, c, d)| Self::Mixed { a, b, why, c, d },
                    )
                }
                4 => __Given::read(__message, |(g,)| Self::Given { g }),
                5 => {
                    __ExchangeCall::read(
                        __message,
                        |(__id, a, b)| Self::ExchangeCall {
                            id: __id,
                            a,
                            b,
                        },
                    )
                }
                6 => {
                    __ExchangeResponse::read(
                        __message,
                        |(__id, c, d)| Self::ExchangeResponse {
                            id: __id,
                            c,
                            d,
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
                Self::Copied { a, b } => __rt::show(__f, INTERFACE, 1, "Copied", &[a, b]),
                Self::Moved { a } => __rt::show(__f, INTERFACE, 2, "Moved", &[a]),
                Self::Mixed { a, b, why, c, d } => {
                    __rt::show(__f, INTERFACE, 3, "Mixed", &[a, b, why, c, d])
                }
                Self::Given { g } => __rt::show(__f, INTERFACE, 4, "Given", &[g]),
                Self::ExchangeCall { id: __id, a, b } => {
                    __rt::show(__f, INTERFACE, 5, "ExchangeCall", &[__id, a, b])
                }
                Self::ExchangeResponse { id: __id, c, d } => {
                    __rt::show(__f, INTERFACE, 6, "ExchangeResponse", &[__id, c, d])
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
