//! Runs a command as on a kernel that is as old as flounder allows.
//!
//! `old-kernel COMMAND [ARGUMENT..]`

use std::os::unix::process::CommandExt;
use std::process::Command;

use flounder_test_support::be_old_kernel;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().expect("usage: old-kernel COMMAND [ARGUMENT..]");
    be_old_kernel();
    let error = Command::new(&command).args(words).exec();
    panic!("cannot run {}: {error}", command.display());
}
