//! The order in which drivers are tried when the caller says nothing: the nearest first.

use flounder_rt::channel::Connector;

use crate::lmp::Lmp;
use crate::loopback::Loopback;
use crate::ump::Ump;

/// Between two bindings of one dispatcher.
pub const SAME_DISPATCHER: [&dyn Connector; 3] = [&Loopback, &Ump, &Lmp];

/// Between two threads of one process, or two processes of one host.
pub const ELSEWHERE: [&dyn Connector; 2] = [&Ump, &Lmp];
