//! Proofs in trees of any size: another implementation of the verification agrees, and of all proofs
//! of one thing exactly one verifies.
#![no_main]

use arbitrary::Arbitrary;
use kiln_tiles::{Hash, MAX_TREE_SIZE, Proof, Subtree, TreeHead};

#[derive(Arbitrary, Debug)]
struct Input {
    size: u64,
    start: u64,
    leaves: u64,
    hash: [u8; 32],
    change: Change,
    siblings: Vec<[u8; 32]>, // the proof, repeated or cut to the length that it must have
}

/// What an attacker does to a good proof, or to what it is said to prove.
#[derive(Arbitrary, Debug)]
enum Change {
    Nothing,
    Hash { position: u8, to: [u8; 32] },
    Drop { position: u8 },
    Insert { position: u8, hash: [u8; 32] },
    Swap { one: u8, other: u8 },
    Subtree { hash: [u8; 32] },
    Root { hash: [u8; 32] },
}

/// All that a verification looks at.
#[derive(Clone, Eq, PartialEq)]
struct Claim {
    hash: Hash,
    root: Hash,
    proof: Vec<Hash>,
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let Some(subtree) = subtree(&input) else { return };
    let size = input.size % (MAX_TREE_SIZE + 1);
    let Some(parts) = Proof::parts(subtree, size) else { return };
    let Some(good) = good_claim(subtree, size, parts.len(), &input) else { return };
    assert!(holds(subtree, size, &good), "a good proof is refused");
    let changed = change(good.clone(), &input.change);
    assert_eq!(holds(subtree, size, &changed), changed == good, "{:?}", input.change);
});

/// Ranges are aligned here, so that most inputs are subtrees.
fn subtree(input: &Input) -> Option<Subtree> {
    let leaves = input.leaves % (MAX_TREE_SIZE + 1);
    let start = input.start - input.start % leaves.max(1).next_power_of_two();
    Subtree::new(start, start.checked_add(leaves)?)
}

/// A claim that holds, by the other implementation.
fn good_claim(subtree: Subtree, size: u64, length: usize, input: &Input) -> Option<Claim> {
    let siblings = input.siblings.iter().copied().map(Hash::from_bytes);
    let proof: Vec<Hash> = siblings.cycle().take(length).collect();
    let hash = Hash::from_bytes(input.hash);
    let led = kiln_fuzz::lead_to_root(subtree, size, hash, &proof);
    if proof.len() < length {
        return None; // nothing to repeat
    }
    let (hash, root) = led.expect("the two implementations count alike");
    let (hash_again, root_again) = kiln_fuzz::lead_to_root(subtree, size, hash, &proof)?;
    assert!(hash == hash_again && root == root_again);
    Some(Claim { hash, root, proof })
}

fn change(mut claim: Claim, change: &Change) -> Claim {
    let place = |position: u8, length: usize| usize::from(position).checked_rem(length);
    let length = claim.proof.len();
    let proof = &mut claim.proof;
    match *change {
        Change::Nothing => {}
        Change::Hash { position, to } => {
            place(position, length).into_iter().for_each(|i| proof[i] = Hash::from_bytes(to));
        }
        Change::Drop { position } => drop(place(position, length).map(|i| proof.remove(i))),
        Change::Insert { position, hash } => {
            proof.insert(usize::from(position) % (length + 1), Hash::from_bytes(hash));
        }
        Change::Swap { one, other } => {
            place(one, length).zip(place(other, length)).into_iter().for_each(|(i, j)| proof.swap(i, j));
        }
        Change::Subtree { hash } => claim.hash = Hash::from_bytes(hash),
        Change::Root { hash } => claim.root = Hash::from_bytes(hash),
    }
    claim
}

/// What kiln-tiles says, by every way that it has to say it.
fn holds(subtree: Subtree, size: u64, claim: &Claim) -> bool {
    let head = |size, root| TreeHead::new(size, root).expect("the head of a tree with leaves");
    let tree = head(size, claim.root);
    let Some(proof) = Proof::from_hashes(claim.proof.clone()) else { return false };
    let holds = proof.verify(subtree, claim.hash, tree).is_ok();
    if subtree.start() == 0 {
        let earlier = head(subtree.end(), claim.hash);
        assert_eq!(proof.verify_consistency(earlier, tree).is_ok(), holds);
    }
    if subtree.end() - subtree.start() == 1 {
        assert_eq!(proof.verify_inclusion(subtree.start(), claim.hash, tree).is_ok(), holds);
    }
    holds
}
