//! The candidates, one file each.

mod calls;
mod capnp;
mod crossbeam;
mod flounder;
mod iceoryx;
mod interprocess;
mod ipc_channel;
mod pipe;
mod rtrb;
mod seqpacket;
mod std_mpsc;
mod tarpc;
mod tokio_mpsc;
mod typed;

use crate::subject::Candidate;

/// Returns all candidates, in the order of the tables.
pub(crate) fn all() -> Vec<Candidate> {
    [
        flounder::CANDIDATES,
        rtrb::CANDIDATES,
        crossbeam::CANDIDATES,
        std_mpsc::CANDIDATES,
        tokio_mpsc::CANDIDATES,
        iceoryx::CANDIDATES,
        pipe::CANDIDATES,
        seqpacket::CANDIDATES,
        interprocess::CANDIDATES,
        ipc_channel::CANDIDATES,
        tarpc::CANDIDATES,
        capnp::CANDIDATES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_candidates_have_one_id() {
        let all = all();
        let ids: BTreeSet<_> = all.iter().map(Candidate::id).collect();
        assert_eq!(ids.len(), all.len());
    }
}
