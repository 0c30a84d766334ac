/// Types shared by interfaces: `geometry`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod geometry {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } point;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq)]
    pub struct Point {
        pub x: f64,
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
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{x,y}",
                &[<f64 as __rt::Shape>::FORM, <f64 as __rt::Shape>::FORM],
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
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    #[repr(u32)]
    pub enum Colour {
        Red = 0,
        Green = 1,
    }
    #[automatically_derived]
    impl __rt::Shape for Colour {
        const SIZE: __rt::usize = 4;
        const ALIGN: __rt::usize = 4;
        const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
            "enum{RED,GREEN}",
            &[],
        );
    }
    #[automatically_derived]
    impl __rt::Encode for Colour {
        #[inline]
        fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
            __rt::put_tag(*self as __rt::u32, __words, __at);
        }
    }
    #[automatically_derived]
    impl<'__a> __rt::Decode<'__a> for Colour {
        #[inline]
        fn take(
            __decoder: &mut __rt::Decoder<'__a>,
            __at: __rt::usize,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            __rt::Ok(
                match __decoder.tag(__at, 2, "colour")? {
                    0 => Self::Red {},
                    _ => Self::Green {},
                },
            )
        }
    }
}
/// The interface `painter`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod painter {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } point;`
    pub use super::geometry::Point;
    /// `typedef enum { .. } colour;`
    pub use super::geometry::Colour;
    /// `typedef struct { .. } line;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq)]
    pub struct Line {
        pub from: Point,
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
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{from,to}",
                &[<Point as __rt::Shape>::FORM, <Point as __rt::Shape>::FORM],
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
    const __MESSAGES: [__rt::MessageInfo; 1] = __rt::numbered(
        [
            __Draw::info(
                "draw",
                "l: line, c: colour",
                "message draw(l:{from:{x:double,y:double},to:{x:double,y:double}},c:enum{RED,GREEN})",
            ),
        ],
        [91085111576766045342520900326579149650],
    );
    /// Describes the interface `painter`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "painter",
        "painter",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `painter`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local>(__rt::RawEnd<E>);
    impl<E: __rt::End> Binding<E> {
        /// Sends `draw(line l, colour c)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_draw(&self, l: Line, c: Colour) -> __sent<'_, E> {
            __Draw::tx(&self.0, (l, c))
        }
        /// Sends `draw(line l, colour c)` once the binding is not busy.
        pub fn send_draw(&self, l: Line, c: Colour) -> __rt::Sending<'_, E> {
            __Draw::sending(&self.0, (l, c))
        }
        /// Receives the next `draw(line l, colour c)`; the inbox keeps others.
        pub fn recv_draw(&self) -> __rt::Receiving<'_, (Line, Colour), E> {
            __Draw::recv(&self.0)
        }
        /// Sends a message that is a value: `tx_*` with copies of all capabilities, also those that would be given away.
        pub fn tx(&self, message: &Message) -> __sent<'_, E> {
            self.0.send_message(message, __rt::Direction::Both)
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
        pub fn shared(&self) -> Binding<__rt::Shared> {
            Binding(self.0.shared())
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
    impl Binding<__rt::Local> {
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
    impl Binding<__rt::Shared> {
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
    impl __rt::AsRaw for Binding<__rt::Local> {
        fn as_raw(&self) -> &__rt::RawBinding {
            &self.0.0
        }
    }
    /// What handles the messages of `painter`: an [`Rx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
    pub trait Handlers<E: __rt::End = __rt::Local>: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::BoxDispatch<E>;
    }
    #[automatically_derived]
    impl<E: __rt::End> Handlers<E> for () {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::nothing::<E, Message>(__rt::Direction::Both)
        }
    }
    #[automatically_derived]
    impl<E: __rt::End, __R: Handlers<E>> Handlers<E> for __rt::Inbox<Binding<E>, __R> {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::inbox(self, __rt::Direction::Both, Binding, __R::__deliver)
        }
    }
    /// What one end of `painter` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Handles `draw(line l, colour c)`.
        fn draw(&mut self, binding: &Binding<E>, l: Line, c: Colour);
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of `painter` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `draw(line l, colour c)`.
        pub draw: __closure<dyn __rt::FnMut(&Binding, Line, Colour)>,
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
        fn draw(&mut self, binding: &Binding, l: Line, c: Colour) {
            match &mut self.draw {
                __rt::Some(__handler) => __handler(binding, l, c),
                __rt::None => Rx::error(self, binding, __rt::no_handler("draw")),
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
                Binding,
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
                Binding,
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
            1 => __Draw::deliver(__m, |(l, c)| Rx::draw(__rx, __b, l, c)),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What one end of `painter` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `draw(line l, colour c)`.
        async fn draw(&self, binding: &Binding, l: Line, c: Colour);
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
                Binding,
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
            1 => __Draw::spawn(__m, __rx, __b, __R::draw),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// Any message of `painter`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// `draw(line l, colour c)`
        Draw { l: Line, c: Colour },
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
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __Draw::read(__m, |(l, c)| Self::Draw { l, c }),
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
    pub fn bind<W: __rt::AnyWaitset, X: Handlers<W::End>>(
        iref: __rt::Iref,
        waitset: &W,
        rx: X,
    ) -> W::Bind<Binding<W::End>> {
        __rt::bind(iref, waitset, INTERFACE, __rt::broker(), rx.__deliver(), Binding)
    }
    /// Makes a binding over one end of a channel that the caller has; `rx` handles what it receives. The binding ends when
    /// its last handle is dropped. Its peer is unknown. Fails if the waitset cannot watch the channel.
    pub fn over(
        channel: __rt::Box<dyn __rt::Channel>,
        waitset: &__rt::Waitset,
        rx: impl Handlers,
    ) -> __rt::io::Result<Binding> {
        __rt::attach(channel, waitset, INTERFACE, rx.__deliver()).map(Binding)
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
        __rt::connect::<Message, _, _>(name, |__e| Binding(__e.shared()), Binding)
    }
    type __connect = __rt::Connect<
        Binding<__rt::Shared>,
        __rt::Again<Binding<__rt::Reconnecting>>,
    >;
}
/// Another user of the same types.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub(crate) mod plotter {
    use ::flounder::__private as __rt;
    /// `typedef struct { .. } point;`
    pub use super::geometry::Point;
    /// `typedef enum { .. } colour;`
    pub use super::geometry::Colour;
    type __MoveTo = __rt::MessageType<1, 2, (__rt::Copied<Point>,)>;
    const __MESSAGES: [__rt::MessageInfo; 1] = __rt::numbered(
        [
            __MoveTo::info(
                "move_to",
                "p: point",
                "message move_to(p:{x:double,y:double})",
            ),
        ],
        [143762168547181418061269750673224031079],
    );
    /// Describes the interface `plotter`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "plotter",
        "Another user of the same types",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `plotter`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local>(__rt::RawEnd<E>);
    impl<E: __rt::End> Binding<E> {
        /// Sends `move_to(point p)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_move_to(&self, p: Point) -> __sent<'_, E> {
            __MoveTo::tx(&self.0, (p,))
        }
        /// Sends `move_to(point p)` once the binding is not busy.
        pub fn send_move_to(&self, p: Point) -> __rt::Sending<'_, E> {
            __MoveTo::sending(&self.0, (p,))
        }
        /// Receives the next `move_to(point p)`; the inbox keeps others.
        pub fn recv_move_to(&self) -> __rt::Receiving<'_, Point, E> {
            __MoveTo::recv(&self.0)
        }
        /// Sends a message that is a value: `tx_*` with copies of all capabilities, also those that would be given away.
        pub fn tx(&self, message: &Message) -> __sent<'_, E> {
            self.0.send_message(message, __rt::Direction::Both)
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
        pub fn shared(&self) -> Binding<__rt::Shared> {
            Binding(self.0.shared())
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
    impl Binding<__rt::Local> {
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
    impl Binding<__rt::Shared> {
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
    impl __rt::AsRaw for Binding<__rt::Local> {
        fn as_raw(&self) -> &__rt::RawBinding {
            &self.0.0
        }
    }
    /// What handles the messages of `plotter`: an [`Rx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
    pub trait Handlers<E: __rt::End = __rt::Local>: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::BoxDispatch<E>;
    }
    #[automatically_derived]
    impl<E: __rt::End> Handlers<E> for () {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::nothing::<E, Message>(__rt::Direction::Both)
        }
    }
    #[automatically_derived]
    impl<E: __rt::End, __R: Handlers<E>> Handlers<E> for __rt::Inbox<Binding<E>, __R> {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::inbox(self, __rt::Direction::Both, Binding, __R::__deliver)
        }
    }
    /// What one end of `plotter` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Handles `move_to(point p)`.
        fn move_to(&mut self, binding: &Binding<E>, p: Point);
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of `plotter` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `move_to(point p)`.
        pub move_to: __closure<dyn __rt::FnMut(&Binding, Point)>,
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
        fn move_to(&mut self, binding: &Binding, p: Point) {
            match &mut self.move_to {
                __rt::Some(__handler) => __handler(binding, p),
                __rt::None => Rx::error(self, binding, __rt::no_handler("move_to")),
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
                Binding,
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
                Binding,
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
            1 => __MoveTo::deliver(__m, |(p,)| Rx::move_to(__rx, __b, p)),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What one end of `plotter` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `move_to(point p)`.
        async fn move_to(&self, binding: &Binding, p: Point);
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
                Binding,
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
            1 => __MoveTo::spawn(__m, __rx, __b, __R::move_to),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// Any message of `plotter`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// `move_to(point p)`
        MoveTo { p: Point },
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
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => __MoveTo::read(__m, |(p,)| Self::MoveTo { p }),
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
    pub fn bind<W: __rt::AnyWaitset, X: Handlers<W::End>>(
        iref: __rt::Iref,
        waitset: &W,
        rx: X,
    ) -> W::Bind<Binding<W::End>> {
        __rt::bind(iref, waitset, INTERFACE, __rt::broker(), rx.__deliver(), Binding)
    }
    /// Makes a binding over one end of a channel that the caller has; `rx` handles what it receives. The binding ends when
    /// its last handle is dropped. Its peer is unknown. Fails if the waitset cannot watch the channel.
    pub fn over(
        channel: __rt::Box<dyn __rt::Channel>,
        waitset: &__rt::Waitset,
        rx: impl Handlers,
    ) -> __rt::io::Result<Binding> {
        __rt::attach(channel, waitset, INTERFACE, rx.__deliver()).map(Binding)
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
        __rt::connect::<Message, _, _>(name, |__e| Binding(__e.shared()), Binding)
    }
    type __connect = __rt::Connect<
        Binding<__rt::Shared>,
        __rt::Again<Binding<__rt::Reconnecting>>,
    >;
}
