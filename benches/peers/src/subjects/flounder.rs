//! flounder itself, over each driver that reaches another thread or process, through generated stubs and with default
//! settings.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use flounder::bulk::{BufferMut, Bulk, Pool, PoolError, Slots};
use flounder::{BindingError, Iref, TxError, Waitset, nameservice};

use self::carrier::{BeginReply, Binding, RpcClient, Rx};
use crate::load::{Damaged, Inbox, Load, Outbox, Pattern, WARM_UP};
use crate::machine::Cores;
use crate::process::{Peer, Seat};
use crate::subject::{Candidate, Error, Result, Subject};
use crate::thread::side_by_side;

flounder::flounder! {
    interface carrier "Payloads of a comparison" {
        typedef uint8 line[56];
        message word(uint64 payload);
        message cells(line payload);
        message bytes(uint8 payload[length, 1048576]);
        message frame(bulk payload[1048576]);
        /// Announces a load, which is carried in slots or in messages.
        rpc begin(in bool slots, in bool round_trips, in uint64 size, in uint64 count, in bool thorough);
    };
}

pub(crate) const CANDIDATES: &[Candidate] = &[
    Candidate::between_threads("flounder, ump", |_, cores| {
        Ok(Box::new(move |load: &_| between_threads(UMP, cores, load)))
    }),
    Candidate::between_threads("flounder, ump, bulk", |_, cores| {
        Ok(Box::new(move |load: &_| between_threads(BULK, cores, load)))
    })
    .carrying(LARGE),
    Candidate::between_threads("flounder, lmp", |_, cores| {
        Ok(Box::new(move |load: &_| between_threads(LMP, cores, load)))
    }),
    Candidate::between_processes("flounder, ump", |this, cores| open(UMP, this, cores), serve),
    Candidate::between_processes(
        "flounder, ump, bulk",
        |this, cores| open(BULK, this, cores),
        serve,
    )
    .carrying(LARGE),
    Candidate::between_processes("flounder, lmp", |this, cores| open(LMP, this, cores), serve),
];

/// How payloads travel.
#[derive(Debug, Clone, Copy)]
struct Way {
    driver: &'static str,
    /// In slots, which the receiver reads in place, or in messages.
    slots: bool,
}

const UMP: Way = Way { driver: "ump", slots: false };
const BULK: Way = Way { driver: "ump", slots: true };
const LMP: Way = Way { driver: "lmp", slots: false };

/// Lengths for which one uses slots, in bytes.
const LARGE: RangeInclusive<usize> = 4 << 10..=1 << 20;

/// Slots of each direction, as many as a buffer of large values has.
const SLOTS: usize = 64;

fn between_threads(way: Way, cores: Cores, load: &Load) -> Result<Duration> {
    let (exported, iref) = mpsc::channel();
    side_by_side(
        cores,
        move || Link::bind(iref.recv()?, way)?.lead(load),
        move || {
            let service = Service::export()?;
            exported.send(service.iref)?;
            service.run()
        },
    )
}

fn open(way: Way, candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let name = format!("flounder-peers {}", std::process::id());
    let peer = Peer::start(candidate, cores, &name, &[])?;
    let link = Link::bind(nameservice::blocking_lookup(&name).wait()?, way)?;
    Ok(Box::new(Across { link, peer }))
}

fn serve(mut seat: Seat) -> Result {
    let service = Service::export()?;
    nameservice::register(&seat.greeting, service.iref).wait()?;
    seat.ready()?;
    service.run()
}

struct Across {
    link: Link,
    peer: Peer,
}

impl Subject for Across {
    fn run(&mut self, load: &Load) -> Result<Duration> {
        self.link.lead(load).map_err(|error| self.peer.blame(error))
    }
}

/// A payload that is to be sent.
enum Outgoing<'a> {
    Bytes(&'a [u8]),
    Slot(BufferMut),
}

impl<'a> Outgoing<'a> {
    /// Copies the payload into a slot.
    fn in_slot(mut slot: BufferMut, payload: &[u8]) -> Self {
        slot.copy_from_slice(payload);
        Self::Slot(slot)
    }

    /// Sends it; returns it with the error if it cannot be sent now.
    fn send(self, binding: &Binding) -> std::result::Result<(), (TxError, Option<Self>)> {
        match self {
            Self::Bytes(bytes) => send(binding, bytes).map_err(|error| (error, Some(self))),
            Self::Slot(slot) => binding
                .tx_frame(slot)
                .map(drop)
                .map_err(|rejected| (rejected.error, rejected.given.map(Self::Slot))),
        }
    }
}

