//! Texts of errors: one rule for all of them.

use std::io;
use std::path::Path;

use flounder::bulk::{PoolError, Slots};
use flounder::driver::channel::Connector;
use flounder::drivers::registry::{self, NameTaken};
use flounder::error::{
    BrokerError, CapRefusal, ChannelError, ConnectError, DecodeError, Elapsed, EncodeError, Errno,
    EventError, Lacking, OverLimit, ProtocolError, Side, TooLong,
};
use flounder::limits::{Resource, Scope};
use flounder::message::schema::{SchemaError, ValueError, ValueFault};
use flounder::monitor::daemon::DaemonError;
use flounder::monitor::snapshot::SnapshotError;
use flounder::monitor::{DirProblem, MonitorError, RootLocation};
use flounder::nameservice::{Awaited, InvalidName, NameError, NameRequest};
use flounder::service::ServiceError;
use flounder::{
    BindError, BindingError, Cap, ControlError, DispatchError, Error, ExportError, RecvError,
    Refusal, Rejected, RpcError, TxError,
};

const EMFILE: Errno = Errno::from_raw_os_error(24);

/// The text of an error, and those of its sources. Texts of the system have their own form.
fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<(String, bool)> {
    let all = std::iter::successors(Some(error), |&error| error.source());
    all.map(|error| (error.to_string(), error.to_string().contains(" (os error "))).collect()
}

/// Checks an error, and that it is shown alike as [`flounder::Error`].
#[track_caller]
fn check<E>(error: E)
where
    E: std::error::Error + Send + Sync + 'static,
    Error: From<E>,
{
    let (links, debug) = (chain(&error), format!("{error:?}"));
    for (text, is_system) in &links {
        if *is_system {
            continue;
        }
        let first = text.chars().next().expect("an error has a text");
        assert!(!first.is_uppercase(), "begins with a capital letter: {text}");
        assert!(!text.ends_with('.') && text.trim() == text, "ends with a full stop: {text}");
        assert!(!text.contains("  ") && !text.contains(" { "), "is not a sentence: {text}");
    }
    for pair in links.windows(2) {
        assert!(!pair[0].0.contains(&pair[1].0), "says twice: {} / {}", pair[0].0, pair[1].0);
    }
    let texts: Vec<_> = links.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(debug, texts.join(": "), "`main` prints the chain");
    let any = Error::from(error);
    assert_eq!((chain(&any), format!("{any:?}")), (links, debug));
}

/// Checks an error that holds another: the chain of the outer one ends with the whole chain of the inner one.
#[track_caller]
fn holds<E, I>(outer: E, inner: &I)
where
    E: std::error::Error + Send + Sync + 'static,
    I: std::error::Error + 'static,
    Error: From<E>,
{
    let (links, held) = (chain(&outer), chain(inner));
    assert!(links.ends_with(&held), "{links:?} does not end with {held:?}");
    check(outer);
}

