//! Records the traffic of a binding and replays it: `cargo run --release --example record_replay [-- --differ]`.
//!
//! A client uses a service over a channel that records every message in both directions, and the recording goes to a file.
//! Then the requests of the file are sent to a new service, and its answers are compared with those of the first service. With `--differ` the second service returns one wrong balance; the difference is printed, and the
//! program fails, as `diff` does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::driver::Watcher;
use flounder::driver::channel::{
    Channel, Connector, End, Incoming, Outgoing, Progress, Readiness, Recv,
};
use flounder::driver::notify::Notifier;
use flounder::error::{Chain, ChannelError};
use flounder::message::MessageBuffer;
use flounder::{Waitset, flounder};

flounder! {
    interface bank "Accounts" {
        call deposit(string account[32], uint64 amount);
        /// The account has reached a round sum.
        response round(string account[32], uint64 balance);
        rpc balance(in string account[32], out uint64 amount);
        rpc accounts(out string names[n, 16]);
    };
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Maximum time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The service.
#[derive(Default)]
struct Bank {
    balances: BTreeMap<String, u64>,
    /// An account whose balance is returned one too high.
    wrong: Option<&'static str>,
}

impl bank::Rx for Bank {
    fn deposit(&mut self, binding: &bank::Binding, account: &str, amount: u64) {
        let balance = self.balances.entry(account.to_owned()).or_default();
        *balance += amount;
        if (*balance).is_multiple_of(100)
            && let Err(error) = binding.tx_round(account, *balance)
        {
            eprintln!("bank: {error:?}");
        }
    }

    fn balance(&mut self, _: &bank::Binding, account: &str, reply: bank::BalanceReply) {
        let balance = self.balances.get(account).copied().unwrap_or(0);
        reply.send(balance + u64::from(self.wrong == Some(account)));
    }

    fn accounts(&mut self, _: &bank::Binding, reply: bank::AccountsReply) {
        let names: Vec<&str> = self.balances.keys().map(String::as_str).take(16).collect();
        reply.send(&names);
    }
}

/// Direction of a message, from the view of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out = b'>' as isize,
    In = b'<' as isize,
}

/// Recorded messages of a channel.
type Record = Rc<RefCell<Vec<(Way, MessageBuffer)>>>;

/// A channel that records its messages.
struct Tap {
    inner: Box<dyn Channel>,
    record: Record,
}

impl Tap {
    /// Records a message, unless it belongs to the runtime. Capabilities stay with the message.
    fn note(&self, way: Way, number: u16, words: Vec<u64>) {
        if bank::INTERFACE.message(number).is_some() {
            let buffer = MessageBuffer { number, words, caps: Vec::new() };
            self.record.borrow_mut().push((way, buffer));
        }
    }
}

