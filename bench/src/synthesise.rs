//! Makes a log large without writing it: its right edge is there and the rest is not, but for the tiles and
//! bundles of leaves that are asked for. A server starts from it and adds to it, and those leaves can be proven.
//!
//! All other hashes are random. `bench/large` says what is measured with it.

mod index;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use kiln_sequencer::{CopyHead, Dedup};
use kiln_storage::{Folder, ImmutableObjects, Object, Store};
use kiln_tiles::{
    BundleCoord, Hash, HashTile, Subtree, TILE_WIDTH, TileCoord, TreeHead, VerifierKey, partial_tiles,
    push_entry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Make the log in a folder, as `kiln init` left it, as large as you like.
#[derive(Parser)]
struct Options {
    /// The folder of the log.
    store: PathBuf,
    /// Its vkey, as `kiln init` prints it.
    #[arg(long)]
    vkey: VerifierKey,
    /// How many entries it has then.
    #[arg(long)]
    size: u64,
    /// Leaves that can be read and proven.
    #[arg(long, value_delimiter = ',')]
    leaves: Vec<u64>,
    /// Make a dedup index of so many leaves, too: all but these random, and of no entry.
    #[arg(long)]
    dedup: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let log = Synthetic::new(options.size, &options.leaves)?;
    let store = Folder::open(&options.store, "synthesise".to_owned())?;
    store.create(log.objects()?).await?;
    let head = CopyHead::load(store.head(), options.vkey.fingerprint()).await?;
    head.advance(log.head, [0; 16]).await?;
    if options.dedup {
        let dedup = Dedup::on_disk(options.store.join("private/dedup"));
        index::fill(&dedup, log.head)?;
        index::wait_until_idle();
    }
    println!("{}", log.head);
    Ok(())
}

/// Some tiles of a tree, which hash up to its root.
struct Synthetic {
    head: TreeHead,
    tiles: Vec<HashTile>,
}

impl Synthetic {
    /// The tree of this size, with its right edge and with what is above `leaves`.
    fn new(size: u64, leaves: &[u64]) -> Result<Self, Box<dyn Error>> {
        let coords: BTreeSet<_> = leaves
            .iter()
            .flat_map(|&leaf| path(leaf, size))
            .chain(partial_tiles(size))
            .map(|coord| (coord.level(), coord.index(), coord))
            .collect();
        let mut roots = BTreeMap::new();
        let mut tiles = Vec::new();
        for (level, index, coord) in coords {
            let hashes = hashes(coord, &roots);
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            tiles.push(HashTile::parse(coord, &bytes)?);
            roots.insert((level, index), root(hashes));
        }
        let whole = Subtree::whole(size).ok_or("a log of no entries is made by `kiln init`")?;
        let root =
            whole.hash(|node| tiles.iter().find_map(|tile| tile.node(node))).ok_or("the edge is whole")?;
        Ok(Self { head: TreeHead::new(size, root).ok_or("no log is that large")?, tiles })
    }

    /// The tiles, and the bundles beneath those of level 0.
    fn objects(&self) -> Result<Vec<Object>, Box<dyn Error>> {
        let mut objects = Vec::new();
        for tile in &self.tiles {
            objects.push(object(&tile.coord(), tile.to_bytes())?);
            if tile.coord().level() == 0 {
                let bundle = BundleCoord::holding(tile.coord().index() * TILE_WIDTH, self.head.size());
                let bundle = bundle.ok_or("the tree has the bundle of its tile")?;
                objects.push(object(&bundle, entries(tile.coord())?)?);
            }
        }
        Ok(objects)
    }
}

fn object(resource: &impl ToString, body: Vec<u8>) -> Result<Object, Box<dyn Error>> {
    Ok(Object { path: resource.to_string().parse()?, body: body.into() })
}

/// The tiles between a leaf and the root.
fn path(leaf: u64, size: u64) -> impl Iterator<Item = TileCoord> {
    (0..8).map_while(move |level| {
        TileCoord::in_tree(level, leaf.checked_shr(8 * (u32::from(level) + 1))?, size)
    })
}

/// The hashes of a tile: the roots of the tiles below that are there, random ones for the others.
fn hashes(coord: TileCoord, roots: &BTreeMap<(u8, u64), Hash>) -> Vec<Hash> {
    let start = coord.index() * TILE_WIDTH;
    let below = |index: u64| match coord.level().checked_sub(1) {
        None => Hash::leaf(&entry(index)),
        Some(level) => roots.get(&(level, index)).copied().unwrap_or_else(|| {
            index::leaf(u64::from(coord.level()) << 56 | index) // another one at each level
        }),
    };
    (start..start + u64::from(coord.width())).map(below).collect()
}

/// The root of a tile, if it is full.
fn root(mut hashes: Vec<Hash>) -> Hash {
    while hashes.len() > 1 {
        hashes = Hash::parents(&hashes);
    }
    hashes.first().copied().unwrap_or_else(Hash::empty_tree)
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn entries(tile: TileCoord) -> Result<Vec<u8>, Box<dyn Error>> {
    let (start, mut framed) = (tile.index() * TILE_WIDTH, Vec::new());
    for index in start..start + u64::from(tile.width()) {
        push_entry(&mut framed, &entry(index))?;
    }
    Ok(framed)
}
