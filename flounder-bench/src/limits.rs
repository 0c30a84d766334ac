//! Limits: time that hardware and kernel need for the same work, without any code of flounder.

use std::fmt;
use std::hint::black_box;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flounder::drivers::ump::DEFAULT_BUFFER;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recv, recvmsg, send,
    sendmsg, shutdown, socketpair,
};
use rustix::thread::futex;

use crate::error::Result;
use crate::machine::{Core, pin};
use crate::ring::{Expect, PingPong, Receiver, Ring, Sender, Wait};
use crate::sample::{Amount, Guard, Probe, Sample};
use crate::work::Work;

/// Lines of a raw ring, as many as `ump` has by default.
const LINES: usize = DEFAULT_BUFFER / 64;

/// Maximum length of a datagram in bytes; longer data is sent in several.
const DATAGRAM: usize = 32 << 10;

/// Operations of the ping-pong that measures the distance of the cores.
const GUARD: Amount = Amount { warm: 50, batches: 8, each: 25, singles: 0 };

/// The ping-pong ends after this time once other work has held a core.
const GUARD_TIME: Duration = Duration::from_millis(5);

/// A limit that figures are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// One cache line there and one back.
    Line,
    /// One message per line of a ring, one way.
    Ring,
    /// This many bytes through a ring and back through another.
    Fragments(usize),
    /// A stream of messages of this many bytes through a ring.
    FragmentStream(usize),
    /// A copy of this many bytes.
    Memcpy(usize),
    /// Two threads that wake each other with a futex; the woken one sleeps before each wake-up.
    Futex,
    /// Two threads that wake each other with an eventfd; the woken one sleeps before each wake-up.
    Eventfd,
    /// This many bytes through a socket and back, polled.
    Seqpacket(usize),
    /// A stream of messages of this many bytes through a socket, polled.
    SeqpacketStream(usize),
    /// Eight bytes through a socket and back; both sides block.
    SeqpacketBlocking,
    /// Eight bytes through a socket and back; the receiver sleeps before each message.
    SeqpacketWake,
    /// A descriptor through a socket and back, polled.
    SeqpacketDescriptor,
}

impl Limit {
    /// Limits that are measured even without a figure to compare.
    pub(crate) const OWN: [Self; 9] = [
        Self::Line,
        Self::Ring,
        Self::Memcpy(64 << 10),
        Self::Memcpy(1 << 20),
        Self::Futex,
        Self::Eventfd,
        Self::Seqpacket(8),
        Self::SeqpacketBlocking,
        Self::SeqpacketWake,
    ];

    /// Returns the limit of a driver at some work. Other drivers than those named here are compared with the hardware.
    pub(crate) fn of(driver: &str, work: Work) -> Option<Self> {
        Some(match (driver, work) {
            (_, Work::Bind) | ("loopback", Work::Rpc | Work::RpcAsync | Work::Cap) => return None,
            ("loopback", Work::RoundTrip(size) | Work::Stream(size)) => {
                if size < 64 << 10 {
                    return None;
                }
                Self::Memcpy(size)
            }
            ("lmp", Work::RoundTrip(size)) => Self::Seqpacket(size),
            ("lmp", Work::Rpc | Work::RpcAsync) => Self::Seqpacket(8),
            ("lmp", Work::Stream(size)) => Self::SeqpacketStream(size),
            ("lmp", Work::Blocking) => Self::SeqpacketBlocking,
            ("lmp", Work::Wake | Work::Paced) => Self::SeqpacketWake,
            (_, Work::RoundTrip(8 | 56) | Work::Rpc | Work::RpcAsync) => Self::Line,
            (_, Work::RoundTrip(size)) => Self::Fragments(size),
            (_, Work::Stream(8 | 56)) => Self::Ring,
            (_, Work::Stream(size)) => Self::FragmentStream(size),
            (_, Work::Wake | Work::Paced | Work::Blocking) => Self::Eventfd,
            (_, Work::Cap) => Self::SeqpacketDescriptor,
        })
    }

