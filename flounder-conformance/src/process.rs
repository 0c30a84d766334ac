//! An end in another process: this program, started again.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use flounder_rt::cap::Cap;
use flounder_rt::channel::{Connector, Link, Offer, Progress};

use crate::end::{
    ErrorText, LocalEnd, Message, Operation, Received, Response, SendCall, TestEnd, end,
};
use crate::socket_link::{SocketLink, receive, transmit};

/// Environment variable that is set in the child process of a suite.
const CHILD: &str = "FLOUNDER_CONFORMANCE_CHILD";

/// Maximum number of bytes of a packet; no message of the tests is as long.
const MAX_PACKET: usize = 1 << 26;

/// Runs the child process of a suite, if this is one, until the parent is done. Returns at once
/// otherwise.
///
/// # Panics
/// If the parent process breaks off.
pub fn child(driver: &dyn Connector) {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    // A copy: standard input stays open.
    let input = io::stdin().as_fd().try_clone_to_owned().expect("it can be copied");
    let mut wire = PacketSocket::new(input);
    let socket = wire.get().and_then(|packet| packet.caps.into_iter().next());
    let link = SocketLink::new(socket.expect("the first process sends the link").into());
    link.serve();
    let mut local = None;
    while let Some(packet) = wire.get() {
        let answer = match packet.kind {
            CONNECT => {
                // The previous end is dropped first, as in the other process.
                drop(local.take());
                match accept(driver, &link, packet) {
                    Ok((accepted, answer)) => {
                        local = Some(accepted);
                        answer
                    }
                    Err(refused) => refused,
                }
            }
            DIE => {
                let ourselves = rustix::process::getpid();
                rustix::process::kill_process(ourselves, rustix::process::Signal::KILL)
                    .expect("a process may kill itself");
                return;
            }
            _ => {
                let local = local.as_mut().expect("the first process connects before it asks");
                local.run(packet.into_operation()).into_packet()
            }
        };
        if wire.put(&answer).is_err() {
            break;
        }
    }
    // Without the test harness, which would print.
    std::process::exit(0);
}

fn accept(
    driver: &dyn Connector,
    link: &Arc<SocketLink>,
    packet: Packet,
) -> Result<(LocalEnd, Packet), Packet> {
    let [connection, buffer] = packet.numbers;
    let end = end(connection, buffer as usize);
    let offer = Offer { words: packet.words, caps: packet.caps };
    let as_link = Arc::clone(link) as Arc<dyn Link>;
    match driver.accept(&end, &as_link, offer) {
        Ok((channel, answer)) => {
            let local = LocalEnd::new(channel, end.notifier);
            let Offer { words, caps } = answer;
            Ok((local, Packet { kind: CONNECT, words, caps, ..Packet::default() }))
        }
        Err(error) => {
            Err(Packet { kind: REFUSED, bytes: format!("{error:?}").into(), ..Packet::default() })
        }
    }
}

/// The child process, as its parent sees it: started when it is first needed, and again after it
/// was killed.
#[derive(Clone)]
pub(crate) struct ChildProcess {
    /// Name of the test that calls [`child`].
    test: Rc<str>,
    running: Rc<RefCell<Option<RunningChild>>>,
    connections: Rc<Cell<u64>>,
}

struct RunningChild {
    process: Child,
    wire: PacketSocket,
    link: Arc<SocketLink>,
}

impl ChildProcess {
    pub(crate) fn new(test: &str) -> Self {
        Self { test: test.into(), running: Rc::default(), connections: Rc::default() }
    }

    /// Makes a channel between the processes. Returns the end here and the end there.
    pub(crate) fn connect(
        &self,
        driver: &dyn Connector,
        buffers: [usize; 2],
    ) -> (LocalEnd, ProcessEnd) {
        let mut running = self.running.borrow_mut();
        let RunningChild { wire, link, .. } =
            running.get_or_insert_with(|| RunningChild::start(&self.test));
        let connection = self.connections.get() + 1;
        self.connections.set(connection);
        let here = end(connection, buffers[0]);
        let as_link = Arc::clone(link) as Arc<dyn Link>;
        let (offer, offered) = driver.offer(&here, &as_link).expect("the driver offers");
        let numbers = [connection, buffers[1] as u64];
        let Offer { words, caps } = offer;
        let packet = Packet { kind: CONNECT, numbers, words, caps, ..Packet::default() };
        wire.put(&packet).expect("the child process lives");
        drop(packet);
        let answer = wire.get().expect("the child process answers");
        assert_eq!(
            answer.kind,
            CONNECT,
            "the offer is refused: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
        let terms = Offer { words: answer.words, caps: answer.caps };
        let channel = offered.complete(terms).expect("the answer is sound");
        (LocalEnd::new(channel, here.notifier), ProcessEnd(self.clone()))
    }
}

impl RunningChild {
    fn start(test: &str) -> Self {
        let (control, theirs) = UnixStream::pair().expect("there are descriptors to spare");
        let program = std::env::current_exe().expect("this program has a path");
        let process = Command::new(program)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .expect("this program can be started again");
        let (ours, socket) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("there are descriptors to spare");
        let mut wire = PacketSocket::new(control.into());
        let hello = Packet { caps: vec![Cap::from(socket)], ..Packet::default() };
        wire.put(&hello).expect("the child process lives");
        let link = SocketLink::new(ours);
        link.serve();
        Self { process, wire, link }
    }

