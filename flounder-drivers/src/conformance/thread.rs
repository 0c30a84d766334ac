//! An end in another thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use flounder_rt::channel::Channel;
use flounder_rt::notify::Notifier;

use super::party::{Answer, Ask, Party, Side};

/// Asks across to the thread of the end, and waits for the answer.
pub(super) struct ThreadParty {
    asks: Sender<Ask>,
    answers: Receiver<Answer>,
}

impl ThreadParty {
    /// Gives the end to a thread of its own, which ends with the party.
    pub(super) fn new(channel: Box<dyn Channel + Send>, notifier: Notifier) -> Self {
        let (asks, asked) = self::channel();
        let (answer, answers) = self::channel();
        thread::spawn(move || {
            let mut side = Side::new(channel, notifier);
            for ask in asked {
                if answer.send(side.ask(ask)).is_err() {
                    return;
                }
            }
        });
        Self { asks, answers }
    }
}

impl Party for ThreadParty {
    fn ask(&mut self, ask: Ask) -> Answer {
        const GONE: &str = "the other thread goes on, unless the driver panicked there";
        self.asks.send(ask).expect(GONE);
        self.answers.recv().expect(GONE)
    }
}
