//! How fast a log is read and verified, beside the SHA-256 that it takes: a log in memory, 300-byte
//! entries. `cargo run --release -p kiln-client --example throughput [ENTRIES]`

use std::error::Error;
use std::time::{Duration, Instant};

use kiln_client::tiles::{
    BundleCoord, Checkpoint, Hash, RightEdge, SigningKey, TILE_WIDTH, TrustedLog, push_entry,
};
use kiln_client::{Client, MemorySource};

const ENTRY_SIZE: usize = 300;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let size: u64 = argument.as_deref().unwrap_or("1000000").parse()?;
    let (source, log) = write_log(size)?;
    for _ in 0..3 {
        report("SHA-256 of leaves and nodes, one core", size, hash_alone(size));
        report("entries()", size, read_entries(&source, &log).await?);
        report("bundles()", size, read_bundles(&source, &log).await?);
        report("check_log()", size, check(&source, &log).await?);
    }
    Ok(())
}

fn report(what: &str, size: u64, took: Duration) {
    println!("{what}: {:.0} entries/s", size as f64 / took.as_secs_f64());
}

fn entry(index: u64) -> [u8; ENTRY_SIZE] {
    let mut entry = [7; ENTRY_SIZE];
    entry[..8].copy_from_slice(&index.to_be_bytes());
    entry
}

fn write_log(size: u64) -> Result<(MemorySource, TrustedLog), Box<dyn Error>> {
    let (source, mut edge) = (MemorySource::default(), RightEdge::empty());
    for start in (0..size).step_by(256) {
        let end = size.min(start + TILE_WIDTH);
        let mut bundle = Vec::new();
        (start..end).try_for_each(|index| push_entry(&mut bundle, &entry(index)))?;
        for tile in edge.append((start..end).map(|index| Hash::leaf(&entry(index)))) {
            source.insert(tile.coord().to_string(), tile.to_bytes());
        }
        let coord = BundleCoord::holding(start, size).ok_or("no such bundle")?;
        source.insert(coord.to_string(), bundle);
    }
    let key = SigningKey::from_seed("example.com/log".parse()?, [7; 32]);
    let text = Checkpoint::new("example.com/log", edge.head()).ok_or("no such checkpoint")?.to_string();
    source.insert("checkpoint", key.sign(text)?.to_string().into_bytes());
    Ok((source, key.verifier_key().into()))
}

/// The same blocks as the log has, and nothing else done: each leaf, and a node for each.
fn hash_alone(size: u64) -> Duration {
    let start = Instant::now();
    let entry = entry(0);
    let mut last = Hash::empty_tree();
    for _ in 0..size {
        last = Hash::node(last, Hash::leaf(&entry));
    }
    std::hint::black_box(last);
    start.elapsed()
}

async fn read_entries(source: &MemorySource, log: &TrustedLog) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut entries = Client::new(source.clone(), log.clone()).entries(..);
    while let Some(entry) = entries.next().await {
        std::hint::black_box(entry?);
    }
    Ok(start.elapsed())
}

async fn read_bundles(source: &MemorySource, log: &TrustedLog) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut bundles = Client::new(source.clone(), log.clone()).bundles(..);
    while let Some(bundle) = bundles.next().await {
        std::hint::black_box(bundle?);
    }
    Ok(start.elapsed())
}

async fn check(source: &MemorySource, log: &TrustedLog) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    Client::new(source.clone(), log.clone()).check_log(|_| {}).await?;
    Ok(start.elapsed())
}
