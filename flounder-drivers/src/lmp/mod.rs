//! Messages through the kernel: a pair of Unix `SOCK_SEQPACKET` sockets, capabilities in band.
//!
//! A message is one datagram, or several if it is longer than 32 KiB; its capabilities go with the
//! first. `docs/wire.md` has the format. The pieces of a message go to the kernel from where they
//! are, without a copy.
//!
//! # What the kernel guarantees, and what it does not
//! * Every holder of a copy of a socket can change its flags and its timeout. So each call requests
//!   not to block, and none sets `O_NONBLOCK`. Only on a half that this process made, and has not
//!   given away, a blocking call may wait in `recv`, for a limited time.
//! * A process at its descriptor limit gets datagrams without their descriptors. Such a message is
//!   lost whole, and `recv` reports it once ([`CapRefusal::ReceiverLimit`]); the channel goes on.
//! * The end of a socket looks alike whether the peer closed or died. So a frame announces a close,
//!   and a socket that ends without it belonged to a process that died.
//! * The last close of a socket closes the descriptors in its queue as well, and the peer can make
//!   that block. So sockets, and descriptors that arrived over them, are closed by
//!   [`flounder_rt::closer`].
//! * A socket full of messages has no room for that frame. So messages may fill little more than
//!   half of the socket's buffer; the limit is lifted for the last frame.
//!
//! # What a peer can still do
//! The client makes the pair, and a malicious client keeps a copy of the service's half. While it
//! receives on that copy into memory whose page never arrives (userfaultfd, a FUSE file), it holds
//! the lock of receiving, and the service's `recvmsg` waits for it, whatever its flags: until the
//! client is killed. Ump, scc and beehive share no such lock.

use std::cell::RefCell;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{
    Timeout, set_socket_send_buffer_size, set_socket_timeout, socket_acceptconn, socket_domain,
    socket_type,
};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, getpeername, send, socketpair,
};

use flounder_rt::account::{Charge, Resource};
use flounder_rt::bulk::BulkMemory;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    BRIEF_WAIT, CapRefusal, Channel, ChannelError, ConnectError, Connector, End, Incoming, Link,
    Offer, Outgoing, PairId, PendingOffer, Progress, ProtocolError, Readiness, Recv, SendPair,
};
use flounder_rt::closer::Origin;
use flounder_rt::wire::Gather;

use flounder_rt::fork::{ForkGeneration, Mark};

mod frame;

use frame::{Frame, HEADER_WORDS, MAX_PAYLOAD, MAX_WORDS};

use crate::datagram::{self, Wait};
use crate::mem::pool::MAPPED;

const NAME: &str = "lmp";

/// Version of the terms and of the frames.
const VERSION: u64 = 1;

/// `SO_SNDBUF` while messages are sent. The kernel doubles it, and lets one frame exceed it.
const SEND_BUFFER: usize = 64 << 10;

/// `SO_SNDBUF` for the last frame. The default `wmem_max` allows it.
const LAST_BUFFER: usize = 104 << 10;

/// Maximum number of words of a message that is copied into one piece before it is sent.
const SMALL: usize = 16;

/// Maximum number of pieces of a frame; a message in more pieces goes in more frames.
const PIECES: usize = 64;

/// Maximum number of frames of one message taken in one call.
const BURST: usize = 8;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Lmp;

impl Connector for Lmp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, _client: &End, _service: &End) -> Result<SendPair, ConnectError> {
        let (client, service) = sockets()?;
        let pair = Some(PairId::fresh());
        let end = |socket| {
            let mut end = LmpChannel::new(socket, Origin::LOCAL, None);
            end.pair = pair;
            end.wait_limit = WaitLimit::NotSet;
            Box::new(end)
        };
        Ok((end(client), end(service)))
    }

    fn offer(
        &self,
        _end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        let charge = link.account().charge(Resource::Descriptors, 1)?;
        let (mine, theirs) = sockets()?;
        let terms = Offer { words: vec![VERSION], caps: vec![Cap::from(theirs)] };
        let mut channel = LmpChannel::new(mine, link.origin().clone(), Some(charge));
        channel.wait_limit = WaitLimit::NotSet;
        Ok((terms, Box::new(LmpOffer(channel))))
    }

    fn accept(
        &self,
        _end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        check_version(&offer)?;
        let mut caps = offer.caps.into_iter();
        let (Some(socket), None) = (caps.next(), caps.next()) else {
            return Err(ConnectError::Refused("the offer does not have one descriptor"));
        };
        let charge = link.account().charge(Resource::Descriptors, 1)?;
        Ok((
            checked(socket, link.origin().clone(), Some(charge))?,
            Offer { words: vec![VERSION], caps: Vec::new() },
        ))
    }
}

