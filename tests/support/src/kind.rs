//! Errors as text that tests compare: the variant and its values. The `Debug` of errors is for people.

use flounder::error::{
    BrokerError, CapRefusal, ConnectError, DecodeError, Errno, Interrupted, TooLong,
};
use flounder::monitor::MonitorError;
use flounder::monitor::daemon::DaemonError;
use flounder::monitor::snapshot::SnapshotError;
use flounder::nameservice::{InvalidName, NameError};
use flounder::{
    BindError, BindingError, ControlError, DispatchError, ExportError, Iref, RecvError, Refusal,
    RpcError, TxError,
};

/// Values that may hold errors.
pub trait Kind {
    /// The value, as a derived `Debug` would write it; without the fields that name the place.
    fn kind(&self) -> String;
}

macro_rules! by_debug {
    ($($type:ty),* $(,)?) => {$(
        impl Kind for $type {
            fn kind(&self) -> String {
                format!("{self:?}")
            }
        }
    )*};
}

by_debug! {
    (), bool, u8, u32, u64, i32, usize, str, String, &str, Iref, flounder::nameservice::ResolvedName, InvalidName, DecodeError, TooLong, DispatchError,
    std::io::Error, flounder::error::Side, flounder::error::Lacking, flounder::error::OverLimit, BrokerError, Interrupted, flounder::error::ProtocolError, std::path::PathBuf, flounder::monitor::DirProblem
}

macro_rules! kinds {
    ($($error:ty { $($variant:ident $(($inner:ident))? $({ $($field:ident),* })?),* $(,)? })*) => {$(
        impl Kind for $error {
            fn kind(&self) -> String {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field,)* .. })? => {
                        let text = String::from(stringify!($variant));
                        $(let text = format!("{text}({})", $inner.kind());)?
                        $(
                            let fields: &[String] = &[$(format!(concat!(stringify!($field), ": {}"), $field.kind())),*];
                            let text = format!("{text} {{ {} }}", fields.join(", "));
                        )?
                        text
                    })*
                    other => other.to_string(),
                }
            }
        }
    )*};
}

kinds! {
    TxError { Busy, Closed, CapCopy(errno), CapsRefused(refusal), TooLong { arg, length } }
    BindingError {
        Closed, PeerDied, Protocol(error), Os(errno), CapsRefused(refusal), Reply(error),
        NoHandler { message }, Decode { message, error },
    }
    RpcError {
        Tx(error), NotSent(why), Closed(why), Refused(refusal), NoReply, HandlerPanicked, HandlerFailed, ServiceClosed,
        ReplyTooLong { arg, length }, CapsRefused(refusal), Decode(error), WouldDeadlock, Deadline, Os(errno),
    }
    RecvError { Ended(why), Full, NoInbox }
    BindError {
        NoService, Refused(refusal), Drivers(errors), UnknownDriver(name), Deadline, Broker(why),
        Dispatch(error), Dropped, NoBroker, Version { interface, message }, OverLimit { at, limit }, NoDescriptor(side),
        LinkLost, Busy, Interface { expected, found },
    }
    ConnectError { Reach, Refused(what), Os(errno), OverLimit(limit) }
    CapRefusal { Sender, Receiver, SenderLimit, ReceiverLimit, LinkLost }
    ControlError { Closed, AlreadyRegistered, Os(errno) }
    ExportError { Random(errno), Full, NoBroker }
    MonitorError {
        OwnThread, Busy, Ended, UntrustedRoot { uid }, JoinDenied { owner },
        OverLimit(limit), RuntimeDir { path, why }, Version {}, NoRoot {},
    }
    DaemonError { Running { pid }, NotOwner { directory }, Monitor(error) }
    SnapshotError { OverLimit(limit), Monitor(error) }
}

impl Kind for NameError {
    fn kind(&self) -> String {
        match self {
            Self::Taken { pid, .. } => format!("Taken {{ pid: {} }}", pid.kind()),
            Self::Unknown { .. } => "Unknown".into(),
            Self::Invalid { why, .. } => format!("Invalid({})", why.kind()),
            Self::OverLimit { limit, .. } => format!("OverLimit({})", limit.kind()),
            Self::NotOwner { .. } => "NotOwner".into(),
            Self::NoService { .. } => "NoService".into(),
            Self::Deadline { awaited, .. } => format!("Deadline({awaited:?})"),
            Self::Monitor { error, .. } => format!("Monitor({})", error.kind()),
            Self::Export(error) => format!("Export({})", error.kind()),
            other => other.to_string(),
        }
    }
}

impl Kind for Errno {
    fn kind(&self) -> String {
        self.raw_os_error().to_string()
    }
}

impl Kind for Refusal {
    fn kind(&self) -> String {
        format!("Refusal {{ code: {}, reason: {:?} }}", self.code, self.reason)
    }
}

impl<T: Kind, E: Kind> Kind for Result<T, E> {
    fn kind(&self) -> String {
        match self {
            Ok(value) => format!("Ok({})", value.kind()),
            Err(error) => format!("Err({})", error.kind()),
        }
    }
}

impl<T: Kind> Kind for Option<T> {
    fn kind(&self) -> String {
        self.as_ref().map_or("None".into(), |value| format!("Some({})", value.kind()))
    }
}

impl<T: Kind> Kind for Vec<T> {
    fn kind(&self) -> String {
        format!("[{}]", self.iter().map(Kind::kind).collect::<Vec<_>>().join(", "))
    }
}

impl<T: Kind, U: Kind> Kind for (T, U) {
    fn kind(&self) -> String {
        format!("({}, {})", self.0.kind(), self.1.kind())
    }
}
