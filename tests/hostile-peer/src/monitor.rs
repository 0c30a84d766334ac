//! The protocols of monitors (`docs/wire.md`, "Monitors"): joining the root, names, links, binds.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use crate::PATIENCE;
use crate::interface::{self, Interface, Type};
use crate::lmp::{Message, Socket, pair};
use crate::value::{Value, decode, encode};

/// The interface between a process and the root.
pub static MONITOR: LazyLock<Interface> =
    LazyLock::new(|| Interface::parse(include_str!("../../../flounder-monitor/src/if/monitor.if")));

/// The interface between two processes.
pub static INTERMON: LazyLock<Interface> = LazyLock::new(|| {
    Interface::parse(include_str!("../../../flounder-monitor/src/if/intermon.if"))
});

/// Version of the protocol between a process and the root.
pub const VERSION: u64 = 5;

/// `OK` of `verdict` in `monitor.if`.
pub const OK: u64 = 0;

const CALL: &Type = &Type::Scalar { name: "uint32", size: 4 };

/// A channel of lmp with an interface on top.
#[derive(Debug)]
pub struct Typed {
    /// The channel.
    pub socket: Socket,
    interface: &'static Interface,
    calls: u32,
}

impl Typed {
    /// Puts an interface on a socket.
    #[must_use]
    pub const fn new(socket: Socket, interface: &'static Interface) -> Self {
        Self { socket, interface, calls: 0 }
    }

    /// Sends a message, with descriptors for its capabilities.
    ///
    /// # Errors
    /// Of `sendmsg`.
    pub fn send(
        &self,
        name: &str,
        values: &[Value],
        fds: &[BorrowedFd<'_>],
    ) -> rustix::io::Result<()> {
        let message = self.interface.message(name);
        let types: Vec<_> = message.args.iter().map(|(_, ty)| ty).collect();
        self.socket.send(message.number, &encode(&types, values), fds)
    }

    /// Calls an rpc and waits for its results, with the descriptors of any message that came first.
    ///
    /// # Panics
    /// If no answer comes.
    pub fn call(&mut self, name: &str, values: &[Value]) -> (Vec<Value>, Vec<Message>) {
        let call = self.begin(name, values);
        self.results(name, call)
    }

    /// Sends the call of an rpc; returns its number.
    ///
    /// # Panics
    /// If it can't be sent.
    pub fn begin(&mut self, name: &str, values: &[Value]) -> u32 {
        self.calls += 1;
        let request = self.interface.message(&format!("{name}_call"));
        let (number, words) = (request.number, encode_call(request, self.calls, values));
        self.socket
            .send(number, &words, &[])
            .unwrap_or_else(|errno| panic!("call {name}: {errno}"));
        self.calls
    }

    /// Waits for the results of a call.
    ///
    /// # Panics
    /// If no answer comes.
    pub fn results(&mut self, name: &str, call: u32) -> (Vec<Value>, Vec<Message>) {
        let response = self.interface.message(&format!("{name}_response"));
        let mut before = Vec::new();
        loop {
            let Some(message) = self.socket.receive(PATIENCE) else {
                panic!("no answer to {name} after {before:?}");
            };
            if message.number == response.number {
                let (answered, results) = decode_call(response, &message.words);
                if answered == call {
                    return (results, before);
                }
            }
            before.push(message);
        }
    }
}

/// Encodes one of the two messages of an rpc: the number of the call is declared ahead of the arguments.
#[must_use]
pub fn encode_call(message: &interface::Message, call: u32, values: &[Value]) -> Vec<u64> {
    let types: Vec<_> =
        std::iter::once(CALL).chain(message.args.iter().map(|(_, ty)| ty)).collect();
    let call = std::iter::once(Value::Number(u64::from(call)));
    encode(&types, &call.chain(values.iter().cloned()).collect::<Vec<_>>())
}

/// Decodes one of the two messages of an rpc.
///
/// # Panics
/// If the words are none of this message.
#[must_use]
pub fn decode_call(message: &interface::Message, words: &[u64]) -> (u32, Vec<Value>) {
    let types: Vec<_> =
        std::iter::once(CALL).chain(message.args.iter().map(|(_, ty)| ty)).collect();
    let mut values = decode(&types, words).unwrap_or_else(|| panic!("bad {}", message.name));
    let call = values.remove(0).number();
    (u32::try_from(call).expect("4 bytes"), values)
}

/// A process that has joined a root.
#[derive(Debug)]
pub struct Domain {
    /// The connection to the root.
    pub root: Typed,
}

impl Domain {
    /// Connects to the root of a runtime directory without a word.
    ///
    /// # Panics
    /// Fails if no process listens there.
    #[must_use]
    pub fn connect(dir: &Path) -> Socket {
        Socket::connect(&dir.join("root.sock")).expect("connect to the root")
    }

