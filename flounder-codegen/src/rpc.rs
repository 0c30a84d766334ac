//! Remote procedures: the client's calls, and the reply that a server has to give.

use flounder_idl::model::{Direction, Rpc};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::docs;
use crate::message::{Messages, Wire};

/// The client and the reply types; nothing if the interface has no rpc.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let rpcs: Vec<_> = messages.interface.rpcs.iter().map(|rpc| Call::new(rpc, messages)).collect();
    if rpcs.is_empty() {
        return TokenStream::new();
    }
    let replies = rpcs.iter().map(Call::reply);
    let client = client(&rpcs, messages);
    quote! {
        #(#replies)*
        #client
    }
}

/// A remote procedure with its messages.
struct Call<'m, 'a> {
    rpc: &'a Rpc,
    messages: &'m Messages<'a>,
    call: &'m Wire<'a>,
    response: &'m Wire<'a>,
    /// The error that comes in place of the response.
    error: Option<&'m Wire<'a>>,
}

impl<'m, 'a> Call<'m, 'a> {
    fn new(rpc: &'a Rpc, messages: &'m Messages<'a>) -> Self {
        Self {
            rpc,
            messages,
            call: &messages.list[rpc.call],
            response: &messages.list[rpc.response],
            error: rpc.error.map(|index| &messages.list[index]),
        }
    }

    fn declared(&self) -> String {
        docs::rpc_signature(self.rpc, self.messages.interface)
    }

    /// The type of what a call returns, if it succeeds: with an error of its own, a `Result`.
    fn output(&self) -> TokenStream {
        let (rt, output) = (self.messages.rt, self.response.output());
        match self.error.map(Wire::output) {
            Some(error) => quote!(#rt::Result<#output, #error>),
            None => output,
        }
    }

    /// `pub fn fail(self, error: Kverror)`
    fn fail(&self) -> Option<TokenStream> {
        let wire = self.error?;
        let (form, parameters, gifts) = (&wire.form, wire.parameters(), wire.gifts(quote!(self.0)));
        let passed = wire.passed(Some(quote!(self.0.id())));
        Some(quote! {
            /// Sends the error in place of the reply. If it cannot be sent, that has the consequences described at `send`.
            #[inline]
            pub fn fail(self, #parameters) {
                #gifts
                #form::fail(#passed, self.0);
            }
        })
    }

    /// `pub struct TestrpcReply(..)`
    fn reply(&self) -> TokenStream {
        let (rt, end) = (self.messages.rt, &self.messages.end);
        let (name, output, fail) = (reply_name(self.rpc), self.output(), self.fail());
        let doc =
            docs::line(&format!("The reply that a caller of `{}` waits for.", self.declared()));
        let (form, parameters, gifts) =
            (&self.response.form, self.response.parameters(), self.response.gifts(quote!(self.0)));
        let passed = self.response.passed(Some(quote!(self.0.id())));
        let response = match self.error.map(|error| &error.form) {
            Some(error) => quote!(#rt::Fallible<#form, #error>),
            None => quote!(#form),
        };
        quote! {
            #doc
            ///
            /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
            /// panic.
            #[must_use = "a caller waits for the reply"]
            #[#rt::derive(#rt::Debug)]
            pub struct #name<#end: #rt::End = #rt::Local>(#rt::ReplyToken<#end>);

            impl<#end: #rt::End> #name<#end> {
                /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
                /// handler of this end get the reason.
                #[inline]
                pub fn send(self, #parameters) {
                    #gifts
                    #form::reply(#passed, self.0);
                }

                #fail

                /// Refuses the call: the caller gets `RpcError::Refused`, and knows that the call was not carried out.
                #[cold]
                pub fn refuse(self, refusal: #rt::Refusal) {
                    self.0.refuse(refusal);
                }

                /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
                #[must_use]
                pub fn is_cancelled(&self) -> bool {
                    self.0.is_cancelled()
                }

                /// Completes when nobody waits for the reply any more.
                pub fn cancelled(&mut self) -> #rt::Cancelled<'_, #end> {
                    self.0.cancelled()
                }
            }

            #[automatically_derived]
            impl #rt::Reply for #name {
                type Values = #output;
                type Response = #response;
            }
        }
    }