/// Returns an end over a connected `SOCK_SEQPACKET` socket whose other end belongs to a process of
/// `origin`. Called by brokers, whose link must exist before a driver can offer a channel.
///
/// # Errors
/// [`ConnectError::Refused`] if the socket is not of that kind; [`ConnectError::Os`] if a system
/// call fails.
pub fn over(
    socket: impl Into<Cap>,
    origin: Origin,
) -> Result<Box<dyn Channel + Send>, ConnectError> {
    checked(socket.into(), origin, None)
}

fn checked(
    mut socket: Cap,
    origin: Origin,
    charge: Option<Charge>,
) -> Result<Box<dyn Channel + Send>, ConnectError> {
    socket.share(&origin);
    check_socket(socket.as_fd())?;
    // The default may be what it is on the other side: both sides set their own.
    set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
    Ok(Box::new(LmpChannel::new(socket, origin, charge)))
}

struct LmpOffer(LmpChannel);

impl PendingOffer for LmpOffer {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        check_version(&answer)?;
        if !answer.caps.is_empty() {
            return Err(ConnectError::Refused("the answer has a descriptor"));
        }
        Ok(Box::new(self.0))
    }
}

/// One end of a channel.
struct LmpChannel {
    // Dropped first: once the number is free, another thread may reuse it.
    _mark: Mark,
    socket: Cap,
    /// The process at the other end.
    origin: Origin,
    /// Charge for the socket, if the other end is another process's.
    _charge: Option<Charge>,
    rx: ReceiveState,
    /// True if a send could not finish.
    blocked: bool,
    /// True once this end is closed.
    closed: bool,
    /// True while `recv` waits.
    waits: bool,
    /// How long a call that waits on the socket may take.
    wait_limit: WaitLimit,
    /// Error with which the channel ended, once it was reported.
    ended: Option<ChannelError>,
    born: ForkGeneration,
    /// Identity that both ends share, within a process.
    pair: Option<PairId>,
}

/// How long a call that waits on the socket may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitLimit {
    /// As long as the peer likes: the peer made the socket, and may have kept a copy. No call waits.
    Peers,
    /// For ever: this process made the socket, and no call has waited yet.
    NotSet,
    /// For [`BRIEF_WAIT`].
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiveState {
    /// No message is on its way.
    Idle,
    /// Some words of a message have arrived.
    Words,
    /// The rest of a lost message: its number, the words that have arrived, and its words in all.
    Lost(u16, usize, usize),
}

thread_local! {
    /// Buffer of a frame before its words join their message: one for all channels of a thread.
    static FRAME: RefCell<Box<[u64]>> = RefCell::new(vec![0; MAX_WORDS].into_boxed_slice());
}

/// Runs `f` with the buffer of this thread, or with a new one if the thread is ending and has none.
fn with_frame<T>(f: impl FnOnce(&mut [u64]) -> T) -> T {
    let mut f = Some(f);
    let run = FRAME.try_with(|frame| f.take().map(|f| f(&mut frame.borrow_mut())));
    match (run, f) {
        (Ok(Some(value)), _) => value,
        (_, Some(f)) => f(&mut vec![0; MAX_WORDS]),
        (_, None) => unreachable!("it has run, and its value was returned"),
    }
}

impl LmpChannel {
    fn new(socket: impl Into<Cap>, origin: Origin, charge: Option<Charge>) -> Self {
        let mut socket = socket.into();
        socket.share(&origin);
        Self {
            _mark: Mark::new(socket.as_fd()),
            socket,
            origin,
            _charge: charge,
            rx: ReceiveState::Idle,
            blocked: false,
            closed: false,
            waits: false,
            wait_limit: WaitLimit::Peers,
            ended: None,
            born: ForkGeneration::now(),
            pair: None,
        }
    }

