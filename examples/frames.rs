//! Video frames without copies: `cargo run --release --example frames [-- --driver ump]`.
//!
//! A camera fills 1080p frames in place, in slots of a pool of each consumer. Two consumers, in threads of their own, read them
//! in place: one looks at each frame and lets go of it, the other one keeps every tenth. A frame that is kept takes its slot
//! from the pool until it is dropped; the camera waits when a consumer has no slot left, and the other one does not notice.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use flounder::bulk::{Bulk, BulkOwned, Pool, Slots};
use flounder::{Iref, Peer, Waitset, flounder};

flounder! {
    interface video "Frames of a camera" {
        /// From the consumer: begin.
        message start();
        message frame(uint64 seq, bulk pixels[8294400]);
        /// From the camera: that was the last frame.
        message stop();
    };
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes of a frame: 1920 by 1080 pixels of four bytes.
const FRAME: usize = 1920 * 1080 * 4;
const FRAMES: u64 = 40;
const SLOTS: Slots = Slots { count: 6, bytes: FRAME };

/// What a consumer may wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The camera: sends its frames to each consumer that asks.
struct Camera {
    ws: Waitset,
}

impl video::Rx for Camera {
    fn start(&mut self, binding: &video::Binding) {
        let binding = binding.clone();
        let film = async move {
            if let Err(error) = film(&binding).await {
                eprintln!("a consumer is lost: {error}");
            }
        };
        self.ws.spawn_local(film).detach();
    }

    fn frame(&mut self, _: &video::Binding, _: u64, _: Bulk<'_>) {}

    fn stop(&mut self, _: &video::Binding) {}
}

async fn film(binding: &video::Binding) -> std::result::Result<(), flounder::Error> {
    let pool = Pool::new(binding, SLOTS)?;
    for seq in 0..FRAMES {
        let mut pixels = pool.taken(FRAME).await?;
        // Grey, a little brighter each time.
        pixels.fill(seq as u8);
        binding.send_frame(seq, pixels).await?;
    }
    binding.send_stop().await?;
    Ok(())
}

/// What a consumer has seen.
#[derive(Default)]
struct Seen {
    frames: u64,
    /// Frames that travelled in a slot.
    in_place: u64,
    kept: Vec<(u64, BulkOwned)>,
    is_over: bool,
}

struct Consumer {
    keeps: bool,
    seen: Rc<RefCell<Seen>>,
}

impl video::Rx for Consumer {
    fn start(&mut self, _: &video::Binding) {}

    fn frame(&mut self, _: &video::Binding, seq: u64, pixels: Bulk<'_>) {
        let seen = &mut *self.seen.borrow_mut();
        assert_eq!(seq, seen.frames, "frames come in order");
        // A copy of one line, and a look at all of them.
        let mut line = [0; 1920 * 4];
        pixels.copy_to(FRAME / 2, &mut line);
        let grey = u64::from_ne_bytes([seq as u8; 8]);
        assert!(
            line.iter().all(|byte| *byte == seq as u8) && pixels.words().all(|word| word == grey)
        );
        seen.frames += 1;
        seen.in_place += u64::from(format!("{pixels:?}").contains("slot"));
        if self.keeps && seq.is_multiple_of(10) {
            seen.kept.push((seq, pixels.keep()));
        }
    }

    fn stop(&mut self, _: &video::Binding) {
        self.seen.borrow_mut().is_over = true;
    }
}

fn consume(iref: Iref, driver: String, keeps: bool) -> Result {
    let ws = Waitset::current();
    let seen = Rc::<RefCell<Seen>>::default();
    let consumer = Consumer { keeps, seen: Rc::clone(&seen) };
    let binding = video::bind(iref, &ws, consumer).driver(driver).wait()?;
    binding.tx_start()?;
    let deadline = Some(std::time::Instant::now() + PATIENCE);
    if !ws.dispatch_until(deadline, || seen.borrow().is_over)? {
        return Err("the camera is too slow".into());
    }
    let seen = seen.take();
    assert_eq!(seen.frames, FRAMES);
    let mut scratch = Vec::new();
    for (seq, pixels) in &seen.kept {
        assert!(pixels.bytes(&mut scratch).iter().all(|byte| *byte == *seq as u8));
    }
    println!(
        "{} frames over {}, {} of them in place, {} kept",
        seen.frames,
        binding.driver(),
        seen.in_place,
        seen.kept.len()
    );
    Ok(())
}

fn main() -> Result {
    let mut args = std::env::args().skip(1);
    let driver = match (args.next().as_deref(), args.next()) {
        (Some("--driver"), Some(driver)) => driver,
        (None, None) => "ump".to_owned(),
        _ => return Err("usage: frames [--driver NAME]".into()),
    };
    let ws = Waitset::current();
    let camera = ws.clone();
    let service = video::export(&ws, move |_: &Peer| Ok(Camera { ws: camera.clone() })).wait()?;
    let consumers = [false, true].map(|keeps| {
        let (iref, driver) = (service.iref(), driver.clone());
        thread::spawn(move || consume(iref, driver, keeps))
    });
    let deadline = Some(std::time::Instant::now() + PATIENCE);
    let done = || consumers.iter().all(thread::JoinHandle::is_finished);
    while !done() {
        // The end of a thread wakes nobody.
        let soon = Some(std::time::Instant::now() + Duration::from_millis(20));
        ws.dispatch_until(soon, done)?;
        if deadline < Some(std::time::Instant::now()) {
            return Err("a consumer does not end".into());
        }
    }
    consumers
        .into_iter()
        .try_for_each(|consumer| consumer.join().map_err(|_| "a consumer panicked")?)
}
