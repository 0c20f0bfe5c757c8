//! The bytes of a hash tile, at any place and in any width.
#![no_main]

use kiln_tiles::{HashTile, Node, TileCoord};

libfuzzer_sys::fuzz_target!(|input: (u8, u64, u16, u8, u64, &[u8])| {
    let (level, index, width, node_level, node_index, bytes) = input;
    let Some(coord) = TileCoord::new(level, index, width) else { return };
    let Ok(tile) = HashTile::parse(coord, bytes) else { return };
    assert_eq!(tile.to_bytes(), bytes);
    if let Some(node) = Node::new(node_level, node_index) {
        let _ = tile.node(node); // Any node may be asked for: it is there, or it is not.
    }
    let narrow = tile.prefix(node_level.into());
    assert_eq!(narrow.is_some(), (1..=width).contains(&node_level.into()));
});
