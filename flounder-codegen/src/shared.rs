//! `SharedBinding` and `SharedClient`: a binding and its calls for any thread.

use flounder_idl::model::Rpc;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::docs;
use crate::message::{Messages, Wire};
use crate::rpc::{client_type, reply_name};

/// Both types; no client if the interface has no rpc.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let (binding, client) = (binding(messages), client(messages));
    quote!(#binding #client)
}

fn binding(messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let name = &messages.interface.name.idl;
    let doc = docs::line(&format!("One end of a connection that speaks `{name}`, for any thread."));
    let methods = messages.sent().map(|wire| send(wire, messages));
    quote! {
        #doc
        ///
        /// It is made by `Binding::shared`. Messages wait in a queue, in order, until the thread of the binding's waitset sends
        /// them. What every such binding can do is on the endpoint that it dereferences to.
        #[#rt::derive(#rt::Debug, #rt::Clone)]
        pub struct SharedBinding(#rt::SharedEndpoint);

        impl Binding {
            /// Returns a handle to this end for other threads. The handlers stay in this one.
            pub fn shared(&self) -> SharedBinding {
                SharedBinding(self.0.share())
            }
        }

        impl SharedBinding {
            #(#methods)*
        }

        #[automatically_derived]
        impl #rt::Deref for SharedBinding {
            type Target = #rt::SharedEndpoint;

            fn deref(&self) -> &#rt::SharedEndpoint {
                &self.0
            }
        }
    }
}

/// `pub fn send_basic(&self, ..) -> SharedSend`
fn send(wire: &Wire<'_>, messages: &Messages<'_>) -> TokenStream {
    let (rt, message) = (messages.rt, wire.message);
    let name = format_ident!("send_{}", message.name.rust, span = message.name.rust.span());
    let declared = docs::signature(&message.name.idl, message, &messages.interface.types);
    let doc = docs::of(&message.docs, &format!("Sends `{declared}`."));
    let (form, parameters, gifts, passed) =
        (&wire.form, wire.parameters(), wire.gifts(), wire.passed(None));
    quote! {
        #doc
        #[inline]
        pub fn #name(&self, #parameters) -> #rt::SharedSend {
            #gifts
            #form::send_shared(&self.0, #passed)
        }
    }
}

fn client(messages: &Messages<'_>) -> Option<TokenStream> {
    let (rt, interface) = (messages.rt, messages.interface);
    if interface.rpcs.is_empty() {
        return None;
    }
    let name = &interface.name.idl;
    let doc = docs::line(&format!("Calls the remote procedures of `{name}`, from any thread."));
    let methods = interface.rpcs.iter().map(|rpc| call(rpc, messages));
    Some(client_type(rt, ["SharedClient", "SharedBinding"], doc, methods))
}

/// The two methods of an rpc: one blocks its thread, the other gives a future.
fn call(rpc: &Rpc, messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let (call, response) = (&messages.list[rpc.call], &messages.list[rpc.response]);
    let name = &rpc.name.rust;
    let name_async = format_ident!("{}_async", name, span = name.span());
    let declared =
        docs::rpc_signature(&rpc.name.idl, call.message, response.message, messages.interface);
    let doc = docs::with_errors(
        &rpc.docs,
        &format!("Calls `{declared}` and blocks the thread until the reply has come."),
        CALL_ERRORS,
    );
    let doc_async = docs::line(&format!(
        "As `{}`, without blocking: the result is a future, `Send`.",
        rpc.name.idl
    ));
    let (parameters, names, output) = (call.parameters(), call.names(), response.output());
    // The thread of the binding gives the call its number.
    let (gifts, passed) = (call.gifts(), call.passed(Some(quote!(0))));
    let (form, reply) = (&call.form, reply_name(rpc));
    quote! {
        #doc
        #[inline]
        pub fn #name(&self, #parameters) -> #rt::Result<#output, #rt::RpcError> {
            self.#name_async(#names).wait()
        }

        #doc_async
        #[inline]
        pub fn #name_async(&self, #parameters) -> #rt::SharedCall<#reply> {
            #gifts
            #form::call_shared(&self.0.0, #passed, self.1)
        }
    }
}

const CALL_ERRORS: &str = "If the call cannot be sent, or no reply will come; in the thread of the binding's waitset, always. \
                           Capabilities that are given away with a call that fails are closed.";
