//! The HBA of a process of QEMU: its `ich9-ahci`, driven through the protocol `qtest`.
//!
//! No code runs in the machine. Registers go over pipes, some 50 µs each; the memory of the machine is a memfd that both
//! processes have, and DMA memory is a part of it. Debian has QEMU in the package `qemu-system-x86`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use flounder_rt::fork::ForkGeneration;
use flounder_rt::notify::Notifier;
use rustix::fs::MemfdFlags;

use crate::hba::{GONE, Hba};

/// The program.
const PROGRAM: &str = "qemu-system-x86_64";
/// Bytes of the machine's memory.
const MEMORY_BYTES: u64 = 64 << 20;
/// Where the DMA memory begins in it.
const DMA_AT: u64 = 16 << 20;
/// Bytes of the DMA memory.
const DMA_BYTES: usize = 16 << 20;
/// Where the registers of the HBA are put.
const REGISTERS_AT: u32 = 0xE000_0000;
/// Time in which QEMU has to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Ports of the PC by which devices are configured.
const CONFIG_ADDRESS: u16 = 0xCF8;
const CONFIG_DATA: u16 = 0xCFC;
/// Address of the HBA on the bus: device 31, function 2.
const HBA_FUNCTION: u32 = 1 << 31 | 31 << 11 | 2 << 8;
/// Offsets in the configuration of the HBA.
const CONFIG_COMMAND: u32 = 0x04;
const CONFIG_REGISTERS: u32 = 0x24;
const CONFIG_PORTS: u32 = 0x90;

/// A process of QEMU with an HBA and one disk, on port 0. It ends when this is dropped.
///
/// ```
/// use flounder_ata::Port;
/// use flounder_ata::qemu::Qemu;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// if Qemu::is_installed() {
///     let folder = tempfile::tempdir()?;
///     let image = folder.path().join("disk");
///     std::fs::File::create(&image)?.set_len(1 << 20)?;
///     let port = Port::open(Qemu::start(&image)?, 0)?;
///     assert_eq!(port.disk().sectors(), 2048);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
    memory: File,
    events: Arc<Events>,
    born: ForkGeneration,
}

/// What the thread that reads finds.
#[derive(Debug, Default)]
struct Events {
    /// True if an interrupt has come, or QEMU has ended.
    interrupt: AtomicBool,
    is_armed: AtomicBool,
    is_gone: AtomicBool,
    notifier: Mutex<Option<Notifier>>,
}

impl Events {
    /// Reports an interrupt.
    fn raise(&self) {
        // Before the look at `is_armed`, as `Hba::arm` is before the waitset's look at `interrupt`: one of the two sees the
        // other.
        self.interrupt.store(true, Ordering::SeqCst);
        if self.is_armed.load(Ordering::SeqCst) {
            let notifier = self.notifier.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(notifier) = notifier {
                notifier.notify();
            }
        }
    }
}

