//! Items of the right names beside errors, so that one mistake in an interface gives one error and not one for each use.
//!
//! The trick is a type that is itself the error: the projection of a trait over a constant that is a `compile_error!`.
//! rustc reports the error once and is then silent about everything that depends on the type, so that handlers, calls and
//! matches written for the interface pass.

use flounder_idl::Failure;
use flounder_idl::salvage::{SalvagedInterface, SalvagedMessage, SalvagedModule, SalvagedType};
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};

use crate::allow;

/// Generates the errors of a failure, and modules that accept the usual uses of its interfaces.
#[must_use]
pub fn fallback(failure: Failure) -> TokenStream {
    let Failure { diagnostics, salvage } = failure;
    let errors = diagnostics.into_compile_error();
    if salvage.interfaces.is_empty() && salvage.modules.is_empty() {
        return errors;
    }
    // The first error becomes the type, in each module: rustc shows equal errors once.
    let mut errors = errors.into_iter();
    let mut first = TokenStream::new();
    for token in errors.by_ref() {
        let last = matches!(token, TokenTree::Group(_));
        first.extend([token]);
        if last {
            break;
        }
    }
    let modules = salvage.modules.iter().map(|module| types(module, &first));
    let interfaces = salvage.interfaces.iter().map(|found| interface(found, &first));
    errors.collect::<TokenStream>().into_iter().chain(modules.chain(interfaces).flatten()).collect()
}

fn types(module: &SalvagedModule, error: &TokenStream) -> TokenStream {
    let (allow, visibility, name) = (allow(), &module.visibility, &module.name.rust);
    let (broken, types) = (error_type(error), module.types.iter().map(unknown_type));
    let constants = module.constants.iter().map(|name| unknown_constant(&name.rust, error));
    quote! {
        #allow
        #[allow(missing_docs)]
        #visibility mod #name {
            #broken
            #(#constants)*
            #(#types)*
        }
    }
}

fn interface(interface: &SalvagedInterface, error: &TokenStream) -> TokenStream {
    let (allow, visibility, name) = (allow(), &interface.visibility, &interface.name.rust);
    let (broken, types) = (error_type(error), interface.types.iter().map(unknown_type));
    let constants = interface.constants.iter().filter(|name| name.rust != "INTERFACE");
    let constants = constants.map(|name| unknown_constant(&name.rust, error));
    // A name that is taken is one of the errors.
    let own = ["RpcClient", "RxVtbl", "ClientRxVtbl", "Message"]
        .map(|name| format_ident!("{name}"))
        .into_iter();
    // With their parameter; that of `RpcClient` could not be found for a call of `new`.
    let ends = ["Binding", "ClientBinding"].map(|name| format_ident!("{name}")).into_iter();
    let replies = interface.messages.iter().filter(|message| message.rpc).map(reply);
    let free = |name: &Ident| interface.types.iter().all(|ty| ty.name.rust != *name);
    let ends = ends.chain(replies).filter(free).map(|name| unknown_end(&name, error));
    let own = own.filter(free).map(|name| unknown(&name)).chain(ends);
    let own_error = interface.messages.iter().all(|message| message.name.rust != "error");
    let async_handlers = interface.messages.iter().filter_map(async_handler);
    let async_error = own_error.then(|| {
        quote!(
            fn error(&self, _: &__Unknown, _: __Unknown) {}
            async fn connected(&self, _: &__Unknown) {}
        )
    });
    let async_rx = free(&format_ident!("AsyncRx"))
        .then(|| quote!(pub trait AsyncRx { #(#async_handlers)* #async_error }));
    let error_handler = own_error.then(|| {
        quote!(
            fn error(&mut self, _: &__Unknown, _: __Unknown) {}
            fn connected(&mut self, _: &__Unknown) {}
        )
    });
    let handlers: Vec<_> = interface.messages.iter().filter_map(handler).collect();
    quote! {
        #allow
        #[allow(missing_docs)]
        #visibility mod #name {
            #broken
            #(#constants)*
            #(#types)*
            #(#own)*
            pub trait Rx<E = ()> {
                #(#handlers)*
                #error_handler
            }
            pub trait ClientRx<E = ()> {
                #(#handlers)*
                #error_handler
            }
            #async_rx
            pub const INTERFACE: __Unknown = #error;
            pub fn export<W, C>(_: W, _: C) -> __Unknown { loop {} }
            pub fn bind<I, W, X>(_: I, _: W, _: X) -> __Unknown { loop {} }
            pub fn serve<N, S>(_: N, _: S) -> __Unknown { loop {} }
            pub fn connect<N>(_: N) -> __Unknown { loop {} }
        }
    }
}

fn unknown_constant(name: &Ident, error: &TokenStream) -> TokenStream {
    quote!(pub const #name: __Unknown = #error;)
}

/// `__Unknown`: the projection of a trait over a constant that cannot be computed.
fn error_type(error: &TokenStream) -> TokenStream {
    quote! {
        pub trait __Broken<const N: usize> { type Type; }
        pub type __Unknown = <() as __Broken<{ #error }>>::Type;
    }
}

/// A type with a parameter for the kind of the end. It is the error whatever the parameter is, and when that is not known.
fn unknown_end(name: &Ident, error: &TokenStream) -> TokenStream {
    quote!(pub type #name<E = ()> = <E as __Broken<{ #error }>>::Type;)
}

fn unknown(name: &Ident) -> TokenStream {
    quote!(pub type #name = __Unknown;)
}

fn unknown_type(ty: &SalvagedType) -> TokenStream {
    unknown(&ty.name.rust)
}

fn reply(message: &SalvagedMessage) -> Ident {
    format_ident!("{}Reply", flounder_idl::names::camel(&message.name.rust.to_string()))
}

/// A handler with as many arguments as the message has; none if they could not all be read.
fn handler(message: &SalvagedMessage) -> Option<TokenStream> {
    let name = &message.name.rust;
    let count = message.inputs.as_ref()?.len() + usize::from(message.rpc);
    let parameters = (0..count).map(|_| quote!(_: __Unknown));
    Some(quote!(fn #name(&mut self, _: &__Unknown, #(#parameters),*) {}))
}

/// Generates a [`handler`] that is a future.
fn async_handler(message: &SalvagedMessage) -> Option<TokenStream> {
    let name = &message.name.rust;
    let parameters = message.inputs.as_ref()?.iter().map(|_| quote!(_: __Unknown));
    let output = message.rpc.then(|| quote!(-> __Unknown));
    let body = message.rpc.then(|| quote!(loop {}));
    Some(quote!(async fn #name(&self, _: &__Unknown, #(#parameters),*) #output { #body }))
}
