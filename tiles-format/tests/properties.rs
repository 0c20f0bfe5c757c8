//! What holds for every value: that which is printed is read again, a tree is the one of RFC 6962
//! however it grew, and a proof verifies when it was made so and not when it was changed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::cast_possible_truncation, reason = "the trees here fit in memory")]

use kiln_tiles::{
    BundleCoord, Checkpoint, EntryBundle, Hash, HashTile, KeyName, MAX_TREE_SIZE, Node, Note, Proof,
    RightEdge, SigningKey, Subtree, TileCoord, TlogProof, TreeHead, TrustedLog, VerifiedTiles, VerifierKey,
    partial_tiles, push_entry, split_entries,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

// --- Inverse pairs: print and parse. ---

fn hashes() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

/// Numbers of any length, the largest included.
fn sizes() -> impl Strategy<Value = u64> {
    (0..=MAX_TREE_SIZE, 0..63_u32).prop_map(|(number, shift)| number >> shift)
}

fn tile_coords() -> impl Strategy<Value = TileCoord> {
    let fields = (0..=TileCoord::MAX_LEVEL, sizes(), 1..=256_u16);
    fields.prop_map(|(level, index, width)| TileCoord::new(level, index, width).unwrap())
}

fn bundle_coords() -> impl Strategy<Value = BundleCoord> {
    (sizes(), 1..=256_u16).prop_map(|(index, width)| BundleCoord::new(index, width).unwrap())
}

fn heads() -> impl Strategy<Value = TreeHead> {
    let head = |(size, root)| TreeHead::new(size, root).unwrap_or(TreeHead::empty());
    (sizes(), hashes()).prop_map(head)
}

fn keys() -> impl Strategy<Value = SigningKey> {
    let name = "[^+\\s\\p{Cc}]{1,60}";
    (name, any::<[u8; 32]>()).prop_map(|(name, seed)| SigningKey::from_seed(name.parse().unwrap(), seed))
}

/// Lines as notes may have them, some of them empty.
fn texts() -> impl Strategy<Value = String> {
    vec("[^\\x00-\\x1f]{0,30}\n", 1..5).prop_map(|lines| lines.concat())
}

fn notes() -> impl Strategy<Value = Note> {
    let sign = |(text, keys): (String, Vec<SigningKey>)| {
        let sign = |key: &SigningKey| key.sign(text.clone()).unwrap().signatures()[0].clone();
        let signatures = keys.iter().map(sign).collect();
        Note::new(text, signatures).unwrap()
    };
    (texts(), vec(keys(), 1..4)).prop_map(sign)
}

fn checkpoint_texts() -> impl Strategy<Value = String> {
    let lines = vec("[^\\x00-\\x1f]{1,30}\n", 0..3).prop_map(|lines| lines.concat());
    let text = |(origin, head, more): (String, TreeHead, String)| {
        format!("{}{more}", Checkpoint::new(&origin, head).unwrap())
    };
    ("[^\\x00-\\x1f]{1,40}", heads(), lines).prop_map(text)
}

fn tlog_proofs() -> impl Strategy<Value = TlogProof> {
    let inclusion = vec(hashes(), 0..=Proof::MAX_HASHES).prop_map(|list| Proof::from_hashes(list).unwrap());
    let proof =
        (sizes(), inclusion, notes()).prop_map(|(index, path, note)| TlogProof::new(index, path, note));
    let extra = prop::option::of(vec(any::<u8>(), 0..100));
    (proof, extra).prop_map(|(proof, extra)| match extra {
        Some(extra) => proof.with_extra(extra),
        None => proof,
    })
}

proptest! {
    #[test]
    fn a_hash_is_read_again(hash in hashes()) {
        prop_assert_eq!(Hash::from_base64(&hash.to_string()), Some(hash));
        prop_assert_eq!(Hash::from_hex(&hash.to_hex()), Some(hash));
    }

    #[test]
    fn a_path_is_read_again(tile in tile_coords(), bundle in bundle_coords()) {
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        prop_assert_eq!(bundle.to_string().parse(), Ok(bundle));
        prop_assert!(tile.to_string().parse::<BundleCoord>().is_err());
        prop_assert!(bundle.to_string().parse::<TileCoord>().is_err());
    }

    /// Near misses: texts of the characters that paths are made of.
    #[test]
    fn a_path_has_one_spelling(text in "tile/(entries|[0-9+]{1,2})/(x?[0-9+]{1,3}/){0,3}[0-9]{1,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = text.parse::<TileCoord>() { prop_assert_eq!(tile.to_string(), &*text) }
        if let Ok(bundle) = text.parse::<BundleCoord>() { prop_assert_eq!(bundle.to_string(), &*text) }
    }

    #[test]
    fn a_head_is_read_again(head in heads()) {
        prop_assert_eq!(head.to_string().parse(), Ok(head));
    }

    #[test]
    fn a_tile_is_read_again(coord in tile_coords(), seed: u64) {
        let width = u64::from(coord.width());
        let bytes: Vec<u8> = (0..width).flat_map(|i| *leaf(seed ^ i).as_bytes()).collect();
        let tile = HashTile::parse(coord, &bytes).unwrap();
        prop_assert_eq!(tile.to_bytes(), bytes);
    }

    #[test]
    fn a_bundle_is_read_again(entries in vec(vec(any::<u8>(), 0..300), 1..=256)) {
        let bytes = frame(&entries);
        let split: Result<Vec<&[u8]>, _> = split_entries(&bytes).collect();
        prop_assert_eq!(split, Ok(entries.iter().map(Vec::as_slice).collect()));
        let coord = BundleCoord::new(0, u16::try_from(entries.len()).unwrap()).unwrap();
        let bundle = EntryBundle::parse(coord, &bytes).unwrap();
        prop_assert_eq!(bundle.entries(), entries);
    }

    #[test]
    fn a_key_is_read_again(key in keys()) {
        let again: SigningKey = key.to_note_form().parse().unwrap();
        prop_assert_eq!(&*again.to_note_form(), &*key.to_note_form());
        let public = key.verifier_key();
        prop_assert_eq!(public.name(), key.name());
        prop_assert_eq!(public.to_string().parse::<VerifierKey>(), Ok(public));
        prop_assert_eq!(key.name().to_string().parse::<KeyName>(), Ok(key.name().clone()));
    }

    #[test]
    fn a_note_is_read_again(note in notes()) {
        prop_assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }

    #[test]
    fn a_checkpoint_is_read_again(text in checkpoint_texts(), key in keys()) {
        let checkpoint: Checkpoint = text.parse().unwrap();
        prop_assert_eq!(checkpoint.to_string(), &*text);
        let note = key.sign(text).unwrap().to_string();
        let log = TrustedLog::new(checkpoint.origin().to_owned(), vec![key.verifier_key()]);
        let opened = log.open(note.as_bytes()).unwrap();
        prop_assert_eq!(opened.checkpoint(), &checkpoint);
    }

    #[test]
    fn a_tlog_proof_is_read_again(proof in tlog_proofs()) {
        prop_assert_eq!(TlogProof::parse(proof.to_string().as_bytes()), Ok(proof));
    }
}

fn frame(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| push_entry(&mut bytes, entry).unwrap());
    bytes
}

