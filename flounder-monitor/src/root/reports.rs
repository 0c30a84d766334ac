//! Requests for the bindings and accounts of a domain: the root does not know them, and forwards
//! the request to the domain.

use std::collections::BTreeMap;

use flounder_rt::account::{Charge, Resource};
use flounder_rt::{Iref, Peer};

use crate::accounts::{limit_to_wire, page_of_accounts};
use crate::process::to_wire;
use crate::protocol::monitor::{
    AccountReport, AccountsReply, BindingReport, BindingsReply, HeldBinding, Verdict,
};
use crate::root::{Domain, MessageToDomain, Root};

/// Most requests that may be pending at one domain. The account of the requester's process limits
/// how many of its requests may be pending.
const MAX_PENDING_AT_DOMAIN: usize = 64;

/// Requests that were forwarded and not answered yet.
#[derive(Default)]
pub(super) struct PendingReports {
    last: u64,
    /// By the domain that must answer, and a ticket.
    pending: BTreeMap<(u64, u64), PendingReport>,
    /// The domain that must answer, by requester and ticket.
    by_requester: BTreeMap<(u64, u64), u64>,
}

struct PendingReport {
    requester: u64,
    reply: ReportReply,
    _charge: Charge,
}

/// Reply to the requester.
pub(super) enum ReportReply {
    Bindings(BindingsReply),
    Accounts(AccountsReply),
}

impl ReportReply {
    fn refuse(self, verdict: Verdict) {
        self.refuse_at(verdict, 0);
    }

    /// Refuses the request because of `limit`, as a message carries it.
    fn refuse_at(self, verdict: Verdict, limit: u64) {
        match self {
            Self::Bindings(reply) => reply.send(verdict, limit, &[]),
            Self::Accounts(reply) => reply.send(verdict, limit, &[], &[]),
        }
    }
}

impl PendingReports {
    /// Adds a request, and returns its ticket. Returns the reply if there are too many at the
    /// domain `asked`.
    fn ask(&mut self, asked: u64, pending: PendingReport) -> Result<u64, ReportReply> {
        let at_this = self.pending.range((asked, 0)..=(asked, u64::MAX)).count();
        if at_this >= MAX_PENDING_AT_DOMAIN {
            return Err(pending.reply);
        }
        self.last += 1;
        self.by_requester.insert((pending.requester, self.last), asked);
        self.pending.insert((asked, self.last), pending);
        Ok(self.last)
    }

    /// Removes a request that was answered, or will not be.
    fn settle(&mut self, asked: u64, ticket: u64) -> Option<ReportReply> {
        let PendingReport { requester, reply, .. } = self.pending.remove(&(asked, ticket))?;
        self.by_requester.remove(&(requester, ticket));
        Some(reply)
    }

    /// Removes the requests from and to a connection that has ended. A dropped reply ends the call
    /// without an answer.
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
    /// Forwards a request to the domain `asked`. `question` makes the message with the ticket.
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
        let charge = match requester.account.charge(Resource::Reports, 1) {
            Ok(charge) => charge,
            Err(limit) => return reply.refuse_at(Verdict::Quota, limit_to_wire(limit)),
        };
        let pending = PendingReport { requester: requester.number, reply, _charge: charge };
        let ticket = self.reports.borrow_mut().ask(asked.number, pending);
        let ticket = match ticket {
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

    /// Replies with the bindings that a domain has reported. A report without a pending request is
    /// dropped.
    pub(super) fn report(&self, asked: &Domain, ticket: u64, bindings: &[HeldBinding]) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(ReportReply::Bindings(reply)) = reply {
            let bindings: Vec<_> = bindings.iter().map(|binding| self.binding(binding)).collect();
            reply.send(Verdict::Ok, 0, &bindings);
        }
    }

    /// Replies with the accounts that a domain has reported. A report without a pending request is
    /// dropped.
    pub(super) fn report_accounts(
        &self,
        asked: &Domain,
        ticket: u64,
        accounts: &[AccountReport],
        limits: &[u64],
    ) {
        let reply = self.reports.borrow_mut().settle(asked.number, ticket);
        if let Some(ReportReply::Accounts(reply)) = reply {
            reply.send(Verdict::Ok, 0, &self.with_owners(accounts), limits);
        }
    }

    /// Replies with the accounts of this process, to its own user and user 0 only.
    pub(super) fn own_accounts(&self, requester: &Domain, after: u64, reply: AccountsReply) {
        if !self.users.borrow().policy().is_own(requester.uid) {
            return reply.send(Verdict::Forbidden, 0, &[], &[]);
        }
        let (accounts, limits) = page_of_accounts(after);
        reply.send(Verdict::Ok, 0, &self.with_owners(&accounts), &limits);
    }

    /// Fills in pid and uid, which are the root's to report.
    fn with_owners(&self, accounts: &[AccountReport]) -> Vec<AccountReport> {
        let owner = |report: &AccountReport| {
            let peer = self.domain_of(report.domain).map(|domain| domain.peer.clone());
            let (pid, uid, _) = to_wire(&peer.unwrap_or_else(Peer::unknown));
            AccountReport { pid, uid, ..*report }
        };
        accounts.iter().map(owner).collect()
    }

    fn binding(&self, binding: &HeldBinding) -> BindingReport {
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
