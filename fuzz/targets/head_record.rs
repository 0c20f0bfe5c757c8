//! The head of a log, which a damaged disk or an older version may have written.
#![no_main]

use kiln_http::Bytes;
use kiln_sequencer::{HeadRecord, MAX_ROUNDS};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(record) = HeadRecord::parse(&bytes) else { return };
    assert_eq!(record.to_bytes(), bytes, "a second spelling");
    assert!(record.rounds.len() <= MAX_ROUNDS);
    let entries: usize = record.rounds.iter().map(|round| round.entries.len()).sum();
    assert_eq!(record.head.size() - record.base.size(), entries as u64);
});
