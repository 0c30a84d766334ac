//! Bulk data in calls and replies.

use super::*;

/// Slots and sealed memory in both directions of calls, of every kind of client. Everything comes back: there are two slots.
pub(crate) fn calls_carry_bulk_data_as_messages_do(client: &Client) {
    let (rpc, pool) =
        (frames::RpcClient::new(&client.binding), client.open(Slots { count: 2, bytes: 65_536 }));
    let (len, deadline) = (60_000, Instant::now() + TIMEOUT);
    let check = |seq: u64, (how, same): (String, BulkOwned)| {
        assert_eq!(sum_of(&same), sum(&filled(len, seq)));
        (how, way(&same))
    };
    let in_slots = ("slot".to_owned(), "slot".to_owned());
    // The pool of the service is open once this end has answered the offer.
    while check(0, rpc.echo(&filled(len, 0), true).expect("an answer")) != in_slots {
        assert!(Instant::now() < deadline, "in time: the service has a pool");
    }
    for seq in 0..40 {
        let buffer = takes(&pool, len, seq);
        let blocking = rpc.echo(buffer, true).expect("an answer");
        assert_eq!(check(seq, blocking), in_slots, "blocking");
    }
    for seq in 0..40 {
        let mut buffer = client.run(pool.taken(len)).expect("it comes back");
        fill(&mut buffer, seq);
        let awaited = client.run(rpc.echo_async(buffer, true)).expect("an answer");
        assert_eq!(check(seq, awaited), in_slots, "awaited");
    }
    for seq in 0..10 {
        let mut buffer = client.run(pool.taken(len)).expect("it comes back");
        fill(&mut buffer, seq);
        let shared = rpc.shared();
        let shared = client.beside(move || shared.echo(buffer, true)).expect("an answer");
        assert_eq!(check(seq, shared), in_slots, "shared");
    }
    // What came is passed on: a slot as a copy, in a slot of the service; sealed memory unread.
    let mut buffer = client.run(pool.taken(len)).expect("it comes back");
    fill(&mut buffer, 1);
    assert_eq!(check(1, client.run(rpc.echo_async(buffer, false)).expect("an answer")), in_slots);
    let blob = Blob::build(len, |bytes| fill(bytes, 2)).expect("it can be made");
    let sealed = ("sealed".to_owned(), "sealed".to_owned());
    assert_eq!(check(2, rpc.echo(&blob, false).expect("an answer")), sealed);
    assert_eq!(check(2, client.run(rpc.echo_async(&blob, false)).expect("an answer")), sealed);
    // Both slots are here again.
    let _all = [(); 2].map(|()| client.run(pool.taken(1)).expect("it comes back"));
}

/// What is not sent comes back.
pub(crate) fn slots_of_calls_that_are_not_sent_come_back(client: &Client) {
    let (rpc, pool) =
        (frames::RpcClient::new(&client.binding), client.open(Slots { count: 1, bytes: 4096 }));
    drop(rpc.echo_async(takes(&pool, 100, 0), false));
    drop(rpc.shared().echo_async(takes(&pool, 100, 0), false));
    let over = rpc.deadline(Instant::now()).echo(takes(&pool, 100, 0), false);
    assert_eq!(over.err(), Some(RpcError::Deadline));
    drop(client.binding.send_frame(0, takes(&pool, 100, 0)));
    drop(client.binding.shared().send_frame(0, takes(&pool, 100, 0)));
    // Behind a call that fills the channel, in the table of calls.
    let large = vec![0; 65_536];
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = Box::pin(rpc.read_async(0, &large));
    let mut second = Box::pin(rpc.echo_async(takes(&pool, 100, 0), false));
    let is_pending = first.as_mut().poll(&mut cx).is_pending();
    let is_busy = !client.binding.can_send();
    assert!(is_busy || client.binding.driver() != "ump", "it has no room for so much");
    assert!(is_pending && second.as_mut().poll(&mut cx).is_pending());
    drop(second);
    if is_busy {
        assert!(pool.take(1).is_ok(), "it was not sent");
    }
    let _ = client.run(first).expect("an answer");
    client.run(pool.taken(1)).expect("it comes back");
}

