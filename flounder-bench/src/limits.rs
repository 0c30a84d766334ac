//! Limits: time that hardware and kernel need for the same work, without any code of flounder.

use std::fmt;
use std::hint::black_box;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recv, recvmsg, send,
    sendmsg, shutdown, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::futex;

use crate::error::Result;
use crate::machine::{Core, Cores, pin};
use crate::over::{FRAME_SLOTS, fill};
use crate::ring::{PingPong, Receiver, Ring, Sender, Style, Wait};
use crate::sample::{Amount, Guard, Probe, Sample};
use crate::work::Work;

/// Maximum length of a datagram in bytes; longer data is sent in several.
const DATAGRAM: usize = 32 << 10;

/// Length of a message that fits in a line, in bytes.
const LINE_BYTES: usize = 8;

/// Operations of the ping-pong that measures the distance of the cores.
const GUARD: Amount = Amount { warm: 50, batches: 8, each: 25, singles: 0 };

/// The ping-pong ends after this time once other work has held a core.
const GUARD_TIME: Duration = Duration::from_millis(5);

/// A limit that figures are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// One cache line there and one back.
    Line,
    /// A stream of messages of one line with this many words through a ring.
    Ring(usize, Style),
    /// This many bytes through a ring and back through another.
    Fragments(usize, Style),
    /// A stream of messages of this many bytes through a ring.
    FragmentStream(usize, Style),
    /// A stream of frames of this many bytes in buffers of two threads, as many as this, filled and summed in place; a flag
    /// announces each.
    Frames(usize, usize),
    /// A frame of this many bytes in a buffer and one back in another, filled and summed in place; a flag announces each.
    FrameRoundTrip(usize),
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
    /// Eight bytes through a pair of datagram sockets and back; both sides block.
    DatagramBlocking,
    /// Eight bytes through a pipe and back through another; both sides block.
    PipeBlocking,
}

impl Limit {
    /// Limits that are measured even without a figure to compare.
    pub(crate) const OWN: [Self; 9] = [
        Self::Line,
        Self::Ring(7, Style::PLAIN),
        Self::Memcpy(64 << 10),
        Self::Memcpy(1 << 20),
        Self::Futex,
        Self::Eventfd,
        Self::Seqpacket(8),
        Self::SeqpacketBlocking,
        Self::SeqpacketWake,
    ];

    /// Limits with both sides on one core.
    pub(crate) const ONE_CORE: [Self; 5] = [
        Self::Futex,
        Self::Eventfd,
        Self::PipeBlocking,
        Self::DatagramBlocking,
        Self::SeqpacketBlocking,
    ];

    /// Returns the limits of a driver at some work; the fastest counts. Other drivers than those named here are compared with
    /// the hardware.
    pub(crate) fn of(driver: &str, work: Work, one_core: bool) -> Vec<Self> {
        let floor = Self::floor(driver, work, one_core);
        let is_plain = |limit: &Self| match limit {
            Self::Ring(_, style) => *style == Style::PLAIN,
            Self::Fragments(LINE_BYTES, _) => false,
            Self::Fragments(_, style) | Self::FragmentStream(_, style) => style.has_default_size(),
            Self::Frames(_, buffers) => *buffers == FRAME_SLOTS,
            _ => true,
        };
        floor.into_iter().filter(is_plain).collect()
    }

