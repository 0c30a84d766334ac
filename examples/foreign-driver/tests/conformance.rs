//! The driver keeps the contract of a channel, in one dispatcher and between threads.

use flounder_conformance::conformance_tests;
use foreign_driver::Mailbox;

conformance_tests!(mailbox: Mailbox; in_one_dispatcher, between_threads);
