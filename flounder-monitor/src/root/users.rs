//! Who may come to the root, and how much of it one user may have.
//!
//! The root's own user, and user 0, may do what they like: they could end the root. Others come in only where a daemon
//! lets them in; each of these users gets an equal share of the root's descriptors, so that none can use them up.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use crate::process::own_uid;

/// Connections of one user that have not said hello.
const MAX_NOT_JOINED: usize = 256;

/// The same, of one that will be told that it may not join, and of all of them.
const MAX_REFUSED: usize = 8;
const MAX_REFUSED_IN_ALL: usize = 64;

/// Introductions that may wait in the root for a domain of another user to read them.
pub(super) const MAX_INTRODUCTIONS: usize = 4;

/// Descriptors that a connection of another user can make the root hold: the connection, a pidfd, one more if the domain
/// is gone and its names are kept, and two for each introduction that waits, the one on its way included.
const DESCRIPTORS: usize = 3 + 2 * (MAX_INTRODUCTIONS + 1);

/// Descriptors that the root keeps from other users.
const RESERVED_DESCRIPTORS: usize = 64;

/// Fewest connections in a share.
const MIN_SHARE: usize = 8;

/// What the root lets its users do.
#[derive(Debug)]
pub(crate) struct JoinPolicy {
    /// Its own user.
    own: u32,
    /// Whether it is there to stay.
    is_daemon: bool,
    allowed: BTreeSet<u32>,
    /// Others have to wait until then for those who were here before them.
    others_from: Instant,
    /// Connections of each of the others.
    share: usize,
}

/// What becomes of somebody at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinDecision {
    /// It may join.
    Accept,
    /// It is told that it may not.
    Deny,
    /// It is hung up on: it may come again.
    Later,
}

impl JoinPolicy {
    /// Of a domain that is the root for the moment.
    pub(crate) fn embedded() -> Self {
        Self::new(false, BTreeSet::new(), Duration::ZERO)
    }

    /// Of a daemon that lets these users in, after a while.
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

    /// Whether it lets other users in.
    pub(super) fn has_others(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether `uid` is the root's user, or user 0.
    pub(super) const fn is_own(&self, uid: u32) -> bool {
        uid == self.own || uid == 0
    }

    pub(super) fn may_join(&self, uid: u32) -> bool {
        self.is_own(uid) || self.allowed.contains(&uid)
    }
}

/// What the domains of one user have.
#[derive(Debug, Default)]
struct User {
    connections: usize,
    /// Those of them that have not said hello.
    not_joined: usize,
}

/// What all users have.
#[derive(Debug)]
pub(super) struct Users {
    policy: JoinPolicy,
    users: HashMap<u32, User>,
    /// Guests who will be told that they may not join.
    refused: usize,
}

impl Users {
    pub(super) fn new(policy: JoinPolicy) -> Self {
        Self { policy, users: HashMap::new(), refused: 0 }
    }

    pub(super) const fn policy(&self) -> &JoinPolicy {
        &self.policy
    }

    /// Somebody is at the door. Counted, unless it is hung up on.
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

    /// A connection that was counted has said hello, and may stay.
    pub(super) fn joined(&mut self, uid: u32) {
        if let Some(user) = self.users.get_mut(&uid) {
            user.not_joined -= 1;
        }
    }

    /// A connection that was counted is no more. `joined` says whether that was called.
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

    /// Counts a process that is gone from here and whose names are kept.
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

    /// A user that is not the one of the tests.
    fn other() -> u32 {
        own_uid() + 1
    }

    /// One that may not join.
    fn stranger() -> u32 {
        own_uid() + 2
    }

    fn daemon(pause: Duration) -> Users {
        Users::new(JoinPolicy::daemon(BTreeSet::from([other()]), pause))
    }

    #[test]
    fn without_a_daemon_there_is_one_user() {
        let mut users = Users::new(JoinPolicy::embedded());
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        assert_eq!(users.decide(0), JoinDecision::Accept);
        assert_eq!(users.decide(other()), JoinDecision::Later);
        assert_eq!(users.users.len(), if own_uid() == 0 { 1 } else { 2 });
    }

    #[test]
    fn a_daemon_lets_in_exactly_those_it_was_told() {
        let mut users = daemon(Duration::ZERO);
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        assert_eq!(users.decide(other()), JoinDecision::Accept);
        assert_eq!(users.decide(stranger()), JoinDecision::Deny);
    }

    #[test]
    fn others_wait_for_those_who_were_here_before() {
        let mut users = daemon(Duration::from_secs(1000));
        assert_eq!(users.decide(own_uid()), JoinDecision::Accept);
        assert_eq!(users.decide(other()), JoinDecision::Later);
    }

    #[test]
    fn one_user_has_its_share_and_no_more() {
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
    fn those_who_say_nothing_are_few() {
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
    fn users_who_have_nothing_leave_nothing() {
        let mut users = daemon(Duration::ZERO);
        assert_eq!(users.decide(other()), JoinDecision::Accept);
        users.joined(other());
        users.left(other(), true);
        assert_eq!(users.decide(stranger()), JoinDecision::Deny);
        users.left(stranger(), false);
        assert!(users.users.is_empty() && users.refused == 0);
    }
}
