//! What peers make this process write to its log.

mod support;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flounder_rt::__private::unhandled_error;
use flounder_rt::binding::{Dispatch, RawBinding, Received};
use flounder_rt::channel::ChannelError;
use flounder_rt::log_rate::BURST;
use flounder_rt::wire::DecodeError;
use flounder_rt::{BindingError, Waitset};
use support::{INTERFACE, pair};

/// Number of bindings that die, and of those that die at once: the waitset polls each of them in turn.
const BINDINGS: u64 = 10_000;
const AT_ONCE: u64 = 100;

/// Handlers of a program that has none for errors, as generated code has them.
struct Default;

impl Dispatch for Default {
    fn deliver(&mut self, _: &RawBinding, _: Received<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        unhandled_error(&raw.handle(), error);
    }
}

/// What is logged in this process.
#[derive(Clone, std::default::Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the lines about bindings, each as the number of lines that it says were held back.
    fn lines(&self) -> Vec<u64> {
        let log = self.0.lock().expect("nobody panics");
        let log = String::from_utf8_lossy(&log);
        let lines = log.lines().filter(|line| line.contains("binding error without a handler"));
        let held_back = |line: &str| {
            let number = line.split("held_back=").nth(1)?;
            number.split(' ').next()?.parse().ok()
        };
        lines.map(|line| held_back(line).unwrap_or(0)).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes bindings whose peers die at once, and dispatches until their errors were handled.
fn die(ws: &Waitset, count: u64) {
    let dying: Vec<_> = (0..count)
        .map(|_| {
            let (near, _, _, to_near) = pair(1);
            let binding = RawBinding::attach(Box::new(near), ws, INTERFACE, Box::new(Default))
                .expect("no descriptor");
            *to_near.fault.borrow_mut() = Some(ChannelError::PeerDied);
            binding
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    let done = || dying.iter().all(|binding| binding.ended().is_some());
    assert!(ws.dispatch_until(Some(deadline), done).expect("no callback fails"), "in time");
}

#[test]
fn dying_bindings_write_few_lines_and_count_the_rest() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let (ws, began) = (Waitset::new(), Instant::now());
    (0..BINDINGS / AT_ONCE).for_each(|_| die(&ws, AT_ONCE));
    let mut died = BINDINGS;
    let few = |lines: &[u64]| lines.len() as u64 <= BURST + 1 + began.elapsed().as_secs();
    let first = log.lines();
    assert!(first.len() as u64 >= BURST && few(&first), "{first:?}");
    assert_eq!(first[..BURST as usize], [0; BURST as usize]);
    // A second later the next of them is logged, with the number of those that were not.
    while log.lines().len() == first.len() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", log.lines());
        die(&ws, 1);
        died += 1;
    }
    let lines = log.lines();
    assert!(few(&lines), "{lines:?}");
    assert!(lines.last().is_some_and(|held_back| *held_back > 0), "{lines:?}");
    assert_eq!(lines.len() as u64 + lines.iter().sum::<u64>(), died, "none is lost");
}