    /// Joins the root of a runtime directory with a number that no other process has.
    ///
    /// # Panics
    /// If the root doesn't take it.
    #[must_use]
    pub fn join(dir: &Path, number: u64) -> Self {
        let mut root = Typed::new(Self::connect(dir), &MONITOR);
        let (results, _) = root.call("hello", &[VERSION.into(), number.into()]);
        assert_eq!(results[0].number(), OK, "hello");
        Self { root }
    }

    /// Looks a name up; waits for it.
    ///
    /// # Panics
    /// Fails if the root refuses.
    #[must_use]
    pub fn lookup(&mut self, name: &str) -> u64 {
        let (results, _) = self.root.call("await_name", &[1.into(), name.into(), 0.into()]);
        assert_eq!(results[0].number(), OK, "await_name {name}");
        results[1].number()
    }

    /// Makes a link to the process that has published a service.
    ///
    /// # Panics
    /// Fails if the root refuses.
    #[must_use]
    pub fn link(&mut self, iref: u64) -> Link {
        let (results, _) = self.root.call("find", &[iref.into()]);
        assert_eq!(results[0].number(), OK, "find");
        let (verdict, mut before) = self.root.call("introduce", &[results[1].number().into()]);
        assert_eq!(verdict[0].number(), OK, "introduce");
        let introduced = MONITOR.message("introduced").number;
        before.retain(|message| message.number == introduced);
        let mut message = before.pop().expect("`introduced` comes before the reply");
        assert_eq!(message.fds.len(), 2, "a socket and a pidfd");
        let socket = message.fds.swap_remove(0);
        Link { monitor: Typed::new(Socket::two_way(socket), &INTERMON), connections: 0 }
    }
}

/// How a bind ended.
#[derive(Debug)]
pub enum Answer {
    /// The service's terms.
    Bound {
        /// Features that both ends know, as the service says.
        features: u64,
        /// Words of the terms.
        words: Vec<u64>,
        /// Descriptors of the terms.
        fds: Vec<OwnedFd>,
    },
    /// There is no binding.
    Refused {
        /// Name of the reason in `intermon.if`.
        why: String,
        /// Number that belongs to it.
        code: u64,
        /// Text that belongs to it.
        text: String,
    },
    /// The link has ended, or no answer came in time.
    Nothing,
}

impl Answer {
    /// The terms of a binding.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn bound(self) -> (Vec<u64>, Vec<OwnedFd>) {
        match self {
            Self::Bound { words, fds, .. } => (words, fds),
            other => panic!("no binding: {other:?}"),
        }
    }

