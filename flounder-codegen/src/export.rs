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
            C: #rt::core::ops::FnMut(&#rt::Peer) -> #rt::core::result::Result<X, #rt::Refusal> + 'static,
            X: Rx + 'static,
        {
            #rt::Export::new(waitset, INTERFACE, #rt::broker(), move |__peer: &#rt::Peer| {
                connect(__peer).map(|__rx| #rt::Box::new(__Dispatch(__rx)) as #rt::Box<dyn #rt::Deliver>)
            })
        }

        /// Connects to the service that `iref` names; `rx` handles what it sends.
        pub fn bind<X: Rx + 'static>(iref: #rt::Iref, waitset: &#rt::Waitset, rx: X) -> #rt::Bind<Binding> {
            let __deliver: #rt::Box<dyn #rt::Deliver> = #rt::Box::new(__Dispatch(rx));
            #rt::Bind::new(iref, waitset, INTERFACE, #rt::broker(), __deliver, Binding)
        }
    }
}