    /// The two methods of the client.
    fn methods(&self) -> TokenStream {
        let (rt, end) = (self.messages.rt, &self.messages.end);
        let name = &self.rpc.name.rust;
        let name_async = format_ident!("{}_async", name, span = name.span());
        let (parameters, output) = (self.call.parameters(), self.output());
        let declared = self.declared();
        let doc = docs::with_errors(
            &self.rpc.docs,
            &format!("Calls `{declared}` and blocks until the reply has come."),
            CALL_ERRORS,
        );
        let doc_async = docs::line(&format!(
            "Makes the call of `{}`: the result is a future.",
            self.rpc.name.idl
        ));
        let (call, reply) = (&self.call.form, reply_name(self.rpc));
        let (gifts, passed) =
            (self.call.gifts(quote!(self.0.0)), self.call.passed(Some(quote!(__id))));
        quote! {
            #doc
            pub fn #name(&self, #parameters) -> #rt::Result<#output, #rt::RpcError> {
                let __id = self.0.0.next_call();
                #gifts
                #call::call::<#end, #reply>(&self.0.0, __id, #passed, self.1)
            }

            #doc_async
            pub fn #name_async(&self, #parameters) -> #rt::Call<#reply, #end> {
                let __id = self.0.0.next_call();
                #gifts
                #call::call_async(&self.0.0, __id, #passed, self.1)
            }
        }
    }
}

/// The type of the reply.
pub(crate) fn reply_name(rpc: &Rpc) -> Ident {
    format_ident!("{}Reply", rpc.camel)
}

const CALL_ERRORS: &str = "If the call cannot be sent, or no reply will come; through a shared end, always in the thread \
                           of the binding's waitset. Capabilities that are given away with a call that fails are closed.";

/// `RpcClient`
fn client(rpcs: &[Call<'_, '_>], messages: &Messages<'_>) -> TokenStream {
    let (rt, end) = (messages.rt, &messages.end);
    let doc =
        docs::line(&format!("Calls the remote procedures of `{}`.", messages.interface.name.idl));
    let is_both = |call: &&Call<'_, '_>| call.call.message.direction == Direction::Both;
    let side = messages.side.as_ref().filter(|_| rpcs.iter().any(|call| is_both(&call)));
    // Without a side, all rpcs are those of one side. With one, those of both stand beside `new`.
    let binding = match (side, &messages.side) {
        (Some(side), _) => quote!(Binding<#end, #side>),
        (None, Some(_)) => quote!(ClientBinding<#end>),
        (None, None) => quote!(Binding<#end>),
    };
    let (own, directed): (Vec<_>, Vec<_>) =
        rpcs.iter().partition(|call| side.is_none() || is_both(call));
    let methods = own.into_iter().map(Call::methods);
    let directed = (!directed.is_empty()).then(|| {
        let methods = directed.into_iter().map(Call::methods);
        quote!(impl<#end: #rt::End> RpcClient<#end> { #(#methods)* })
    });
    let default = side.map(|side| quote!(, #side: #rt::Side = #rt::ClientSide));
    let bounded = side.map(|side| quote!(, #side: #rt::Side));
    let side = side.map(|side| quote!(, #side));
    quote! {
        #doc
        ///
        /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
        #[#rt::derive(#rt::Debug, #rt::Clone)]
        pub struct RpcClient<#end: #rt::End = #rt::Local #default>(#binding, #rt::Timeout);

        #directed

        impl<#end: #rt::End #bounded> RpcClient<#end #side> {
            #(#methods)*

            /// Returns a client over a binding.
            pub fn new(binding: &#binding) -> Self {
                Self(#rt::Clone::clone(binding), #rt::Timeout::Default)
            }

            /// Returns a client whose calls end with an error if they take longer than this. `Duration::MAX` is no limit.
            #[must_use]
            pub fn timeout(&self, timeout: #rt::Duration) -> Self {
                Self(#rt::Clone::clone(&self.0), #rt::Timeout::For(timeout))
            }

            /// Returns a client whose calls end with an error if they are not done by then.
            #[must_use]
            pub fn deadline(&self, deadline: #rt::Instant) -> Self {
                Self(#rt::Clone::clone(&self.0), #rt::Timeout::Until(deadline))
            }

            /// Returns the binding.
            pub fn binding(&self) -> &#binding {
                &self.0
            }

            /// Returns a client for any thread, which is `Send` and `Sync`.
            pub fn shared(&self) -> RpcClient<#rt::Shared #side> {
                RpcClient(self.0.shared(), self.1)
            }
        }
    }
}
