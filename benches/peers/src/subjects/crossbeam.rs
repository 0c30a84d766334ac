//! crossbeam-channel: a bounded channel for each direction; it spins, yields, then parks.

use crossbeam_channel::{Receiver, Sender, bounded};

super::typed::two_channels!("crossbeam-channel", bounded, Sender, Receiver);
