//! `export` and `bind`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::rt::Rt;

/// Both functions; what they do is in the runtime.
pub(crate) fn items(rt: &Rt) -> TokenStream {
    quote! {
        /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
        pub fn export<C, X>(waitset: &#rt::Waitset, mut connect: C) -> #rt::Export
        where
            C: #rt::FnMut(&#rt::Peer) -> #rt::Result<X, #rt::Refusal> + 'static,
            X: Handlers,
        {
            #rt::Export::new(waitset, INTERFACE, #rt::broker(), move |__peer: &#rt::Peer| {
                connect(__peer).map(Handlers::__deliver)
            })
        }

        /// Connects to the service that `iref` names; `rx` handles what it sends.
        pub fn bind<X: Handlers>(iref: #rt::Iref, waitset: &#rt::Waitset, rx: X) -> #rt::Bind<Binding> {
            #rt::Bind::new(iref, waitset, INTERFACE, #rt::broker(), rx.__deliver(), Binding)
        }
    }
}
