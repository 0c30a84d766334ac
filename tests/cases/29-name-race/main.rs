//! Thirty processes start at once in an empty directory and register one name; the winner is killed, the losers try again.
//! Expected: each time exactly one has it, and the errors of the others name its pid.

use std::thread;
use std::time::Duration;

use cases::*;
use flounder::*;

fn main() {
    if role() == "try" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        loop {
            match nameservice::register("the", s.iref()).wait() {
                Ok(()) => say("won"),
                Err(nameservice::NameError::Taken { pid: Some(pid), .. }) => {
                    say(format!("taken {pid}"));
                }
                Err(e) => say(format!("error {e}")),
            }
            if !wait_for_line() {
                return;
            }
        }
    }
    watchdog(60);
    isolate();
    let mut all: Vec<Proc> = (0..30).map(|_| run_with_input(&["try"])).collect();
    let mut report = Vec::new();
    let mut good = true;
    for _ in 0..4 {
        let said: Vec<_> =
            all.iter_mut().map(|p| p.line("", 15.0).unwrap_or("silent".into())).collect();
        let winners: Vec<_> =
            said.iter().enumerate().filter(|(_, s)| *s == "won").map(|(i, _)| i).collect();
        let pid = winners.first().map(|i| format!("taken {}", all[*i].pid()));
        let wrong: Vec<_> =
            said.iter().filter(|s| *s != "won" && Some(*s) != pid.as_ref()).collect();
        good &= winners.len() == 1 && wrong.is_empty();
        report.push(format!(
            "{} winners, {} wrong {:?}",
            winners.len(),
            wrong.len(),
            wrong.first()
        ));
        let Some(w) = winners.first() else { break };
        let mut dead = all.remove(*w);
        dead.kill(9);
        let _ = dead.child.wait();
        thread::sleep(Duration::from_millis(150));
        for p in &mut all {
            p.go_on();
        }
    }
    verdict(good, report.join("; "));
}