    /// Returns what bounds a driver at some work from below: the limits, and further ways to do the same by hand, such as
    /// with larger rings. A figure below the fastest of them shows that they are badly written.
    pub(crate) fn floor(driver: &str, work: Work, one_core: bool) -> Vec<Self> {
        let one = match (driver, work) {
            ("lmp", _) if one_core => Self::SeqpacketBlocking,
            // Not an eventfd: the doorbell of the drivers is a datagram.
            (_, _) if one_core => Self::DatagramBlocking,
            // To be compared with each other, and with round trips and streams of messages.
            (
                _,
                Work::Glance(_)
                | Work::Untouched(_)
                | Work::CopiedOut(_)
                | Work::FramesInline(_)
                | Work::CopiedOutInline(_)
                | Work::Blob(_),
            )
            | ("loopback", Work::FrameRoundTrip(_) | Work::Frames(_))
            | (_, Work::Bind | Work::FanIn(_) | Work::SharedTasks(_))
            | ("loopback", Work::Rpc | Work::RpcAsync | Work::Cap) => return Vec::new(),
            ("loopback", Work::RoundTrip(size) | Work::Stream(size)) => {
                if size < 64 << 10 {
                    return Vec::new();
                }
                Self::Memcpy(size)
            }
            (_, Work::FrameRoundTrip(size)) => Self::FrameRoundTrip(size),
            // Fewer buffers stay in the caches, as slots do that are taken last in, first out.
            (_, Work::Frames(size)) => {
                return [1, 2, FRAME_SLOTS].map(|buffers| Self::Frames(size, buffers)).into();
            }
            ("lmp", Work::RoundTrip(size)) => Self::Seqpacket(size),
            ("lmp", Work::Rpc | Work::RpcAsync) => Self::Seqpacket(8),
            ("lmp", Work::Stream(size)) => Self::SeqpacketStream(size),
            ("lmp", Work::Blocking) => Self::SeqpacketBlocking,
            ("lmp", Work::Wake | Work::Paced) => Self::SeqpacketWake,
            (_, Work::RoundTrip(8 | 56) | Work::Rpc | Work::RpcAsync) => {
                // A ring uses another line each time, which on far processors is faster than the same two.
                let rings = Style::ROUND_TRIPS.map(|style| Self::Fragments(LINE_BYTES, style));
                return [Self::Line].into_iter().chain(rings).collect();
            }
            (_, Work::RoundTrip(size)) => {
                return Style::ROUND_TRIPS.map(|style| Self::Fragments(size, style)).into();
            }
            (_, Work::Stream(size @ (8 | 56))) => {
                return Style::STREAMS.map(|style| Self::Ring(size / 8, style)).into();
            }
            (_, Work::Stream(size)) => {
                return Style::STREAMS.map(|style| Self::FragmentStream(size, style)).into();
            }
            (_, Work::Wake | Work::Paced | Work::Blocking) => Self::Eventfd,
            (_, Work::SharedRpc) => Self::Futex,
            (_, Work::Cap) => Self::SeqpacketDescriptor,
        };
        vec![one]
    }