/// Sends a payload as the message for its size.
fn send(binding: &Binding, payload: &[u8]) -> std::result::Result<(), TxError> {
    if let Ok(word) = payload.try_into() {
        binding.tx_word(u64::from_ne_bytes(word)).map(drop)
    } else if let Ok(cells) = payload.try_into() {
        binding.tx_cells(cells).map(drop)
    } else {
        binding.tx_bytes(payload).map(drop)
    }
}

/// The leader's end of a binding. Dropping it ends the binding.
struct Link {
    slots: bool,
    waitset: Waitset,
    binding: Binding,
    client: Rc<Client>,
}

/// What the handlers of the leader's end have received.
#[derive(Default)]
struct Client {
    inbox: RefCell<Option<Inbox>>,
    received: Cell<u64>,
    failed: RefCell<Option<Error>>,
}

impl Link {
    fn bind(iref: Iref, way: Way) -> Result<Self> {
        let waitset = Waitset::current();
        let client = Rc::new(Client::default());
        let handlers = Handlers(Rc::clone(&client));
        let binding = carrier::bind(iref, &waitset, handlers).driver(way.driver).wait()?;
        Ok(Self { slots: way.slots, waitset, binding, client })
    }

    fn lead(&self, load: &Load) -> Result<Duration> {
        let mut outbox = Outbox::new(load.size);
        self.client.inbox.replace(Some(Inbox::new(load)));
        self.client.received.set(0);
        let pool = self.slots.then(|| pool_for(&self.binding, load.size)).transpose()?;
        RpcClient::new(&self.binding).begin(
            self.slots,
            load.pattern == Pattern::RoundTrip,
            load.size as u64,
            load.count,
            load.thorough,
        )?;

        let mut answers = 0;
        let mut started = Instant::now();
        for sent in 1..=load.total() {
            self.send(pool.as_ref(), outbox.next())?;
            if load.is_answered(sent) {
                answers += 1;
                while self.client.received.get() < answers {
                    self.dispatch()?;
                }
            }
            if sent == WARM_UP {
                started = Instant::now();
            }
        }
        Ok(started.elapsed())
    }

    fn send(&self, pool: Option<&Pool>, payload: &[u8]) -> Result {
        let mut outgoing = match pool {
            None => Outgoing::Bytes(payload),
            Some(pool) => Outgoing::in_slot(self.slot(pool, payload.len())?, payload),
        };
        while let Err((error, back)) = outgoing.send(&self.binding) {
            outgoing = match (error, back) {
                (TxError::Busy, Some(back)) => back,
                (error, _) => return Err(error.into()),
            };
            self.dispatch()?;
        }
        Ok(())
    }

    /// Takes a slot, and waits for it if none is free.
    fn slot(&self, pool: &Pool, length: usize) -> Result<BufferMut> {
        match pool.take(length) {
            Err(PoolError::Busy) => Ok(self.waitset.block_on(pool.taken(length))??),
            slot => Ok(slot?),
        }
    }

    #[inline]
    fn dispatch(&self) -> Result {
        self.waitset.dispatch()?;
        self.client.failed.take().map_or(Ok(()), Err)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.binding.teardown();
    }
}

struct Handlers(Rc<Client>);

/// Makes a pool for payloads of one size.
fn pool_for(binding: &Binding, size: usize) -> std::result::Result<Pool, PoolError> {
    Pool::new(binding, Slots { count: SLOTS, bytes: size })
}

impl Handlers {
    fn take(&self, payload: &[u8]) {
        self.accept(|inbox| inbox.accept(payload));
    }

    fn accept(&self, accept: impl FnOnce(&mut Inbox) -> std::result::Result<(), Damaged>) {
        let accepted = match &mut *self.0.inbox.borrow_mut() {
            Some(inbox) => accept(inbox).map_err(Error::from),
            None => Err("a payload came before there was a load".into()),
        };
        self.0.received.set(self.0.received.get() + 1);
        if let Err(error) = accepted {
            self.0.failed.replace(Some(error));
        }
    }
}

impl Rx for Handlers {
    fn word(&mut self, _: &Binding, payload: u64) {
        self.take(&payload.to_ne_bytes());
    }

    fn cells(&mut self, _: &Binding, payload: carrier::Line) {
        self.take(&payload);
    }

