//! Handlers that are futures: the trait `AsyncRx`, and `Async`, which puts it behind a binding.

use flounder_idl::model::Role;
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use crate::binding::{Handler, dispatch, number, what};
use crate::docs;
use crate::message::{Messages, Side, Wire};
use crate::rpc::reply_name;

pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    // A client that gets no message has nothing to await.
    let sides = messages
        .sides()
        .iter()
        .filter(|side| **side != Side::Client || messages.handled(Side::Client).next().is_some());
    sides.map(|side| of_side(messages, *side)).collect()
}

fn of_side(messages: &Messages<'_>, side: Side) -> TokenStream {
    let rt = messages.rt;
    let doc = docs::line(&format!(
        "{} does with the messages that it receives, as futures.",
        what(messages, side)
    ));
    let (rx, deliver_name) = (side.name("AsyncRx"), side.name("__deliver_async"));
    let (binding, constructor) = (messages.local(side), messages.constructor());
    let methods = messages.handled(side).map(|wire| method(wire, messages, &binding));
    let arms = messages.handled(side).map(|wire| deliver(wire, messages, side));
    let name = quote!(#deliver_name<__R: #rx + 'static>);
    let handlers = quote!(&mut #rt::Rc<__R>);
    let deliver = dispatch(messages, side, &name, &handlers, &quote!(#binding), None, arms);
    let (connected, is_connected) = match side {
        Side::Either | Side::Service => (
            quote! {
                /// The binding has been made, and may send. Starts before any other handler.
                async fn connected(&self, binding: &#binding) {
                    let _ = binding;
                }
            },
            quote!(#rt::Some(|__rx, __b| {
                __b.0.0.spawn(__rx, #rt::Clone::clone(__b), (), __R::connected);
            })),
        ),
        Side::Client => (quote!(), quote!(#rt::None)),
    };
    let implemented = match side {
        Side::Either | Side::Service => quote!(Handlers),
        Side::Client => quote!(Handlers<#rt::Local, #rt::ClientSide>),
    };
    quote! {
        #doc
        ///
        /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
        /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
        /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
        pub trait #rx {
            #(#methods)*

            #connected

            /// Something went wrong with the binding. Left alone, it is logged.
            fn error(&self, binding: &#binding, error: #rt::BindingError) {
                #rt::unhandled_error(&binding.0, error);
            }
        }

        #[automatically_derived]
        impl<__R: #rx + 'static> #implemented for #rt::Async<__R> {
            fn __deliver(self) -> #rt::BoxDispatch {
                #rt::async_dispatcher(self.0, #constructor, #deliver_name, __R::error, #is_connected)
            }
        }

        #deliver
    }
}

/// The response of the call that `wire` is, if it is one, and its error, if it has one of its own.
fn response<'m, 'a>(
    wire: &Wire<'_>,
    messages: &'m Messages<'a>,
) -> Option<(&'m Wire<'a>, Option<&'m Wire<'a>>)> {
    let Role::RpcCall(index) = wire.message.role else { return None };
    let rpc = &messages.interface.rpcs[index];
    Some((&messages.list[rpc.response], rpc.error.map(|index| &messages.list[index])))
}

/// `async fn testrpc(&self, binding: &Binding, ..) -> Result<..>;`
fn method(wire: &Wire<'_>, messages: &Messages<'_>, binding_type: &Ident) -> TokenStream {
    let rt = messages.rt;
    let handler = Handler::new(wire, messages);
    let (doc, name, binding) = (handler.doc(), handler.name, &handler.binding);
    let parameters = wire.owned_parameters();
    let output = response(wire, messages).map(|(response, error)| {
        let output = response.output();
        let error = error.map_or_else(|| quote!(#rt::CallbackError), Wire::output);
        quote!(-> #rt::Result<#output, #error>)
    });
    let declaration = quote_spanned!(name.span()=>
        async fn #name(&self, #binding: &#binding_type, #parameters) #output;
    );
    quote!(#doc #declaration)
}

/// `1 => __Basic::spawn(__m, __rx, __b, __R::basic),`
fn deliver(wire: &Wire<'_>, messages: &Messages<'_>, side: Side) -> TokenStream {
    let (form, number) = (&wire.form, number(wire.message));
    let run = run(wire, messages, side);
    let call = match (wire.message.role, response(wire, messages)) {
        (Role::RpcCall(index), Some((response, error))) => {
            let response_number = self::number(response.message);
            let ty = reply_name(&messages.interface.rpcs[index]);
            let (value, lent) = (response.result(), response.lent());
            let serve = if wire.is_long() { quote!(serve_whole) } else { quote!(serve) };
            let rt = messages.rt;
            let fail = match error.map(|error| (error.result(), error.lent())) {
                Some((error, lent)) => quote!(|__reply, #error| #ty(__reply).fail(#lent)),
                None => quote!(#rt::handler_failed),
            };
            quote! {
                #form::#serve(__m, __rx, __b, #run, #response_number, |__reply, #value| {
                    #ty(__reply).send(#lent)
                }, #fail)
            }
        }
        _ => {
            let spawn = if wire.is_long() { quote!(spawn_whole) } else { quote!(spawn) };
            quote!(#form::#spawn(__m, __rx, __b, #run))
        }
    };
    if wire.has_bulk() {
        // What is found stays beside the message until it is decoded.
        quote!(#number => { #form::resolve(&__b.0, __m)?; #call })
    } else {
        quote!(#number => #call,)
    }
}

/// What runs a handler.
fn run(wire: &Wire<'_>, messages: &Messages<'_>, side: Side) -> TokenStream {
    let name = Handler::new(wire, messages).name;
    if !wire.is_long() {
        return quote!(__R::#name);
    }
    // The runtime calls no function of so many arguments: they go as one.
    let names = wire.names();
    let (rx, binding) = (side.name("AsyncRx"), messages.local(side));
    quote!(async |__server: &__R, __binding: &#binding, (#names)| {
        #rx::#name(__server, __binding, #names).await
    })
}
