//! The two kinds of waitsets as `export` and `bind` see them: each has its kind of binding.

use crate::bind::Bind;
use crate::binding::{BoxDispatch, End, Local, RawEnd, Shared};
use crate::export::{Broker, Export, Refusal};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::peer::Peer;
use crate::shared::{SharedBind, SharedExport};
use crate::waitset::{SharedWaitset, Waitset};

/// A waitset that serves bindings: a [`Waitset`], in its thread, or a [`SharedWaitset`], in all threads that dispatch it.
///
/// Generated `export` and `bind` take either. Handlers for a `SharedWaitset` implement `Rx<Shared>` of the interface in place
/// of `Rx`, are `Send`, and get a `Binding<Shared>`.
///
/// ```
/// use flounder_rt::any_waitset::AnyWaitset;
/// use flounder_rt::{End, Shared, SharedWaitset};
///
/// fn kind_of<W: AnyWaitset>(_: &W) -> &'static str {
///     std::any::type_name::<W::End>()
/// }
///
/// assert_eq!(kind_of(&SharedWaitset::new()), std::any::type_name::<Shared>());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no waitset",
    label = "a `Waitset` or a `SharedWaitset` is expected"
)]
pub trait AnyWaitset: sealed::Sealed {
    /// Which threads may use its bindings.
    type End: sealed::Served;
    /// Returned by `export`.
    type Export;
    /// Returned by `bind`.
    type Bind<B: 'static>;

    #[doc(hidden)]
    fn __export(
        &self,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        connect: <Self::End as sealed::Served>::Connect,
    ) -> Self::Export;

    #[doc(hidden)]
    fn __bind<B: 'static>(
        &self,
        iref: Iref,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        handler: BoxDispatch<Self::End>,
        wrap: fn(RawEnd<Self::End>) -> B,
    ) -> Self::Bind<B>;
}

/// A connect callback that answers with handlers of type `X`, for a service whose bindings are of kind `E`: one that is `Send`
/// if any thread may serve them.
pub trait Connects<E: sealed::Served, X> {
    #[doc(hidden)]
    fn __for_clients(self, deliver: fn(X) -> BoxDispatch<E>) -> E::Connect;
}

/// Returns the receiver for a client, or refuses it.
type Connect<E> = dyn FnMut(&Peer) -> Result<BoxDispatch<E>, Refusal>;

/// A [`Connect`] for any thread.
type SharedConnect<E> = dyn FnMut(&Peer) -> Result<BoxDispatch<E>, Refusal> + Send;

mod sealed {
    use super::*;

    pub trait Sealed {}

    /// A kind of binding, with the connect callback of its services.
    pub trait Served: End {
        type Connect;
    }

    impl Served for Local {
        type Connect = Box<Connect<Self>>;
    }

    impl Served for Shared {
        type Connect = Box<SharedConnect<Self>>;
    }
}

impl<X: 'static, C> Connects<Local, X> for C
where
    C: FnMut(&Peer) -> Result<X, Refusal> + 'static,
{
    fn __for_clients(mut self, deliver: fn(X) -> BoxDispatch) -> Box<Connect<Local>> {
        Box::new(move |peer| self(peer).map(deliver))
    }
}

impl<X: 'static, C> Connects<Shared, X> for C
where
    C: FnMut(&Peer) -> Result<X, Refusal> + Send + 'static,
{
    fn __for_clients(
        mut self,
        deliver: fn(X) -> BoxDispatch<Shared>,
    ) -> Box<SharedConnect<Shared>> {
        Box::new(move |peer| self(peer).map(deliver))
    }
}

impl sealed::Sealed for Waitset {}

impl AnyWaitset for Waitset {
    type End = Local;
    type Export = Export;
    type Bind<B: 'static> = Bind<B>;

    fn __export(
        &self,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        connect: Box<Connect<Local>>,
    ) -> Export {
        Export::new(self, interface, broker, connect)
    }

    fn __bind<B: 'static>(
        &self,
        iref: Iref,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        handler: BoxDispatch,
        wrap: fn(RawEnd<Local>) -> B,
    ) -> Bind<B> {
        Bind::new(iref, self, interface, broker, handler, wrap)
    }
}

impl sealed::Sealed for SharedWaitset {}

impl AnyWaitset for SharedWaitset {
    type End = Shared;
    type Export = SharedExport;
    type Bind<B: 'static> = SharedBind<B>;

    fn __export(
        &self,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        connect: Box<SharedConnect<Shared>>,
    ) -> SharedExport {
        SharedExport::new(self, interface, broker, connect)
    }

    fn __bind<B: 'static>(
        &self,
        iref: Iref,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        handler: BoxDispatch<Shared>,
        wrap: fn(RawEnd<Shared>) -> B,
    ) -> SharedBind<B> {
        SharedBind::new(iref, self, interface, broker, handler, wrap)
    }
}

/// A pointer to a waitset stands for it, as it would if the functions took a `&Waitset`.
macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<W: AnyWaitset> sealed::Sealed for $pointer {}

        impl<W: AnyWaitset> AnyWaitset for $pointer {
            type End = W::End;
            type Export = W::Export;
            type Bind<B: 'static> = W::Bind<B>;

            fn __export(
                &self,
                interface: &'static Interface,
                broker: &'static dyn Broker,
                connect: <W::End as sealed::Served>::Connect,
            ) -> W::Export {
                W::__export(self, interface, broker, connect)
            }

            fn __bind<B: 'static>(
                &self,
                iref: Iref,
                interface: &'static Interface,
                broker: &'static dyn Broker,
                handler: BoxDispatch<W::End>,
                wrap: fn(RawEnd<W::End>) -> B,
            ) -> W::Bind<B> {
                W::__bind(self, iref, interface, broker, handler, wrap)
            }
        }
    )*};
}

pointers!(&W, &mut W, Box<W>, std::rc::Rc<W>, std::sync::Arc<W>);