#[test]
fn every_error_is_shown_in_words_and_says_nothing_twice() {
    let io = || io::Error::from(EMFILE);
    let too_long = TooLong { len: 9, max: 8 };
    check(too_long);
    check(EMFILE);
    for refusal in caps() {
        check(refusal);
        holds(TxError::CapsRefused(refusal), &refusal);
        holds(ChannelError::Caps(refusal), &refusal);
        holds(BindingError::CapsRefused(refusal), &refusal);
        holds(RpcError::CapsRefused(refusal), &refusal);
    }
    for error in transmissions() {
        holds(BindingError::Reply(error.clone()), &error);
        holds(RpcError::Tx(error.clone()), &error);
        holds(Rejected { error: error.clone(), given: () }, &error);
        check(error);
    }
    for error in decodings() {
        holds(BindingError::Decode { message: "m", error: error.clone() }, &error);
        holds(RpcError::Decode(error.clone()), &error);
        check(error);
    }
    for error in schemas() {
        check(error);
    }
    for fault in faults() {
        check(ValueError::new("", fault.clone()));
        check(ValueError::new("a", fault));
    }
    for error in protocols() {
        holds(ChannelError::Protocol(error.clone()), &error);
        holds(BindingError::Protocol(error.clone()), &error);
        check(error);
    }
    for error in [
        BindingError::Closed,
        BindingError::PeerDied,
        BindingError::Os(EMFILE),
        BindingError::NoHandler { message: "m" },
        BindingError::Decode { message: "m", error: DecodeError::Utf8 },
        BindingError::CapsRefused(CapRefusal::Sender),
    ] {
        holds(RpcError::Closed(error.clone()), &error);
        holds(RpcError::NotSent(error.clone()), &error);
        holds(RecvError::Ended(error.clone()), &error);
        check(error);
    }
    for error in [ChannelError::Closed, ChannelError::PeerDied, ChannelError::Os(EMFILE)] {
        check(error);
    }
    for error in [
        RpcError::NoReply,
        RpcError::HandlerPanicked,
        RpcError::HandlerFailed,
        RpcError::ServiceClosed,
        RpcError::WouldDeadlock,
        RpcError::Deadline,
    ] {
        check(error);
    }
    let (refusal, length) = (Refusal::new(7, "no such disk"), TooLong { len: 9, max: 8 });
    holds(RpcError::ReplyTooLong { arg: "names", length }, &length);
    holds(RpcError::Refused(refusal.clone()), &refusal);
    check(RpcError::NotServed { thread: "worker".into() });
    check(RpcError::ThreadEnded { thread: "worker".into() });
    holds(RpcError::Os(EMFILE), &EMFILE);
    holds(TxError::CapCopy(EMFILE), &EMFILE);
    holds(EncodeError::CapCopy(EMFILE), &EMFILE);
    holds(BindingError::Os(EMFILE), &EMFILE);
    holds(ChannelError::Os(EMFILE), &EMFILE);
    holds(ConnectError::Os(EMFILE), &EMFILE);
    holds(ControlError::Os(EMFILE), &EMFILE);
    holds(ExportError::Random(EMFILE), &EMFILE);
    holds(PoolError::Os(EMFILE), &EMFILE);
    for error in [
        PoolError::Busy,
        PoolError::Closed,
        PoolError::TooLong { len: 65, max: 64 },
        PoolError::Shape(Slots { count: 0, bytes: 64 }),
        PoolError::TooMany,
        PoolError::Reach,
    ] {
        check(error);
    }
    holds(MonitorError::Thread(EMFILE), &EMFILE);
    holds(MonitorError::Os { what: "listen", errno: EMFILE }, &EMFILE);
    holds(TxError::TooLong { arg: "a", length: too_long }, &too_long);
    holds(EncodeError::TooLong { arg: "a", length: too_long }, &too_long);
    holds(ConnectError::OverLimit(limit()), &limit());
    holds(ProtocolError::OverLimit(limit()), &limit());
    holds(MonitorError::OverLimit(limit()), &limit());
    let refusal = Refusal::new(7, "not today");
    holds(BindError::Refused(refusal.clone()), &refusal);
    for at in [Side::Client, Side::Service] {
        holds(BindError::OverLimit { at, limit: limit() }, &limit());
    }
    let broker = BrokerError::new(MonitorError::Thread(EMFILE));
    holds(BindError::Broker(broker.clone()), &broker);
    holds(broker, &MonitorError::Thread(EMFILE));
    for error in [
        ControlError::Closed,
        ControlError::AlreadyRegistered,
        ControlError::OfOneThread,
        ControlError::Os(EMFILE),
    ] {
        check(error);
    }
    check(Elapsed);
    check(RecvError::Full);
    check(RecvError::NoInbox);
    check(RecvError::Deadline);
    check(RecvError::WouldDeadlock);
    check(EventError::AlreadyRegistered);
    check(EventError::NotRegistered);
    check(EventError::Closed);
    check(Refusal::new(7, "not today"));
    for error in connections() {
        check(BindError::Drivers(vec![
            ("lmp".into(), error.clone()),
            ("ump".into(), error.clone()),
        ]));
        check(error);
    }
    for error in binds() {
        check(error);
    }
    check(BindError::from(DispatchError::Callback(io().into())));
    check(BindError::from(DispatchError::Callback("as told".into())));
    check(DispatchError::Callback(RpcError::Closed(BindingError::PeerDied).into()));
    check(DispatchError::Callback("as told".into()));
    check(DispatchError::Os(io()));
    check(DispatchError::Deadline);
    check(DispatchError::Closed);
    check(DispatchError::Forked);
    for error in exports() {
        holds(NameError::Export(error.clone()), &error);
        check(error);
    }
    for error in monitors() {
        check(NameError::Monitor { error: error.clone(), request: request() });
        holds(SnapshotError::Monitor(error.clone()), &error);
        holds(DaemonError::Monitor(error.clone()), &error);
        check(error);
    }
    holds(SnapshotError::OverLimit(limit()), &limit());
    check(SnapshotError::NoMonitor { directory: "/run".into() });
    check(DaemonError::Running { pid: Some(7) });
    check(DaemonError::Running { pid: None });
    check(DaemonError::UnknownUser { uid: 65534 });
    check(DaemonError::NotOwner { directory: "/run".into() });
    holds(NameError::OverLimit { limit: limit(), request: request() }, &limit());
    for error in names() {
        holds(ServiceError::Name(error.clone()), &error);
        check(error);
    }
    for error in binds() {
        holds(ServiceError::Bind(error.clone()), &error);
    }
    for error in exports() {
        holds(ServiceError::Export(error.clone()), &error);
    }
    holds(ServiceError::Thread(EMFILE), &EMFILE);
    for error in services() {
        check(error);
    }
    let again = registry::register(std::sync::Arc::new(Again));
    check::<NameTaken>(again.expect_err("there is a driver of this name"));
    check(limit());
}

