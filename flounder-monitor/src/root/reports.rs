//! Bindings of domains, for those who ask: the root does not know them, and passes the question on.

use std::collections::HashMap;

use flounder_rt::Iref;

use crate::protocol::monitor::{BindingsReply, Held, Told, Verdict};
use crate::root::{Domain, Root, ToDomain};

/// Questions that may be open at one domain.
const MAX_OPEN: usize = 64;

/// Those that were passed on and not answered.
#[derive(Default)]
pub(super) struct Reports {
    last: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    asker: u64,
    asked: u64,
    reply: BindingsReply,
}

impl Reports {
    /// A connection has ended: what it asked, and what it was asked. Dropped, the replies say that none will come.
    pub(super) fn forget(&mut self, number: u64) -> Vec<BindingsReply> {
        let theirs = |open: &Open| open.asker == number || open.asked == number;
        self.open.extract_if(|_, open| theirs(open)).map(|(_, open)| open.reply).collect()
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
        let own = self.users.borrow().policy().is_own(asker.peer.uid);
        if !own && asker.peer.uid != asked.peer.uid {
            return reply.send(Verdict::Forbidden, &[]);
        }
        let mut reports = self.reports.borrow_mut();
        let at_this = reports.open.values().filter(|open| open.asked == asked.number).count();
        if at_this >= MAX_OPEN {
            drop(reports);
            return reply.send(Verdict::Exhausted, &[]);
        }
        reports.last += 1;
        let ticket = reports.last;
        let open = Open { asker: asker.number, asked: asked.number, reply };
        reports.open.insert(ticket, open);
        drop(reports);
        if !asked.outbox.push(ToDomain::Report { ticket, link, connection }) {
            let open = self.reports.borrow_mut().open.remove(&ticket);
            if let Some(open) = open {
                open.reply.send(Verdict::Exhausted, &[]);
            }
        }
    }

    /// A domain has answered. What nobody waits for any more is dropped.
    pub(super) fn report(&self, asked: &Domain, ticket: u64, held: &[Held]) {
        let mut reports = self.reports.borrow_mut();
        if reports.open.get(&ticket).is_none_or(|open| open.asked != asked.number) {
            return;
        }
        let open = reports.open.remove(&ticket);
        drop(reports);
        let bindings: Vec<_> = held.iter().map(|held| self.binding(held)).collect();
        if let Some(open) = open {
            open.reply.send(Verdict::Ok, &bindings);
        }
    }

    fn binding(&self, held: &Held) -> Told {
        let services = self.services.borrow();
        let service = Iref::from_bits(held.iref).and_then(|iref| services.get(&iref));
        let at = self.domain_of(held.service).map(|domain| domain.peer.clone());
        let (pid, uid) = at.map_or((0, 0), |peer| (peer.pid, peer.uid));
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
