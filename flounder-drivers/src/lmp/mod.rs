//! Messages through the kernel: Unix `SOCK_SEQPACKET` sockets, capabilities in band.
//!
//! A message is one datagram, or several if it is longer than 32 KiB; its capabilities go with the
//! first. `docs/wire.md` has the format. The pieces of a message go to the kernel from where they
//! are, without a copy.
//!
//! Each end makes a pair of sockets, keeps the one on which it receives, and gives the other to its
//! peer to send on. A channel within a process is one pair, and so is one over a socket of a broker.
//!
//! # What the kernel guarantees, and what it does not
//! * Every holder of a copy of a socket can hold locks of it for as long as he likes: that of
//!   receiving, by `recv` into memory whose page never arrives (userfaultfd, a file of FUSE), and that
//!   of its options, by a `setsockopt` that reads from such memory. So this end receives on no socket
//!   that the peer has held, and sets no option of one. To send takes neither lock.
//! * He can change its flags and its timeout, too. So each call requests not to block, and none sets
//!   `O_NONBLOCK`. A blocking call waits in `recv`, for a limited time, only on a socket of which no other
//!   process had a copy.
//! * A process at its descriptor limit gets datagrams without their descriptors. Such a message is
//!   lost whole, and `recv` reports it once ([`CapRefusal::ReceiverLimit`]); the channel goes on.
//! * The end of a socket looks alike whether the peer closed or died. So a frame announces a close,
//!   and a socket that ends without it belonged to a process that died.
//! * The last close of a socket closes the descriptors in its queue as well, and the peer can make
//!   that block. So sockets, and descriptors that arrived over them, are closed by
//!   [`flounder_rt::closer`].
//! * A socket full of messages has no room for that frame. So messages may fill little more than
//!   half of the socket's buffer.

use std::cell::RefCell;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;

use flounder_rt::account::{Charge, Resource};
use flounder_rt::bulk::BulkMemory;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    CapRefusal, Channel, ChannelError, ConnectError, Connector, End, Incoming, Link, Offer,
    Outgoing, PairId, PendingOffer, Progress, ProtocolError, Readiness, Recv, SendPair,
};
use flounder_rt::closer::Origin;
use flounder_rt::wire::Gather;

use flounder_rt::fork::ForkGeneration;

mod frame;
mod sockets;

use frame::{Frame, HEADER_WORDS, MAX_PAYLOAD, MAX_WORDS};
use sockets::Sockets;

use crate::datagram::{self, Wait};
use crate::mem::pool::MAPPED;

const NAME: &str = "lmp";

/// Version of the terms and of the frames.
const VERSION: u64 = 2;

/// Number of descriptors of an end.
const DESCRIPTORS: u64 = 2;

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
        let (client, service) = Sockets::pair()?;
        let pair = Some(PairId::fresh());
        let end = |sockets| {
            let mut end = LmpChannel::new(sockets, Origin::LOCAL, None);
            end.pair = pair;
            Box::new(end)
        };
        Ok((end(client), end(service)))
    }

    fn offer(
        &self,
        _end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        let charge = link.account().charge(Resource::Descriptors, DESCRIPTORS)?;
        let (receiving, theirs) = sockets::receiving(link.origin())?;
        let offer = LmpOffer { receiving, origin: link.origin().clone(), charge };
        Ok((terms(theirs), Box::new(offer)))
    }

    fn accept(
        &self,
        _end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        let sending = sending(offer)?;
        let charge = link.account().charge(Resource::Descriptors, DESCRIPTORS)?;
        let (receiving, theirs) = sockets::receiving(link.origin())?;
        let sockets = Sockets::one_way(receiving, sending)?;
        let channel = LmpChannel::new(sockets, link.origin().clone(), Some(charge));
        Ok((Box::new(channel), terms(theirs)))
    }
}

/// Terms of an end: `sending` is for the peer to send on.
fn terms(sending: Cap) -> Offer {
    Offer { words: vec![VERSION], caps: vec![sending] }
}

/// Returns the socket in the peer's terms.
fn sending(terms: Offer) -> Result<Cap, ConnectError> {
    if terms.words != [VERSION] {
        return Err(ConnectError::Refused("the terms are of no known version"));
    }
    let mut caps = terms.caps.into_iter();
    match (caps.next(), caps.next()) {
        (Some(socket), None) => Ok(socket),
        _ => Err(ConnectError::Refused("the terms do not have one descriptor")),
    }
}

