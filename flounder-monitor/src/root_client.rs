//! A connection to the root without a monitor, for tools that inspect a host and for daemons.

use core::future::Future;
use core::time::Duration;
use std::path::PathBuf;

use flounder_drivers::lmp;
use flounder_rt::closer::Origin;
use flounder_rt::{Peer, RpcError, Waitset};

use crate::directory::election;
use crate::directory::runtime_dir::RuntimeDir;
use crate::error::MonitorError;
use crate::process::random_number;
use crate::protocol::VERSION;
use crate::protocol::monitor::{self, RpcClient, Verdict};
use crate::root_location::{RootLocation, RootProcess};

/// Time that a call may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// A connection to the root of a directory.
pub(crate) struct RootClient {
    pub(crate) waitset: Waitset,
    client: RpcClient,
    /// Id that this client sent in `hello`.
    pub(crate) number: u64,
    /// Process of the root.
    pub(crate) root: Peer,
    directory: PathBuf,
}

impl RootClient {
    /// Connects to the root. Returns `None` if there is none, or if it dies in the meantime.
    pub(crate) fn join(directory: &RuntimeDir) -> Result<Option<Self>, MonitorError> {
        let Some(socket) = election::connect_to_root(directory)? else { return Ok(None) };
        let Some((root, _)) = election::identify_root(&socket, directory)? else { return Ok(None) };
        const PURPOSE: &str = "connect to the root monitor";
        let channel = lmp::over(socket, Origin::LOCAL).map_err(MonitorError::connect(PURPOSE))?;
        let waitset = Waitset::new();
        waitset.set_spin(Duration::ZERO);
        let binding =
            monitor::over(channel as _, &waitset, ()).map_err(MonitorError::os(PURPOSE))?;
        let number = random_number().map_err(MonitorError::os("get random bits"))?;
        let client = RpcClient::new(&binding);
        let me = Self { waitset, client, number, root, directory: directory.path().to_owned() };
        match me.ask(|root| root.hello_async(VERSION, number)) {
            Ok(Verdict::Ok) => Ok(Some(me)),
            Ok(Verdict::Forbidden) => Err(MonitorError::JoinDenied {
                directory: directory.path().to_owned(),
                owner: directory.owner(),
            }),
            Ok(_) => Err(MonitorError::Version { location: me.location() }),
            Err(MonitorError::Ended) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn location(&self) -> RootLocation {
        RootLocation::new(self.directory.clone(), Some(RootProcess::new(&self.root)))
    }

    /// Calls the root, and blocks. [`MonitorError::NoRoot`] if it does not answer,
    /// [`MonitorError::Ended`] if the connection ends.
    pub(crate) fn ask<T, F>(&self, call: impl FnOnce(&RpcClient) -> F) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        self.waitset.block_on(self.call(call)).unwrap_or(Err(MonitorError::Ended))
    }

    /// Calls the root like [`ask`](Self::ask), as a future.
    pub(crate) async fn call<T, F>(
        &self,
        call: impl FnOnce(&RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        match self.waitset.timeout(DEADLINE, call(&self.client)).await {
            Ok(Ok(value)) => Ok(value),
            Err(_) => Err(MonitorError::NoRoot { location: self.location() }),
            Ok(Err(RpcError::NoReply)) => Err(MonitorError::Busy),
            Ok(Err(_)) => Err(MonitorError::Ended),
        }
    }
}