    /// Returns the length of a message in bytes, for limits with several.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            Self::Fragments(size)
            | Self::FragmentStream(size)
            | Self::Memcpy(size)
            | Self::Seqpacket(size)
            | Self::SeqpacketStream(size) => Some(size),
            Self::Line
            | Self::Ring
            | Self::Futex
            | Self::Eventfd
            | Self::SeqpacketBlocking
            | Self::SeqpacketWake
            | Self::SeqpacketDescriptor => None,
        }
    }

    /// Returns the measurement, with the other thread on `core`.
    pub(crate) fn probe(self, core: Core) -> Probe {
        match self {
            Self::Line => Box::new(move |amount| line(core, amount)),
            Self::Ring => Box::new(move |amount| ring(core, amount)),
            Self::Fragments(size) => Box::new(move |amount| fragments(core, size, amount)),
            Self::FragmentStream(size) => {
                Box::new(move |amount| fragment_stream(core, size, amount))
            }
            Self::Memcpy(size) => {
                let (from, mut to) = (vec![1_u8; size], vec![0; size]);
                Box::new(move |amount| {
                    amount.time(|| {
                        to.copy_from_slice(black_box(&from));
                        black_box(&mut to);
                        Ok(())
                    })
                })
            }
            Self::Futex => Box::new(move |amount| futex_ping_pong(core, amount)),
            Self::Eventfd => Box::new(move |amount| eventfd_ping_pong(core, amount)),
            Self::Seqpacket(size) => {
                Box::new(move |amount| seqpacket(core, size, Waiting::Polls, amount))
            }
            Self::SeqpacketStream(size) => {
                Box::new(move |amount| seqpacket_stream(core, size, amount))
            }
            Self::SeqpacketBlocking => {
                Box::new(move |amount| seqpacket(core, 8, Waiting::Blocks, amount))
            }
            Self::SeqpacketWake => {
                Box::new(move |amount| seqpacket(core, 8, Waiting::Sleeps, amount))
            }
            Self::SeqpacketDescriptor => Box::new(move |amount| seqpacket_descriptor(core, amount)),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "raw line",
            Self::Ring => "raw ring",
            Self::Fragments(_) => "raw fragments",
            Self::FragmentStream(_) => "raw fragments, one way",
            Self::Memcpy(_) => "memcpy",
            Self::Futex => "futex wake-up",
            Self::Eventfd => "eventfd wake-up",
            Self::Seqpacket(_) => "raw seqpacket, polled",
            Self::SeqpacketStream(_) => "raw seqpacket, one way",
            Self::SeqpacketBlocking => "raw seqpacket, blocking",
            Self::SeqpacketWake => "raw seqpacket, wake-up",
            Self::SeqpacketDescriptor => "raw seqpacket, descriptor",
        })?;
        self.size().map_or(Ok(()), |size| write!(f, ", {}", crate::work::Size(size)))
    }
}

/// Measures a raw round trip. Ends early if other work holds a core.
pub(crate) fn guard(core: Core) -> Result<Guard> {
    let (lines, mut number, started) = (PingPong::new(), 0, Instant::now());
    beside(
        core,
        || lines.answer(),
        || {
            let sample = GUARD.time(|| {
                number += 1;
                if lines.round_trip(number) && started.elapsed() > GUARD_TIME {
                    return Err("the cores are busy".into());
                }
                Ok(())
            });
            lines.stop();
            Ok(sample.map_or(Guard::Busy, |sample| Guard::Free(sample.typical())))
        },
    )
}

/// Runs `job` on another core while `body` runs here.
fn beside<T>(core: Core, job: impl FnOnce() + Send, body: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        scope.spawn(move || {
            // Cannot fail: the main thread could be pinned to both cores.
            let _ = pin(core);
            job();
        });
        body()
    })
}

fn line(core: Core, amount: Amount) -> Result<Sample> {
    let (lines, mut number) = (PingPong::new(), 0);
    beside(
        core,
        || lines.answer(),
        || {
            let sample = amount.time(|| {
                number += 1;
                lines.round_trip(number);
                Ok(())
            });
            lines.stop();
            sample
        },
    )
}

/// Number of operations that the other thread has done, to wait for the end of a batch.
struct Finish(AtomicU64);

impl Finish {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn reach(&self, count: u64) {
        // SYNC finish: pairs with the Acquire in `wait`.
        self.0.store(count, Ordering::Release);
    }

    fn wait(&self, count: u64) {
        let mut wait = Wait::default();
        while self.0.load(Ordering::Acquire) != count {
            wait.pause();
        }
    }
}

/// Times a stream: this thread calls `send` for each message, the other one `receive`.
fn stream(
    core: Core,
    amount: Amount,
    mut send: impl FnMut() -> Result,
    mut receive: impl FnMut() + Send,
) -> Result<Sample> {
    let (finish, mut sent) = (Finish::new(), 0);
    let receive_all = || {
        let mut received = 0;
        for count in amount.runs() {
            (0..count).for_each(|_| receive());
            received += count;
            finish.reach(received);
        }
    };
    beside(core, receive_all, || {
        amount.time_whole(|count| {
            let started = Instant::now();
            for _ in 0..count {
                send()?;
            }
            sent += count;
            finish.wait(sent);
            Ok(started.elapsed())
        })
    })
}

