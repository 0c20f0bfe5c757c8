//! Inputs that once got past a check. Each test opens with its story.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use kiln_tiles::{
    Checkpoint, Hash, HashTile, MAX_TREE_SIZE, Node, Note, Proof, RightEdge, SigningKey, TreeHead,
    VerifiedTiles, partial_tiles,
};

fn key() -> SigningKey {
    SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32])
}

fn beyond() -> TreeHead {
    TreeHead { size: MAX_TREE_SIZE + 1, root: Hash::empty_tree() }
}

/// `open` verified the first tile for a place and kept the last one: a server that answered with the
/// true edge and then with another tile for the same place had that one believed.
#[test]
fn a_second_tile_for_a_place_is_not_let_in_unseen() {
    let mut edge = RightEdge::empty();
    edge.append((0..7_u8).map(|i| Hash::leaf(&[i])));
    let good: HashTile = edge.tiles().next().unwrap();
    let lie = HashTile::parse(good.coord(), &[0xbb; 7 * Hash::SIZE]).unwrap();
    if let Ok(verified) = VerifiedTiles::open(edge.head(), &[good, lie]) {
        let leaf = Node::leaf(3).unwrap();
        assert_eq!(verified.node(leaf), Some(Hash::leaf(&[3])));
    }
}

/// A size above the largest has no `Subtree::whole`, which was taken for the empty tree: under its root
/// hash, any tiles were an edge.
#[test]
fn an_edge_beyond_every_tree_does_not_open() {
    let bytes = |width: u16| vec![0xbb; usize::from(width) * Hash::SIZE];
    let tiles = partial_tiles(beyond().size).map(|t| HashTile::parse(t, &bytes(t.width())).unwrap());
    let edge: Vec<HashTile> = tiles.collect();
    assert!(RightEdge::open(beyond(), &edge).is_err());
    assert!(VerifiedTiles::open(beyond(), &edge).is_err());
}

/// The same mistake in a consistency proof: every tree extended a tree of 2^63 leaves.
#[test]
fn no_tree_extends_one_beyond_every_tree() {
    let tree = TreeHead { size: 1, root: Hash::leaf(b"x") };
    assert!(Proof::default().verify_consistency(beyond(), tree).is_err());
}

/// A text without a final newline was printed, read and so accepted as another note, whose last line
/// of text had become a signature; `sign` returned a note that its own key rejects.
#[test]
fn a_text_without_newline_is_no_text_whatever_it_looks_like() {
    let text = "text\n\n— other AAAAAAE=";
    let signature = key().sign("text\n".to_owned()).unwrap().signatures().to_vec();
    assert!(Note::new(text.to_owned(), signature).is_err());
    assert!(key().sign(text.to_owned()).is_err());
}

/// Values that print what nobody reads, and that a log might have signed.
#[test]
fn what_cannot_be_read_again_cannot_be_made() {
    let wrong = TreeHead { size: 0, root: Hash::leaf(b"x") };
    for head in [beyond(), wrong] {
        let read = Checkpoint::new("example.com/log", head).map(|made| made.to_string().parse() == Ok(made));
        assert_ne!(read, Some(false), "{head}");
    }
}
