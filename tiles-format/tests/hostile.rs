//! Inputs that once got past a check. Each test opens with its story.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use kiln_tiles::{Hash, HashTile, MAX_TREE_SIZE, Node, Note, RightEdge, SigningKey, TreeHead, VerifiedTiles};

fn key() -> SigningKey {
    SigningKey::from_seed("example.com/log".parse().unwrap(), [7; 32])
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
/// hash any tiles were an edge, and every tree extended it. A log might have signed such a size, or a
/// root hash for no leaves, and nobody could have read it.
#[test]
fn no_head_is_one_that_no_tree_has() {
    let leaf = Hash::leaf(b"x");
    assert!(TreeHead::new(MAX_TREE_SIZE, leaf).is_some());
    assert_eq!(TreeHead::new(MAX_TREE_SIZE + 1, leaf), None);
    assert_eq!(TreeHead::new(MAX_TREE_SIZE + 1, Hash::empty_tree()), None);
    assert_eq!(TreeHead::new(0, leaf), None);
    assert_eq!(TreeHead::new(0, Hash::empty_tree()), Some(TreeHead::empty()));
    assert!(format!("0:{}", leaf.to_hex()).parse::<TreeHead>().is_err());
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
