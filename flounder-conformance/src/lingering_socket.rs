//! A descriptor whose close blocks.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// Time that the close takes unless the other end is dropped.
const LINGER: Duration = Duration::from_secs(60);

/// The other end of a socket whose last close takes a minute. If this is dropped, the close returns at once.
#[derive(Debug)]
pub struct LingeringSocket {
    /// Held open, and never read.
    reader: TcpStream,
}

impl LingeringSocket {
    /// Returns the socket, and its other end.
    ///
    /// # Panics
    /// If the machine has no loopback, or no descriptors to spare.
    #[must_use]
    pub fn new() -> (OwnedFd, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
        let address = listener.local_addr().expect("it is bound");
        let mut writer = TcpStream::connect(address).expect("somebody listens");
        let (reader, _) = listener.accept().expect("somebody connects");
        set_socket_linger(&writer, Some(LINGER)).expect("the option is known");
        writer.set_nonblocking(true).expect("the flag is known");
        while writer.write(&[0; 65536]).is_ok() {}
        (writer.into(), Self { reader })
    }
}

impl Drop for LingeringSocket {
    fn drop(&mut self) {
        // Data in flight is lost, which ends the connection.
        set_socket_linger(&self.reader, Some(Duration::ZERO)).expect("the option is known");
    }
}
