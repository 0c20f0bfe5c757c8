//! The vectors of `testdata/vectors`, made and judged by Go's `note` and `tlog` and by Tessera's
//! packages: what Go writes we read, and write the same bytes; what Go refuses we refuse.
//!
//! Where Go takes what we refuse, the test says why. Each file says in `about` what it holds.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use base64ct::{Base64, Encoding};
use kiln_tiles::{
    BundleCoord, Checkpoint, EntryBundle, Hash, MAX_TREE_SIZE, Node, Note, Proof, RightEdge, SigningKey,
    Subtree, TileCoord, TlogProof, TreeHead, TrustedLog, VerifiedTiles, VerifierKey, VerifyNoteError,
    partial_tiles, push_entry,
};
use serde_json::Value;

// --- Reading the files. ---

fn read(name: &str) -> Value {
    let path = format!("{}/../testdata/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let json = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&json).unwrap()
}

/// The cases under `key`, of which there must be some: an empty list would pass for a good one.
fn cases<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    let cases = file[key].as_array().unwrap_or_else(|| panic!("no list {key:?}"));
    assert!(!cases.is_empty(), "{key:?} is empty");
    cases
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("no text {key:?} in {case}"))
}

fn number(case: &Value, key: &str) -> u64 {
    case[key].as_u64().unwrap_or_else(|| panic!("no number {key:?} in {case}"))
}

fn hash(case: &Value, key: &str) -> Hash {
    Hash::from_base64(text(case, key)).unwrap_or_else(|| panic!("no hash {key:?} in {case}"))
}

fn base64(case: &Value, key: &str) -> Vec<u8> {
    Base64::decode_vec(text(case, key)).unwrap()
}

/// Bytes that are text where they are UTF-8, and base64 where not.
fn bytes(case: &Value, key: &str) -> Vec<u8> {
    let value = &case[key];
    value["text"].as_str().map_or_else(|| base64(value, "base64"), |text| text.as_bytes().to_vec())
}

fn texts(case: &Value, key: &str) -> Vec<String> {
    case[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn vkeys(case: &Value) -> Vec<VerifierKey> {
    texts(case, "vkeys").iter().map(|vkey| vkey.parse().unwrap()).collect()
}

// --- Keys and notes. ---

#[test]
fn keys_are_the_same_text_to_go_and_to_us() {
    for case in cases(&read("keys"), "keys") {
        let seed: Hash = Hash::from_hex(text(case, "seed_hex")).unwrap();
        let key = SigningKey::from_seed(text(case, "name").parse().unwrap(), *seed.as_bytes());
        assert_eq!(*key.to_note_form(), text(case, "skey"));
        assert_eq!(key.verifier_key().to_string(), text(case, "vkey"));
        assert_eq!(key.verifier_key().key_id().to_string(), text(case, "key_id"));
        let read: SigningKey = text(case, "skey").parse().unwrap();
        assert_eq!(Ok(read.verifier_key()), text(case, "vkey").parse());
    }
}

/// Go's base64 skips newlines and its hex takes both cases. A key has one spelling here, so that two
/// people who compare theirs compare the same text.
#[test]
fn keys_that_go_refuses_or_would_spell_otherwise_are_refused() {
    let file = read("keys");
    for case in cases(&file, "bad_vkeys").iter().chain(cases(&file, "lenient_vkeys")) {
        assert!(text(case, "key").parse::<VerifierKey>().is_err(), "{case}");
    }
    for case in cases(&file, "bad_skeys").iter().chain(cases(&file, "lenient_skeys")) {
        assert!(text(case, "key").parse::<SigningKey>().is_err(), "{case}");
    }
}

#[test]
fn notes_that_go_opens_say_the_same_to_us() {
    for case in cases(&read("notes-good"), "notes") {
        let note: Note = text(case, "note").parse().unwrap_or_else(|error| panic!("{error}: {case}"));
        assert_eq!(note.to_string(), text(case, "note"));
        let keys = vkeys(case);
        let (signed, verified) = note.verify(&keys).unwrap_or_else(|error| panic!("{error}: {case}"));
        assert_eq!(signed, text(case, "text"));
        let verified: Vec<_> = verified.iter().map(|s| (s.name().as_str(), s.key_id().to_string())).collect();
        assert_eq!(verified, signers(case, "verified"), "{case}");
    }
}

fn signers<'a>(case: &'a Value, key: &str) -> Vec<(&'a str, String)> {
    let signer = |signer: &'a Value| (text(signer, "name"), text(signer, "key_id").to_owned());
    case[key].as_array().unwrap().iter().map(signer).collect()
}

#[test]
fn notes_that_go_refuses_are_refused_for_the_same_kind_of_reason() {
    for case in cases(&read("notes-bad"), "notes") {
        let kind = match Note::parse(&bytes(case, "note")).map(|note| verdict(&note, &vkeys(case))) {
            Err(_) => "malformed",
            Ok(verdict) => verdict,
        };
        assert_eq!(kind, text(case, "kind"), "{case}");
    }
}

fn verdict(note: &Note, keys: &[VerifierKey]) -> &'static str {
    match note.verify(keys) {
        Ok(_) => "verified",
        Err(VerifyNoteError::UnknownKeys) => "unverified",
        Err(_) => "invalid-signature",
    }
}

