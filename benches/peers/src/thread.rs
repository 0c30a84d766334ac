//! Peers in threads: one thread for each load.

use std::thread;
use std::time::Duration;

use crate::load::Load;
use crate::machine::Cores;
use crate::subject::{End, Result, follow, lead};

/// Runs both sides, the peer's on another thread.
///
/// # Errors
/// Returns the peer's error if it failed, otherwise the leader's: the leader often fails because the peer did.
pub(crate) fn side_by_side(
    cores: Cores,
    lead: impl FnOnce() -> Result<Duration>,
    follow: impl FnOnce() -> Result + Send,
) -> Result<Duration> {
    thread::scope(|scope| {
        let peer = scope.spawn(move || {
            cores.pin_peer()?;
            follow()
        });
        let time = lead();
        peer.join().unwrap_or_else(|_| Err("the peer panicked".into()))?;
        time
    })
}

/// Carries a load between two ends.
///
/// # Errors
/// Returns the errors of [`side_by_side`].
pub(crate) fn carry<A: End, B: End + Send>(
    cores: Cores,
    load: &Load,
    mut ours: A,
    mut theirs: B,
) -> Result<Duration> {
    ours.prepare(load)?;
    // The ends move into their threads, so that the other one learns when a side has given up.
    side_by_side(
        cores,
        move || lead(&mut ours, load),
        move || {
            theirs.prepare(load)?;
            follow(&mut theirs, load)
        },
    )
}
