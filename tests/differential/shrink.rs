//! Shortens a program as long as the shorter one still fails.

use crate::program::Program;

/// Removes the steps of `program` that `shows` does not need; tries at most this many shorter programs.
pub(crate) fn shrink(program: &Program, tries: usize, shows: impl Fn(&Program) -> bool) -> Program {
    let mut best = program.clone();
    let mut chunk = best.ops.len().div_ceil(2);
    let mut tries = tries;
    while chunk > 0 {
        let mut at = 0;
        while at < best.ops.len() && tries > 0 {
            let mut shorter = best.clone();
            shorter.ops.drain(at..(at + chunk).min(best.ops.len()));
            tries -= 1;
            if shows(&shorter) {
                best = shorter;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    best
}
