//! The clauses of the driver contract that a channel with one end has to keep: the other end is a disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flounder::Cap;
use flounder::driver::channel::{
    Channel, ChannelError, Incoming, Outgoing, Progress, RUNTIME_MESSAGE, Readiness, Recv,
};
use flounder::driver::notify::{Gone, Notifier, Wake};
use flounder::driver::wire::Gather;
use flounder_ata::model::{Behaviour, Model};
use flounder_ata::{Hba, Port};

use crate::ata_rw48::INTERFACE;

/// Number of the call of `read_dma_ext`, and of its response.
const READ: u16 = 1;
const READ_RESPONSE: u16 = 2;

struct Setup {
    model: Model,
    _port: Port<Model>,
    channel: Box<dyn Channel>,
    incoming: Incoming,
}

impl Setup {
    fn new(behaviour: Behaviour) -> Self {
        let model = Model::new(1 << 12);
        let port = Port::open(model.clone(), 0).expect("there is a disk");
        model.set_behaviour(behaviour);
        let channel = port.channel(INTERFACE).expect("the port is free");
        Self { model, _port: port, channel, incoming: Incoming::new(INTERFACE.limits) }
    }

    /// Sends the call number `id` of `read_dma_ext(start, bytes)`.
    fn read(&mut self, id: u32, start: u64, bytes: u32) -> Result<Progress, ChannelError> {
        self.send(READ, &[start, u64::from(bytes) << 32 | u64::from(id)], &mut Vec::new())
    }

    fn send(
        &mut self,
        number: u16,
        words: &[u64],
        caps: &mut Vec<Cap>,
    ) -> Result<Progress, ChannelError> {
        let cap_count = caps.len();
        let body = Gather::words_only(words);
        self.channel.send(&mut Outgoing { number, body, caps, cap_count }, 0)
    }

    /// Receives until something comes, and returns the id of its call.
    fn receive(&mut self) -> u32 {
        for _ in 0..100_000 {
            match self.channel.recv(&mut self.incoming) {
                Ok(Recv::Message) => {
                    assert_eq!(self.incoming.number(), READ_RESPONSE);
                    assert_eq!(self.incoming.missing(), 0);
                    // The status comes first, then id and length.
                    return self.incoming.words()[1] as u32;
                }
                Ok(Recv::Empty) => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("nothing comes");
    }
}

#[test]
fn clause_3_full_channel_returns_and_clause_4_takes_the_message_later() {
    let mut it = Setup::new(Behaviour { hangs: 1000, ..Behaviour::default() });
    for id in 0..32 {
        assert_eq!(it.read(id, u64::from(id), 512), Ok(Progress::Done));
    }
    assert_eq!(it.read(32, 32, 512), Ok(Progress::Partial(0)));
    assert!(!it.channel.can_resume());
    let mut it = Setup::new(Behaviour::default());
    for id in 0..32 {
        assert_eq!(it.read(id, u64::from(id), 512), Ok(Progress::Done));
    }
    // A slot is free when its result was received, not before.
    assert_eq!(it.read(32, 32, 512), Ok(Progress::Partial(0)));
    assert_eq!(it.receive(), 0);
    assert!(it.channel.can_resume());
    assert_eq!(it.read(32, 32, 512), Ok(Progress::Done));
    let mut answered: Vec<_> = (1..33).map(|_| it.receive()).collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..33).collect::<Vec<_>>());
    assert_eq!(it.channel.recv(&mut it.incoming), Ok(Recv::Empty));
}

#[test]
fn clause_5_message_that_is_not_taken_changes_nothing() {
    let mut it = Setup::new(Behaviour { hangs: 1000, ..Behaviour::default() });
    for id in 0..32 {
        assert_eq!(it.read(id, 0, 512), Ok(Progress::Done));
    }
    for _ in 0..1000 {
        assert_eq!(it.read(99, 0, 512), Ok(Progress::Partial(0)));
    }
    assert_eq!((it.model.most_under_way(), it.model.commands()), (32, 1));
    assert_eq!(it.model.complaints(), [""; 0]);
}

#[test]
fn clause_6_end_is_reported_again_and_again() {
    let mut it = Setup::new(Behaviour::default());
    it.model.remove();
    for _ in 0..3 {
        assert_eq!(it.channel.recv(&mut it.incoming), Err(ChannelError::PeerDied));
        assert!(it.channel.is_over() && it.channel.ready());
        assert_eq!(it.read(1, 0, 512), Err(ChannelError::PeerDied));
    }
}

