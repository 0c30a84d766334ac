//! Which users may join the root, and how much of it one user may have.
//!
//! The root's own user, and user 0, are not limited by this: they could kill the root. Others may
//! join only where a daemon admits them; each of these users gets an equal share of the root's
//! descriptors, so that none can use them up.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use crate::process::own_uid;

/// Most connections of one user before `hello`.
const MAX_NOT_JOINED: usize = 256;

/// Most connections before `hello` of one user that may not join, and of all such users.
const MAX_REFUSED: usize = 8;
const MAX_REFUSED_IN_ALL: usize = 64;

/// Most introductions in the outbox of a domain of another user.
pub(super) const MAX_INTRODUCTIONS: usize = 4;

/// Descriptors that a connection of another user can make the root hold: the socket, a pidfd,
/// another pidfd if the domain has left and its names are kept, and two for each introduction in
/// its outbox or on its way.
const DESCRIPTORS: usize = 3 + 2 * (MAX_INTRODUCTIONS + 1);

/// Descriptors that are not shared out to other users.
const RESERVED_DESCRIPTORS: usize = 64;

/// Minimum number of connections in a share.
const MIN_SHARE: usize = 8;

/// Which users may join.
#[derive(Debug)]
pub(crate) struct JoinPolicy {
    /// The user of the root.
    own: u32,
    /// True for a daemon, false for a root inside of a program.
    is_daemon: bool,
    allowed: BTreeSet<u32>,
    /// Other users may join only after this, so that earlier domains can rejoin first.
    others_from: Instant,
    /// Most connections of each other user.
    share: usize,
}

/// What happens to a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinDecision {
    /// The process may join.
    Accept,
    /// The process may not join; the reply to its `hello` says so.
    Deny,
    /// The connection is closed; the process may try again.
    Later,
}

impl JoinPolicy {
    /// Returns the policy of a root inside of a program.
    pub(crate) fn embedded() -> Self {
        Self::new(false, BTreeSet::new(), Duration::ZERO)
    }

    /// Returns the policy of a daemon that admits these users after `pause`.
    pub(crate) fn daemon(allowed: BTreeSet<u32>, pause: Duration) -> Self {
        Self::new(true, allowed, pause)
    }

    fn new(is_daemon: bool, allowed: BTreeSet<u32>, pause: Duration) -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
        let limit =
            usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(RESERVED_DESCRIPTORS);
        let share = (limit / DESCRIPTORS / (allowed.len() + 1)).max(MIN_SHARE);
        let others_from = Instant::now() + pause;
        Self { own: own_uid(), is_daemon, allowed, others_from, share }
    }

    pub(super) const fn is_daemon(&self) -> bool {
        self.is_daemon
    }

    /// Returns true if other users may join.
    pub(super) fn has_others(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Returns true if `uid` is the root's user, or user 0.
    pub(super) const fn is_own(&self, uid: u32) -> bool {
        uid == self.own || uid == 0
    }

    pub(super) fn may_join(&self, uid: u32) -> bool {
        self.is_own(uid) || self.allowed.contains(&uid)
    }
}

/// Resources of the domains of one user.
#[derive(Debug, Default)]
struct User {
    connections: usize,
    /// Number of connections before `hello`.
    not_joined: usize,
}

/// Resources of all users.
#[derive(Debug)]
pub(super) struct Users {
    policy: JoinPolicy,
    users: HashMap<u32, User>,
    /// Number of connections before `hello` of users that may not join.
    refused: usize,
}

impl Users {
    pub(super) fn new(policy: JoinPolicy) -> Self {
        Self { policy, users: HashMap::new(), refused: 0 }
    }

    pub(super) const fn policy(&self) -> &JoinPolicy {
        &self.policy
    }

    /// Decides about a new connection, and counts it unless the answer is [`JoinDecision::Later`].
    pub(super) fn decide(&mut self, uid: u32) -> JoinDecision {
        let policy = &self.policy;
        let user = self.users.entry(uid).or_default();
        let (own, joins) = (policy.is_own(uid), policy.may_join(uid));
        let room = match (own, joins) {
            (true, _) => user.not_joined < MAX_NOT_JOINED,
            (false, true) => {
                user.not_joined < MAX_NOT_JOINED
                    && user.connections < policy.share
                    && policy.others_from <= Instant::now()
            }
            (false, false) => {
                policy.is_daemon
                    && user.not_joined < MAX_REFUSED
                    && self.refused < MAX_REFUSED_IN_ALL
            }
        };
        if !room {
            self.forget_idle(uid);
            return JoinDecision::Later;
        }
        user.not_joined += 1;
        user.connections += 1;
        self.refused += usize::from(!joins);
        if joins { JoinDecision::Accept } else { JoinDecision::Deny }
    }

