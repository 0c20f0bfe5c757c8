//! What happens in memory: hashing, growing a tree, proofs, dedup. `cargo bench --package kiln-bench`
//!
//! `bench/engine` puts the figures beside those of `openssl speed` on the same machine.

use bytes::Bytes;
use divan::{Bencher, black_box, counter::ItemsCount};
use kiln_sequencer::{Entry, Tree};
use kiln_tiles::{Hash, HashTile, Node, Proof, RightEdge, Subtree, VerifiedTiles};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The length of an entry in all benchmarks.
const ENTRY: usize = 300;

fn main() {
    divan::main();
}

fn entries(count: usize) -> Vec<Bytes> {
    let entry = |number: usize| {
        let mut entry = format!("entry {number} ").into_bytes();
        entry.resize(ENTRY, b'.');
        Bytes::from(entry)
    };
    (0..count).map(entry).collect()
}

/// A tree of so many leaves, with all of its tiles.
fn tree(size: u64) -> (RightEdge, Vec<HashTile>) {
    let mut edge = RightEdge::empty();
    let tiles = edge.append((0..size).map(|number| Hash::leaf(&number.to_be_bytes())));
    (edge, tiles)
}

#[divan::bench(args = [1, 256])]
fn leaves(bencher: Bencher<'_, '_>, count: usize) {
    let entries = entries(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| Hash::leaves(entries.iter().map(Bytes::as_ref)));
}

#[divan::bench(args = [1, 256])]
fn nodes(bencher: Bencher<'_, '_>, count: usize) {
    let hashes: Vec<Hash> = (0..2 * count).map(|number| Hash::leaf(&number.to_be_bytes())).collect();
    bencher.counter(ItemsCount::new(count)).bench_local(|| Hash::parents(black_box(&hashes)));
}

/// Entries to tiles and bundles, as a round makes them: the tree engine.
#[divan::bench(args = [1, 100, 10_000, 50_000])]
fn entries_to_tiles(bencher: Bencher<'_, '_>, count: usize) {
    let entries = entries(count);
    bencher.counter(ItemsCount::new(count)).with_inputs(|| entries.clone()).bench_local_values(|entries| {
        let entries = Entry::batch(entries).expect("entries of a good length");
        Tree::empty().append(&entries)
    });
}

#[divan::bench(args = [1_000, 65_536, 1_000_000])]
fn proof_from_tiles_in_memory(bencher: Bencher<'_, '_>, size: u64) {
    let (edge, tiles) = tree(size);
    let mut verified = VerifiedTiles::new(&edge);
    for tile in tiles.into_iter().rev().filter(|tile| tile.coord().is_full()) {
        verified.insert(tile).expect("a tile of the tree, after the one above");
    }
    let mut index = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        index = (index + 7919) % size;
        let leaf = Subtree::new(index, index + 1).expect("in the tree");
        Proof::make(leaf, size, |node: Node| verified.node(node)).expect("all tiles are there")
    });
}

#[divan::bench(args = [1_000, 1_000_000])]
fn verify_proof(bencher: Bencher<'_, '_>, size: u64) {
    let (edge, tiles) = tree(size);
    let mut verified = VerifiedTiles::new(&edge);
    for tile in tiles.into_iter().rev().filter(|tile| tile.coord().is_full()) {
        verified.insert(tile).expect("a tile of the tree, after the one above");
    }
    let (index, head) = (size / 3, edge.head());
    let leaf = Subtree::new(index, index + 1).expect("in the tree");
    let proof = Proof::make(leaf, size, |node: Node| verified.node(node)).expect("all tiles are there");
    let hash = Hash::leaf(&index.to_be_bytes());
    bencher.bench_local(|| proof.verify_inclusion(index, hash, head));
}
