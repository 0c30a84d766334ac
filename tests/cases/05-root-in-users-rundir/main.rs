//! User 0 runs a program with the XDG_RUNTIME_DIR of another user (su, sudo -E), once, and it ends. Then the user's own
//! programs start. Expected: they work.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, fs};

use cases::*;

const USER: u32 = 65534;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        client("svc", 4.0)
    }
    if role() == "list" {
        say(format!("listed {:?}", flounder::nameservice::list().wait().map(|l| l.len())));
        return;
    }
    watchdog(60);
    if !is_root() {
        ok("skipped: needs user 0")
    }
    let dir = fresh_dir();
    let xdg = dir.join("xdg");
    fs::create_dir(&xdg).unwrap();
    chown(&xdg, Some(USER), Some(USER)).unwrap();
    fs::set_permissions(&xdg, fs::Permissions::from_mode(0o700)).unwrap();
    let exe = dir.join("exe");
    fs::copy(env::current_exe().unwrap(), &exe).unwrap();
    let program = |args: &[&str]| {
        let mut c = Command::new(&exe);
        c.args(args).env_remove("FLOUNDER_RUNTIME_DIR").env("XDG_RUNTIME_DIR", &xdg);
        c
    };
    let root_said = start(&mut program(&["list"])).line("", 10.0);
    let mut service = start(program(&["serve"]).uid(USER).gid(USER));
    let up = service.line("", 10.0);
    let mut c = start(program(&["client"]).uid(USER).gid(USER));
    let said = c.line("", 10.0);
    let made = fs::read_dir(&xdg).map(|d| d.map(|e| e.unwrap().file_name()).collect::<Vec<_>>());
    verdict(
        called(&said),
        format!(
            "user 0: {root_said:?}; service of the user: {up:?}; client: {said:?}; left {made:?}"
        ),
    );
}
