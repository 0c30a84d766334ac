//! A domain without a monitor: it sends messages of the monitor protocols by hand, also those that no monitor sends.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use flounder::driver::closer::Origin;
use flounder::drivers::lmp;
use flounder::{Cap, Iref, TxError, Waitset};
use flounder_rt::MessageBuffer;
use flounder_rt::binding::AsRaw as _;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::kind::Kind;
use super::{TIMEOUT, TestSystem};

pub mod protocol {
    flounder::flounder! { file = "../../flounder-monitor/src/if/monitor.if"; }
    flounder::flounder! { file = "../../flounder-monitor/src/if/intermon.if"; }
}

use protocol::{intermon, monitor};

/// Version of the protocol.
pub const VERSION: u32 = 5;

/// A connection to the root before `hello`.
pub fn connect(system: &TestSystem) -> OwnedFd {
    connect_in(&system.dir()).expect("the root listens")
}

/// As [`connect`], in this directory.
pub fn connect_in(dir: &Path) -> rustix::io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(dir.join("root.sock"))?;
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// A member of the host.
pub struct RawMonitor {
    waitset: Waitset,
    root: monitor::RpcClient,
    introduced: Rc<RefCell<Option<(OwnedFd, bool)>>>,
}

impl RawMonitor {
    pub fn join(system: &TestSystem, number: u64) -> Self {
        Self::over(connect(system), number)
    }

    /// Over a connection to the root.
    pub fn over(socket: OwnedFd, number: u64) -> Self {
        let (waitset, introduced) = (Waitset::new(), Rc::new(RefCell::new(None)));
        let theirs = Rc::clone(&introduced);
        let rx = monitor::ClientRxVtbl {
            introduced: Some(Box::new(move |_, _, _, _, _, caller, socket: Cap, _| {
                theirs.replace(Some((socket.into(), caller)));
            })),
            ..Default::default()
        };
        let channel = lmp::over(socket, Origin::LOCAL).expect("it is a socket");
        let root = monitor::over(channel, &waitset, rx).expect("it can be watched");
        let root = monitor::RpcClient::new(&root);
        assert_eq!(root.hello(VERSION, number).expect("the root answers"), monitor::Verdict::Ok);
        Self { waitset, root, introduced }
    }

    pub fn waitset(&self) -> &Waitset {
        &self.waitset
    }

    pub fn root(&self) -> &monitor::RpcClient {
        &self.root
    }

    /// Sends the root a message that only a root sends.
    pub fn send_as_root(&self, message: &monitor::Message) -> Result<(), TxError> {
        let message = MessageBuffer::encode(message).expect("it is short");
        let MessageBuffer { number, words, mut caps } = message;
        self.root.binding().as_raw().send_caps(number, &words, &[], &mut caps).map(drop)
    }

    /// A link to the domain of a service.
    pub fn link(&self, iref: Iref) -> Link {
        let (verdict, domain) = self.root.find(iref).expect("the root answers");
        assert_eq!(verdict, monitor::Verdict::Ok);
        let verdict = self.root.introduce(domain).expect("the root answers");
        assert_eq!(verdict, monitor::Verdict::Ok);
        let (socket, caller) = self.introduced.take().expect("it comes before the reply");
        assert!(caller, "it asked for the link");
        let (heard, ended) = (Heard::default(), Heard::default());
        let (theirs, pongs, end) = (Rc::clone(&heard), Rc::clone(&heard), Rc::clone(&ended));
        let rx = intermon::RxVtbl {
            refused: Some(Box::new(move |_, connection, why, code, _, _| {
                theirs.borrow_mut().push(format!("refused {connection} {why:?} {code}"));
            })),
            pong: Some(Box::new(move |_, number, health| {
                pongs.borrow_mut().push(format!("pong {number} {health:?}"));
            })),
            error: Some(Box::new(move |_, error| {
                end.borrow_mut().push(error.kind());
            })),
            ..Default::default()
        };
        let channel = lmp::over(socket, Origin::LOCAL).expect("it is a socket");
        let binding = intermon::over(channel, &self.waitset, rx).expect("it can be watched");
        Link { waitset: self.waitset.clone(), binding, heard, ended }
    }
}

type Heard = Rc<RefCell<Vec<String>>>;

/// One end of a link.
pub struct Link {
    waitset: Waitset,
    pub binding: intermon::Binding,
    heard: Heard,
    ended: Heard,
}

impl Link {
    /// Returns the next message of the other monitor.
    pub fn hear(&self) -> String {
        self.wait_for(&self.heard)
    }

    /// How the link ends.
    pub fn end(&self) -> String {
        self.wait_for(&self.ended)
    }

    fn wait_for(&self, heard: &Heard) -> String {
        let deadline = Some(Instant::now() + TIMEOUT);
        let heard_it = self.waitset.dispatch_until(deadline, || !heard.borrow().is_empty());
        assert!(heard_it.expect("no callback fails"), "nothing was heard");
        heard.borrow_mut().remove(0)
    }
}
