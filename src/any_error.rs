//! One type for every error of the library.

use core::fmt;
use std::error;
use std::io;

use flounder_drivers::registry::NameTaken;
use flounder_monitor::MonitorError;
use flounder_monitor::daemon::DaemonError;
use flounder_monitor::nameservice::NameError;
use flounder_monitor::service::ServiceError;
use flounder_monitor::snapshot::SnapshotError;
use flounder_rt::account::OverLimit;
use flounder_rt::bind::BrokerError;
use flounder_rt::bulk::PoolError;
use flounder_rt::channel::{CapRefusal, ChannelError, ConnectError, ProtocolError};
use flounder_rt::schema::{SchemaError, ValueError};
use flounder_rt::waitset::{Elapsed, EventError};
use flounder_rt::wire::{DecodeError, TooLong};
use flounder_rt::{
    BindError, BindingError, CallbackError, ControlError, DispatchError, EncodeError, Errno,
    ExportError, RecvError, Refusal, Rejected, RpcError, TxError,
};

macro_rules! any_error {
    ($($(#[$doc:meta])* $variant:ident($error:ty),)*) => {
        /// Any error of the library. `?` makes one of each.
        ///
        /// It is shown as the error in it. `Debug` is the text for people as well, with all sources, so that `main` may
        /// return it.
        ///
        /// ```
        /// use flounder::{Waitset, nameservice};
        ///
        /// # flounder::flounder! { interface clock { message tick(); }; }
        /// fn announce(ws: &Waitset) -> Result<(), flounder::Error> {
        ///     let service = clock::export(ws, |_| Ok(clock::RxVtbl::default())).wait()?;
        ///     nameservice::register("clock", service.iref()).wait()?;
        ///     ws.dispatch()?;
        ///     Ok(())
        /// }
        /// ```
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* $variant($error),)*
        }

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(error) => fmt::Display::fmt(error, f),)*
                }
            }
        }

        impl error::Error for Error {
            fn source(&self) -> Option<&(dyn error::Error + 'static)> {
                match self {
                    $(Self::$variant(error) => error::Error::source(error),)*
                }
            }
        }

        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

any_error! {
    /// Of a bind.
    Bind(BindError),
    /// Of a binding.
    Binding(BindingError),
    /// Of the broker that a bind went through.
    Broker(BrokerError),
    /// Of capabilities that did not travel.
    Caps(CapRefusal),
    /// Of a look at what there is on a host.
    Snapshot(SnapshotError),
    /// Of a channel.
    Channel(ChannelError),
    /// Of a driver that made no channel.
    Connect(ConnectError),
    /// Of an operation on a binding.
    Control(ControlError),
    /// Of the root monitor as a daemon.
    Daemon(DaemonError),
    /// Of a pool of bulk data.
    Pool(PoolError),
    /// Of words that make no message.
    Decode(DecodeError),
    /// Of a waitset, or of one of its callbacks.
    Dispatch(DispatchError),
    /// Of a wait whose time is over.
    Elapsed(Elapsed),
    /// Of a message that makes no words.
    Encode(EncodeError),
    /// Of an event channel.
    Event(EventError),
    /// Of an export.
    Export(ExportError),
    /// Of a driver whose name is taken.
    DriverName(NameTaken),
    /// Of the system, where the library passes it on as it is.
    Io(io::Error),
    /// Of a peer that may make the process hold no more.
    Limit(OverLimit),
    /// Of the monitor.
    Monitor(MonitorError),
    /// Of the name service.
    Name(NameError),
    /// Of a system call.
    Os(Errno),
    /// Of a peer that broke the protocol of a channel.
    Protocol(ProtocolError),
    /// Of an inbox.
    Recv(RecvError),
    /// Of a service that refuses a client.
    Refused(Refusal),
    /// Of a call.
    Rpc(RpcError),
    /// Of a text that is no form of a message or type.
    Schema(SchemaError),
    /// Of a service or a client without a waitset.
    Service(ServiceError),
    /// Of a value that is too long.
    TooLong(TooLong),
    /// Of a message that was not accepted.
    Tx(TxError),
    /// Of a value that its schema has not.
    Value(ValueError),
}

flounder_rt::debug_as_chain!(Error);

/// Without what would have been given away.
impl<T> From<Rejected<T>> for Error {
    fn from(rejected: Rejected<T>) -> Self {
        Self::Tx(rejected.error)
    }
}

impl From<CallbackError> for Error {
    fn from(error: CallbackError) -> Self {
        Self::Dispatch(DispatchError::Callback(error))
    }
}
