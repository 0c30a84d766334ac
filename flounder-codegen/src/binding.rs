//! `Binding` and its `tx_*` methods, the receive trait `Rx`, and what takes messages from the one to the other.

use flounder_idl::model::{Message, Role};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use crate::buffer;
use crate::docs;
use crate::message::{Messages, Refusal, Wire, one_or_tuple};
use crate::rpc::reply_name;

/// Everything around `Binding`.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let items =
        [binding(messages), rx(messages), dispatch(messages), vtbl(messages), handlers(messages)];
    items.into_iter().collect()
}

/// The messages with a `tx_*` method of their own; those of rpcs go through the client and the reply.
pub(crate) fn sent<'m, 'a>(messages: &'m Messages<'a>) -> impl Iterator<Item = &'m Wire<'a>> {
    let plain =
        |wire: &&Wire<'_>| matches!(wire.message.role, Role::Message | Role::Call | Role::Response);
    messages.list.iter().filter(plain)
}

/// The messages with a handler.
pub(crate) fn handled<'m, 'a>(messages: &'m Messages<'a>) -> impl Iterator<Item = &'m Wire<'a>> {
    messages.list.iter().filter(|wire| !matches!(wire.message.role, Role::RpcResponse(_)))
}

fn binding(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!("One end of a connection that speaks `{name}`."));
    let methods = sent(messages).map(|wire| tx(wire, messages));
    let values = buffer::binding_methods(messages);
    quote! {
        #doc
        ///
        /// Clones are the same end. What every binding can do is on the endpoint that it dereferences to.
        #[#rt::core::prelude::v1::derive(#rt::core::fmt::Debug, #rt::core::clone::Clone)]
        pub struct Binding(#rt::Endpoint);

        impl Binding {
            /// Makes a binding over one end of a channel; `rx` handles what arrives.
            ///
            /// # Errors
            /// If the waitset cannot watch the channel.
            pub fn attach(
                channel: #rt::Box<dyn #rt::Channel>,
                waitset: &#rt::Waitset,
                rx: impl Handlers,
            ) -> #rt::io::Result<Self> {
                #rt::Endpoint::attach(channel, waitset, INTERFACE, rx.__deliver()).map(Self)
            }

            #values

            #(#methods)*
        }

        #[automatically_derived]
        impl #rt::core::ops::Deref for Binding {
            type Target = #rt::Endpoint;

            fn deref(&self) -> &#rt::Endpoint {
                &self.0
            }
        }
    }
}