// --- Trees. ---

fn leaf(index: u64) -> Hash {
    Hash::leaf(&index.to_be_bytes())
}

/// RFC 6962's definition of the Merkle tree hash, word for word.
fn merkle_tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty_tree(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Hash::node(merkle_tree_hash(left), merkle_tree_hash(right))
        }
    }
}

/// RFC 6962's `PATH(m, D[n])`, word for word.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, other) = match m.checked_sub(left.len()) {
        None => (path(m, left), right),
        Some(m) => (path(m, right), left),
    };
    path.push(merkle_tree_hash(other));
    path
}

/// RFC 6962's `SUBPROOF(m, D[n], b)`, word for word; `PROOF(m, D[n])` is the one with `b` true.
fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![merkle_tree_hash(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut proof, other) = match m.checked_sub(left.len()) {
        None | Some(0) => (subproof(m, left, known), right),
        Some(m) => (subproof(m, right, false), left),
    };
    proof.push(merkle_tree_hash(other));
    proof
}

/// The first leaves of one endless sequence.
fn leaves(size: usize) -> Vec<Hash> {
    (0..size as u64).map(leaf).collect()
}

/// Batches of all sizes, small ones more often.
fn batches() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![0..3_usize, 0..300_usize, 200..2_000_usize], 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_is_the_one_of_rfc_6962_however_it_grew(batches in batches()) {
        let all = leaves(batches.iter().sum());
        let (mut edge, mut rest, mut tiles) = (RightEdge::empty(), &all[..], Vec::new());
        for batch in batches {
            let (batch, later) = rest.split_at(batch);
            tiles.extend(edge.append(batch.iter().copied()));
            rest = later;
            prop_assert_eq!(edge.root(), merkle_tree_hash(&all[..all.len() - rest.len()]));
        }
        prop_assert_eq!(RightEdge::open(edge.head(), &tiles), Ok(edge));
        assert_tiles_hold(&tiles, &all);
    }

    #[test]
    fn tiles_that_were_let_in_know_the_tree_and_its_past(size in 1..70_000_usize, ask: Index, past: Index) {
        let all = leaves(size);
        let (verified, index, past) = (verified_tree(&all), ask.index(size), past.index(size + 1));
        let node = Node::leaf(index as u64).unwrap();
        prop_assert_eq!(verified.node(node), Some(all[index]));
        prop_assert_eq!(verified.root_at(past as u64), Some(merkle_tree_hash(&all[..past])));
        prop_assert_eq!(verified.root_at(size as u64 + 1), None);
    }
}

