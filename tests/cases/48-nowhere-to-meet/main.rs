//! No XDG_RUNTIME_DIR, and /tmp cannot be written (a container with a read-only root). Expected: services within the process
//! work; a name gives an error that names the variable to set.

use std::env;
use std::process::Command;

use cases::*;
use flounder::*;

fn main() {
    if role() == "try" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        let near = echo::bind(s.iref(), &ws, echo::RxVtbl::default())
            .wait()
            .map(|b| echo::RpcClient::new(&b).say(1));
        let r = nameservice::register("x", s.iref()).wait();
        say(format!(
            "near {near:?}, register {}",
            r.map_or_else(|e| e.to_string(), |()| "ok".into())
        ));
        return;
    }
    watchdog(30);
    if !is_root() {
        ok("skipped: needs user 0")
    }
    let exe = env::current_exe().unwrap();
    let mut c = Command::new("unshare");
    // By descriptor: the program may lie below `/tmp`.
    let script = format!(
        "exec 9<{}; mount -t tmpfs -o ro none /tmp; \
         exec setpriv --reuid 65534 --regid 65534 --clear-groups /proc/self/fd/9 try",
        exe.display()
    );
    c.args(["-m", "sh", "-c", &script]);
    for variable in ["XDG_RUNTIME_DIR", "FLOUNDER_RUNTIME_DIR", "TMPDIR"] {
        c.env_remove(variable);
    }
    let said = start(&mut c).line("near", 10.0);
    verdict(
        said.as_deref()
            .is_some_and(|s| s.starts_with("Ok(Ok(1))") && s.contains("FLOUNDER_RUNTIME_DIR")),
        format!("{said:?}"),
    );
}