    fn wait(&mut self) {
        self.process.wait().expect("it is our child");
    }
}

impl Drop for RunningChild {
    fn drop(&mut self) {
        // The child may have ended by itself, or hang because of a faulty driver.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An end in the child process.
pub(crate) struct ProcessEnd(ChildProcess);

impl TestEnd for ProcessEnd {
    fn run(&mut self, operation: Operation) -> Response {
        let mut running = self.0.running.borrow_mut();
        let child = running.as_mut().expect("the child process was not killed");
        let packet = Packet::from(operation);
        let dies = packet.kind == DIE;
        child.wire.put(&packet).expect("the child process lives");
        if dies {
            child.wait();
            *running = None;
            return Response::Done;
        }
        let answer = child.wire.get();
        Response::from(answer.expect("the child process lives, unless the driver panicked there"))
    }
}

// ---- messages between the processes --------------------------------------------------------------------------------------

/// An operation or its response, as it crosses between the processes.
#[derive(Debug, Default)]
struct Packet {
    kind: u64,
    numbers: [u64; 2],
    words: Vec<u64>,
    bytes: Vec<u8>,
    caps: Vec<Cap>,
}

const CONNECT: u64 = 1;
const REFUSED: u64 = 2;
const DIE: u64 = 3;
const SEND: u64 = 4;
const SEND_NOW: u64 = 5;
/// Operations without arguments.
const PLAIN: [(u64, fn() -> Operation); 12] = [
    (10, || Operation::Recv),
    (11, || Operation::RecvNow),
    (12, || Operation::Ready),
    (13, || Operation::CanResume),
    (14, || Operation::Arm),
    (15, || Operation::Disarm),
    (16, || Operation::Close),
    (17, || Operation::Drop),
    (18, || Operation::Wakes),
    (19, || Operation::Move),
    (20, || Operation::Driver),
    (21, || Operation::IsOver),
];

const DONE: u64 = 30;
const PARTIAL: u64 = 31;
const SEND_FAILED: u64 = 32;
const MESSAGE: u64 = 33;
const MORE: u64 = 34;
const EMPTY: u64 = 35;
const RECV_FAILED: u64 = 36;
const YES: u64 = 37;
const COUNT: u64 = 38;
const NAME: u64 = 39;
const SENT: u64 = 40;
const UNSURE: u64 = 41;

impl From<Operation> for Packet {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Send(SendCall { number, fixed, tails, caps, cap_count, from }) => {
                // The lengths of the parts of the body, then the parts.
                let mut words = vec![cap_count as u64, fixed.len() as u64];
                words.extend(tails.iter().map(|tail| tail.len() as u64));
                let mut bytes: Vec<u8> = fixed.iter().flat_map(|word| word.to_ne_bytes()).collect();
                tails.iter().for_each(|tail| bytes.extend_from_slice(tail));
                let numbers = [u64::from(number), from as u64];
                Self { kind: SEND, numbers, words, bytes, caps }
            }
            Operation::SendNow { number, words } => {
                let numbers = [u64::from(number), 0];
                Self { kind: SEND_NOW, numbers, words, ..Self::default() }
            }
            Operation::Die => Self { kind: DIE, ..Self::default() },
            plain => {
                let alike = |made: &Operation| {
                    core::mem::discriminant(made) == core::mem::discriminant(&plain)
                };
                let kind = PLAIN.iter().find(|(_, make)| alike(&make())).map(|(kind, _)| *kind);
                Self { kind: kind.expect("the rest is plain"), ..Self::default() }
            }
        }
    }
}

impl Packet {
    fn into_operation(self) -> Operation {
        match self.kind {
            SEND => {
                let (record, mut rest) = self.bytes.split_at(self.words[1] as usize * 8);
                let fixed = record
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|word| u64::from_ne_bytes(*word))
                    .collect();
                let tails = self.words[2..].iter().map(|length| {
                    let tail;
                    (tail, rest) = rest.split_at(*length as usize);
                    tail.to_vec()
                });
                Operation::Send(SendCall {
                    number: self.numbers[0] as u16,
                    fixed,
                    tails: tails.collect(),
                    caps: self.caps,
                    cap_count: self.words[0] as usize,
                    from: self.numbers[1] as usize,
                })
            }
            SEND_NOW => Operation::SendNow { number: self.numbers[0] as u16, words: self.words },
            kind => {
                let plain = PLAIN.iter().find(|(other, _)| *other == kind);
                plain.expect("both processes run this program").1()
            }
        }
    }
}