/// Runs a stream with each way of waiting and returns the fastest: the best way depends on the distance of the cores.
fn fastest(mut run: impl FnMut(Expect) -> Result<Sample>) -> Result<Sample> {
    let [first, others @ ..] = Expect::STREAMS;
    others.into_iter().try_fold(run(first)?, |best, expect| {
        let other = run(expect)?;
        Ok(if other.typical() < best.typical() { other } else { best })
    })
}

fn ring(core: Core, amount: Amount) -> Result<Sample> {
    fastest(|expect| {
        let ring = Ring::new(LINES);
        let (mut sender, mut receiver) = (Sender::new(&ring), Receiver::new(&ring, expect));
        let mut number = 0;
        let send = || {
            number += 1;
            sender.send([number; 7]);
            Ok(())
        };
        stream(core, amount, send, || {
            black_box(receiver.receive());
        })
    })
}

fn fragment_stream(core: Core, size: usize, amount: Amount) -> Result<Sample> {
    fastest(|expect| {
        let (ring, data, mut received) = (Ring::new(LINES), vec![1; size], Vec::new());
        let (mut sender, mut receiver) = (Sender::new(&ring), Receiver::new(&ring, expect));
        let send = || {
            sender.send_bytes(black_box(&data));
            Ok(())
        };
        stream(core, amount, send, || {
            receiver.receive_bytes(&mut received);
            black_box(&received);
        })
    })
}

fn fragments(core: Core, size: usize, amount: Amount) -> Result<Sample> {
    let (there, back) = (Ring::new(LINES), Ring::new(LINES));
    let (mut sender, mut receiver) = (Sender::new(&there), Receiver::new(&back, Expect::One));
    let (data, mut returned) = (vec![1; size], Vec::new());
    let answer = || {
        let (mut receiver, mut sender) = (Receiver::new(&there, Expect::One), Sender::new(&back));
        let mut bytes = Vec::new();
        loop {
            receiver.receive_bytes(&mut bytes);
            if bytes.is_empty() {
                return;
            }
            sender.send_bytes(&bytes);
        }
    };
    beside(core, answer, || {
        let sample = amount.time(|| {
            sender.send_bytes(black_box(&data));
            receiver.receive_bytes(&mut returned);
            black_box(&returned);
            Ok(())
        });
        sender.send_bytes(&[]);
        sample
    })
}

const FUTEX_PING: u32 = 1;
const FUTEX_PONG: u32 = 2;
const FUTEX_STOP: u32 = 3;

fn futex_ping_pong(core: Core, amount: Amount) -> Result<Sample> {
    let word = AtomicU32::new(0);
    let turn = |value| {
        word.store(value, Ordering::Release);
        // Zero waiting threads are no error.
        let _ = futex::wake(&word, futex::Flags::PRIVATE, 1);
    };
    let wait = |value| {
        // The caller checks the word again after an early return.
        let _ = futex::wait(&word, futex::Flags::PRIVATE, value, None);
    };
    let answer = || loop {
        match word.load(Ordering::Acquire) {
            FUTEX_PING => turn(FUTEX_PONG),
            FUTEX_STOP => return,
            other => wait(other),
        }
    };
    beside(core, answer, || {
        let sample = amount.time_asleep(|| {
            turn(FUTEX_PING);
            while word.load(Ordering::Acquire) != FUTEX_PONG {
                wait(FUTEX_PING);
            }
            Ok(())
        });
        turn(FUTEX_STOP);
        sample
    })
}

fn eventfd_ping_pong(core: Core, amount: Amount) -> Result<Sample> {
    const STOP: u64 = 1 << 32;
    let (ping, pong) = (eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?);
    let add = |fd: &OwnedFd, count: u64| -> Result<(), Errno> {
        rustix::io::write(fd, &count.to_ne_bytes()).map(drop)
    };
    let take = |fd: &OwnedFd| -> Result<u64, Errno> {
        let mut count = [0; 8];
        rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut count))?;
        Ok(u64::from_ne_bytes(count))
    };
    let answer = || {
        while take(&ping).is_ok_and(|count| count < STOP) && add(&pong, 1).is_ok() {}
    };
    beside(core, answer, || {
        let sample = amount.time_asleep(|| {
            add(&ping, 1)?;
            take(&pong)?;
            Ok(())
        });
        add(&ping, STOP)?;
        sample
    })
}

/// Way in which an end of a socket waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Polls,
    Blocks,
    /// Blocks; the client gives the other end time to fall asleep first.
    Sleeps,
}

/// An end of a socket.
struct Socket<'a> {
    fd: BorrowedFd<'a>,
    waiting: Waiting,
}

