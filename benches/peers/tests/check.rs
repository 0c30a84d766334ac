//! Every candidate carries payloads of every size, both ways, and they arrive as they were sent.

use std::process::Command;

#[test]
fn every_candidate_carries_its_payloads_intact() {
    // The program ends by itself if one hangs, and says which.
    let output = Command::new(env!("CARGO_BIN_EXE_flounder-peers"))
        .arg("--check")
        .output()
        .expect("the program runs");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.lines().count() > 12, "{out}");
}
