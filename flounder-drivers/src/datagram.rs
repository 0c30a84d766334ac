//! The system calls of datagrams with descriptors, which need care: receiving one, and sending one.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. It passes pointers to buffers to `recvmsg`, for the duration of the call, and it turns every
//! descriptor that the kernel reports as installed into an `OwnedFd`, once, before it does anything else.
//!
//! `recvmsg` is called directly: another process may hold a copy of the socket. It can then switch on control messages that
//! this process did not request, and one of them (`SCM_PIDFD`) installs a descriptor.

use core::mem::{self, MaybeUninit};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use flounder_rt::cap::Cap;
use flounder_rt::channel::MAX_CAPS;
use flounder_rt::closer::Origin;

/// Size of the buffer for the control messages of one datagram: 64 descriptors, and other messages.
const CONTROL_WORDS: usize = 64;

/// `SCM_PIDFD`, which libc does not define on all targets.
const SCM_PIDFD: libc::c_int = 4;

const CMSG_HEADER: usize = size_of::<libc::cmsghdr>();
const _: () = assert!(
    size_of::<usize>() == 8 && CMSG_HEADER == 16,
    "control messages are parsed as of 64-bit Linux"
);

/// A received datagram.
#[derive(Debug)]
pub(crate) struct Received {
    /// Length of the datagram, which exceeds the buffer if the datagram was cut off.
    pub(crate) bytes: usize,
    /// Descriptors of the datagram.
    pub(crate) caps: Vec<Cap>,
    /// True if there were more descriptors than could be installed.
    pub(crate) caps_lost: bool,
}

/// Whether a call may block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Never, whatever the flags of the descriptor.
    Not,
    /// Until a datagram comes, a signal, or the timeout of the socket is over.
    Once,
}

/// Receives one datagram of `origin` into `buffer`. [`Errno::AGAIN`] if there is none, also after a signal has ended a wait.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u64],
    origin: &Origin,
    wait: Wait,
) -> Result<Received, Errno> {
    let mut control = [0_u64; CONTROL_WORDS];
    let mut iov =
        libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: mem::size_of_val(buffer) };
    // SAFETY:
    // * A `msghdr` of zeroes is valid: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&control) as _;
    let mut flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC;
    if wait == Wait::Not {
        flags |= libc::MSG_DONTWAIT;
    }
    let bytes = loop {
        // SAFETY:
        // * `header` points to one `iovec` over `buffer`, which is writable for its whole length and of integers, for which
        //   any bytes will do; and to `control`, likewise. All three live until the call returns, and nothing else uses them.
        let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        match usize::try_from(result) {
            Ok(bytes) => break bytes,
            Err(_) => match last_error() {
                // Signals must not make the wait longer.
                Errno::INTR if wait == Wait::Once => return Err(Errno::AGAIN),
                Errno::INTR => {}
                errno => return Err(errno),
            },
        }
    };
    let filled = (header.msg_controllen as usize).min(mem::size_of_val(&control));
    let caps = take_descriptors(&bytemuck::cast_slice(&control)[..filled], origin);
    Ok(Received { bytes, caps, caps_lost: header.msg_flags & libc::MSG_CTRUNC != 0 })
}

/// Takes the descriptors out of control messages that the kernel has just written.
fn take_descriptors(mut control: &[u8], origin: &Origin) -> Vec<Cap> {
    let mut caps = Vec::new();
    while let Some((header, _)) = control.split_first_chunk::<CMSG_HEADER>() {
        let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, t0, t1, t2, t3] = *header;
        let length = usize::from_ne_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        let level = i32::from_ne_bytes([v0, v1, v2, v3]);
        let kind = i32::from_ne_bytes([t0, t1, t2, t3]);
        let Some(data) = control.get(CMSG_HEADER..length) else { break };
        if level == libc::SOL_SOCKET && (kind == libc::SCM_RIGHTS || kind == SCM_PIDFD) {
            let (numbers, _) = data.as_chunks::<4>();
            let fds = numbers.iter().map(|number| own(RawFd::from_ne_bytes(*number)));
            caps.extend(fds.map(|fd| Cap::from_peer(fd, origin.clone())));
        }
        control = control.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
    }
    caps
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY:
    // * The kernel has just installed `fd` in this process and reported it to this call only. Each number of a control
    //   message is passed here once, so it is owned once, and it is not -1.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sends one datagram with these descriptors. Never blocks, whatever the flags of the socket's descriptor.
pub(crate) fn transmit(
    socket: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_CAPS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    loop {
        match sendmsg(socket, pieces, &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Returns how many bytes of the kernel's memory the datagrams take that were sent on `socket` and not received.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY:
    // * The request writes one `int` to where the pointer leads, which is `bytes`, during the call only.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    match result {
        0 => Ok(usize::try_from(bytes).unwrap_or(0)),
        _ => Err(last_error()),
    }
}

fn last_error() -> Errno {
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
