//! Bindings of domains, for those who ask: the root does not know them, and passes the question on.

use std::collections::BTreeMap;

use flounder_rt::{Iref, Peer};

use crate::process::to_wire;
use crate::protocol::monitor::{BindingsReply, Held, Told, Verdict};
use crate::root::{Domain, Root, ToDomain};

/// Questions that may be open at one domain.
const MAX_ASKED: usize = 64;

/// Questions of one domain that may be open: as many as there may be domains that do not answer.
const MAX_ASKING: usize = 512;

/// Those that were passed on and not answered.
#[derive(Default)]
pub(super) struct Reports {
    last: u64,
    /// By who is asked, and a number.
    open: BTreeMap<(u64, u64), Open>,
    /// The same by who asks: who is asked.
    asking: BTreeMap<(u64, u64), u64>,
}

struct Open {
    asker: u64,
    reply: BindingsReply,
}

impl Reports {
    /// Keeps a question, and gives it a number. The reply comes back if there are too many.
    fn ask(&mut self, asker: u64, asked: u64, reply: BindingsReply) -> Result<u64, BindingsReply> {
        let at_this = self.open.range((asked, 0)..=(asked, u64::MAX)).count();
        let of_this = self.asking.range((asker, 0)..=(asker, u64::MAX)).count();
        if at_this >= MAX_ASKED || of_this >= MAX_ASKING {
            return Err(reply);
        }
        self.last += 1;
        self.open.insert((asked, self.last), Open { asker, reply });
        self.asking.insert((asker, self.last), asked);
        Ok(self.last)
    }

    /// The question is answered, or will not be.
    fn settle(&mut self, asked: u64, ticket: u64) -> Option<BindingsReply> {
        let Open { asker, reply } = self.open.remove(&(asked, ticket))?;
        self.asking.remove(&(asker, ticket));
        Some(reply)
    }

    /// A connection has ended: what it asked, and what it was asked. Dropped, the replies say that none will come.
    pub(super) fn forget(&mut self, number: u64) -> Vec<BindingsReply> {
        let range = (number, 0)..=(number, u64::MAX);
        let asked = self.open.range(range.clone()).map(|(key, _)| *key);
        let asking = self.asking.range(range).map(|((_, ticket), asked)| (*asked, *ticket));
        let open: Vec<_> = asked.chain(asking).collect();
        open.into_iter().filter_map(|(asked, ticket)| self.settle(asked, ticket)).collect()
    }
}

impl Root {
    /// Asks a domain for its bindings after these numbers.
    pub(super) fn ask_for_report(
        &self,
        asker: &Domain,
        asked: &Domain,
        (link, connection): (u64, u64),
        reply: BindingsReply,
    ) {
        let own = self.users.borrow().policy().is_own(asker.uid);
        if !own && asker.uid != asked.uid {
            return reply.send(Verdict::Forbidden, &[]);
        }
        let asking = self.reports.borrow_mut().ask(asker.number, asked.number, reply);
        let ticket = match asking {
            Ok(ticket) => ticket,
            Err(reply) => return reply.send(Verdict::Exhausted, &[]),
        };
        if !asked.outbox.push(ToDomain::Report { ticket, link, connection }) {
            let refused = self.reports.borrow_mut().settle(asked.number, ticket);
            if let Some(reply) = refused {
                reply.send(Verdict::Exhausted, &[]);
            }
        }
    }

    /// A domain has answered. What nobody waits for any more is dropped.
    pub(super) fn report(&self, asked: &Domain, ticket: u64, held: &[Held]) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(reply) = reply {
            let bindings: Vec<_> = held.iter().map(|held| self.binding(held)).collect();
            reply.send(Verdict::Ok, &bindings);
        }
    }

    fn binding(&self, held: &Held) -> Told {
        let services = self.services.borrow();
        let service = Iref::from_bits(held.iref).and_then(|iref| services.get(&iref));
        let at = self.domain_of(held.service).map(|domain| domain.peer.clone());
        let (pid, uid, _) = to_wire(&at.unwrap_or_else(Peer::unknown));
        Told {
            link: held.link,
            connection: held.connection,
            iref: held.iref,
            iface: service.map(|service| service.interface.clone()).unwrap_or_default(),
            driver: held.driver.clone(),
            since: held.since,
            pid,
            uid,
        }
    }
}
