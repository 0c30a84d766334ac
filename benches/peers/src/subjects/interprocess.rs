//! interprocess's local sockets: a byte stream with a length before each payload.

use std::io::{BufReader, Read, Write};

use interprocess::local_socket::{
    GenericNamespaced, ListenerOptions, Name, Stream, ToNsName, prelude::*,
};

use crate::load::Inbox;
use crate::machine::Cores;
use crate::process::{Across, Peer, Seat};
use crate::subject::{Candidate, End, Result, Subject};

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_processes("interprocess", open, serve)];

fn open(candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let text = format!("flounder-peers-{}", std::process::id());
    let listener = ListenerOptions::new().name(name(&text)?).create_sync()?;
    let peer = Peer::start(candidate, cores, &text, &[])?;
    Ok(Box::new(Across::new(StreamEnd::new(listener.accept()?), peer)))
}

fn serve(seat: Seat) -> Result {
    let stream = Stream::connect(name(&seat.greeting)?)?;
    seat.follow(StreamEnd::new(stream))
}

/// A name outside of the file system, which leaves no file behind.
fn name(text: &str) -> Result<Name<'_>> {
    Ok(text.to_ns_name::<GenericNamespaced>()?)
}

struct StreamEnd {
    stream: BufReader<Stream>,
    /// A length and a payload, for one write.
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl StreamEnd {
    fn new(stream: Stream) -> Self {
        Self { stream: BufReader::new(stream), outgoing: Vec::new(), incoming: Vec::new() }
    }
}

impl End for StreamEnd {
    fn send(&mut self, payload: &[u8]) -> Result {
        self.outgoing.clear();
        self.outgoing.extend_from_slice(&u32::try_from(payload.len())?.to_ne_bytes());
        self.outgoing.extend_from_slice(payload);
        Ok(self.stream.get_ref().write_all(&self.outgoing)?)
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        self.incoming.resize(u32::from_ne_bytes(length) as usize, 0);
        self.stream.read_exact(&mut self.incoming)?;
        Ok(inbox.accept(&self.incoming)?)
    }
}
