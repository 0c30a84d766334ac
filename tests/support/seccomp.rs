//! System calls that the kernel refuses to this thread from now on, and to the threads that it starts.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory that outlives a call. The filter lies on the stack while the kernel copies it.

/// Refuses these system calls with this error number.
///
/// # Panics
/// If the kernel does not take the filter.
pub(crate) fn refuse(calls: &[libc::c_long], errno: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    // The number of the call is the first word of what a filter sees.
    let mut filter = vec![step(LOAD, 0, 0)];
    for call in calls {
        let number = u32::try_from(*call).expect("numbers of system calls are small");
        filter.push(step(JUMP_IF_EQUAL, 1, number));
        filter.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()));
    }
    filter.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let len = u16::try_from(filter.len()).expect("the filter is short");
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY:
    // * `prctl` with this option takes integers only.
    let no_new = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(no_new, 0, "a process may renounce privileges");
    // SAFETY:
    // * `program` and the filter that it points to live until the call returns, which copies them.
    let set =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(set, 0, "the kernel takes the filter");
}