    fn check_process(&self) -> Result<(), ChannelError> {
        if self.born.is_here() { Ok(()) } else { Err(Errno::CHILD.into()) }
    }

    /// Sends the frame of `message` that begins at word `sent`. Returns the number of words in it.
    fn send_frame(
        &self,
        message: &Outgoing<'_>,
        sent: usize,
        total: usize,
    ) -> Result<usize, Errno> {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let (used, words) = gather(&message.body, sent, &mut pieces[1..]);
        let frame = if sent == 0 {
            Frame::First { number: message.number, caps: message.cap_count, total }
        } else {
            Frame::Next { number: message.number, from: sent }
        };
        let header = frame.header(words);
        pieces[0] = IoSlice::new(bytemuck::cast_slice(&header));
        let fds: Vec<BorrowedFd<'_>> =
            if sent == 0 { message.caps.iter().map(AsFd::as_fd).collect() } else { Vec::new() };
        datagram::transmit(self.socket.as_fd(), &pieces[..=used], &fds)?;
        Ok(words)
    }

    /// Sends a message that fits in one small frame, from one piece of memory: the kernel does less
    /// work for one piece.
    fn send_small(&self, number: u16, words: &[u64]) -> Result<(), Errno> {
        let mut frame = [0; HEADER_WORDS + SMALL];
        let [first, second] =
            Frame::First { number, caps: 0, total: words.len() }.header(words.len());
        (frame[0], frame[1]) = (first, second);
        let frame = &mut frame[..HEADER_WORDS + words.len()];
        frame[HEADER_WORDS..].copy_from_slice(words);
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        send(&self.socket, bytemuck::cast_slice(frame), flags).map(drop)
    }

