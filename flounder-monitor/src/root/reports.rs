//! Bindings and accounts of domains, for those who ask: the root does not know them, and passes the question on.

use std::collections::BTreeMap;

use flounder_rt::{Iref, Peer};

use crate::accounts::page_of_accounts;
use crate::process::to_wire;
use crate::protocol::monitor::{
    AccountReport, AccountsReply, BindingReport, BindingsReply, ClientBinding, Verdict,
};
use crate::root::{Domain, MessageToDomain, Root};

/// Questions that may be open at one domain.
const MAX_PENDING_AT_DOMAIN: usize = 64;

/// Questions of one domain that may be open: as many as there may be domains that do not answer.
const MAX_PENDING_OF_DOMAIN: usize = 512;

/// Those that were passed on and not answered.
#[derive(Default)]
pub(super) struct PendingReports {
    last: u64,
    /// By who is asked, and a number.
    pending: BTreeMap<(u64, u64), PendingReport>,
    /// The same by who asks: who is asked.
    by_requester: BTreeMap<(u64, u64), u64>,
}

struct PendingReport {
    requester: u64,
    reply: ReportReply,
}

/// What was asked, to be replied to.
pub(super) enum ReportReply {
    Bindings(BindingsReply),
    Accounts(AccountsReply),
}

impl ReportReply {
    fn refuse(self, verdict: Verdict) {
        match self {
            Self::Bindings(reply) => reply.send(verdict, &[]),
            Self::Accounts(reply) => reply.send(verdict, &[], &[]),
        }
    }
}

impl PendingReports {
    /// Keeps a question, and gives it a number. The reply comes back if there are too many.
    fn ask(&mut self, requester: u64, asked: u64, reply: ReportReply) -> Result<u64, ReportReply> {
        let at_this = self.pending.range((asked, 0)..=(asked, u64::MAX)).count();
        let of_this = self.by_requester.range((requester, 0)..=(requester, u64::MAX)).count();
        if at_this >= MAX_PENDING_AT_DOMAIN || of_this >= MAX_PENDING_OF_DOMAIN {
            return Err(reply);
        }
        self.last += 1;
        self.pending.insert((asked, self.last), PendingReport { requester, reply });
        self.by_requester.insert((requester, self.last), asked);
        Ok(self.last)
    }

    /// The question is answered, or will not be.
    fn settle(&mut self, asked: u64, ticket: u64) -> Option<ReportReply> {
        let PendingReport { requester, reply } = self.pending.remove(&(asked, ticket))?;
        self.by_requester.remove(&(requester, ticket));
        Some(reply)
    }

    /// A connection has ended: what it asked, and what it was asked. Dropped, the replies say that none will come.
    pub(super) fn forget(&mut self, number: u64) -> Vec<ReportReply> {
        let range = (number, 0)..=(number, u64::MAX);
        let asked = self.pending.range(range.clone()).map(|(key, _)| *key);
        let by_requester =
            self.by_requester.range(range).map(|((_, ticket), asked)| (*asked, *ticket));
        let pending: Vec<_> = asked.chain(by_requester).collect();
        pending.into_iter().filter_map(|(asked, ticket)| self.settle(asked, ticket)).collect()
    }
}

impl Root {
    /// Passes a question on to the domain that it is about; `question` gets the ticket of the answer.
    pub(super) fn forward_report_request(
        &self,
        requester: &Domain,
        asked: &Domain,
        reply: ReportReply,
        question: impl FnOnce(u64) -> MessageToDomain,
    ) {
        let own = self.users.borrow().policy().is_own(requester.uid);
        if !own && requester.uid != asked.uid {
            return reply.refuse(Verdict::Forbidden);
        }
        let by_requester = self.reports.borrow_mut().ask(requester.number, asked.number, reply);
        let ticket = match by_requester {
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
    pub(super) fn report(&self, asked: &Domain, ticket: u64, bindings: &[ClientBinding]) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(ReportReply::Bindings(reply)) = reply {
            let bindings: Vec<_> = bindings.iter().map(|binding| self.binding(binding)).collect();
            reply.send(Verdict::Ok, &bindings);
        }
    }

    /// As [`report`](Self::report), for accounts.
    pub(super) fn report_accounts(
        &self,
        asked: &Domain,
        ticket: u64,
        accounts: &[AccountReport],
        limits: &[u64],
    ) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(ReportReply::Accounts(reply)) = reply {
            reply.send(Verdict::Ok, &self.with_owners(accounts), limits);
        }
    }

    /// Answers for the accounts that this process keeps, to its own user and user 0.
    pub(super) fn own_accounts(&self, requester: &Domain, after: u64, reply: AccountsReply) {
        if !self.users.borrow().policy().is_own(requester.uid) {
            return reply.send(Verdict::Forbidden, &[], &[]);
        }
        let (accounts, limits) = page_of_accounts(after);
        reply.send(Verdict::Ok, &self.with_owners(&accounts), &limits);
    }

    /// Who a domain is, is the word of the root.
    fn with_owners(&self, accounts: &[AccountReport]) -> Vec<AccountReport> {
        let owner = |report: &AccountReport| {
            let peer = self.domain_of(report.domain).map(|domain| domain.peer.clone());
            let (pid, uid, _) = to_wire(&peer.unwrap_or_else(Peer::unknown));
            AccountReport { pid, uid, ..*report }
        };
        accounts.iter().map(owner).collect()
    }

    fn binding(&self, binding: &ClientBinding) -> BindingReport {
        let services = self.services.borrow();
        let service = Iref::from_bits(binding.iref).and_then(|iref| services.get(&iref));
        let at = self.domain_of(binding.service).map(|domain| domain.peer.clone());
        let (pid, uid, _) = to_wire(&at.unwrap_or_else(Peer::unknown));
        BindingReport {
            link: binding.link,
            connection: binding.connection,
            iref: binding.iref,
            iface: service.map(|service| service.interface.clone()).unwrap_or_default(),
            driver: binding.driver.clone(),
            since: binding.since,
            pid,
            uid,
        }
    }
}
