//! Protocol between a test and its test processes: commands, answers and events, as types that both ends share.
//!
//! The carrier is the pair of pipes that the test process has as its standard input and output; each line is one value in
//! JSON. It is not a `flounder!` interface, for three reasons:
//!
//! - Tests count the descriptors, sockets, mappings, threads and bindings of a test process, use up its descriptors, limit its
//!   bindings and forbid it capabilities. A binding to the test would be counted, limited and forbidden with the others.
//! - Tests stop, block and kill test processes in the middle of a dispatch. A thread that reads a pipe goes on.
//! - A defect of the runtime must fail the check that looks for it, and not the harness that reports it.
//!
//! The macro `commands!` defines the commands of a family: a type for each, with the type of its answer, and a method of
//! [`TestProcess`](super::TestProcess) that runs it. A misspelt command, argument or event does not compile.

use std::fmt::{self, Display};
use std::io::Write;
use std::marker::PhantomData;

use flounder::Iref;
use flounder::limits::{Limits, Resource, Scope};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::MARK;
use super::kind::Kind;
use super::pending_calls::Way;

/// A command, which a test process runs and answers.
pub trait Command: fmt::Debug {
    /// What the test process answers with if the command succeeds.
    type Answer: Serialize + DeserializeOwned;

    /// Returns the command as one of all families.
    fn wrap(self) -> AnyCommand;
}

/// A command of any family.
#[derive(Serialize, Deserialize)]
pub enum AnyCommand {
    Process(super::process::Wire),
    Many(super::many::Wire),
    Group(super::group::Wire),
    CapTransfer(super::cap_transfer::Wire),
    PendingCalls(super::pending_calls::Wire),
}

/// A command on its way to a test process.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// Number of the request, which its answer repeats.
    pub id: u64,
    pub command: AnyCommand,
}

/// A line that a test process writes.
#[derive(Serialize, Deserialize)]
pub enum Output {
    Answer { id: u64, result: Result<serde_json::Value, String> },
    Event(Event),
}

/// What a test process reports without being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The process is a daemon and has become the root.
    BecameRoot,
    /// The daemon waits for the root to hand over.
    WaitsForRoot {
        pid: u32,
    },
    DaemonRefused(String),
    /// The error handler of a service's binding was called.
    ServiceError(String),
    /// The error handler of a client's binding was called.
    ClientError(String),
    /// The service could not send an answer.
    CannotAnswer(String),
    /// A background exchange has failed.
    ConversationFailed(String),
    /// A hundred rounds of a conversation are over; this is the number of the last.
    Round(u32),
    /// The service got a capability and has answered with the inode of its file.
    Got {
        number: u32,
        inode: u64,
    },
    /// A capability came that was requested.
    Given {
        number: u32,
        inode: u64,
    },
    /// The service could not send the capability that was requested.
    GiveRefused(String),
    /// The service has dropped the capabilities that it kept.
    CapsDropped,
    /// Twenty more capabilities are given away; this is the number of the last.
    Flooded(u32),
    /// The main thread is busy from now on.
    Busy,
    /// Repeated lookups have begun.
    Looking,
    /// A run of bind and teardown has begun.
    Cycling,
    /// A service has got its end of a binding.
    Met,
    /// A note is sent.
    NoteSent(u32),
    /// Cancelled calls have been sent.
    Called,
    /// Something that was waited for has ended.
    Waited {
        way: Way,
        outcome: String,
    },
}

impl Event {
    /// Sends the event to the test.
    pub fn report(self) {
        write_line(&Output::Event(self));
    }
}

/// The answer to one command, which is still to be sent.
pub struct Reply<T> {
    id: Option<u64>,
    answer: PhantomData<fn(T)>,
}

impl<T: Serialize> Reply<T> {
    pub fn new(id: u64) -> Self {
        Self { id: Some(id), answer: PhantomData }
    }

    /// Sends `answer`.
    pub fn ok(self, answer: T) {
        let answer = serde_json::to_value(answer).expect("answers are plain data");
        self.finish(Ok(answer));
    }

    /// Sends that the command has failed.
    pub fn fail(self, error: impl Display) {
        self.finish(Err(error.to_string()));
    }

    /// Sends the result; an error by its text.
    pub fn result<E: Display>(self, result: Result<T, E>) {
        match result {
            Ok(answer) => self.ok(answer),
            Err(error) => self.fail(error),
        }
    }

    /// Sends the result; an error as [`Kind`] names it.
    pub fn send<E: Kind>(self, result: Result<T, E>) {
        match result {
            Ok(answer) => self.ok(answer),
            Err(error) => self.fail(error.kind()),
        }
    }

    fn finish(mut self, result: Result<serde_json::Value, String>) {
        let id = self.id.take().expect("an answer is sent once");
        write_line(&Output::Answer { id, result });
    }
}

/// A command that ends without an answer has failed; the test need not wait for its time-out.
impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            write_line(&Output::Answer { id, result: Err("the answer was dropped".into()) });
        }
    }
}

