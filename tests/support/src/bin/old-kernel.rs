//! Runs a command as on a kernel that is as old as flounder allows: without the socket options `SO_PEERPIDFD` (Linux 6.5) and
//! `SO_PASSRIGHTS` (6.16).
//!
//! `old-kernel COMMAND [ARGUMENT..]`

use std::os::unix::process::CommandExt;
use std::process::Command;

use flounder_conformance::seccomp;

const SO_PEERPIDFD: i32 = 77;
const SO_PASSRIGHTS: i32 = 83;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().expect("usage: old-kernel COMMAND [ARGUMENT..]");
    seccomp::refuse_socket_options(&[SO_PEERPIDFD, SO_PASSRIGHTS]);
    let error = Command::new(&command).args(words).exec();
    panic!("cannot run {}: {error}", command.display());
}
