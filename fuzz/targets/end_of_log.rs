//! The text by which a log states its end, which is never that of a checkpoint.
#![no_main]

use kiln_tiles::{Checkpoint, EndOfLog};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kiln_fuzz::reads_what_it_prints::<EndOfLog>(bytes);
    let Ok(text) = str::from_utf8(bytes) else { return };
    assert!(text.parse::<EndOfLog>().is_err() || text.parse::<Checkpoint>().is_err(), "it is both");
});