/// Returns an end over a connected `SOCK_SEQPACKET` socket whose other end belongs to a process of
/// `origin`. Called by brokers, whose link must exist before a driver can offer a channel. Nobody may
/// have held the socket that this process does not trust.
///
/// # Errors
/// [`ConnectError::Refused`] if the socket is not of that kind; [`ConnectError::Os`] if a system
/// call fails.
pub fn over(
    socket: impl Into<Cap>,
    origin: Origin,
) -> Result<Box<dyn Channel + Send>, ConnectError> {
    let sockets = Sockets::two_way(socket.into(), &origin)?;
    Ok(Box::new(LmpChannel::new(sockets, origin, None)))
}

struct LmpOffer {
    receiving: Cap,
    origin: Origin,
    charge: Charge,
}

impl PendingOffer for LmpOffer {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        let sockets = Sockets::one_way(self.receiving, sending(answer)?)?;
        Ok(Box::new(LmpChannel::new(sockets, self.origin, Some(self.charge))))
    }
}

/// One end of a channel.
struct LmpChannel {
    sockets: Sockets,
    /// The process at the other end.
    origin: Origin,
    /// Charge for the sockets, if the other end is another process's.
    _charge: Option<Charge>,
    rx: ReceiveState,
    /// True if a send could not finish.
    blocked: bool,
    /// True once this end is closed.
    closed: bool,
    /// True while `recv` waits.
    waits: bool,
    /// Error with which the channel ended, once it was reported.
    ended: Option<ChannelError>,
    born: ForkGeneration,
    /// Identity that both ends share, within a process.
    pair: Option<PairId>,
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
    fn new(sockets: Sockets, origin: Origin, charge: Option<Charge>) -> Self {
        Self {
            sockets,
            origin,
            _charge: charge,
            rx: ReceiveState::Idle,
            blocked: false,
            closed: false,
            waits: false,
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
        &mut self,
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
        self.sockets.transmit(HEADER_WORDS + words, &pieces[..=used], &fds)?;
        Ok(words)
    }

    /// Sends a message that fits in one small frame, from one piece of memory: the kernel does less
    /// work for one piece.
    fn send_small(&mut self, number: u16, words: &[u64]) -> Result<(), Errno> {
        let mut frame = [0; HEADER_WORDS + SMALL];
        let [first, second] =
            Frame::First { number, caps: 0, total: words.len() }.header(words.len());
        (frame[0], frame[1]) = (first, second);
        let frame = &mut frame[..HEADER_WORDS + words.len()];
        frame[HEADER_WORDS..].copy_from_slice(words);
        self.sockets.send(frame)
    }

    /// Takes one frame. Returns `None` if there is none.
    fn recv_frame(
        &mut self,
        incoming: &mut Incoming,
        buffer: &mut [u64],
    ) -> Result<Option<Recv>, ChannelError> {
        let wait = if self.waits { Wait::Once } else { Wait::Not };
        let socket = self.sockets.receiving();
        let mut received = datagram::receive(socket, buffer, &self.origin, wait);
        if received.as_ref().is_err_and(|errno| *errno == Errno::CONNRESET) {
            // Reported once, ahead of the datagrams that are still there.
            received = datagram::receive(socket, buffer, &self.origin, Wait::Not);
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
        self.sockets.have_arrivals() || self.blocked && self.sockets.have_room()
    }

    fn can_resume(&mut self) -> bool {
        self.blocked
            && (self.ended.is_some()
                || self.closed
                || !self.born.is_here()
                || self.sockets.have_room())
    }

    fn is_over(&mut self) -> bool {
        self.ended.is_some() || self.sockets.are_over()
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Fds(self.sockets.fds())
    }

    fn recv_waits(&mut self, waits: bool) -> bool {
        // A wait for room, or for the end to be reported, is not one for a message.
        self.waits = waits
            && !self.blocked
            && !self.closed
            && self.ended.is_none()
            && self.born.is_here()
            && self.sockets.limit_waits();
        self.waits
    }

    fn close(&mut self) {
        if self.closed || !self.born.is_here() {
            return;
        }
        self.closed = true;
        // If it fails, the peer treats this end as dead.
        let _ = self.sockets.send_last(&Frame::Close.header(0));
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
