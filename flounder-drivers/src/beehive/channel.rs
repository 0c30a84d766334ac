//! One end of a beehive channel: messages as frames.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use flounder_rt::bulk::BulkMemory;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, PairId, Progress, ProtocolError, Readiness, Recv,
};
use flounder_rt::waitset::{Watched, Watcher};
use rustix::io::Errno;

use crate::assembler::{LineReader, MessageAssembler, PeerEnd};
use crate::beehive::endpoint::{Endpoint, EndpointView};
use crate::beehive::frame::{
    FrameBuilder, FrameHeader, FrameKind, FramePayload, MAX_BODY, MAX_FRAME,
};
use crate::beehive::kernel::Kernel;
use crate::beehive::node::{CoreOwner, Node};
use crate::caps::{CAPS_AHEAD, Caps};
use crate::mem::pool::MAPPED;

/// Number of messages with capabilities that the peer has not begun to read at which the
/// capabilities of the last one may not be handed over yet.
const TOO_FAR: u32 = CAPS_AHEAD as u32 + 1;

/// One end of a channel.
pub(crate) struct BeehiveChannel {
    node: Arc<Node>,
    association: u16,
    assembler: MessageAssembler,
    /// Owner of the node, kept alive by its channels.
    _owner: Arc<dyn CoreOwner>,
    /// The doorbell of this process, for a channel to another one.
    doorbell: Option<Arc<dyn Watched>>,
}

impl BeehiveChannel {
    pub(crate) fn new(
        node: Arc<Node>,
        association: u16,
        caps: Caps,
        owner: Arc<dyn CoreOwner>,
        doorbell: Option<Arc<dyn Watched>>,
    ) -> Self {
        let assembler = MessageAssembler::new(caps);
        Self { node, association, assembler, _owner: owner, doorbell }
    }
}

/// The other end, as the kernel knew it a moment ago.
struct PeerSnapshot<'a> {
    node: &'a Node,
    association: u16,
    view: EndpointView,
}

impl<'a> PeerSnapshot<'a> {
    /// Returns the other end as the kernel knows it after polling the hardware.
    fn now(node: &'a Node, association: u16) -> Self {
        let view = node.enter(|kernel| {
            kernel.poll();
            view(kernel, association)
        });
        Self { node, association, view }
    }
}

impl PeerEnd for PeerSnapshot<'_> {
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
        // `handed` is equal to `count` or ahead of it.
        self.view.theirs.handed.wrapping_sub(count as u32) <= u32::MAX / 2
    }

    fn handed_over(&mut self, count: u64) {
        self.node.enter(|kernel| {
            kernel.endpoint(self.association).update_claims(|claims| claims.handed = count as u32);
        });
    }
}

impl LineReader for Endpoint {
    const BURST: usize = 64;

    fn take(
        &mut self,
        assembler: &mut MessageAssembler,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError> {
        let mut frame = [0; MAX_FRAME];
        let Some(length) = self.next_frame(&mut frame) else { return Ok(false) };
        take_frame(assembler, &frame[..length], incoming)?;
        if let Some(seen) = assembler.taken(incoming) {
            self.update_claims(|claims| claims.expected = seen as u32);
        }
        Ok(true)
    }
}

impl Channel for BeehiveChannel {
    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        Some(&MAPPED)
    }

    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn pair(&self) -> Option<PairId> {
        self.assembler.pair()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.assembler.check_sender()?;
        let association = self.association;
        let begun = self.assembler.begun(message);
        let (sent, view) = self.node.enter(|kernel| {
            kernel.poll();
            let view = view(kernel, association);
            if view.error.is_some() || view.theirs.closed {
                return (Ok(begun), view);
            }
            (send_frames(kernel, association, begun, message), view)
        });
        if let Some(error) = view.error {
            // `recv` returns the messages before the error, and then the same error.
            return Err(ChannelError::Protocol(error));
        }
        if view.theirs.closed {
            return Err(ChannelError::Closed);
        }
        self.assembler.sent(
            message,
            sent?,
            &mut PeerSnapshot { node: &self.node, association, view },
        )
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.assembler.check_process()?;
        let association = self.association;
        let (step, view) = self.node.enter(|kernel| {
            kernel.poll();
            let step = self.assembler.take_lines(incoming, kernel.endpoint(association));
            (step, view(kernel, association))
        });
        let mut peer = PeerSnapshot { node: &self.node, association, view };
        self.assembler.received(step, incoming, &mut peer)
    }