/// All tiles of the tree over these leaves are among `tiles`, and hold what they should.
fn assert_tiles_hold(tiles: &[HashTile], leaves: &[Hash]) {
    let (mut level, mut below) = (0, leaves.to_vec());
    while !below.is_empty() {
        for (index, chunk) in (0..).zip(below.chunks(256)) {
            let coord = TileCoord::new(level, index, u16::try_from(chunk.len()).unwrap()).unwrap();
            let tile = tiles.iter().find(|tile| tile.coord() == coord);
            assert_eq!(tile.map(HashTile::hashes), Some(chunk), "{coord}");
        }
        (level, below) = (level + 1, below.chunks_exact(256).map(merkle_tree_hash).collect());
    }
}

fn verified_tree(leaves: &[Hash]) -> VerifiedTiles {
    let mut edge = RightEdge::empty();
    let mut tiles = edge.append(leaves.iter().copied());
    let (partial, mut full) = (tiles.split_off(tiles.len() - partial_tiles(edge.size()).count()), tiles);
    let mut verified = VerifiedTiles::open(edge.head(), &partial).unwrap();
    full.sort_by_key(|tile| std::cmp::Reverse(tile.coord().level()));
    full.into_iter().for_each(|tile| verified.insert(tile).unwrap());
    verified
}

// --- Proofs. ---

/// A tree, and a subtree of it: the range is made to fit.
fn subtrees() -> impl Strategy<Value = (usize, Subtree)> {
    (1..3_000_u64, any::<Index>(), any::<Index>()).prop_map(|(size, start, length)| {
        let start = start.index(size as usize) as u64;
        // The longest range from here that is a subtree, or a shorter one.
        let longest = if start == 0 { size } else { (1 << start.trailing_zeros()).min(size - start) };
        let end = start + 1 + length.index(longest as usize) as u64;
        (size as usize, Subtree::new(start, end).unwrap())
    })
}

