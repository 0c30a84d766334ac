//! Handlers that are futures: the trait `AsyncRx`, and `Async`, which puts it behind a binding.

use flounder_idl::model::Role;
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use crate::binding::{Handler, dispatch, number};
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
    let arms = messages.handled().map(|wire| deliver(wire, messages));
    let error = quote!(AsyncRx::error(&**__rx, __binding, __error));
    let dispatch = dispatch(messages, &quote!(__rx), arms, &error);
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
        #[#rt::derive(#rt::Debug)]
        pub struct Async<S>(pub S);

        #[automatically_derived]
        impl<__R: AsyncRx + 'static> Handlers for Async<__R> {
            fn __deliver(self) -> #rt::Box<dyn #rt::Dispatch> {
                #rt::dispatcher(#rt::Rc::new(self.0), #dispatch)
            }
        }
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
        quote!(-> #rt::Result<#output, #rt::CallbackError>)
    });
    let declaration = quote_spanned!(name.span()=>
        async fn #name(&self, #binding: &Binding, #parameters) #output;
    );
    quote!(#doc #declaration)
}

/// `1 => __Basic::deliver_owned(__message, |__args| __raw.handle(..)),`
fn deliver(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, form, number) = (messages.rt, &wire.form, number(wire.message));
    let run = run(wire, Handler::new(wire, messages).name);
    let (Role::RpcCall(index), Some(response)) = (wire.message.role, response(wire, messages))
    else {
        let args = wire.arguments();
        let pattern = wire.pattern();
        return quote! {
            #number => #form::deliver_owned(__message, |#pattern| {
                __raw.spawn_handler(__rx, Binding, #args, #run)
            }),
        };
    };
    let (pattern, args) = (wire.pattern(), wire.arguments());
    let response_number = self::number(response.message);
    let ty = reply_name(&messages.interface.rpcs[index]);
    let (value, lent) = (response.result(), response.lent());
    quote! {
        #number => #form::deliver_owned(__message, |#pattern| {
            let __reply = #rt::ReplyToken::new(__raw, __id, #response_number);
            __raw.spawn_call(__reply, __rx, Binding, #args, #run, |__reply, #value| {
                #ty(__reply).send(#lent)
            })
        }),
    }
}

/// What runs a handler.
fn run(wire: &Wire<'_>, name: &Ident) -> TokenStream {
    if !wire.is_long() {
        return quote!(__R::#name);
    }
    // The runtime calls no function of so many arguments: they go as one.
    let names = wire.names();
    quote!(async |__server: &__R, __binding: &Binding, (#names)| {
        AsyncRx::#name(__server, __binding, #names).await
    })
}
