//! Processes find each other, whatever happens to the runtime directory, and in whatever environment they run.

use flounder_test_support as support;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use flounder::monitor::snapshot;
use support::protocol::{Driver, ServiceId};
use support::{TIMEOUT, TestProcess, TestSystem, millis, process};

#[test]
fn test_process() {
    support::process::run();
}

/// A user without files or processes: of one test, and of one run of it, because runs at the same time would meet.
fn user(test: u32) -> u32 {
    20_000 + std::process::id() % 5_000 * 8 + test
}

/// Checks that a newcomer finds and calls the service that was there before.
#[track_caller]
fn is_found(system: &TestSystem, service: ServiceId, name: &str) -> TestProcess {
    let mut newcomer = system.spawn();
    assert_eq!(newcomer.await_name_for(name, millis(15_000)), service);
    newcomer.bind(Driver::Ump, name);
    newcomer.talk(10);
    newcomer
}

#[test]
fn a_removed_directory_is_made_anew() {
    let system = TestSystem::new();
    let (mut root, mut member) = (system.spawn(), system.spawn());
    let (first, second) = (root.export("first"), member.export("second"));
    for _ in 0..3 {
        fs::remove_dir_all(system.dir()).expect("it is there");
        is_found(&system, first, "first");
        is_found(&system, second, "second");
    }
    root.kill();
    is_found(&system, second, "second");
}

#[test]
fn a_renamed_directory_is_made_anew() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    let iref = root.export("echo");
    let old = system.dir().with_file_name("old");
    fs::rename(system.dir(), &old).expect("it is there");
    is_found(&system, iref, "echo");
    assert!(!old.join("root.sock").exists(), "nobody is led astray");
}

#[test]
fn a_directory_whose_parent_was_renamed_is_made_anew() {
    let system = TestSystem::new();
    let above = system.dir().with_file_name("above");
    let in_above = |command: &mut Command| {
        command.env("FLOUNDER_RUNTIME_DIR", above.join("run"));
    };
    fs::create_dir(&above).expect("mkdir");
    let mut root = system.spawn_with(in_above);
    let iref = root.export("echo");
    // The kernel does not show this process.
    fs::rename(&above, system.dir().with_file_name("old")).expect("it is there");
    fs::create_dir(&above).expect("mkdir");
    let mut newcomer = system.spawn_with(in_above);
    assert_eq!(newcomer.await_name_for("echo", millis(15_000)), iref);
}

#[test]
fn a_removed_socket_is_made_anew() {
    let system = TestSystem::new();
    let (mut root, mut member) = (system.spawn(), system.spawn());
    let (first, second) = (root.export("first"), member.export("second"));
    fs::remove_file(system.dir().join("root.sock")).expect("it is there");
    is_found(&system, first, "first");
    is_found(&system, second, "second");
}

#[test]
fn old_root_joins_the_first_root_of_a_new_directory() {
    let system = TestSystem::new();
    let mut old = system.spawn();
    let iref = old.export("old");
    old.stop();
    fs::remove_dir_all(system.dir()).expect("it is there");
    let mut new = system.spawn();
    let other = new.export("new");
    old.go_on();
    is_found(&system, iref, "old");
    assert_eq!(old.await_name_for("new", millis(15_000)), other);
}

