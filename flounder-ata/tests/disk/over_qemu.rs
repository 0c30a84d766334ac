//! QEMU as a disk: an HBA that others have written. The disk is compared from outside.

use std::fs;
use std::path::{Path, PathBuf};

use flounder_ata::qemu::Qemu;
use flounder_ata::{AtaError, check};
use tempfile::TempDir;

use crate::exercise::{self, Bench, all};

/// Sectors of the disk.
const SECTORS: u64 = 1 << 13;

/// Commands of the random run.
fn commands() -> u64 {
    std::env::var("FLOUNDER_ATA_COMMANDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2_000)
}

/// An image of a disk in a folder of its own.
struct Image {
    folder: TempDir,
    path: PathBuf,
}

impl Image {
    /// Returns an empty image; `None` if there is no QEMU.
    fn new() -> Option<Self> {
        if !Qemu::is_installed() {
            eprintln!("SKIPPED: there is no QEMU (Debian's package qemu-system-x86)");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        // A name with a comma, which means something to QEMU.
        let path = folder.path().join("a disk,1");
        let file = fs::File::create(&path).expect("the folder can be written");
        file.set_len(SECTORS * 512).expect("the disk has room");
        Some(Self { folder, path })
    }

    fn bench(&self) -> Bench<Qemu> {
        Bench::open(Qemu::start(&self.path).expect("QEMU starts"))
    }

    /// Returns a disk on which some operations on sector 100 fail.
    fn faulty(&self, events: &[&str]) -> Bench<Qemu> {
        let conf = self.folder.path().join("faults");
        let rules = events.iter().map(|event| {
            let sector = if event.starts_with("flush") { "" } else { "sector = \"100\"\n" };
            format!("[inject-error]\nevent = \"{event}\"\nerrno = \"5\"\n{sector}")
        });
        fs::write(&conf, rules.collect::<String>()).expect("the folder can be written");
        Bench::open(Qemu::start_with_faults(&self.path, Path::new(&conf)).expect("QEMU starts"))
    }

    /// Returns the contents, of a disk whose QEMU has ended.
    fn contents(&self) -> Vec<u8> {
        fs::read(&self.path).expect("the image can be read")
    }
}

#[test]
fn every_rpc_of_ata_rw28_works_over_qemu() {
    let Some(image) = Image::new() else { return };
    let bench = image.bench();
    assert_eq!(bench.port.disk().sectors(), SECTORS);
    assert_eq!(bench.port.disk().model(), "QEMU HARDDISK");
    exercise::every_rpc_of_ata_rw28(&bench);
    drop(bench);
    let contents = image.contents();
    let (before, rest) = contents.split_at(16 * 512);
    assert!(before.iter().all(|byte| *byte == 0));
    assert!(rest[..2048].chunks(4).all(|word| word == 0xDEAD_BEEF_u32.to_le_bytes()));
}

#[test]
fn large_transfers_arrive_whole_over_qemu() {
    let Some(image) = Image::new() else { return };
    exercise::large_transfers(&image.bench());
}

#[test]
fn random_commands_leave_the_image_as_a_copy_of_it() {
    let Some(image) = Image::new() else { return };
    let bench = image.bench();
    let (copy, tally) = exercise::random_reads_and_writes(&bench, commands(), 6, false);
    assert_eq!((tally.failed, bench.port.restarts()), (0, 0));
    drop(bench);
    assert!(image.contents() == copy, "the image differs");
}

#[test]
fn thirty_two_commands_are_under_way_at_once_over_qemu() {
    let Some(image) = Image::new() else { return };
    let bench = image.bench();
    let disk = bench.rw48();
    let writes = (0..100).map(|i| disk.write_dma_ext_async(i, &[i as u8; 512])).collect();
    for status in all(&bench.ws, writes) {
        check(status.expect("a reply")).expect("the disk writes");
    }
    let reads = (0..100).map(|i| disk.read_dma_ext_async(i, 512)).collect();
    for (i, read) in all(&bench.ws, reads).into_iter().enumerate() {
        let (data, status) = read.expect("a reply");
        check(status).expect("the disk reads");
        assert_eq!(data, [i as u8; 512]);
    }
}

#[test]
fn injected_errors_fail_their_commands_and_no_other() {
    let Some(image) = Image::new() else { return };
    let bench = image.faulty(&["read_aio"]);
    let disk = bench.rw48();
    for round in 0..5 {
        let reads = (90..110).map(|i| disk.read_dma_ext_async(i, 512)).collect();
        for (i, read) in (90..).zip(all(&bench.ws, reads)) {
            let (data, status) = read.expect("a reply");
            let status = check(status);
            if i == 100 {
                assert_eq!(status, Err(AtaError::Device { status: 0x41, error: 0x04 }));
                assert_eq!(data, []);
            } else {
                assert_eq!(status, Ok(()), "{i} in round {round}");
            }
        }
        let alone = check(disk.read_dma_ext(100, 512).expect("a reply").1);
        assert_eq!(alone, Err(AtaError::Device { status: 0x41, error: 0x04 }));
    }
    // One for each error, and one more to find out which command it was, if others were left.
    assert!((10..=15).contains(&bench.port.restarts()), "{}", bench.port.restarts());
}

#[test]
fn errors_of_writes_and_flushes_are_reported() {
    let Some(image) = Image::new() else { return };
    let bench = image.faulty(&["write_aio", "flush_to_disk"]);
    let disk = bench.rw48();
    let writes = (90..110).map(|i| disk.write_dma_ext_async(i, &[i as u8; 512])).collect();
    for (i, status) in (90..).zip(all(&bench.ws, writes)) {
        let status = check(status.expect("a reply"));
        assert_eq!(status.is_err(), i == 100, "{i}: {status:?}");
    }
    let flushed = check(disk.flush_cache_ext().expect("a reply"));
    assert!(matches!(flushed, Err(AtaError::Device { .. })), "{flushed:?}");
    drop((disk, bench));
    let contents = image.contents();
    for i in 90..110 {
        let expected = if i == 100 { 0 } else { i as u8 };
        assert!(contents[i * 512..][..512].iter().all(|byte| *byte == expected), "{i}");
    }
}

#[test]
fn sector_past_the_end_is_an_error() {
    let Some(image) = Image::new() else { return };
    let bench = image.bench();
    let disk = bench.rw48();
    let status = check(disk.read_dma_ext(SECTORS, 512).expect("a reply").1);
    assert_eq!(status, Err(AtaError::Device { status: 0x41, error: 0x04 }));
    check(disk.read_dma_ext(SECTORS - 1, 512).expect("a reply").1).expect("the last one is there");
}

#[test]
fn process_that_ends_ends_the_binding() {
    let Some(image) = Image::new() else { return };
    let bench = image.bench();
    let disk = bench.rw48();
    check(disk.read_block(0).expect("a reply").1).expect("the disk reads");
    // The one child of this thread's process with this image on its command line.
    let processes = fs::read_dir("/proc").expect("processes");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let needle = image.folder.path().to_str().expect("text");
    let pid = pids.into_iter().find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(needle)
    });
    let pid = rustix::process::Pid::from_raw(pid.expect("QEMU runs")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is a child");
    let ended = disk.read_block(0);
    assert!(ended.is_err(), "{ended:?}");
}