    fn ready(&mut self) -> bool {
        !self.assembler.is_here()
            || self.assembler.ready(&mut PeerSnapshot::now(&self.node, self.association))
    }

    fn can_resume(&mut self) -> bool {
        !self.assembler.is_here()
            || self.assembler.can_resume(&mut PeerSnapshot::now(&self.node, self.association))
    }

    fn is_over(&mut self) -> bool {
        !self.assembler.is_here()
            || self.assembler.is_over(&mut PeerSnapshot::now(&self.node, self.association))
    }

    fn arm(&mut self) {
        if !self.assembler.is_here() {
            return;
        }
        self.node.enter(|kernel| {
            kernel.endpoint(self.association).arm();
            kernel.ask_again();
        });
        if let Err(errno) = self.node.retry_doorbell() {
            // From now on this end is ready to report it.
            self.assembler.end(errno.into());
        }
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.node.sleep_limit()
    }

    fn disarm(&mut self) {
        if self.assembler.is_here() {
            self.node.enter(|kernel| kernel.endpoint(self.association).disarm());
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        match &self.doorbell {
            None => Ok(()),
            Some(doorbell) => waitset.watch(doorbell),
        }
    }

    fn close(&mut self) {
        if self.assembler.close() {
            self.node.enter(|kernel| {
                kernel.endpoint(self.association).update_claims(|claims| claims.closed = true);
            });
        }
    }
}

impl Drop for BeehiveChannel {
    fn drop(&mut self) {
        if self.assembler.is_here() && !self.node.abandon(self.association) {
            self.assembler.report_closed();
        }
    }
}

fn view(kernel: &mut Kernel, association: u16) -> EndpointView {
    let share = kernel.share_of(association);
    let mut view = kernel.endpoint(association).view(share);
    if view.error.is_none() {
        view.error = kernel.failure().cloned();
    }
    view
}

/// Sends as many frames of a message as there is room for, from word `begun` on. Returns the number
/// of words sent so far, `None` if the message has not begun.
fn send_frames(
    kernel: &mut Kernel,
    association: u16,
    begun: Option<usize>,
    message: &Outgoing<'_>,
) -> Result<Option<usize>, ChannelError> {
    let total = message.body.len();
    let claimed = u32::try_from(total).map_err(|_| Errno::MSGSIZE)?;
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
            None if room == wanted && rest <= MAX_BODY => (FrameKind::Whole, rest),
            None => (FrameKind::First, ((room - 2 - extra) / 2).min(rest)),
            Some(_) => (FrameKind::Next, ((room - 1) / 2).min(rest)),
        };
        let mut frame = FrameBuilder::new(kind, message.number);
        if kind == FrameKind::First {
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

/// Takes one frame into the current message, or begins a message with it.
fn take_frame(
    assembler: &MessageAssembler,
    frame: &[u32],
    incoming: &mut Incoming,
) -> Result<(), ProtocolError> {
    let &[head, ref payload @ ..] = frame else {
        return Err(ProtocolError::Frame("a frame has no head"));
    };
    let head = FrameHeader::from_raw(head);
    let parts = FramePayload::of(head.kind(), payload)?;
    let mut body = [0; MAX_BODY];
    let body = parts.body(&mut body);
    if head.kind() == FrameKind::Next {
        assembler.check_next(incoming, head.number(), parts.caps)?;
    } else {
        assembler.check_first()?;
        let total = parts.total.map_or(body.len(), |total| total as usize);
        incoming.begin(head.number(), total, parts.caps)?;
    }
    incoming.push(body)
}