#[test]
fn daemon_becomes_root_again_in_a_new_directory() {
    let system = TestSystem::new();
    let daemon = system.spawn_root(&[]);
    let mut server = system.spawn();
    let iref = server.export("echo");
    fs::remove_dir_all(system.dir()).expect("it is there");
    is_found(&system, iref, "echo");
    // One of its domains, or a newcomer, is the root there first.
    daemon.stop();
    fs::remove_dir_all(system.dir()).expect("it is there");
    let mut usurper = system.spawn();
    usurper.export("other");
    daemon.go_on();
    is_found(&system, iref, "echo");
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let root = snapshot::take(Some(&system.dir())).ok().and_then(|snapshot| snapshot.root.pid);
        if root == Some(daemon.pid()) {
            break;
        }
        assert!(Instant::now() < deadline, "the daemon is not the root, but {root:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_working_directory_that_changes_moves_nothing() {
    let system = TestSystem::new();
    let home = system.dir().parent().expect("it has one").to_owned();
    let elsewhere = home.join("elsewhere");
    fs::create_dir(&elsewhere).expect("mkdir");
    let relative = |command: &mut Command| {
        command.current_dir(&home).env("FLOUNDER_RUNTIME_DIR", "run");
    };
    let (mut root, mut daemon) = (system.spawn_with(relative), system.spawn_with(relative));
    root.join();
    let iref = daemon.export("echo");
    daemon.change_directory(elsewhere.to_str().expect("UTF-8"));
    root.kill();
    is_found(&system, iref, "echo");
    assert!(!elsewhere.join("run").exists());
}

#[test]
fn processes_of_different_pid_namespaces_pass_capabilities() {
    let inside = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new("unshare").args(inside).arg("true").status().is_ok_and(|done| done.success()) {
        return println!("skipped: this user cannot make a PID namespace");
    }
    for (service_inside, client_inside) in [(true, false), (false, true), (true, true)] {
        let system = TestSystem::new();
        let start = |is_inside: bool| match is_inside {
            true => system.spawn_under("unshare", &inside),
            false => system.spawn(),
        };
        let (mut server, mut client) = (start(service_inside), start(client_inside));
        let iref = server.export("echo");
        assert_eq!(client.await_name_for("echo", millis(15_000)), iref);
        for driver in support::DRIVERS {
            client.bind(driver, "echo");
            client.talk(10);
            client.give(1, "/dev/null");
            assert_eq!(client.wait_for_got().0, 1, "{driver}");
            client.want(2);
            assert_eq!(client.wait_for_given().0, 2, "{driver}");
        }
        // A process inside of the namespace sees no pid; one outside sees the other's pid in its own namespace.
        let peer = client.peer();
        assert_eq!(peer.starts_with("unknown process of user"), client_inside, "{peer}");
        if service_inside {
            let refused = client.explain_export("echo");
            assert!(!refused.contains("process 1 "), "{refused}");
        }
        server.kill();
    }
}

#[test]
fn another_pid_namespace_names_what_an_old_kernel_lacks() {
    let inside = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new("unshare").args(inside).arg("true").status().is_ok_and(|done| done.success()) {
        return println!("skipped: this user cannot make a PID namespace");
    }
    let old_kernel = format!("{}=1", support::OLD_KERNEL);
    for (root_inside, client_inside) in [(true, false), (false, true), (true, true)] {
        let system = TestSystem::new();
        let start = |is_inside: bool| match is_inside {
            true => system.spawn_under("env", &[&[&*old_kernel, "unshare"], &inside[..]].concat()),
            false => system.spawn_under("env", &[&old_kernel]),
        };
        let (mut root, mut client) = (start(root_inside), start(client_inside));
        root.join();
        let refused = client.expect_error(process::Lookup::new("echo"));
        assert!(refused.contains("no SO_PEERPIDFD"), "{root_inside} {client_inside}: {refused}");
        if !root_inside {
            start(false).join();
        }
    }
}

#[test]
fn a_root_without_inotify_compares_by_the_clock() {
    let none = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let inside = ["-r", "sh", "-c", none, "sh"];
    if !Command::new("unshare").args(inside).arg("true").status().is_ok_and(|done| done.success()) {
        return println!("skipped: this user cannot make a user namespace with limits of its own");
    }
    let system = TestSystem::new();
    let mut root = system.spawn_under("unshare", &inside);
    let iref = root.export("echo");
    fs::remove_file(system.dir().join("root.sock")).expect("it is there");
    is_found(&system, iref, "echo");
}

#[test]
fn a_user_without_a_number_is_not_taken_for_another() {
    if !rustix::process::geteuid().is_root()
        || !Command::new("unshare").args(["-U", "true"]).status().is_ok_and(|done| done.success())
    {
        return println!(
            "skipped: only user 0 can act for others, if it can make a user namespace"
        );
    }
    let system = TestSystem::new();
    let mut server = system.spawn();
    let iref = server.export("echo");
    // Its own directory, though its owner has the id that stands for all users.
    let mut inside = system.spawn_under("unshare", &["-U"]);
    assert_eq!(inside.await_name_for("echo", millis(15_000)), iref);
    inside.bind(Driver::Ump, "echo");
    let peer = inside.peer();
    assert!(peer.ends_with("of unknown user"), "{peer}");
    // And one that is another user's.
    let other = TestSystem::new();
    fs::create_dir(other.dir()).expect("mkdir");
    fs::set_permissions(other.dir(), fs::Permissions::from_mode(0o711)).expect("chmod");
    chown(other.dir(), Some(user(0)), Some(user(0))).expect("user 0 may");
    let enter = fs::Permissions::from_mode(0o711);
    fs::set_permissions(other.dir().parent().expect("it has one"), enter).expect("chmod");
    let refused = other.spawn_under("unshare", &["-U"]).explain_export("echo");
    assert!(refused.contains("not known in this user namespace"), "{refused}");
    assert!(!refused.contains("TRUST"), "{refused}");
}

#[test]
fn a_runtime_directory_of_another_user_is_not_used_by_user_0() {
    let system = TestSystem::new();
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only user 0 can act for others");
    }
    let user = user(1);
    let xdg = system.dir().with_file_name("xdg");
    fs::create_dir(&xdg).expect("mkdir");
    fs::set_permissions(&xdg, fs::Permissions::from_mode(0o700)).expect("chmod");
    chown(&xdg, Some(user), Some(user)).expect("user 0 may");
    let with_xdg = |command: &mut Command| {
        command.env_remove("FLOUNDER_RUNTIME_DIR").env("XDG_RUNTIME_DIR", &xdg);
    };
    // The default directory of user 0 may be that of this machine.
    let mut of_root = system.spawn_with(with_xdg);
    of_root.join();
    of_root.end();
    assert_eq!(fs::read_dir(&xdg).expect("it is there").count(), 0);
    let named = xdg.join("run");
    let mut of_root = system.spawn_with(|command| {
        command.env("FLOUNDER_RUNTIME_DIR", &named);
    });
    let refused = of_root.explain_export("echo");
    assert!(refused.contains("FLOUNDER_RUNTIME_DIR") && !named.exists(), "{refused}");
    let enter = fs::Permissions::from_mode(0o711);
    fs::set_permissions(system.dir().parent().expect("it has one"), enter).expect("chmod");
    let of_user = |command: &mut Command| {
        with_xdg(command);
        command.uid(user).gid(user);
    };
    let (mut server, mut client) = (system.spawn_with(of_user), system.spawn_with(of_user));
    let iref = server.export("echo");
    assert_eq!(client.await_name_for("echo", millis(15_000)), iref);
    assert!(xdg.join("flounder").exists());
}

