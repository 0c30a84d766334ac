//! One end of a beehive channel: messages as frames.

use std::io;
use std::sync::Arc;

use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, Progress, ProtocolError, Readiness, Recv,
};
use flounder_rt::waitset::{Waitset, Watched};

use crate::beehive::board::Board;
use crate::beehive::endpoint::View;
use crate::beehive::frame::{Builder, Head, Kind, MAX_BODY, MAX_FRAME, Parts};
use crate::beehive::kernel::Kernel;
use crate::beehive::link::Shared;
use crate::beehive::node::Node;
use crate::caps::{CAPS_AHEAD, Caps, Delivery};
use crate::fork::Born;

/// Frames of one message taken in one call, so that a long one does not hold up the other channels of the waitset.
const BURST: usize = 64;

/// Messages with capabilities that the peer has not begun when those of the last may not be handed over.
const TOO_FAR: u32 = CAPS_AHEAD as u32 + 1;

/// One end.
pub(crate) struct BeehiveChannel {
    node: Arc<Node>,
    association: u16,
    tx: Sending,
    rx: Receiving,
    /// Whether this end is closed.
    closed: bool,
    caps: Caps,
    /// The end of the channel, once it was told.
    ended: Option<ChannelError>,
    born: Born,
    machine: Machine,
}