/// Go takes all three. We take the harmless one.
#[test]
fn of_the_notes_on_which_go_is_lenient() {
    for case in cases(&read("notes-good"), "lenient") {
        let kind = text(case, "note").parse().map_or("malformed", |note| verdict(&note, &vkeys(case)));
        let expected = match text(case, "case") {
            // Two spellings of one signature would be two notes that are not equal.
            stray if stray.starts_with("stray bits") => "malformed",
            // The specification: a verifier SHOULD reject it. Go looks at the first signature only.
            second if second.starts_with("a second, broken signature") => "invalid-signature",
            // Whoever adds a signature may not see that it is there already.
            twice if twice.starts_with("the same known signature twice") => "verified",
            other => panic!("nobody has said what we make of {other:?}"),
        };
        assert_eq!(kind, expected, "{case}");
    }
}

// --- Checkpoints. ---

#[test]
fn checkpoints_of_go_are_read_and_written() {
    let file = read("checkpoints");
    let key: VerifierKey = text(&file, "vkey").parse().unwrap();
    for case in cases(&file, "good") {
        let log = TrustedLog::new(text(case, "origin").to_owned(), vec![key.clone()]);
        let opened = log.open(text(case, "note").as_bytes()).unwrap_or_else(|e| panic!("{e}: {case}"));
        let head = TreeHead::new(number(case, "size"), hash(case, "root_hash")).unwrap();
        assert_eq!(opened.head(), head);
        assert_eq!(opened.checkpoint().extension_lines(), texts(case, "extension_lines"));
        assert_eq!(opened.checkpoint().to_string(), text(case, "text"));
        assert_eq!(opened.note().to_string(), text(case, "note"));
        if opened.checkpoint().extension_lines().is_empty() {
            assert_eq!(Checkpoint::new(text(case, "origin"), head).as_ref(), Some(opened.checkpoint()));
        }
    }
}

/// Not even Go's two readers agree on all of these (`rejected_by`): each skips some of the rules.
#[test]
fn bad_checkpoints_are_refused() {
    let file = read("checkpoints");
    for case in cases(&file, "bad") {
        let refused = match text(case, "text").parse::<Checkpoint>() {
            Err(_) => true,
            // The rule is the note's, and no checkpoint is read outside of a note.
            Ok(_) => Note::parse(format!("{}\n— k AAAAAAE=\n", text(case, "text")).as_bytes()).is_err(),
        };
        assert!(refused, "{case}");
    }
}

// --- Hashes and proofs. ---

/// The sequence of which all the trees here are: `entry <i>` and `i mod 97` full stops.
fn entry(i: usize) -> Vec<u8> {
    format!("entry {i}{}", ".".repeat(i % 97)).into_bytes()
}

/// All tiles of the tree over the first entries.
fn tree(size: usize) -> VerifiedTiles {
    let mut edge = RightEdge::empty();
    let tiles = edge.append((0..size).map(|i| Hash::leaf(&entry(i))));
    let mut verified = VerifiedTiles::new(&edge);
    let full = tiles.into_iter().filter(|tile| tile.coord().is_full());
    full.for_each(|tile| verified.insert(tile).unwrap());
    verified
}

#[test]
fn hashes_are_those_of_go() {
    let file = read("hashes");
    assert_eq!(Hash::empty_tree(), hash(&file, "empty_tree"));
    for case in cases(&file, "leaves") {
        assert_eq!(Hash::leaf(&base64(case, "entry_base64")), hash(case, "leaf_hash"));
    }
    for case in cases(&file, "nodes") {
        assert_eq!(Hash::node(hash(case, "left"), hash(case, "right")), hash(case, "node"));
    }
}

