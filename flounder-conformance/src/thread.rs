//! An end on another thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use flounder_rt::channel::Channel;
use flounder_rt::notify::Notifier;

use crate::end::{LocalEnd, Operation, Response, TestEnd};

/// Sends operations to the thread of the end, and waits for their responses.
pub(crate) struct ThreadEnd {
    operations: Sender<Operation>,
    answers: Receiver<Response>,
}

impl ThreadEnd {
    /// Moves the channel to a thread of its own, which ends with this value.
    pub(crate) fn new(channel: Box<dyn Channel + Send>, notifier: Notifier) -> Self {
        let (operations, asked) = self::channel();
        let (answer, answers) = self::channel();
        thread::spawn(move || {
            let mut local = LocalEnd::new(channel, notifier);
            for operation in asked {
                if answer.send(local.run(operation)).is_err() {
                    return;
                }
            }
        });
        Self { operations, answers }
    }
}

impl TestEnd for ThreadEnd {
    fn run(&mut self, operation: Operation) -> Response {
        const GONE: &str = "the other thread goes on, unless the driver panicked there";
        self.operations.send(operation).expect(GONE);
        self.answers.recv().expect(GONE)
    }
}
