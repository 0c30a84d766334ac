//! What an attacker sends along.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};

/// A TCP connection whose last close blocks for a minute: it lingers, and has data that its other end does not read.
#[derive(Debug)]
pub struct Stuck {
    /// The end to be sent. The last one who closes it waits.
    pub socket: OwnedFd,
    /// The other end, which must stay open and unread: with it the connection is reset, and the close is over.
    pub unread: TcpStream,
}

impl Stuck {
    /// Makes a connection and fills it.
    ///
    /// # Panics
    /// If a system call fails.
    #[must_use]
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        // Far less than the sender's buffer: with more, it would take all in, and the close would be over at once.
        set_socket_recv_buffer_size(&listener, 4096).expect("an option");
        let address = listener.local_addr().expect("an address");
        let mut socket = TcpStream::connect(address).expect("connect");
        let (unread, _) = listener.accept().expect("accept");
        socket.set_nonblocking(true).expect("a flag");
        while socket.write(&[0; 65_536]).is_ok() {}
        socket.set_nonblocking(false).expect("a flag");
        set_socket_linger(&socket, Some(Duration::from_secs(60))).expect("an option");
        Self { socket: socket.into(), unread }
    }
}

impl Default for Stuck {
    fn default() -> Self {
        Self::new()
    }
}