#[test]
fn roots_are_those_of_go() {
    let mut edge = RightEdge::empty();
    for (size, root) in texts(&read("roots"), "roots").iter().enumerate() {
        assert_eq!(edge.root().to_string(), *root, "size {size}");
        edge.append([Hash::leaf(&entry(size))]);
    }
}

/// The proof of a case; too many hashes are no proof at all.
fn proof(case: &Value) -> Option<Proof> {
    let hashes = texts(case, "proof").iter().map(|hash| Hash::from_base64(hash).unwrap()).collect();
    Proof::from_hashes(hashes)
}

/// Makes the same proof from our own tree.
fn make(subtree: Subtree, size: u64) -> Option<Proof> {
    let tiles = tree(usize::try_from(size).unwrap());
    Proof::make(subtree, size, |node| tiles.node(node))
}

#[test]
fn inclusion_proofs_are_those_of_go() {
    let file = read("inclusion-proofs");
    let holds = |case: &Value| {
        let tree = TreeHead::new(number(case, "size"), hash(case, "root_hash")).unwrap();
        // An index of Go's may be negative. Ours cannot be said.
        let index = case["index"].as_u64()?;
        proof(case)?.verify_inclusion(index, hash(case, "leaf_hash"), tree).ok()
    };
    for case in cases(&file, "good") {
        assert!(holds(case).is_some(), "{case}");
        let index = number(case, "index");
        assert_eq!(
            make(Subtree::new(index, index + 1).unwrap(), number(case, "size")),
            proof(case),
            "{case}"
        );
    }
    cases(&file, "bad").iter().for_each(|case| assert!(holds(case).is_none(), "{case}"));
}

#[test]
fn consistency_proofs_are_those_of_go() {
    let file = read("consistency-proofs");
    let holds = |case: &Value| {
        let head = |size, root| TreeHead::new(case[size].as_u64()?, hash(case, root));
        proof(case)?.verify_consistency(head("old_size", "old_root")?, head("new_size", "new_root")?).ok()
    };
    for case in cases(&file, "good") {
        assert!(holds(case).is_some(), "{case}");
        let earlier = Subtree::whole(number(case, "old_size")).unwrap();
        assert_eq!(make(earlier, number(case, "new_size")), proof(case), "{case}");
    }
    cases(&file, "bad").iter().for_each(|case| assert!(holds(case).is_none(), "{case}"));
}

// --- Tiles and bundles. ---

/// Go's index has 64 bits. No tree has more than 2^63 - 1 leaves, so ours ends there.
#[test]
fn paths_are_those_of_tessera() {
    for case in cases(&read("tile-paths"), "good") {
        let (path, index) = (text(case, "path"), number(case, "index"));
        let width = u16::try_from(number(case, "width")).unwrap();
        let level = case["level"].as_u64().map(|level| u8::try_from(level).unwrap());
        let (made, read) = match level {
            Some(level) => printed(TileCoord::new(level, index, width), path.parse::<TileCoord>()),
            None => printed(BundleCoord::new(index, width), path.parse::<BundleCoord>()),
        };
        let expected = (index <= MAX_TREE_SIZE).then_some(path);
        assert_eq!((made.as_deref(), read.as_deref()), (expected, expected), "{case}");
    }
}

fn printed<T: ToString, E>(made: Option<T>, read: Result<T, E>) -> (Option<String>, Option<String>) {
    (made.map(|coord| coord.to_string()), read.ok().map(|coord| coord.to_string()))
}

/// Tessera's parser accepts some of them (`tessera`), such as leading zeros: a second path would be
/// a second cache entry for the same bytes.
#[test]
fn other_spellings_of_paths_are_refused() {
    for case in cases(&read("tile-paths"), "bad") {
        assert!(text(case, "path").parse::<TileCoord>().is_err(), "{case}");
        assert!(text(case, "path").parse::<BundleCoord>().is_err(), "{case}");
    }
}

