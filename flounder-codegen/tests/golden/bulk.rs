/// Large data.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod frames {
    use ::flounder::__private as __rt;
    type __Frame = __rt::MessageType<1, 2, (__rt::Copied<u64>, __rt::BulkArg<8294400>)>;
    type __Pair = __rt::MessageType<
        2,
        2,
        (__rt::BulkArg<65536>, __rt::Lent<__rt::Cap>, __rt::Moved, __rt::BulkArg<65536>),
    >;
    type __ReadCall = __rt::MessageType<
        3,
        3,
        (__rt::Copied<u32>, __rt::Copied<u64>, __rt::BulkArg<4096>),
    >;
    type __ReadResponse = __rt::MessageType<
        4,
        3,
        (__rt::Copied<u32>, __rt::BulkArg<1048576>, __rt::Copied<__rt::Errval>),
    >;
    const __MESSAGES: [__rt::MessageInfo; 4] = __rt::numbered(
        [
            __Frame::info(
                "frame",
                "seq: uint64, pixels: bulk[8294400]",
                "message frame(seq:uint64,pixels:bulk[8294400])",
            ),
            __Pair::info(
                "pair",
                "left: bulk[65536], lent: cap, given: give_away_cap, right: bulk[65536]",
                "message pair(left:bulk[65536],lent:cap,given:give_away_cap,right:bulk[65536])",
            ),
            __ReadCall::call_info(
                "read_call",
                "offset: uint64, key: bulk[4096]",
                "rpc-call read_call(offset:uint64,key:bulk[4096])",
            ),
            __ReadResponse::response_info(
                "read_response",
                "data: bulk[1048576], status: errval",
                "rpc-response read_response(data:bulk[1048576],status:errval)",
            ),
        ],
        [
            220660252050998264117155149165184893951,
            165363224405915736100271249138425256231,
            152866021256899706222702176389014606514,
            331647955691590469453083537952355938710,
        ],
    );
    /// Describes the interface `frames`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "frames",
        "Large data",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `frames`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local, S: __rt::Side = __rt::ServiceSide>(
        __rt::RawEnd<E>,
        __rt::PhantomData<S>,
    );
    /// The client's end of a connection that speaks `frames`.
    pub type ClientBinding<E = __rt::Local> = Binding<E, __rt::ClientSide>;
    #[inline]
    fn __binding<E: __rt::End, S: __rt::Side>(__end: __rt::RawEnd<E>) -> Binding<E, S> {
        Binding(__end, __rt::PhantomData)
    }
    impl<E: __rt::End, S: __rt::Side> Binding<E, S> {
        /// Shows a frame.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_frame(
            &self,
            seq: u64,
            pixels: impl __rt::IntoBulk,
        ) -> __rt::Result<
            __rt::Sent<'_, E>,
            __rt::Rejected<__rt::Option<__rt::BufferMut>>,
        > {
            let __pools = self.0.bulk();
            let pixels = __rt::BulkToSend::new(__pools.as_ref(), pixels);
            __Frame::tx(&self.0, (seq, &pixels))
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: pixels.back(),
                })
        }
        /// Sends `frame(uint64 seq, bulk pixels)` once the binding is not busy.
        pub fn send_frame(
            &self,
            seq: u64,
            pixels: impl __rt::IntoBulk,
        ) -> __rt::SendingCaps<'_, E, __rt::Option<__rt::BufferMut>> {
            let __pools = self.0.bulk();
            let pixels = __rt::BulkToSend::new(__pools.as_ref(), pixels);
            let __sending = __Frame::given(&self.0, (seq, &pixels));
            let pixels = pixels.unsent();
            __sending.giving(move |__caps| pixels.back_from(__caps))
        }
        /// Sends `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_pair(
            &self,
            left: impl __rt::IntoBulk,
            lent: &__rt::Cap,
            given: __rt::Cap,
            right: impl __rt::IntoBulk,
        ) -> __rt::Result<
            __rt::Sent<'_, E>,
            __rt::Rejected<
                (__rt::Option<__rt::BufferMut>, __rt::Cap, __rt::Option<__rt::BufferMut>),
            >,
        > {
            let __pools = self.0.bulk();
            let left = __rt::BulkToSend::new(__pools.as_ref(), left);
            let given = __rt::CapToMove::new(given);
            let right = __rt::BulkToSend::new(__pools.as_ref(), right);
            __Pair::tx(&self.0, (&left, lent, __rt::Giving::CapToMove(&given), &right))
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: (left.back(), given.back(), right.back()),
                })
        }
        /// Sends `pair(bulk left, cap lent, give_away_cap given, bulk right)` once the binding is not busy.
        pub fn send_pair(
            &self,
            left: impl __rt::IntoBulk,
            lent: &__rt::Cap,
            given: __rt::Cap,
            right: impl __rt::IntoBulk,
        ) -> __rt::SendingCaps<
            '_,
            E,
            (__rt::Option<__rt::BufferMut>, __rt::Cap, __rt::Option<__rt::BufferMut>),
        > {
            let __pools = self.0.bulk();
            let left = __rt::BulkToSend::new(__pools.as_ref(), left);
            let given = __rt::CapToMove::new(given);
            let right = __rt::BulkToSend::new(__pools.as_ref(), right);
            let __sending = __Pair::given(
                &self.0,
                (&left, lent, __rt::Giving::CapToMove(&given), &right),
            );
            let left = left.unsent();
            let right = right.unsent();
            __sending
                .giving(move |__caps| (
                    left.back_from(__caps),
                    given.back_from(__caps),
                    right.back_from(__caps),
                ))
        }
        /// Receives the next `frame(uint64 seq, bulk pixels)`; the inbox keeps others.
        pub fn recv_frame(&self) -> __rt::Receiving<'_, (u64, __rt::BulkOwned), E> {
            __Frame::recv(&self.0)
        }
        /// Receives the next `pair(bulk left, cap lent, give_away_cap given, bulk right)`; the inbox keeps others.
        pub fn recv_pair(
            &self,
        ) -> __rt::Receiving<
            '_,
            (__rt::BulkOwned, __rt::Cap, __rt::Cap, __rt::BulkOwned),
            E,
        > {
            __Pair::recv(&self.0)
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
        /// Returns the pool that the binding makes by itself, of 16 slots of 64 KiB. `Pool::new` makes others.
        pub fn pool(&self) -> __rt::Result<__rt::Pool, __rt::PoolError> {
            self.0.default_pool()
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
    impl<E: __rt::End, S: __rt::Side> __rt::PoolOwner for Binding<E, S> {
        fn make_pool(
            &self,
            slots: __rt::Slots,
        ) -> __rt::Result<__rt::Pool, __rt::PoolError> {
            self.0.make_pool(slots)
        }
    }
    #[automatically_derived]
    impl<S: __rt::Side> __rt::AsRaw for Binding<__rt::Local, S> {
        fn as_raw(&self) -> &__rt::RawBinding {
            &self.0.0
        }
    }
    /// What handles the messages of `frames`: an [`Rx`] or a [`ClientRx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
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
    /// What a service of `frames` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Shows a frame.
        fn frame(&mut self, binding: &Binding<E>, seq: u64, pixels: __rt::Bulk<'_>);
        /// Handles `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        fn pair(
            &mut self,
            binding: &Binding<E>,
            left: __rt::Bulk<'_>,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::Bulk<'_>,
        );
        /// Handles `rpc read(in uint64 offset, in bulk key, out bulk data, out errval status)`.
        fn read(
            &mut self,
            binding: &Binding<E>,
            offset: u64,
            key: __rt::Bulk<'_>,
            reply: ReadReply<E>,
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
    /// Handlers of a service of `frames` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Shows a frame.
        pub frame: __closure<dyn __rt::FnMut(&Binding, u64, __rt::Bulk<'_>)>,
        /// Handles `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        pub pair: __closure<
            dyn __rt::FnMut(
                &Binding,
                __rt::Bulk<'_>,
                __rt::Cap,
                __rt::Cap,
                __rt::Bulk<'_>,
            ),
        >,
        /// Handles `rpc read(in uint64 offset, in bulk key, out bulk data, out errval status)`.
        pub read: __closure<dyn __rt::FnMut(&Binding, u64, __rt::Bulk<'_>, ReadReply)>,
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
        fn frame(&mut self, binding: &Binding, seq: u64, pixels: __rt::Bulk<'_>) {
            match &mut self.frame {
                __rt::Some(__handler) => __handler(binding, seq, pixels),
                __rt::None => Rx::error(self, binding, __rt::no_handler("frame")),
            }
        }
        fn pair(
            &mut self,
            binding: &Binding,
            left: __rt::Bulk<'_>,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::Bulk<'_>,
        ) {
            match &mut self.pair {
                __rt::Some(__handler) => __handler(binding, left, lent, given, right),
                __rt::None => Rx::error(self, binding, __rt::no_handler("pair")),
            }
        }
        fn read(
            &mut self,
            binding: &Binding,
            offset: u64,
            key: __rt::Bulk<'_>,
            reply: ReadReply,
        ) {
            match &mut self.read {
                __rt::Some(__handler) => __handler(binding, offset, key, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("read")),
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
                __Frame::deliver_bulk(
                    &__b.0,
                    __m,
                    |(seq, pixels)| Rx::frame(__rx, __b, seq, pixels),
                )
            }
            2 => {
                __Pair::deliver_bulk(
                    &__b.0,
                    __m,
                    |(left, lent, given, right)| Rx::pair(
                        __rx,
                        __b,
                        left,
                        lent,
                        given,
                        right,
                    ),
                )
            }
            3 => {
                __ReadCall::deliver_bulk(
                    &__b.0,
                    __m,
                    |(__id, offset, key)| Rx::read(
                        __rx,
                        __b,
                        offset,
                        key,
                        ReadReply(__rt::ReplyToken::new(&__b.0.0, __id, 4)),
                    ),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `frames` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `ClientRx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait ClientRx<E: __rt::End = __rt::Local> {
        /// Shows a frame.
        fn frame(
            &mut self,
            binding: &ClientBinding<E>,
            seq: u64,
            pixels: __rt::Bulk<'_>,
        );
        /// Handles `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        fn pair(
            &mut self,
            binding: &ClientBinding<E>,
            left: __rt::Bulk<'_>,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::Bulk<'_>,
        );
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &ClientBinding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a client of `frames` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct ClientRxVtbl {
        /// Shows a frame.
        pub frame: __closure<dyn __rt::FnMut(&ClientBinding, u64, __rt::Bulk<'_>)>,
        /// Handles `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        pub pair: __closure<
            dyn __rt::FnMut(
                &ClientBinding,
                __rt::Bulk<'_>,
                __rt::Cap,
                __rt::Cap,
                __rt::Bulk<'_>,
            ),
        >,
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
        fn frame(&mut self, binding: &ClientBinding, seq: u64, pixels: __rt::Bulk<'_>) {
            match &mut self.frame {
                __rt::Some(__handler) => __handler(binding, seq, pixels),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("frame")),
            }
        }
        fn pair(
            &mut self,
            binding: &ClientBinding,
            left: __rt::Bulk<'_>,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::Bulk<'_>,
        ) {
            match &mut self.pair {
                __rt::Some(__handler) => __handler(binding, left, lent, given, right),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("pair")),
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
            4 => return __ReadResponse::answer_bulk(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => {
                __Frame::deliver_bulk(
                    &__b.0,
                    __m,
                    |(seq, pixels)| ClientRx::frame(__rx, __b, seq, pixels),
                )
            }
            2 => {
                __Pair::deliver_bulk(
                    &__b.0,
                    __m,
                    |(left, lent, given, right)| ClientRx::pair(
                        __rx,
                        __b,
                        left,
                        lent,
                        given,
                        right,
                    ),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a service of `frames` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Shows a frame.
        async fn frame(&self, binding: &Binding, seq: u64, pixels: __rt::BulkOwned);
        /// Handles `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        async fn pair(
            &self,
            binding: &Binding,
            left: __rt::BulkOwned,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::BulkOwned,
        );
        /// Handles `rpc read(in uint64 offset, in bulk key, out bulk data, out errval status)`.
        async fn read(
            &self,
            binding: &Binding,
            offset: u64,
            key: __rt::BulkOwned,
        ) -> __rt::Result<(__rt::BulkOwned, __rt::Errval), __rt::CallbackError>;
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
                __Frame::resolve(&__b.0, __m)?;
                __Frame::spawn(__m, __rx, __b, __R::frame)
            }
            2 => {
                __Pair::resolve(&__b.0, __m)?;
                __Pair::spawn(__m, __rx, __b, __R::pair)
            }
            3 => {
                __ReadCall::resolve(&__b.0, __m)?;
                __ReadCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::read,
                    4,
                    |__reply, (data, status)| { ReadReply(__reply).send(data, status) },
                    __rt::handler_failed,
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `frames` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncClientRx {
        /// Shows a frame.
        async fn frame(
            &self,
            binding: &ClientBinding,
            seq: u64,
            pixels: __rt::BulkOwned,
        );
        /// Handles `pair(bulk left, cap lent, give_away_cap given, bulk right)`.
        async fn pair(
            &self,
            binding: &ClientBinding,
            left: __rt::BulkOwned,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::BulkOwned,
        );
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
            4 => return __ReadResponse::answer_bulk(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => {
                __Frame::resolve(&__b.0, __m)?;
                __Frame::spawn(__m, __rx, __b, __R::frame)
            }
            2 => {
                __Pair::resolve(&__b.0, __m)?;
                __Pair::spawn(__m, __rx, __b, __R::pair)
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// The reply that a caller of `rpc read(in uint64 offset, in bulk key, out bulk data, out errval status)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct ReadReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> ReadReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, data: impl __rt::IntoBulk, status: __rt::Errval) {
            let __pools = self.0.bulk();
            let data = __rt::BulkToSend::new(__pools.as_ref(), data);
            __ReadResponse::reply((self.0.id(), &data, status), self.0);
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
    impl __rt::Reply for ReadReply {
        type Values = (__rt::BulkOwned, __rt::Errval);
        type Response = __ReadResponse;
    }
    /// Calls the remote procedures of `frames`.
    ///
    /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient<E: __rt::End = __rt::Local>(ClientBinding<E>, __rt::Timeout);
    impl<E: __rt::End> RpcClient<E> {
        /// Calls `rpc read(in uint64 offset, in bulk key, out bulk data, out errval status)` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn read(
            &self,
            offset: u64,
            key: impl __rt::IntoBulk,
        ) -> __rt::Result<(__rt::BulkOwned, __rt::Errval), __rt::RpcError> {
            let __id = self.0.0.next_call();
            let __pools = self.0.0.bulk();
            let key = __rt::BulkToSend::new(__pools.as_ref(), key);
            __ReadCall::call::<
                E,
                ReadReply,
            >(&self.0.0, __id, (__id, offset, &key), self.1)
        }
        /// Makes the call of `read`: the result is a future.
        pub fn read_async(
            &self,
            offset: u64,
            key: impl __rt::IntoBulk,
        ) -> __rt::Call<ReadReply, E> {
            let __id = self.0.0.next_call();
            let __pools = self.0.0.bulk();
            let key = __rt::BulkToSend::new(__pools.as_ref(), key);
            __ReadCall::call_async(&self.0.0, __id, (__id, offset, &key), self.1)
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
    /// Any message of `frames`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// Shows a frame.
        Frame { seq: u64, pixels: __rt::BulkOwned },
        /// `pair(bulk left, cap lent, give_away_cap given, bulk right)`
        Pair {
            left: __rt::BulkOwned,
            lent: __rt::Cap,
            given: __rt::Cap,
            right: __rt::BulkOwned,
        },
        /// `read_call(uint64 offset, bulk key)`: the call of the rpc.
        ReadCall {
            /// The number of the call.
            id: u32,
            offset: u64,
            key: __rt::BulkOwned,
        },
        /// `read_response(bulk data, errval status)`: the response of the rpc.
        ReadResponse {
            /// The number of the call.
            id: u32,
            data: __rt::BulkOwned,
            status: __rt::Errval,
        },
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            match self {
                Self::Frame { seq, pixels } => {
                    __Frame::encode(INTERFACE, (*seq, &__rt::BulkToSend::copied(pixels)))
                }
                Self::Pair { left, lent, given, right } => {
                    __Pair::encode(
                        INTERFACE,
                        (
                            &__rt::BulkToSend::copied(left),
                            lent,
                            __rt::Giving::Copy(given),
                            &__rt::BulkToSend::copied(right),
                        ),
                    )
                }
                Self::ReadCall { id, offset, key } => {
                    __ReadCall::encode(
                        INTERFACE,
                        (*id, *offset, &__rt::BulkToSend::copied(key)),
                    )
                }
                Self::ReadResponse { id, data, status } => {
                    __ReadResponse::encode(
                        INTERFACE,
                        (*id, &__rt::BulkToSend::copied(data), *status),
                    )
                }
            }
        }
        #[inline]
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __Frame::read(__m, |(seq, pixels)| Self::Frame { seq, pixels }),
                2 => {
                    __Pair::read(
                        __m,
                        |(left, lent, given, right)| Self::Pair {
                            left,
                            lent,
                            given,
                            right,
                        },
                    )
                }
                3 => {
                    __ReadCall::read(
                        __m,
                        |(id, offset, key)| Self::ReadCall { id, offset, key },
                    )
                }
                4 => {
                    __ReadResponse::read(
                        __m,
                        |(id, data, status)| Self::ReadResponse {
                            id,
                            data,
                            status,
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