fn write_line(output: &Output) {
    let line = serde_json::to_string(output).expect("it is plain data");
    let mut out = std::io::stdout().lock();
    // A test that has ended does not read any more; its test processes are about to be killed.
    let _ = writeln!(out, "{MARK}{line}").and_then(|()| out.flush());
}

/// A driver by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    Loopback,
    Lmp,
    Ump,
    Scc,
    Beehive,
}

impl Driver {
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lmp => "lmp",
            Self::Ump => "ump",
            Self::Scc => "scc",
            Self::Beehive => "beehive",
        }
    }
}

impl Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The drivers that a bind tries in turn; none stands for the default order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drivers(pub Vec<String>);

impl Drivers {
    /// The default order.
    pub const ANY: Self = Self(Vec::new());
}

impl From<Driver> for Drivers {
    fn from(driver: Driver) -> Self {
        Self(vec![driver.name().into()])
    }
}

impl<const N: usize> From<[&str; N]> for Drivers {
    fn from(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).into())
    }
}

/// Reference of an exported service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceId(pub u64);

impl ServiceId {
    pub fn iref(self) -> Iref {
        Iref::from_bits(self.0).expect("not zero")
    }
}

impl From<Iref> for ServiceId {
    fn from(iref: Iref) -> Self {
        Self(iref.to_bits())
    }
}

/// A resource that is limited.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(from = "usize", into = "usize")]
pub struct ResourceKind(pub Resource);

impl From<Resource> for ResourceKind {
    fn from(resource: Resource) -> Self {
        Self(resource)
    }
}

/// The place of the resource in the list of all. Both ends are one program.
impl From<ResourceKind> for usize {
    fn from(ResourceKind(resource): ResourceKind) -> Self {
        let place = Resource::ALL.into_iter().position(|other| other == resource);
        place.expect("the list is complete")
    }
}

impl From<usize> for ResourceKind {
    fn from(place: usize) -> Self {
        Self(Resource::ALL[place])
    }
}

/// Whose use a limit bounds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum LimitScope {
    /// Each peer process.
    Process,
    /// All processes of a user.
    User,
    /// All peer processes.
    All,
}

/// What peers may use of a resource.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limit {
    pub resource: ResourceKind,
    pub scope: LimitScope,
    pub value: u64,
}

impl Limit {
    /// Limit of what each peer process uses.
    pub fn of_process(resource: Resource, value: u64) -> Self {
        Self { resource: resource.into(), scope: LimitScope::Process, value }
    }

    /// Limit of what all processes of a user use together.
    pub fn of_user(resource: Resource, value: u64) -> Self {
        Self { resource: resource.into(), scope: LimitScope::User, value }
    }

    /// Limit of what all peer processes use together.
    pub fn of_all(resource: Resource, value: u64) -> Self {
        Self { resource: resource.into(), scope: LimitScope::All, value }
    }

    /// Returns `limits` with this one.
    pub fn apply(self, limits: Limits) -> Limits {
        let scope = match self.scope {
            LimitScope::Process => Scope::Process,
            LimitScope::User => Scope::User,
            LimitScope::All => Scope::All,
        };
        limits.with(self.resource.0, scope, self.value)
    }
}

/// Type of an argument of a method that runs a command: strings are borrowed, drivers converted.
macro_rules! argument {
    (String) => { &str };
    (Drivers) => { impl Into<$crate::protocol::Drivers> };
    (ResourceKind) => { impl Into<$crate::protocol::ResourceKind> };
    (Limits) => { impl Into<Vec<$crate::protocol::Limit>> };
    ($type:ident) => { $type };
}

/// Defines the commands of a family.
///
/// `method: Type { field: type, .. } -> answer;` defines the command `Type`, its constructor, and the method `method` of
/// `TestProcess`, which runs the command and returns the answer.
macro_rules! commands {
    ($family:ident: $(
        $(#[$doc:meta])*
        $method:ident: $name:ident { $($field:ident: $type:ident),* } -> $answer:ty;
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
            pub struct $name { $(pub $field: $type),* }

            impl $name {
                pub fn new($($field: $crate::protocol::argument!($type)),*) -> Self {
                    Self { $($field: $field.into()),* }
                }
            }

            impl $crate::protocol::Command for $name {
                type Answer = $answer;

                fn wrap(self) -> $crate::protocol::AnyCommand {
                    $crate::protocol::AnyCommand::$family(Wire::$name(self))
                }
            }

            impl $crate::TestProcess {
                $(#[$doc])*
                ///
                /// # Panics
                /// If the command fails.
                #[track_caller]
                pub fn $method(
                    &mut self $(, $field: $crate::protocol::argument!($type))*
                ) -> $answer {
                    self.expect($name::new($($field),*))
                }
            }
        )*

        /// A command of this family on its way.
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum Wire { $($name($name)),* }

        /// A command of this family, with the answer that it is to be given.
        pub enum Request { $($name($name, $crate::protocol::Reply<$answer>)),* }

        impl Wire {
            pub fn request(self, id: u64) -> Request {
                use $crate::protocol::Reply;
                match self { $(Self::$name(command) => Request::$name(command, Reply::new(id))),* }
            }
        }
    };
}

pub(crate) use {argument, commands};
