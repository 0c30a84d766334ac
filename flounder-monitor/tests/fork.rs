//! A forked child has a monitor of its own, and does not keep a dead root in office.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use flounder_monitor::nameservice::{self, NameError};
use flounder_monitor::publish;
use flounder_rt::Iref;

const ROLE: &str = "FLOUNDER_TEST_ROLE";
const PATIENCE: Duration = Duration::from_secs(20);

/// Not a test of its own: what the processes of the tests do.
#[test]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("forking root") => forking_root(),
        Ok("successor") => {
            assert_eq!(nameservice::list(), Ok(Vec::new()));
            println!("@ root");
        }
        _ => {}
    }
}

/// Becomes root, forks, and waits for its end; the child, too.
fn forking_root() {
    assert_eq!(nameservice::list(), Ok(Vec::new()));
    // SAFETY:
    // * The child calls only what works in the child of a process with threads: the functions under test take no lock of the
    //   parent's, and it ends without running anything of the parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        println!("@ child");
        wait_for_end_of_input();
        let iref = Iref::from_bits(1).expect("not zero");
        let served = nameservice::list() == Ok(Vec::new())
            && matches!(publish(iref), Err(NameError::NoService { .. }));
        println!("@ child {}", if served { "served" } else { "refused" });
        // SAFETY:
        // * `_exit` takes a number and does not return.
        unsafe { libc::_exit(0) }
    }
    assert_eq!(nameservice::list(), Ok(Vec::new()), "the parent is served as before");
    println!("@ parent");
    wait_for_end_of_input();
}

fn wait_for_end_of_input() {
    let _ = std::io::stdin().read(&mut [0]);
}

fn start(role: &str, dir: &Path) -> (Child, mpsc::Receiver<String>) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["role", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("FLOUNDER_RUNTIME_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if let Some(at) = line.find("@ ") {
                let _ = sender.send(line[at + 2..].to_owned());
            }
        }
    });
    (child, lines)
}

#[test]
fn a_child_of_the_root_does_not_keep_its_office() {
    let dir = tempfile::tempdir().expect("create a temporary directory");
    let dir = dir.path().join("run");
    let (mut root, heard) = start("forking root", &dir);
    let mut both: Vec<_> =
        (0..2).map(|_| heard.recv_timeout(PATIENCE).expect("both speak")).collect();
    both.sort();
    assert_eq!(both, ["child", "parent"]);
    // The pipe is kept, so the child lives on, with a copy of all descriptors of the root.
    let input = root.stdin.take();
    root.kill().expect("kill the child");
    root.wait().expect("it is dead");
    let (mut successor, said) = start("successor", &dir);
    assert_eq!(said.recv_timeout(PATIENCE).expect("it gets to be root"), "root");
    assert!(successor.wait().expect("join the thread").success());
    drop(input);
    assert_eq!(heard.recv_timeout(PATIENCE).expect("it has a monitor"), "child served");
}
