//! Programs over two ends of a binding (`flounder-rt/src/binding/connection/programs.rs`).

#![no_main]

libfuzzer_sys::fuzz_target!(|program: &[u8]| flounder_rt::__private::run_program(program));
