//! `export` and `bind`, and `serve` and `connect`, which need no more than a name.

use proc_macro2::TokenStream;
use quote::quote;

use crate::rt::Rt;

/// All four functions; what they do is in the runtime and in the monitor.
pub(crate) fn items(rt: &Rt) -> TokenStream {
    quote! {
        /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
        pub fn export<C, X>(waitset: &#rt::Waitset, mut connect: C) -> #rt::Export
        where
            C: #rt::FnMut(&#rt::Peer) -> #rt::Result<X, #rt::Refusal> + 'static,
            X: Handlers,
        {
            let __connect = move |__p: &#rt::Peer| connect(__p).map(Handlers::__deliver);
            #rt::export(waitset, INTERFACE, #rt::broker(), __connect)
        }

        /// Connects to the service that `iref` names; `rx` handles what it sends.
        pub fn bind<X: Handlers>(iref: #rt::Iref, waitset: &#rt::Waitset, rx: X) -> #rt::Bind<Binding> {
            #rt::bind(iref, waitset, INTERFACE, #rt::broker(), rx.__deliver(), Binding)
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
        pub fn connect(name: &#rt::str) -> #rt::Connect<Binding<#rt::Shared>> {
            #rt::connect(name, INTERFACE, || ().__deliver(), |__e| Binding(__e.shared()))
        }
    }
}
