//! Services to measure, in another thread or another process. The other process runs this program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use flounder::error::Chain;
use flounder::{Iref, Waitset, nameservice};

use crate::error::Result;
use crate::log::warn;
use crate::machine::{Core, pin};
use crate::over;

/// Longest wait for the name that another process registers.
const LOOKUP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Number of bytes kept from the standard error of a process.
const MAX_ERRORS: usize = 4 << 10;

/// Line that the process of a service prints once it can be bound to.
pub(crate) const READY: &str = "ready";

/// A thread that runs a service.
pub(crate) struct ServiceThread {
    iref: Iref,
    stop: Arc<AtomicBool>,
    wake: Box<dyn Fn()>,
    thread: Option<JoinHandle<()>>,
}

impl ServiceThread {
    /// Starts the thread on a core, or on any.
    pub(crate) fn start(core: Option<Core>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let ready = || -> Result<over::Service> {
                core.map_or(Ok(()), pin)?;
                over::Service::export(Waitset::current())
            };
            let (result, service) = match ready() {
                Ok(service) => (Ok(service.iref()), Some(service)),
                Err(error) => (Err(error), None),
            };
            if sender.send((result, Waitset::current().remote())).is_err() {
                return;
            }
            // SYNC stop: the wake-up after the store orders it; a late read only delays the end.
            let served =
                service.map_or(Ok(()), |service| service.run(|| theirs.load(Ordering::Relaxed)));
            if let Err(error) = served {
                warn(format_args!("flounder: bench: a service has failed: {}", Chain(&*error)));
            }
        });
        let (iref, remote) = receiver.recv()?;
        let wake = Box::new(move || remote.post(|_| Ok(())));
        Ok(Self { iref: iref?, stop, wake, thread: Some(thread) })
    }

    pub(crate) const fn iref(&self) -> Iref {
        self.iref
    }
}

impl Drop for ServiceThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        (self.wake)();
        if let Some(thread) = self.thread.take() {
            // The thread has reported its panic.
            let _ = thread.join();
        }
    }
}

/// A child process that is killed with this one.
pub(crate) struct Process {
    child: Child,
    /// Standard error of the process so far. On the terminal, a progress bar could hide it.
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a process with a service of this name, and returns when the name is registered.
    pub(crate) fn serve(name: &str, core: Option<Core>) -> Result<Self> {
        let mut command = this_program()?;
        command.args(["serve", name]);
        if let Some(core) = core {
            command.arg("--core").arg(core.0.to_string());
        }
        let mut process = Self::start(&mut command)?;
        let line = process.line()?;
        if line != READY {
            return Err(format!("the service's process said {line:?}").into());
        }
        Ok(process)
    }

    /// Starts a process with these arguments and returns the line that it prints.
    pub(crate) fn ask(arguments: &[String]) -> Result<String> {
        Self::start(this_program()?.args(arguments))?.line()
    }

    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let said = Arc::new(Mutex::new(String::new()));
        let listener = child.stderr.take().map(|stderr| {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    warn(&line);
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    if said.len() < MAX_ERRORS {
                        said.push_str(&line);
                        said.push('\n');
                    }
                }
            })
        });
        Ok(Self { child, said, listener })
    }

    /// Returns what the process has written to standard error, if anything.
    pub(crate) fn last_words(&self) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        Some(said.trim_end().to_owned()).filter(|said| !said.is_empty())
    }

    fn line(&mut self) -> Result<String> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err("the process has been asked before".into());
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let status = self.child.wait()?;
            // Its standard error ends with it.
            if let Some(listener) = self.listener.take() {
                let _ = listener.join();
            }
            let said = self.last_words().unwrap_or_else(|| "nothing".into());
            return Err(format!("a process ended early: {status}; it said: {said}").into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bench-process").arg("--parent").arg(std::process::id().to_string());
    command.stdin(Stdio::null());
    Ok(command)
}

/// Looks up a service.
pub(crate) fn find(name: &str) -> Result<Iref> {
    Ok(nameservice::blocking_lookup(name).timeout(LOOKUP_TIMEOUT).wait()?)
}

/// Returns a service name that no other process uses.
pub(crate) fn fresh_name() -> String {
    // SYNC none: only uniqueness matters, not the order.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("flounder bench {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_end_of_a_process_reports_its_errors() {
        // In a test, this program is the test harness, which refuses the options.
        let error = Process::ask(&["serve".into()]).expect_err("it ends").to_string();
        let said = error.split_once("it said: ").expect("it is told").1;
        assert!(error.contains("ended early") && said.contains("parent"), "{error}");
    }
}
