//! Channels between two processes: this test program, and itself run again as a child.
//!
//! Parent and child are each other's brokers: terms and capabilities go over a Unix socket, which the child finds as its
//! standard input.

use std::io;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flounder_conformance::{LIMITS, SocketLink, WakeCounter};
use flounder_drivers::registry;
use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, End, Incoming, Link, Outgoing, Progress, Readiness, Recv,
};
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

const PATIENCE: Duration = Duration::from_secs(20);
const CONNECTION: u64 = 42;

/// What the child does, by the name of the test.
const ROLE: &str = "FLOUNDER_TEST_CHILD";
const DRIVER: &str = "FLOUNDER_TEST_DRIVER";

// ---- one end, with a waitset to sleep in ----------------------------------------------------------------------------------

struct Side {
    channel: Box<dyn Channel + Send>,
    wakes: Arc<WakeCounter>,
    waitset: Waitset,
    incoming: Incoming,
}

impl Side {
    fn new(mut channel: Box<dyn Channel + Send>, wakes: Arc<WakeCounter>) -> Self {
        let waitset = Waitset::new();
        channel.attached(&waitset).unwrap();
        Self { channel, wakes, waitset, incoming: Incoming::new(LIMITS) }
    }

    /// Sleeps until there is something to do.
    fn sleep(&mut self) {
        let before = self.wakes.count();
        arm_then_barrier(|| self.channel.arm());
        if !self.channel.ready() {
            match self.channel.readiness() {
                Readiness::Polled => {
                    assert!(
                        self.wakes.came_after(before, &self.waitset),
                        "asleep for good: a wake-up was lost"
                    );
                }
                Readiness::Fds(fds) => {
                    // Not for long: the next step may also be for the broker to take.
                    let slice = Timespec { tv_sec: 0, tv_nsec: 200_000 };
                    poll(&mut [PollFd::new(&fds.arrivals, PollFlags::IN)], Some(&slice)).unwrap();
                }
            }
        }
        self.channel.disarm();
    }

    fn send(&mut self, number: u16, words: &[u64], mut caps: Vec<Cap>) -> Result<(), ChannelError> {
        let (cap_count, mut from) = (caps.len(), 0);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let body = Gather::words_only(words);
            match self
                .channel
                .send(&mut Outgoing { number, body, caps: &mut caps, cap_count }, from)?
            {
                Progress::Done => return Ok(()),
                Progress::Partial(taken) => from = taken,
            }
            assert!(Instant::now() < deadline, "full for good");
            self.sleep();
        }
    }

    fn recv(&mut self) -> Result<(), ChannelError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.channel.recv(&mut self.incoming)? {
                Recv::Message => return Ok(()),
                Recv::More => {}
                Recv::Empty => self.sleep(),
            }
            assert!(Instant::now() < deadline, "empty for good");
        }
    }
}

