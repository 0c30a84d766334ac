//! `Message`, any message as a value; and `Inbox`, which keeps messages until somebody takes them.

use flounder_idl::model::Role;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::docs;
use crate::message::{Messages, Wire};
use crate::rt::Rt;
use crate::value::Value;

/// Everything about messages as values, but for the methods of `Binding`.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let variants: Vec<_> = messages.list.iter().map(|wire| Variant::new(wire, messages)).collect();
    let (message, inbox) = (message(&variants, messages), inbox(messages));
    quote!(#message #inbox)
}

/// The methods of `Binding` that send and receive values.
pub(crate) fn binding_methods(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let receive = messages.sent().map(|wire| receive(wire, messages));
    quote! {
        /// Sends a message that is a value, which stays as it is: capabilities are copied, also those that would be given
        /// away.
        ///
        /// # Errors
        /// As the `tx_*` method of the message.
        #[inline]
        pub fn tx(&self, message: &Message) -> #rt::Result<#rt::Sent<'_>, #rt::TxError> {
            self.0.send_message(message)
        }

        /// Waits for the next message of the [`Inbox`] that the binding was made with. The future gives an error when the
        /// binding has ended, after everything that came before.
        #[inline]
        pub fn recv(&self) -> #rt::Receiving<'_, Message> {
            self.0.recv()
        }

        /// The messages of the [`Inbox`] that the binding was made with, as a stream, until the binding has ended.
        #[inline]
        pub fn messages(&self) -> #rt::Messages<'_, Message> {
            self.0.messages()
        }

        #(#receive)*
    }
}

/// `pub fn recv_str(&self)`
fn receive(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, message) = (wire.rt(), wire.message);
    let name = format_ident!("recv_{}", message.name.rust, span = message.name.rust.span());
    let (form, output) = (&wire.form, wire.output());
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let doc = docs::line(&format!("As `recv`, for the next `{declared}`; others are kept."));
    quote! {
        #doc
        #[inline]
        pub fn #name(&self) -> #rt::Receiving<'_, #output> {
            #form::recv(&self.0)
        }
    }
}

/// A message as a variant.
struct Variant<'m, 'a> {
    wire: &'m Wire<'a>,
    messages: &'m Messages<'a>,
    ident: &'a Ident,
    number: Literal,
    /// The field and the local of a call's number.
    id: Option<(Ident, Ident)>,
}

impl<'m, 'a> Variant<'m, 'a> {
    fn new(wire: &'m Wire<'a>, messages: &'m Messages<'a>) -> Self {
        let message = wire.message;
        let id = wire.has_id().then(|| (wire.free_name("id"), format_ident!("__id")));
        let number = Literal::u16_unsuffixed(message.number);
        Self { wire, messages, ident: &message.camel, number, id }
    }

