//! The channel: calls become commands, and what ends becomes responses.

use core::time::Duration;
use std::rc::Rc;

use flounder_rt::Errval;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, Progress, ProtocolError, RUNTIME_MESSAGE, Readiness,
    Recv,
};
use flounder_rt::notify::Notifier;

use crate::command::{Command, Data, Number, Size};
use crate::engine::{Engine, Finished, Need};
use crate::error::AtaError;
use crate::hba::Hba;
use crate::memory::BLOCK;
use crate::port::{Failure, Shared};

/// First word of the runtime's message that a call gets no reply (`docs/wire.md`); the second is the id of the call.
const NO_REPLY: u64 = 1;

/// Words of a block.
const BLOCK_WORDS: usize = BLOCK / 8;

/// The end of a channel whose other end is a disk.
pub(crate) struct AtaChannel<H: Hba> {
    shared: Rc<Shared<H>>,
    /// Command `i` is the call with number `2 * i + 1`.
    commands: Vec<Command>,
    /// Bytes of a sector.
    sector: u32,
    /// The record of a response, or a block of data.
    scratch: Box<[u64]>,
    /// What a send waits for.
    blocked: Option<Blocked>,
    notifier: Notifier,
    /// True while the waitset relies on the notifier.
    is_armed: bool,
    /// Error with which the channel ended.
    ended: Option<ChannelError>,
}

#[derive(Debug, Clone, Copy)]
enum Blocked {
    /// The command needs a slot or memory.
    Issue(Need),
    /// The answers to refused calls have to be received.
    Refuse,
}

impl Blocked {
    fn can_resume<H: Hba>(self, engine: &Engine<H>) -> bool {
        engine.is_dead()
            || match self {
                Self::Issue(need) => engine.has_room(need),
                Self::Refuse => engine.may_refuse(),
            }
    }
}

impl<H: Hba> AtaChannel<H> {
    pub(crate) fn new(shared: Rc<Shared<H>>, commands: Vec<Command>, sector: u32) -> Self {
        let records = commands.iter().map(|command| command.response.words);
        let words = records.max().unwrap_or(0).max(BLOCK_WORDS);
        let notifier = Notifier::new();
        shared.engine.borrow_mut().hba.set_notifier(notifier.clone());
        Self {
            shared,
            commands,
            sector,
            scratch: vec![0; words].into_boxed_slice(),
            blocked: None,
            notifier,
            is_armed: false,
            ended: None,
        }
    }