/// A driver with the name of a built-in one.
struct Again;

impl Connector for Again {
    fn name(&self) -> &'static str {
        "lmp"
    }
}

fn limit() -> OverLimit {
    OverLimit::new(Resource::Bindings, 4096, Scope::Process)
}

fn caps() -> [CapRefusal; 5] {
    [
        CapRefusal::Sender,
        CapRefusal::Receiver,
        CapRefusal::SenderLimit,
        CapRefusal::ReceiverLimit,
        CapRefusal::LinkLost,
    ]
}

fn transmissions() -> Vec<TxError> {
    let length = TooLong { len: 9, max: 8 };
    vec![
        TxError::Busy,
        TxError::Closed,
        TxError::NotConnected,
        TxError::TooLong { arg: "a", length },
        TxError::CapCopy(EMFILE),
        TxError::CapsRefused(CapRefusal::Sender),
        TxError::Direction,
    ]
}

fn decodings() -> Vec<DecodeError> {
    vec![
        DecodeError::Short { need: 2, have: 1 },
        DecodeError::Leftover { words: 1 },
        DecodeError::Padding,
        DecodeError::Bool(2),
        DecodeError::Enum { name: "color", value: 9 },
        DecodeError::Char(0xd800),
        DecodeError::Utf8,
        DecodeError::TooLong { len: 9, max: 8 },
        DecodeError::Iref,
        DecodeError::Bulk("the slot is lent already"),
        DecodeError::MissingCap,
        DecodeError::ExtraCaps,
        DecodeError::Number(99),
        DecodeError::Direction,
    ]
}

fn schemas() -> Vec<SchemaError> {
    vec![
        SchemaError::Expected { what: "a type", at: 3 },
        SchemaError::NoExtern(1),
        SchemaError::TooDeep,
        SchemaError::TooLarge,
        SchemaError::TooSparse,
    ]
}

fn faults() -> Vec<ValueFault> {
    vec![
        ValueFault::Kind("a string"),
        ValueFault::Range { bits: 8 },
        ValueFault::Count { expected: 2, found: 1 },
        ValueFault::TooLong { len: 9, max: 8 },
        ValueFault::Variant(3),
        ValueFault::CapPosition { expected: 0, found: 1 },
    ]
}

fn protocols() -> Vec<ProtocolError> {
    vec![
        ProtocolError::Number(99),
        ProtocolError::Length { number: 1, words: 9, max: 8 },
        ProtocolError::Overrun { number: 1 },
        ProtocolError::CapCount { number: 1, caps: 9, max: 8 },
        ProtocolError::CapsMissing { number: 1, need: 2, have: 1 },
        ProtocolError::Frame("a frame has no header"),
        ProtocolError::Position { claim: 9, max: 8 },
        ProtocolError::OverLimit(OverLimit::new(Resource::Bytes, 9, Scope::Process)),
    ]
}

fn connections() -> Vec<ConnectError> {
    vec![
        ConnectError::Reach,
        ConnectError::Refused("the region is empty"),
        ConnectError::Os(EMFILE),
        ConnectError::OverLimit(limit()),
    ]
}

fn binds() -> Vec<BindError> {
    let interface = |messages_agree| BindError::Interface {
        expected: "config".into(),
        found: "cfg".into(),
        messages_agree,
    };
    vec![
        BindError::NoService,
        BindError::Refused(Refusal::new(7, "not today")),
        BindError::Version { interface: "clock".into(), message: "tick".into() },
        BindError::Version { interface: "clock".into(), message: String::new() },
        interface(true),
        interface(false),
        BindError::UnknownDriver("pigeon".into()),
        BindError::Deadline,
        BindError::OverLimit { at: Side::Client, limit: limit() },
        BindError::OverLimit { at: Side::Service, limit: limit() },
        BindError::NoDescriptor(Lacking::Client),
        BindError::NoDescriptor(Lacking::Root),
        BindError::LinkLost,
        BindError::Busy,
        BindError::Broker(BrokerError::new(MonitorError::Ended)),
        BindError::Dropped,
        BindError::NoBroker,
    ]
}