    /// Takes one frame. Returns `None` if there is none.
    fn recv_frame(
        &mut self,
        incoming: &mut Incoming,
        buffer: &mut [u64],
    ) -> Result<Option<Recv>, ChannelError> {
        let wait = if self.waits { Wait::Once } else { Wait::Not };
        let mut received = datagram::receive(self.socket.as_fd(), buffer, &self.origin, wait);
        if received.as_ref().is_err_and(|errno| *errno == Errno::CONNRESET) {
            // Reported once, ahead of the datagrams that are still there.
            received = datagram::receive(self.socket.as_fd(), buffer, &self.origin, Wait::Not);
        }
        let received = match received {
            Ok(received) => received,
            Err(Errno::AGAIN) if self.closed => return Err(ChannelError::Closed),
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if received.bytes == 0 {
            // No frame is empty: the socket has ended without a closing frame.
            return Err(ChannelError::PeerDied);
        }
        if !received.caps.is_empty() && self.origin.is_cut_off() {
            return Err(ChannelError::Protocol(ProtocolError::Frame(
                "too many descriptors of the peer wait to be closed",
            )));
        }
        if received.bytes > size_of_val(buffer) || !received.bytes.is_multiple_of(8) {
            return Err(ChannelError::Protocol(ProtocolError::Frame(
                "a frame is too long, or not whole words",
            )));
        }
        let (frame, payload) =
            Frame::parse(&buffer[..received.bytes / 8]).map_err(ChannelError::Protocol)?;
        self.take_frame(incoming, frame, payload, received.caps, received.caps_lost)
    }

    fn take_frame(
        &mut self,
        incoming: &mut Incoming,
        frame: Frame,
        payload: &[u64],
        caps: Vec<Cap>,
        caps_lost: bool,
    ) -> Result<Option<Recv>, ChannelError> {
        let protocol = |what| Err(ChannelError::Protocol(ProtocolError::Frame(what)));
        let announced = match frame {
            Frame::First { caps, .. } => caps,
            Frame::Next { .. } | Frame::Close => 0,
        };
        let is_lost = caps_lost && caps.len() < announced;
        if !is_lost && caps_lost {
            return protocol("a frame came with more capabilities than announced");
        }
        match (self.rx, frame) {
            (_, Frame::Close) if caps.is_empty() => return Err(ChannelError::Closed),
            (ReceiveState::Idle, Frame::First { number, caps: count, total }) => {
                incoming.begin(number, total, count).map_err(ChannelError::Protocol)?;
                incoming.push(payload).map_err(ChannelError::Protocol)?;
                if is_lost {
                    self.rx = lost(number, payload.len(), total);
                    return Err(ChannelError::Caps(CapRefusal::ReceiverLimit));
                }
                incoming.put_caps(caps).map_err(ChannelError::Protocol)?;
            }
            (ReceiveState::Words, Frame::Next { number, from }) if caps.is_empty() => {
                if number != incoming.number()
                    || from != incoming.words().len()
                    || payload.is_empty()
                {
                    return protocol("a frame does not go on where the frame before ended");
                }
                incoming.push(payload).map_err(ChannelError::Protocol)?;
            }
            (ReceiveState::Lost(expected, have, total), Frame::Next { number, from })
                if caps.is_empty() =>
            {
                if number != expected
                    || from != have
                    || payload.is_empty()
                    || payload.len() > total - have
                {
                    return protocol("a frame does not go on where the frame before ended");
                }
                self.rx = lost(number, have + payload.len(), total);
                return Ok(Some(Recv::More));
            }
            (ReceiveState::Idle, Frame::Next { .. }) => {
                return protocol("a message goes on that has not begun");
            }
            (_, Frame::First { .. }) => {
                return protocol("a message begins before the one before has ended");
            }
            (_, Frame::Next { .. } | Frame::Close) => {
                return protocol("a frame came with more capabilities than announced");
            }
        }
        if incoming.missing() > 0 && payload.is_empty() {
            return protocol("a frame has nothing of its message");
        }
        self.rx = if incoming.missing() > 0 { ReceiveState::Words } else { ReceiveState::Idle };
        Ok(Some(if self.rx == ReceiveState::Idle { Recv::Message } else { Recv::More }))
    }

    /// Limits calls that wait on the socket. Returns false if they cannot be limited.
    fn limit_waits(&mut self) -> bool {
        if self.wait_limit == WaitLimit::NotSet
            && set_socket_timeout(&self.socket, Timeout::Recv, Some(BRIEF_WAIT)).is_ok()
        {
            self.wait_limit = WaitLimit::Set;
        }
        self.wait_limit == WaitLimit::Set
    }

    /// Returns true if the socket is one of these, or has ended.
    fn is(&self, wanted: PollFlags) -> bool {
        let mut fds = [PollFd::new(&self.socket, wanted)];
        // If the system call fails, a visit finds out why.
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }

    fn end(&mut self, error: ChannelError) -> ChannelError {
        if !matches!(error, ChannelError::Caps(_)) {
            self.ended = Some(error.clone());
        }
        error
    }
}

impl Channel for LmpChannel {
    fn pair(&self) -> Option<PairId> {
        self.pair
    }

    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        Some(&MAPPED)
    }

    fn driver(&self) -> &'static str {
        NAME
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        self.check_process()?;
        if self.closed || self.ended.is_some() {
            return Err(self.ended.clone().unwrap_or(ChannelError::Closed));
        }
        let total = message.body.len();
        let mut sent = from;
        loop {
            match self.send_frame(message, sent, total) {
                Ok(words) => {
                    if sent == 0 {
                        // Our copy may be the last one open by now.
                        message.caps.drain(..).for_each(|mut cap| cap.share(&self.origin));
                    }
                    sent += words;
                }
                Err(Errno::AGAIN) => {
                    self.blocked = true;
                    return Ok(Progress::Partial(sent));
                }
                // Nothing of the message has left, and its capabilities are still the caller's.
                Err(Errno::TOOMANYREFS) => return Err(ChannelError::Caps(CapRefusal::SenderLimit)),
                // `recv` finds out whether the peer closed or died, after it has received all messages.
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(self.end(errno.into())),
            }
            if sent == total {
                self.blocked = false;
                return Ok(Progress::Done);
            }
        }
    }

    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        // On any obstacle return false: `send` meets it again and reports it.
        words.len() <= SMALL
            && !self.blocked
            && !self.closed
            && self.ended.is_none()
            && self.born.is_here()
            && self.send_small(number, words).is_ok()
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.check_process()?;
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        with_frame(|buffer| {
            for _ in 0..BURST {
                match self.recv_frame(incoming, buffer) {
                    Ok(Some(Recv::More)) => {}
                    Ok(Some(recv)) => return Ok(recv),
                    Ok(None) => return Ok(Recv::Empty),
                    Err(error) => return Err(self.end(error)),
                }
            }
            Ok(Recv::More)
        })
    }

    fn ready(&mut self) -> bool {
        if self.ended.is_some() || self.closed || !self.born.is_here() {
            return true;
        }
        self.is(if self.blocked { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN })
    }

    fn can_resume(&mut self) -> bool {
        self.blocked
            && (self.ended.is_some()
                || self.closed
                || !self.born.is_here()
                || self.is(PollFlags::OUT))
    }

    fn is_over(&mut self) -> bool {
        self.ended.is_some() || self.is(PollFlags::empty())
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Fd(self.socket.as_fd())
    }

    fn recv_waits(&mut self, waits: bool) -> bool {
        // A wait for room, or for the end to be reported, is not one for a message.
        self.waits = waits
            && !self.blocked
            && !self.closed
            && self.ended.is_none()
            && self.born.is_here()
            && self.limit_waits();
        self.waits
    }

    fn close(&mut self) {
        if self.closed || !self.born.is_here() {
            return;
        }
        self.closed = true;
        // If either fails, the peer treats this end as dead.
        let _ = set_socket_send_buffer_size(&self.socket, LAST_BUFFER);
        let header = Frame::Close.header(0);
        let _ = datagram::transmit(
            self.socket.as_fd(),
            &[IoSlice::new(bytemuck::cast_slice(&header))],
            &[],
        );
    }
}

