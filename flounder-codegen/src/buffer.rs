//! `Message`, any message as a value.

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
    message(&variants, messages)
}

/// The methods of `Binding` that send and receive values.
pub(crate) fn binding_methods(messages: &Messages<'_>) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let receives = messages.receives();
    quote! {
        /// Sends a message that is a value: `tx_*` with copies of all capabilities, also those that would be given away.
        pub fn tx(&self, message: &Message) -> __sent<'_, #end> {
            self.0.send_message(message, #receives)
        }

        /// Receives the next message of the `Inbox` that the binding was made with.
        pub fn recv(&self) -> #rt::Receiving<'_, Message, #end> {
            self.0.recv()
        }

        /// Receives the messages of the `Inbox` as a stream, until the binding has ended.
        pub fn messages(&self) -> #rt::Messages<'_, Message, #end> {
            self.0.messages()
        }
    }
}

/// `pub fn recv_str(&self)`
pub(crate) fn receive(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, message, end) = (wire.rt(), wire.message, &messages.end);
    let name = format_ident!("recv_{}", message.name.rust, span = message.name.rust.span());
    let (form, output) = (&wire.form, wire.output());
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let doc = docs::line(&format!("Receives the next `{declared}`; the inbox keeps others."));
    quote! {
        #doc
        pub fn #name(&self) -> #rt::Receiving<'_, #output, #end> {
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
    /// The field for the number of a call.
    id: Option<Ident>,
}

impl<'m, 'a> Variant<'m, 'a> {
    fn new(wire: &'m Wire<'a>, messages: &'m Messages<'a>) -> Self {
        let message = wire.message;
        let id = wire.has_id().then(|| wire.free_name("id"));
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
            Role::RpcError(_) => format!("`{signature}`: the error of the rpc."),
            _ => format!("`{signature}`"),
        };
        let doc = docs::of(&message.docs, &otherwise);
        let id = self.id.as_ref().map(|field| {
            quote! {
                /// The number of the call.
                #field: u32,
            }
        });
        let fields = self.wire.values.iter().map(|value| {
            let arg = value.arg;
            let doc = docs::only(&arg.docs);
            let (name, ty) = (&arg.name.rust, value.returned());
            quote!(#doc #name: #ty,)
        });
        quote!(#doc #ident { #id #(#fields)* },)
    }

    /// `Self::Str { arg, s }`, as a pattern and as an expression.
    fn pattern(&self) -> TokenStream {
        let ident = self.ident;
        let id = self.id.as_ref().map(|id| quote!(#id,));
        let fields = self.wire.values.iter().map(|value| {
            let (field, local) = (&value.arg.name.rust, value.name());
            if field == local { quote!(#field,) } else { quote!(#field: #local,) }
        });
        quote!(Self::#ident { #id #(#fields)* })
    }

    /// The arm of `unmarshal`.
    fn read(&self) -> TokenStream {
        let (number, form) = (&self.number, &self.wire.form);
        let (values, whole) = (self.wire.pattern_of(self.id.clone()), self.pattern());
        quote! {
            #number => #form::read(__m, |#values| #whole),
        }
    }

    /// The arm of `marshal`.
    fn write(&self) -> TokenStream {
        let (form, pattern) = (&self.wire.form, self.pattern());
        let id = self.id.as_ref().map(|id| quote!(*#id));
        let copied = self.wire.copied(id);
        quote!(#pattern => #form::encode(INTERFACE, #copied),)
    }

    /// The arm of `fmt`.
    fn show(&self) -> TokenStream {
        let (rt, number, pattern) = (self.wire.rt(), &self.number, self.pattern());
        let name = self.ident.to_string();
        let id = self.id.as_ref().map(ToTokens::to_token_stream);
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
    let derive = has_debug(variants).then(|| quote!(#[#rt::derive(#rt::Debug)]));
    quote! {
        #doc
        ///
        /// Two messages are equal if they are the same words. A message with a capability equals none.
        #derive
        pub enum Message { #(#declarations)* }

        #traits
    }
}

/// Returns true if all arguments are known to have `Debug`.
fn has_debug(variants: &[Variant<'_, '_>]) -> bool {
    variants.iter().flat_map(|variant| &variant.wire.values).all(Value::has_debug)
}

/// What rests on the functions of each message.
fn traits(variants: &[Variant<'_, '_>], rt: &Rt) -> TokenStream {
    let (writes, reads) = (variants.iter().map(Variant::write), variants.iter().map(Variant::read));
    let debug = (!has_debug(variants)).then(|| debug(variants, rt));
    quote! {
        #[automatically_derived]
        impl #rt::MessageValue for Message {
            const INTERFACE: &'static #rt::Interface = INTERFACE;

            #[inline]
            fn marshal(&self) -> #rt::Result<#rt::MessageBuffer, #rt::EncodeError> {
                match self { #(#writes)* }
            }

            #[inline]
            fn unmarshal(__m: #rt::Received<'_>) -> #rt::Result<Self, #rt::DecodeError> {
                match __m.number {
                    #(#reads)*
                    __number => #rt::stray(INTERFACE, __number),
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

        #debug
    }
}

/// `impl Debug`, which cannot be derived if an argument has none.
fn debug(variants: &[Variant<'_, '_>], rt: &Rt) -> TokenStream {
    let shows = variants.iter().map(Variant::show);
    quote! {
        #[automatically_derived]
        impl #rt::Debug for Message {
            fn fmt(&self, __f: &mut #rt::Formatter<'_>) -> #rt::fmt::Result {
                match self { #(#shows)* }
            }
        }
    }
}
