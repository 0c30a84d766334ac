//! The channel of a link, which records that the kernel has a message before another thread can depend on the record.

use core::time::Duration;
use std::io;
use std::sync::{Arc, Weak};

use flounder_rt::channel::{
    CapInbox, Channel, ChannelError, Incoming, Outgoing, PairId, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::Watcher;
use parking_lot::Mutex;

/// The message that a link passes to the kernel. Locked from before the system call until the end
/// that waits for it is notified: the monitor's thread may be preempted between the two, and the
/// answer of the peer could come first.
#[derive(Debug, Default)]
pub(crate) struct Transfer(Mutex<Option<Note>>);

/// The inbox to notify when the next message is sent, and the number of its capabilities.
type Note = (Weak<CapInbox>, u64);

impl Transfer {
    /// Notifies `inbox` as soon as the next message of the link is sent.
    pub(super) fn note_next(&self, inbox: Weak<CapInbox>, sequence: u64) {
        *self.0.lock() = Some((inbox, sequence));
    }

    /// Waits for a system call that has begun, and its record.
    pub(super) fn wait(&self) {
        drop(self.0.lock());
    }

    /// Runs `send`, and notifies the inbox if it `is_sent`.
    fn run<T>(&self, send: impl FnOnce() -> T, is_sent: impl FnOnce(&T) -> bool) -> T {
        let mut note = self.0.lock();
        let result = send();
        if is_sent(&result)
            && let Some((inbox, sequence)) = note.take()
            && let Some(inbox) = inbox.upgrade()
        {
            inbox.note_sent(sequence);
        }
        result
    }
}

/// The channel of a link, with its [`Transfer`].
pub(super) struct NotingChannel {
    pub(super) channel: Box<dyn Channel + Send>,
    pub(super) transfer: Arc<Transfer>,
}

impl Channel for NotingChannel {
    fn driver(&self) -> &'static str {
        self.channel.driver()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        self.transfer.run(|| self.channel.send(message, from), |sent| *sent == Ok(Progress::Done))
    }

    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        self.transfer.run(|| self.channel.send_now(number, words), |sent| *sent)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.channel.recv(incoming)
    }

    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        self.channel.recv_now(incoming)
    }

    fn recv_row(&mut self, incoming: &mut Incoming) -> bool {
        self.channel.recv_row(incoming)
    }

    fn ready(&mut self) -> bool {
        self.channel.ready()
    }

    fn can_resume(&mut self) -> bool {
        self.channel.can_resume()
    }

    fn is_over(&mut self) -> bool {
        self.channel.is_over()
    }

    fn arm(&mut self) {
        self.channel.arm();
    }

    fn disarm(&mut self) {
        self.channel.disarm();
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.channel.sleep_limit()
    }

    fn readiness(&self) -> Readiness<'_> {
        self.channel.readiness()
    }

    fn notifier(&self) -> Option<Notifier> {
        self.channel.notifier()
    }

    fn pair(&self) -> Option<PairId> {
        self.channel.pair()
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        self.channel.attached(waitset)
    }

    fn close(&mut self) {
        self.channel.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use super::*;

    /// A channel that notifies another thread that the kernel has a message, and then is preempted.
    struct Preempted {
        kernel_has_it: Sender<()>,
        answered: Receiver<bool>,
    }

    /// How long the thread stays away.
    const MOMENT: Duration = Duration::from_millis(100);

    impl Channel for Preempted {
        fn driver(&self) -> &'static str {
            "preempted"
        }

        fn send(&mut self, _: &mut Outgoing<'_>, _: usize) -> Result<Progress, ChannelError> {
            self.kernel_has_it.send(()).expect("the other thread waits");
            assert!(self.answered.recv_timeout(MOMENT).is_err(), "it looked before the note");
            Ok(Progress::Done)
        }

        fn recv(&mut self, _: &mut Incoming) -> Result<Recv, ChannelError> {
            Ok(Recv::Empty)
        }

        fn ready(&mut self) -> bool {
            false
        }

        fn readiness(&self) -> Readiness<'_> {
            Readiness::Polled
        }

        fn close(&mut self) {}
    }

    #[test]
    fn peer_that_has_the_capabilities_finds_them_sent() {
        let inbox = Arc::new(CapInbox::new(Notifier::new()));
        let transfer = Arc::<Transfer>::default();
        let (kernel_has_it, capabilities) = channel();
        let (answers, answered) = channel();
        let mut channel = NotingChannel {
            channel: Box::new(Preempted { kernel_has_it, answered }),
            transfer: Arc::clone(&transfer),
        };
        transfer.note_next(Arc::downgrade(&inbox), 1);
        thread::scope(|scope| {
            let (transfer, inbox) = (&transfer, &inbox);
            scope.spawn(move || {
                capabilities.recv().expect("a message is sent");
                transfer.wait();
                let is_sent = inbox.is_sent(1);
                answers.send(is_sent).expect("the channel is there");
                assert!(is_sent, "the peer has the capabilities, and its answer is there");
            });
            let mut message = Outgoing {
                number: 1,
                body: flounder_rt::wire::Gather::words_only(&[]),
                caps: &mut Vec::new(),
                cap_count: 0,
            };
            assert_eq!(channel.send(&mut message, 0), Ok(Progress::Done));
        });
    }

    #[test]
    fn only_the_next_message_is_noted() {
        struct Full(bool);
        impl Channel for Full {
            fn driver(&self) -> &'static str {
                "full"
            }
            fn send(&mut self, _: &mut Outgoing<'_>, _: usize) -> Result<Progress, ChannelError> {
                Ok(Progress::Partial(0))
            }
            fn send_now(&mut self, _: u16, _: &[u64]) -> bool {
                core::mem::replace(&mut self.0, true)
            }
            fn recv(&mut self, _: &mut Incoming) -> Result<Recv, ChannelError> {
                Ok(Recv::Empty)
            }
            fn ready(&mut self) -> bool {
                false
            }
            fn readiness(&self) -> Readiness<'_> {
                Readiness::Polled
            }
            fn close(&mut self) {}
        }
        let inboxes = [(); 2].map(|()| Arc::new(CapInbox::new(Notifier::new())));
        let transfer = Arc::<Transfer>::default();
        let mut channel =
            NotingChannel { channel: Box::new(Full(false)), transfer: Arc::clone(&transfer) };
        transfer.note_next(Arc::downgrade(&inboxes[0]), 7);
        assert!(!channel.send_now(1, &[]));
        assert!(!inboxes[0].is_sent(1), "the channel has not taken it");
        assert!(channel.send_now(1, &[]));
        assert!(inboxes[0].is_sent(7) && !inboxes[0].is_sent(8));
        assert!(channel.send_now(1, &[]));
        assert!(!inboxes[1].is_sent(1));
    }
}
