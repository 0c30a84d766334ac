//! `flounder bench` as a user runs it, with so few and short samples that a debug build is done in a moment. What it
//! measures here means nothing; that it measures everything, and says so, does.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// The longest that a run may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs it in a folder of its own, where also its processes meet.
fn bench(folder: &Path, args: &[&str]) -> Output {
    let child = Command::new(env!("CARGO_BIN_EXE_flounder"))
        .args(["bench", "--quick", "--rounds", "2", "--sample", "20", "--bindings", "4"])
        .args(args)
        .env("FLOUNDER_RUNTIME_DIR", folder.join("run"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let pid = child.id();
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("it can be waited for"),
        Err(_) => {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("not zero");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("no end after {PATIENCE:?}");
        }
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the command writes UTF-8")
}

/// Two sides need two cores.
fn has_two_cores() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2)
}

#[track_caller]
fn is_positive(row: &Value, field: &str) {
    assert!(row[field].as_f64().is_some_and(|value| value > 0.0), "{field} of {row}");
}

#[test]
fn every_driver_is_measured_and_compared_with_its_limits() {
    if !has_two_cores() {
        return eprintln!("skipped: two cores are needed");
    }
    let folder = folder();
    // Of the sizes only the smallest: some drivers are models of hardware, and slow.
    let works =
        ["8 B", "blocking", "rpc", "wake-up", "paced", "capability", "bind", "memory", "limit"];
    let mut args = vec!["--json"];
    args.extend(works.iter().flat_map(|work| ["--only", work]));
    let output = bench(folder.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("DEBUG BUILD") == cfg!(debug_assertions));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one document of JSON");

    for field in ["cpu", "kernel", "date"] {
        assert!(report["machine"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    assert_eq!(report["settings"]["rounds"], 2);

    let limits = report["limits"].as_array().expect("limits");
    let names = [
        "raw line",
        "raw ring, 56 B, 1024 lines",
        "memcpy, 1 MiB",
        "futex wake-up",
        "eventfd wake-up",
    ];
    for name in names {
        let row = limits.iter().find(|row| row["name"] == name).expect(name);
        assert_eq!(row["unit"], "ns");
        is_positive(row, "median");
    }

    let figures = report["figures"].as_array().expect("figures");
    for row in figures {
        for field in ["median", "p99", "best", "samples"] {
            is_positive(row, field);
        }
        if row["limit"].is_string() {
            is_positive(row, "ratio");
            is_positive(row, "floor_ratio");
        }
        assert_eq!(row["cpu"].is_object(), row["work"] == "paced", "{row}");
    }
    let works = |driver: &str, between: &str| {
        let is_it = |row: &&Value| row["driver"] == driver && row["between"] == between;
        figures.iter().filter(is_it).count()
    };
    assert_eq!(works("loopback", "one thread"), 6);
    for driver in flounder::drivers::registry::names() {
        if driver != "loopback" {
            let all = match driver {
                // Only who waits in the kernel can be asked to block in the middle of a conversation.
                "lmp" => 9,
                // The driver for what costs the same over each: shared bindings.
                "ump" => 10,
                _ => 8,
            };
            assert_eq!(
                (works(driver, "threads"), works(driver, "processes")),
                (all, all),
                "{driver}"
            );
        }
    }

    let memory = report["memory"].as_array().expect("memory");
    let ump = memory.iter().find(|row| row["name"] == "ump, processes: memory, default buffer");
    let shared = &ump.expect("ump's memory")["client"]["shared_bytes"];
    assert_eq!(shared.as_f64(), Some(131_072.0));

    // Processes that were killed leave nothing behind, and this one gave back what it had.
    let left = std::fs::read_dir(folder.path().join("run")).expect("they met there").count();
    assert_eq!(left, 0);
}

#[test]
fn tables_and_a_picture_show_what_was_asked_for() {
    if !has_two_cores() {
        return eprintln!("skipped: two cores are needed");
    }
    let folder = folder();
    let picture = folder.path().join("bench.svg");
    let output = bench(
        folder.path(),
        &[
            "--driver",
            "ump",
            "--only",
            "round trip, 8 B",
            "--plot",
            picture.to_str().expect("UTF-8"),
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tables = text(&output.stdout);
    for words in ["raw line", "round trip, 8 B", "threads", "processes", "client on core"] {
        assert!(tables.contains(words), "{words} is not in:\n{tables}");
    }
    for words in ["lmp", "loopback", "memcpy", "bind"] {
        assert!(!tables.contains(words), "{words} is in:\n{tables}");
    }
    let svg = std::fs::read_to_string(picture).expect("the picture is there");
    assert!(svg.contains("</svg>") && svg.contains("ump, processes"));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let folder = folder();
    for (args, words) in [
        (["--driver", "pigeon"], "there is no driver called pigeon"),
        (["--only", "pigeon"], "nothing has such a name"),
        (["--cores", "0,0"], "two different numbers"),
        (["--cores", "0,100000"], "there is no core 100000"),
    ] {
        let output = bench(folder.path(), &args);
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}
