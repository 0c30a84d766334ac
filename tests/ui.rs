//! Mistakes in interfaces and derives: one per file in `tests/ui/<topic>/`, with the compiler's report. Programs that use the
//! generated code wrongly are cases of `tests/compile-fail`.
//!
//! The cases go to the compiler with the libraries that this test is linked with: for all of them that takes seconds, and
//! building the libraries once more for cargo to do it takes a minute.
//!
//! The texts are those of one compiler. `FLOUNDER_BLESS=1 cargo test --test ui` rewrites them.

use std::any::TypeId;
use std::cmp::Reverse;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// The compiler that the expected errors come from.
const COMPILER: &str = "rustc 1.95.0";

const TOPICS: [&str; 8] = ["syntax", "names", "types", "bounds", "caps", "rpc", "derive", "ata"];

/// Returns the compiler, unless it is another than the expected errors come from.
fn compiler() -> Option<OsString> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    if version.starts_with(COMPILER) {
        return Some(rustc);
    }
    eprintln!(
        "SKIPPED: the expected errors are those of {COMPILER}, and this is {}",
        version.trim()
    );
    None
}

/// The folder of the libraries that this test is linked with, and the one of them that cases name.
struct Libraries {
    folder: PathBuf,
    flounder: PathBuf,
}

/// Prints the id of a type of `flounder`, which depends on the build of the crate: on its features, those of its
/// dependencies, and the profile.
const PRINT_ID: &str = r#"fn main() { print!("{:?}", std::any::TypeId::of::<flounder::Error>()) }"#;

impl Libraries {
    /// Finds the build of `flounder` that this test is linked with. Builds with other features may lie beside it.
    fn find(rustc: &OsString) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let folder = program.parent().expect("it lies in a folder");
        let entries = folder.read_dir().expect("the folder can be read");
        let paths = entries.map(|entry| entry.expect("the folder can be read").path());
        let is_flounder = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libflounder-") && name.ends_with(".rlib")
        };
        let mut builds: Vec<_> = paths.filter(is_flounder).collect();
        // The right one is most likely the newest.
        let changed = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).ok();
        builds.sort_by_key(|path| Reverse(changed(path)));
        let candidates = builds.into_iter();
        let mut candidates =
            candidates.map(|flounder| Self { folder: folder.to_owned(), flounder });
        let linked = candidates.find(|candidate| candidate.is_linked_here(rustc));
        linked.expect("the library that this test is linked with lies beside it")
    }

    /// Returns true if types of this build are the same as those of this test.
    fn is_linked_here(&self, rustc: &OsString) -> bool {
        let output = tempfile::tempdir().expect("a folder");
        let (source, program) = (output.path().join("id.rs"), output.path().join("id"));
        fs::write(&source, PRINT_ID).expect("the folder can be written");
        let compiled = self.compile(rustc, &source, "link", &program).output();
        if !compiled.expect("the compiler runs").status.success() {
            return false;
        }
        let printed = Command::new(program).output().expect("the program runs").stdout;
        printed == format!("{:?}", TypeId::of::<flounder::Error>()).into_bytes()
    }

    /// Returns a command that compiles `case` to `output`.
    fn compile(&self, rustc: &OsString, case: &Path, emit: &str, output: &Path) -> Command {
        let mut command = Command::new(rustc);
        command.args(["--edition=2024", "--crate-type=bin", "--crate-name=case", "--color=never"]);
        // Most cases declare more than they use.
        command.arg("--allow=dead_code");
        command.arg(format!("--emit={emit}")).arg("-o").arg(output);
        command.arg("-L").arg(format!("dependency={}", self.folder.display()));
        command.arg("--extern").arg(format!("flounder={}", self.flounder.display()));
        command.arg(case);
        command
    }
}

/// Returns the cases of a folder, in order.
fn cases(topic: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/ui").join(topic);
    let entries = folder.read_dir().expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let (mut cases, others): (Vec<_>, Vec<_>) =
        paths.partition(|path| path.extension().is_some_and(|extension| extension == "rs"));
    for path in others {
        let case = path.with_extension("rs");
        assert!(cases.contains(&case), "{} belongs to no case", path.display());
    }
    cases.sort();
    cases
}

