//! Frames of a link, and their messages in `intermon`.

use std::sync::{Arc, Weak};

use flounder_rt::bind::BindRefusal;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapInbox, CapRefusal, ConnectError, Offer};
use flounder_rt::export::Refusal;
use flounder_rt::{Errno, Escaped, Iref, Rejected, TxError};

use crate::accounts::{limit_from_wire, limit_to_wire};
use crate::link::transfer::Transfer;
use crate::outbox::{OutboxMessage, SendOutcome};
use crate::prefix::prefix;
use crate::protocol::intermon;

/// Longest name of a driver, in bytes.
pub(crate) const MAX_DRIVER_NAME: usize = 64;

/// Most words in the offer or answer of a driver.
pub(crate) const MAX_TERMS: usize = 64;

/// Longest reason for a refusal, in bytes; a longer one is cut.
const MAX_TEXT: usize = 4096;

/// Longest name of a message in a table, in bytes.
const MAX_NAME: usize = 255;

/// A bind request of a client.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) iref: Iref,
    pub(crate) fingerprint: u128,
    pub(crate) buffer: usize,
    /// Features that the client knows.
    pub(crate) features: u64,
    pub(crate) driver: String,
    /// Words of the offer, at the receiver; empty at the sender, where the offer has them.
    pub(crate) words: Vec<u64>,
}

/// A frame with its capabilities.
#[derive(Debug)]
pub(crate) enum Frame {
    Request {
        connection: u64,
        request: Request,
        offer: Offer,
    },
    Bound {
        connection: u64,
        /// Features that both ends know.
        features: u64,
        offer: Offer,
    },
    Refused {
        connection: u64,
        why: BindRefusal,
    },
    Closed {
        connection: u64,
    },
    Ping {
        number: u64,
        iref: Iref,
    },
    Pong {
        number: u64,
        health: intermon::Health,
    },
    /// `inbox` belongs to the end here, which is notified when the kernel has the capabilities.
    Caps {
        connection: u64,
        sequence: u64,
        caps: Vec<Cap>,
        inbox: Weak<CapInbox>,
    },
}

impl Frame {
    pub(crate) const fn no_service(connection: u64) -> Self {
        Self::Refused { connection, why: BindRefusal::NoService }
    }

    /// Returns the messages of a frame: a head, and its capabilities. When the kernel has the last
    /// one of [`Caps`](Self::Caps), `transfer` notes it.
    pub(super) fn into_items(
        mut self,
        transfer: &Arc<Transfer>,
    ) -> impl Iterator<Item = OutgoingItem> {
        let mut caps = match &mut self {
            Self::Request { offer, .. } | Self::Bound { offer, .. } => {
                core::mem::take(&mut offer.caps)
            }
            Self::Caps { caps, .. } => core::mem::take(caps),
            _ => Vec::new(),
        };
        let note = match &mut self {
            Self::Caps { sequence, inbox, .. } => Some(OutgoingItem::NoteNext(
                Arc::clone(transfer),
                core::mem::take(inbox),
                *sequence,
            )),
            _ => None,
        };
        let count = u32::try_from(caps.len()).expect("a message has at most 64 capabilities");
        let head = core::iter::once(OutgoingItem::FrameHead(self, count));
        let last = caps.pop().map(OutgoingItem::Cap);
        head.chain(caps.into_iter().map(OutgoingItem::Cap)).chain(note).chain(last)
    }
}

/// One message to send.
#[derive(Debug)]
pub(super) enum OutgoingItem {
    /// A frame without its capabilities, and their number.
    FrameHead(Frame, u32),
    Cap(Cap),
    NoCap(CapRefusal),
    /// No message: the next one is noted when the kernel has it.
    NoteNext(Arc<Transfer>, Weak<CapInbox>, u64),
}

impl OutboxMessage for OutgoingItem {
    type Binding = intermon::Binding;
    const MAX_QUEUED: usize = 8192;

    fn send(self, binding: &intermon::Binding) -> SendOutcome<Self> {
        match self {
            Self::Cap(cap) => match binding.tx_cap(cap) {
                Ok(_) => SendOutcome::Sent,
                Err(Rejected { error: TxError::Busy, given }) => {
                    SendOutcome::Retry(Self::Cap(given))
                }
                Err(Rejected { error: TxError::Closed, .. }) => SendOutcome::Closed,
                Err(Rejected { error: TxError::CapsRefused(refusal), .. }) => {
                    Self::NoCap(refusal).send(binding)
                }
                Err(_) => Self::NoCap(CapRefusal::SenderLimit).send(binding),
            },
            Self::NoCap(refusal) => match binding.tx_no_cap(refusal.code()) {
                Ok(_) => SendOutcome::Sent,
                Err(TxError::Busy) => SendOutcome::Retry(Self::NoCap(refusal)),
                Err(_) => SendOutcome::Closed,
            },
            // The slot is free, so the next message that the channel takes is the next one here.
            Self::NoteNext(transfer, inbox, sequence) if binding.can_send() => {
                transfer.note_next(inbox, sequence);
                SendOutcome::Sent
            }
            Self::NoteNext(..) if binding.ended().is_some() => SendOutcome::Closed,
            Self::NoteNext(..) => SendOutcome::Retry(self),
            Self::FrameHead(frame, caps) => match send_head(&frame, caps, binding) {
                Ok(()) => SendOutcome::Sent,
                Err(TxError::Busy) => SendOutcome::Retry(Self::FrameHead(frame, caps)),
                Err(_) => SendOutcome::Closed,
            },
        }
    }
}

