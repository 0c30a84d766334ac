//! One end of a beehive channel: messages as frames.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, PairId, Progress, ProtocolError, Readiness, Recv,
};
use flounder_rt::waitset::{Waitset, Watched};

use crate::beehive::board::Board;
use crate::beehive::endpoint::{Endpoint, View};
use crate::beehive::frame::{Builder, Head, Kind, MAX_BODY, MAX_FRAME, Parts};
use crate::beehive::kernel::Kernel;
use crate::beehive::link::Shared;
use crate::beehive::node::Node;
use crate::caps::{CAPS_AHEAD, Caps};
use crate::transit::{Peer, Source, Transit};

/// Messages with capabilities that the peer has not begun when those of the last may not be handed over.
const TOO_FAR: u32 = CAPS_AHEAD as u32 + 1;

/// One end.
pub(crate) struct BeehiveChannel {
    node: Arc<Node>,
    association: u16,
    transit: Transit,
    machine: Machine,
}

/// What the core of a channel belongs to, held as long as the channel lives.
pub(crate) enum Machine {
    /// A board of this process.
    Here(#[expect(dead_code, reason = "it is there to be held")] Arc<Board>),
    /// What this process shares with another one.
    There(Arc<Shared>),
}

impl BeehiveChannel {
    pub(crate) fn new(node: Arc<Node>, association: u16, caps: Caps, machine: Machine) -> Self {
        Self { node, association, transit: Transit::new(caps), machine }
    }
}

/// The other end, as the kernel knew it a moment ago.
struct Seen<'a> {
    node: &'a Node,
    association: u16,
    view: View,
}

impl<'a> Seen<'a> {
    /// As the kernel knows it after it has taken in what has come.
    fn now(node: &'a Node, association: u16) -> Self {
        let view = node.enter(|kernel| {
            kernel.poll();
            view(kernel, association)
        });
        Self { node, association, view }
    }
}

impl Peer for Seen<'_> {
    fn has_line(&mut self) -> bool {
        self.view.has_frame
    }

    fn room(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.view.can_resume)
    }

    fn is_closed(&mut self) -> Result<bool, ProtocolError> {
        match &self.view.error {
            Some(error) => Err(error.clone()),
            None => Ok(self.view.theirs.closed),
        }
    }

    fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError> {
        let expected = self.view.theirs.expected;
        // How many of our messages with capabilities it has not seen the first frame of.
        match (sent as u32).wrapping_sub(expected) {
            unseen if unseen <= CAPS_AHEAD as u32 => Ok(true),
            // The one before was handed over when it was the last.
            TOO_FAR => Ok(false),
            _ => Err(ProtocolError::Position { claim: u64::from(expected), max: sent }),
        }
    }

    fn is_handed_over(&mut self, count: u64) -> bool {
        // At it or ahead of it, not behind it.
        self.view.theirs.handed.wrapping_sub(count as u32) <= u32::MAX / 2
    }

    fn handed_over(&mut self, count: u64) {
        self.node.enter(|kernel| {
            kernel.endpoint(self.association).tell(|claims| claims.handed = count as u32);
        });
    }
}

impl Source for Endpoint {
    const BURST: usize = 64;

    fn take(
        &mut self,
        transit: &mut Transit,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError> {
        let mut frame = [0; MAX_FRAME];
        let Some(length) = self.next_frame(&mut frame) else { return Ok(false) };
        take_frame(transit, &frame[..length], incoming)?;
        if let Some(seen) = transit.taken(incoming) {
            self.tell(|claims| claims.expected = seen as u32);
        }
        Ok(true)
    }
}

impl Channel for BeehiveChannel {
    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn pair(&self) -> Option<PairId> {
        self.transit.pair()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.transit.check_sender()?;
        let association = self.association;
        let begun = self.transit.begun(message);
        let (sent, view) = self.node.enter(|kernel| {
            kernel.poll();
            let view = view(kernel, association);
            if view.error.is_some() || view.theirs.closed {
                return (Ok(begun), view);
            }
            (send_frames(kernel, association, begun, message), view)
        });
        if let Some(error) = view.error {
            // What came before is received yet; then `recv` reports the same.
            return Err(ChannelError::Protocol(error));
        }
        if view.theirs.closed {
            return Err(ChannelError::Closed);
        }
        self.transit.sent(message, sent?, &mut Seen { node: &self.node, association, view })
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.transit.check_process()?;
        let association = self.association;
        let (step, view) = self.node.enter(|kernel| {
            kernel.poll();
            let step = self.transit.take_lines(incoming, kernel.endpoint(association));
            (step, view(kernel, association))
        });
        let mut peer = Seen { node: &self.node, association, view };
        self.transit.received(step, incoming, &mut peer)
    }

    fn ready(&mut self) -> bool {
        !self.transit.is_here() || self.transit.ready(&mut Seen::now(&self.node, self.association))
    }

    fn can_resume(&mut self) -> bool {
        !self.transit.is_here()
            || self.transit.can_resume(&mut Seen::now(&self.node, self.association))
    }

    fn is_over(&mut self) -> bool {
        !self.transit.is_here()
            || self.transit.is_over(&mut Seen::now(&self.node, self.association))
    }

    fn arm(&mut self) {
        if !self.transit.is_here() {
            return;
        }
        self.node.enter(|kernel| {
            kernel.endpoint(self.association).arm();
            kernel.ask_again();
        });
        if let Err(errno) = self.node.settle() {
            // From now on this end is ready to report it.
            self.transit.end(errno.into());
        }
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.node.sleep_limit()
    }

    fn disarm(&mut self) {
        if self.transit.is_here() {
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
        if self.transit.close() {
            self.node.enter(|kernel| {
                kernel.endpoint(self.association).tell(|claims| claims.closed = true);
            });
        }
    }
}

impl Drop for BeehiveChannel {
    fn drop(&mut self) {
        if self.transit.is_here() && !self.node.abandon(self.association) {
            self.transit.tell_closed();
        }
    }
}

fn view(kernel: &mut Kernel, association: u16) -> View {
    let share = kernel.share_of(association);
    let mut view = kernel.endpoint(association).view(share);
    if view.error.is_none() {
        view.error = kernel.failure().cloned();
    }
    view
}

/// Sends as many frames of a message as there is room for behind these words of it; gives how many are sent now, `None` as
/// long as it has not begun.
fn send_frames(
    kernel: &mut Kernel,
    association: u16,
    begun: Option<usize>,
    message: &Outgoing<'_>,
) -> Result<Option<usize>, ChannelError> {
    let total = message.body.len();
    let claimed = u32::try_from(total).map_err(|_| ChannelError::Os(libc::EMSGSIZE))?;
    let mut sent = begun;
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
    match kernel.failure() {
        Some(error) => Err(ChannelError::Protocol(error.clone())),
        None => Ok(sent),
    }
}

/// Takes one frame into the message in hand, or begins one with it.
fn take_frame(
    transit: &Transit,
    frame: &[u32],
    incoming: &mut Incoming,
) -> Result<(), ProtocolError> {
    let &[head, ref payload @ ..] = frame else {
        return Err(ProtocolError::Frame("a frame has no head"));
    };
    let head = Head::from_raw(head);
    let parts = Parts::of(head.kind(), payload)?;
    let mut body = [0; MAX_BODY];
    let body = parts.body(&mut body);
    if head.kind() == Kind::Next {
        transit.check_next(incoming, head.number(), parts.caps)?;
    } else {
        transit.check_first()?;
        let total = parts.total.map_or(body.len(), |total| total as usize);
        incoming.begin(head.number(), total, parts.caps)?;
    }
    incoming.push(body)
}
