//! Remote procedures: the client's calls, and the reply that a server has to give.

use flounder_idl::model::Rpc;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use crate::binding::tx_error;
use crate::docs;
use crate::message::{Messages, Refusal, Wire};

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

/// A remote procedure with its two messages.
struct Call<'m, 'a> {
    rpc: &'a Rpc,
    messages: &'m Messages<'a>,
    call: &'m Wire<'a>,
    response: &'m Wire<'a>,
}

impl<'m, 'a> Call<'m, 'a> {
    fn new(rpc: &'a Rpc, messages: &'m Messages<'a>) -> Self {
        Self {
            rpc,
            messages,
            call: &messages.list[rpc.call],
            response: &messages.list[rpc.response],
        }
    }

    fn declared(&self) -> String {
        let (call, response) = (self.call.message, self.response.message);
        docs::rpc_signature(&self.rpc.name.idl, call, response, self.messages.interface)
    }

    /// `pub struct TestrpcReply(..)`
    fn reply(&self) -> TokenStream {
        let rt = self.messages.rt;
        let (name, decoder) = (reply_name(self.rpc), self.decoder());
        let doc =
            docs::line(&format!("The reply that a caller of `{}` waits for.", self.declared()));
        let fail = |refusal: &Refusal<'_>| match refusal {
            Refusal::TooLong(name) => quote!(return self.0.fail_too_long(#name, __error);),
            Refusal::Caps => quote!(return self.0.fail_caps(__error);),
        };
        let marshal = self.response.marshal(Some(&quote!(self.0.id())), &fail);
        let (parameters, tails) = (self.response.parameters(), self.response.tails());
        let send = if self.response.has_caps() {
            quote!(self.0.send_caps(&__words, #tails, __caps);)
        } else {
            quote!(self.0.send(&__words, #tails);)
        };
        quote! {
            #doc
            ///
            /// It can be kept and sent later. Dropped, it tells the caller that no reply will come.
            #[must_use = "a caller waits for the reply"]
            #[#rt::core::prelude::v1::derive(#rt::core::fmt::Debug)]
            pub struct #name(#rt::ReplyToken);

            impl #name {
                /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller learns
                /// that no reply will come, and the error handler of this end why.
                pub fn send(self, #parameters) {
                    #marshal
                    #send
                }

                /// Whether nobody waits for the reply any more: the caller gave up, or the binding has ended.
                #[must_use]
                pub fn is_cancelled(&self) -> bool {
                    self.0.is_cancelled()
                }

                /// Completes when nobody waits for the reply any more.
                pub async fn cancelled(&mut self) {
                    self.0.cancelled().await;
                }
            }

            #decoder
        }
    }

    /// Reads a response into owned values.
    fn decoder(&self) -> TokenStream {
        let rt = self.messages.rt;
        let number = Literal::u16_unsuffixed(self.response.message.number);
        let (name, output) = (reply_name(self.rpc), self.response.output());
        let (unmarshal, result) = (self.response.unmarshal(true), self.response.result());
        quote! {
            impl #rt::Reply for #name {
                type Values = #output;

                fn decode(__message: #rt::Received<'_>) -> #rt::core::result::Result<#output, #rt::DecodeError> {
                    if __message.number != #number {
                        return #rt::core::result::Result::Err(#rt::unknown_message(__message.number));
                    }
                    #unmarshal
                    #rt::core::result::Result::Ok(#result)
                }
            }
        }
    }

    /// The two methods of the client.
    fn methods(&self) -> TokenStream {
        let rt = self.messages.rt;
        let name = &self.rpc.name.rust;
        let name_async = format_ident!("{}_async", name, span = name.span());
        let (parameters, output) = (self.call.parameters(), self.response.output());
        let declared = self.declared();
        let doc = docs::with_errors(
            &self.rpc.docs,
            &format!("Calls `{declared}` and waits for the reply."),
            CALL_ERRORS,
        );
        let doc_async = docs::line(&format!(
            "As `{}`, without waiting: the result is a future.",
            self.rpc.name.idl
        ));
        let id = quote!(__id);
        let fail = |refusal: &Refusal<'_>| {
            let error = tx_error(refusal, self.call, &quote!(self.0.0));
            quote!(return #rt::core::result::Result::Err(#rt::core::convert::From::from(#error));)
        };
        let fail_async = |refusal: &Refusal<'_>| {
            let error = tx_error(refusal, self.call, &quote!(self.0.0));
            quote!(return self.0.0.call_failed(__id, #rt::core::convert::From::from(#error));)
        };
        let marshal = self.call.marshal(Some(&id), &fail);
        let marshal_async = self.call.marshal(Some(&id), &fail_async);
        let number = Literal::u16_unsuffixed(self.call.message.number);
        let caps = if self.call.has_caps() { quote!(__caps) } else { quote!(#rt::Vec::new()) };
        let (tails, reply) = (self.call.tails(), reply_name(self.rpc));
        let response = Literal::u16_unsuffixed(self.response.message.number);
        let record = &self.response.record;
        let procedure =
            quote!(#rt::Procedure { call: #number, response: #response, id: #record.at[0] });
        quote! {
            #doc
            pub fn #name(&self, #parameters) -> #rt::core::result::Result<#output, #rt::RpcError> {
                let __id = self.0.0.next_call();
                #marshal
                self.0.0.call::<#reply>(__id, #procedure, &__words, #tails, #caps, self.1)
            }

            #doc_async
            pub fn #name_async(&self, #parameters) -> #rt::Call<#reply> {
                let __id = self.0.0.next_call();
                #marshal_async
                self.0.0.call_async(__id, #number, &__words, #tails, #caps, self.1)
            }
        }
    }
}

/// The type of the reply.
pub(crate) fn reply_name(rpc: &Rpc) -> Ident {
    format_ident!("{}Reply", rpc.camel)
}

const CALL_ERRORS: &str = "If the call cannot be sent, or no reply will come. Capabilities that are given away with a \
                           call that fails are closed.";

fn client(rpcs: &[Call<'_, '_>], messages: &Messages<'_>) -> TokenStream {
    let rt = messages.rt;
    let doc =
        docs::line(&format!("Calls the remote procedures of `{}`.", messages.interface.name.idl));
    let methods = rpcs.iter().map(Call::methods);
    quote! {
        #doc
        ///
        /// Many calls may be under way at a time; replies find theirs by number, not by order. A blocking call without a
        /// time of its own ends after 30 seconds.
        #[#rt::core::prelude::v1::derive(#rt::core::fmt::Debug, #rt::core::clone::Clone)]
        pub struct RpcClient(Binding, #rt::Patience);

        impl RpcClient {
            /// A client over a binding.
            pub fn new(binding: &Binding) -> Self {
                Self(#rt::core::clone::Clone::clone(binding), #rt::Patience::Usual)
            }

            /// A client whose calls, blocking or not, end with an error if they take longer than this. The longest time
            /// there is means for ever.
            #[must_use]
            pub fn timeout(&self, timeout: #rt::Duration) -> Self {
                Self(#rt::core::clone::Clone::clone(&self.0), #rt::Patience::For(timeout))
            }

            /// A client whose calls, blocking or not, end with an error if they are not done by then.
            #[must_use]
            pub fn deadline(&self, deadline: #rt::Instant) -> Self {
                Self(#rt::core::clone::Clone::clone(&self.0), #rt::Patience::Until(deadline))
            }

            /// The binding.
            pub fn binding(&self) -> &Binding {
                &self.0
            }

            #(#methods)*
        }
    }
}