fn make(subtree: Subtree, leaves: &[Hash]) -> (Hash, TreeHead, Proof) {
    let tiles = verified_tree(leaves);
    let hash = subtree.hash(|node| tiles.node(node)).unwrap();
    let proof = Proof::make(subtree, leaves.len() as u64, |node| tiles.node(node)).unwrap();
    (hash, tiles.head(), proof)
}

/// What may happen to a list of hashes. The places are taken modulo its length.
#[derive(Clone, Debug)]
enum Change {
    Bit(Index, u8),
    Drop(Index),
    Insert(Index, Hash),
    Swap(Index, Index),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Change::Bit(at, bit)),
        any::<Index>().prop_map(Change::Drop),
        (any::<Index>(), hashes()).prop_map(|(at, hash)| Change::Insert(at, hash)),
        any::<(Index, Index)>().prop_map(|(one, other)| Change::Swap(one, other)),
    ]
}

fn flip(hash: Hash, bit: u8) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

fn change(proof: &Proof, change: &Change) -> Option<Proof> {
    let mut list = proof.hashes().to_vec();
    let place = |at: &Index| (!list.is_empty()).then(|| at.index(list.len()));
    match change {
        Change::Bit(at, bit) => place(at).map(|at| list[at] = flip(list[at], *bit))?,
        Change::Drop(at) => drop(place(at).map(|at| list.remove(at))?),
        Change::Insert(at, hash) => list.insert(at.index(list.len() + 1), *hash),
        Change::Swap(one, other) => place(one).zip(place(other)).map(|(one, other)| list.swap(one, other))?,
    }
    Proof::from_hashes(list).filter(|changed| changed != proof)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_proof_verifies_and_no_changed_one_does(
        (size, subtree) in subtrees(), changes in vec(changes(), 1..20), bit: u8,
    ) {
        let (hash, tree, proof) = make(subtree, &leaves(size));
        prop_assert_eq!(proof.verify(subtree, hash, tree), Ok(()));
        prop_assert!(proof.verify(subtree, flip(hash, bit), tree).is_err());
        let other = TreeHead::new(tree.size(), flip(tree.root(), bit)).unwrap();
        prop_assert!(proof.verify(subtree, hash, other).is_err());
        for changed in changes.iter().filter_map(|step| change(&proof, step)) {
            prop_assert!(changed.verify(subtree, hash, tree).is_err(), "{changed:?}");
        }
    }

    #[test]
    fn a_proof_shows_nothing_of_another_place_or_tree((size, subtree) in subtrees(), elsewhere: Index, other: Index) {
        let (hash, tree, proof) = make(subtree, &leaves(size));
        let length = subtree.end() - subtree.start();
        let start = elsewhere.index(size) as u64;
        let moved = Subtree::new(start, start + length).filter(|&moved| moved != subtree);
        prop_assert!(moved.is_none_or(|moved| proof.verify(moved, hash, tree).is_err()));
        // A proof may fit a tree of another size with this root: that tree would have other leaves. But
        // not the tree that this log had.
        let past = other.index(size) as u64;
        let past = TreeHead::new(past, merkle_tree_hash(&leaves(past as usize))).unwrap();
        prop_assert!(proof.verify(subtree, hash, past).is_err());
    }

    #[test]
    fn proofs_are_those_of_rfc_6962(size in 1..600_usize, index: Index, earlier: Index) {
        let all = leaves(size);
        let (index, earlier) = (index.index(size), 1 + earlier.index(size));
        let (hash, tree, inclusion) = make(Subtree::new(index as u64, index as u64 + 1).unwrap(), &all);
        prop_assert_eq!(inclusion.hashes(), path(index, &all));
        prop_assert_eq!(inclusion.verify_inclusion(index as u64, hash, tree), Ok(()));
        let (root, tree, consistency) = make(Subtree::whole(earlier as u64).unwrap(), &all);
        prop_assert_eq!(consistency.hashes(), subproof(earlier, &all, true));
        let earlier = TreeHead::new(earlier as u64, root).unwrap();
        prop_assert_eq!(consistency.verify_consistency(earlier, tree), Ok(()));
    }
}
