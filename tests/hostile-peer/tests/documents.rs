//! The documents of the wire are complete: a client that was written from them alone is served.

mod support;

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::monitor::{Typed, decode_call, encode_call};
use flounder_hostile_peer::ump::Channel;
use support::{Host, VICTIM};

#[test]
fn client_from_the_documents_is_served_over_lmp() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let socket = link.bind_lmp(iref, VICTIM.digest()).expect("the service takes it");
    let mut calls = Typed::new(socket, &VICTIM);
    for i in 0..100_u64 {
        let (sum, _) = calls.call("add", &[i.into(), 3.into()]);
        assert_eq!(sum[0].number(), i + 3);
    }
}

#[test]
fn client_from_the_documents_is_served_over_ump() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let mut channel = Channel::bind(&mut link, iref, VICTIM.digest(), 1).expect("it is taken");
    let (call, response) = (VICTIM.message("add_call"), VICTIM.message("add_response"));
    // Four times round the ring.
    for i in 0..250_u32 {
        channel.send(call.number, &encode_call(call, i + 1, &[u64::from(i).into(), 3.into()]));
        let (number, words) = channel.receive(PATIENCE).expect("an answer");
        assert_eq!(number, response.number);
        let (answered, sum) = decode_call(response, &words);
        assert_eq!((answered, sum[0].number()), (i + 1, u64::from(i) + 3));
    }
}
