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
    let items = [binding(messages), rx(messages), vtbl(messages), handlers(messages)];
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
        #[#rt::derive(#rt::Debug, #rt::Clone)]
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
        impl #rt::Deref for Binding {
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
        pub fn #name(&self, #parameters) -> #rt::Result<#rt::Sent<'_>, #error> {
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
        pub async fn #name(&self, #parameters) -> #rt::Result<(), #error> {
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

/// `Handlers`: what `export`, `bind` and `attach` take; and how an [`Rx`] becomes one.
fn handlers(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!(
        "What can be put behind a binding of `{name}`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`]."
    ));
    let arms = messages.handled().map(|wire| deliver(wire, messages));
    let dispatch =
        dispatch(messages, &quote!(__rx), arms, &quote!(Rx::error(__rx, __binding, __error)));
    quote! {
        #doc
        pub trait Handlers: 'static {
            #[doc(hidden)]
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch>;
        }

        #[automatically_derived]
        impl<__R: Rx + 'static> Handlers for __R {
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch> {
                #rt::dispatcher(self, #dispatch)
            }
        }
    }
}

/// The closures that the dispatcher of the runtime calls: for a message, with an arm for each number, and for an error.
pub(crate) fn dispatch(
    messages: &Messages<'_>,
    state: &TokenStream,
    arms: impl Iterator<Item = TokenStream>,
    error: &TokenStream,
) -> TokenStream {
    let rt = messages.rt;
    // The waiting call reads the rest of a response.
    let responses = messages.interface.rpcs.iter().map(|rpc| {
        let wire = &messages.list[rpc.response];
        let (number, form) = (number(wire.message), &wire.form);
        quote!(#number => #form::answer(__raw, __message),)
    });
    quote! {
        |#state, __raw, __message| match __message.number {
            #(#arms)*
            #(#responses)*
            __number => #rt::unknown_message(__number),
        },
        |#state, __raw, __error| {
            let __binding = &Binding(__raw.handle());
            #error
        },
    }
}

pub(crate) fn number(message: &Message) -> Literal {
    Literal::u16_unsuffixed(message.number)
}

/// `1 => __Basic::deliver(__message, |(arg, e)| Rx::basic(..)),`
fn deliver(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, form, number) = (messages.rt, &wire.form, number(wire.message));
    let handler = Handler::new(wire, messages);
    let (name, pattern, received) = (handler.name, wire.pattern(), wire.received());
    let reply = match (wire.message.role, &handler.reply) {
        (Role::RpcCall(index), Some((_, ty))) => {
            let response = &messages.interface.messages[messages.interface.rpcs[index].response];
            let number = self::number(response);
            Some(quote!(#ty(#rt::ReplyToken::new(__raw, __id, #number)),))
        }
        _ => None,
    };
    quote! {
        #number => #form::deliver(__message, |#pattern| {
            Rx::#name(__rx, &Binding(__raw.handle()), #received #reply)
        }),
    }
}

/// `RxVtbl`: optional closures in place of a type that implements `Rx`.
fn vtbl(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handlers: Vec<_> = messages.handled().map(|wire| Handler::new(wire, messages)).collect();
    let fields = handlers.iter().map(|handler| {
        let (doc, name, types) = (handler.doc(), handler.name, handler.types());
        quote!(#doc pub #name: #rt::Option<#rt::Box<dyn #rt::FnMut(&Binding, #types)>>,)
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
        #[#rt::derive(#rt::Default)]
        pub struct RxVtbl {
            #(#fields)*
            /// Something went wrong with the binding. Without it, the error is logged.
            pub error: #rt::Option<#rt::Box<dyn #rt::FnMut(&Binding, #rt::BindingError)>>,
        }

        #[automatically_derived]
        impl #rt::Debug for RxVtbl {
            fn fmt(&self, __f: &mut #rt::Formatter<'_>) -> #rt::fmt::Result {
                #rt::closures(__f)
            }
        }

        #[automatically_derived]
        impl Rx for RxVtbl {
            #(#methods)*

            fn error(&mut self, binding: &Binding, error: #rt::BindingError) {
                match &mut self.error {
                    #rt::Some(__handler) => __handler(binding, error),
                    #rt::None => #rt::unhandled_error(INTERFACE, &error),
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
            match &mut self.#name {
                #rt::Some(__handler) => __handler(#binding, #names),
                #rt::None => Rx::error(self, #binding, #rt::no_handler(#idl)),
            }
        }
    }
}
