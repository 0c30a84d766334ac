//! `std::sync::mpsc`: a bounded channel for each direction.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

super::typed::two_channels!("std mpsc", sync_channel, SyncSender, Receiver);
