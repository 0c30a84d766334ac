//! iceoryx2: a publish-subscribe service for each direction, polled. A publisher with a full buffer waits.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{LogLevel, set_log_level};
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use iceoryx2::service::{Service, ipc, local};

use crate::load::{Inbox, Load};
use crate::machine::Cores;
use crate::process::{Across, Peer, Seat};
use crate::subject::{Candidate, End, Result, Subject, follow, lead};
use crate::thread::side_by_side;

pub(crate) const CANDIDATES: &[Candidate] = &[
    Candidate::between_threads("iceoryx2, polled", |_, cores| {
        Ok(Box::new(move |load: &_| between_threads(cores, load)))
    }),
    Candidate::between_processes("iceoryx2, polled", open, serve),
];

/// Size of a subscriber's buffer, in samples. The default, two, would delay a stream.
const DEPTH: usize = 64;

/// The peer creates its ports after the leader's and reports that: samples sent before a subscriber exists are lost.
fn between_threads(cores: Cores, load: &Load) -> Result<Duration> {
    let names = fresh_names();
    let mut ours = PortsEnd::<local::Service>::leader(&names)?;
    ours.prepare(load)?;
    let (ready, wait) = mpsc::channel();
    side_by_side(
        cores,
        move || {
            wait.recv()?;
            lead(&mut ours, load)
        },
        || {
            let ready = ready;
            let mut theirs = PortsEnd::<local::Service>::peer(&names)?;
            theirs.prepare(load)?;
            ready.send(())?;
            follow(&mut theirs, load)
        },
    )
}

fn open(candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let names = fresh_names();
    let end = PortsEnd::<ipc::Service>::leader(&names)?;
    let peer = Peer::start(candidate, cores, &names, &[])?;
    Ok(Box::new(Across::new(end, peer)))
}

fn serve(seat: Seat) -> Result {
    let end = PortsEnd::<ipc::Service>::peer(&seat.greeting)?;
    seat.follow(end)
}

/// Common prefix of the names of the two services.
fn fresh_names() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("flounder-peers/{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

type Ports<S> = (Publisher<S, [u8], ()>, Subscriber<S, [u8], ()>);

struct PortsEnd<S: Service> {
    /// Absent before the first load: a publisher is created for one size of payloads.
    ports: Option<Ports<S>>,
    outgoing: PortFactory<S, [u8], ()>,
    incoming: PortFactory<S, [u8], ()>,
    _node: Node<S>,
}

impl<S: Service> PortsEnd<S> {
    fn leader(names: &str) -> Result<Self> {
        Self::new(&format!("{names}/to peer"), &format!("{names}/to leader"))
    }

    fn peer(names: &str) -> Result<Self> {
        Self::new(&format!("{names}/to leader"), &format!("{names}/to peer"))
    }

    fn new(outgoing: &str, incoming: &str) -> Result<Self> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().create::<S>()?;
        let service = |name: &str| -> Result<_> {
            let builder = node.service_builder(&name.try_into()?).publish_subscribe::<[u8]>();
            let builder = builder.enable_safe_overflow(false).subscriber_max_buffer_size(DEPTH);
            Ok(builder.open_or_create()?)
        };
        let (outgoing, incoming) = (service(outgoing)?, service(incoming)?);
        Ok(Self { ports: None, outgoing, incoming, _node: node })
    }
}

impl<S: Service> End for PortsEnd<S> {
    fn prepare(&mut self, load: &Load) -> Result {
        self.ports = None;
        let publisher = self.outgoing.publisher_builder().initial_max_slice_len(load.size);
        let strategy = BackpressureStrategy::RetryUntilDelivered;
        let publisher = publisher.backpressure_strategy(strategy).create()?;
        let subscriber = self.incoming.subscriber_builder().buffer_size(DEPTH).create()?;
        self.ports = Some((publisher, subscriber));
        Ok(())
    }

    fn send(&mut self, payload: &[u8]) -> Result {
        let (publisher, _) = self.ports.as_ref().ok_or("no load has been prepared")?;
        publisher.loan_slice_uninit(payload.len())?.write_from_slice(payload).send()?;
        Ok(())
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        let (_, subscriber) = self.ports.as_ref().ok_or("no load has been prepared")?;
        loop {
            match subscriber.receive()? {
                Some(sample) => return Ok(inbox.accept(sample.payload())?),
                None => spin_loop(),
            }
        }
    }
}
