//! The answer of a mirror that wants more.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kiln_fuzz::reads_what_it_prints::<kiln_tiles::MirrorInfo>(bytes));
