//! How fast a log is read and verified, beside the SHA-256 that it takes: a log in memory, 300-byte
//! entries. `cargo run --release -p kiln-client --example throughput [ENTRIES]`

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use kiln_client::tiles::{
    BundleCoord, Checkpoint, Hash, RightEdge, SigningKey, TILE_WIDTH, TrustedLog, push_entry, split_entries,
};
use kiln_client::{Client, MemorySource};

const ENTRY_SIZE: usize = 300;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let size: u64 = argument.as_deref().unwrap_or("1000000").parse()?;
    let (source, log) = write_log(size)?;
    let paths = source.paths().into_iter().filter(|path| path.starts_with("tile/entries/"));
    let bundles: Vec<Bytes> = paths.filter_map(|path| source.get(&path)).collect();
    for _ in 0..3 {
        let (start, cpu) = (Instant::now(), cpu_time()?);
        hash_alone(&bundles)?;
        report("SHA-256 of leaves and nodes alone", size, start, cpu)?;
        let (start, cpu) = (Instant::now(), cpu_time()?);
        read_entries(&source, &log).await?;
        report("entries()", size, start, cpu)?;
        let (start, cpu) = (Instant::now(), cpu_time()?);
        read_bundles(&source, &log).await?;
        report("bundles()", size, start, cpu)?;
        let (start, cpu) = (Instant::now(), cpu_time()?);
        Client::new(source.clone(), log.clone()).check_log(|_| {}).await?;
        report("check_log()", size, start, cpu)?;
    }
    Ok(())
}

/// The CPU time of this process, in ticks of 10 ms: what a busy machine does not change.
fn cpu_time() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    Ok(fields[12].parse::<u64>()? + fields[13].parse::<u64>()?)
}

fn report(what: &str, size: u64, start: Instant, cpu: u64) -> Result<(), Box<dyn Error>> {
    let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), (cpu_time()? - cpu) as f64 / 100.0);
    let (rate, cpu_rate) = (size as f64 / seconds, size as f64 / cpu_seconds);
    println!("{what}: {rate:.0} entries a second, {cpu_rate:.0} a CPU second");
    Ok(())
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

/// The same hashes over the same bytes, and nothing else done: each leaf, and a node for each.
fn hash_alone(bundles: &[Bytes]) -> Result<(), Box<dyn Error>> {
    let mut last = Hash::empty_tree();
    for bundle in bundles {
        for entry in split_entries(bundle) {
            last = Hash::node(last, Hash::leaf(entry?));
        }
    }
    std::hint::black_box(last);
    Ok(())
}

async fn read_entries(source: &MemorySource, log: &TrustedLog) -> Result<(), Box<dyn Error>> {
    let mut entries = Client::new(source.clone(), log.clone()).entries(..);
    while let Some(entry) = entries.next().await {
        std::hint::black_box(entry?);
    }
    Ok(())
}

async fn read_bundles(source: &MemorySource, log: &TrustedLog) -> Result<(), Box<dyn Error>> {
    let mut bundles = Client::new(source.clone(), log.clone()).bundles(..);
    while let Some(bundle) = bundles.next().await {
        std::hint::black_box(bundle?);
    }
    Ok(())
}
