//! A list of logs: what is read is printed as a list of the same logs.
#![no_main]

use kiln_witness::LogList;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = LogList::parse(bytes) else { return };
    let printed = list.to_string();
    let again = LogList::parse(printed.as_bytes()).expect("what is printed is a list");
    assert_eq!(again.to_string(), printed, "a second spelling");
    assert_eq!((again.len(), again.skipped()), (list.len(), 0));
});