    fn check(&self) -> Result<(), ChannelError> {
        if !self.shared.engine.borrow().is_here() {
            return Err(rustix::io::Errno::CHILD.into());
        }
        match &self.ended {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Puts a response into `incoming`: `transferred` bytes of a slot, or an error.
    fn respond(
        &mut self,
        incoming: &mut Incoming,
        index: u16,
        call: u32,
        data: Result<(usize, u32, u32), AtaError>,
    ) -> Result<(), ProtocolError> {
        let Self { shared, commands, scratch, .. } = self;
        let command = &commands[usize::from(index)];
        let reads = command.data.filter(|data| !data.is_write);
        let short = |transferred: u32, asked: u32| {
            (transferred < asked).then_some(AtaError::Short { bytes: transferred })
        };
        let (error, slot, bytes) = match data {
            Err(error) => (Some(error), 0, 0),
            Ok((slot, transferred, asked)) => match reads {
                // The length of a dynamic array says how much there is.
                Some(Data { size: Size::Asked(..), .. }) => {
                    let error = short(transferred, asked).filter(|_| command.status_at.is_some());
                    (error, slot, transferred as usize)
                }
                _ => (short(transferred, asked), slot, transferred as usize),
            },
        };
        if let Some(error) = error {
            shared.last_failure.set(Some(Failure { call: command.name, error }));
            if command.status_at.is_none() {
                incoming.begin(RUNTIME_MESSAGE, 2, 0)?;
                return incoming.push(&[NO_REPLY, call.into()]);
            }
        }
        let engine = &mut *shared.engine.borrow_mut();
        let record = &mut scratch[..command.response.words];
        record.fill(0);
        put(record, command.response.id_at, call.into());
        if let Some(at) = command.status_at {
            put(record, at, error.map_or(0, |error| Errval::from(error).0));
        }
        let tail = match reads {
            Some(Data { at, size: Size::Fixed(_), .. }) => {
                let place = &mut bytemuck::cast_slice_mut(record)[at..at + bytes];
                for (block, piece) in place.chunks_mut(BLOCK).enumerate() {
                    engine.hba.dma_read(engine.block_of(slot, block), piece);
                }
                0
            }
            Some(Data { at, .. }) => {
                put(record, at, bytes as u64);
                bytes
            }
            None => 0,
        };
        incoming.begin(command.response.number, record.len() + tail.div_ceil(8), 0)?;
        incoming.push(record)?;
        for (block, at) in (0..tail).step_by(BLOCK).enumerate() {
            let bytes = BLOCK.min(tail - at);
            let words = &mut scratch[..bytes.div_ceil(8)];
            words[bytes.div_ceil(8) - 1] = 0;
            let piece = &mut bytemuck::cast_slice_mut(words)[..bytes];
            engine.hba.dma_read(engine.block_of(slot, block), piece);
            incoming.push(words)?;
        }
        Ok(())
    }

    fn end(&mut self, error: ChannelError) -> ChannelError {
        self.ended = Some(error.clone());
        error
    }
}

/// A call without all of its words, which no generated code sends.
#[cold]
fn short_call() -> ChannelError {
    ChannelError::Protocol(ProtocolError::Frame("a call is shorter than its arguments"))
}

/// Writes a value of 4 or 8 bytes, of which the upper half is zero if it has 4, at an offset of a record that is zero there.
fn put(record: &mut [u64], at: usize, value: u64) {
    record[at / 8] |= value << (at % 8 * 8);
}

impl<H: Hba> Channel for AtaChannel<H> {
    fn driver(&self) -> &'static str {
        "ahci"
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.check()?;
        let Self { shared, commands, blocked, .. } = self;
        let engine = &mut *shared.engine.borrow_mut();
        if engine.is_dead() {
            return Err(ChannelError::PeerDied);
        }
        if message.number == RUNTIME_MESSAGE {
            // A call was given up, for one: its command goes on, and its answer is dropped by who gets it.
            message.caps.clear();
            return Ok(Progress::Done);
        }
        let index = usize::from(message.number / 2);
        let command = commands.get(index).filter(|_| message.number % 2 == 1);
        let Some(command) = command else {
            return Err(ChannelError::Protocol(ProtocolError::Number(message.number)));
        };
        let Some((record, rest)) = message.body.fixed.split_at_checked(command.call.words) else {
            return Err(short_call());
        };
        let call = Number::argument(command.call.id_at, 4).value(record) as u32;
        let task = match command.task(record, self.sector) {
            Ok(task) => task,
            Err(_) if !engine.may_refuse() => {
                *blocked = Some(Blocked::Refuse);
                return Ok(Progress::Partial(0));
            }
            Err(refusal) => {
                engine.refuse(index as u16, call, AtaError::Refused(refusal));
                *blocked = None;
                if self.is_armed {
                    self.notifier.notify();
                }
                return Ok(Progress::Done);
            }
        };
        let bytes = task.bytes as usize;
        let (is_write, data) = match command.data {
            Some(Data { is_write: true, at, size: Size::Fixed(_) }) => {
                (true, bytemuck::cast_slice(record).get(at..at + bytes))
            }
            Some(Data { is_write: true, .. }) => (
                true,
                match message.body.tails {
                    // A message that was put together before.
                    [] => bytemuck::cast_slice(rest).get(..bytes),
                    tails => tails[0].get(..bytes),
                },
            ),
            _ => (false, Some(&[][..])),
        };
        let Some(data) = data else { return Err(short_call()) };
        let need = Need::of(&task);
        if !engine.has_room(need) {
            engine.poll();
            if !engine.has_room(need) {
                *blocked = Some(Blocked::Issue(need));
                return Ok(Progress::Partial(0));
            }
        }
        *blocked = None;
        let slot = engine.reserve(need, index as u16, call, is_write);
        for (block, piece) in data.chunks(BLOCK).enumerate() {
            engine.hba.dma_write(engine.block_of(slot, block), piece);
        }
        engine.start(slot, task);
        if self.is_armed {
            // The waitset has not asked for how long it may sleep while a command is under way.
            self.notifier.notify();
        }
        Ok(Progress::Done)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.check()?;
        let mut engine = self.shared.engine.borrow_mut();
        engine.poll();
        let finished = engine.take_finished();
        let is_dead = engine.is_dead();
        let answered = match finished {
            None => {
                drop(engine);
                if is_dead {
                    return Err(self.end(ChannelError::PeerDied));
                }
                return Ok(Recv::Empty);
            }
            Some(Finished::Refused { command, call, error }) => {
                drop(engine);
                self.respond(incoming, command, call, Err(error))
            }
            Some(Finished::Ended(slot, result)) => {
                let (command, call, asked) = engine.call_of(slot);
                drop(engine);
                let data = result.map(|transferred| (slot, transferred, asked));
                let answered = self.respond(incoming, command, call, data);
                self.shared.engine.borrow_mut().release(slot);
                answered
            }
        };
        match answered {
            Ok(()) => Ok(Recv::Message),
            Err(error) => Err(self.end(ChannelError::Protocol(error))),
        }
    }

    fn ready(&mut self) -> bool {
        if self.check().is_err() {
            return true;
        }
        let engine = &mut *self.shared.engine.borrow_mut();
        engine.poll();
        engine.has_news()
            || engine.is_dead()
            || self.blocked.is_some_and(|blocked| blocked.can_resume(engine))
    }

    fn can_resume(&mut self) -> bool {
        if self.check().is_err() {
            return self.blocked.is_some();
        }
        let engine = &mut *self.shared.engine.borrow_mut();
        engine.poll();
        self.blocked.is_some_and(|blocked| blocked.can_resume(engine))
    }

    fn is_over(&mut self) -> bool {
        self.ended.is_some() || self.shared.engine.borrow().is_dead()
    }

    fn arm(&mut self) {
        if self.check().is_ok() {
            self.is_armed = true;
            self.shared.engine.borrow_mut().hba.arm();
        }
    }

    fn disarm(&mut self) {
        if self.check().is_ok() {
            self.is_armed = false;
            self.shared.engine.borrow_mut().hba.disarm();
        }
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.check().ok()?;
        self.shared.engine.borrow_mut().sleep_limit()
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn notifier(&self) -> Option<Notifier> {
        Some(self.notifier.clone())
    }

    fn close(&mut self) {
        // A child that was forked leaves the port alone.
        if self.check().is_ok() {
            self.shared.engine.borrow_mut().change_owner();
        }
        if !matches!(self.ended, Some(ChannelError::Closed)) {
            self.shared.is_taken.set(false);
            self.ended = Some(ChannelError::Closed);
        }
    }
}

impl<H: Hba> Drop for AtaChannel<H> {
    fn drop(&mut self) {
        self.close();
    }
}
