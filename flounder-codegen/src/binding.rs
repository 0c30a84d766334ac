//! `Binding` and its `tx_*` methods, the receive trait `Rx`, and what takes messages from the one to the other.

use flounder_idl::model::{Message, Role};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use crate::buffer;
use crate::docs;
use crate::message::{Messages, Side, Wire, one_or_tuple};
use crate::rpc::reply_name;
use crate::rt::Rt;
use crate::value::Value;

/// Everything around `Binding`.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let sides = messages.sides().iter().map(|side| {
        let items = [rx(messages, *side), vtbl(messages, *side), handlers(messages, *side)];
        items.into_iter().collect::<TokenStream>()
    });
    let (binding, handlers) = (binding(messages), handlers_trait(messages));
    quote!(#binding #handlers #(#sides)*)
}

fn binding(messages: &Messages<'_>) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!("One end of a connection that speaks `{name}`."));
    let methods = one_way_methods(messages, Side::Either);
    let values = buffer::binding_methods(messages);
    let (local, shared) = (local_methods(rt), shared_methods(rt));
    let (pool, pool_owner) =
        if messages.have_bulk() { pools(messages) } else { Default::default() };
    // The side is a parameter where the ends differ.
    let [side, bounded] = messages.side_generics();
    let alone = messages.side.as_ref().map(|side| quote!(<#side: #rt::Side>));
    let default = messages.side.as_ref().map(|_| quote!(= #rt::ServiceSide));
    let marker = messages.side.as_ref().map(|side| quote!(, #rt::PhantomData<#side>));
    let constructor = messages.constructor();
    let directed = messages.side.is_some().then(|| directed_binding(messages));
    quote! {
        #doc
        ///
        /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
        #[#rt::derive(#rt::Debug, #rt::Clone)]
        pub struct Binding<#end: #rt::End = #rt::Local #bounded #default>(#rt::RawEnd<#end> #marker);

        #directed

        impl<#end: #rt::End #bounded> Binding<#end #side> {
            #methods

            #values

            #pool

            /// Returns an end for any thread, which is `Send` and `Sync`. The handlers stay in the thread of the waitset.
            pub fn shared(&self) -> Binding<#rt::Shared #side> {
                #constructor(self.0.shared())
            }

            /// Returns the process at the other end.
            pub fn peer(&self) -> &#rt::Peer {
                self.0.peer()
            }

            /// Returns the name of the driver.
            pub fn driver(&self) -> &'static #rt::str {
                self.0.driver()
            }

            /// Returns the reason why the binding ended, if it has.
            pub fn ended(&self) -> #rt::Option<#rt::BindingError> {
                self.0.ended()
            }

            /// Tears the binding down, without blocking. The peer receives what was accepted, and then `BindingError::Closed`.
            pub fn teardown(&self) {
                self.0.teardown();
            }

            /// Tears the binding down. The future completes when everything that was accepted is sent.
            pub fn close(&self) -> #rt::Closing<#end> {
                self.0.close()
            }

            /// Returns true if a message would be accepted now.
            pub fn can_send(&self) -> #rt::bool {
                self.0.can_send()
            }

            /// Gives the binding another priority among the bindings of its waitset. Does nothing once the binding has ended.
            pub fn set_priority(&self, priority: #rt::Priority) {
                self.0.set_priority(priority);
            }
        }

        // Documentation shows what these stand for.
        type __sent<'a, E> = #rt::Result<#rt::Sent<'a, E>, #rt::TxError>;
        type __controlled = #rt::Result<(), #rt::ControlError>;

        impl #alone Binding<#rt::Local #side> {
            #local
        }

        impl #alone Binding<#rt::Shared #side> {
            #shared
        }

        #pool_owner

        #[automatically_derived]
        impl #alone #rt::AsRaw for Binding<#rt::Local #side> {
            fn as_raw(&self) -> &#rt::RawBinding {
                &self.0.0
            }
        }
    }
}