fn exports() -> Vec<ExportError> {
    vec![ExportError::Random(EMFILE), ExportError::Full, ExportError::Ended, ExportError::NoBroker]
}

fn monitors() -> Vec<MonitorError> {
    let location = || RootLocation::new("/run".into(), None);
    let directory = |why| MonitorError::RuntimeDir { path: "/run".into(), why };
    vec![
        directory(DirProblem::Os(EMFILE)),
        directory(DirProblem::NotADirectory),
        directory(DirProblem::Owner { uid: 7 }),
        directory(DirProblem::Mode { mode: 0o777 }),
        MonitorError::Thread(EMFILE),
        MonitorError::Os { what: "listen", errno: EMFILE },
        directory(DirProblem::UnknownOwner),
        directory(DirProblem::Parent { uid: 7 }),
        MonitorError::UntrustedRoot { directory: "/run".into(), uid: 7 },
        MonitorError::Version { location: location() },
        MonitorError::JoinDenied { directory: "/run".into(), owner: 7 },
        MonitorError::PidNamespace { directory: "/run".into() },
        MonitorError::NoRoot { location: location() },
        MonitorError::OverLimit(limit()),
        MonitorError::OwnThread,
        MonitorError::Busy,
        MonitorError::Ended,
    ]
}

fn names() -> Vec<NameError> {
    vec![
        NameError::Taken { pid: Some(7), request: request() },
        NameError::Taken { pid: None, request: request() },
        NameError::Taken { pid: Some(std::process::id()), request: request() },
        NameError::Unknown { request: request() },
        NameError::Invalid { why: InvalidName::Empty, request: request() },
        NameError::Invalid { why: InvalidName::TooLong { length: 256 }, request: request() },
        NameError::Invalid { why: InvalidName::Control, request: request() },
        NameError::OverLimit { limit: limit(), request: request() },
        NameError::NotOwner { request: request() },
        NameError::NoService { request: request() },
        NameError::Deadline { awaited: Awaited::Registration, request: request() },
        NameError::Deadline { awaited: Awaited::Owners, request: request() },
        NameError::Deadline { awaited: Awaited::Root, request: request() },
        NameError::Deadline { awaited: Awaited::Service, request: request() },
        NameError::Deadline { awaited: Awaited::Loss, request: request() },
        NameError::Deadline { awaited: Awaited::Nothing, request: request() },
    ]
}

fn services() -> Vec<ServiceError> {
    vec![
        ServiceError::Thread(EMFILE),
        ServiceError::NoService { request: request() },
        ServiceError::OwnThread,
        ServiceError::Ended,
    ]
}

fn request() -> Box<NameRequest> {
    Box::new(NameRequest::new(Some("clock".into()), Some(RootLocation::new("/run".into(), None))))
}

#[test]
fn errors_of_the_name_service_name_the_name_and_the_place() {
    for error in names() {
        let text = error.to_string();
        assert!(text.contains("\"clock\"") && text.contains("/run"), "{text}");
    }
}

/// The error of a callback is not lost on its way through a waitset or a bind.
#[test]
fn an_error_of_a_callback_stays_in_the_chain() {
    let error = BindError::from(DispatchError::Callback("the disk is full".into()));
    assert_eq!(
        format!("{error:?}"),
        "the wait for the service was interrupted: a callback failed: the disk is full"
    );
    let again = BindError::Dispatch(match &error {
        BindError::Dispatch(interrupted) => interrupted.clone(),
        other => panic!("{other}"),
    });
    assert_eq!(error, again);
}

#[test]
fn a_rejection_converts_without_what_was_given() {
    let file = std::fs::File::open("/dev/null").expect("null");
    let rejected = Rejected { error: TxError::Busy, given: Cap::from(file) };
    assert!(matches!(Error::from(rejected), Error::Tx(TxError::Busy)));
    assert!(matches!(
        Error::from(flounder::CallbackError::from("as told")),
        Error::Dispatch(DispatchError::Callback(_))
    ));
}

