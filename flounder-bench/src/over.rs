//! Measurements through a generated interface and a waitset, used like in any program, with default settings unless the
//! measurement is about a setting.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::bulk::{Blob, BufferMut, Bulk, Pool, PoolError, PoolOwner, Slots};
use flounder::error::ConnectError;
use flounder::limits::DEFAULT_SPIN;
use flounder::{BindError, BindingError, Cap, Iref, Rejected, Shared, TxError, Waitset, flounder};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::time::{ClockId, clock_gettime};

use crate::error::Result;
use crate::sample::{Amount, Cpu, Probe, Sample};
use crate::shared::SharedClient;
use crate::usage::Usage;
use crate::work::{OUTSTANDING, Work};

flounder! {
    /// What `flounder bench` measures.
    pub(crate) interface bench "Measurements" {
        typedef uint64 words[7];

        /// The service returns each `ping*` message as `pong*`.
        call ping(uint64 n);
        response pong(uint64 n);
        call ping_words(words w);
        response pong_words(words w);
        call ping_bytes(uint8 data[length, 1048576]);
        response pong_bytes(uint8 data[length, 1048576]);
        call ping_cap(give_away_cap c);
        response pong_cap(give_away_cap c);

        /// The service counts each `tell*` message.
        call count(uint64 n);
        call count_words(words w);
        call count_bytes(uint8 data[length, 1048576]);
        /// Frames: the service reads 64 bytes and answers with `pong`; sums and returns a frame; sums and counts.
        call glance(bulk data[1048576]);
        call pass_by(bulk data[1048576]);
        call copy_out(bulk data[1048576]);
        call ping_frame(bulk data[1048576]);
        response pong_frame(bulk data[1048576]);
        call count_frame(uint64 sum, bulk data[1048576]);
        /// The service reads 4 KiB.
        call count_part(bulk data[1048576]);
        /// Returns the number of messages since the last call, and how many of them were wrong.
        rpc counted(out uint64 right, out uint64 wrong);

        rpc next(in uint64 n, out uint64 next);
        /// Sets how long the service polls before it blocks.
        rpc spin(in uint64 nanoseconds);
        /// Returns the processor time of the service's thread, in nanoseconds.
        rpc processor(out uint64 nanoseconds);
        /// Returns memory and descriptors of the service's process.
        rpc memory(out uint64 heap, out uint64 shared, out uint64 descriptors);
    };
}

/// Length of the longest message, in bytes.
const LONGEST: usize = 1 << 20;

/// Maximum number of pauses in a sample of the paced measurement.
const PAUSES: u64 = 20;

/// Time between two messages of the paced measurement.
const PAUSE: Duration = Duration::from_millis(1);

/// Pattern that every message of bytes is a prefix of.
fn pattern() -> Rc<[u8]> {
    (0..LONGEST).map(|i| (i * 7 % 251) as u8).collect()
}

/// Slots of a pool for frames.
pub(crate) const FRAME_SLOTS: usize = 8;

/// Returns a pool for frames.
fn frame_pool(binding: &impl PoolOwner) -> Result<Pool, PoolError> {
    Pool::new(binding, Slots { count: FRAME_SLOTS, bytes: LONGEST })
}

