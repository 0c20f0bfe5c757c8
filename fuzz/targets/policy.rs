//! A policy: what is read can be asked about any set of witnesses, and more of them never fall short of what fewer met.
#![no_main]

use kiln_tiles::Policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(policy) = Policy::parse(bytes) else { return };
    let quorum = policy.quorum();
    let witnesses = quorum.witnesses().len();
    assert!(quorum.is_met_by(|_| true), "all of them are enough");
    assert_eq!(quorum.is_met_by(|_| false), quorum.is_none(), "nobody is enough for no quorum alone");
    let mut met = quorum.is_met_by(|_| false);
    for count in 1..=witnesses.min(64) {
        let now = quorum.is_met_by(|place| place < count);
        assert!(now || !met, "one more witness, and it is no longer met");
        met = now;
    }
});
