//! Slots of messages that are lost with their capabilities.

use super::*;

/// A capability that may not enter takes its message with it, but not the slot.
pub(crate) fn slot_of_a_message_that_is_lost_comes_back(client: &Client) {
    let pool = client.open(Slots { count: 1, bytes: 4096 });
    let device = Cap::from(std::fs::File::open("/dev/null").expect("a device"));
    client.run(client.binding.send_deny(true)).expect("it is accepted");
    for seq in 0..3 {
        let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
        fill(&mut buffer, seq);
        client.run(client.binding.send_capped(buffer, &device)).expect("it is accepted");
    }
    client.run(client.binding.send_deny(false)).expect("it is accepted");
    let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
    fill(&mut buffer, 7);
    client.run(client.binding.send_capped(buffer, &device)).expect("it is accepted");
    client.expect(0, &filled(4096, 7), "slot");
}

/// A capability that may not leave: the buffer is given back, or the slot is free, if the message was accepted by then.
pub(crate) fn slot_of_a_message_that_may_not_leave_comes_back(client: &Client) {
    let pool = client.open(Slots { count: 1, bytes: 4096 });
    let device = || Cap::from(std::fs::File::open("/dev/null").expect("a device"));
    deny_devices(Direction::Send);
    let now = client.binding.tx_capped(takes(&pool, 100, 1), &device());
    let given = now.err().and_then(|rejected| rejected.given);
    assert_eq!(given.as_deref(), Some(&filled(100, 1)[..]));
    drop(given);
    let later = client.run(client.binding.send_capped(takes(&pool, 100, 2), &device()));
    let given = later.err().and_then(|rejected| rejected.given);
    assert_eq!(given.as_deref(), Some(&filled(100, 2)[..]));
    drop(given);
    let (shared, buffer) = (client.binding.shared(), takes(&pool, 100, 3));
    let other = std::thread::spawn(move || {
        shared.tx_capped(buffer, &device()).expect("there is room in the queue");
    });
    other.join().expect("no panic");
    client.run(pool.taken(1)).expect("it comes back");
    policy::clear_cap_policy();
}

#[test]
fn slot_of_a_message_that_its_sender_loses_is_free() {
    for driver in lossy_driver::register_all() {
        let ws = Waitset::current();
        let exported = frames::export(&ws, |_: &Peer| Ok(Service::default())).wait();
        let client = Client::new(exported.expect("it can be exported").iref(), driver);
        let pool = client.open(Slots { count: 1, bytes: 4096 });
        let device = Cap::from(std::fs::File::open("/dev/null").expect("a device"));
        for seq in 0..3 {
            let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
            fill(&mut buffer, seq);
            client.binding.tx_capped(buffer, &device).expect("it is accepted");
            let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
            fill(&mut buffer, seq);
            // Kept until it can be sent.
            client.run(client.binding.send_capped(buffer, &device)).expect("it is accepted");
        }
        let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
        fill(&mut buffer, 7);
        client.run(client.binding.send_frame(7, buffer)).expect("it is accepted");
        client.expect(7, &filled(4096, 7), "slot");
    }
}
