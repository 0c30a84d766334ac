//! Texts of errors: one rule for all of them.

use std::io;
use std::path::Path;

use flounder::account::{OverLimit, Resource, Scope};
use flounder::bind::{Lacking, Side};
use flounder::channel::{CapRefusal, ChannelError, ConnectError, ProtocolError};
use flounder::drivers::registry::NameTaken;
use flounder::monitor::daemon::DaemonError;
use flounder::monitor::snapshot::SnapshotError;
use flounder::monitor::{DirProblem, MonitorError, RootLocation};
use flounder::nameservice::{InvalidName, NameError, NameRequest};
use flounder::waitset::EventError;
use flounder::wire::{DecodeError, TooLong};
use flounder::{
    BindError, BindingError, Cap, ControlError, DispatchError, EncodeError, Error, ExportError,
    RecvError, Refusal, Rejected, RpcError, TxError,
};

const EMFILE: i32 = 24;

/// The text of an error, and those of its sources. Texts of the system have their own form.
fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<(String, bool)> {
    let all = std::iter::successors(Some(error), |&error| error.source());
    all.map(|error| (error.to_string(), error.is::<io::Error>())).collect()
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

#[test]
fn every_error_is_shown_in_words_and_says_nothing_twice() {
    let io = || io::Error::from_raw_os_error(EMFILE);
    let too_long = TooLong { len: 9, max: 8 };
    check(too_long);
    for refusal in caps() {
        check(refusal);
        check(TxError::CapsRefused(refusal));
        check(ChannelError::Caps(refusal));
        check(BindingError::CapsRefused(refusal));
        check(RpcError::CapsRefused(refusal));
    }
    for error in transmissions() {
        check(BindingError::Reply(error.clone()));
        check(RpcError::Tx(error.clone()));
        check(Rejected { error: error.clone(), given: () });
        check(error);
    }
    for error in decodings() {
        check(BindingError::Decode { message: "m", error: error.clone() });
        check(RpcError::Decode(error.clone()));
        check(error);
    }
    for error in protocols() {
        check(ChannelError::Protocol(error.clone()));
        check(BindingError::Protocol(error.clone()));
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
        check(RpcError::Closed(error.clone()));
        check(RecvError::Ended(error.clone()));
        check(error);
    }
    for error in [ChannelError::Closed, ChannelError::PeerDied, ChannelError::Os(EMFILE)] {
        check(error);
    }
    for error in [RpcError::NoReply, RpcError::WouldDeadlock, RpcError::Deadline] {
        check(error);
    }
    check(RpcError::NotServed { thread: "worker".into() });
    check(RpcError::ThreadEnded { thread: "worker".into() });
    check(RpcError::Os(EMFILE));
    for error in [ControlError::Closed, ControlError::AlreadyRegistered, ControlError::Os(EMFILE)] {
        check(error);
    }
    check(RecvError::Full);
    check(RecvError::NoInbox);
    check(EncodeError::TooLong { arg: "a", length: too_long });
    check(EncodeError::CapCopy(EMFILE));
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
        check(NameError::Export(error.clone()));
        check(error);
    }
    for error in monitors() {
        check(NameError::Monitor { error: error.clone(), request: request() });
        check(SnapshotError::Monitor(error.clone()));
        check(DaemonError::Monitor(error.clone()));
        check(error);
    }
    check(SnapshotError::NoMonitor { directory: "/run".into() });
    check(DaemonError::Running { pid: Some(7) });
    check(DaemonError::Running { pid: None });
    check(DaemonError::UnknownUser { uid: 65534 });
    check(DaemonError::NotOwner { directory: "/run".into() });
    for error in names() {
        check(error);
    }
    check(NameTaken("lmp"));
    check(limit());
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
        TxError::TooLong { arg: "a", length },
        TxError::CapCopy(EMFILE),
        TxError::CapsRefused(CapRefusal::Sender),
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
        DecodeError::MissingCap,
        DecodeError::ExtraCaps,
        DecodeError::Number(99),
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
        BindError::Broker("there is no descriptor to spare".into()),
    ]
}

fn exports() -> Vec<ExportError> {
    vec![
        ExportError::Random(EMFILE),
        ExportError::Full,
        ExportError::Ended,
        ExportError::Monitor("no descriptor to spare".into()),
    ]
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
        NameError::Unknown { request: request() },
        NameError::Invalid { why: InvalidName::Empty, request: request() },
        NameError::Invalid { why: InvalidName::TooLong { length: 256 }, request: request() },
        NameError::Invalid { why: InvalidName::Control, request: request() },
        NameError::Quota { request: request() },
        NameError::NotOwner { request: request() },
        NameError::NoService { request: request() },
        NameError::Deadline { request: request() },
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

/// What a callback says is not lost on the way through a waitset or a bind.
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
fn the_tests_of_errors_miss_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    let mut found = 0;
    for folder in ["flounder-rt/src", "flounder-drivers/src", "flounder-monitor/src"] {
        for text in sources(&root.join(folder)) {
            for name in implementors(&text) {
                found += 1;
                let kinds = variants(&text, name);
                let kinds = if kinds.is_empty() { vec![name.to_owned()] } else { kinds };
                let has = |kind: &String| include_str!("errors.rs").contains(kind.as_str());
                missing.extend(kinds.into_iter().filter(|kind| !has(kind)));
            }
        }
    }
    assert!(found >= 20, "only {found} error types were found");
    assert!(missing.is_empty(), "{missing:?}");
}

fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder of the workspace").flatten();
    let of = |path: std::path::PathBuf| {
        if path.is_dir() {
            return sources(&path);
        }
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        is_rust.then(|| std::fs::read_to_string(&path).expect("a file")).into_iter().collect()
    };
    entries.flat_map(|entry| of(entry.path())).collect()
}

/// Names of the public types for which a file implements `Error`.
fn implementors(text: &str) -> Vec<&str> {
    let of = |line: &'_ str| -> Option<usize> {
        line.starts_with("impl").then(|| line.find("Error for ")).flatten()
    };
    let names = text.lines().filter_map(|line| {
        let name = &line[of(line)? + "Error for ".len()..];
        name.split(|c: char| !c.is_alphanumeric()).next()
    });
    let is_public = |name: &&str| {
        text.contains(&format!("pub enum {name}")) || text.contains(&format!("pub struct {name}"))
    };
    names.filter(is_public).collect()
}

/// `Name::Variant` for each variant of an enumeration of the file.
fn variants(text: &str, name: &str) -> Vec<String> {
    let Some((_, body)) = text.split_once(&format!("pub enum {name} {{\n")) else {
        return Vec::new();
    };
    let body = body.split("\n}").next().unwrap_or_default();
    let names = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        line.starts_with(char::is_uppercase)
            .then(|| line.split(|c: char| !c.is_alphanumeric()))?
            .next()
    });
    names.map(|variant| format!("{name}::{variant}")).collect()
}