    /// Name of the reason why there is no binding.
    ///
    /// # Panics
    /// If there is one.
    #[must_use]
    pub fn refused(self) -> String {
        match self {
            Self::Refused { why, .. } => why,
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Reference of the service.
    pub iref: u64,
    /// Digest of the interface.
    pub digest: u128,
    /// Bytes of buffer.
    pub buffer: u64,
    /// Name of the driver.
    pub driver: &'a str,
    /// Words of the offer.
    pub words: Vec<u64>,
}

/// A link to another process, of which this end is the caller.
#[derive(Debug)]
pub struct Link {
    /// The connection to the other monitor.
    pub monitor: Typed,
    connections: u64,
}

impl Link {
    /// Sends a bind request with its descriptors; returns the number of the connection.
    ///
    /// # Errors
    /// Of `sendmsg`: the link has ended.
    pub fn request(
        &mut self,
        request: &Request<'_>,
        fds: &[BorrowedFd<'_>],
    ) -> rustix::io::Result<u64> {
        let connection = self.announce(request, fds.len())?;
        for fd in fds {
            self.monitor.send("cap", &[Value::Cap], &[*fd])?;
        }
        Ok(connection)
    }

    /// Sends a bind request that announces this many capabilities, without any of them.
    ///
    /// # Errors
    /// Of `sendmsg`: the link has ended.
    pub fn announce(&mut self, request: &Request<'_>, caps: usize) -> rustix::io::Result<u64> {
        let connection = self.connections * 2;
        self.connections += 1;
        let digest = request.digest;
        let by_name = |name: &str| -> Value {
            match name {
                "connection" => connection.into(),
                "iref" => request.iref.into(),
                "digest" => Value::Wide(digest),
                "buffer" => request.buffer.into(),
                // It claims to know what nobody has thought of yet.
                "features" => u64::MAX.into(),
                "driver" => request.driver.into(),
                "words" => request.words[..].into(),
                "caps" => (caps as u64).into(),
                // An argument that this peer does not know yet: the neutral value.
                other => neutral(other),
            }
        };
        let message = INTERMON.message("bind_request");
        let values: Vec<_> = message.args.iter().map(|(name, _)| by_name(name)).collect();
        self.monitor.send("bind_request", &values, &[])?;
        Ok(connection)
    }

    /// Waits for the answer to any bind request.
    ///
    /// # Panics
    /// If something else comes.
    #[must_use]
    pub fn answer(&self, patience: Duration) -> Answer {
        let Some(message) = self.monitor.socket.receive(patience) else { return Answer::Nothing };
        let named = |name: &str| {
            let message_type = INTERMON.message(name);
            (message.number == message_type.number).then(|| {
                let types: Vec<_> = message_type.args.iter().map(|(_, ty)| ty).collect();
                let values = decode(&types, &message.words).expect("sound words");
                let names = message_type.args.iter().map(|(name, _)| name.as_str());
                names.zip(values).collect::<std::collections::HashMap<_, _>>()
            })
        };
        if let Some(bound) = named("bound") {
            let Value::List(words) = &bound["words"] else { unreachable!("an array") };
            let fds = (0..bound["caps"].number()).map(|_| {
                let cap = self.monitor.socket.receive(patience).expect("a capability follows");
                assert_eq!(cap.number, INTERMON.message("cap").number);
                cap.fds.into_iter().next().expect("one descriptor")
            });
            let fds = fds.collect();
            let features = bound["features"].number();
            return Answer::Bound {
                features,
                words: words.iter().map(Value::number).collect(),
                fds,
            };
        }
        let refused = named("refused").unwrap_or_else(|| panic!("unexpected {message:?}"));
        let (_, Type::Enum(reasons)) = &INTERMON.message("refused").args[1] else {
            unreachable!("an enumeration")
        };
        Answer::Refused {
            why: reasons[refused["why"].number() as usize].clone(),
            code: refused["code"].number(),
            text: refused["text"].text().to_owned(),
        }
    }

    /// Binds over lmp: returns the channel.
    ///
    /// # Errors
    /// The answer, if it is another.
    ///
    /// # Panics
    /// If the link has ended.
    pub fn bind_lmp(&mut self, iref: u64, digest: u128) -> Result<Socket, Answer> {
        let (receiving, theirs) = pair();
        let sending = Some(self.bind_lmp_with(iref, digest, theirs.as_fd())?);
        Ok(Socket { receiving, sending })
    }

    /// Binds over lmp, and has the service send on this socket. Returns the socket to send on.
    ///
    /// # Errors
    /// The answer, if it is no socket.
    ///
    /// # Panics
    /// If the link has ended.
    pub fn bind_lmp_with(
        &mut self,
        iref: u64,
        digest: u128,
        theirs: BorrowedFd<'_>,
    ) -> Result<OwnedFd, Answer> {
        let request = Request { iref, digest, buffer: 0, driver: "lmp", words: vec![2] };
        self.request(&request, &[theirs]).expect("the link is up");
        match self.answer(PATIENCE) {
            Answer::Bound { words, mut fds, .. } => {
                assert_eq!((&words[..], fds.len()), (&[2][..], 1), "terms of lmp");
                Ok(fds.remove(0))
            }
            other => Err(other),
        }
    }
}

/// A value for an argument that was added to a message after this peer was written.
fn neutral(name: &str) -> Value {
    if name.contains("name") || name.contains("interface") { "".into() } else { 0.into() }
}