impl Response {
    fn into_packet(self) -> Packet {
        let of = |kind| Packet { kind, ..Packet::default() };
        match self {
            Self::Sent(Ok(Progress::Done), caps) => Packet { caps, ..of(SENT) },
            Self::Sent(Ok(Progress::Partial(taken)), caps) => {
                Packet { numbers: [taken as u64, 0], caps, ..of(PARTIAL) }
            }
            Self::Sent(Err(ErrorText(error)), caps) => {
                Packet { bytes: error.into(), caps, ..of(SEND_FAILED) }
            }
            Self::Received(Ok(Received::Message(Message { number, words, caps }))) => {
                Packet { numbers: [u64::from(number), 0], words, caps, ..of(MESSAGE) }
            }
            Self::Received(Ok(Received::More)) => of(MORE),
            Self::Received(Ok(Received::Empty)) => of(EMPTY),
            Self::Received(Ok(Received::Unsure)) => of(UNSURE),
            Self::Received(Err(ErrorText(error))) => {
                Packet { bytes: error.into(), ..of(RECV_FAILED) }
            }
            Self::Yes(yes) => Packet { numbers: [u64::from(yes), 0], ..of(YES) },
            Self::Count(count) => Packet { numbers: [count as u64, 0], ..of(COUNT) },
            Self::Name(name) => Packet { bytes: name.into(), ..of(NAME) },
            Self::Done => of(DONE),
        }
    }
}

impl From<Packet> for Response {
    fn from(packet: Packet) -> Self {
        let Packet { kind, numbers: [number, _], words, bytes, caps } = packet;
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match kind {
            SENT => Self::Sent(Ok(Progress::Done), caps),
            PARTIAL => Self::Sent(Ok(Progress::Partial(number as usize)), caps),
            SEND_FAILED => Self::Sent(Err(ErrorText(text())), caps),
            MESSAGE => Self::Received(Ok(Received::Message(Message {
                number: number as u16,
                words,
                caps,
            }))),
            MORE => Self::Received(Ok(Received::More)),
            EMPTY => Self::Received(Ok(Received::Empty)),
            UNSURE => Self::Received(Ok(Received::Unsure)),
            RECV_FAILED => Self::Received(Err(ErrorText(text()))),
            YES => Self::Yes(number != 0),
            COUNT => Self::Count(number as usize),
            NAME => Self::Name(text()),
            DONE => Self::Done,
            other => unreachable!("both processes run this program, which has no answer {other}"),
        }
    }
}

/// Packets over a socket: a head with the capabilities, then words, then bytes.
struct PacketSocket(UnixStream);

impl PacketSocket {
    fn new(socket: OwnedFd) -> Self {
        let stream = UnixStream::from(socket);
        // Longer than any test waits. So a child that hangs ends the test, and a parent that is gone ends the child.
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("the time is not zero");
        Self(stream)
    }

    fn put(&mut self, packet: &Packet) -> io::Result<()> {
        let lengths = [packet.words.len(), packet.bytes.len(), packet.caps.len()];
        let [words, bytes, caps] = lengths.map(|length| length as u64);
        let head = [packet.kind, packet.numbers[0], packet.numbers[1], words, bytes, caps];
        transmit(self.0.as_fd(), bytemuck::cast_slice(&head), &packet.caps)?;
        self.0.write_all(bytemuck::cast_slice(&packet.words))?;
        self.0.write_all(&packet.bytes)
    }

    /// Receives a packet; `None` if the other process is gone.
    fn get(&mut self) -> Option<Packet> {
        let mut head = [0_u64; 6];
        let (read, caps) = receive(self.0.as_fd(), bytemuck::cast_slice_mut(&mut head)).ok()?;
        if read == 0 {
            return None;
        }
        assert_eq!(read, size_of_val(&head), "a head is one write");
        let [kind, first, child, words, bytes, cap_count] = head;
        assert_eq!(caps.len() as u64, cap_count, "the capabilities come with the head");
        assert!(words * 8 + bytes <= MAX_PACKET as u64, "no packet is so long");
        let mut packet = Packet {
            kind,
            numbers: [first, child],
            words: vec![0; words as usize],
            bytes: vec![0; bytes as usize],
            caps,
        };
        self.0.read_exact(bytemuck::cast_slice_mut(&mut packet.words)).ok()?;
        self.0.read_exact(&mut packet.bytes).ok()?;
        Some(packet)
    }
}
