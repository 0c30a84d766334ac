//! The order in which drivers are tried if the caller names none: the nearest first.

use flounder_rt::channel::Connector;

use crate::lmp::Lmp;
use crate::loopback::Loopback;
use crate::ump::Ump;

/// Drivers between two bindings of one dispatcher.
pub const SAME_DISPATCHER: [&dyn Connector; 3] = [&Loopback, &Ump, &Lmp];

/// Drivers between two threads of one process, or two processes of one host.
pub const ELSEWHERE: [&dyn Connector; 2] = [&Ump, &Lmp];