    /// Returns the length of a message in bytes, for limits with several.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            Self::Ring(words, _) => Some(8 * words),
            Self::Fragments(size, _)
            | Self::FragmentStream(size, _)
            | Self::Frames(size, _)
            | Self::FrameRoundTrip(size)
            | Self::Memcpy(size)
            | Self::Seqpacket(size)
            | Self::SeqpacketStream(size) => Some(size),
            Self::Line
            | Self::Futex
            | Self::Eventfd
            | Self::SeqpacketBlocking
            | Self::SeqpacketWake
            | Self::SeqpacketDescriptor
            | Self::DatagramBlocking
            | Self::PipeBlocking => None,
        }
    }

    /// Returns the measurement, with the other thread on the core of the service.
    pub(crate) fn probe(self, cores: Cores) -> Probe {
        let core = cores.service;
        // On one core, a side that spins keeps the other one from falling asleep.
        let sleep = if cores.are_one() { Waiting::Blocks } else { Waiting::Sleeps };
        match self {
            Self::Line => Box::new(move |amount| line(core, amount)),
            Self::Ring(1, style) => Box::new(move |amount| ring::<1>(core, style, amount)),
            Self::Ring(_, style) => Box::new(move |amount| ring::<7>(core, style, amount)),
            Self::Fragments(size, style) => {
                Box::new(move |amount| fragments(core, size, style, amount))
            }
            Self::FragmentStream(size, style) => {
                Box::new(move |amount| fragment_stream(core, size, style, amount))
            }
            Self::Frames(size, buffers) => {
                Box::new(move |amount| frames(core, size, buffers, amount))
            }
            Self::FrameRoundTrip(size) => {
                Box::new(move |amount| frame_round_trip(core, size, amount))
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
            Self::Futex => Box::new(move |amount| futex_ping_pong(core, sleep, amount)),
            Self::Eventfd => Box::new(move |amount| eventfd_ping_pong(core, sleep, amount)),
            Self::Seqpacket(size) => {
                Box::new(move |amount| socket(core, SEQPACKET, size, Waiting::Polls, amount))
            }
            Self::SeqpacketStream(size) => {
                Box::new(move |amount| seqpacket_stream(core, size, amount))
            }
            Self::SeqpacketBlocking => {
                Box::new(move |amount| socket(core, SEQPACKET, 8, Waiting::Blocks, amount))
            }
            Self::SeqpacketWake => {
                Box::new(move |amount| socket(core, SEQPACKET, 8, Waiting::Sleeps, amount))
            }
            Self::SeqpacketDescriptor => Box::new(move |amount| seqpacket_descriptor(core, amount)),
            Self::DatagramBlocking => {
                Box::new(move |amount| socket(core, SocketType::DGRAM, 8, Waiting::Blocks, amount))
            }
            Self::PipeBlocking => Box::new(move |amount| pipe_ping_pong(core, amount)),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "raw line",
            Self::Ring(..) => "raw ring",
            Self::Fragments(..) => "raw fragments",
            Self::FragmentStream(..) => "raw fragments, one way",
            Self::Frames(..) => "raw buffers and a flag, one way",
            Self::FrameRoundTrip(_) => "raw buffers and a flag",
            Self::Memcpy(_) => "memcpy",
            Self::Futex => "futex wake-up",
            Self::Eventfd => "eventfd wake-up",
            Self::Seqpacket(_) => "raw seqpacket, polled",
            Self::SeqpacketStream(_) => "raw seqpacket, one way",
            Self::SeqpacketBlocking => "raw seqpacket, blocking",
            Self::SeqpacketWake => "raw seqpacket, wake-up",
            Self::SeqpacketDescriptor => "raw seqpacket, descriptor",
            Self::DatagramBlocking => "raw datagrams, blocking",
            Self::PipeBlocking => "pipe, blocking",
        })?;
        self.size().map_or(Ok(()), |size| write!(f, ", {}", crate::work::Size(size)))?;
        match self {
            Self::Ring(_, style) | Self::Fragments(_, style) | Self::FragmentStream(_, style) => {
                write!(f, ", {style}")
            }
            Self::Frames(_, buffers) => write!(f, ", {buffers} buffers"),
            _ => Ok(()),
        }
    }
}

/// Measures a raw round trip. Ends early if other work holds a core. Between two sides on one core there is nothing to
/// measure.
pub(crate) fn guard(cores: Cores) -> Result<Guard> {
    if cores.are_one() {
        return Ok(Guard::Free(1.0));
    }
    let core = cores.service;
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

    /// Waits for this number, or a later one.
    fn wait_for(&self, count: u64) {
        let mut wait = Wait::default();
        while self.0.load(Ordering::Acquire) < count {
            wait.pause();
        }
    }
}