/// Runs this program again, in `role`, and connects to it with `driver`.
fn with_child(role: &str, driver: &str) -> (Side, Child, Arc<SocketLink>) {
    let (mine, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(DRIVER, driver)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let link = SocketLink::new(mine);
    let (wakes, end) = WakeCounter::new();
    let end = End { connection: CONNECTION, buffer: 8192, ..end };
    let as_link: Arc<dyn Link> = Arc::clone(&link) as _;
    let (offer, offered) = registry::find(driver).unwrap().offer(&end, &as_link).unwrap();
    link.put(&offer.words, &offer.caps);
    drop(offer);
    let channel = offered.complete(link.get().unwrap()).unwrap();
    link.serve();
    (Side::new(channel, wakes), child, link)
}

/// Not a test by itself: what the second process does.
#[test]
fn child() {
    let (Ok(role), Ok(driver)) = (std::env::var(ROLE), std::env::var(DRIVER)) else { return };
    let link = SocketLink::new(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let (wakes, end) = WakeCounter::new();
    let end = End { connection: CONNECTION, buffer: 16384, ..end };
    let as_link: Arc<dyn Link> = Arc::clone(&link) as _;
    let connector = registry::find(&driver).unwrap();
    let (channel, answer) = connector.accept(&end, &as_link, link.get().unwrap()).unwrap();
    link.put(&answer.words, &answer.caps);
    drop(answer);
    link.serve();
    let mut side = Side::new(channel, wakes);
    match role.as_str() {
        "echo" => {
            while let Ok(()) = side.recv() {
                let words = side.incoming.words().to_vec();
                let (number, caps) = (side.incoming.number(), side.incoming.take_caps());
                side.send(number, &words, caps).unwrap();
            }
        }
        "die" => {
            for word in 0..10 {
                side.send(1, &[word], vec![]).unwrap();
            }
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .unwrap();
        }
        "stream" => {
            let mut words = Vec::new();
            for number in 0.. {
                body(&driver, number, &mut words);
                if side.send(1, &words, vec![]).is_err() {
                    return;
                }
            }
        }
        other => panic!("no such role: {other}"),
    }
}

fn finish(mut child: Child) {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the child does not end");
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn echoes(driver: &str) {
    let (mut side, child, _link) = with_child("echo", driver);
    for round in 0..2000_u64 {
        let words: Vec<u64> = (0..[1, 0, 7, 8, 40, longest(driver)][round as usize % 6])
            .map(|word| round << 20 | word)
            .collect();
        let count = [0, 0, 1, 0, 3][round as usize % 5];
        let pipes: Vec<_> = (0..count).map(|_| io::pipe().unwrap().0).collect();
        let inodes: Vec<_> = pipes.iter().map(inode).collect();
        let number = if count > 0 { 2 } else { 1 };
        side.send(number, &words, pipes.into_iter().map(Cap::from).collect()).unwrap();
        side.recv().unwrap();
        assert_eq!(
            (side.incoming.number(), side.incoming.words()),
            (number, &words[..]),
            "message {round}"
        );
        let back: Vec<_> = side.incoming.take_caps().iter().map(inode).collect();
        assert_eq!(back, inodes, "capabilities of message {round}");
    }
    side.channel.close();
    finish(child);
    assert_eq!(side.recv(), Err(ChannelError::Closed));
}

#[test]
fn echoes_over_ump() {
    echoes("ump");
}

#[test]
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
fn echoes_over_scc() {
    echoes("scc");
}

#[cfg(feature = "beehive")]
#[test]
fn echoes_over_beehive() {
    echoes("beehive");
}

#[test]
fn echoes_over_lmp() {
    echoes("lmp");
}

#[test]
fn messages_sent_before_death_arrive_over_lmp() {
    let (mut side, child, _link) = with_child("die", "lmp");
    for word in 0..10 {
        side.recv().unwrap();
        assert_eq!(side.incoming.words(), [word]);
    }
    assert_eq!(side.recv(), Err(ChannelError::PeerDied));
    finish(child);
}

#[test]
fn messages_sent_before_death_arrive_over_memory() {
    for driver in ["ump"]
        .into_iter()
        .chain(cfg!(feature = "beehive").then_some("beehive"))
        .chain(cfg!(all(feature = "scc", target_arch = "x86_64")).then_some("scc"))
    {
        what_was_sent_before_death_arrives_over(driver);
    }
}

fn what_was_sent_before_death_arrives_over(driver: &str) {
    let (mut side, child, _link) = with_child("die", driver);
    finish(child);
    for word in 0..10 {
        side.recv().unwrap();
        assert_eq!(side.incoming.words(), [word]);
    }
    // Memory does not show a death; the broker reports it.
    assert_eq!(side.channel.recv(&mut side.incoming), Ok(Recv::Empty));
    assert_eq!(side.channel.recv(&mut side.incoming), Ok(Recv::Empty));
}

/// The words of message `number` of a stream.
fn body(driver: &str, number: u64, words: &mut Vec<u64>) {
    words.clear();
    words.extend(
        (0..[1, 7, 8, 100, longest(driver)][number as usize % 5]).map(|word| number << 20 | word),
    );
}

/// Words of the longest messages: a channel of beehive has 28 under way at most, and both processes sleep for each of them;
/// every line of scc goes all the way to memory and back.
fn longest(driver: &str) -> u64 {
    match driver {
        "beehive" => 300,
        "scc" => 1000,
        _ => 5000,
    }
}

/// A peer is killed in the middle of a stream, again and again: what has arrived is the beginning of what it sent, whole.
fn killed_in_the_middle(driver: &str) {
    for round in 0..10 {
        let (mut side, mut child, _link) = with_child("stream", driver);
        let mut words = Vec::new();
        let mut number = 0;
        while number < round * 37 + 1 {
            side.recv().unwrap();
            body(driver, number, &mut words);
            assert_eq!(side.incoming.words(), words, "message {number}");
            number += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let end = loop {
            match side.channel.recv(&mut side.incoming) {
                Ok(Recv::Message) => {
                    body(driver, number, &mut words);
                    assert_eq!(side.incoming.words(), words, "message {number}");
                    number += 1;
                }
                Ok(Recv::More) => {}
                end => break end,
            }
        };
        // Memory does not show a death; a socket does.
        let expected = if driver == "lmp" { Err(ChannelError::PeerDied) } else { Ok(Recv::Empty) };
        assert_eq!(end, expected);
    }
}

#[test]
fn killed_in_the_middle_over_ump() {
    killed_in_the_middle("ump");
}

#[test]
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
fn killed_in_the_middle_over_scc() {
    killed_in_the_middle("scc");
}

#[cfg(feature = "beehive")]
#[test]
fn killed_in_the_middle_over_beehive() {
    killed_in_the_middle("beehive");
}

#[test]
fn killed_in_the_middle_over_lmp() {
    killed_in_the_middle("lmp");
}

/// One doorbell serves all channels between two processes, and a ring finds its channel among thousands.
#[test]
fn one_of_many_sleepers_is_woken() {
    use flounder_conformance::TestLink;
    use flounder_drivers::ump::Ump;
    let (here, there) = TestLink::pair();
    let waitset = Waitset::new();
    let mut channels: Vec<_> = (0..1000)
        .map(|connection| {
            let (wakes, end) = WakeCounter::new();
            let service_end = End { connection, buffer: 4096, ..end };
            let client_end = End { connection, buffer: 4096, ..WakeCounter::new().1 };
            let (client, mut service) =
                TestLink::connect_over(&Ump, &client_end, &service_end, &here, &there);
            service.attached(&waitset).unwrap();
            (client, service, wakes)
        })
        .collect();
    // The first client rings once, so that its own copies of its doorbell can go.
    assert!(channels[0].2.came_after(0, &waitset), "the first bind does not ring");
    arm_then_barrier(|| channels.iter_mut().for_each(|(_, service, _)| service.arm()));
    for chosen in [0, 999, 500, 17, 500] {
        let before: usize = channels.iter().map(|(_, _, wakes)| wakes.count()).sum();
        let (client, service, wakes) = &mut channels[chosen];
        assert!(!service.ready());
        let own = wakes.count();
        let body = Gather::words_only(&[7]);
        let mut message = Outgoing { number: 1, body, caps: &mut Vec::new(), cap_count: 0 };
        assert_eq!(client.send(&mut message, 0), Ok(Progress::Done));
        assert!(wakes.came_after(own, &waitset), "channel {chosen} sleeps on");
        assert_eq!(service.recv(&mut Incoming::new(LIMITS)), Ok(Recv::Message));
        arm_then_barrier(|| service.arm());
        let after: usize = channels.iter().map(|(_, _, wakes)| wakes.count()).sum();
        assert_eq!(after, before + 1, "others were woken with channel {chosen}");
    }
}

/// A thousand channels to one process cost no descriptor but those of the link.
#[test]
fn channels_of_ump_hold_no_descriptors() {
    use flounder_conformance::TestLink;
    use flounder_drivers::ump::Ump;
    let (here, there) = TestLink::pair();
    let ends = || End { buffer: 4096, ..WakeCounter::new().1 };
    let link_descriptors = || {
        let names = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = names.filter_map(|name| std::fs::read_link(name.unwrap().path()).ok());
        targets.filter(|target| target.to_string_lossy().contains("memfd:flounder")).count()
    };
    let mut channels = Vec::new();
    // The first offer still holds a descriptor of the log, which the second one shows to be needless.
    for _ in 0..200 {
        channels.push(TestLink::connect_over(&Ump, &ends(), &ends(), &here, &there));
    }
    // Other tests of this process may be connecting at this moment: a handful, not hundreds.
    assert!(link_descriptors() < 20, "{} descriptors of memory are held", link_descriptors());
}

fn inode(fd: &impl AsFd) -> u64 {
    rustix::fs::fstat(fd).unwrap().st_ino
}