impl Socket<'_> {
    /// Repeats a call until it succeeds or fails for another reason than an empty or full socket.
    fn poll<T>(&self, mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        let mut wait = Wait::default();
        loop {
            match call() {
                Err(Errno::AGAIN | Errno::INTR) => wait.pause(),
                result => return result,
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let flags = match self.waiting {
            Waiting::Polls => SendFlags::DONTWAIT,
            Waiting::Blocks | Waiting::Sleeps => SendFlags::empty(),
        };
        bytes
            .chunks(DATAGRAM)
            .try_for_each(|chunk| self.poll(|| send(self.fd, chunk, flags)).map(drop))
    }

    /// Returns false at the end of the stream.
    fn receive(&self, bytes: &mut [u8]) -> Result<bool, Errno> {
        let flags = match self.waiting {
            Waiting::Polls => RecvFlags::DONTWAIT,
            Waiting::Blocks | Waiting::Sleeps => RecvFlags::empty(),
        };
        for chunk in bytes.chunks_mut(DATAGRAM) {
            if self.poll(|| recv(self.fd, &mut *chunk, flags))?.0 == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn send_descriptor(&self, descriptor: &OwnedFd) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let descriptors = [descriptor.as_fd()];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let data = [IoSlice::new(&[0; 8])];
        self.poll(|| sendmsg(self.fd, &data, &mut control, SendFlags::DONTWAIT)).map(drop)
    }

    /// Returns `None` at the end of the stream.
    fn receive_descriptor(&self) -> Result<Option<OwnedFd>, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut data = [0; 8];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        self.poll(|| {
            let mut data = [std::io::IoSliceMut::new(&mut data)];
            recvmsg(self.fd, &mut data, &mut control, flags)
        })?;
        let mut messages = control.drain();
        Ok(messages.find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        }))
    }
}

fn sockets() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

fn seqpacket(core: Core, size: usize, waiting: Waiting, amount: Amount) -> Result<Sample> {
    let (near, far) = sockets()?;
    let mut data = vec![1; size];
    let answer = || {
        let (far, mut data) = (Socket { fd: far.as_fd(), waiting }, vec![0; size]);
        while far.receive(&mut data) == Ok(true) && far.send(&data).is_ok() {}
    };
    beside(core, answer, || {
        let socket = Socket { fd: near.as_fd(), waiting };
        let there_and_back = || {
            socket.send(&data)?;
            socket.receive(&mut data)?;
            Ok(())
        };
        let sample = match waiting {
            Waiting::Sleeps => amount.time_asleep(there_and_back),
            Waiting::Polls | Waiting::Blocks => amount.time(there_and_back),
        };
        shutdown(&near, Shutdown::Both)?;
        sample
    })
}

fn seqpacket_stream(core: Core, size: usize, amount: Amount) -> Result<Sample> {
    let (near, far) = sockets()?;
    let (data, mut received) = (vec![1; size], vec![0; size]);
    let near = Socket { fd: near.as_fd(), waiting: Waiting::Polls };
    let far = Socket { fd: far.as_fd(), waiting: Waiting::Polls };
    stream(
        core,
        amount,
        || Ok(near.send(&data)?),
        || {
            // The sender sees the same error.
            let _ = far.receive(&mut received);
        },
    )
}

fn seqpacket_descriptor(core: Core, amount: Amount) -> Result<Sample> {
    let (near, far) = sockets()?;
    let mut traveller = Some(memfd_create("flounder bench", MemfdFlags::CLOEXEC)?);
    let answer = || {
        let far = Socket { fd: far.as_fd(), waiting: Waiting::Polls };
        while let Ok(Some(descriptor)) = far.receive_descriptor() {
            if far.send_descriptor(&descriptor).is_err() {
                return;
            }
        }
    };
    beside(core, answer, || {
        let socket = Socket { fd: near.as_fd(), waiting: Waiting::Polls };
        let sample = amount.time(|| {
            if let Some(descriptor) = traveller.take() {
                socket.send_descriptor(&descriptor)?;
            }
            traveller = socket.receive_descriptor()?;
            traveller.is_some().then_some(()).ok_or_else(|| "a descriptor was lost".into())
        });
        shutdown(&near, Shutdown::Both)?;
        sample
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_can_be_measured() {
        let limits = [
            Limit::Fragments(1000),
            Limit::FragmentStream(1000),
            Limit::Seqpacket(100_000),
            Limit::SeqpacketStream(100_000),
            Limit::SeqpacketDescriptor,
        ];
        for limit in limits.into_iter().chain(Limit::OWN) {
            let mut probe = limit.probe(Core::any());
            let sample = probe(Amount { warm: 1, batches: 1, each: 2, singles: 1 });
            assert!(sample.expect("nothing fails").typical() > 0.0, "{limit}");
        }
    }

    #[test]
    fn a_driver_that_nobody_knows_has_limits() {
        for work in Work::ALL {
            assert_eq!(Limit::of("new", work).is_some(), work != Work::Bind, "{work}");
        }
    }
}