/// The default directories of a user, with and without a login. They are removed when this is dropped.
struct DefaultDirs(u32);

impl DefaultDirs {
    fn by_login(&self) -> String {
        format!("/run/user/{}", self.0)
    }

    fn temporary(&self) -> String {
        format!("/tmp/flounder-{}", self.0)
    }
}

impl Drop for DefaultDirs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.by_login());
        let _ = fs::remove_dir_all(self.temporary());
    }
}

#[test]
fn processes_of_a_user_meet_whatever_their_environments() {
    let system = TestSystem::new();
    if !rustix::process::geteuid().is_root() || !Path::new("/run").is_dir() {
        return println!("skipped: only user 0 can act for a user that logs in");
    }
    let user = user(2);
    drop(DefaultDirs(user));
    // Dropped after the processes, which make again what is removed.
    let dirs = DefaultDirs(user);
    let enter = fs::Permissions::from_mode(0o711);
    let home = system.dir().parent().expect("it has one").to_owned();
    fs::set_permissions(&home, enter).expect("chmod");
    let bare = |command: &mut Command| {
        command.env_remove("FLOUNDER_RUNTIME_DIR").env_remove("XDG_RUNTIME_DIR");
        command.env_remove("TMPDIR").uid(user).gid(user);
    };
    let login = |command: &mut Command| {
        bare(command);
        command.env("XDG_RUNTIME_DIR", dirs.by_login()).env("TMPDIR", &home);
    };
    // Cron, before anybody has logged in.
    let mut early = system.spawn_with(bare);
    let iref = early.export("early");
    fs::create_dir_all(dirs.by_login()).expect("user 0 may");
    chown(dirs.by_login(), Some(user), Some(user)).expect("user 0 may");
    let mut shell = system.spawn_with(login);
    assert_eq!(shell.await_name_for("early", millis(15_000)), iref);
    // All have ended: a new process begins with the directory of the login, with or without the variable.
    early.kill();
    shell.kill();
    drop(fs::remove_dir_all(dirs.temporary()));
    let mut by_sudo = system.spawn_with(bare);
    let iref = by_sudo.export("late");
    assert!(!Path::new(&dirs.temporary()).exists());
    let mut shell = system.spawn_with(login);
    assert_eq!(shell.await_name_for("late", millis(15_000)), iref);
    // The user logs out, and both go on.
    fs::remove_dir_all(dirs.by_login()).expect("it is there");
    let mut cron = system.spawn_with(bare);
    assert_eq!(cron.await_name_for("late", millis(15_000)), iref);
}