impl Channel for Tap {
    fn driver(&self) -> &'static str {
        self.inner.driver()
    }

    fn send(
        &mut self,
        message: &mut Outgoing<'_>,
        from: usize,
    ) -> std::result::Result<Progress, ChannelError> {
        let (number, body) = (message.number, message.body);
        let progress = self.inner.send(message, from)?;
        // The rest of a partly sent message is passed again: it is recorded when the last word is taken.
        if progress == Progress::Done {
            let mut words = vec![0; body.len()];
            body.reader(0).read(&mut words);
            self.note(Way::Out, number, words);
        }
        Ok(progress)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> std::result::Result<Recv, ChannelError> {
        let received = self.inner.recv(incoming)?;
        if received == Recv::Message {
            self.note(Way::In, incoming.number(), incoming.words().to_vec());
        }
        Ok(received)
    }

    fn ready(&mut self) -> bool {
        self.inner.ready()
    }

    fn can_resume(&mut self) -> bool {
        self.inner.can_resume()
    }

    fn arm(&mut self) {
        self.inner.arm();
    }

    fn disarm(&mut self) {
        self.inner.disarm();
    }

    fn readiness(&self) -> Readiness<'_> {
        self.inner.readiness()
    }

    fn notifier(&self) -> Option<Notifier> {
        self.inner.notifier()
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> std::io::Result<()> {
        self.inner.attached(waitset)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// A service, and a client whose messages are recorded.
fn connect(ws: &Waitset, bank: Bank) -> Result<(bank::ClientBinding, bank::Binding, Record)> {
    let end = || End { notifier: Notifier::new(), connection: 0, buffer: 64 << 10 };
    let (client, service) = flounder::drivers::loopback::Loopback.pair_local(&end(), &end())?;
    let record = Record::default();
    let tap = Tap { inner: client, record: Rc::clone(&record) };
    let service = bank::over(service, ws, bank)?;
    let client = bank::over(Box::new(tap), ws, flounder::Inbox::new(16))?;
    Ok((client, service, record))
}

/// Runs a client, and records its messages in `file`.
fn record(ws: &Waitset, file: &mut fs::File) -> Result {
    let (binding, _service, record) = connect(ws, Bank::default())?;
    let client = bank::RpcClient::new(&binding);
    ws.block_on(async {
        for (account, amount) in [("ann", 30), ("ben", 5), ("ann", 70), ("cem", 200)] {
            binding.tx_deposit(account, amount)?.await?;
        }
        for expected in [("ann", 100), ("cem", 200)] {
            let (account, balance) = binding.recv_round().await?;
            assert_eq!((account.as_str(), balance), expected, "the service counts");
        }
        for account in ["ann", "ben", "dan"] {
            println!("client: {account} has {}", client.balance_async(account).await?);
        }
        println!("client: {:?} have accounts", client.accounts_async().await?);
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })??;
    for (way, buffer) in record.borrow().iter() {
        file.write_all(&[*way as u8])?;
        file.write_all(&buffer.to_bytes())?;
    }
    Ok(())
}

/// Content of a file.
fn read(file: &mut fs::File) -> Result<Vec<(Way, bank::Message)>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let (mut rest, mut messages) = (&bytes[..], Vec::new());
    while let Some((way, behind)) = rest.split_first() {
        let way = if *way == Way::Out as u8 { Way::Out } else { Way::In };
        rest = behind;
        messages.push((way, MessageBuffer::from_bytes(&mut rest, [])?.decode()?));
    }
    Ok(messages)
}

/// Sends the requests of a recording to a service, prints the answers that differ, and returns their number.
fn replay(ws: &Waitset, recording: &[(Way, bank::Message)], bank: Bank) -> Result<usize> {
    let (binding, _service, record) = connect(ws, bank)?;
    let (mut seen, mut differences) = (0, 0);
    for (way, expected) in recording {
        if *way == Way::Out {
            ws.block_on(async { binding.tx(expected)?.await })??;
            continue;
        }
        let next =
            |from: usize| record.borrow().iter().skip(from).position(|(way, _)| *way == Way::In);
        let came = ws.dispatch_until(Some(Instant::now() + PATIENCE), || next(seen).is_some())?;
        let Some(at) = next(seen).filter(|_| came) else {
            return Err(format!("no answer where there was {expected:?}").into());
        };
        let (number, words) = {
            let (_, answer) = &record.borrow()[seen + at];
            (answer.number, answer.words.clone())
        };
        seen += at + 1;
        let answer = MessageBuffer { number, words, caps: Vec::new() }.decode::<bank::Message>()?;
        if answer != *expected {
            differences += 1;
            println!("- {expected:?}\n+ {answer:?}");
        }
    }
    Ok(differences)
}

/// Returns true if the second service answered as the first one did, unless it is to `differ`.
fn run(differ: bool) -> Result<bool> {
    let ws = Waitset::current();
    let mut file = tempfile::tempfile()?;
    record(&ws, &mut file)?;
    let recording = read(&mut file)?;
    let sent = recording.iter().filter(|(way, _)| *way == Way::Out).count();
    println!("recorded: {sent} requests, {} answers", recording.len() - sent);
    let bank = Bank { wrong: differ.then_some("ben"), ..Bank::default() };
    let differences = replay(&ws, &recording, bank)?;
    println!("replayed: {differences} differences");
    Ok(differences == 0)
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let differ = arguments == ["--differ"];
    if !arguments.is_empty() && !differ {
        eprintln!("record_replay: the only option is --differ");
        return ExitCode::from(2);
    }
    match run(differ) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("record_replay: {}", Chain(&*error));
            ExitCode::from(2)
        }
    }
}
