//! The interface of the tutorial, between two processes: `cargo run --release --example quickstart`.
//!
//! The program starts itself twice, as a service and as a client. The service exports the interface and registers a
//! name; the client looks the name up, binds, sends every message, makes a call, and passes capabilities.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

use flounder::error::Chain;
use flounder::{BindingError, Cap, Peer, Waitset, flounder, nameservice};

flounder! {
    interface test "Test interface" {
        /* Type definitions and aliases */
        alias number uint32;
        typedef enum { FOO, BAR, BAZ } myenum;

        /* Message definitions */
        message basic(number arg, myenum e);
        message str(number arg, string s);
        message caps(number arg, cap cap1, cap cap2);
        message buffy(uint8 buf[buflen]);
        rpc testrpc(in string s, out uint32 result);
    };
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The receive handlers of the service.
struct Server;

impl test::Rx for Server {
    fn basic(&mut self, _b: &test::Binding, arg: u32, e: test::Myenum) {
        println!("service: basic({arg}, {e:?})");
    }

    fn str(&mut self, _b: &test::Binding, arg: u32, s: &str) {
        println!("service: str({arg}, {s:?})");
    }

    fn caps(&mut self, _b: &test::Binding, arg: u32, cap1: Cap, cap2: Cap) {
        println!(
            "service: caps({arg}, a file that says {:?}, one that says {:?})",
            read(cap1),
            read(cap2)
        );
    }

    fn buffy(&mut self, _b: &test::Binding, buf: &[u8]) {
        println!(
            "service: buffy({} bytes, sum {})",
            buf.len(),
            buf.iter().map(|byte| u64::from(*byte)).sum::<u64>()
        );
    }

    fn testrpc(&mut self, _b: &test::Binding, s: &str, reply: test::TestrpcReply) {
        println!("service: testrpc({s:?})");
        reply.send(s.len() as u32);
    }

    fn error(&mut self, _b: &test::Binding, error: BindingError) {
        println!("service: {error:?}; done");
        std::process::exit(0);
    }
}

fn service(name: &str) -> Result {
    let ws = Waitset::current();
    let name = name.to_owned();
    test::export(&ws, |peer: &Peer| {
        println!("service: {peer} connects");
        Ok(Server)
    })
    .then(move |service| nameservice::register(&name, service?.iref()).wait());
    loop {
        ws.dispatch()?;
    }
}

fn client(name: &str) -> Result {
    let ws = Waitset::current();
    let iref = nameservice::blocking_lookup(name).timeout(Duration::from_secs(10)).wait()?;
    // The client handles no messages: the closures of `RxVtbl` stay empty.
    let binding = test::bind(iref, &ws, ()).wait()?;
    println!("client: bound to {} by driver {}", binding.peer(), binding.driver());

    ws.block_on(async {
        binding.tx_basic(7, test::Myenum::Bar)?.await?;
        binding.tx_str(1234, "hello world")?.await?;
        binding.tx_caps(69, &note("first")?, &note("second")?)?.await?;
        binding.tx_buffy(&[1; 4096])?.await?;
        Result::Ok(())
    })??;

    let client = test::RpcClient::new(&binding);
    println!("client: testrpc(\"input string\") = {}", client.testrpc("input string")?);
    Ok(())
}

/// A capability for an anonymous file that contains `text`.
fn note(text: &str) -> Result<Cap> {
    let mut file = File::from(rustix::fs::memfd_create("note", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(Cap::from(file))
}

fn read(cap: Cap) -> String {
    let mut text = String::new();
    match File::from(cap).read_to_string(&mut text) {
        Ok(_) => text,
        Err(error) => error.to_string(),
    }
}

/// Runs both halves as processes of their own.
fn both() -> Result {
    let name = format!("quickstart {}", std::process::id());
    let start = |role: &str| Command::new(std::env::current_exe()?).args([role, &name]).spawn();
    let mut service = start("service")?;
    let client = start("client")?.wait()?;
    if !client.success() {
        service.kill()?;
        return Err(format!("the client failed: {client}").into());
    }
    let service = service.wait()?;
    if service.success() { Ok(()) } else { Err(format!("the service failed: {service}").into()) }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "service", name] => service(name),
        [_, "client", name] => client(name),
        _ => both(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