/// What a binding has besides if its ends have different messages.
fn directed_binding(messages: &Messages<'_>) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!("The client's end of a connection that speaks `{name}`."));
    let sides = messages.sides().iter().filter_map(|side| {
        let methods = one_way_methods(messages, *side);
        let binding = messages.binding(*side, end);
        let some = !methods.is_empty();
        some.then(|| quote!(impl<#end: #rt::End> #binding { #methods }))
    });
    quote! {
        #doc
        pub type ClientBinding<#end = #rt::Local> = Binding<#end, #rt::ClientSide>;

        #[inline]
        fn __binding<E: #rt::End, S: #rt::Side>(__end: #rt::RawEnd<E>) -> Binding<E, S> {
            Binding(__end, #rt::PhantomData)
        }

        #(#sides)*
    }
}

/// `tx_*`, `send_*` and `recv_*` of the messages that this side sends or receives and the other does not; with
/// [`Side::Either`], of those that both do.
fn one_way_methods(messages: &Messages<'_>, side: Side) -> TokenStream {
    let sent = messages.sent(side).map(|wire| tx(wire, messages));
    let received = messages.received(side).map(|wire| buffer::receive(wire, messages));
    sent.chain(received).collect()
}

/// What a binding has if its interface has bulk data: a method, and an implementation.
fn pools(messages: &Messages<'_>) -> (TokenStream, TokenStream) {
    let (rt, end) = (messages.rt, &messages.end);
    let [side, bounded] = messages.side_generics();
    let method = quote! {
        /// Returns the pool that the binding makes by itself, of 16 slots of 64 KiB. `Pool::new` makes others.
        pub fn pool(&self) -> #rt::Result<#rt::Pool, #rt::PoolError> {
            self.0.default_pool()
        }
    };
    let owner = quote! {
        #[automatically_derived]
        impl<#end: #rt::End #bounded> #rt::PoolOwner for Binding<#end #side> {
            fn make_pool(&self, slots: #rt::Slots) -> #rt::Result<#rt::Pool, #rt::PoolError> {
                self.0.make_pool(slots)
            }
        }
    };
    (method, owner)
}

/// The methods of a binding for the thread of its waitset.
fn local_methods(rt: &Rt) -> TokenStream {
    quote! {
        /// Runs `callback` once from `waitset` when a message is likely to be accepted. Fails if another callback waits.
        pub fn register_send(
            &self,
            waitset: &#rt::Waitset,
            callback: impl #rt::FnOnce(&#rt::Waitset) -> #rt::Outcome + 'static,
        ) -> __controlled {
            self.0.0.register_send(waitset, callback)
        }

        /// Returns the waitset that serves the binding, unless it is gone.
        pub fn waitset(&self) -> #rt::Option<#rt::Waitset> {
            self.0.0.waitset()
        }

        /// Moves the binding to another waitset of this thread. Fails if that cannot watch the channel.
        pub fn change_waitset(&self, waitset: &#rt::Waitset) -> __controlled {
            self.0.0.change_waitset(waitset)
        }

        /// Executes a control operation. A driver ignores an operation that it has no use for.
        pub fn control(&self, control: #rt::Control) -> __controlled {
            self.0.0.control(control)
        }
    }
}

/// The methods of a binding for any thread that have other types than those of a binding for one.
fn shared_methods(rt: &Rt) -> TokenStream {
    quote! {
        /// Runs `callback` once from `waitset` when a message is likely to be accepted. Fails if another callback waits.
        pub fn register_send(
            &self,
            waitset: &#rt::SharedWaitset,
            callback: impl #rt::FnOnce(&#rt::SharedWaitset) -> #rt::Outcome + #rt::Send + 'static,
        ) -> __controlled {
            self.0.0.register_send(waitset, callback)
        }

        /// Moves a binding of a `SharedWaitset` to another one. Fails if that cannot watch the channel, or the binding
        /// belongs to one thread.
        pub fn change_waitset(&self, waitset: &#rt::SharedWaitset) -> __controlled {
            self.0.0.change_waitset(waitset)
        }
    }
}

