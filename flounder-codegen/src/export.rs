//! `export` and `bind`; `serve` and `connect`, which need no more than a name; and `over`, which needs a channel.

use proc_macro2::TokenStream;
use quote::quote;

use crate::message::Messages;

/// All five functions; what they do is in the runtime and in the monitor.
pub(crate) fn items(messages: &Messages<'_>) -> TokenStream {
    let (rt, constructor) = (messages.rt, messages.constructor());
    // The side of `over`, and the handlers and the binding of a client.
    let (side, handlers, binding, of_side, client, bound, again) = match &messages.side {
        None => (
            None,
            quote!(Handlers),
            quote!(Binding),
            quote!(Handlers<W::End>),
            quote!(Binding<W::End>),
            quote!(Binding<#rt::Shared>),
            quote!(Binding<#rt::Reconnecting>),
        ),
        Some(side) => (
            Some(quote!(<#side: #rt::Side>)),
            quote!(Handlers<#rt::Local, #side>),
            quote!(Binding<#rt::Local, #side>),
            quote!(Handlers<W::End, #rt::ClientSide>),
            quote!(ClientBinding<W::End>),
            quote!(ClientBinding<#rt::Shared>),
            quote!(ClientBinding<#rt::Reconnecting>),
        ),
    };
    quote! {
        /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
        pub fn export<W: #rt::AnyWaitset, C, X>(waitset: &W, connect: C) -> W::Export
        where
            C: #rt::FnMut(&#rt::Peer) -> #rt::Result<X, #rt::Refusal> + #rt::Connects<W::End, X>,
            X: Handlers<W::End>,
        {
            #rt::export(waitset, INTERFACE, #rt::broker(), connect, X::__deliver)
        }

        /// Connects to the service that `iref` names; `rx` handles what it sends.
        pub fn bind<W: #rt::AnyWaitset, X: #of_side>(
            iref: #rt::Iref,
            waitset: &W,
            rx: X,
        ) -> W::Bind<#client> {
            #rt::bind(iref, waitset, INTERFACE, #rt::broker(), rx.__deliver(), #constructor)
        }

        /// Makes a binding over one end of a channel that the caller has; `rx` handles what it receives. The binding ends when
        /// its last handle is dropped. Its peer is unknown. Fails if the waitset cannot watch the channel.
        pub fn over #side(
            channel: #rt::Box<dyn #rt::Channel>,
            waitset: &#rt::Waitset,
            rx: impl #handlers,
        ) -> #rt::io::Result<#binding> {
            #rt::attach(channel, waitset, INTERFACE, rx.__deliver()).map(#constructor)
        }

        /// Offers the service under `name`, in a thread of the library. `handlers` makes the handlers of each client.
        pub fn serve<S, X>(name: &#rt::str, mut handlers: S) -> #rt::Serve
        where
            S: #rt::FnMut() -> X + #rt::Send + 'static,
            X: Handlers,
        {
            #rt::serve(name, INTERFACE, move || handlers().__deliver())
        }

        /// Connects to the service called `name`, once there is one, for any thread.
        #[inline]
        pub fn connect(name: &#rt::str) -> __connect {
            #rt::connect::<Message, _, _>(name, |__e| #constructor(__e.shared()), #constructor)
        }
        type __connect = #rt::Connect<#bound, #rt::Again<#again>>;
    }
}