/// Times a stream: this thread calls `send` for each message, the other one `receive`, with the number of messages of the
/// batch that are left.
fn stream(
    core: Core,
    amount: Amount,
    mut send: impl FnMut() -> Result,
    mut receive: impl FnMut(u64) + Send,
) -> Result<Sample> {
    let (finish, mut sent) = (Finish::new(), 0);
    let receive_all = || {
        let mut received = 0;
        for count in amount.runs() {
            (0..count).for_each(|done| receive(count - done));
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

fn ring<const WORDS: usize>(core: Core, style: Style, amount: Amount) -> Result<Sample> {
    let ring = Ring::new(style);
    let (mut sender, mut receiver, mut number) = (Sender::new(&ring), Receiver::new(&ring), 0);
    let send = || {
        number += 1;
        sender.send([number; WORDS]);
        Ok(())
    };
    stream(core, amount, send, |left| {
        black_box(receiver.receive::<WORDS>(left));
    })
}

fn fragment_stream(core: Core, size: usize, style: Style, amount: Amount) -> Result<Sample> {
    let (ring, data, mut received) = (Ring::new(style), vec![1; size], Vec::new());
    let (mut sender, mut receiver) = (Sender::new(&ring), Receiver::new(&ring));
    let send = || {
        sender.send_bytes(black_box(&data));
        Ok(())
    };
    stream(core, amount, send, |_| {
        receiver.receive_bytes(&mut received);
        black_box(&received);
    })
}

fn fragments(core: Core, size: usize, style: Style, amount: Amount) -> Result<Sample> {
    let (there, back) = (Ring::new(style), Ring::new(style));
    let (mut sender, mut receiver) = (Sender::new(&there), Receiver::new(&back));
    let (data, mut returned) = (vec![1; size], Vec::new());
    let answer = || {
        let (mut receiver, mut sender) = (Receiver::new(&there), Sender::new(&back));
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

/// A buffer of two threads, which use it in turn, as the flags say. The lock is free whenever it is taken, and costs a few
/// nanoseconds.
struct Buffer(Mutex<Vec<u8>>);

impl Buffer {
    fn new(size: usize) -> Self {
        Self(Mutex::new(vec![0; size]))
    }

    fn fill(&self, seed: u64) -> u64 {
        fill(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), seed)
    }

    fn sum(&self) -> u64 {
        let frame = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (words, _) = frame.as_chunks::<8>();
        words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
    }
}

fn frames(core: Core, size: usize, buffers: usize, amount: Amount) -> Result<Sample> {
    let buffers: Vec<_> = (0..buffers).map(|_| Buffer::new(size)).collect();
    // Numbers of frames that were filled, and summed; the sums go beside the first.
    let (filled, summed) = (Finish::new(), Finish::new());
    let (mut sent, mut received) = (0, 0);
    let send = || {
        let slots = buffers.len() as u64;
        summed.wait_for(sent.max(slots) - slots + u64::from(sent >= slots));
        black_box(buffers[(sent % slots) as usize].fill(sent));
        sent += 1;
        filled.reach(sent);
        Ok(())
    };
    stream(core, amount, send, |_| {
        filled.wait_for(received + 1);
        black_box(buffers[(received % buffers.len() as u64) as usize].sum());
        received += 1;
        summed.reach(received);
    })
}

fn frame_round_trip(core: Core, size: usize, amount: Amount) -> Result<Sample> {
    let (there, back) = (Buffer::new(size), Buffer::new(size));
    let (lines, mut number) = (PingPong::new(), 0);
    let answer = || lines.answer_with(|_| _ = back.fill(there.sum()));
    beside(core, answer, || {
        let sample = amount.time(|| {
            number += 1;
            there.fill(number);
            lines.round_trip(number);
            black_box(back.sum());
            Ok(())
        });
        lines.stop();
        sample
    })
}

const FUTEX_PING: u32 = 1;
const FUTEX_PONG: u32 = 2;
const FUTEX_STOP: u32 = 3;

fn futex_ping_pong(core: Core, waiting: Waiting, amount: Amount) -> Result<Sample> {
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
        let sample = waiting.time(amount, || {
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

fn eventfd_ping_pong(core: Core, waiting: Waiting, amount: Amount) -> Result<Sample> {
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
        let sample = waiting.time(amount, || {
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

impl Waiting {
    /// Times an operation whose receiver waits in this way.
    fn time(self, amount: Amount, once: impl FnMut() -> Result) -> Result<Sample> {
        match self {
            Self::Sleeps => amount.time_asleep(once),
            Self::Polls | Self::Blocks => amount.time(once),
        }
    }
}

fn pipe_ping_pong(core: Core, amount: Amount) -> Result<Sample> {
    let (there, back) = (pipe_with(PipeFlags::CLOEXEC)?, pipe_with(PipeFlags::CLOEXEC)?);
    let pass = |from: &OwnedFd, to: &OwnedFd, bytes: &mut [u8; 8]| -> Result<bool, Errno> {
        let read = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut *bytes))?;
        Ok(read == bytes.len() && rustix::io::write(to, bytes)? == bytes.len())
    };
    let mut near = Some(there.1);
    let answer = move || {
        let mut bytes = [0; 8];
        while pass(&there.0, &back.1, &mut bytes) == Ok(true) {}
    };
    beside(core, answer, || {
        let mut bytes = [1; 8];
        let sample = amount.time(|| {
            if let Some(near) = &near {
                rustix::io::write(near, &bytes)?;
            }
            rustix::io::retry_on_intr(|| rustix::io::read(&back.0, &mut bytes))?;
            Ok(())
        });
        // The end of the pipe ends the other side.
        drop(near.take());
        sample
    })
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

const SEQPACKET: SocketType = SocketType::SEQPACKET;

fn sockets(kind: SocketType) -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
}

fn socket(
    core: Core,
    kind: SocketType,
    size: usize,
    waiting: Waiting,
    amount: Amount,
) -> Result<Sample> {
    let (near, far) = sockets(kind)?;
    let mut data = vec![1; size];
    let answer = || {
        let (far, mut data) = (Socket { fd: far.as_fd(), waiting }, vec![0; size]);
        while far.receive(&mut data) == Ok(true) && far.send(&data).is_ok() {}
    };
    beside(core, answer, || {
        let socket = Socket { fd: near.as_fd(), waiting };
        let sample = waiting.time(amount, || {
            socket.send(&data)?;
            socket.receive(&mut data)?;
            Ok(())
        });
        // An empty message ends the other side: datagram sockets have no end of stream.
        socket.poll(|| send(near.as_fd(), &[], SendFlags::empty()))?;
        sample
    })
}

fn seqpacket_stream(core: Core, size: usize, amount: Amount) -> Result<Sample> {
    let (near, far) = sockets(SEQPACKET)?;
    let (data, mut received) = (vec![1; size], vec![0; size]);
    let near = Socket { fd: near.as_fd(), waiting: Waiting::Polls };
    let far = Socket { fd: far.as_fd(), waiting: Waiting::Polls };
    stream(
        core,
        amount,
        || Ok(near.send(&data)?),
        |_| {
            // The sender sees the same error.
            let _ = far.receive(&mut received);
        },
    )
}

fn seqpacket_descriptor(core: Core, amount: Amount) -> Result<Sample> {
    let (near, far) = sockets(SEQPACKET)?;
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
            Limit::Ring(1, Style::STREAMS[5]),
            Limit::Fragments(1000, Style::ROUND_TRIPS[1]),
            Limit::FragmentStream(1000, Style::STREAMS[3]),
            Limit::Frames(1000, 2),
            Limit::FrameRoundTrip(1000),
            Limit::Seqpacket(100_000),
            Limit::SeqpacketStream(100_000),
            Limit::SeqpacketDescriptor,
        ];
        let cores = Cores::choose().or_else(|_| Cores::one()).expect("this runs somewhere");
        for limit in limits.into_iter().chain(Limit::OWN).chain(Limit::ONE_CORE) {
            let mut probe = limit.probe(cores);
            let sample = probe(Amount { warm: 1, batches: 1, each: 2, singles: 1 });
            assert!(sample.expect("nothing fails").typical() > 0.0, "{limit}");
        }
    }

    #[test]
    fn foreign_driver_has_limits() {
        for work in Work::ALL {
            let has_none = matches!(
                work,
                Work::Bind
                    | Work::FanIn(_)
                    | Work::SharedTasks(_)
                    // Bulk data is compared with messages.
                    | Work::Glance(_)
                    | Work::Untouched(_)
                    | Work::CopiedOut(_)
                    | Work::FramesInline(_)
                    | Work::CopiedOutInline(_)
                    | Work::Blob(_)
            );
            assert_eq!(Limit::of("new", work, false).is_empty(), has_none, "{work}");
        }
    }

    #[test]
    fn floors_include_the_limits() {
        for work in Work::ALL {
            let floor = Limit::floor("ump", work, false);
            assert!(
                Limit::of("ump", work, false).iter().all(|limit| floor.contains(limit)),
                "{work}"
            );
        }
        assert_eq!(Limit::of("ump", Work::Stream(56), false), [Limit::Ring(7, Style::PLAIN)]);
    }
}
