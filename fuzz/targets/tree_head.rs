//! A tree head as people type it: `SIZE:ROOT`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kiln_fuzz::reads_what_it_prints::<kiln_tiles::TreeHead>(bytes));