/// An error type or a variant that the tests above do not have is missing there.
#[test]
fn every_public_error_is_tested_converts_and_may_grow() {
    let files = sources();
    let errors: Vec<_> = files.iter().flat_map(errors_of).collect();
    assert!(errors.len() >= 24, "only {} error types were found", errors.len());
    let names: Vec<&str> = errors.iter().map(|error| error.name.as_str()).collect();
    let faults: Vec<_> = errors.iter().flat_map(|error| faults_of(error, &names)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A public error type.
struct PublicError<'a> {
    name: String,
    attributes: &'a [syn::Attribute],
    /// Variants of an enumeration, or the fields of a structure.
    parts: Vec<(String, &'a syn::Fields)>,
}

fn faults_of(error: &PublicError<'_>, names: &[&str]) -> Vec<String> {
    // A pair of public values, which are all that the type will ever have.
    const COMPLETE: [&str; 2] = ["Rejected", "TooLong"];
    // Its text adds the request to that of the error in it.
    const ADDS: &str = "NameError::Monitor";
    let PublicError { name, attributes, parts } = error;
    let mut faults = Vec::new();
    for (part, fields) in parts {
        if !include_str!("errors.rs").contains(part.as_str()) {
            faults.push(format!("{part} is not tested"));
        }
        let has_number =
            |ty: &syn::Type| matches!(ty, syn::Type::Path(path) if path.path.is_ident("i32"));
        if name != "Errno" && fields.iter().any(|field| has_number(&field.ty)) {
            faults.push(format!("{part} holds a bare number; use `Errno`"));
        }
        let is_error = |ty: &syn::Type| matches!(ty, syn::Type::Path(path) if names.iter().any(|name| path.path.is_ident(name)));
        let test = format!("holds({part}");
        if fields.iter().any(|field| is_error(&field.ty))
            && !include_str!("errors.rs").split_whitespace().collect::<String>().contains(&test)
            && !["Rejected", ADDS].contains(&part.as_str())
        {
            faults.push(format!("{part} holds an error, and no test finds it in the chain"));
        }
    }
    if !include_str!("../src/any_error.rs").contains(&format!("({name})")) && name != "Rejected" {
        faults.push(format!("{name} does not convert to `flounder::Error`"));
    }
    let is_open = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
    let is_private = parts.iter().all(|(_, fields)| {
        fields.iter().all(|field| !matches!(field.vis, syn::Visibility::Public(_)))
    });
    let is_structure = parts.len() == 1 && parts[0].0 == *name;
    if !(is_open || is_structure && is_private || COMPLETE.contains(&name.as_str())) {
        faults.push(format!("{name} is not `#[non_exhaustive]`"));
    }
    faults
}

/// The public types of a file that implement `Error`, wherever in the file the implementation is.
fn errors_of(file: &syn::File) -> Vec<PublicError<'_>> {
    let implementors: Vec<String> = file.items.iter().filter_map(implementor).collect();
    let errors = file.items.iter().filter_map(|item| match item {
        syn::Item::Enum(item) if is_public(&item.vis) => {
            let name = item.ident.to_string();
            let variant = |variant: &'_ syn::Variant| format!("{name}::{}", variant.ident);
            let parts = item.variants.iter().map(|one| (variant(one), &one.fields)).collect();
            Some(PublicError { name, attributes: &item.attrs, parts })
        }
        syn::Item::Struct(item) if is_public(&item.vis) => {
            let name = item.ident.to_string();
            let parts = vec![(name.clone(), &item.fields)];
            Some(PublicError { name, attributes: &item.attrs, parts })
        }
        _ => None,
    });
    errors.filter(|error| implementors.contains(&error.name)).collect()
}

/// Name of the type that an item implements `Error` for.
fn implementor(item: &syn::Item) -> Option<String> {
    let syn::Item::Impl(item) = item else { return None };
    let (path, _) = item.trait_.as_ref()?;
    let syn::Type::Path(of) = &*item.self_ty else { return None };
    (path.segments.last()?.ident == "Error")
        .then(|| of.path.segments.last().map(|it| it.ident.to_string()))?
}

const fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

/// The files of the crates that a program with the facade has.
fn sources() -> Vec<syn::File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = ["flounder-wire", "flounder-rt", "flounder-drivers", "flounder-monitor"];
    crates.iter().flat_map(|name| files(&root.join(name).join("src"))).collect()
}

fn files(folder: &Path) -> Vec<syn::File> {
    let entries = std::fs::read_dir(folder).expect("a folder of the workspace").flatten();
    let of = |path: std::path::PathBuf| {
        if path.is_dir() {
            return files(&path);
        }
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let parsed = is_rust.then(|| std::fs::read_to_string(&path).expect("a file")).map(|text| {
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        });
        parsed.into_iter().collect()
    };
    entries.flat_map(|entry| of(entry.path())).collect()
}
