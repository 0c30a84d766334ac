//! `Binding` and its `tx_*` methods, the receive trait `Rx`, and what takes messages from the one to the other.

use flounder_idl::model::{Message, Role};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use crate::buffer;
use crate::docs;
use crate::message::{Messages, Wire, one_or_tuple};
use crate::rpc::reply_name;

/// Everything around `Binding`.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let items =
        [binding(messages), rx(messages), dispatch(messages), vtbl(messages), handlers(messages)];
    items.into_iter().collect()
}

fn binding(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!("One end of a connection that speaks `{name}`."));
    let methods = messages.sent().map(|wire| tx(wire, messages));
    let values = buffer::binding_methods(messages);
    quote! {
        #doc
        ///
        /// Clones are the same end. What every binding can do is on the endpoint that it dereferences to.
        #[#rt::core::prelude::v1::derive(#rt::core::fmt::Debug, #rt::core::clone::Clone)]
        pub struct Binding(#rt::RawBinding);

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
                #rt::RawBinding::attach(channel, waitset, INTERFACE, rx.__deliver()).map(Self)
            }

            #values

            #(#methods)*
        }

        #[automatically_derived]
        impl #rt::core::ops::Deref for Binding {
            type Target = #rt::RawBinding;

            fn deref(&self) -> &#rt::RawBinding {
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
    let (form, parameters, gifts, passed) =
        (&wire.form, wire.parameters(), wire.gifts(), wire.passed(None));
    let (error, rejected) = (rejected_type(wire), rejected(wire));
    let waiting = send_waiting(wire, messages);
    quote! {
        #doc
        #[inline]
        pub fn #name(&self, #parameters) -> #rt::core::result::Result<#rt::Sent<'_>, #error> {
            #gifts
            #form::send(&self.0, #passed) #rejected
        }

        #waiting
    }
}

/// `pub fn send_basic(&self, ..) -> Sending<..>`, or `pub async fn` if a message that fails gives something back.
fn send_waiting(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, message, form) = (wire.rt(), wire.message, &wire.form);
    let name = format_ident!("send_{}", message.name.rust, span = message.name.rust.span());
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let summary = format!("Sends `{declared}`, after waiting while the binding is busy.");
    let errors = if wire.has_caps() { SEND_CAPS_ERRORS } else { SEND_ERRORS };
    let doc = docs::with_errors(&[], &summary, errors);
    let passed = wire.passed(None);
    if wire.given().is_empty() {
        let lifetime = quote!('__a);
        let parameters = wire.parameters_for(&lifetime);
        return quote! {
            #doc
            ///
            /// Dropped before it is done, the future has sent nothing.
            #[inline]
            pub fn #name<'__a>(&'__a self, #parameters) -> #rt::Sending<'__a, #form> {
                #form::sending(&self.0, #passed)
            }
        };
    }
    let (parameters, gifts) = (wire.parameters(), wire.gifts());
    let (error, rejected) = (rejected_type(wire), rejected(wire));
    quote! {
        #doc
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn #name(&self, #parameters) -> #rt::core::result::Result<(), #error> {
            #gifts
            let __result = #form::sending(&self.0, #passed).await;
            __result #rejected
        }
    }
}