/// Fills a frame, every word of it.
pub(crate) fn fill(frame: &mut [u8], seed: u64) -> u64 {
    let mut sum = 0_u64;
    for (i, word) in frame.chunks_exact_mut(8).enumerate() {
        let value = seed.wrapping_add(i as u64);
        sum = sum.wrapping_add(value);
        word.copy_from_slice(&value.to_ne_bytes());
    }
    sum
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// What one end has received.
#[derive(Default)]
struct Seen {
    /// Number of messages since the counter was last read.
    count: Cell<u64>,
    /// Number of messages with wrong contents, or that could not be answered.
    wrong: Cell<u64>,
    /// Number in the last message with a number.
    number: Cell<u64>,
    /// Length of the last message of bytes.
    length: Cell<usize>,
    cap: Cell<Option<Cap>>,
    ended: RefCell<Option<BindingError>>,
}

/// The handlers of either end of a binding.
struct Handlers {
    seen: Rc<Seen>,
    pattern: Rc<[u8]>,
    /// Buffers for frames that are returned, once one was.
    pool: Option<Option<Pool>>,
    /// What was copied out last.
    copied: Vec<u8>,
}

impl Handlers {
    const fn new(seen: Rc<Seen>, pattern: Rc<[u8]>) -> Self {
        Self { seen, pattern, pool: None, copied: Vec::new() }
    }

    #[inline]
    fn saw(&self) {
        self.seen.count.set(self.seen.count.get() + 1);
    }

    #[inline]
    fn sent(&self, result: Result<(), TxError>) {
        if result.is_err() {
            self.seen.wrong.set(self.seen.wrong.get() + 1);
        }
    }

    /// Compares the contents of the first message since the counter was read, and only the length of the others: the
    /// comparison is not part of the measurement.
    #[inline]
    fn saw_bytes(&self, data: &[u8]) {
        if self.seen.count.get() == 0 && self.pattern.get(..data.len()) != Some(data) {
            self.seen.wrong.set(self.seen.wrong.get() + 1);
        }
        self.seen.length.set(black_box(data).len());
        self.saw();
    }
}

impl bench::Rx for Handlers {
    fn ping(&mut self, b: &bench::Binding, n: u64) {
        self.sent(b.tx_pong(n).map(drop));
    }

    fn ping_words(&mut self, b: &bench::Binding, w: bench::Words) {
        self.sent(b.tx_pong_words(&w).map(drop));
    }

    fn ping_bytes(&mut self, b: &bench::Binding, data: &[u8]) {
        self.sent(b.tx_pong_bytes(data).map(drop));
    }

    fn ping_cap(&mut self, b: &bench::Binding, c: Cap) {
        self.sent(b.tx_pong_cap(c).map(drop).map_err(|rejected| rejected.error));
    }

    fn count(&mut self, _b: &bench::Binding, n: u64) {
        self.seen.number.set(n);
        self.saw();
    }

    fn count_words(&mut self, _b: &bench::Binding, w: bench::Words) {
        self.seen.number.set(black_box(w)[6]);
        self.saw();
    }

    fn count_bytes(&mut self, _b: &bench::Binding, data: &[u8]) {
        self.saw_bytes(data);
    }

    fn glance(&mut self, b: &bench::Binding, data: Bulk<'_>) {
        let mut line = [0; 64];
        data.copy_to(0, &mut line);
        self.sent(b.tx_pong(black_box(line)[0].into()).map(drop));
    }

    fn pass_by(&mut self, _b: &bench::Binding, _data: Bulk<'_>) {
        self.saw();
    }

    fn copy_out(&mut self, b: &bench::Binding, data: Bulk<'_>) {
        self.copied.resize(data.len(), 0);
        data.copy_to(0, &mut self.copied);
        self.sent(b.tx_pong(black_box(&self.copied)[0].into()).map(drop));
    }

    fn ping_frame(&mut self, b: &bench::Binding, data: Bulk<'_>) {
        let sum = data.words().fold(0, u64::wrapping_add);
        let pool = self.pool.get_or_insert_with(|| frame_pool(b).ok());
        let Some(Ok(mut buffer)) = pool.as_ref().map(|pool| pool.take(data.len())) else {
            return self.sent(Err(TxError::Busy));
        };
        fill(&mut buffer, sum);
        let Err(rejected) = b.tx_pong_frame(buffer) else { return };
        let Some(buffer) = rejected.given else { return self.sent(Err(rejected.error)) };
        // The binding is busy with the offer of the pool: the answer follows.
        let binding = b.clone();
        let answer = async move { _ = binding.send_pong_frame(buffer).await };
        Waitset::current().spawn_local(answer).detach();
    }

    fn count_frame(&mut self, _b: &bench::Binding, sum: u64, data: Bulk<'_>) {
        if data.words().fold(0, u64::wrapping_add) != sum {
            self.seen.wrong.set(self.seen.wrong.get() + 1);
        }
        self.saw();
    }

    fn count_part(&mut self, _b: &bench::Binding, data: Bulk<'_>) {
        let mut part = [0; 4096];
        data.copy_to(0, &mut part);
        black_box(part);
        self.saw();
    }

    fn counted(&mut self, _b: &bench::Binding, reply: bench::CountedReply) {
        reply.send(self.seen.count.take(), self.seen.wrong.take());
    }

    fn next(&mut self, _b: &bench::Binding, n: u64, reply: bench::NextReply) {
        reply.send(n + 1);
    }

    fn spin(&mut self, b: &bench::Binding, nanoseconds: u64, reply: bench::SpinReply) {
        if let Some(waitset) = b.waitset() {
            waitset.set_spin(Duration::from_nanos(nanoseconds));
        }
        reply.send();
    }

    fn processor(&mut self, _b: &bench::Binding, reply: bench::ProcessorReply) {
        reply.send(processor_time().as_nanos() as u64);
    }

    fn memory(&mut self, _b: &bench::Binding, reply: bench::MemoryReply) {
        let Usage { heap, shared, descriptors } = Usage::now().unwrap_or_default();
        reply.send(heap, shared, descriptors);
    }

    fn error(&mut self, _b: &bench::Binding, error: BindingError) {
        if error.is_fatal() {
            self.seen.ended.replace(Some(error));
        }
    }
}

impl bench::ClientRx for Handlers {
    fn pong(&mut self, _b: &bench::ClientBinding, n: u64) {
        self.seen.number.set(n);
        self.saw();
    }

    fn pong_words(&mut self, _b: &bench::ClientBinding, w: bench::Words) {
        self.seen.number.set(black_box(w)[6]);
        self.saw();
    }

    fn pong_bytes(&mut self, _b: &bench::ClientBinding, data: &[u8]) {
        self.saw_bytes(data);
    }

    fn pong_cap(&mut self, _b: &bench::ClientBinding, c: Cap) {
        self.seen.cap.set(Some(c));
        self.saw();
    }

    fn pong_frame(&mut self, _b: &bench::ClientBinding, data: Bulk<'_>) {
        self.seen.number.set(data.words().fold(0, u64::wrapping_add));
        self.seen.length.set(data.len());
        self.saw();
    }

    fn error(&mut self, _b: &bench::ClientBinding, error: BindingError) {
        if error.is_fatal() {
            self.seen.ended.replace(Some(error));
        }
    }
}

/// A service that answers every client.
pub(crate) struct Service {
    ws: Waitset,
    iref: Iref,
}

impl Service {
    /// Exports the service.
    pub(crate) fn export(ws: Waitset) -> Result<Self> {
        // One pattern for all clients.
        let pattern = pattern();
        let export =
            bench::export(&ws, move |_peer| Ok(Handlers::new(Rc::default(), Rc::clone(&pattern))));
        let iref = export.wait()?.iref();
        Ok(Self { ws, iref })
    }

    pub(crate) const fn iref(&self) -> Iref {
        self.iref
    }

    /// Serves until `done` returns true; `done` is called after each event.
    pub(crate) fn run(&self, done: impl Fn() -> bool) -> Result {
        while !done() {
            self.ws.dispatch()?;
        }
        Ok(())
    }
}

/// A client with its waitset and what its end of the binding has received.
#[derive(Clone)]
pub(crate) struct Client {
    ws: Waitset,
    iref: Iref,
    binding: bench::ClientBinding,
    seen: Rc<Seen>,
    data: Rc<[u8]>,
    driver: &'static str,
    /// Buffers for frames, once there were some.
    pool: Rc<RefCell<Option<Pool>>>,
}

impl Client {
    /// Binds to a service. Returns `None` if the driver does not reach it.
    pub(crate) fn bind(
        ws: Waitset,
        iref: Iref,
        driver: &'static str,
        buffer: usize,
    ) -> Result<Option<Self>> {
        let (seen, data) = (Rc::<Seen>::default(), pattern());
        let handlers = Handlers::new(Rc::clone(&seen), Rc::clone(&data));
        let binding = match bench::bind(iref, &ws, handlers).driver(driver).buffer(buffer).wait() {
            Ok(binding) => binding,
            Err(BindError::Drivers(errors))
                if errors.iter().all(|(_, error)| *error == ConnectError::Reach) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if binding.driver() != driver {
            return Err(format!("asked for {driver}, got {}", binding.driver()).into());
        }
        Ok(Some(Self { ws, iref, binding, seen, data, driver, pool: Rc::default() }))
    }

    /// Binds once more, for a binding that is held but not used.
    pub(crate) fn bind_idle(&self, buffer: usize) -> Result<bench::ClientBinding, BindError> {
        let bind = bench::bind(self.iref, &self.ws, self.handlers());
        bind.driver(self.driver).buffer(buffer).wait()
    }

    /// Returns memory and descriptors of the service's process.
    pub(crate) fn memory_of_service(&self) -> Result<Usage> {
        let (heap, shared, descriptors) = self.rpc().memory()?;
        Ok(Usage { heap, shared, descriptors })
    }

    /// Returns the measurement of `work` over this binding.
    pub(crate) fn probe(&self, work: Work) -> Probe {
        let client = self.clone();
        match work {
            Work::RoundTrip(8) => Box::new(move |amount| client.round_trip_number(amount)),
            Work::RoundTrip(56) => Box::new(move |amount| client.round_trip_words(amount)),
            Work::RoundTrip(size) => Box::new(move |amount| client.round_trip_bytes(amount, size)),
            Work::Stream(8) => {
                Box::new(move |amount| client.stream(amount, |b, n| b.tx_count(n).map(drop)))
            }
            Work::Stream(56) => Box::new(move |amount| {
                client.stream(amount, |b, n| b.tx_count_words(&[n; 7]).map(drop))
            }),
            Work::Stream(size) => Box::new(move |amount| {
                let data = &client.data[..size];
                client.stream(amount, |b, _| b.tx_count_bytes(data).map(drop))
            }),
            Work::Glance(size) => Box::new(move |amount| client.glances(amount, size)),
            Work::Untouched(size) => Box::new(move |amount| client.untouched(amount, size)),
            Work::CopiedOut(size) => Box::new(move |amount| client.copied_out(amount, size)),
            Work::CopiedOutInline(size) => {
                Box::new(move |amount| client.copied_out_inline(amount, size))
            }
            Work::FrameRoundTrip(size) => {
                Box::new(move |amount| client.frame_round_trips(amount, size))
            }
            Work::Frames(size) => Box::new(move |amount| client.frames(amount, size)),
            Work::FramesInline(size) => Box::new(move |amount| client.inline_frames(amount, size)),
            Work::Blob(size) => Box::new(move |amount| client.blobs(amount, size)),
            Work::Blocking => Box::new(move |amount| client.blocking(amount)),
            Work::Rpc => Box::new(move |amount| client.calls(amount)),
            Work::RpcAsync => Box::new(move |amount| client.calls_async(amount)),
            Work::FanIn(clients) => {
                let mut bindings = Vec::new();
                Box::new(move |amount| client.fan_in(amount, clients, &mut bindings))
            }
            Work::SharedRpc => {
                let mut shared = None;
                Box::new(move |amount| client.through_shared(&mut shared)?.calls(amount))
            }
            Work::SharedTasks(tasks) => {
                let mut shared = None;
                Box::new(move |amount| {
                    client.through_shared(&mut shared)?.calls_of_tasks(amount, tasks)
                })
            }
            Work::Bind => Box::new(move |amount| client.binds(amount)),
            Work::Wake => Box::new(move |amount| client.wake_ups(amount)),
            Work::Paced => Box::new(move |amount| client.paced(amount)),
            Work::Cap => Box::new(move |amount| client.capabilities(amount)),
        }
    }

    /// Returns a handle for other threads.
    pub(crate) fn shared(&self) -> bench::ClientBinding<Shared> {
        self.binding.shared()
    }

    /// Returns a client whose binding has a thread of its own, which is made at first.
    fn through_shared<'a>(&self, shared: &'a mut Option<SharedClient>) -> Result<&'a SharedClient> {
        Ok(match shared {
            Some(shared) => shared,
            none => none.insert(SharedClient::bind(self.iref, self.driver)?),
        })
    }

    /// Returns handlers that record what they receive in this client.
    fn handlers(&self) -> Handlers {
        Handlers::new(Rc::clone(&self.seen), Rc::clone(&self.data))
    }

    fn rpc(&self) -> bench::RpcClient {
        bench::RpcClient::new(&self.binding)
    }

    /// Sends a message, dispatching while the binding is busy.
    #[inline]
    fn send(&self, mut attempt: impl FnMut() -> Result<(), TxError>) -> Result {
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(TxError::Busy) => self.ws.dispatch()?,
                Err(error) => return Err(self.why(error.into())),
            }
        }
    }

    /// Sends a message and dispatches until one comes back, which is compared in full if `first` is zero.
    #[inline]
    fn there_and_back(&self, first: u64, attempt: impl FnMut() -> Result<(), TxError>) -> Result {
        self.seen.count.set(first);
        self.send(attempt)?;
        while self.seen.count.get() == first {
            self.ws.dispatch()?;
            if self.seen.ended.borrow().is_some() {
                return Err(self.why("the binding has ended".into()));
            }
        }
        Ok(())
    }

    /// Returns the reason why the binding has ended, or else `error`.
    #[cold]
    fn why(
        &self,
        error: Box<dyn std::error::Error + Send + Sync>,
    ) -> Box<dyn std::error::Error + Send + Sync> {
        self.seen.ended.take().map_or(error, Into::into)
    }

    /// Ends a sample. Fails if either side has received a wrong message.
    fn check(&self, sample: Sample) -> Result<Sample> {
        let (_, wrong) = self.rpc().counted()?;
        match self.seen.wrong.take() + wrong {
            0 => Ok(sample),
            wrong => Err(format!("{wrong} messages were not what was sent").into()),
        }
    }

    fn round_trip_number(&self, amount: Amount) -> Result<Sample> {
        let mut n = 0;
        let sample = amount.time(|| {
            n += 1;
            self.there_and_back(1, || self.binding.tx_ping(n).map(drop))
        })?;
        if self.seen.number.get() != n {
            return Err("the last number that came back is not the last that was sent".into());
        }
        self.check(sample)
    }

    fn round_trip_words(&self, amount: Amount) -> Result<Sample> {
        let mut n = 0;
        let sample = amount.time(|| {
            n += 1;
            self.there_and_back(1, || self.binding.tx_ping_words(&[n; 7]).map(drop))
        })?;
        if self.seen.number.get() != n {
            return Err("the last words that came back are not the last that were sent".into());
        }
        self.check(sample)
    }

    fn round_trip_bytes(&self, amount: Amount, size: usize) -> Result<Sample> {
        let data = &self.data[..size];
        let there_and_back =
            |first| self.there_and_back(first, || self.binding.tx_ping_bytes(data).map(drop));
        there_and_back(0)?;
        let sample = amount.time(|| there_and_back(1))?;
        if self.seen.length.get() != size {
            return Err("what came back does not have the length of what was sent".into());
        }
        self.check(sample)
    }

    fn stream(
        &self,
        amount: Amount,
        send: impl Fn(&bench::ClientBinding, u64) -> Result<(), TxError>,
    ) -> Result<Sample> {
        let rpc = self.rpc();
        amount.time_whole(|count| {
            let started = Instant::now();
            for n in 0..count {
                self.send(|| send(&self.binding, n))?;
            }
            let (right, wrong) = rpc.counted()?;
            let time = started.elapsed();
            if (right, wrong) != (count, 0) {
                return Err(format!("{count} sent, {right} received, {wrong} of them wrong").into());
            }
            Ok(time)
        })
    }

    /// Returns a pool that the service reads in place.
    fn pool(&self) -> Result<Pool> {
        if let Some(pool) = &*self.pool.borrow() {
            return Ok(pool.clone());
        }
        let pool = frame_pool(&self.binding)?;
        while !pool.is_open() {
            self.ws.dispatch()?;
        }
        Ok(self.pool.borrow_mut().insert(pool).clone())
    }

    /// Returns a buffer, dispatching while all are with the service.
    #[inline]
    fn buffer(&self, pool: &Pool, size: usize) -> Result<BufferMut> {
        let taken = match pool.take(size) {
            Err(PoolError::Busy) => self.ws.block_on(pool.taken(size))?,
            taken => taken,
        };
        taken.map_err(|error| self.why(error.into()))
    }

    /// Sends with a buffer, which comes back while the binding is busy.
    #[inline]
    fn send_buffer(
        &self,
        buffer: BufferMut,
        attempt: impl Fn(BufferMut) -> Result<(), Rejected<Option<BufferMut>>>,
    ) -> Result {
        let mut left = Some(buffer);
        self.send(|| {
            let Some(buffer) = left.take() else { return Err(TxError::Closed) };
            attempt(buffer).map_err(|Rejected { error, given }| {
                left = given;
                error
            })
        })
    }

    fn glances(&self, amount: Amount, size: usize) -> Result<Sample> {
        let pool = self.pool()?;
        let sample = amount.time(|| {
            let buffer = self.buffer(&pool, size)?;
            self.seen.count.set(1);
            self.send_buffer(buffer, |buffer| self.binding.tx_glance(buffer).map(drop))?;
            self.wait_for_one()
        })?;
        self.check(sample)
    }

    fn untouched(&self, amount: Amount, size: usize) -> Result<Sample> {
        let pool = self.pool()?;
        self.stream_of(amount, |_| {
            let buffer = self.buffer(&pool, size)?;
            self.send_buffer(buffer, |buffer| self.binding.tx_pass_by(buffer).map(drop))
        })
    }

    fn copied_out(&self, amount: Amount, size: usize) -> Result<Sample> {
        let (pool, seed) = (self.pool()?, Cell::new(0));
        let sample = amount.time(|| {
            let mut buffer = self.buffer(&pool, size)?;
            fill(&mut buffer, seed.replace(seed.get() + 1));
            self.seen.count.set(1);
            self.send_buffer(buffer, |buffer| self.binding.tx_copy_out(buffer).map(drop))?;
            self.wait_for_one()
        })?;
        self.check(sample)
    }

    fn copied_out_inline(&self, amount: Amount, size: usize) -> Result<Sample> {
        // A binding without a pool: bytes go into messages.
        *self.pool.borrow_mut() = None;
        let (mut frame, mut seed) = (vec![0; size], 0);
        let sample = amount.time(|| {
            fill(&mut frame, seed);
            seed += 1;
            self.seen.count.set(1);
            self.send(|| {
                let sent = self.binding.tx_copy_out(&frame);
                sent.map(drop).map_err(|rejected| rejected.error)
            })?;
            self.wait_for_one()
        })?;
        self.check(sample)
    }

    fn wait_for_one(&self) -> Result {
        while self.seen.count.get() == 1 {
            self.ws.dispatch()?;
            if self.seen.ended.borrow().is_some() {
                return Err(self.why("the binding has ended".into()));
            }
        }
        Ok(())
    }

    fn frame_round_trips(&self, amount: Amount, size: usize) -> Result<Sample> {
        let (pool, seed) = (self.pool()?, Cell::new(0));
        let sample = amount.time(|| {
            let mut buffer = self.buffer(&pool, size)?;
            fill(&mut buffer, seed.get());
            seed.set(seed.get() + 1);
            self.seen.count.set(1);
            self.send_buffer(buffer, |buffer| self.binding.tx_ping_frame(buffer).map(drop))?;
            self.wait_for_one()
        })?;
        let sent = fill(&mut vec![0; size], seed.get() - 1);
        if self.seen.number.get() != fill(&mut vec![0; size], sent) {
            return Err("the frame that came back is not of the one that was sent".into());
        }
        self.check(sample)
    }

    fn frames(&self, amount: Amount, size: usize) -> Result<Sample> {
        let pool = self.pool()?;
        self.stream_of(amount, |n| {
            let mut buffer = self.buffer(&pool, size)?;
            let sum = fill(&mut buffer, n);
            self.send_buffer(buffer, |buffer| self.binding.tx_count_frame(sum, buffer).map(drop))
        })
    }

    fn inline_frames(&self, amount: Amount, size: usize) -> Result<Sample> {
        // A binding without a pool: bytes go into messages.
        *self.pool.borrow_mut() = None;
        let mut frame = vec![0; size];
        self.stream_of(amount, |n| {
            let sum = fill(&mut frame, n);
            self.send(|| {
                let sent = self.binding.tx_count_frame(sum, &frame);
                sent.map(drop).map_err(|rejected| rejected.error)
            })
        })
    }

    fn blobs(&self, amount: Amount, size: usize) -> Result<Sample> {
        let blob = Blob::build(size, |bytes| _ = fill(bytes, 1))?;
        self.stream_of(amount, |_| {
            self.send(|| {
                let sent = self.binding.tx_count_part(&blob);
                sent.map(drop).map_err(|rejected| rejected.error)
            })
        })
    }

    /// Measures until the service has received everything.
    fn stream_of(&self, amount: Amount, mut send: impl FnMut(u64) -> Result) -> Result<Sample> {
        let rpc = self.rpc();
        amount.time_whole(|count| {
            let started = Instant::now();
            for n in 0..count {
                send(n)?;
            }
            let (right, wrong) = rpc.counted()?;
            let time = started.elapsed();
            if (right, wrong) != (count, 0) {
                return Err(format!("{count} sent, {right} received, {wrong} of them wrong").into());
            }
            Ok(time)
        })
    }

    fn calls(&self, amount: Amount) -> Result<Sample> {
        let (rpc, mut n) = (self.rpc(), 0);
        amount.time(|| {
            let next = rpc.next(n)?;
            n += 1;
            if next == n { Ok(()) } else { Err("a reply belongs to another call".into()) }
        })
    }

    fn calls_async(&self, amount: Amount) -> Result<Sample> {
        let (rpc, mut n) = (self.rpc(), 0);
        amount.time(|| {
            let next = self.ws.block_on(rpc.next_async(n))??;
            n += 1;
            if next == n { Ok(()) } else { Err("a reply belongs to another call".into()) }
        })
    }

    /// Times calls by `clients` bindings, which are made at first. Latencies are those of the last batch.
    fn fan_in(
        &self,
        amount: Amount,
        clients: usize,
        bindings: &mut Vec<bench::ClientBinding>,
    ) -> Result<Sample> {
        while bindings.len() < clients {
            bindings.push(self.bind_idle(0)?);
        }
        let latencies = Rc::new(RefCell::new(Vec::new()));
        let mut sample = amount.time_whole(|count| {
            latencies.borrow_mut().clear();
            let (left, wrong) = (Rc::new(Cell::new(count)), Rc::new(Cell::new(0)));
            let started = Instant::now();
            let tasks: Vec<_> = (0..clients * OUTSTANDING)
                .map(|task| {
                    let rpc = bench::RpcClient::new(&bindings[task % clients]);
                    let (left, wrong) = (Rc::clone(&left), Rc::clone(&wrong));
                    let latencies = Rc::clone(&latencies);
                    self.ws.spawn_local(async move {
                        while let Some(next) = left.get().checked_sub(1) {
                            left.set(next);
                            let began = Instant::now();
                            if rpc.next_async(next).await != Ok(next + 1) {
                                wrong.set(wrong.get() + 1);
                            }
                            latencies.borrow_mut().push(began.elapsed().as_nanos() as u64);
                        }
                    })
                })
                .collect();
            for task in tasks {
                self.ws.block_on(task)?;
            }
            let time = started.elapsed();
            match wrong.get() {
                0 => Ok(time),
                wrong => Err(format!("{wrong} calls failed, or had the reply of another").into()),
            }
        })?;
        sample.singles = latencies.take();
        Ok(sample)
    }

    fn binds(&self, amount: Amount) -> Result<Sample> {
        amount.time_parts(u64::MAX, || {
            let started = Instant::now();
            let binding = self.bind_idle(0)?;
            let time = started.elapsed();
            binding.teardown();
            Ok(time)
        })
    }

    /// Measures round trips in which neither side polls before it blocks.
    fn blocking(&self, amount: Amount) -> Result<Sample> {
        self.without_spinning(|| self.round_trip_number(amount))
    }

    /// Measures with both sides blocking as soon as there is nothing to do.
    fn without_spinning(&self, measure: impl FnOnce() -> Result<Sample>) -> Result<Sample> {
        self.rpc().spin(0)?;
        self.ws.set_spin(Duration::ZERO);
        let sample = measure();
        self.ws.set_spin(DEFAULT_SPIN);
        self.rpc().spin(DEFAULT_SPIN.as_nanos() as u64)?;
        sample
    }

    /// Measures round trips in which neither side polls and each receiver is asleep.
    fn wake_ups(&self, amount: Amount) -> Result<Sample> {
        let mut n = 0;
        let ping = || {
            n += 1;
            self.there_and_back(1, || self.binding.tx_ping(n).map(drop))
        };
        let sample = self.without_spinning(|| amount.time_asleep(ping))?;
        self.check(sample)
    }

    /// Measures round trips with pauses between them, with default settings. The client dispatches in the pauses.
    fn paced(&self, amount: Amount) -> Result<Sample> {
        let amount = Amount { warm: 1, ..amount };
        let rpc = self.rpc();
        let (before, cpu, started) =
            (Duration::from_nanos(rpc.processor()?), processor_time(), Instant::now());
        let mut n = 0;
        let mut sample = amount.time_parts(PAUSES, || {
            self.ws.dispatch_until(Some(Instant::now() + PAUSE), || false)?;
            n += 1;
            let sent = Instant::now();
            self.there_and_back(1, || self.binding.tx_ping(n).map(drop))?;
            Ok(sent.elapsed())
        })?;
        let (passed, client) = (started.elapsed(), processor_time() - cpu);
        let service = Duration::from_nanos(rpc.processor()?) - before;
        let part = |used: Duration| used.as_secs_f64() / passed.as_secs_f64();
        sample.cpu = Some(Cpu { client: part(client), service: part(service) });
        self.check(sample)
    }

    fn capabilities(&self, amount: Amount) -> Result<Sample> {
        let mut traveller = Some(Cap::from(memfd_create("flounder bench", MemfdFlags::CLOEXEC)?));
        let sample = amount.time(|| {
            self.there_and_back(1, || match traveller.take() {
                None => Ok(()),
                Some(cap) => self.binding.tx_ping_cap(cap).map(drop).map_err(|rejected| {
                    traveller = Some(rejected.given);
                    rejected.error
                }),
            })?;
            traveller = self.seen.cap.take();
            traveller.is_some().then_some(()).ok_or_else(|| "a capability was lost".into())
        })?;
        self.check(sample)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flounder::driver::channel::Connector;
    use flounder::drivers::registry;

    use super::*;
    use crate::work::Between;

    /// A driver that reaches no service.
    struct Hermit;

    impl Connector for Hermit {
        fn name(&self) -> &'static str {
            "hermit"
        }
    }

    fn service(ws: &Waitset) -> Service {
        Service::export(ws.clone()).expect("a service can be exported")
    }

    #[test]
    fn a_driver_that_does_not_reach_so_far_is_no_error() {
        registry::register(Arc::new(Hermit)).expect("nobody has that name");
        let ws = Waitset::new();
        let service = service(&ws);
        let client = Client::bind(ws.clone(), service.iref(), "hermit", 0);
        assert!(client.expect("it is no error").is_none());
        assert!(Client::bind(ws, service.iref(), "pigeon", 0).is_err());
    }

    #[test]
    fn all_that_one_thread_can_do_is_measured_and_checked() {
        let ws = Waitset::new();
        let service = service(&ws);
        let client = Client::bind(ws, service.iref(), "loopback", 0);
        let client = client.expect("it can be bound").expect("it is near");
        for work in Work::ALL.into_iter().filter(|work| work.is_for("loopback", Between::Here)) {
            let sample = client.probe(work)(Amount { warm: 1, batches: 1, each: 2, singles: 1 });
            assert!(sample.expect("nothing fails").typical() > 0.0, "{work}");
        }
        client.seen.wrong.set(1);
        assert!(
            client.probe(Work::RoundTrip(8))(Amount { warm: 1, batches: 1, each: 1, singles: 0 })
                .is_err()
        );
    }

    #[test]
    fn bytes_that_were_changed_on_their_way_are_seen() {
        let handlers = Handlers::new(Rc::default(), pattern());
        handlers.saw_bytes(&pattern()[..100]);
        assert_eq!((handlers.seen.wrong.get(), handlers.seen.count.get()), (0, 1));
        handlers.seen.count.set(0);
        handlers.saw_bytes(&[1; 100]);
        assert_eq!((handlers.seen.wrong.get(), handlers.seen.length.get()), (1, 100));
    }
}
