//! Random programs over two machines, which are tied together by two pipes that hold little, are as slow as the program
//! chooses, and lose a message only where its capabilities are refused. The choices come from a seed (`tests.rs`) or from
//! the bytes of a fuzzer (`fuzz/`). Calls are awaited, block, or come from other threads.
//!
//! Tasks are polled only when their wakers were woken, so a wake-up that is lost shows as a task that never ends. After each
//! program everything runs until nothing moves: then every message must have come, in order and once, every call must
//! have ended, once and for a reason that happened, and nothing may be left waiting.

use super::*;
use crate::channel::{CapRefusal, MessageLimit};
use crate::interface::{Direction, MessageInfo, MessageKind};
use crate::wire::Bulks;

mod calls;
mod choices;
mod end;
mod pipe;

pub(super) use choices::Choices;
use end::{End, Manner};
use pipe::{PIPE, Pipe};

pub(super) const NOTE: u16 = 1;
pub(super) const CALL: u16 = 2;
const REPLY: u16 = 3;

const LIMIT: MessageLimit = MessageLimit { words: 0, caps: 0 };

const fn message(number: u16, name: &'static str, kind: MessageKind) -> MessageInfo {
    MessageInfo {
        number,
        name,
        kind,
        direction: Direction::Both,
        args: "",
        form: "",
        externs: &[],
        annotations: &[],
        fingerprint: 0,
        limit: LIMIT,
        bulks: Bulks::NONE,
    }
}

pub(super) static INTERFACE: Interface = Interface {
    name: "program",
    description: "",
    messages: &[
        message(NOTE, "note", MessageKind::Message),
        message(CALL, "call", MessageKind::RpcCall { at: 0 }),
        message(REPLY, "reply", MessageKind::RpcResponse { at: 0 }),
    ],
    limits: &[],
    fingerprint: 0,
};

/// The reason for which capabilities are refused.
const REFUSAL: CapRefusal = CapRefusal::Receiver;

/// Rounds in which everything that a program began is done.
const ROUNDS: usize = 10_000;

/// One random step of one end.
fn step(end: &mut End, peer: &mut End, out: &mut Pipe, into: &mut Pipe, choices: &mut Choices<'_>) {
    match choices.below(16) {
        0 => end.send(out, choices),
        1 if end.tasks.len() < 40 => end.begin_message(choices),
        2 | 3 if end.tasks.len() < 40 => match choices.below(4) {
            0 => end.begin_foreign_call(choices),
            1 if end.manner.blocks && end.blocking.is_none() => {
                end.begin_blocking_call(out, choices);
            }
            _ => end.begin_call(choices),
        },
        4..=6 => {
            if end.blocking.is_some() && choices.one_in(4) {
                end.poll_blocking(out, peer);
            } else if let Some(key) = end.random_task(choices) {
                end.poll(key, out, peer);
            }
        }
        7 if choices.one_in(end.manner.gives_up) => {
            if end.blocking.is_some() && choices.one_in(4) {
                end.give_up_blocking(out);
            } else if let Some(key) = end.random_task(choices) {
                end.give_up(key, out);
            }
        }
        8 if choices.one_in(6) => {
            if let Some(key) = end.random_task(choices) {
                end.expire(key, out);
            }
        }
        9 | 10 if choices.one_in(end.manner.answers) => _ = end.answer(out, choices),
        11 => _ = end.run_job(),
        12 => out.budget = choices.below(30),
        13 if choices.one_in(8) => {
            // Room in an inbox comes and goes.
            let is_full = choices.one_in(2);
            end.machine.set_inbox_full(is_full);
        }
        14 if choices.one_in(20) => {
            end.machine.moved();
            end.jobs.clear();
            end.run_events();
        }
        15 if end.manner.loses && choices.one_in(8) => {
            let at_sender = choices.one_in(2);
            *(if at_sender { &mut out.refuses_next } else { &mut into.loses_next }) = true;
        }
        _ => {
            end.step(out, into);
            if end.has_read_in_place() {
                // The thread that waits for the reply does nothing else before it goes on.
                end.poll_blocking(out, peer);
            }
        }
    }
    end.check_wake_ups();
}

/// Lets everything run until nothing moves.
fn drain(ends: &mut [End; 2], pipes: &mut [Pipe; 2], choices: &mut Choices<'_>, answers: bool) {
    for end in &mut *ends {
        end.machine.set_inbox_full(false);
    }
    for _ in 0..ROUNDS {
        let mut moved = false;
        for which in 0..2 {
            let [first, second] = &mut *ends;
            let [there, back] = &mut *pipes;
            let (end, peer, out, into) = if which == 0 {
                (first, second, there, back)
            } else {
                (second, first, back, there)
            };
            out.budget = PIPE;
            moved |= end.step(out, into) | end.run_job();
            moved |= answers && end.answer(out, choices);
            moved |= end.poll_blocking(out, peer);
            let tasks: Vec<_> = end.tasks.keys().copied().collect();
            for key in tasks {
                moved |= end.poll(key, out, peer);
            }
        }
        if !moved {
            return;
        }
    }
    panic!("the ends keep moving and get nowhere");
}