    fn bytes(&mut self, _: &Binding, payload: &[u8]) {
        self.take(payload);
    }

    fn frame(&mut self, _: &Binding, payload: Bulk<'_>) {
        self.accept(|inbox| inbox.accept_words(payload.len(), payload.words()));
    }

    fn begin(&mut self, _: &Binding, _: bool, _: bool, _: u64, _: u64, _: bool, reply: BeginReply) {
        // Dropping the reply reports to the caller that there is no answer.
        drop(reply);
    }

    fn error(&mut self, _: &Binding, error: BindingError) {
        self.0.failed.replace(Some(error.to_string().into()));
    }
}

/// The peer's side: a service for one client.
struct Service {
    waitset: Waitset,
    iref: Iref,
    /// Reason for the end of the client's binding, once it has ended.
    ended: Rc<RefCell<Option<Result>>>,
}

impl Service {
    fn export() -> Result<Self> {
        let waitset = Waitset::current();
        let ended = Rc::<RefCell<_>>::default();
        let told = Rc::clone(&ended);
        let exported = carrier::export(&waitset, move |_| {
            Ok(Answering { load: None, ended: Rc::clone(&told) })
        });
        let iref = exported.wait()?.iref();
        Ok(Self { waitset, iref, ended })
    }

    /// Serves until the client is gone.
    fn run(&self) -> Result {
        loop {
            self.waitset.dispatch()?;
            if let Some(ended) = self.ended.take() {
                return ended;
            }
        }
    }
}

/// Handlers for the messages of the client.
struct Answering {
    load: Option<(Load, Inbox, Outbox, Option<Pool>)>,
    ended: Rc<RefCell<Option<Result>>>,
}

impl Answering {
    fn take(&mut self, binding: &Binding, payload: &[u8]) {
        self.accept(binding, |inbox| inbox.accept(payload));
    }

    fn accept(
        &mut self,
        binding: &Binding,
        accept: impl FnOnce(&mut Inbox) -> std::result::Result<(), Damaged>,
    ) {
        if let Err(error) = self.answer(binding, accept) {
            self.ended.replace(Some(Err(error)));
            binding.teardown();
        }
    }

    fn answer(
        &mut self,
        binding: &Binding,
        accept: impl FnOnce(&mut Inbox) -> std::result::Result<(), Damaged>,
    ) -> Result {
        let (load, inbox, outbox, pool) = self.load.as_mut().ok_or("nothing has begun")?;
        accept(inbox)?;
        if load.is_answered(inbox.received()) {
            // The client waits for each answer, so there is always room for the next, and a slot.
            let payload = outbox.next();
            let outgoing = match pool {
                None => Outgoing::Bytes(payload),
                Some(pool) => Outgoing::in_slot(pool.take(payload.len())?, payload),
            };
            outgoing.send(binding).map_err(|(error, _)| error)?;
        }
        Ok(())
    }
}

impl Rx for Answering {
    fn word(&mut self, binding: &Binding, payload: u64) {
        self.take(binding, &payload.to_ne_bytes());
    }

    fn cells(&mut self, binding: &Binding, payload: carrier::Line) {
        self.take(binding, &payload);
    }

    fn bytes(&mut self, binding: &Binding, payload: &[u8]) {
        self.take(binding, payload);
    }

    fn frame(&mut self, binding: &Binding, payload: Bulk<'_>) {
        self.accept(binding, |inbox| inbox.accept_words(payload.len(), payload.words()));
    }

    fn begin(
        &mut self,
        binding: &Binding,
        slots: bool,
        round_trips: bool,
        size: u64,
        count: u64,
        thorough: bool,
        reply: BeginReply,
    ) {
        let pattern = if round_trips { Pattern::RoundTrip } else { Pattern::Stream };
        let load = Load { pattern, size: size as usize, count, thorough };
        match slots.then(|| pool_for(binding, load.size)).transpose() {
            Ok(pool) => self.load = Some((load, Inbox::new(&load), Outbox::new(load.size), pool)),
            Err(error) => {
                self.ended.replace(Some(Err(error.into())));
                binding.teardown();
            }
        }
        reply.send();
    }

    fn error(&mut self, _: &Binding, error: BindingError) {
        let ended = match error {
            BindingError::Closed => Ok(()),
            error => Err(error.to_string().into()),
        };
        self.ended.replace(Some(ended));
    }
}