/// `pub fn tx_basic(&self, ..)` and `pub fn send_basic(&self, ..)`
fn tx(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, message, end) = (wire.rt(), wire.message, &messages.end);
    let [tx, send] = ["tx", "send"]
        .map(|verb| format_ident!("{verb}_{}", message.name.rust, span = message.name.rust.span()));
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let errors = if wire.has_caps() { TX_CAPS_ERRORS } else { TX_ERRORS };
    let doc = docs::with_errors(&message.docs, &format!("Sends `{declared}`."), errors);
    let send_doc = docs::line(&format!("Sends `{declared}` once the binding is not busy."));
    let gifts = wire.gifts(quote!(self.0));
    let (form, passed) = (&wire.form, wire.passed(None));
    let parameters = wire.parameters();
    let given = wire.given();
    if given.is_empty() {
        let lifetime = quote!('a);
        let borrows = wire.values.iter().any(Value::borrows);
        let (generics, lifetime) =
            if borrows { (quote!(<'a>), lifetime) } else { (quote!(), quote!('_)) };
        let (this, lent) = if borrows {
            (quote!(&'a self), wire.parameters_for(&lifetime))
        } else {
            (quote!(&self), parameters.clone())
        };
        return quote! {
            #doc
            pub fn #tx(&self, #parameters) -> __sent<'_, #end> {
                #form::tx(&self.0, #passed)
            }

            #send_doc
            pub fn #send #generics(#this, #lent) -> #rt::Sending<#lifetime, #end> {
                #form::sending(&self.0, #passed)
            }
        };
    }
    let types: Vec<_> = given.iter().map(|value| value.given_type()).collect();
    let back: Vec<_> = given.iter().map(|value| value.given_back()).collect();
    let restored: Vec<_> = given.iter().map(|value| value.given_back_from()).collect();
    let [types, back, restored] = [types, back, restored].map(|parts| one_or_tuple(&parts));
    let (bulks, sending) = (wire.bulks(), quote!(#form::given(&self.0, #passed)));
    let sending = if bulks.is_empty() {
        sending
    } else {
        quote!(let __sending = #sending; #(let #bulks = #bulks.unsent();)* __sending)
    };
    quote! {
        #doc
        pub fn #tx(&self, #parameters) -> #rt::Result<#rt::Sent<'_, #end>, #rt::Rejected<#types>> {
            #gifts
            #form::tx(&self.0, #passed).map_err(|__error| #rt::Rejected { error: __error, given: #back })
        }

        #send_doc
        pub fn #send(&self, #parameters) -> #rt::SendingCaps<'_, #end, #types> {
            #gifts
            #sending.giving(move |__caps| #restored)
        }
    }
}

const TX_ERRORS: &str = "If the binding is busy with another message or has ended, or a value is over its maximum. \
                         Nothing is sent then.";

const TX_CAPS_ERRORS: &str = "If the binding is busy with another message or has ended, a value is over its maximum, or \
                              a capability may not leave or cannot be copied. The message is not sent then.";

fn rx(messages: &Messages<'_>, side: Side) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let doc =
        docs::line(&format!("{} does with the messages that it receives.", what(messages, side)));
    let (trait_name, binding_type) = (side.name("Rx"), messages.local(side));
    let threads = docs::line(&format!(
        "Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of \
         `{trait_name}<Shared>` are `Send`, and run on any thread of a `SharedWaitset`."
    ));
    let handlers = messages.handled(side).map(|wire| {
        let handler = Handler::new(wire, messages);
        let (doc, name, binding, parameters) =
            (handler.doc(), handler.name, &handler.binding, handler.parameters(Some(end)));
        let declaration = quote_spanned! {name.span()=>
            fn #name(&mut self, #binding: &#binding_type<#end>, #parameters);
        };
        quote!(#doc #declaration)
    });
    let connected = (side != Side::Client).then(|| {
        quote! {
            /// The binding has been made, and may send. Runs before any other handler.
            fn connected(&mut self, binding: &#binding_type<#end>) {
                let _ = binding;
            }
        }
    });
    quote! {
        #doc
        ///
        #threads
        pub trait #trait_name<#end: #rt::End = #rt::Local> {
            #(#handlers)*

            #connected

            /// Something went wrong with the binding. Left alone, it is logged.
            fn error(&mut self, binding: &#binding_type<#end>, error: #rt::BindingError) {
                #rt::unhandled_error(&binding.0, error);
            }
        }
    }
}

/// `What a client of `test``
pub(crate) fn what(messages: &Messages<'_>, side: Side) -> String {
    let who = match side {
        Side::Either => "one end",
        Side::Service => "a service",
        Side::Client => "a client",
    };
    format!("What {who} of `{}`", messages.interface.name.idl)
}

/// The handler of a message, or of the call of an rpc.
pub(crate) struct Handler<'m, 'a> {
    pub(crate) wire: &'m Wire<'a>,
    pub(crate) messages: &'m Messages<'a>,
    pub(crate) name: &'a Ident,
    /// The parameter for the binding.
    pub(crate) binding: Ident,
    /// The parameter for the reply, and its type.
    reply: Option<(Ident, Ident)>,
}

impl<'m, 'a> Handler<'m, 'a> {
    pub(crate) fn new(wire: &'m Wire<'a>, messages: &'m Messages<'a>) -> Self {
        let (name, reply) = match wire.message.role {
            Role::RpcCall(index) => {
                let rpc = &messages.interface.rpcs[index];
                (&rpc.name.rust, Some((wire.free_name("reply"), reply_name(rpc))))
            }
            _ => (&wire.message.name.rust, None),
        };
        Self { wire, messages, name, binding: wire.free_name("binding"), reply }
    }

    pub(crate) fn doc(&self) -> TokenStream {
        let (message, interface) = (self.wire.message, self.messages.interface);
        let (docs, declared) = match message.role {
            Role::RpcCall(index) => {
                let rpc = &interface.rpcs[index];
                (&rpc.docs, docs::rpc_signature(rpc, interface))
            }
            _ => (&message.docs, docs::signature(&message.name.idl, message, &interface.types)),
        };
        docs::of(docs, &format!("Handles `{declared}`."))
    }

    fn idl_name(&self) -> &'a str {
        match self.wire.message.role {
            Role::RpcCall(index) => &self.messages.interface.rpcs[index].name.idl,
            _ => &self.wire.message.name.idl,
        }
    }

    /// The parameters, with the reply of an end of kind `end`.
    fn parameters(&self, end: Option<&Ident>) -> TokenStream {
        let parameters = self.wire.handler_parameters();
        let end = end.map(|end| quote!(<#end>));
        let reply = self.reply.as_ref().map(|(name, ty)| quote!(#name: #ty #end,));
        quote!(#parameters #reply)
    }

    fn types(&self) -> TokenStream {
        let (types, reply) =
            (self.wire.handler_types(), self.reply.as_ref().map(|(_, ty)| quote!(#ty,)));
        quote!(#types #reply)
    }

    fn names(&self) -> TokenStream {
        let (names, reply) =
            (self.wire.names(), self.reply.as_ref().map(|(name, _)| quote!(#name,)));
        quote!(#names #reply)
    }
}

/// `Handlers`: what `export`, `bind` and `over` take.
fn handlers_trait(messages: &Messages<'_>) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let name = &messages.interface.name.idl;
    let constructor = messages.constructor();
    let [side, bounded] = messages.side_generics();
    let (rx, default) = match messages.side {
        None => ("an [`Rx`]", None),
        Some(_) => ("an [`Rx`] or a [`ClientRx`]", Some(quote!(= #rt::ServiceSide))),
    };
    let receives = messages.receives();
    let doc = format!(
        "What handles the messages of `{name}`: {rx}, an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing."
    );
    let doc = docs::line(&doc);
    quote! {
        #doc
        pub trait Handlers<#end: #rt::End = #rt::Local #bounded #default>: 'static {
            #[doc(hidden)]
            fn __deliver(self) -> #rt::BoxDispatch<#end>;
        }

        #[automatically_derived]
        impl<#end: #rt::End #bounded> Handlers<#end #side> for () {
            fn __deliver(self) -> #rt::BoxDispatch<#end> {
                #rt::nothing::<#end, Message>(#receives)
            }
        }

        #[automatically_derived]
        impl<#end: #rt::End #bounded, __R: Handlers<#end #side>> Handlers<#end #side>
            for #rt::Inbox<Binding<#end #side>, __R>
        {
            fn __deliver(self) -> #rt::BoxDispatch<#end> {
                #rt::inbox(self, #receives, #constructor, __R::__deliver)
            }
        }
    }
}

/// How an [`Rx`] becomes `Handlers`.
fn handlers(messages: &Messages<'_>, side: Side) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let (rx, deliver_name) = (side.name("Rx"), side.name("__deliver"));
    let arms = messages.handled(side).map(|wire| deliver(wire, messages, &rx));
    let deliver = dispatch(
        messages,
        side,
        &quote!(#deliver_name<#end: #rt::End, __R: #rx<#end>>),
        &quote!(&mut __R),
        &messages.binding(side, end),
        Some(quote!(#[inline(always)])),
        arms,
    );
    let constructor = messages.constructor();
    let connected = match side {
        Side::Either | Side::Service => quote!(#rt::Some(#rx::connected)),
        Side::Client => quote!(#rt::None),
    };
    let [local, shared] = [quote!(#rt::Local), quote!(#rt::Shared)].map(|end| match side {
        Side::Either | Side::Service => quote!(Handlers<#end>),
        Side::Client => quote!(Handlers<#end, #rt::ClientSide>),
    });
    // Two implementations for what handles messages: one with the kind of end as a parameter could overlap with the others.
    quote! {
        #[automatically_derived]
        impl<__R: #rx + 'static> #local for __R {
            fn __deliver(self) -> #rt::BoxDispatch {
                #rt::dispatcher(self, #constructor, #deliver_name, #rx::error, #connected)
            }
        }

        #[automatically_derived]
        impl<__R: #rx<#rt::Shared> + #rt::Send + 'static> #shared for __R {
            fn __deliver(self) -> #rt::BoxDispatch<#rt::Shared> {
                #rt::shared_dispatcher(self, #constructor, #deliver_name, #rx::error, #connected)
            }
        }

        #deliver
    }
}

/// The function that decodes a message and passes it to a handler, with an arm for each number.
pub(crate) fn dispatch(
    messages: &Messages<'_>,
    side: Side,
    name: &TokenStream,
    handlers: &TokenStream,
    binding: &TokenStream,
    inline: Option<TokenStream>,
    arms: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let rt = messages.rt;
    // The waiting call reads the rest of a response. Responses come first: handlers need more of the stack.
    let responses = messages.interface.rpcs.iter().flat_map(|rpc| {
        [Some(rpc.response), rpc.error].into_iter().flatten().map(|index| &messages.list[index])
    });
    let responses = responses.filter(|wire| side.takes(wire.message.direction)).map(|wire| {
        let (number, form) = (number(wire.message), &wire.form);
        let answer = if wire.has_bulk() { quote!(answer_bulk) } else { quote!(answer) };
        quote!(#number => return #form::#answer(&__b.0, __m),)
    });
    let responses: Vec<_> = responses.collect();
    let responses = (!responses.is_empty()).then(|| {
        quote! {
            match __m.number {
                #(#responses)*
                _ => {}
            }
        }
    });
    quote! {
        #inline
        fn #name(
            __rx: #handlers,
            __b: &#binding,
            __m: &mut #rt::Received<'_>,
        ) -> #rt::Result<(), #rt::DecodeError> {
            #responses
            match __m.number {
                #(#arms)*
                __number => #rt::stray(INTERFACE, __number),
            }
        }
    }
}

pub(crate) fn number(message: &Message) -> Literal {
    Literal::u16_unsuffixed(message.number)
}

/// `1 => __Basic::deliver(__m, |(arg, e)| Rx::basic(..)),`
fn deliver(wire: &Wire<'_>, messages: &Messages<'_>, rx: &Ident) -> TokenStream {
    let (rt, form, number) = (messages.rt, &wire.form, number(wire.message));
    let handler = Handler::new(wire, messages);
    let (name, pattern, received) = (handler.name, wire.pattern(), wire.received());
    let reply = match (wire.message.role, &handler.reply) {
        (Role::RpcCall(index), Some((_, ty))) => {
            let rpc = &messages.interface.rpcs[index];
            Some((ty, self::number(&messages.interface.messages[rpc.response])))
        }
        _ => None,
    };
    let deliver = match (reply, wire.has_bulk()) {
        (None, false) => quote!(deliver(__m, |#pattern| #rx::#name(__rx, __b, #received))),
        (None, true) => {
            quote!(deliver_bulk(&__b.0, __m, |#pattern| #rx::#name(__rx, __b, #received)))
        }
        (Some((ty, response)), false) => quote! {
            deliver_call(
                __m, &__b.0, #response, |__reply, #pattern| #rx::#name(__rx, __b, #received #ty(__reply)),
            )
        },
        (Some((ty, response)), true) => {
            let reply = quote!(#ty(#rt::ReplyToken::new(&__b.0.0, __id, #response)));
            quote!(deliver_bulk(&__b.0, __m, |#pattern| #rx::#name(__rx, __b, #received #reply)))
        }
    };
    quote!(#number => #form::#deliver,)
}

/// `RxVtbl`: optional closures in place of a type that implements `Rx`.
fn vtbl(messages: &Messages<'_>, side: Side) -> TokenStream {
    let rt = messages.rt;
    let (rx, vtbl, binding) = (side.name("Rx"), side.name("RxVtbl"), messages.local(side));
    let handlers: Vec<_> =
        messages.handled(side).map(|wire| Handler::new(wire, messages)).collect();
    let fields = handlers.iter().map(|handler| {
        let (doc, name, types) = (handler.doc(), handler.name, handler.types());
        quote!(#doc pub #name: __closure<dyn #rt::FnMut(&#binding, #types)>,)
    });
    let methods = handlers.iter().map(|handler| vtbl_method(handler, side));
    let who = match side {
        Side::Either => "Handlers",
        Side::Service => "Handlers of a service",
        Side::Client => "Handlers of a client",
    };
    let doc = docs::line(&format!(
        "{who} of `{}` as closures, each of them optional.",
        messages.interface.name.idl
    ));
    let connected_field = (side != Side::Client).then(|| {
        quote! {
            /// The binding has been made, and may send. Runs before any other handler.
            pub connected: __closure<dyn #rt::FnMut(&#binding)>,
        }
    });
    let connected = (side != Side::Client).then(|| {
        quote! {
            fn connected(&mut self, binding: &#binding) {
                if let #rt::Some(__handler) = &mut self.connected {
                    __handler(binding);
                }
            }
        }
    });
    let closure =
        (side != Side::Client).then(|| quote!(type __closure<F> = #rt::Option<#rt::Box<F>>;));
    quote! {
        #doc
        ///
        /// A message without a handler is reported to `error`.
        #[#rt::derive(#rt::Default)]
        pub struct #vtbl {
            #(#fields)*
            #connected_field
            /// Something went wrong with the binding. Without it, the error is logged.
            pub error: __closure<dyn #rt::FnMut(&#binding, #rt::BindingError)>,
        }

        #closure

        #[automatically_derived]
        impl #rt::Debug for #vtbl {
            fn fmt(&self, __f: &mut #rt::Formatter<'_>) -> #rt::fmt::Result {
                #rt::closures(__f)
            }
        }

        #[automatically_derived]
        impl #rx for #vtbl {
            #(#methods)*

            #connected

            fn error(&mut self, binding: &#binding, error: #rt::BindingError) {
                match &mut self.error {
                    #rt::Some(__handler) => __handler(binding, error),
                    #rt::None => #rt::unhandled_error(&binding.0, error),
                }
            }
        }
    }
}

fn vtbl_method(handler: &Handler<'_, '_>, side: Side) -> TokenStream {
    let (rt, idl) = (handler.messages.rt, handler.idl_name());
    let (rx, binding_type) = (side.name("Rx"), handler.messages.local(side));
    let (name, binding) = (handler.name, &handler.binding);
    let (parameters, names) = (handler.parameters(None), handler.names());
    quote! {
        fn #name(&mut self, #binding: &#binding_type, #parameters) {
            match &mut self.#name {
                #rt::Some(__handler) => __handler(#binding, #names),
                #rt::None => #rx::error(self, #binding, #rt::no_handler(#idl)),
            }
        }
    }
}