    /// `Str { arg: u32, s: String }`
    fn declaration(&self) -> TokenStream {
        let (ident, message) = (self.ident, self.wire.message);
        let signature = docs::signature(&message.name.idl, message, &self.messages.interface.types);
        let otherwise = match message.role {
            Role::RpcCall(_) => format!("`{signature}`: the call of the rpc."),
            Role::RpcResponse(_) => format!("`{signature}`: the response of the rpc."),
            _ => format!("`{signature}`"),
        };
        let doc = docs::of(&message.docs, &otherwise);
        let id = self.id.as_ref().map(|(field, _)| {
            quote! {
                /// The number of the call.
                #field: u32,
            }
        });
        let fields = self.wire.values.iter().map(|value| {
            let arg = value.arg;
            let doc = docs::of(&arg.docs, &format!("`{}`", arg.name.idl));
            let (name, ty) = (&arg.name.rust, value.returned());
            quote!(#doc #name: #ty,)
        });
        quote!(#doc #ident { #id #(#fields)* },)
    }

    /// `Self::Str { arg, s }`, as a pattern and as an expression.
    fn pattern(&self) -> TokenStream {
        let (ident, id) = (self.ident, self.id.as_ref());
        let id = id.map(|(field, local)| quote!(#field: #local,));
        let fields = self.wire.values.iter().map(|value| {
            let (field, local) = (&value.arg.name.rust, value.name());
            if field == local { quote!(#field,) } else { quote!(#field: #local,) }
        });
        quote!(Self::#ident { #id #(#fields)* })
    }

    /// The arm of `unmarshal`.
    fn read(&self) -> TokenStream {
        let (number, form) = (&self.number, &self.wire.form);
        let (values, whole) = (self.wire.pattern(), self.pattern());
        quote! {
            #number => #form::read(__message, |#values| #whole),
        }
    }

    /// The arm of `marshal`.
    fn write(&self) -> TokenStream {
        let (form, pattern) = (&self.wire.form, self.pattern());
        let id = self.id.as_ref().map(|(_, local)| quote!(*#local));
        let copied = self.wire.copied(id);
        quote!(#pattern => #form::encode(INTERFACE, #copied),)
    }

    /// The arm of `fmt`.
    fn show(&self) -> TokenStream {
        let (rt, number, pattern) = (self.wire.rt(), &self.number, self.pattern());
        let name = self.ident.to_string();
        let id = self.id.as_ref().map(|(_, local)| local.to_token_stream());
        let values = id.into_iter().chain(self.wire.values.iter().map(Value::shown));
        quote!(#pattern => #rt::show(__f, INTERFACE, #number, #name, &[#(#values),*]),)
    }
}

fn message(variants: &[Variant<'_, '_>], messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!("Any message of `{name}`, with all that it carries."));
    let declarations = variants.iter().map(Variant::declaration);
    let traits = traits(variants, rt);
    quote! {
        #doc
        ///
        /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
        /// equals none.
        pub enum Message { #(#declarations)* }

        impl Message {
            /// The message in words, those that go over the wire. Capabilities are copied.
            ///
            /// # Errors
            /// If a value is over its maximum, or a capability cannot be copied.
            #[inline]
            pub fn encode(&self) -> #rt::Result<#rt::MessageBuffer, #rt::EncodeError> {
                #rt::MessageBuffer::encode(self)
            }

            /// Reads message `number` from its words and capabilities.
            ///
            /// # Errors
            /// If no sender of the interface writes these words.
            #[inline]
            pub fn decode(
                number: u16,
                words: &[u64],
                mut caps: #rt::Vec<#rt::Cap>,
            ) -> #rt::Result<Self, #rt::DecodeError> {
                <Self as #rt::MessageValue>::unmarshal(#rt::Received { number, words, caps: &mut caps })
            }
        }

        #traits
    }
}

/// What rests on the functions of each message.
fn traits(variants: &[Variant<'_, '_>], rt: &Rt) -> TokenStream {
    let (writes, reads) = (variants.iter().map(Variant::write), variants.iter().map(Variant::read));
    let shows = variants.iter().map(Variant::show);
    quote! {
        #[automatically_derived]
        impl #rt::MessageValue for Message {
            const INTERFACE: &'static #rt::Interface = INTERFACE;

            #[inline]
            fn marshal(&self) -> #rt::Result<#rt::MessageBuffer, #rt::EncodeError> {
                match self { #(#writes)* }
            }

            #[inline]
            fn unmarshal(
                __message: #rt::Received<'_>,
            ) -> #rt::Result<Self, #rt::DecodeError> {
                match __message.number {
                    #(#reads)*
                    __number => #rt::unknown_message(__number),
                }
            }
        }

        #[automatically_derived]
        impl #rt::PartialEq for Message {
            #[inline]
            fn eq(&self, __other: &Self) -> bool {
                #rt::same(self, __other)
            }
        }

        #[automatically_derived]
        impl #rt::Debug for Message {
            #[inline]
            fn fmt(&self, __f: &mut #rt::Formatter<'_>) -> #rt::fmt::Result {
                match self { #(#shows)* }
            }
        }
    }
}

/// `Inbox`, which is put behind a binding in place of handlers.
fn inbox(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    quote! {
        /// Keeps messages for `recv` of its binding: given to `bind` or `export` in place of handlers.
        #[#rt::derive(#rt::Debug)]
        pub struct Inbox(#rt::Inbox);

        impl Inbox {
            /// Room for `bound` messages, at least one. While it is full, the binding receives nothing. Calls of rpcs are
            /// refused.
            #[inline]
            pub fn new(bound: #rt::usize) -> Self {
                Self::beside(bound, <RxVtbl as #rt::Default>::default())
            }

            /// An inbox beside the handlers `rx`, which get the calls of rpcs, as they come, and errors. None of its other handlers runs.
            pub fn beside(bound: #rt::usize, rx: impl Handlers) -> Self {
                Self(#rt::Inbox::new(bound, rx.__deliver()))
            }

            /// Has `callback` run from the waitset with the binding, once there is one: for a service, whose connect
            /// callback comes before.
            #[must_use]
            pub fn on_bound(self, callback: impl #rt::FnOnce(Binding) + 'static) -> Self {
                Self(self.0.on_bound(|__endpoint| callback(Binding(__endpoint))))
            }
        }

        #[automatically_derived]
        impl Handlers for Inbox {
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch> {
                self.0.into_deliver()
            }
        }
    }
}
