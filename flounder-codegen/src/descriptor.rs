//! The `INTERFACE` constant: the description of the interface, and the layouts of its messages.

use flounder_idl::model::{AnnotationValue, Interface, Role};
use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};

use crate::docs;
use crate::message::{Messages, Wire};

/// The layouts of all messages, and `INTERFACE`.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let (rt, interface) = (messages.rt, messages.interface);
    let forms = messages.list.iter().map(Wire::declaration);
    let infos = messages.list.iter().enumerate().map(|(i, wire)| info(i, wire, interface));
    let limits = messages.list.iter().map(|wire| &wire.form);
    let digests = messages.list.iter().map(|wire| digest(wire, interface));
    let count = messages.list.len();
    let (name, description) = (&interface.name.idl, &interface.description);
    let doc = docs::line(&format!(
        "Describes the interface `{name}`: its messages, and the digest that two ends must agree on."
    ));
    quote! {
        #(#forms)*

        const __DIGESTS: [u128; #count] = [#(#digests),*];

        #doc
        pub const INTERFACE: &#rt::Interface = &#rt::Interface {
            name: #name,
            description: #description,
            messages: &[#(#infos),*],
            limits: &[#(#limits::LIMIT),*],
            fingerprint: #rt::fingerprint(#rt::digest(#name), &__DIGESTS),
        };
    }
}

/// The digest of a message: what the types from Rust contribute is known to rustc alone.
fn digest(wire: &Wire<'_>, interface: &Interface) -> TokenStream {
    let (rt, digest) = (wire.rt(), Literal::u128_unsuffixed(wire.message.digest));
    if wire.message.externs.is_empty() {
        return digest.into_token_stream();
    }
    let externs = wire.message.externs.iter().map(|id| &interface.types[id.0].name.rust);
    quote!(#rt::fingerprint(#digest, &[#(<#externs as #rt::Shape>::FINGERPRINT),*]))
}

fn info(i: usize, wire: &Wire<'_>, interface: &Interface) -> TokenStream {
    let (rt, message) = (wire.rt(), wire.message);
    let (number, name) = (message.number, &message.name.idl);
    let index = Literal::usize_unsuffixed(i);
    let form = &wire.form;
    let kind = match message.role {
        Role::Message | Role::Call | Role::Response => quote!(#rt::MessageKind::Message),
        Role::RpcCall(_) => quote!(#rt::MessageKind::RpcCall { at: #form::ID }),
        Role::RpcResponse(_) => quote!(#rt::MessageKind::RpcResponse { at: #form::ID }),
    };
    let args = message.args.iter().map(|arg| {
        let (name, ty) = (&arg.name.idl, docs::argument_type(arg, &interface.types));
        quote!(#rt::ArgInfo { name: #name, ty: #ty })
    });
    let annotations = message.annotations.iter().map(|annotation| {
        let context = &annotation.context.idl;
        let params = annotation.params.iter().map(|(name, value)| {
            let name = &name.idl;
            match value {
                AnnotationValue::Number(value) => {
                    quote!((#name, #rt::AnnotationValue::Number(#value)))
                }
                AnnotationValue::Ident(value) => {
                    quote!((#name, #rt::AnnotationValue::Ident(#value)))
                }
            }
        });
        quote!(#rt::AnnotationInfo { context: #context, params: &[#(#params),*] })
    });
    quote! {
        #rt::MessageInfo {
            number: #number,
            name: #name,
            kind: #kind,
            args: &[#(#args),*],
            annotations: &[#(#annotations),*],
            fingerprint: __DIGESTS[#index],
        }
    }
}
