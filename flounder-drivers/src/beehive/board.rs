//! The machines of this process, and how channels between its threads get cores.
//!
//! Each thread that connects has a board of its own: thirteen cores, of which every two next to each other (0 and 1, 2 and
//! 3, ..) serve up to 32 channels. So channels made by one thread share credit and kernels, and channels of different threads
//! share nothing. When its board is full the thread gets another one. A board is dropped with its last channel.

use core::cell::RefCell;
use std::sync::{Arc, Weak};

use flounder_rt::channel::{ConnectError, End, SendPair};

use crate::beehive::channel::BeehiveChannel;
use crate::beehive::endpoint::PeerAddress;
use crate::beehive::fabric::Fabric;
use crate::beehive::hardware::{CORES, Core};
use crate::beehive::kernel::Kernel;
use crate::beehive::node::{CoreOwner, Node, Nodes};
use crate::beehive::window::window_of;
use crate::caps::Caps;
use flounder_rt::fork::ForkGeneration;

/// A fabric with the kernels of its cores.
pub struct Board {
    fabric: Arc<Fabric>,
    nodes: Arc<Nodes>,
    born: ForkGeneration,
}

impl CoreOwner for Board {}

impl Board {
    /// Returns a board without channels.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let fabric = Fabric::new();
        let nodes = Arc::new_cyclic(|nodes| {
            let node = |core| {
                let mut kernel = Kernel::new();
                kernel.attach_hardware(Box::new(fabric.port(Core(core as u8))));
                Node::on_board(kernel, Weak::clone(nodes))
            };
            Nodes((0..CORES).map(node).collect())
        });
        Arc::new(Self { fabric, nodes, born: ForkGeneration::now() })
    }

    /// Returns the fabric.
    #[must_use]
    pub fn fabric(&self) -> &Arc<Fabric> {
        &self.fabric
    }

    pub(crate) fn node(&self, core: Core) -> &Arc<Node> {
        &self.nodes.0[core.index()]
    }

    /// Returns the credit of a core toward another one: available, and owed.
    #[must_use]
    pub fn credit(&self, core: Core, toward: Core) -> (u16, u16) {
        self.node(core).enter(|kernel| kernel.credit(toward))
    }

    /// Returns the number of messages to a core for associations not in use.
    #[must_use]
    pub fn dropped(&self, core: Core) -> u64 {
        self.node(core).enter(|kernel| kernel.dropped())
    }

    /// Sends a frame that belongs to no channel, as a faulty core does. Returns false if there is
    /// no credit for it.
    #[must_use]
    pub fn inject(&self, core: Core, to: Core, association: u16, frame: &[u32]) -> bool {
        self.node(core).enter(|kernel| kernel.inject(to, association, frame))
    }

    /// Makes a channel between two cores of the board.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if the cores are the same, or one of them has 32 channels.
    pub fn connect(
        self: &Arc<Self>,
        (client_core, client): (Core, &End),
        (service_core, service): (Core, &End),
    ) -> Result<SendPair, ConnectError> {
        if client_core == service_core {
            return Err(ConnectError::Refused("a core sends no messages to itself"));
        }
        let (a, b) = (self.node(client_core), self.node(service_core));
        let to_client = a.open(&client.notifier)?;
        let to_service = b.open(&service.notifier).inspect_err(|_| {
            a.abandon(to_client);
        })?;
        let (there, back) = (window_of(client), window_of(service));
        a.connect(
            to_client,
            PeerAddress { core: service_core, association: to_service },
            there,
            back,
        );
        b.connect(
            to_service,
            PeerAddress { core: client_core, association: to_client },
            back,
            there,
        );
        let [a_caps, b_caps] = Caps::between(client, service);
        let owner = || Arc::clone(self) as Arc<dyn CoreOwner>;
        Ok((
            Box::new(BeehiveChannel::new(Arc::clone(a), to_client, a_caps, owner(), None)),
            Box::new(BeehiveChannel::new(Arc::clone(b), to_service, b_caps, owner(), None)),
        ))
    }
}

/// Makes a channel between two cores at which this thread has room.
pub(crate) fn connect(client: &End, service: &End) -> Result<SendPair, ConnectError> {
    thread_local! {
        static MINE: RefCell<Weak<Board>> = const { RefCell::new(Weak::new()) };
    }
    MINE.with_borrow_mut(|mine| {
        // A forked child must not enter the kernels of its parent.
        if let Some(board) = mine.upgrade().filter(|board| board.born.is_here()) {
            for pair in 0..CORES as u8 / 2 {
                let cores = (Core(2 * pair), Core(2 * pair + 1));
                match board.connect((cores.0, client), (cores.1, service)) {
                    Err(ConnectError::Refused(_)) => {}
                    made => return made,
                }
            }
        }
        let board = Board::new();
        *mine = Arc::downgrade(&board);
        board.connect((Core(0), client), (Core(1), service))
    })
}
