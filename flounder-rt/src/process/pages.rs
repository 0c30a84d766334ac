//! Large buffers whose memory goes back to the system.
//!
//! An allocator may keep what is freed: once glibc has seen a large block freed, it takes the next ones from its heap, whose
//! pages stay with the process while anything behind them is in use. So the pages go back before the buffer is freed.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. It lets the system replace pages of a buffer that it was given, and that has no values.

use core::mem::MaybeUninit;

use rustix::mm::{Advice, madvise};

/// A multiple of every size of a page.
const ALIGN: usize = 64 << 10;

/// Frees a buffer, and gives its pages back to the system.
pub(crate) fn free(mut words: Vec<u64>) {
    words.clear();
    give_back(words.spare_capacity_mut());
}

/// Gives the pages of memory without values back to the system. What is left of pages at both ends stays.
fn give_back(unused: &mut [MaybeUninit<u64>]) {
    let range = unused.as_mut_ptr_range();
    let start = range.start.map_addr(|at| at.next_multiple_of(ALIGN));
    let end = range.end.addr() & !(ALIGN - 1);
    if let Some(bytes @ 1..) = end.checked_sub(start.addr()) {
        // SAFETY:
        // * The `bytes` from `start` on lie within `unused`, which is borrowed alone. They hold no values, so that any
        //   contents will do that the system leaves there: zeroes, or those of before.
        // Where the system takes no such advice the pages stay, which is what happens without this call.
        let _ = unsafe { madvise(start.cast(), bytes, Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of memory that this process takes.
    fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn pages_of_a_buffer_go_back_before_it_is_freed() {
        const BYTES: usize = 64 << 20;
        let mut words = vec![7; BYTES / 8];
        let before = resident();
        words.clear();
        give_back(words.spare_capacity_mut());
        let after = resident();
        assert!(after + BYTES / 2 < before, "{before} bytes became {after}");
        words.resize(BYTES / 8, 8);
        assert!(words.iter().all(|word| *word == 8));
        free(words);
        free(Vec::new());
        free(vec![1]);
    }
}