/// Runs `check` for each case, on all processors, and panics with the complaints.
fn check_all(cases: &[PathBuf], check: impl Fn(&Path, &Path) -> Result<(), String> + Sync) {
    let output = tempfile::tempdir().expect("a folder");
    let (next, complaints) = (Mutex::new(cases.iter().enumerate()), Mutex::new(String::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                loop {
                    let case = next.lock().expect("no panic").next();
                    let Some((number, case)) = case else { break };
                    if let Err(complaint) = check(case, &output.path().join(number.to_string())) {
                        let complaints = &mut *complaints.lock().expect("no panic");
                        writeln!(complaints, "{}: {complaint}", case.display()).expect("memory");
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().expect("no panic");
    assert!(complaints.is_empty(), "{complaints}");
}

/// Removes what depends on the machine and on code other than the case, and the summary.
fn normalise(errors: &str) -> String {
    let is_summary = |line: &str| {
        let starts = ["error: aborting due to ", "Some errors have ", "For more information "];
        let is_count = line.starts_with("warning: ") && line.ends_with(" emitted");
        is_count || starts.iter().any(|start| line.starts_with(start))
    };
    let mut text = String::new();
    for diagnostic in errors.split_inclusive("\n\n") {
        if !diagnostic.lines().next().is_some_and(is_summary) {
            text.push_str(&normalise_diagnostic(diagnostic));
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Removes where in a library something stands, and snippets of the standard library, whose source is not on every machine.
fn normalise_diagnostic(diagnostic: &str) -> String {
    let mut lines = Vec::new();
    // Width of the line numbers, and of those that are kept.
    let (mut width, mut kept_width) = (0, 0);
    let (mut is_elsewhere, mut is_std) = (false, false);
    for line in diagnostic.lines() {
        if let Some((before, place)) = line.split_once("--> ").or(line.split_once("::: "))
            && before.trim().is_empty()
        {
            let arrow = &line[..line.len() - place.len()];
            width = before.len();
            let std = place.split_once("/library/");
            is_std = std.is_some();
            is_elsewhere = !place.starts_with("tests/ui/");
            lines.push(match (std, place.split_once(':')) {
                (Some((_, place)), _) => {
                    let file = place.split(':').next().unwrap_or_default();
                    format!("{arrow}$RUST/{file}")
                }
                (None, Some((file, _))) if is_elsewhere => format!("{arrow}{file}"),
                _ => line.to_owned(),
            });
            continue;
        }
        if let Some((before, others)) = line.split_once("and ")
            && before.trim().is_empty()
            && others.ends_with(" others")
        {
            lines.push(format!("{before}and $N others"));
            continue;
        }
        let number = line.split_once(" |").map_or("", |(number, _)| number.trim());
        let is_number = !number.is_empty() && number.chars().all(|char| char.is_ascii_digit());
        let is_snippet = is_number || line.trim_start().starts_with('|') || line.starts_with("...");
        if is_snippet && is_std {
            continue;
        }
        if is_number && is_elsewhere {
            lines.push(line.replacen(number, &" ".repeat(number.len()), 1));
        } else {
            kept_width = kept_width.max(if is_number { number.len() } else { 0 });
            lines.push(line.to_owned());
        }
    }
    // The margin is as wide as the longest number, which may be that of a line of a library.
    let excess = " ".repeat(width.saturating_sub(kept_width.max(1)));
    lines.iter().fold(String::new(), |text, line| {
        let (dots, rest) = line.split_at(if line.starts_with("...") { 3 } else { 0 });
        text + dots + rest.strip_prefix(&excess).unwrap_or(rest) + "\n"
    })
}

#[test]
fn mistakes_give_the_expected_errors() {
    let Some(rustc) = compiler() else { return };
    let libraries = Libraries::find(&rustc);
    let is_blessed = std::env::var_os("FLOUNDER_BLESS").is_some();
    let cases: Vec<_> = TOPICS.iter().flat_map(|topic| cases(topic)).collect();
    check_all(&cases, |case, output| {
        let mut compile = libraries.compile(&rustc, case, "metadata", output);
        let compiled = compile.output().expect("the compiler runs");
        if compiled.status.success() {
            return Err("this compiles".into());
        }
        let errors = normalise(&String::from_utf8_lossy(&compiled.stderr));
        let path = case.with_extension("stderr");
        if is_blessed {
            return fs::write(path, errors).map_err(|error| error.to_string());
        }
        let expected = fs::read_to_string(path).unwrap_or_default();
        if errors == expected {
            return Ok(());
        }
        Err(format!("expected\n{expected}\nand got\n{errors}"))
    });
}

#[test]
fn what_is_no_mistake_compiles_and_runs() {
    let Some(rustc) = compiler() else { return };
    let libraries = Libraries::find(&rustc);
    check_all(&cases("pass"), |case, output| {
        let mut compile = libraries.compile(&rustc, case, "link", output);
        for command in [&mut compile, &mut Command::new(output)] {
            let ended = command.output().expect("it can be run");
            if !ended.status.success() {
                return Err(String::from_utf8_lossy(&ended.stderr).into_owned());
            }
        }
        Ok(())
    });
}

/// The folders `tests/ui/*` are those that are checked.
#[test]
fn every_folder_is_checked() {
    let entries = Path::new("tests/ui").read_dir().expect("the folder can be read");
    for entry in entries {
        let name = entry.expect("the folder can be read").file_name();
        let is_checked = TOPICS.iter().chain(&["pass"]).any(|topic| name == *topic);
        assert!(is_checked, "tests/ui/{} is not checked", name.display());
    }
}
