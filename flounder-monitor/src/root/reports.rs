//! Bindings and accounts of domains, for those who ask: the root does not know them, and passes the question on.

use std::collections::BTreeMap;

use flounder_rt::{Iref, Peer};

use crate::monitor::report::page_of_accounts;
use crate::process::to_wire;
use crate::protocol::monitor::{AccountsReply, BindingsReply, Held, Spent, Told, Verdict};
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
    reply: Asked,
}

/// What was asked, to be replied to.
pub(super) enum Asked {
    Bindings(BindingsReply),
    Accounts(AccountsReply),
}

impl Asked {
    fn refuse(self, verdict: Verdict) {
        match self {
            Self::Bindings(reply) => reply.send(verdict, &[]),
            Self::Accounts(reply) => reply.send(verdict, &[], &[]),
        }
    }
}

impl Reports {
    /// Keeps a question, and gives it a number. The reply comes back if there are too many.
    fn ask(&mut self, asker: u64, asked: u64, reply: Asked) -> Result<u64, Asked> {
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
    fn settle(&mut self, asked: u64, ticket: u64) -> Option<Asked> {
        let Open { asker, reply } = self.open.remove(&(asked, ticket))?;
        self.asking.remove(&(asker, ticket));
        Some(reply)
    }

    /// A connection has ended: what it asked, and what it was asked. Dropped, the replies say that none will come.
    pub(super) fn forget(&mut self, number: u64) -> Vec<Asked> {
        let range = (number, 0)..=(number, u64::MAX);
        let asked = self.open.range(range.clone()).map(|(key, _)| *key);
        let asking = self.asking.range(range).map(|((_, ticket), asked)| (*asked, *ticket));
        let open: Vec<_> = asked.chain(asking).collect();
        open.into_iter().filter_map(|(asked, ticket)| self.settle(asked, ticket)).collect()
    }
}

impl Root {
    /// Passes a question on to the domain that it is about; `question` gets the ticket of the answer.
    pub(super) fn ask_for_report(
        &self,
        asker: &Domain,
        asked: &Domain,
        reply: Asked,
        question: impl FnOnce(u64) -> ToDomain,
    ) {
        let own = self.users.borrow().policy().is_own(asker.uid);
        if !own && asker.uid != asked.uid {
            return reply.refuse(Verdict::Forbidden);
        }
        let asking = self.reports.borrow_mut().ask(asker.number, asked.number, reply);
        let ticket = match asking {
            Ok(ticket) => ticket,
            Err(reply) => return reply.refuse(Verdict::Exhausted),
        };
        if !asked.outbox.push(question(ticket)) {
            let refused = self.reports.borrow_mut().settle(asked.number, ticket);
            if let Some(reply) = refused {
                reply.refuse(Verdict::Exhausted);
            }
        }
    }

    /// A domain has answered. What nobody waits for any more is dropped, and so is the answer to another question.
    pub(super) fn report(&self, asked: &Domain, ticket: u64, held: &[Held]) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(Asked::Bindings(reply)) = reply {
            let bindings: Vec<_> = held.iter().map(|held| self.binding(held)).collect();
            reply.send(Verdict::Ok, &bindings);
        }
    }

    /// As [`report`](Self::report), for accounts.
    pub(super) fn report_accounts(
        &self,
        asked: &Domain,
        ticket: u64,
        accounts: &[Spent],
        limits: &[u64],
    ) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(Asked::Accounts(reply)) = reply {
            reply.send(Verdict::Ok, &self.with_owners(accounts), limits);
        }
    }

    /// Answers for the accounts that this process keeps, to its own user and user 0.
    pub(super) fn own_accounts(&self, asker: &Domain, after: u64, reply: AccountsReply) {
        if !self.users.borrow().policy().is_own(asker.uid) {
            return reply.send(Verdict::Forbidden, &[], &[]);
        }
        let (accounts, limits) = page_of_accounts(after);
        reply.send(Verdict::Ok, &self.with_owners(&accounts), &limits);
    }

    /// Who a domain is, is the word of the root.
    fn with_owners(&self, accounts: &[Spent]) -> Vec<Spent> {
        let owner = |spent: &Spent| {
            let peer = self.domain_of(spent.domain).map(|domain| domain.peer.clone());
            let (pid, uid, _) = to_wire(&peer.unwrap_or_else(Peer::unknown));
            Spent { pid, uid, ..*spent }
        };
        accounts.iter().map(owner).collect()
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
