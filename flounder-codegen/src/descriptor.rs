//! The `INTERFACE` constant: the description of the interface, and the layouts of its messages.

use flounder_idl::model::{Annotation, AnnotationValue, Arg, Interface, Role};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::docs;
use crate::message::{Messages, Wire};
use crate::rt::Rt;

/// The layouts of all messages, and `INTERFACE`.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let (rt, interface) = (messages.rt, messages.interface);
    let forms = messages.list.iter().map(Wire::declaration);
    let infos = messages.list.iter().map(|wire| info(wire, interface));
    let count = Literal::usize_unsuffixed(messages.list.len());
    let digests = messages.list.iter().map(|wire| Literal::u128_unsuffixed(wire.message.digest));
    let (name, description) = (&interface.name.idl, &interface.description);
    let doc = docs::line(&format!(
        "Describes the interface `{name}`: its messages, and the digest that two ends must agree on."
    ));
    quote! {
        #(#forms)*

        const __MESSAGES: [#rt::MessageInfo; #count] = #rt::numbered([#(#infos),*], [#(#digests),*]);

        #doc
        pub const INTERFACE: &#rt::Interface =
            &#rt::Interface::new(#name, #description, &__MESSAGES, &#rt::limits(&__MESSAGES));
    }
}

/// `__Str::info("str", "arg: uint32, s: string[65536]", "message str(arg:uint32,s:string[65536])")`
fn info(wire: &Wire<'_>, interface: &Interface) -> TokenStream {
    let (message, form) = (wire.message, &wire.form);
    let name = &message.name.idl;
    let info = match message.role {
        Role::Message | Role::Call | Role::Response => quote!(info),
        Role::RpcCall(_) => quote!(call_info),
        Role::RpcResponse(_) | Role::RpcError(_) => quote!(response_info),
    };
    let arg =
        |arg: &Arg| format!("{}: {}", arg.name.idl, docs::argument_type(arg, &interface.types));
    let args = message.args.iter().map(arg).collect::<Vec<_>>().join(", ");
    let annotations: Vec<_> = message
        .annotations
        .iter()
        .map(|annotation| annotation_info(annotation, wire.rt()))
        .collect();
    let annotations = (!annotations.is_empty()).then(|| quote!(.annotations(&[#(#annotations),*])));
    let (rt, canonical) = (wire.rt(), &message.canonical);
    let externs = message.externs.iter().map(|id| &interface.types[id.0].name.rust);
    let externs = (!message.externs.is_empty())
        .then(|| quote!(.externs(&[#(<#externs as #rt::Shape>::FORM),*])));
    quote!(#form::#info(#name, #args, #canonical) #externs #annotations)
}

fn annotation_info(annotation: &Annotation, rt: &Rt) -> TokenStream {
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
}
