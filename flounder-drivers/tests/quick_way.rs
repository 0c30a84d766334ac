//! `send_now` and `recv_now`: what they take is what `send` and `recv` would have taken, and what they leave is untouched.

use flounder_drivers::{conformance::LIMITS, lmp::Lmp, loopback::Loopback, ump::Ump};
use flounder_rt::channel::{
    Channel, ChannelError, Connector, End, Incoming, Outgoing, Progress, ProtocolError,
    RUNTIME_MESSAGE, Recv, RecvNow,
};
use flounder_rt::notify::Notifier;
use flounder_rt::wire::Gather;

/// A message that may be of any size, and one that may have no words.
const ANY: u16 = 1;
const EMPTY: u16 = 3;

struct Ends {
    client: Box<dyn Channel>,
    service: Box<dyn Channel>,
    incoming: Incoming,
    /// Whether the driver has a quick way at all.
    quick: bool,
}

fn each(test: impl Fn(&mut Ends)) {
    let drivers: [(&dyn Connector, bool); 3] = [(&Ump, true), (&Loopback, true), (&Lmp, false)];
    for (driver, quick) in drivers {
        let (client, service): (Box<dyn Channel>, Box<dyn Channel>) =
            match driver.pair(&end(), &end()) {
                Ok((client, service)) => (client, service),
                Err(_) => driver.pair_local(&end(), &end()).expect("it reaches its own thread"),
            };
        test(&mut Ends { client, service, incoming: Incoming::new(LIMITS), quick });
    }
}

fn end() -> End {
    End { notifier: Notifier::new(), connection: 0, buffer: 4096 }
}

impl Ends {
    fn send(&mut self, number: u16, words: &[u64]) -> Result<Progress, ChannelError> {
        let (body, caps) = (Gather::words_only(words), &mut Vec::new());
        self.client.send(&mut Outgoing { number, body, caps, cap_count: 0 }, 0)
    }

    /// Sends by the quick way, or by the other if there is none.
    fn put(&mut self, number: u16, words: &[u64]) {
        let sent = self.client.send_now(number, words);
        assert_eq!(sent, self.quick);
        if !sent {
            assert_eq!(self.send(number, words), Ok(Progress::Done));
        }
    }

    /// Receives by the quick way first, as a binding does.
    fn get(&mut self) -> Option<(u16, Vec<u64>)> {
        match self.service.recv_now(&mut self.incoming) {
            RecvNow::Message => {}
            RecvNow::Empty => {
                assert_eq!(self.service.recv(&mut self.incoming), Ok(Recv::Empty));
                return None;
            }
            RecvNow::Unsure => {
                match self.service.recv(&mut self.incoming).expect("the channel is sound") {
                    Recv::Message => {}
                    Recv::More => return self.get(),
                    Recv::Empty => return None,
                }
            }
        }
        Some((self.incoming.number(), self.incoming.words().to_vec()))
    }
}

#[test]
fn both_ways_keep_one_order() {
    each(|ends| {
        let words: Vec<u64> = (1..=20).collect();
        let lengths = [1, 7, 20, 0, 8, 7];
        for (i, len) in lengths.into_iter().enumerate() {
            if len <= 7 && i % 2 == 0 {
                ends.put(ANY, &words[..len]);
            } else {
                assert_eq!(ends.send(ANY, &words[..len]), Ok(Progress::Done));
            }
        }
        for len in lengths {
            assert_eq!(ends.get(), Some((ANY, words[..len].to_vec())));
        }
        assert_eq!(ends.get(), None);
    });
}

#[test]
fn what_is_not_small_is_left() {
    each(|ends| {
        assert!(!ends.client.send_now(ANY, &[1; 8]));
        assert_eq!(ends.get(), None);
        // More than a line, and a message of the runtime: both are for `recv`.
        for (number, words) in [(ANY, &[5; 9][..]), (RUNTIME_MESSAGE, &[1, 2])] {
            assert_eq!(ends.send(number, words), Ok(Progress::Done));
            assert_eq!(ends.service.recv_now(&mut ends.incoming), RecvNow::Unsure);
            assert_eq!(ends.get(), Some((number, words.to_vec())));
        }
    });
}

#[test]
fn what_the_interface_lacks_is_left_for_recv_to_refuse() {
    for (number, words) in [(EMPTY, &[1][..]), (LIMITS.len() as u16 + 1, &[])] {
        each(|ends| {
            ends.put(number, words);
            for _ in 0..2 {
                assert_eq!(ends.service.recv_now(&mut ends.incoming), RecvNow::Unsure);
                let refused = ends.service.recv(&mut ends.incoming);
                assert!(
                    matches!(
                        refused,
                        Err(ChannelError::Protocol(
                            ProtocolError::Number(_) | ProtocolError::Length { .. }
                        ))
                    ),
                    "{refused:?}"
                );
            }
        });
    }
}

#[test]
fn a_full_channel_takes_nothing() {
    each(|ends| {
        if !ends.quick {
            return;
        }
        let mut sent = 0;
        while ends.client.send_now(ANY, &[sent]) {
            sent += 1;
        }
        assert!(sent > 10, "{sent} messages fit");
        for message in 0..sent {
            assert_eq!(ends.get(), Some((ANY, vec![message])));
        }
        assert_eq!(ends.get(), None);
    });
}

#[test]
fn a_closed_channel_takes_nothing_twice() {
    each(|ends| {
        if !ends.quick {
            return;
        }
        ends.service.close();
        assert!(!ends.client.send_now(ANY, &[1]));
        assert_eq!(ends.send(ANY, &[1]), Err(ChannelError::Closed));
        let mut arrived = 0;
        while let Ok(Recv::Message) = ends.service.recv(&mut ends.incoming) {
            arrived += 1;
        }
        assert!(arrived <= 1, "one message arrives {arrived} times");
    });
}
