//! Filters that make system calls fail, in this thread, in threads that it starts, and in programs that they run.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory that outlives a call. The filter lies on the heap while the kernel copies it.

use libc::{c_int, c_long, sock_filter};

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offset at which a filter loads the number of the system call.
const NUMBER: u32 = 0;

/// Offset at which a filter loads the lower half of an argument.
const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

const fn load(from: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: from }
}

const fn end(action: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: action }
}

/// Returns a jump that skips the given number of instructions in each case.
const fn if_equal(value: u32, equal: u8, other: u8) -> sock_filter {
    sock_filter { code: JUMP_IF_EQUAL, jt: equal, jf: other, k: value }
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).expect("numbers of system calls are small")
}

/// Makes these system calls fail with this error number.
///
/// # Panics
/// If the kernel does not accept the filter.
pub fn refuse(calls: &[c_long], errno: c_int) {
    let mut filter = vec![load(NUMBER)];
    for call in calls {
        filter.push(if_equal(number(*call), 0, 1));
        filter.push(end(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()));
    }
    filter.push(end(libc::SECCOMP_RET_ALLOW));
    install(&mut filter);
}

/// Makes these options of the level `SOL_SOCKET` fail, as in a kernel that does not know them.
///
/// # Panics
/// If the kernel does not accept the filter.
pub fn refuse_socket_options(options: &[c_int]) {
    let pairs = u8::try_from(2 * options.len()).expect("the options are few");
    let mut filter = vec![
        load(NUMBER),
        if_equal(number(libc::SYS_setsockopt), 1, 0),
        if_equal(number(libc::SYS_getsockopt), 0, 3 + pairs),
        load(argument(1)),
        if_equal(libc::SOL_SOCKET.unsigned_abs(), 0, 1 + pairs),
        load(argument(2)),
    ];
    for option in options {
        filter.push(if_equal(option.unsigned_abs(), 0, 1));
        filter.push(end(libc::SECCOMP_RET_ERRNO | libc::ENOPROTOOPT.unsigned_abs()));
    }
    filter.push(end(libc::SECCOMP_RET_ALLOW));
    install(&mut filter);
}

fn install(filter: &mut [sock_filter]) {
    let len = u16::try_from(filter.len()).expect("the filter is short");
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    let set = || {
        // SAFETY:
        // * `program` and the filter that it points to live until the call returns, which copies them.
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }
    };
    if set() == 0 {
        return;
    }
    // Without this only the superuser may install a filter. It makes set-user-ID programs run without privileges.
    // SAFETY:
    // * `prctl` with this option takes integers only.
    let no_new = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(no_new, 0, "a process may renounce privileges");
    assert_eq!(set(), 0, "the kernel takes the filter: {}", std::io::Error::last_os_error());
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// Returns the error of `getsockopt` for an option.
    fn error_of(socket: &UnixStream, level: c_int, option: c_int) -> Option<i32> {
        let (mut value, mut len) = ([0_u8; 64], 64);
        // SAFETY:
        // * The value is as long as `len` says, and both live until the call returns.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                level,
                option,
                value.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        if result == 0 { None } else { io::Error::last_os_error().raw_os_error() }
    }

    #[test]
    fn named_options_are_refused_and_no_others() {
        let thread = thread::spawn(|| {
            let (socket, _other) = UnixStream::pair().expect("there are descriptors");
            let errors = || {
                [libc::SO_TYPE, libc::SO_PEERCRED, libc::SO_RCVBUF]
                    .map(|option| error_of(&socket, libc::SOL_SOCKET, option))
            };
            assert_eq!(errors(), [None, None, None]);
            refuse_socket_options(&[libc::SO_TYPE, libc::SO_RCVBUF]);
            assert_eq!(errors(), [Some(libc::ENOPROTOOPT), None, Some(libc::ENOPROTOOPT)]);
        });
        thread.join().expect("the options are refused");
    }
}
