//! The runtime directory: its choice, its permissions, and the election of the root in it.

pub(crate) mod choice;
pub(crate) mod election;
pub(crate) mod name_journal;
mod names_at_exit;
pub(crate) mod root_lock;
pub(crate) mod runtime_dir;
mod settings;
