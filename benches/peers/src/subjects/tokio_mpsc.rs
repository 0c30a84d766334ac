//! tokio's mpsc: a bounded channel for each direction, between two runtimes of one thread each.

use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::typed::Payload;
use crate::load::{Inbox, Load, Outbox, WARM_UP};
use crate::machine::Cores;
use crate::subject::{Candidate, Result};
use crate::thread::side_by_side;

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_threads("tokio mpsc", |_, cores| {
        Ok(Box::new(move |load: &Load| match load.size {
            8 => run::<[u8; 8]>(cores, load),
            56 => run::<[u8; 56]>(cores, load),
            _ => run::<Box<[u8]>>(cores, load),
        }))
    })];

fn run<P: Payload>(cores: Cores, load: &Load) -> Result<Duration> {
    let (to_peer, from_leader) = channel::<P>(P::DEPTH);
    let (to_leader, from_peer) = channel::<P>(P::DEPTH);
    let ours = ChannelEnd { tx: to_peer, rx: from_peer };
    let theirs = ChannelEnd { tx: to_leader, rx: from_leader };
    side_by_side(
        cores,
        move || runtime::Builder::new_current_thread().build()?.block_on(lead(ours, load)),
        move || runtime::Builder::new_current_thread().build()?.block_on(follow(theirs, load)),
    )
}

struct ChannelEnd<P> {
    tx: Sender<P>,
    rx: Receiver<P>,
}

impl<P: Payload> ChannelEnd<P> {
    async fn send(&self, payload: &[u8]) -> Result {
        self.tx.send(P::of(payload)).await.map_err(|_| "the other end is gone".into())
    }

    async fn receive(&mut self, inbox: &mut Inbox) -> Result {
        let value = self.rx.recv().await.ok_or("the other end is gone")?;
        Ok(inbox.accept(value.bytes())?)
    }
}

async fn lead<P: Payload>(mut end: ChannelEnd<P>, load: &Load) -> Result<Duration> {
    let (mut outbox, mut inbox) = (Outbox::new(load.size), Inbox::new(load));
    let mut started = Instant::now();
    for sent in 1..=load.total() {
        end.send(outbox.next()).await?;
        if load.is_answered(sent) {
            end.receive(&mut inbox).await?;
        }
        if sent == WARM_UP {
            started = Instant::now();
        }
    }
    Ok(started.elapsed())
}

async fn follow<P: Payload>(mut end: ChannelEnd<P>, load: &Load) -> Result {
    let (mut outbox, mut inbox) = (Outbox::new(load.size), Inbox::new(load));
    for received in 1..=load.total() {
        end.receive(&mut inbox).await?;
        if load.is_answered(received) {
            end.send(outbox.next()).await?;
        }
    }
    Ok(())
}
