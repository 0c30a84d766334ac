//! A forked child cannot use, or harm, the channels of its parent.

use flounder_conformance::{LIMITS, TestLink, WakeCounter};
#[cfg(feature = "beehive")]
use flounder_drivers::beehive::Beehive;
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
use flounder_drivers::scc::Scc;
use flounder_drivers::{lmp::Lmp, ump::Ump};
use flounder_rt::Errno;
use flounder_rt::channel::{Channel, ChannelError, Connector, Incoming, Outgoing, Progress, Recv};
use flounder_rt::wire::Gather;

const GONE: ChannelError = ChannelError::Os(Errno::from_raw_os_error(libc::ECHILD));

fn send(channel: &mut dyn Channel, word: u64) -> Result<Progress, ChannelError> {
    let words = [word];
    let body = Gather::words_only(&words);
    channel.send(&mut Outgoing { number: 1, body, caps: &mut Vec::new(), cap_count: 0 }, 0)
}

/// Everything that can be done to an end; whether each was refused.
fn is_refused(mut channel: Box<dyn Channel>) -> bool {
    let mut incoming = Incoming::new(LIMITS);
    let refused = send(&mut *channel, 7) == Err(GONE) && channel.recv(&mut incoming) == Err(GONE);
    channel.ready();
    channel.can_resume();
    channel.is_over();
    channel.arm();
    channel.disarm();
    channel.close();
    refused && send(&mut *channel, 8) == Err(GONE)
}

/// Returns true if this process maps regions of channels.
fn maps_memory() -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.contains("/memfd:flounder")
}

#[test]
fn forked_child_gets_an_error_and_its_parent_none() {
    let drivers: &[&dyn Connector] = &[
        &Ump,
        &Lmp,
        #[cfg(feature = "beehive")]
        &Beehive,
        // Elsewhere scc runs over a model, which is for one process.
        #[cfg(all(feature = "scc", target_arch = "x86_64"))]
        &Scc,
    ];
    let drivers = drivers.iter().copied();
    let within = drivers
        .clone()
        .map(|driver| driver.pair_local(&WakeCounter::new().1, &WakeCounter::new().1).unwrap());
    let across = drivers
        .map(|driver| TestLink::connect(driver, &WakeCounter::new().1, &WakeCounter::new().1));
    let mut pairs: Vec<_> = within.chain(across).collect();
    let mut full = Vec::new();
    for (client, service) in &mut pairs {
        assert_eq!(send(&mut **service, 0), Ok(Progress::Done));
        // The client's end waits for room.
        let mut words = 0;
        while send(&mut **client, words).unwrap() == Progress::Done {
            words += 1;
        }
        full.push(words);
    }
    assert!(maps_memory(), "regions are mapped");
    // SAFETY:
    // * The child calls only what works in the child of a process with threads: it takes no lock that another thread can
    //   hold (the C library has put its allocator in order), and ends without running anything of the parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // The memory of the channels was not copied.
        let copied = maps_memory();
        // Every end is asked, each also after others were dropped.
        let refused = pairs.into_iter().fold(true, |all, (client, service)| {
            let (client, service) = (is_refused(client), is_refused(service));
            all && client && service
        });
        // SAFETY:
        // * `_exit` takes a number and does not return.
        unsafe { libc::_exit(i32::from(!refused) + 2 * i32::from(copied)) }
    }
    assert!(child > 0, "fork failed");
    let pid = rustix::process::Pid::from_raw(child).unwrap();
    let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
        .unwrap()
        .unwrap()
        .1;
    assert_eq!(status.exit_status(), Some(0), "the child: {status:?}");
    // Nothing was taken, added or closed.
    let mut incoming = Incoming::new(LIMITS);
    for ((client, service), words) in pairs.iter_mut().zip(full) {
        for (end, words) in [(service, words), (client, 1)] {
            for word in 0..words {
                assert_eq!(end.recv(&mut incoming), Ok(Recv::Message));
                assert_eq!(incoming.words(), [word]);
            }
            assert_eq!(end.recv(&mut incoming), Ok(Recv::Empty));
        }
    }
}