/// `TxError`, or `Rejected<..>` if a message that fails gives something back.
fn rejected_type(wire: &Wire<'_>) -> TokenStream {
    let rt = wire.rt();
    let types: Vec<_> = wire.given().iter().map(|value| value.given_type()).collect();
    if types.is_empty() {
        return quote!(#rt::TxError);
    }
    let types = one_or_tuple(&types);
    quote!(#rt::Rejected<#types>)
}

/// `.map_err(..)`, if a message that fails gives something back.
fn rejected(wire: &Wire<'_>) -> Option<TokenStream> {
    let rt = wire.rt();
    let given: Vec<_> = wire.given().iter().map(|value| value.given_back()).collect();
    let value = one_or_tuple(&given);
    (!given.is_empty())
        .then(|| quote!(.map_err(|__error| #rt::Rejected { error: __error, given: #value })))
}

const SEND_ERRORS: &str =
    "If the binding has ended, or a value is over its maximum. Nothing is sent then.";

const SEND_CAPS_ERRORS: &str = "If the binding has ended, a value is over its maximum, or a capability may not leave or \
                                cannot be copied. The message is not sent then.";

const TX_ERRORS: &str = "If the binding is busy with another message or has ended, or a value is over its maximum. \
                         Nothing is sent then.";

const TX_CAPS_ERRORS: &str = "If the binding is busy with another message or has ended, a value is over its maximum, or \
                              a capability may not leave or cannot be copied. The message is not sent then.";

fn rx(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc =
        docs::line(&format!("What one end of `{name}` does with the messages that it receives."));
    let handlers = messages.handled().map(|wire| {
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
    let lent = quote!(__binding: &Binding);
    let functions =
        messages.handled().map(|wire| deliver(wire, "take", &lent, &handle(wire, messages)));
    let binding = quote!(&Binding(#rt::core::clone::Clone::clone(__endpoint)));
    let error = quote! {
        Rx::error(&mut self.0, &Binding(#rt::core::clone::Clone::clone(__endpoint)), __error);
    };
    let deliver = deliver_impl(messages, &quote!(__Dispatch), &quote!(Rx), &binding, &error);
    quote! {
        struct __Dispatch<__R>(__R);

        impl<__R: Rx> __Dispatch<__R> {
            #(#functions)*
        }

        #deliver
    }
}

/// `impl Dispatch for` a dispatcher with functions called [`deliver_name`], which get `lent`.
pub(crate) fn deliver_impl(
    messages: &Messages<'_>,
    dispatcher: &TokenStream,
    bound: &TokenStream,
    lent: &TokenStream,
    error: &TokenStream,
) -> TokenStream {
    let rt = messages.rt;
    let number = |wire: &Wire<'_>| Literal::u16_unsuffixed(wire.message.number);
    let arms = messages.handled().map(|wire| {
        let (number, function) = (number(wire), deliver_name(wire.message));
        quote!(#number => self.#function(__lent, __message),)
    });
    // The waiting call reads the rest of a response.
    let responses = messages.interface.rpcs.iter().map(|rpc| {
        let wire = &messages.list[rpc.response];
        let (number, form) = (number(wire), &wire.form);
        quote!(#number => return #form::answer(__endpoint, __message),)
    });
    let responses = (!messages.interface.rpcs.is_empty()).then(|| {
        quote! {
            match __message.number {
                #(#responses)*
                _ => {}
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl<__R: #bound> #rt::Dispatch for #dispatcher<__R> {
            fn deliver(
                &mut self,
                __endpoint: &#rt::RawBinding,
                __message: #rt::Received<'_>,
            ) -> #rt::core::result::Result<(), #rt::DecodeError> {
                #responses
                let __lent = #lent;
                match __message.number {
                    #(#arms)*
                    __number => #rt::core::result::Result::Err(#rt::unknown_message(__number)),
                }
            }

            fn error(&mut self, __endpoint: &#rt::RawBinding, __error: #rt::BindingError) {
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
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch>;
        }

        #[automatically_derived]
        impl<__R: Rx + 'static> Handlers for __R {
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch> {
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
    take: &str,
    lent: &TokenStream,
    handle: &TokenStream,
) -> TokenStream {
    let (rt, name, form) = (wire.rt(), deliver_name(wire.message), &wire.form);
    let (take, pattern) = (format_ident!("{take}"), wire.pattern());
    quote! {
        #[inline]
        fn #name(
            &mut self,
            #lent,
            __message: #rt::Received<'_>,
        ) -> #rt::core::result::Result<(), #rt::DecodeError> {
            match #form::#take(__message) {
                #rt::core::result::Result::Ok(#pattern) => { #handle }
                #rt::core::result::Result::Err(__error) => return #rt::core::result::Result::Err(__error),
            }
            #rt::core::result::Result::Ok(())
        }
    }
}

fn handle(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handler = Handler::new(wire, messages);
    let (name, received) = (handler.name, wire.received());
    let reply = match (wire.message.role, &handler.reply) {
        (Role::RpcCall(index), Some((_, ty))) => {
            let response = &messages.interface.messages[messages.interface.rpcs[index].response];
            let number = Literal::u16_unsuffixed(response.number);
            Some(quote!(#ty(#rt::ReplyToken::new(__binding, __id, #number)),))
        }
        _ => None,
    };
    quote!(Rx::#name(&mut self.0, __binding, #received #reply);)
}

/// `RxVtbl`: optional closures in place of a type that implements `Rx`.
fn vtbl(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handlers: Vec<_> = messages.handled().map(|wire| Handler::new(wire, messages)).collect();
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
                return (**__handler)(#binding, #names);
            }
            Rx::error(self, #binding, #rt::BindingError::NoHandler { message: #idl });
        }
    }
}