/// `pub fn tx_basic(&self, ..)`
fn tx(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, message) = (wire.rt(), wire.message);
    let name = format_ident!("tx_{}", message.name.rust, span = message.name.rust.span());
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let errors = if wire.has_caps() { TX_CAPS_ERRORS } else { TX_ERRORS };
    let doc = docs::with_errors(&message.docs, &format!("Sends `{declared}`."), errors);
    let (parameters, tails) = (wire.parameters(), wire.tails());
    let number = Literal::u16_unsuffixed(message.number);
    let given: Vec<_> = wire.given();
    let names: Vec<_> = given.iter().map(|value| value.name()).map(|name| quote!(#name)).collect();
    let given_value = one_or_tuple(&names);
    let fail = |refusal: &Refusal<'_>| {
        let error = tx_error(refusal, wire, &quote!(self.0));
        let error = if given.is_empty() {
            error
        } else {
            quote!(#rt::Rejected { error: #error, given: #given_value })
        };
        quote!(return #rt::core::result::Result::Err(#error);)
    };
    let marshal = wire.marshal(None, &fail);
    let error = if given.is_empty() {
        quote!(#rt::TxError)
    } else {
        let types: Vec<_> = given.iter().map(|value| value.given_type()).collect();
        let types = one_or_tuple(&types);
        quote!(#rt::Rejected<#types>)
    };
    let send = match (wire.has_caps(), given.is_empty()) {
        (false, _) => quote!(self.0.send(#number, &__words, #tails)),
        (true, true) => quote!(self.0.send_caps(#number, &__words, #tails, &mut __caps)),
        (true, false) => {
            let take_back = wire.take_back();
            quote! {
                self.0.send_caps(#number, &__words, #tails, &mut __caps).map_err(|__error| {
                    #take_back
                    #rt::Rejected { error: __error, given: #given_value }
                })
            }
        }
    };
    let waiting = send_waiting(wire, &name, &error, messages);
    quote! {
        #doc
        #[inline]
        pub fn #name(&self, #parameters) -> #rt::core::result::Result<#rt::Sent<'_>, #error> {
            #marshal
            #send
        }

        #waiting
    }
}

/// `pub async fn send_basic(&self, ..)`
fn send_waiting(
    wire: &Wire<'_>,
    tx: &Ident,
    error: &TokenStream,
    messages: &Messages<'_>,
) -> TokenStream {
    let (rt, message) = (wire.rt(), wire.message);
    let name = format_ident!("send_{}", message.name.rust, span = message.name.rust.span());
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let summary = format!("Sends `{declared}`, after waiting while the binding is busy.");
    let errors = if wire.has_caps() { SEND_CAPS_ERRORS } else { SEND_ERRORS };
    let doc = docs::with_errors(&[], &summary, errors);
    let (parameters, names) = (wire.parameters(), wire.names());
    let given: Vec<_> =
        wire.given().iter().map(|value| value.name()).map(|name| quote!(#name)).collect();
    let attempt = quote!(self.#tx(#names).map(#rt::core::mem::drop));
    let future = if given.is_empty() {
        quote!(#rt::sending(&self.0, || #attempt))
    } else {
        let given = one_or_tuple(&given);
        quote!(#rt::Sending::new(&self.0, #given, |#given| #attempt))
    };
    quote! {
        #doc
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn #name(&self, #parameters) -> #rt::core::result::Result<(), #error> {
            #future.await
        }
    }
}

const SEND_ERRORS: &str =
    "If the binding has ended, or a value is over its maximum. Nothing is sent then.";

const SEND_CAPS_ERRORS: &str = "If the binding has ended, a value is over its maximum, or a capability may not leave or \
                                cannot be copied. The message is not sent then.";

const TX_ERRORS: &str = "If the binding is busy with another message or has ended, or a value is over its maximum. \
                         Nothing is sent then.";

const TX_CAPS_ERRORS: &str = "If the binding is busy with another message or has ended, a value is over its maximum, or \
                              a capability may not leave or cannot be copied. The message is not sent then.";

/// The `TxError` of a refusal whose cause is in `__error`, on this endpoint.
pub(crate) fn tx_error(
    refusal: &Refusal<'_>,
    wire: &Wire<'_>,
    endpoint: &TokenStream,
) -> TokenStream {
    let rt = wire.rt();
    match refusal {
        Refusal::TooLong(name) => quote!(#rt::TxError::too_long(#name, __error)),
        Refusal::Caps => quote!(#endpoint.cap_copy(__error)),
    }
}

fn rx(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc =
        docs::line(&format!("What one end of `{name}` does with the messages that it receives."));
    let handlers = handled(messages).map(|wire| {
        let handler = Handler::new(wire, messages);
        let (doc, name, binding, parameters) =
            (handler.doc(), handler.name, &handler.binding, handler.parameters());
        let declaration =
            quote_spanned!(name.span()=> fn #name(&mut self, #binding: &Binding, #parameters););
        quote!(#doc #declaration)
    });
    quote! {
        #doc
        ///
        /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
        pub trait Rx {
            #(#handlers)*

            /// Something went wrong with the binding. Left alone, it is logged.
            fn error(&mut self, binding: &Binding, error: #rt::BindingError) {
                let _ = binding;
                #rt::unhandled_error(INTERFACE, &error);
            }
        }
    }
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
                let response = &interface.messages[rpc.response];
                (&rpc.docs, docs::rpc_signature(&rpc.name.idl, message, response, interface))
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

    fn parameters(&self) -> TokenStream {
        let parameters = self.wire.handler_parameters();
        let reply = self.reply.as_ref().map(|(name, ty)| quote!(#name: #ty,));
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

/// The dispatcher: takes a message by its number, reads it, calls the handler.
fn dispatch(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let functions =
        messages.list.iter().map(|wire| deliver(wire, messages, |wire| handle(wire, messages)));
    let error = quote! {
        Rx::error(&mut self.0, &Binding(#rt::core::clone::Clone::clone(__endpoint)), __error);
    };
    let deliver = deliver_impl(messages, &quote!(__Dispatch), &quote!(Rx), &error);
    quote! {
        struct __Dispatch<__R>(__R);

        impl<__R: Rx> __Dispatch<__R> {
            #(#functions)*
        }

        #deliver
    }
}

/// `impl Deliver for` a dispatcher with functions called [`deliver_name`].
pub(crate) fn deliver_impl(
    messages: &Messages<'_>,
    dispatcher: &TokenStream,
    bound: &TokenStream,
    error: &TokenStream,
) -> TokenStream {
    let rt = messages.rt;
    let arms = messages.list.iter().map(|wire| {
        let (number, function) =
            (Literal::u16_unsuffixed(wire.message.number), deliver_name(wire.message));
        quote!(#number => self.#function(__endpoint, __message),)
    });
    quote! {
        #[automatically_derived]
        impl<__R: #bound> #rt::Deliver for #dispatcher<__R> {
            fn deliver(
                &mut self,
                __endpoint: &#rt::Endpoint,
                __message: #rt::Received<'_>,
            ) -> #rt::core::result::Result<(), #rt::DecodeError> {
                match __message.number {
                    #(#arms)*
                    __number => #rt::core::result::Result::Err(#rt::unknown_message(__number)),
                }
            }

            fn error(&mut self, __endpoint: &#rt::Endpoint, __error: #rt::BindingError) {
                #error
            }
        }
    }
}

/// `Handlers`: what `export`, `bind` and `attach` take.
fn handlers(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!(
        "What can be put behind a binding of `{name}`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`]."
    ));
    quote! {
        #doc
        pub trait Handlers: 'static {
            #[doc(hidden)]
            fn __deliver(self) -> #rt::Box<dyn #rt::Deliver>;
        }

        #[automatically_derived]
        impl<__R: Rx + 'static> Handlers for __R {
            fn __deliver(self) -> #rt::Box<dyn #rt::Deliver> {
                #rt::Box::new(__Dispatch(self))
            }
        }
    }
}

pub(crate) fn deliver_name(message: &Message) -> Ident {
    format_ident!("__deliver_{}", message.number)
}

/// One function for each message, so that none of them is too large to compile well.
pub(crate) fn deliver(
    wire: &Wire<'_>,
    messages: &Messages<'_>,
    handle: impl FnOnce(&Wire<'_>) -> TokenStream,
) -> TokenStream {
    let rt = messages.rt;
    let name = deliver_name(wire.message);
    let body = match wire.message.role {
        Role::RpcResponse(_) => answer(wire),
        _ => handle(wire),
    };
    quote! {
        #[inline]
        fn #name(
            &mut self,
            __endpoint: &#rt::Endpoint,
            __message: #rt::Received<'_>,
        ) -> #rt::core::result::Result<(), #rt::DecodeError> {
            #body
        }
    }
}

fn handle(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handler = Handler::new(wire, messages);
    let (name, unmarshal, received) = (handler.name, wire.unmarshal(false), wire.received());
    let reply = match (wire.message.role, &handler.reply) {
        (Role::RpcCall(index), Some((_, ty))) => {
            let response = &messages.interface.messages[messages.interface.rpcs[index].response];
            let number = Literal::u16_unsuffixed(response.number);
            Some(quote!(#ty(#rt::ReplyToken::new(__endpoint, __id, #number)),))
        }
        _ => None,
    };
    quote! {
        #unmarshal
        Rx::#name(&mut self.0, &Binding(#rt::core::clone::Clone::clone(__endpoint)), #received #reply);
        #rt::core::result::Result::Ok(())
    }
}

/// The waiting call reads the rest of a response.
fn answer(wire: &Wire<'_>) -> TokenStream {
    let (rt, record) = (wire.rt(), &wire.record);
    quote! {
        let mut __none = #rt::Vec::new();
        let mut __source = #rt::Source::new(__message.words, &mut __none, #record.words)?;
        let __id = <u32 as #rt::Decode<'_>>::take(&mut __source, #record.at[0])?;
        __endpoint.answer(__id, __message);
        #rt::core::result::Result::Ok(())
    }
}

/// `RxVtbl`: optional closures in place of a type that implements `Rx`.
fn vtbl(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handlers: Vec<_> = handled(messages).map(|wire| Handler::new(wire, messages)).collect();
    let fields = handlers.iter().map(|handler| {
        let (doc, name, types) = (handler.doc(), handler.name, handler.types());
        quote!(#doc pub #name: #rt::core::option::Option<#rt::Box<dyn #rt::core::ops::FnMut(&Binding, #types)>>,)
    });
    let methods = handlers.iter().map(|handler| vtbl_method(handler));
    let doc = docs::line(&format!(
        "Handlers of `{}` as closures, each of them optional.",
        messages.interface.name.idl
    ));
    quote! {
        #doc
        ///
        /// A message without a handler is reported to `error`.
        #[#rt::core::prelude::v1::derive(#rt::core::default::Default)]
        pub struct RxVtbl {
            #(#fields)*
            /// Something went wrong with the binding. Without it, the error is logged.
            pub error: #rt::core::option::Option<#rt::Box<dyn #rt::core::ops::FnMut(&Binding, #rt::BindingError)>>,
        }

        #[automatically_derived]
        impl #rt::core::fmt::Debug for RxVtbl {
            fn fmt(&self, __f: &mut #rt::core::fmt::Formatter<'_>) -> #rt::core::fmt::Result {
                __f.debug_struct("RxVtbl").finish_non_exhaustive()
            }
        }

        #[automatically_derived]
        impl Rx for RxVtbl {
            #(#methods)*

            fn error(&mut self, binding: &Binding, error: #rt::BindingError) {
                match &mut self.error {
                    #rt::core::option::Option::Some(__handler) => __handler(binding, error),
                    #rt::core::option::Option::None => #rt::unhandled_error(INTERFACE, &error),
                }
            }
        }
    }
}

fn vtbl_method(handler: &Handler<'_, '_>) -> TokenStream {
    let (rt, idl) = (handler.messages.rt, handler.idl_name());
    let (name, binding) = (handler.name, &handler.binding);
    let (parameters, names) = (handler.parameters(), handler.names());
    quote! {
        fn #name(&mut self, #binding: &Binding, #parameters) {
            if let #rt::core::option::Option::Some(__handler) = &mut self.#name {
                return __handler(#binding, #names);
            }
            Rx::error(self, #binding, #rt::BindingError::NoHandler { message: #idl });
        }
    }
}
