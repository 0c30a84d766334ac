//! The runtime directory: which one it is, who may use it, and which process is the root in it.

pub(crate) mod choice;
pub(crate) mod election;
pub(crate) mod name_journal;
pub(crate) mod root_lock;
pub(crate) mod runtime_dir;
mod settings;