#[test]
fn clause_6_calls_that_no_client_sends_are_errors() {
    let mut it = Setup::new(Behaviour::default());
    for (number, words) in [(READ_RESPONSE, &[0; 2][..]), (1000, &[0; 2]), (READ, &[0])] {
        let sent = it.send(number, words, &mut Vec::new());
        assert!(matches!(sent, Err(ChannelError::Protocol(_))), "{number}: {sent:?}");
    }
    assert_eq!(it.send(RUNTIME_MESSAGE, &[2, 7], &mut Vec::new()), Ok(Progress::Done));
    assert_eq!(it.read(1, 0, 512), Ok(Progress::Done));
    assert_eq!(it.receive(), 1);
}

#[test]
fn clause_7_closed_end_sends_and_receives_nothing() {
    let mut it = Setup::new(Behaviour::default());
    assert_eq!(it.read(1, 0, 512), Ok(Progress::Done));
    it.channel.close();
    it.channel.close();
    assert_eq!(it.read(2, 0, 512), Err(ChannelError::Closed));
    assert_eq!(it.channel.recv(&mut it.incoming), Err(ChannelError::Closed));
}

/// Counts wake-ups.
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(&self, _: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn peer_gone(&self, _: u64, _: Gone) {}
}

#[test]
fn clause_8_armed_end_is_ready_or_woken() {
    let mut it = Setup::new(Behaviour { max_delay: 5, ..Behaviour::default() });
    assert!(matches!(it.channel.readiness(), Readiness::Polled));
    let count = Arc::new(Count(AtomicU64::new(0)));
    let woken = || count.0.swap(0, Ordering::SeqCst) > 0;
    let notifier = it.channel.notifier().expect("it has one");
    notifier.retarget(Arc::clone(&count) as Arc<dyn Wake>, 0);
    it.channel.arm();
    assert!(!it.channel.ready() && !woken());
    assert_eq!(it.channel.sleep_limit(), None);
    // The waitset sleeps without a limit, and a command is under way all at once.
    assert_eq!(it.read(1, 0, 512), Ok(Progress::Done));
    assert!(woken());
    assert!(it.channel.sleep_limit().is_some());
    let mut looks = 0;
    while !it.channel.ready() {
        it.channel.arm();
        looks += 1;
        assert!(looks < 100 && (woken() || it.channel.ready()));
    }
    assert_eq!(it.receive(), 1);
    // A call that is refused has its answer at once.
    it.channel.arm();
    assert!(!it.channel.ready());
    woken();
    assert_eq!(it.read(2, 0, 7), Ok(Progress::Done));
    assert!(woken() && it.channel.ready());
    it.channel.disarm();
}

/// A model that wakes nobody.
struct Silent(Model);

impl Hba for Silent {
    fn read(&mut self, offset: u32) -> u32 {
        self.0.read(offset)
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.0.write(offset, value);
    }

    fn dma_memory(&self) -> (u64, usize) {
        self.0.dma_memory()
    }

    fn dma_read(&mut self, offset: usize, bytes: &mut [u8]) {
        self.0.dma_read(offset, bytes);
    }

    fn dma_write(&mut self, offset: usize, bytes: &[u8]) {
        self.0.dma_write(offset, bytes);
    }

    fn interrupted(&mut self) -> bool {
        self.0.interrupted()
    }

    fn set_notifier(&mut self, _: Notifier) {}

    fn arm(&mut self) {}
}

#[test]
fn clause_8_send_of_an_end_that_sleeps_without_a_limit_wakes_it() {
    let port = Port::open(Silent(Model::new(64)), 0).expect("there is a disk");
    let mut channel = port.channel(INTERFACE).expect("the port is free");
    let count = Arc::new(Count(AtomicU64::new(0)));
    let notifier = channel.notifier().expect("it has one");
    notifier.retarget(Arc::clone(&count) as Arc<dyn Wake>, 0);
    channel.arm();
    assert_eq!((channel.sleep_limit(), count.0.load(Ordering::SeqCst)), (None, 0));
    let body = Gather::words_only(&[0, 512 << 32]);
    let mut read = Outgoing { number: READ, body, caps: &mut Vec::new(), cap_count: 0 };
    assert_eq!(channel.send(&mut read, 0), Ok(Progress::Done));
    // The time in which the command has to end is a limit from now on.
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert!(channel.sleep_limit().is_some());
}

#[test]
fn clause_10_end_with_nothing_to_do_is_not_ready() {
    let mut it =
        Setup::new(Behaviour { seed: 1, max_delay: 9, spurious: 300, ..Behaviour::default() });
    for id in 0..200 {
        assert!((0..20).any(|_| !it.channel.ready()), "ready for ever");
        assert_eq!(it.read(id, 0, 1024), Ok(Progress::Done));
        assert!((0..1000).any(|_| it.channel.ready()), "never ready");
        assert_eq!(it.receive(), id);
    }
}