/// Runs one program. Returns how many calls ended.
///
/// # Panics
///
/// Panics if the machine breaks a promise.
pub(super) fn run(mut choices: Choices<'_>) -> u64 {
    let mut ends = [(), ()].map(|()| {
        End::new(Manner {
            answers: [1, 2, 20][choices.below(3)],
            leaves_unanswered: [1, 8, 8][choices.below(3)],
            gives_up: [1, 3, 30][choices.below(3)],
            is_nested: false,
            blocks: choices.one_in(2),
            loses: choices.one_in(2),
        })
    });
    ends[0].peer_blocks = ends[1].manner.blocks;
    ends[1].peer_blocks = ends[0].manner.blocks;
    // Two ends that both wait for the other before they answer would stop each other by themselves.
    ends[choices.below(2)].manner.is_nested = choices.one_in(2);
    let mut pipes = [Pipe::default(), Pipe::default()];
    ends[0].machine.is_service = choices.one_in(2);
    let is_torn_down = choices.one_in(4);
    while choices.has_step() {
        let [first, second] = &mut ends;
        let [there, back] = &mut pipes;
        if choices.one_in(2) {
            step(first, second, there, back, &mut choices);
        } else {
            step(second, first, back, there, &mut choices);
        }
    }
    if is_torn_down {
        finish_torn_down(&mut ends, &mut pipes, &mut choices);
    } else {
        finish(&mut ends, &mut pipes, &mut choices);
    }
    ends.iter().map(|end| end.calls_ended).sum()
}

/// Nothing is left when both ends have done what they began.
fn finish(ends: &mut [End; 2], pipes: &mut [Pipe; 2], choices: &mut Choices<'_>) {
    drain(ends, pipes, choices, false);
    let [first, second] = &mut *ends;
    for (end, peer) in [(&*first, &*second), (&*second, &*first)] {
        // What is behind a message that is held back has not been received.
        if end.held_back.is_none() {
            for (at, payload) in &end.pending {
                let is_cancelled = end.machine.is_reply_cancelled(*at);
                assert_eq!(
                    is_cancelled,
                    peer.abandoned.contains(payload),
                    "calls given up are known"
                );
            }
            end.check_window();
        }
    }
    drain(ends, pipes, choices, true);
    let [first, second] = &mut *ends;
    let [there, back] = &mut *pipes;
    first.skip_lost(back);
    second.skip_lost(there);
    for (end, into) in [(&*first, &*back), (&*second, &*there)] {
        assert_eq!(end.errors, end.errors_due + into.errors_due, "every loss is reported");
    }
    for (end, peer) in [(&*first, &*second), (&*second, &*first)] {
        assert_nothing_waits(end);
        assert_eq!(end.notes_sent, peer.notes_received, "every message has come");
        assert!(end.receipts.is_empty() && end.pending.is_empty() && end.held_back.is_none());
        assert!(!end.machine.has_unsent(), "everything is sent");
        assert_eq!(end.machine.calls.window.taken(), 0, "no place is lost");
        assert_eq!(end.machine.replies.count(), 0);
        assert!(end.machine.may_only_receive(), "the fast path is open again");
    }
    assert!(pipes.iter().all(|pipe| pipe.messages.is_empty()));
    check_order(ends);
}

/// One end is torn down: the other receives what was accepted by then, learns of the end, and nothing waits for ever.
fn finish_torn_down(ends: &mut [End; 2], pipes: &mut [Pipe; 2], choices: &mut Choices<'_>) {
    let closing = choices.below(2);
    let [there, back] = &mut *pipes;
    let (out, into) = if closing == 0 { (there, back) } else { (back, there) };
    ends[closing].tear_down(out, into, choices.below(3));
    drain(ends, pipes, choices, true);
    let [there, back] = &mut *pipes;
    ends[1 - closing].skip_lost(if closing == 0 { there } else { back });
    for end in &*ends {
        assert_nothing_waits(end);
        assert!(end.receipts.is_empty() && end.pending.is_empty());
        assert_eq!(end.machine.state(), State::Closed);
        assert_eq!(end.machine.replies.count(), 0);
    }
    let (closed, other) = (&ends[closing], &ends[1 - closing]);
    assert_eq!(closed.machine.close_result(), Some(Ok(())), "everything is sent before the end");
    assert_eq!(closed.notes_sent, other.notes_received, "every message has come");
    check_order(ends);
}

fn assert_nothing_waits(end: &End) {
    assert!(end.tasks.is_empty(), "{} tasks wait for ever", end.tasks.len());
    assert!(end.blocking.is_none(), "a blocking call waits for ever");
    assert!(end.foreign.is_empty() && end.foreign_results.is_empty());
}

/// Replies come in the order in which they were sent.
fn check_order(ends: &[End; 2]) {
    let [first, second] = ends;
    for (end, peer) in [(first, second), (second, first)] {
        let mut sent = peer.answered.iter();
        let in_order = end.replies_received.iter().all(|reply| sent.any(|other| other == reply));
        assert!(in_order, "replies come in order");
    }
}

/// Runs the program of these bytes.
#[cfg(fuzzing)]
pub fn run_program(bytes: &[u8]) {
    run(Choices::from_bytes(bytes));
}
