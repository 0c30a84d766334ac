//! Handlers that are futures: the trait `AsyncRx`, and `Async`, which puts it behind a binding.

use flounder_idl::model::Role;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{quote, quote_spanned};

use crate::binding::{Handler, deliver, deliver_impl};
use crate::docs;
use crate::message::{Messages, Wire};
use crate::rpc::reply_name;

pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!(
        "What one end of `{name}` does with the messages that it receives, as futures."
    ));
    let methods = messages.handled().map(|wire| method(wire, messages));
    let lent = quote!(__endpoint: &#rt::RawBinding);
    let functions =
        messages.handled().map(|wire| deliver(wire, "take_owned", &lent, &handle(wire, messages)));
    let error = quote! {
        AsyncRx::error(&*self.0, &Binding(#rt::core::clone::Clone::clone(__endpoint)), __error);
    };
    let deliver = deliver_impl(
        messages,
        &quote!(__AsyncDispatch),
        &quote!(AsyncRx + 'static),
        &quote!(__endpoint),
        &error,
    );
    quote! {
        #doc
        ///
        /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
        /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
        /// caller gives up, the handler is dropped where it waits.
        pub trait AsyncRx {
            #(#methods)*

            /// Something went wrong with the binding. Left alone, it is logged.
            fn error(&self, binding: &Binding, error: #rt::BindingError) {
                let _ = binding;
                #rt::unhandled_error(INTERFACE, &error);
            }
        }

        /// Puts an [`AsyncRx`] behind a binding.
        #[#rt::core::prelude::v1::derive(#rt::core::fmt::Debug)]
        pub struct Async<S>(pub S);

        #[automatically_derived]
        impl<__R: AsyncRx + 'static> Handlers for Async<__R> {
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch> {
                #rt::Box::new(__AsyncDispatch(#rt::Rc::new(self.0)))
            }
        }

        struct __AsyncDispatch<__R>(#rt::Rc<__R>);

        impl<__R: AsyncRx + 'static> __AsyncDispatch<__R> {
            #(#functions)*
        }

        #deliver
    }
}

/// The response of the call that `wire` is, if it is one.
fn response<'m, 'a>(wire: &Wire<'_>, messages: &'m Messages<'a>) -> Option<&'m Wire<'a>> {
    match wire.message.role {
        Role::RpcCall(index) => Some(&messages.list[messages.interface.rpcs[index].response]),
        _ => None,
    }
}

/// `async fn testrpc(&self, binding: &Binding, ..) -> Result<..>;`
fn method(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handler = Handler::new(wire, messages);
    let (doc, name, binding) = (handler.doc(), handler.name, &handler.binding);
    let parameters = wire.owned_parameters();
    let output = response(wire, messages).map(|response| {
        let output = response.output();
        quote!(-> #rt::core::result::Result<#output, #rt::CallbackError>)
    });
    let declaration = quote_spanned!(name.span()=>
        async fn #name(&self, #binding: &Binding, #parameters) #output;
    );
    quote!(#doc #declaration)
}

fn handle(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let handler = Handler::new(wire, messages);
    let name = handler.name;
    let (args, run) = (wire.arguments(), run(wire, name));
    let serve = match (wire.message.role, response(wire, messages)) {
        (Role::RpcCall(index), Some(response)) => {
            let number = Literal::u16_unsuffixed(response.message.number);
            let ty = reply_name(&messages.interface.rpcs[index]);
            let (value, lent) = (response.result(), response.lent());
            quote! {
                let __reply = #rt::ReplyToken::new(__endpoint, __id, #number);
                __endpoint.handle_call(__reply, &self.0, __binding, #args, #run, |__reply, #value| {
                    #ty(__reply).send(#lent)
                });
            }
        }
        _ => quote!(__endpoint.handle(&self.0, __binding, #args, #run);),
    };
    quote! {
        let __binding = Binding(#rt::core::clone::Clone::clone(__endpoint));
        #serve
    }
}

/// What runs a handler.
fn run(wire: &Wire<'_>, name: &Ident) -> TokenStream {
    if !wire.is_long() {
        return quote!(<__R as AsyncRx>::#name);
    }
    // The runtime calls no function of so many arguments: they go as one.
    let names = wire.names();
    quote!(async |__server: &__R, __binding: &Binding, (#names)| {
        AsyncRx::#name(__server, __binding, #names).await
    })
}
