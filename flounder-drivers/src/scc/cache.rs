//! Cache instructions of the processor, on x86-64. None are known for other processors.
//!
//! On x86-64 a line is written back with `clwb`, which keeps it, or else with `clflushopt` or `clflush`, which do not; it is
//! dropped with `clflushopt`, or else with `clflush`. The processor is asked once which of them it has. `sfence` orders
//! write-backs before later stores, `mfence` orders drops before later loads; `clflush` alone does not do the latter.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. Its instructions take a [`WordAddress`], which is mapped, and change no contents of memory:
//! they only move a line between memory and caches.

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use unknown::Caches;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Caches;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::asm;
    use core::arch::x86_64::{__cpuid_count, _mm_mfence, _mm_sfence, CpuidResult};
    use std::sync::OnceLock;

    use crate::mem::mapped::WordAddress;

    /// Leaf of `cpuid` with the features of level 7, and their bits in `ebx`.
    const FEATURES_7: u32 = 7;
    const CLFLUSHOPT: u32 = 1 << 23;
    const CLWB: u32 = 1 << 24;
    /// Leaf of `cpuid` with the basic features, and a bit in `edx`.
    const FEATURES: u32 = 1;
    const CLFSH: u32 = 1 << 19;

    /// An instruction on a line.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Instruction {
        Clwb,
        ClflushOpt,
        Clflush,
    }

    /// Cache instructions of this CPU.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Caches {
        write_back: Instruction,
        drop: Instruction,
    }

    impl Caches {
        /// Returns this CPU's cache instructions, or `None` if it has none.
        pub(crate) fn of_this_machine() -> Option<Self> {
            static FOUND: OnceLock<Option<Caches>> = OnceLock::new();
            *FOUND.get_or_init(Self::ask)
        }

        fn ask() -> Option<Self> {
            let basic = cpuid(FEATURES);
            let highest = cpuid(0).eax;
            let ebx = if highest >= FEATURES_7 { cpuid(FEATURES_7).ebx } else { 0 };
            let drop =
                if ebx & CLFLUSHOPT != 0 { Instruction::ClflushOpt } else { Instruction::Clflush };
            let write_back = if ebx & CLWB != 0 { Instruction::Clwb } else { drop };
            (basic.edx & CLFSH != 0).then_some(Self { write_back, drop })
        }

        /// Starts to write the line of this word back.
        #[inline]
        pub(crate) fn write_back(self, word: WordAddress<'_>) {
            self.write_back.on(word);
        }

        /// Starts to drop the line of this word from all caches of this machine.
        #[inline]
        pub(crate) fn drop_line(self, word: WordAddress<'_>) {
            self.drop.on(word);
        }

        /// Orders started write-backs before every later store.
        #[inline]
        pub(crate) fn fence_writes(self) {
            // SAFETY:
            // * Every x86-64 processor has SSE.
            unsafe { _mm_sfence() };
        }

        /// Orders started drops before every later load.
        #[inline]
        pub(crate) fn fence_reads(self) {
            // SAFETY:
            // * Every x86-64 processor has SSE2.
            unsafe { _mm_mfence() };
        }
    }

    /// Returns a leaf of `cpuid`. Intrinsics without preconditions are unsafe in the oldest supported compiler only.
    #[allow(unused_unsafe)]
    fn cpuid(leaf: u32) -> CpuidResult {
        // SAFETY:
        // * Every x86-64 processor has `cpuid`, which changes no memory.
        unsafe { __cpuid_count(leaf, 0) }
    }

    impl Instruction {
        #[inline]
        fn on(self, word: WordAddress<'_>) {
            let at = word.as_ptr();
            match self {
                Self::Clwb => {
                    // SAFETY:
                    // * `at` is mapped (`WordAddress`), and the instruction, which is checked like a load, does
                    //   not fault. The processor has it (`ask`).
                    // * It changes no memory, register or flag. That it may read memory keeps the compiler's stores before it.
                    unsafe { asm!("clwb [{}]", in(reg) at, options(nostack, preserves_flags)) };
                }
                Self::ClflushOpt => {
                    // SAFETY:
                    // * As above.
                    unsafe {
                        asm!("clflushopt [{}]", in(reg) at, options(nostack, preserves_flags))
                    };
                }
                Self::Clflush => {
                    // SAFETY:
                    // * As above.
                    unsafe { asm!("clflush [{}]", in(reg) at, options(nostack, preserves_flags)) };
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use core::sync::atomic::{AtomicU64, Ordering};

        use super::*;

        #[test]
        fn cache_instructions_leave_memory_unchanged() {
            let Some(found) = Caches::of_this_machine() else { return };
            let words = [AtomicU64::new(1), AtomicU64::new(2)];
            for instruction in [found.write_back, found.drop, Instruction::Clflush] {
                words[0].store(7, Ordering::Relaxed);
                instruction.on(WordAddress::of(&words[0]));
                found.fence_writes();
                found.fence_reads();
                assert_eq!(words.each_ref().map(|word| word.load(Ordering::Relaxed)), [7, 2]);
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod unknown {
    use crate::mem::mapped::WordAddress;

    /// Cache instructions of this CPU: none are known.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Caches {}

    impl Caches {
        pub(crate) const fn of_this_machine() -> Option<Self> {
            None
        }

        pub(crate) fn write_back(self, _word: WordAddress<'_>) {
            match self {}
        }

        pub(crate) fn drop_line(self, _word: WordAddress<'_>) {
            match self {}
        }

        pub(crate) fn fence_writes(self) {
            match self {}
        }

        pub(crate) fn fence_reads(self) {
            match self {}
        }
    }
}