/// What a service answers that means harm: the bits of a head.
const BAD_HEADS: [(&str, u64); 6] = [
    ("a pool that was never offered", 16 | 1 << 32 | 3 << 34),
    ("a slot that is not lent", 16 | 1 << 32 | 5 << 42),
    ("a slot beyond the pool", 16 | 1 << 32 | 60_000 << 42),
    ("way 3", 16 | 3 << 32),
    ("sealed memory that is missing", 16 | 2 << 32),
    ("more than the maximum", 0xffff_ffff | 1 << 32),
];

/// Whatever kind of client has made the call, it fails, and the binding ends.
#[test]
fn reply_that_names_what_it_may_not_ends_the_binding() {
    let response = frames::INTERFACE.messages.iter().zip(1..).find_map(|(info, number)| {
        let MessageKind::RpcResponse { at } = info.kind else { return None };
        (info.name == "read_response").then_some((number, at))
    });
    let (number, at) = response.expect("it is declared");
    for (driver, (what, head)) in
        ["loopback", "ump", "lmp"].into_iter().flat_map(|driver| BAD_HEADS.map(|bad| (driver, bad)))
    {
        for kind in ["blocking", "awaited", "shared"] {
            let ws = Waitset::current();
            let read =
                move |b: &frames::Binding, id: u32, _: Bulk<'_>, reply: frames::ReadReply| {
                    // The pool is there, and has slots.
                    let pool = b.pool().expect("a pool can be made");
                    let mut words = [head, 0];
                    assert_eq!(at, 8, "the id is behind the head");
                    words[1] = id.into();
                    b.as_raw().send(number, &words, &[]).expect("there is room");
                    drop((pool, reply));
                };
            let exported = frames::export(&ws, move |_: &Peer| {
                Ok(frames::RxVtbl { read: Some(Box::new(read)), ..Default::default() })
            });
            let exported = exported.wait().expect("it can be exported");
            let client = Client::new(exported.iref(), driver);
            let rpc = frames::RpcClient::new(&client.binding);
            // The service answers the call whose id is its argument: the first of a binding.
            let result = match kind {
                "blocking" => rpc.read(1, &[]).map(drop),
                "awaited" => client.run(rpc.read_async(1, &[])).map(drop),
                _ => {
                    let shared = rpc.shared();
                    client.beside(move || shared.read(1, &[]).map(drop))
                }
            };
            assert!(result.is_err(), "{driver}, {kind}: {what}");
            client.until(what, || client.binding.ended().is_some());
        }
    }
}

#[test]
fn reply_that_nobody_waits_for_leaves_its_slot_free() {
    for driver in ["loopback", "ump", "lmp"] {
        let (ws, held) = (Waitset::current(), Rc::new(RefCell::new(VecDeque::new())));
        let theirs = Rc::clone(&held);
        let connect = move |_: &Peer| {
            let held = Rc::clone(&theirs);
            let read = move |b: &frames::Binding, _: u32, _: Bulk<'_>, reply: frames::ReadReply| {
                held.borrow_mut().push_back((b.clone(), reply));
            };
            Ok(frames::RxVtbl { read: Some(Box::new(read)), ..Default::default() })
        };
        let exported = frames::export(&ws, connect).wait().expect("it can be exported");
        let client = Client::new(exported.iref(), driver);
        let (rpc, pool) = (frames::RpcClient::new(&client.binding), RefCell::new(None));
        for is_full in [false, true] {
            let mut call = Box::pin(rpc.read_async(1, &[]));
            let waits = call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
            assert!(waits);
            client.until("the call", || !held.borrow().is_empty());
            let (service, reply) = held.borrow_mut().pop_front().expect("it is there");
            let pool = pool
                .borrow_mut()
                .get_or_insert_with(|| {
                    let slots = Slots { count: 1, bytes: 4096 };
                    Pool::new(&service, slots).expect("a pool can be made")
                })
                .clone();
            client.until("the pool is taken", || pool.is_open());
            let buffer = takes(&pool, 4096, 1);
            if is_full {
                // The reply has to wait behind these.
                while service.tx_got(1, 1, "").is_ok() {}
                reply.send(buffer);
                assert_eq!(pool.take(1).err(), Some(PoolError::Busy));
                drop(call);
            } else {
                drop(call);
                client.until("the notice", || reply.is_cancelled());
                reply.send(buffer);
                assert!(pool.take(1).is_ok(), "at once");
            }
            client.run(pool.taken(1)).expect("it comes back");
            client.reports.borrow_mut().clear();
        }
    }
}
