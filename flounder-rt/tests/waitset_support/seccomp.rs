//! System calls that the kernel refuses, for the calling thread and those that it starts from here on.

#![allow(dead_code, unreachable_pub)]

use core::ptr;

const LOAD_NUMBER: libc::c_uint = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const JUMP_IF_EQUAL: libc::c_uint = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: libc::c_uint = libc::BPF_RET | libc::BPF_K;

fn instruction(code: libc::c_uint, yes: u8, no: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).expect("16 bits"), jt: yes, jf: no, k }
}

/// Makes the system call `number` fail with `errno` from here on.
pub fn refuse(number: libc::c_long, errno: i32) {
    let number = u32::try_from(number).expect("a system call has a small number");
    let errno = u32::try_from(errno).expect("an error number is positive");
    install(&mut [
        instruction(LOAD_NUMBER, 0, 0, 0),
        instruction(JUMP_IF_EQUAL, 0, 1, number),
        instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]);
}

fn install(filter: &mut [libc::sock_filter]) {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("it is short"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY:
    // * The call takes numbers only.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(set, 0, "no new privileges");
    // SAFETY:
    // * `program` is live and describes `filter`, which is live; the kernel copies both.
    let set = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, ptr::from_ref(&program))
    };
    assert_eq!(set, 0, "seccomp: {}", std::io::Error::last_os_error());
}