fn send_head(frame: &Frame, caps: u32, binding: &intermon::Binding) -> Result<(), TxError> {
    let sent = match frame {
        Frame::Request { connection, request, offer } => {
            let (driver, buffer) = (&request.driver, request.buffer as u64);
            binding.tx_bind_request(
                *connection,
                request.iref,
                request.fingerprint,
                buffer,
                request.features,
                driver,
                &offer.words,
                caps,
            )
        }
        Frame::Bound { connection, features, offer } => {
            binding.tx_bound(*connection, *features, &offer.words, caps)
        }
        Frame::Refused { connection, why } => return send_refusal(*connection, why, binding),
        Frame::Closed { connection } => binding.tx_closed(*connection),
        Frame::Ping { number, iref } => binding.tx_ping(*number, *iref),
        Frame::Pong { number, health } => binding.tx_pong(*number, *health),
        Frame::Caps { connection, sequence, .. } => {
            binding.tx_cap_send(*connection, *sequence, caps)
        }
    };
    sent.map(drop)
}

fn send_refusal(
    connection: u64,
    why: &BindRefusal,
    binding: &intermon::Binding,
) -> Result<(), TxError> {
    use intermon::Refusal as Why;
    let mut digests = Vec::new();
    let (why, code, text) = match why {
        BindRefusal::Interface { name, table } => {
            digests.extend(table.iter().map(|(name, fingerprint)| intermon::Digest {
                name: prefix(name, MAX_NAME).to_owned(),
                digest: *fingerprint,
            }));
            (Why::Interface, 0, name.as_str())
        }
        BindRefusal::Driver(ConnectError::Reach) => (Why::Reach, 0, ""),
        BindRefusal::Driver(ConnectError::Refused(what)) => (Why::Unsound, 0, *what),
        BindRefusal::Driver(ConnectError::Os(errno)) => {
            (Why::System, u64::from(errno.raw_os_error().unsigned_abs()), "")
        }
        BindRefusal::OverLimit(limit) => (Why::OverLimit, limit_to_wire(*limit), ""),
        BindRefusal::Service(refusal) => (Why::Service, refusal.code, refusal.reason.as_str()),
        _ => (Why::NoService, 0, ""),
    };
    binding.tx_refused(connection, why, code, prefix(text, MAX_TEXT), &digests).map(drop)
}

/// Decodes a refusal.
pub(super) fn refusal_of(
    why: intermon::Refusal,
    code: u64,
    text: &str,
    table: &[intermon::Digest],
) -> BindRefusal {
    use intermon::Refusal as Why;
    match why {
        Why::Interface => {
            let entry = |entry: &intermon::Digest| (entry.name.clone(), entry.digest);
            BindRefusal::Interface {
                name: text.to_owned(),
                table: table.iter().map(entry).collect(),
            }
        }
        Why::Reach => BindRefusal::Driver(ConnectError::Reach),
        Why::Unsound => {
            tracing::debug!(text = %Escaped(text), "the service's side of a driver refused the offer");
            BindRefusal::Driver(ConnectError::Refused("the service's side found the offer unsound"))
        }
        Why::System => {
            let number = i32::try_from(code).unwrap_or(libc::EPROTO);
            BindRefusal::Driver(ConnectError::Os(Errno::from_raw_os_error(number)))
        }
        Why::Service => BindRefusal::Service(Refusal::new(code, text)),
        Why::OverLimit => match limit_from_wire(code) {
            Some(limit) => BindRefusal::OverLimit(limit),
            None => BindRefusal::Driver(ConnectError::Refused("a limit of an unknown resource")),
        },
        Why::NoService => BindRefusal::NoService,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_followed_by_its_capabilities() {
        let cap = || Cap::from(std::fs::File::open("/dev/null").expect("null"));
        let frame = Frame::Caps {
            connection: 1,
            sequence: 2,
            caps: vec![cap(), cap()],
            inbox: Weak::new(),
        };
        let transfer = Arc::default();
        let items: Vec<_> = frame.into_items(&transfer).collect();
        assert!(matches!(
            &items[..],
            [
                OutgoingItem::FrameHead(Frame::Caps { .. }, 2),
                OutgoingItem::Cap(_),
                OutgoingItem::NoteNext(_, _, 2),
                OutgoingItem::Cap(_),
            ]
        ));
        assert_eq!(Frame::Closed { connection: 1 }.into_items(&transfer).count(), 1);
    }
}