impl Drop for LmpChannel {
    fn drop(&mut self) {
        self.close();
    }
}

const fn lost(number: u16, have: usize, total: usize) -> ReceiveState {
    if have < total { ReceiveState::Lost(number, have, total) } else { ReceiveState::Idle }
}

/// A connected pair, with room kept for a last frame.
fn sockets() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (a, b) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for socket in [&a, &b] {
        set_socket_send_buffer_size(socket, SEND_BUFFER)?;
    }
    Ok((a, b))
}

fn check_version(terms: &Offer) -> Result<(), ConnectError> {
    if terms.words == [VERSION] {
        Ok(())
    } else {
        Err(ConnectError::Refused("the terms are of no known version"))
    }
}

fn check_socket(socket: BorrowedFd<'_>) -> Result<(), ConnectError> {
    if !socket_domain(socket).is_ok_and(|domain| domain == AddressFamily::UNIX) {
        return Err(ConnectError::Refused("the descriptor is not a local socket"));
    }
    if !socket_type(socket).is_ok_and(|kind| kind == SocketType::SEQPACKET) {
        return Err(ConnectError::Refused("the socket is not one of packets in sequence"));
    }
    if socket_acceptconn(socket)? || getpeername(socket).is_err() {
        return Err(ConnectError::Refused("the socket is not connected"));
    }
    Ok(())
}

/// Fills `pieces` with the words of a body from word `from` on, as many as fit into a frame. Returns the numbers of pieces and
/// of words.
fn gather<'a>(body: &Gather<'a>, from: usize, pieces: &mut [IoSlice<'a>]) -> (usize, usize) {
    const ZEROES: &[u8] = &[0; 8];
    let mut skip = from;
    let (mut used, mut words) = (0, 0);
    let record: &[u8] = bytemuck::cast_slice(body.fixed);
    for piece in core::iter::once(record).chain(body.tails.iter().copied()) {
        let whole = piece.len().div_ceil(8);
        if skip >= whole {
            skip -= whole;
            continue;
        }
        // One piece is for the padding.
        if used + 2 > pieces.len() || words == MAX_PAYLOAD {
            break;
        }
        let piece = &piece[core::mem::take(&mut skip) * 8..];
        let room = (MAX_PAYLOAD - words) * 8;
        if piece.len() > room {
            pieces[used] = IoSlice::new(&piece[..room]);
            return (used + 1, MAX_PAYLOAD);
        }
        pieces[used] = IoSlice::new(piece);
        used += 1;
        if !piece.len().is_multiple_of(8) {
            pieces[used] = IoSlice::new(&ZEROES[piece.len() % 8..]);
            used += 1;
        }
        words += piece.len().div_ceil(8);
    }
    (used, words)
}

const _: () = assert!(HEADER_WORDS + MAX_PAYLOAD == MAX_WORDS);
