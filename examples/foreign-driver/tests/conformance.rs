//! The driver keeps the contract, as far as it reaches.

use flounder_conformance::conformance_tests;
use foreign_driver::Post;

conformance_tests!(post: Post; in_one_dispatcher, between_threads);
