//! Runtime directories whose path is longer than a socket address, has spaces and bytes that are not UTF-8, ends in a slash,
//! is a symbolic link above, is the current directory.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use cases::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        client("svc", 4.0)
    }
    watchdog(90);
    let mut bad_ones = Vec::new();
    for kind in ["long", "not UTF-8", "slash", "link above", "dot", "mkdir dot dot"] {
        let dir = fresh_dir();
        let run_dir: PathBuf = match kind {
            "long" => {
                let d = dir.join("x".repeat(180));
                fs::create_dir(&d).unwrap();
                d.join("y".repeat(200))
            }
            "not UTF-8" => dir.join(OsString::from_vec(b"a \xff\xfe\n b".to_vec())),
            "slash" => {
                let mut s = dir.join("run").into_os_string();
                s.push("/");
                s.into()
            }
            "link above" => {
                fs::create_dir(dir.join("real")).unwrap();
                symlink(dir.join("real"), dir.join("link")).unwrap();
                dir.join("link/run")
            }
            "dot" => {
                fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
                ".".into()
            }
            _ => "sub/../run".into(),
        };
        fs::create_dir_all(dir.join("sub")).unwrap();
        let with = |r: &str| {
            let mut c = me(&[r]);
            c.current_dir(&dir).env("FLOUNDER_RUNTIME_DIR", &run_dir);
            start(&mut c)
        };
        let mut s = with("serve");
        let up = s.line("", 6.0);
        let said = with("client").line("", 6.0);
        s.kill(9);
        // It leaves a socket behind.
        let _ = s.child.wait();
        let mut s = with("serve");
        let again = s.line("", 6.0);
        let said2 = with("client").line("", 6.0);
        if !called(&said) || !called(&said2) {
            bad_ones.push(format!("{kind}: {up:?} {said:?}; after a crash {again:?} {said2:?}"))
        }
    }
    verdict(bad_ones.is_empty(), format!("6 kinds, bad: {}", bad_ones.join("; ")));
}
