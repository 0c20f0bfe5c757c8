//! The bytes of an entry bundle in any width, and the framing it shares with batches and the head.
#![no_main]

use kiln_tiles::{BundleCoord, EntryBundle, push_entry, split_entries};

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (width, bytes) = input;
    let framed: Result<Vec<&[u8]>, _> = split_entries(bytes).collect();
    let Some(coord) = BundleCoord::new(0, width) else { return };
    let bundle = EntryBundle::parse(coord, bytes);
    let fits = framed.as_ref().is_ok_and(|entries| entries.len() == usize::from(width));
    assert_eq!(bundle.is_ok(), fits);
    assert!(bundle.is_ok_and(|bundle| bundle.entries().len() == usize::from(width)) == fits);
    if let Ok(entries) = framed {
        assert_eq!(join(&entries), bytes);
    }
});

fn join(entries: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        push_entry(&mut bytes, entry).expect("it was read behind a length of two bytes");
    }
    bytes
}
