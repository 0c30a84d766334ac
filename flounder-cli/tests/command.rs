//! The command as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use flounder_idl::source::MemorySources;

const GOOD: &str = r#"
/// A service for tests.
interface good "Good" {
    typedef enum { FOO, BAR } kind;
    message one(uint32 arg, kind k, string s);
    rpc two(in uint8 buf[len, 100], out uint64 sum);
};
"#;

const BAD: &str = r#"
interface bad "Bad" {
    message one(uint33 arg);
    message one(string s);
};
"#;

fn flounder(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flounder"))
        .current_dir(folder)
        .args(args)
        .output()
        .expect("the command runs")
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the command writes UTF-8")
}

#[test]
fn a_good_file_passes_in_silence() {
    let folder = folder(&[("good.if", GOOD)]);
    let output = flounder(folder.path(), &["check", "good.if"]);
    assert!(output.status.success());
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
}

#[test]
fn every_mistake_is_shown_with_its_line() {
    let folder = folder(&[("bad.if", BAD)]);
    let output = flounder(folder.path(), &["check", "bad.if"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    for words in
        ["unknown type `uint33`", "bad.if:3:", "did you mean", "declared twice", "2 errors"]
    {
        assert!(errors.contains(words), "{words:?} is missing in:\n{errors}");
    }
}

#[test]
fn imports_on_the_command_line_are_seen() {
    let types = "typedef struct { uint32 x; uint32 y; } point;";
    let uses = "interface uses \"Uses\" { message at(point p); };";
    let folder = folder(&[("types.if", types), ("uses.if", uses)]);
    assert_eq!(flounder(folder.path(), &["check", "uses.if"]).status.code(), Some(1));
    assert!(flounder(folder.path(), &["check", "uses.if", "-i", "types.if"]).status.success());
}

#[test]
fn what_is_expanded_is_what_the_macro_expands() {
    let folder = folder(&[("good.if", GOOD)]);
    let output = flounder(folder.path(), &["expand", "good.if"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);

    let unit = flounder_idl::compile_tokens(GOOD.parse().expect("it lexes"), &MemorySources::new());
    let unit = unit
        .unwrap_or_else(|failure| panic!("{}", flounder_idl::render::plain(&failure.diagnostics)));
    let tokens = flounder_codegen::unit(&unit, &flounder_codegen::Options::default());
    let expanded = prettyplease::unparse(&syn::parse2(tokens).expect("it parses"));
    assert_eq!(printed, expanded);

    let output = flounder(folder.path(), &["expand", "good.if", "-o", "good.rs"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(folder.path().join("good.rs")).expect("it was written");
    assert_eq!(written, printed);
}

#[test]
fn a_message_is_written_from_json_and_read_again() {
    let folder = folder(&[("good.if", GOOD)]);
    let json = r#"{"arg":7,"k":"BAR","s":"hi"}"#;
    let encoded = flounder(folder.path(), &["encode", "good.if", "-m", "one", json]);
    assert!(encoded.status.success(), "{}", text(&encoded.stderr));
    let words = text(&encoded.stdout);
    assert_eq!(words, "0000000100000007\n0000000000000002\n0000000000006968\n");
    let mut args = vec!["decode", "good.if", "-m", "good.one"];
    args.extend(words.lines());
    let decoded = flounder(folder.path(), &args);
    assert!(decoded.status.success(), "{}", text(&decoded.stderr));
    let decoded: String = text(&decoded.stdout).split_whitespace().collect();
    assert_eq!(decoded, json);
}

#[test]
fn a_message_that_is_wrong_is_told_in_one_line() {
    let folder = folder(&[("good.if", GOOD)]);
    let cases: [(&[&str], &str); 4] = [
        (
            &["encode", "good.if", "-m", "three", "{}"],
            "no message `three`; there are good.one, good.two_call",
        ),
        (
            &["encode", "good.if", "-m", "one", r#"{"arg":7,"k":"OLD","s":""}"#],
            "k is not the name of an element",
        ),
        (&["decode", "good.if", "-m", "one", "7"], "decode: "),
        (&["decode", "good.if", "-m", "one", "word"], "`word` is no word"),
    ];
    for (args, words) in cases {
        let output = flounder(folder.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let error = text(&output.stderr);
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_wrong_file_leaves_the_output_as_it_was() {
    let folder = folder(&[("bad.if", BAD), ("out.rs", "mine")]);
    let output = flounder(folder.path(), &["expand", "bad.if", "-o", "out.rs"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(folder.path().join("out.rs")).expect("it is there"), "mine");
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder(&[]);
    let output = flounder(folder.path(), &["check", "none.if"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("none.if"), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let folder = folder(&[("good.if", GOOD), ("bad.if", BAD)]);
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flounder"));
        command.current_dir(folder.path()).args(args).stdout(full()).stderr(full());
        command.status().expect("the command runs").code()
    };
    assert_eq!(run(&["expand", "good.if"]), Some(1));
    assert_eq!(run(&["check", "bad.if"]), Some(1));
    assert_eq!(run(&["check", "none.if"]), Some(1));
    assert_eq!(run(&["check", "good.if"]), Some(0));
}