    /// Notes that a counted connection has sent `hello` and may stay.
    pub(super) fn joined(&mut self, uid: u32) {
        if let Some(user) = self.users.get_mut(&uid) {
            user.not_joined -= 1;
        }
    }

    /// Notes that a counted connection has ended. `joined` is true if [`joined`](Self::joined) was
    /// called.
    pub(super) fn left(&mut self, uid: u32, joined: bool) {
        if !joined {
            self.joined(uid);
            self.refused -= usize::from(!self.policy.may_join(uid));
        }
        if let Some(user) = self.users.get_mut(&uid) {
            user.connections -= 1;
        }
        self.forget_idle(uid);
    }

    /// Counts an unjoined owner whose names are kept.
    pub(super) fn count_unjoined_owner(&mut self, uid: u32) {
        self.users.entry(uid).or_default().connections += 1;
    }

    fn forget_idle(&mut self, uid: u32) {
        if self.users.get(&uid).is_some_and(|user| user.connections == 0) {
            self.users.remove(&uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user other than the one of the tests.
    fn other() -> u32 {
        own_uid() + 1
    }

    /// A user that may not join.
    fn stranger() -> u32 {
        own_uid() + 2
    }

    fn daemon(pause: Duration) -> Users {
        Users::new(JoinPolicy::daemon(BTreeSet::from([other()]), pause))
    }

    #[test]
    fn embedded_root_admits_its_own_user_only() {
        let mut users = Users::new(JoinPolicy::embedded());
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        assert_eq!(users.decide(0), JoinDecision::Accept);
        assert_eq!(users.decide(other()), JoinDecision::Later);
        assert_eq!(users.users.len(), if own_uid() == 0 { 1 } else { 2 });
    }

    #[test]
    fn daemon_admits_exactly_the_allowed_users() {
        let mut users = daemon(Duration::ZERO);
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        assert_eq!(users.decide(other()), JoinDecision::Accept);
        assert_eq!(users.decide(stranger()), JoinDecision::Deny);
    }

    #[test]
    fn other_users_wait_for_the_pause() {
        let mut users = daemon(Duration::from_secs(1000));
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        assert_eq!(users.decide(other()), JoinDecision::Later);
    }

    #[test]
    fn connections_of_a_user_are_limited_to_its_share() {
        let mut users = daemon(Duration::ZERO);
        for _ in 0..users.policy.share {
            assert_eq!(users.decide(other()), JoinDecision::Accept);
            users.joined(other());
        }
        assert_eq!(users.decide(other()), JoinDecision::Later);
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        users.left(other(), true);
        assert_eq!(users.decide(other()), JoinDecision::Accept);
    }

    #[test]
    fn connections_before_hello_are_limited() {
        let mut users = daemon(Duration::ZERO);
        let decide = |users: &mut Users, uid| {
            (0..).take_while(|_| users.decide(uid) != JoinDecision::Later).count()
        };
        let share = users.policy.share;
        assert_eq!(decide(&mut users, other()), share.min(MAX_NOT_JOINED));
        assert_eq!(decide(&mut users, own_uid()), MAX_NOT_JOINED);
        assert_eq!(decide(&mut users, stranger()), MAX_REFUSED);
        let more: usize = (1..20).map(|i| decide(&mut users, stranger() + i)).sum();
        assert_eq!(more, MAX_REFUSED_IN_ALL - MAX_REFUSED);
        users.left(stranger(), false);
        assert_eq!(decide(&mut users, stranger()), 1);
    }

    #[test]
    fn users_without_connections_are_forgotten() {
        let mut users = daemon(Duration::ZERO);
        assert_eq!(users.decide(other()), JoinDecision::Accept);
        users.joined(other());
        users.left(other(), true);
        assert_eq!(users.decide(stranger()), JoinDecision::Deny);
        users.left(stranger(), false);
        assert!(users.users.is_empty() && users.refused == 0);
    }
}