#[test]
fn roots_in_two_candidate_directories_become_one() {
    let system = TestSystem::new();
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only user 0 can act for others");
    }
    let user = user(3);
    drop(DefaultDirs(user));
    // Dropped after the processes.
    let _dirs = DefaultDirs(user);
    let xdg = system.dir().with_file_name("xdg");
    fs::create_dir(&xdg).expect("make a directory");
    chown(&xdg, Some(user), Some(user)).expect("user 0 may");
    let enter = fs::Permissions::from_mode(0o711);
    fs::set_permissions(system.dir().parent().expect("it has one"), enter).expect("chmod");
    let bare = |command: &mut Command| {
        command.env_remove("FLOUNDER_RUNTIME_DIR").env_remove("XDG_RUNTIME_DIR");
        command.uid(user).gid(user);
    };
    let session = |command: &mut Command| {
        bare(command);
        command.env("XDG_RUNTIME_DIR", &xdg);
    };
    // The second process cannot see the directory of the first: both become root.
    let (mut first, mut member) = (system.spawn_with(session), system.spawn_with(session));
    let in_session = first.export("session");
    assert_eq!(member.await_name_for("session", millis(15_000)), in_session);
    let mut second = system.spawn_with(bare);
    let in_common = second.export("common");
    assert_eq!(member.await_name_for("common", millis(15_000)), in_common);
    assert_eq!(second.await_name_for("session", millis(15_000)), in_session);
    second.bind(Driver::Ump, "session");
    second.talk(10);
    assert_eq!(fs::read_dir(xdg.join("flounder")).expect("list").count(), 0);
}

#[test]
fn umask_excludes_no_process_of_the_same_user() {
    let system = TestSystem::new();
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: user 0 reads everything, and only it can act for others");
    }
    let home = system.dir().parent().expect("it has one").to_owned();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).expect("chmod");
    let user = user(4);
    let masked =
        format!("umask 0777; exec setpriv --reuid {user} --regid {user} --clear-groups \"$@\"");
    let start = || system.spawn_under("sh", &["-c", &masked, "sh"]);
    let (mut server, mut client) = (start(), start());
    let iref = server.export("echo");
    assert_eq!(client.await_name_for("echo", millis(15_000)), iref);
}

#[test]
fn a_set_user_id_program_reads_no_environment() {
    let system = TestSystem::new();
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only user 0 can make such a program");
    }
    let home = system.dir().parent().expect("it has one").to_owned();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).expect("chmod");
    // What the caller names is a service of the caller's.
    let (calling, owner) = (user(5), user(6));
    let of_caller = |command: &mut Command| {
        command.uid(calling).gid(calling);
    };
    let mut caller = system.spawn_with(of_caller);
    caller.export("trap");
    let program = home.join("program");
    fs::copy(std::env::current_exe().expect("it has a path"), &program).expect("there is room");
    chown(&program, Some(owner), Some(owner)).expect("user 0 may");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("chmod");
    let as_caller = format!("--reuid {calling} --regid {calling} --clear-groups");
    let shell = format!(
        "shift; exec setpriv {as_caller} env FLOUNDER_TRUST_UID={} {} \"$@\"",
        calling,
        program.display()
    );
    let mut raised = system.spawn_under("sh", &["-c", &shell, "sh"]);
    let found = raised.run(process::Lookup::new("trap"));
    let directory = format!("/tmp/flounder-{owner}");
    let is_own = Path::new(&directory).exists();
    drop(raised);
    let _ = fs::remove_dir_all(&directory);
    if !is_own && found.is_ok() && is_nosuid(&home) {
        return println!("skipped: programs here gain no user by being started (nosuid)");
    }
    assert!(found.is_err() && is_own, "{found:?}");
}

fn is_nosuid(path: &Path) -> bool {
    let status = rustix::fs::statvfs(path).expect("it is there");
    status.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID)
}
