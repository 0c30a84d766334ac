//! Errors are printed with all their sources (anyhow's `{:#}`, eyre, tracing). Expected: no link of the chain repeats the one
//! before; every error is `Send + Sync + 'static`.

use std::error::Error;

use cases::*;
use flounder::*;

fn fits<T: Error + Send + Sync + 'static>() {}

fn chain(e: &dyn Error) -> Vec<String> {
    let mut v = vec![e.to_string()];
    let mut s = e.source();
    while let Some(e) = s {
        v.push(e.to_string());
        s = e.source()
    }
    v
}

fn main() {
    watchdog(20);
    fits::<TxError>();
    fits::<RpcError>();
    fits::<BindError>();
    fits::<BindingError>();
    fits::<RecvError>();
    fits::<DispatchError>();
    fits::<ExportError>();
    fits::<ControlError>();
    fits::<flounder::error::EncodeError>();
    fits::<nameservice::NameError>();
    fits::<monitor::MonitorError>();
    fits::<Rejected<Cap>>();
    let io = || std::io::Error::from_raw_os_error(libc::EMFILE);
    let location = || monitor::RootLocation::new("/run".into(), None);
    let all: Vec<(&str, Box<dyn Error>)> = vec![
        ("RpcError::Tx", Box::new(RpcError::Tx(TxError::Closed))),
        ("RpcError::Closed", Box::new(RpcError::Closed(BindingError::PeerDied))),
        (
            "NameError::Monitor",
            Box::new(nameservice::NameError::Monitor {
                error: monitor::MonitorError::NoRoot { location: location() },
                request: Box::new(nameservice::NameRequest::new(Some("svc".into()), Some(location()))),
            }),
        ),
        ("NameError::Export", Box::new(nameservice::NameError::Export(ExportError::Full))),
        ("Rejected", Box::new(Rejected { error: TxError::Busy, given: () })),
        ("BindingError::Reply", Box::new(BindingError::Reply(TxError::Closed))),
        ("DispatchError::Os", Box::new(DispatchError::Os(io()))),
        ("DispatchError::Callback", Box::new(DispatchError::Callback(io().into()))),
    ];
    let twice: Vec<String> = all
        .iter()
        .filter_map(|(n, e)| {
            let c = chain(&**e);
            c.windows(2).any(|w| w[0].contains(&w[1])).then(|| format!("{n}: {}", c.join(": ")))
        })
        .collect();
    let lost: Vec<String> = all
        .iter()
        .filter(|(n, e)| {
            n.contains("Callback") && !chain(&**e).iter().any(|s| s.contains("open files"))
        })
        .map(|(n, e)| format!("{n} says only {:?}", chain(&**e)))
        .collect();
    verdict(
        twice.is_empty() && lost.is_empty(),
        format!("repeated: {}; lost: {}", twice.join(" | "), lost.join(" | ")),
    );
}