/// What the core of a channel belongs to, held as long as the channel lives.
pub(crate) enum Machine {
    /// A board of this process.
    Here(#[expect(dead_code, reason = "it is there to be held")] Arc<Board>),
    /// What this process shares with another one.
    There(Arc<Shared>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// No message is in hand.
    Idle,
    /// Nothing of one was taken, for want of credit or window.
    Blocked,
    /// So many words of one are sent.
    Words(usize),
    /// All words of one are sent, and the peer does not expect its capabilities yet.
    Caps,
    /// The channel takes no more.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    /// No message is in hand.
    Idle,
    /// Some words of one are there.
    Words,
    /// All words of one are there, and its capabilities are not.
    Caps,
    /// No more comes; see `ended`.
    Ended,
}

impl BeehiveChannel {
    pub(crate) fn new(node: Arc<Node>, association: u16, caps: Caps, machine: Machine) -> Self {
        Self {
            node,
            association,
            tx: Sending::Idle,
            rx: Receiving::Idle,
            closed: false,
            caps,
            ended: None,
            born: Born::now(),
            machine,
        }
    }

    /// What the kernel knows, after it has taken in what has come.
    fn look(&self) -> View {
        self.node.enter(|kernel| {
            kernel.poll();
            view(kernel, self.association)
        })
    }

    /// Hands over the capabilities of the message in hand, if it has any and the peer expects them; gives whether that is
    /// done with.
    fn hand_over(&mut self, message: &mut Outgoing<'_>) -> Result<bool, ChannelError> {
        if message.cap_count == 0 || !self.caps.are_handed_over() {
            return Ok(true);
        }
        if !self.is_expected(&self.look())? {
            return Ok(false);
        }
        let result = self.caps.hand_over(message.caps);
        let handed = self.caps.sent() as u32;
        self.node.enter(|kernel| {
            kernel.endpoint(self.association).tell(|claims| claims.handed = handed);
        });
        self.tx = Sending::Idle;
        result.map(|()| true).map_err(ChannelError::Caps)
    }

    /// Whether the capabilities of our last message with some may be handed over: the peer has seen the first frame of the
    /// one before, and so has those of the one before that.
    fn is_expected(&mut self, view: &View) -> Result<bool, ChannelError> {
        match self.unseen(view) {
            unseen if unseen <= CAPS_AHEAD as u32 => Ok(true),
            // The one before was handed over when it was the last.
            TOO_FAR => Ok(false),
            _ => {
                let claim = u64::from(view.theirs.expected);
                Err(self.protocol(ProtocolError::Position { claim, max: self.caps.sent() }))
            }
        }
    }

    /// How many of our messages with capabilities the peer has not seen the first frame of, so it says.
    const fn unseen(&self, view: &View) -> u32 {
        (self.caps.sent() as u32).wrapping_sub(view.theirs.expected)
    }

    /// Completes the message in hand, if its capabilities are there.
    fn complete(&mut self, incoming: &mut Incoming, view: View) -> Result<Recv, ChannelError> {
        match self.caps.take().map_err(|error| self.protocol(error))? {
            Delivery::Nothing => match view.error {
                Some(error) => Err(self.protocol(error)),
                None if self.caps_never_come(&view) => Err(self.end(ChannelError::Closed)),
                None => Ok(Recv::Empty),
            },
            Delivery::Lost(refusal) => {
                self.rx = Receiving::Idle;
                Err(ChannelError::Caps(refusal))
            }
            Delivery::Caps(caps) => {
                incoming.put_caps(caps).map_err(|error| self.protocol(error))?;
                self.rx = Receiving::Idle;
                Ok(Recv::Message)
            }
        }
    }

    /// Whether the channel ended before the capabilities of the message in hand were handed over. Those that were come
    /// yet, or are lost, and the brokers tell which.
    fn caps_never_come(&self, view: &View) -> bool {
        (self.closed || view.theirs.closed)
            && !self.caps.arrive_first()
            // Behind it, not ahead of it.
            && view.theirs.handed.wrapping_sub(self.caps.seen() as u32) > u32::MAX / 2
    }

    /// No frame is there: perhaps none will come.
    #[cold]
    fn nothing(&mut self, view: View) -> Result<Recv, ChannelError> {
        match view.error {
            Some(error) => Err(self.protocol(error)),
            None if self.closed || view.theirs.closed => Err(self.end(ChannelError::Closed)),
            None => Ok(Recv::Empty),
        }
    }

    /// Whether a send that did not get on would now, or be told that the channel has ended.
    fn would_resume(&self, view: &View) -> bool {
        let is_over = view.error.is_some() || view.theirs.closed;
        match self.tx {
            Sending::Idle => false,
            // A false claim is worth a visit, which reports it.
            Sending::Caps => is_over || self.unseen(view) != TOO_FAR,
            Sending::Blocked | Sending::Words(_) => is_over || view.can_resume,
            Sending::Ended => self.ended.is_some(),
        }
    }

    fn check_process(&self) -> Result<(), ChannelError> {
        if self.born.is_here() { Ok(()) } else { Err(ChannelError::Os(libc::ECHILD)) }
    }

    #[cold]
    fn protocol(&mut self, error: ProtocolError) -> ChannelError {
        self.end(ChannelError::Protocol(error))
    }

    fn end(&mut self, error: ChannelError) -> ChannelError {
        (self.tx, self.rx) = (Sending::Ended, Receiving::Ended);
        self.ended = Some(error.clone());
        error
    }

    /// What was told when the channel ended.
    fn ending(&self) -> ChannelError {
        self.ended.clone().unwrap_or(ChannelError::Closed)
    }
}

impl Channel for BeehiveChannel {
    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.check_process()?;
        if self.tx == Sending::Ended {
            return Err(self.ending());
        }
        let total = message.body.len();
        let (before, association) = (self.tx, self.association);
        let (sent, view) = self.node.enter(|kernel| {
            kernel.poll();
            let view = view(kernel, association);
            if view.error.is_some() || view.theirs.closed {
                return (Ok(before), view);
            }
            (send_frames(kernel, association, before, message), view)
        });
        if let Some(error) = view.error {
            // What came before is received yet; then `recv` reports the same.
            return Err(ChannelError::Protocol(error));
        }
        if view.theirs.closed {
            return Err(ChannelError::Closed);
        }
        self.tx = sent?;
        if matches!(before, Sending::Idle | Sending::Blocked)
            && self.tx != Sending::Blocked
            && message.cap_count > 0
        {
            self.caps.start(message.caps);
        }
        match self.tx {
            Sending::Blocked => Ok(Progress::Partial(0)),
            Sending::Words(sent) => Ok(Progress::Partial(sent)),
            _ => {
                if !self.hand_over(message)? {
                    // One of capabilities alone has begun, too: what has begun never looks like what has not.
                    return Ok(Progress::Partial(total.max(1)));
                }
                self.tx = Sending::Idle;
                Ok(Progress::Done)
            }
        }
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.check_process()?;
        if self.rx == Receiving::Ended {
            return Err(self.ending());
        }
        let Self { rx, caps, .. } = self;
        let association = self.association;
        let (received, view) = self.node.enter(|kernel| {
            kernel.poll();
            let received = recv_frames(kernel, association, rx, caps, incoming);
            (received, view(kernel, association))
        });
        match received.map_err(|error| self.protocol(error))? {
            Step::Message => Ok(Recv::Message),
            Step::More => Ok(Recv::More),
            Step::Caps => self.complete(incoming, view),
            Step::Nothing => self.nothing(view),
        }
    }

    fn ready(&mut self) -> bool {
        if !self.born.is_here() || self.rx == Receiving::Ended {
            return true;
        }
        let view = self.look();
        let is_over = view.error.is_some() || view.theirs.closed;
        let has_come = match self.rx {
            // Frames behind a message that waits for its capabilities have to wait as well.
            Receiving::Caps => {
                self.caps.has_news() || view.error.is_some() || self.caps_never_come(&view)
            }
            _ => view.has_frame || is_over || self.closed,
        };
        has_come || self.would_resume(&view)
    }

    fn can_resume(&mut self) -> bool {
        !self.born.is_here() || self.would_resume(&self.look())
    }

    fn is_over(&mut self) -> bool {
        if self.rx == Receiving::Ended || !self.born.is_here() {
            return true;
        }
        let view = self.look();
        view.error.is_some() || view.theirs.closed
    }

    fn arm(&mut self) {
        if self.born.is_here() {
            self.node.enter(|kernel| {
                kernel.endpoint(self.association).arm();
                kernel.ask_again();
            });
        }
    }

    fn disarm(&mut self) {
        if self.born.is_here() {
            self.node.enter(|kernel| kernel.endpoint(self.association).disarm());
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        match &self.machine {
            Machine::Here(_) => Ok(()),
            Machine::There(shared) => {
                waitset.watch(&(Arc::clone(shared.ear()) as Arc<dyn Watched>))
            }
        }
    }

    fn close(&mut self) {
        if self.closed || !self.born.is_here() {
            return;
        }
        self.closed = true;
        self.tx = Sending::Ended;
        self.node.enter(|kernel| {
            kernel.endpoint(self.association).tell(|claims| claims.closed = true);
        });
    }
}

impl Drop for BeehiveChannel {
    fn drop(&mut self) {
        if self.born.is_here() {
            self.closed = true;
            self.node.abandon(self.association);
        }
    }
}

/// What a receiver has come to.
enum Step {
    Message,
    /// The words of a message are there, and its capabilities are not.
    Caps,
    More,
    Nothing,
}

fn view(kernel: &mut Kernel, association: u16) -> View {
    let share = kernel.share_of(association);
    let mut view = kernel.endpoint(association).view(share);
    if view.error.is_none() {
        view.error = kernel.failure().cloned();
    }
    view
}

/// Sends as many frames of a message as there is room for.
fn send_frames(
    kernel: &mut Kernel,
    association: u16,
    before: Sending,
    message: &Outgoing<'_>,
) -> Result<Sending, ChannelError> {
    let total = message.body.len();
    let claimed = u32::try_from(total).map_err(|_| ChannelError::Os(libc::EMSGSIZE))?;
    let mut sent = match before {
        Sending::Words(sent) => Some(sent),
        Sending::Caps => return Ok(Sending::Caps),
        _ => None,
    };
    let extra = usize::from(message.cap_count > 0);
    while sent != Some(total) {
        let rest = total - sent.unwrap_or(0);
        let wanted = match sent {
            None if rest <= MAX_BODY => 1 + extra + 2 * rest,
            None => 2 + extra + 2 * ((MAX_FRAME - 2 - extra) / 2),
            Some(_) => 1 + 2 * rest.min(MAX_BODY),
        };
        let share = kernel.share_of(association);
        let Some(room) = kernel.endpoint(association).room(wanted, share) else { break };
        let (kind, used) = match sent {
            None if room == wanted && rest <= MAX_BODY => (Kind::Whole, rest),
            None => (Kind::First, ((room - 2 - extra) / 2).min(rest)),
            Some(_) => (Kind::Next, ((room - 1) / 2).min(rest)),
        };
        let mut frame = Builder::new(kind, message.number);
        if kind == Kind::First {
            frame.push(claimed);
        }
        if sent.is_none() && extra == 1 {
            frame.push(message.cap_count as u32);
        }
        let mut body = [0; MAX_BODY];
        let from = sent.unwrap_or(0);
        message.body.reader(from).read(&mut body[..used]);
        frame.push_body(&body[..used]);
        kernel.send(association, frame.words());
        sent = Some(from + used);
    }
    if let Some(error) = kernel.failure() {
        return Err(ChannelError::Protocol(error.clone()));
    }
    Ok(match sent {
        None => Sending::Blocked,
        Some(sent) if sent < total => Sending::Words(sent),
        Some(_) => Sending::Caps,
    })
}

/// Takes frames until a message is complete, none is there, or it is the turn of others.
fn recv_frames(
    kernel: &mut Kernel,
    association: u16,
    rx: &mut Receiving,
    caps: &mut Caps,
    incoming: &mut Incoming,
) -> Result<Step, ProtocolError> {
    let endpoint = kernel.endpoint(association);
    for _ in 0..BURST {
        if *rx == Receiving::Caps {
            return Ok(Step::Caps);
        }
        let mut frame = [0; MAX_FRAME];
        let Some(length) = endpoint.take(&mut frame) else { return Ok(Step::Nothing) };
        let begins = *rx == Receiving::Idle;
        *rx = take_frame(*rx, &frame[..length], incoming)?;
        if begins && incoming.cap_count() > 0 {
            let seen = caps.see();
            if !caps.arrive_first() {
                endpoint.tell(|claims| claims.expected = seen as u32);
            }
        }
        if *rx == Receiving::Idle {
            return Ok(Step::Message);
        }
    }
    Ok(if *rx == Receiving::Caps { Step::Caps } else { Step::More })
}

/// Takes one frame into the message in hand, or begins one with it.
fn take_frame(
    rx: Receiving,
    frame: &[u32],
    incoming: &mut Incoming,
) -> Result<Receiving, ProtocolError> {
    let &[head, ref payload @ ..] = frame else {
        return Err(ProtocolError::Frame("a frame has no head"));
    };
    let head = Head::from_raw(head);
    let parts = Parts::of(head.kind(), payload)?;
    let mut body = [0; MAX_BODY];
    let body = parts.body(&mut body);
    match (rx, head.kind()) {
        (Receiving::Idle, Kind::Whole | Kind::First) => {
            let total = parts.total.map_or(body.len(), |total| total as usize);
            incoming.begin(head.number(), total, parts.caps)?;
        }
        (Receiving::Words, Kind::Next) => {
            if head.number() != incoming.number() {
                return Err(ProtocolError::Frame(
                    "a frame belongs to another message than the frames before",
                ));
            }
        }
        (_, Kind::Next) => {
            return Err(ProtocolError::Frame("a message goes on that has not begun"));
        }
        _ => return Err(ProtocolError::Frame("a message begins before the one before has ended")),
    }
    incoming.push(body)?;
    Ok(match (incoming.missing(), incoming.cap_count()) {
        (0, 0) => Receiving::Idle,
        (0, _) => Receiving::Caps,
        _ => Receiving::Words,
    })
}
