//! What a client sends to Rekor, down to the signature: whatever becomes an entry is read again from its body.
#![no_main]

use kiln_rekor::{CreateEntryRequest, Entry, Policy};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let policy = Policy::default().with_dsse();
    let Ok(request) = CreateEntryRequest::parse(bytes, &policy) else { return };
    let kind = request.kind();
    let Ok(entry) = request.verify(&policy) else { return };
    assert_eq!(entry.kind(), kind);
    assert_eq!(Entry::parse(entry.body()).expect("a log reads what it wrote"), entry);
});
