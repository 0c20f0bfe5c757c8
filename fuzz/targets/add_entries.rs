//! A request to a mirror: its beginning and its packages.
#![no_main]

use kiln_tiles::{AddEntries, EntryPackage, Hash, TreeHead, push_package};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((header, mut rest))) = AddEntries::split(bytes) else { return };
    let mut printed = header.to_bytes();
    assert_eq!(printed, bytes[..bytes.len() - rest.len()], "a second spelling");
    // No leaf and no node: what the fuzzer cannot make an entry hash to.
    let root = if header.end() == 0 { Hash::empty_tree() } else { Hash::from_bytes([0; Hash::SIZE]) };
    let tree = TreeHead::new(header.end(), root);
    let tree = tree.expect("the end of an upload is a tree size");
    for span in header.packages() {
        let Ok(Some((package, after))) = EntryPackage::split(span, rest) else { return };
        printed.clear();
        let proof_begins = package.framed().len();
        let proof = &rest[proof_begins..rest.len() - after.len()];
        let hashes = proof[1..].chunks(Hash::SIZE).map(|hash| Hash::from_bytes(hash.try_into().unwrap()));
        let proof = kiln_tiles::Proof::from_hashes(hashes.collect()).expect("so many were read");
        push_package(&mut printed, package.framed(), &proof).expect("so many were read");
        assert_eq!(printed, rest[..rest.len() - after.len()], "a second spelling");
        let before =
            vec![Hash::leaf(b"before"); usize::try_from(span.start() - span.subtree().start()).unwrap()];
        assert!(package.verify(&before, tree).is_err(), "a root that nothing hashes to");
        rest = after;
    }
});