impl Qemu {
    /// Returns true if the program can be run.
    #[must_use]
    pub fn is_installed() -> bool {
        let mut command = Command::new(PROGRAM);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Starts QEMU with the file `image` as its disk, whose size is a multiple of 512 bytes.
    ///
    /// # Errors
    /// If QEMU cannot be started, or does not answer.
    pub fn start(image: &Path) -> io::Result<Self> {
        Self::start_with(image.as_os_str().to_owned())
    }

    /// Starts QEMU with the file `image` as its disk, and the faults that a configuration of QEMU's `blkdebug` describes.
    ///
    /// # Errors
    /// As those of [`start`](Self::start).
    pub fn start_with_faults(image: &Path, faults: &Path) -> io::Result<Self> {
        let mut file = OsString::from("blkdebug:");
        file.push(faults);
        file.push(":");
        file.push(image);
        Self::start_with(file)
    }

    fn start_with(file: OsString) -> io::Result<Self> {
        let memory = File::from(rustix::fs::memfd_create("flounder-ata", MemfdFlags::CLOEXEC)?);
        memory.set_len(MEMORY_BYTES)?;
        let mut drive =
            OsString::from("if=none,id=disk,format=raw,rerror=report,werror=report,file=");
        // A comma ends a value unless it is doubled.
        let file = file.into_string().map_err(|_| io::ErrorKind::InvalidFilename)?;
        drive.push(file.replace(',', ",,"));
        let backend = format!(
            "memory-backend-file,id=memory,size={MEMORY_BYTES},share=on,mem-path=/proc/{}/fd/{}",
            std::process::id(),
            memory.as_raw_fd()
        );
        let mut child = Command::new(PROGRAM)
            .args(["-accel", "tcg", "-S", "-machine", "q35,memory-backend=memory", "-m", "64"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-object", &backend])
            .args(["-qtest", "stdio", "-qtest-log", "none", "-drive"])
            .arg(drive)
            .args(["-device", "ide-hd,drive=disk,bus=ide.0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (requests, output) = match (child.stdin.take(), child.stdout.take()) {
            (Some(requests), Some(output)) => (requests, output),
            _ => unreachable!("both are pipes"),
        };
        let events = Arc::new(Events::default());
        let (sender, answers) = mpsc::channel();
        let theirs = Arc::clone(&events);
        let read = move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with("IRQ raise") {
                    theirs.raise();
                } else if !line.starts_with("IRQ") && sender.send(line).is_err() {
                    break;
                }
            }
            theirs.is_gone.store(true, Ordering::SeqCst);
            theirs.raise();
        };
        let started = thread::Builder::new().name("flounder-ata-qemu".into()).spawn(read);
        let born = ForkGeneration::now();
        let mut qemu = Self { child, requests, answers, memory, events, born };
        // From here on, an error ends the process.
        started?;
        qemu.configure().ok_or_else(|| io::Error::other("QEMU does not answer"))?;
        Ok(qemu)
    }

    /// Does what the firmware of a PC does for the HBA.
    fn configure(&mut self) -> Option<()> {
        self.ask("irq_intercept_in ioapic")?;
        self.set_config(CONFIG_REGISTERS, REGISTERS_AT)?;
        // All ports are there.
        let ports = self.config(CONFIG_PORTS)?;
        self.set_config(CONFIG_PORTS, ports | 0x3F << 16)?;
        // Memory is enabled, and the HBA may access that of the machine.
        let command = self.config(CONFIG_COMMAND)?;
        self.set_config(CONFIG_COMMAND, command | 0x6)
    }

    fn config(&mut self, offset: u32) -> Option<u32> {
        self.ask(&format!("outl {CONFIG_ADDRESS:#x} {:#x}", HBA_FUNCTION | offset))?;
        number(&self.ask(&format!("inl {CONFIG_DATA:#x}"))?)
    }

    fn set_config(&mut self, offset: u32, value: u32) -> Option<()> {
        self.ask(&format!("outl {CONFIG_ADDRESS:#x} {:#x}", HBA_FUNCTION | offset))?;
        self.ask(&format!("outl {CONFIG_DATA:#x} {value:#x}")).map(drop)
    }

    /// Returns the answer to a request; `None` from the first on that is not answered well.
    fn ask(&mut self, request: &str) -> Option<String> {
        let is_here = self.born.is_here() && !self.events.is_gone.load(Ordering::SeqCst);
        let is_sent = is_here && self.requests.write_all(format!("{request}\n").as_bytes()).is_ok();
        let answer = is_sent.then(|| self.answers.recv_timeout(ANSWER_TIME).ok()).flatten();
        let answer = answer.and_then(|answer| Some(answer.strip_prefix("OK")?.to_owned()));
        if answer.is_none() {
            self.events.is_gone.store(true, Ordering::SeqCst);
        }
        answer
    }
}

/// Returns the number of an answer.
fn number(answer: &str) -> Option<u32> {
    let digits = answer.trim().strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok().map(|number| number as u32)
}

impl Hba for Qemu {
    fn read(&mut self, offset: u32) -> u32 {
        let answer = self.ask(&format!("readl {:#x}", REGISTERS_AT + offset));
        answer.and_then(|answer| number(&answer)).unwrap_or(GONE)
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.ask(&format!("writel {:#x} {value:#x}", REGISTERS_AT + offset));
    }

    fn dma_memory(&self) -> (u64, usize) {
        (DMA_AT, DMA_BYTES)
    }

    fn dma_read(&mut self, offset: usize, bytes: &mut [u8]) {
        if self.memory.read_exact_at(bytes, DMA_AT + offset as u64).is_err() {
            bytes.fill(0);
            self.events.is_gone.store(true, Ordering::SeqCst);
        }
    }

    fn dma_write(&mut self, offset: usize, bytes: &[u8]) {
        if self.memory.write_all_at(bytes, DMA_AT + offset as u64).is_err() {
            self.events.is_gone.store(true, Ordering::SeqCst);
        }
    }

    fn interrupted(&mut self) -> bool {
        self.events.interrupt.load(Ordering::Relaxed)
            && self.events.interrupt.swap(false, Ordering::SeqCst)
    }

    fn set_notifier(&mut self, notifier: Notifier) {
        let mut place = self.events.notifier.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(notifier);
    }

    fn arm(&mut self) {
        self.events.is_armed.store(true, Ordering::SeqCst);
    }

    fn disarm(&mut self) {
        self.events.is_armed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // A child that was forked leaves the process alone.
        if self.born.is_here() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