#[test]
fn a_tree_consists_of_the_tiles_that_tessera_says() {
    for case in cases(&read("tiles-of-size"), "sizes") {
        let size = number(case, "size");
        let levels = case["levels"].as_array().unwrap();
        let partial: Vec<&str> = levels.iter().filter_map(|level| level["partial_path"].as_str()).collect();
        assert_eq!(partial_tiles(size).map(|tile| tile.to_string()).collect::<Vec<_>>(), partial);
        levels.iter().for_each(|level| assert_full_tiles(level, size));
        let bundle = BundleCoord::holding(size.saturating_sub(1), size).filter(|bundle| !bundle.is_full());
        let bundle = bundle.map(|bundle| bundle.to_string());
        assert_eq!(bundle.as_deref(), case["bundles"]["partial_path"].as_str());
    }
}

/// The last full tile of a level is there, and the one after it is not full.
fn assert_full_tiles(level: &Value, size: u64) {
    let (full, level) = (number(level, "full_tiles"), u8::try_from(number(level, "level")).unwrap());
    let is_full = |index| TileCoord::in_tree(level, index, size).is_some_and(TileCoord::is_full);
    assert!(full == 0 || is_full(full - 1), "level {level} of {size}");
    assert!(!is_full(full), "level {level} of {size}");
}

#[test]
fn bundles_are_read_and_written_as_by_tessera() {
    for case in cases(&read("bundles"), "good") {
        let bundle = base64(case, "bundle_base64");
        let entries: Vec<Vec<u8>> =
            texts(case, "entries_base64").iter().map(|e| Base64::decode_vec(e).unwrap()).collect();
        let coord = BundleCoord::new(0, u16::try_from(entries.len()).unwrap()).unwrap();
        assert_eq!(EntryBundle::parse(coord, &bundle).unwrap().entries(), entries, "{case}");
        let mut written = Vec::new();
        entries.iter().for_each(|entry| push_entry(&mut written, entry).unwrap());
        assert_eq!(written, bundle);
    }
}

#[test]
fn bad_bundles_are_refused_in_every_width() {
    for case in cases(&read("bundles"), "bad") {
        for width in 1..=256 {
            let coord = BundleCoord::new(0, width).unwrap();
            assert!(EntryBundle::parse(coord, &base64(case, "bundle_base64")).is_err(), "{case}");
        }
    }
}

// --- Proofs that travel. ---

#[test]
fn tlog_proofs_of_go_verify_and_are_written_alike() {
    let file = read("tlog-proofs");
    let log = TrustedLog::from(text(&file, "vkey").parse::<VerifierKey>().unwrap());
    for case in cases(&file, "good") {
        let proof: TlogProof = text(case, "proof").parse().unwrap_or_else(|e| panic!("{e}: {case}"));
        assert_eq!(proof.to_string(), text(case, "proof"));
        let leaf = Hash::leaf(&base64(case, "entry_base64"));
        let head = proof.verify(leaf, &log).unwrap_or_else(|e| panic!("{e}: {case}")).head();
        assert_eq!((proof.index(), head.size()), (number(case, "index"), number(case, "size")));
        let subtree = Subtree::new(proof.index(), proof.index() + 1).unwrap();
        assert_eq!(make(subtree, head.size()).as_ref(), Some(proof.inclusion()), "{case}");
        assert_eq!(
            tree(usize::try_from(head.size()).unwrap()).node(Node::leaf(proof.index()).unwrap()),
            Some(leaf)
        );
    }
}

/// What is not a proof by its form must fail before any key is asked. The rest may fail as early, where
/// the fault is in the form of the checkpoint, which is a part of the file.
#[test]
fn bad_tlog_proofs_are_refused_in_time() {
    let file = read("tlog-proofs");
    let log = TrustedLog::from(text(&file, "vkey").parse::<VerifierKey>().unwrap());
    for case in cases(&file, "bad") {
        let leaf = Hash::leaf(&base64(case, "entry_base64"));
        let parsed = TlogProof::parse(&bytes(case, "proof"));
        assert!(parsed.is_err() || text(case, "kind") == "verify", "{case}");
        assert!(!parsed.is_ok_and(|proof| proof.verify(leaf, &log).is_ok()), "{case}");
    }
}

/// A vector that no test reads is no vector.
#[test]
fn every_file_is_read() {
    let folder = format!("{}/../testdata/vectors", env!("CARGO_MANIFEST_DIR"));
    let names =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    for name in names.filter(|name| name.ends_with(".json")) {
        let call = format!("read(\"{}\")", name.trim_end_matches(".json"));
        assert!(include_str!("vectors.rs").contains(&call), "no test reads {name}");
    }
}
