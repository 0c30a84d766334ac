//! A file system in user space (FUSE) whose server answers everything but the close of a file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

/// Serves one file until it is dropped, which ends the closes that hang.
#[derive(Debug)]
pub struct MuteFiles {
    mounted_by: Child,
    path: PathBuf,
    stop: Option<PipeWriter>,
    server: Option<JoinHandle<()>>,
}

impl MuteFiles {
    /// Mounts the file system in a mount namespace of its own. Returns `None` where that is not possible; the reason is
    /// printed.
    ///
    /// # Panics
    /// If there are no processes or threads to spare.
    #[must_use]
    pub fn mount(dir: &Path) -> Option<Self> {
        let device = match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            Ok(device) => device,
            Err(error) => {
                println!("skipped: /dev/fuse: {error}");
                return None;
            }
        };
        // The device is the standard input of `mount`, which is called as a program: it needs no unsafe code.
        let script = "mount -i -t fuse -o fd=0,rootmode=40000,user_id=0,group_id=0,allow_other mute \"$0\" \
                      && echo mounted && exec sleep 1000";
        let theirs = device.try_clone().expect("there are descriptors to spare");
        let mut mounted_by = Command::new("unshare")
            .args(["-m", "sh", "-c", script])
            .arg(dir)
            .stdin(theirs)
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is unshare");
        let path = format!("/proc/{}/root{}/file", mounted_by.id(), dir.display()).into();
        let mut line = String::new();
        let said = mounted_by.stdout.take().expect("it is piped");
        let is_mounted = BufReader::new(said).read_line(&mut line).is_ok_and(|length| length > 0);
        if !is_mounted {
            println!("skipped: no file system can be mounted here");
            let _ = mounted_by.wait();
            return None;
        }
        // From here on the device has requests.
        let (stopped, stop) = pipe().expect("there are descriptors to spare");
        let server = thread::spawn(move || {
            let mut device = device;
            loop {
                let mut ready =
                    [PollFd::new(&stopped, PollFlags::IN), PollFd::new(&device, PollFlags::IN)];
                poll(&mut ready, None).expect("both can be polled");
                if !ready[0].revents().is_empty() || !serve(&mut device) {
                    return;
                }
            }
        });
        Some(Self { mounted_by, path, stop: Some(stop), server: Some(server) })
    }

    /// Path of the file. User 0 can open it.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.to_str().expect("it is UTF-8")
    }
}

impl Drop for MuteFiles {
    fn drop(&mut self) {
        // With the last copy of the device the kernel ends all requests.
        drop(self.stop.take());
        let _ = self.server.take().map(JoinHandle::join);
        let _ = self.mounted_by.kill();
        let _ = self.mounted_by.wait();
    }
}

/// Handles one request. Returns false at the end of the file system.
fn serve(device: &mut File) -> bool {
    /// Attributes of a directory, or of a regular file.
    fn attributes(node: u64) -> [u8; 88] {
        let mut bytes = [0; 88];
        let mode: u32 = if node == 1 { 0o040_755 } else { 0o100_644 };
        bytes[..8].copy_from_slice(&node.to_ne_bytes());
        bytes[60..64].copy_from_slice(&mode.to_ne_bytes());
        bytes[64..68].copy_from_slice(&1_u32.to_ne_bytes());
        bytes
    }
    const NOT_SUPPORTED: i32 = -38;
    let mut request = vec![0; 1 << 17];
    let Ok(40..) = device.read(&mut request) else { return false };
    let number = |at: usize| {
        let bytes = request[at..at + 8].try_into().expect("eight bytes");
        u64::from_ne_bytes(bytes)
    };
    let (operation, unique, node) = ((number(0) >> 32) as u32, number(8), number(16));
    let mut body = Vec::new();
    let mut error = 0;
    match operation {
        // LOOKUP: the node, no generation, valid for ever.
        1 => {
            body.extend(
                [2, 0, u64::MAX >> 1, u64::MAX >> 1, 0].into_iter().flat_map(u64::to_ne_bytes),
            );
            body.extend(attributes(2));
        }
        // FORGET and BATCH_FORGET have no answer.
        2 | 42 => return true,
        // GETATTR
        3 => {
            body.extend([u64::MAX >> 1, 0].into_iter().flat_map(u64::to_ne_bytes));
            body.extend(attributes(node));
        }
        // OPEN
        14 => body.extend([0; 16]),
        // FLUSH: the close of a file.
        25 => return true,
        // INIT: version 7.31, and no options.
        26 => {
            body.extend([7, 31, 0, 0].into_iter().flat_map(u32::to_ne_bytes));
            body.resize(64, 0);
            body[20..24].copy_from_slice(&4096_u32.to_ne_bytes());
        }
        _ => error = NOT_SUPPORTED,
    }
    let mut answer = Vec::new();
    answer.extend((16 + body.len() as u32).to_ne_bytes());
    answer.extend(error.to_ne_bytes());
    answer.extend(unique.to_ne_bytes());
    answer.extend(body);
    device.write_all(&answer).is_ok()
}
