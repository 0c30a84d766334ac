//! A runtime directory for each case, processes in roles, and verdicts.

use std::env;
use std::fmt::Display;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio, exit};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The processes that this one has started. They end with it.
static STARTED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// The directories that this process has made. They are removed at its verdict.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Prints the verdict that all is as expected, and ends the program.
pub fn ok(detail: impl Display) -> ! {
    end_all();
    println!("RESULT pass {detail}");
    exit(0)
}

/// Prints the verdict that something is not as expected, and ends the program.
pub fn bad(detail: impl Display) -> ! {
    end_all();
    println!("RESULT fail {detail}");
    exit(1)
}

/// Prints a verdict, and ends the program.
pub fn verdict(good: bool, detail: impl Display) -> ! {
    if good { ok(detail) } else { bad(detail) }
}

/// Prints the verdict of parts: good if each is.
pub fn verdict_of(parts: &[(bool, String)]) -> ! {
    verdict(parts.iter().all(|(good, _)| *good), details(parts, "; "))
}

/// The texts of parts in a row.
pub fn details(parts: &[(bool, String)], separator: &str) -> String {
    parts.iter().map(|(_, detail)| detail.as_str()).collect::<Vec<_>>().join(separator)
}

/// Ends this program with a verdict when it has run for so long, so that nothing hangs for ever.
pub fn watchdog(seconds: u64) {
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(seconds));
        end_all();
        println!("RESULT fail watchdog: still running after {seconds} s");
        exit(9)
    });
}

fn end_all() {
    for pid in STARTED.lock().unwrap().drain(..) {
        signal(pid, libc::SIGKILL);
    }
    for dir in MADE.lock().unwrap().drain(..) {
        // What was killed just now may make a file yet: then its directory stays.
        let _ = fs::remove_dir_all(dir);
    }
}

/// The role of this process; empty in the one that was started by hand.
pub fn role() -> String {
    arg(1)
}

/// The nth argument of this process, or an empty string.
pub fn arg(n: usize) -> String {
    env::args().nth(n).unwrap_or_default()
}

/// Makes a directory of mode 0755.
pub fn fresh_dir() -> PathBuf {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let name = format!("fc-{}-{}", std::process::id(), now.subsec_nanos());
    // Not `env::temp_dir()`: some cases start programs that see `/tmp` only.
    let dir = PathBuf::from("/tmp").join(name);
    fs::create_dir(&dir).expect("mkdir");
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("chmod");
    MADE.lock().unwrap().push(dir.clone());
    dir
}

/// Makes a directory, and has this process and its children meet in `run` below it.
pub fn isolate() -> PathBuf {
    let dir = fresh_dir();
    // SAFETY:
    // * These programs read their environment by `std` only, which locks it.
    unsafe { env::set_var("FLOUNDER_RUNTIME_DIR", dir.join("run")) };
    // SAFETY:
    // * As above.
    unsafe { env::remove_var("XDG_RUNTIME_DIR") };
    dir
}

/// A process that this one has started. It is killed when this is dropped.
pub struct Proc {
    pub child: Child,
    lines: Receiver<String>,
}

impl Proc {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn kill(&self, number: i32) {
        signal(self.pid(), number);
    }

    /// Returns the rest of the next line that begins with `mark`, within so many seconds.
    pub fn line(&mut self, mark: &str, seconds: f64) -> Option<String> {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            if let Some(rest) = line.strip_prefix(mark) {
                return Some(rest.trim().to_owned());
            }
        }
    }

    /// Writes a line to its standard input, which must be a pipe.
    pub fn go_on(&mut self) {
        let _ = writeln!(self.child.stdin.as_mut().expect("its standard input is a pipe"));
    }

    /// Waits so many seconds for its end, and kills it otherwise.
    pub fn end(&mut self, seconds: f64) -> Option<ExitStatus> {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let pid = self.pid();
        STARTED.lock().unwrap().retain(|p| *p != pid);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a process whose output is read.
pub fn start(command: &mut Command) -> Proc {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("spawn");
    let lines = lines_of(child.stdout.take().unwrap());
    STARTED.lock().unwrap().push(child.id() as i32);
    Proc { child, lines }
}

/// This program in another role.
pub fn me(args: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(args);
    command
}

/// Starts this program in another role.
pub fn run(args: &[&str]) -> Proc {
    start(&mut me(args))
}

/// As [`run`], with a pipe as its standard input.
pub fn run_with_input(args: &[&str]) -> Proc {
    start(me(args).stdin(Stdio::piped()))
}

/// Waits for the first process's word to go on, or for its end.
pub fn wait_for_line() -> bool {
    std::io::stdin().read_line(&mut String::new()).is_ok_and(|length| length > 0)
}

/// Tells the process that has started this one.
pub fn say(what: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}");
    let _ = out.flush();
}

/// Forks, as a program does that goes on in the child without `exec`.
pub fn fork() -> i32 {
    // SAFETY:
    // * What the child does then is up to the case. It is what the case is about.
    unsafe { libc::fork() }
}

/// Ends this process with SIGALRM if it still runs after so many seconds.
pub fn alarm(seconds: u32) {
    // SAFETY:
    // * `alarm` takes an integer only.
    unsafe { libc::alarm(seconds) };
}

/// Ends this process with no destructor and no function of `atexit`.
pub fn exit_at_once(status: i32) -> ! {
    // SAFETY:
    // * `_exit` takes an integer only.
    unsafe { libc::_exit(status) }
}

/// Waits for the end of a child, and returns its wait status.
pub fn wait_for(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY:
    // * `status` lives until the call returns.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status
}

fn lines_of(out: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Sends a signal.
pub fn signal(pid: i32, number: i32) {
    // SAFETY:
    // * `kill` takes integers only.
    unsafe { libc::kill(pid, number) };
}

/// Returns the CPU time of all threads of a process, in milliseconds.
pub fn cpu_ms(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or("");
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10
}

/// Returns the resident memory of a process, in KiB.
pub fn rss_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Returns the number of descriptors of a process.
pub fn fds(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count())
}

/// Returns true if this process is of user 0.
pub fn is_root() -> bool {
    // SAFETY:
    // * `geteuid` takes nothing and always succeeds.
    unsafe { libc::geteuid() == 0 }
}

/// Makes these system calls fail with `errno` in this process from here on, in all later threads, too.
pub fn deny(calls: &[i64], errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // Load the number of the system call; for each: if equal, return the error; else allow.
    let mut filter = vec![statement(0x20, 0)];
    for number in calls {
        filter.push(libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: *number as u32 });
        filter.push(statement(0x06, 0x0005_0000 | errno as u32));
    }
    filter.push(statement(0x06, 0x7fff_0000));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY:
    // * `prctl` with this option takes integers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY:
    // * `program` and the filter that it points to live until the call returns, which copies them.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) }, 0);
}
