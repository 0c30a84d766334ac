/// Types shared by interfaces: `geometry`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub mod geometry {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } point;`
    #[doc(alias = "point")]
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq)]
    pub struct Point {
        /// `x`
        pub x: f64,
        /// `y`
        pub y: f64,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <f64 as __rt::Shape>::PLACE,
            <f64 as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Point {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{x,y}"),
                &[<f64 as __rt::Shape>::FINGERPRINT, <f64 as __rt::Shape>::FINGERPRINT],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Point {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { x: __0, y: __1 } = self;
                <f64 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <f64 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Point {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<f64>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<f64>(__at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { x: __0, y: __1 })
            }
        }
    };
    /// `typedef enum { .. } colour;`
    #[doc(alias = "colour")]
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    #[repr(u32)]
    pub enum Colour {
        /// `RED`
        #[doc(alias = "RED")]
        Red = 0,
        /// `GREEN`
        #[doc(alias = "GREEN")]
        Green = 1,
    }
    const _: () = {
        #[automatically_derived]
        impl __rt::Shape for Colour {
            const SIZE: __rt::usize = 4;
            const ALIGN: __rt::usize = 4;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("enum{RED,GREEN}"),
                &[],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Colour {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let __tag: __rt::u32 = match self {
                    Self::Red { .. } => 0,
                    Self::Green { .. } => 1,
                };
                __rt::Encode::put(&__tag, __words, __at);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Colour {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __value = match __decoder.tag(__at, 2, "colour")? {
                    0 => Self::Red {},
                    _ => Self::Green {},
                };
                __rt::Ok(__value)
            }
        }
    };
}
/// The interface `painter`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub mod painter {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } point;`
    pub use super::geometry::Point;
    /// `typedef enum { .. } colour;`
    pub use super::geometry::Colour;
    /// `typedef struct { .. } line;`
    #[doc(alias = "line")]
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq)]
    pub struct Line {
        /// `from`
        pub from: Point,
        /// `to`
        pub to: Point,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <Point as __rt::Shape>::PLACE,
            <Point as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Line {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{from,to}"),
                &[
                    <Point as __rt::Shape>::FINGERPRINT,
                    <Point as __rt::Shape>::FINGERPRINT,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Line {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { from: __0, to: __1 } = self;
                <Point as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <Point as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Line {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<Point>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<Point>(__at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { from: __0, to: __1 })
            }
        }
    };
    type __Draw = __rt::MessageType<1, 5, (__rt::Copied<Line>, __rt::Copied<Colour>)>;
    /// Describes the interface `painter`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "painter",
        "painter",
        &__rt::numbered(
            [__Draw::info("draw", "l: line, c: colour")],
            &[91085111576766045342520900326579149650],
        ),
        &[__Draw::LIMIT],
    );
    /// One end of a connection that speaks `painter`.
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
        /// As `recv`, for the next `draw(line l, colour c)`; others are kept.
        #[inline]
        pub fn recv_draw(&self) -> __rt::Receiving<'_, (Line, Colour)> {
            __Draw::recv(&self.0)
        }
        /// Sends `draw(line l, colour c)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_draw(
            &self,
            l: Line,
            c: Colour,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Draw::send(&self.0, (l, c))
        }
        /// Sends `draw(line l, colour c)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_draw<'__a>(
            &'__a self,
            l: Line,
            c: Colour,
        ) -> __rt::Sending<'__a, __Draw> {
            __Draw::sending(&self.0, (l, c))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for Binding {
        type Target = __rt::RawBinding;
        fn deref(&self) -> &__rt::RawBinding {
            &self.0
        }
    }
    /// What one end of `painter` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
    pub trait Rx {
        /// Handles `draw(line l, colour c)`.
        fn draw(&mut self, binding: &Binding, l: Line, c: Colour);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Handlers of `painter` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `draw(line l, colour c)`.
        pub draw: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, Line, Colour)>>,
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
        fn draw(&mut self, binding: &Binding, l: Line, c: Colour) {
            match &mut self.draw {
                __rt::Some(__handler) => __handler(binding, l, c),
                __rt::None => Rx::error(self, binding, __rt::no_handler("draw")),
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(INTERFACE, &error),
            }
        }
    }
    /// What can be put behind a binding of `painter`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
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
                        __Draw::deliver(
                            __message,
                            |(l, c)| { Rx::draw(__rx, &Binding(__raw.handle()), l, c) },
                        )
                    }
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    Rx::error(__rx, __binding, __error)
                },
            )
        }
    }
    /// What one end of `painter` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
    /// caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `draw(line l, colour c)`.
        async fn draw(&self, binding: &Binding, l: Line, c: Colour);
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
                        __Draw::deliver_owned(
                            __message,
                            |(l, c)| {
                                __raw.spawn_handler(__rx, Binding, (l, c), __R::draw)
                            },
                        )
                    }
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    AsyncRx::error(&**__rx, __binding, __error)
                },
            )
        }
    }
    /// One end of a connection that speaks `painter`, for any thread.
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
        /// Sends `draw(line l, colour c)`.
        #[inline]
        pub fn send_draw(&self, l: Line, c: Colour) -> __rt::SharedSend {
            __Draw::send_shared(&self.0, (l, c))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for SharedBinding {
        type Target = __rt::SharedEndpoint;
        fn deref(&self) -> &__rt::SharedEndpoint {
            &self.0
        }
    }
    /// Any message of `painter`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
    /// equals none.
    pub enum Message {
        /// `draw(line l, colour c)`
        Draw {
            /// `l`
            l: Line,
            /// `c`
            c: Colour,
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
                Self::Draw { l, c } => __Draw::encode(INTERFACE, (*l, *c)),
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => __Draw::read(__message, |(l, c)| Self::Draw { l, c }),
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
                Self::Draw { l, c } => __rt::show(__f, INTERFACE, 1, "Draw", &[l, c]),
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
/// Another user of the same types.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub(crate) mod plotter {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } point;`
    pub use super::geometry::Point;
    /// `typedef enum { .. } colour;`
    pub use super::geometry::Colour;
    type __MoveTo = __rt::MessageType<1, 2, (__rt::Copied<Point>,)>;
    /// Describes the interface `plotter`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "plotter",
        "Another user of the same types",
        &__rt::numbered(
            [__MoveTo::info("move_to", "p: point")],
            &[143762168547181418061269750673224031079],
        ),
        &[__MoveTo::LIMIT],
    );
    /// One end of a connection that speaks `plotter`.
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
        /// As `recv`, for the next `move_to(point p)`; others are kept.
        #[inline]
        pub fn recv_move_to(&self) -> __rt::Receiving<'_, Point> {
            __MoveTo::recv(&self.0)
        }
        /// Sends `move_to(point p)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_move_to(
            &self,
            p: Point,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __MoveTo::send(&self.0, (p,))
        }
        /// Sends `move_to(point p)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_move_to<'__a>(
            &'__a self,
            p: Point,
        ) -> __rt::Sending<'__a, __MoveTo> {
            __MoveTo::sending(&self.0, (p,))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for Binding {
        type Target = __rt::RawBinding;
        fn deref(&self) -> &__rt::RawBinding {
            &self.0
        }
    }
    /// What one end of `plotter` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
    pub trait Rx {
        /// Handles `move_to(point p)`.
        fn move_to(&mut self, binding: &Binding, p: Point);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Handlers of `plotter` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `move_to(point p)`.
        pub move_to: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, Point)>>,
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
        fn move_to(&mut self, binding: &Binding, p: Point) {
            match &mut self.move_to {
                __rt::Some(__handler) => __handler(binding, p),
                __rt::None => Rx::error(self, binding, __rt::no_handler("move_to")),
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(INTERFACE, &error),
            }
        }
    }
    /// What can be put behind a binding of `plotter`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
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
                        __MoveTo::deliver(
                            __message,
                            |(p,)| { Rx::move_to(__rx, &Binding(__raw.handle()), p) },
                        )
                    }
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    Rx::error(__rx, __binding, __error)
                },
            )
        }
    }
    /// What one end of `plotter` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
    /// caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `move_to(point p)`.
        async fn move_to(&self, binding: &Binding, p: Point);
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
                        __MoveTo::deliver_owned(
                            __message,
                            |(p,)| {
                                __raw.spawn_handler(__rx, Binding, (p,), __R::move_to)
                            },
                        )
                    }
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    AsyncRx::error(&**__rx, __binding, __error)
                },
            )
        }
    }
    /// One end of a connection that speaks `plotter`, for any thread.
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
        /// Sends `move_to(point p)`.
        #[inline]
        pub fn send_move_to(&self, p: Point) -> __rt::SharedSend {
            __MoveTo::send_shared(&self.0, (p,))
        }
    }
    #[automatically_derived]
    impl __rt::Deref for SharedBinding {
        type Target = __rt::SharedEndpoint;
        fn deref(&self) -> &__rt::SharedEndpoint {
            &self.0
        }
    }
    /// Any message of `plotter`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
    /// equals none.
    pub enum Message {
        /// `move_to(point p)`
        MoveTo {
            /// `p`
            p: Point,
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
                Self::MoveTo { p } => __MoveTo::encode(INTERFACE, (*p,)),
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => __MoveTo::read(__message, |(p,)| Self::MoveTo { p }),
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
                Self::MoveTo { p } => __rt::show(__f, INTERFACE, 1, "MoveTo", &[p]),
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
