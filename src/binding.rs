//! Values that generated functions return or take, for programs that keep or name them.
//!
//! ```
//! use flounder::binding::Bind;
//! use flounder::{Iref, Waitset, flounder};
//!
//! flounder! { interface clock { message tick(); }; }
//!
//! fn clock(iref: Iref, ws: &Waitset) -> Bind<clock::Binding> {
//!     clock::bind(iref, ws, clock::RxVtbl::default()).driver("ump")
//! }
//! ```

pub use flounder_rt::any_waitset::AnyWaitset;
pub use flounder_rt::bind::Bind;
pub use flounder_rt::binding::{
    Cancelled, ClientSide, Closing, End, Messages, Receiving, Sending, SendingCaps, SentWithin,
    ServiceSide, Side, Timeout,
};
pub use flounder_rt::export::{Export, IntoOutcome};
pub use flounder_rt::shared::{SharedBind, SharedExport, SharedExported};
