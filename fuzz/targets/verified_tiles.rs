//! Tiles from a server that lies: none gets in that the root hash does not vouch for.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use kiln_fuzz::{Tree, edge_root};
use kiln_tiles::{Hash, HashTile, Node, TileCoord, TreeHead, VerifiedTiles, partial_tiles};

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::new(70_000));

#[derive(Arbitrary, Debug)]
struct Input {
    before: Vec<Served>,
    after: Vec<Served>,
    steps: Vec<Step>,
    foreign: Foreign,
}

/// A tile of the tree as the server serves it.
#[derive(Arbitrary, Debug)]
struct Served {
    tile: u16,
    damage: Option<(u16, u8)>,    // which byte, which bits
    elsewhere: Option<(u8, u16)>, // at another level and index
}

#[derive(Arbitrary, Debug)]
enum Step {
    Insert(Served),
    Forget { level: u8, index: u16 },
}

/// A head that the tree never had, with an edge of any hashes.
#[derive(Arbitrary, Debug)]
struct Foreign {
    size: u64,
    root: Root,
    seed: u64,
}

#[derive(Arbitrary, Debug)]
enum Root {
    Empty,
    Fitting,
    Any([u8; 32]),
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    // The true edge is all there; a server that adds to it is refused, or changes nothing.
    let before = input.before.iter().filter_map(served);
    let edge: Vec<_> = before.chain(true_edge()).chain(input.after.iter().filter_map(served)).collect();
    if let Ok(mut verified) = VerifiedTiles::open(TREE.head(), &edge) {
        input.steps.iter().for_each(|step| apply(&mut verified, step));
        assert_true(&verified);
    }
    assert_foreign_is_refused(&input.foreign);
});

fn true_edge() -> impl Iterator<Item = HashTile> {
    partial_tiles(TREE.head().size()).filter_map(|coord| TREE.tile(coord).cloned())
}

fn served(served: &Served) -> Option<HashTile> {
    // From the end: there are the few tiles that others hang from.
    let tile = TREE.tiles().iter().rev().nth(usize::from(served.tile) % TREE.tiles().len())?;
    let mut bytes = tile.to_bytes();
    if let Some((position, bits)) = served.damage {
        let position = usize::from(position) % bytes.len();
        bytes[position] ^= bits;
    }
    let coord = tile.coord();
    let (level, index) = served.elsewhere.map_or((coord.level(), coord.index()), |(l, i)| (l, i.into()));
    HashTile::parse(TileCoord::new(level, index, coord.width())?, &bytes).ok()
}

fn apply(verified: &mut VerifiedTiles, step: &Step) {
    match step {
        Step::Insert(tile) => {
            let _ = served(tile).map(|tile| verified.insert(tile));
        }
        Step::Forget { level, index } => {
            verified.retain(|tile| tile.level() != *level || tile.index() != u64::from(*index));
        }
    }
}

/// All that is known is true: each tile, and the first and last node of each level.
fn assert_true(verified: &VerifiedTiles) {
    for tile in TREE.tiles() {
        assert!(verified.tile(tile.coord()).is_none_or(|known| known == tile), "{} is a lie", tile.coord());
    }
    for level in 0..64 {
        for index in [0, (TREE.head().size() >> level).saturating_sub(1), TREE.head().size() >> level] {
            let Some(node) = Node::new(level, index) else { continue };
            let known = verified.node(node);
            assert!(known.is_none() || known == TREE.node(node), "{node:?} is a lie");
        }
    }
}

/// An edge opens if and only if the root is the one that it has.
fn assert_foreign_is_refused(foreign: &Foreign) {
    let edge: Vec<HashTile> = partial_tiles(foreign.size).map(|coord| made_up(coord, foreign.seed)).collect();
    let fitting = edge_root(&edge);
    let root = match foreign.root {
        Root::Empty => Hash::empty_tree(),
        Root::Fitting => fitting,
        Root::Any(bytes) => Hash::from_bytes(bytes),
    };
    let Some(head) = TreeHead::new(foreign.size, root) else { return };
    assert_eq!(VerifiedTiles::open(head, &edge).is_ok(), root == fitting, "{foreign:?}");
}

fn made_up(coord: TileCoord, seed: u64) -> HashTile {
    let hash = |i: u16| *Hash::leaf(&[seed.to_be_bytes(), u64::from(i).to_be_bytes()].concat()).as_bytes();
    let bytes: Vec<u8> = (0..coord.width()).flat_map(hash).collect();
    HashTile::parse(coord, &bytes).expect("as many hashes as the tile is wide")
}
