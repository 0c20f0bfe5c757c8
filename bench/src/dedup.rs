//! What the dedup index costs a leaf, at any size of the log; `bench/dedup` runs it.
//!
//! Fills an index up to `--keys` leaves that nobody wrote, then adds fresh ones in rounds, each of which is looked
//! up and then stored, as by a log. CPU is that of the whole process, until what the index does in the background is done.

mod index;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use kiln_sequencer::{Dedup, Known};
use kiln_tiles::Hash;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure the dedup index.
#[derive(Parser)]
struct Options {
    /// Where the index is, or is made.
    folder: PathBuf,
    /// How many leaves it has at least when measuring begins.
    #[arg(long, default_value_t = 0)]
    keys: u64,
    /// How many leaves are in a round.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 50_000])]
    rounds: Vec<u64>,
    /// How many leaves are added in rounds of each size.
    #[arg(long, default_value_t = 2_000_000)]
    leaves: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (dedup, opening) = (Dedup::on_disk(options.folder.clone()), Instant::now());
    let covered = dedup.covered()?.size();
    println!("opened with {covered} leaves in {:.0?}, {}", opening.elapsed(), usage(&options.folder)?);
    fill(&dedup, options.keys)?;
    println!("{} leaves, {}", dedup.covered()?.size(), usage(&options.folder)?);
    for &round in &options.rounds {
        add(&dedup, round, options.leaves)?;
    }
    find(&dedup, 10_000, options.leaves)?;
    println!("{} leaves, {}", dedup.covered()?.size(), usage(&options.folder)?);
    Ok(())
}

fn fill(dedup: &Dedup, keys: u64) -> Result<(), Box<dyn Error>> {
    let missing = keys.saturating_sub(dedup.covered()?.size());
    let cost = cost(missing, || Ok(index::fill(dedup, index::head(keys))?))?;
    if missing > 0 {
        println!("filled: {cost}");
    }
    Ok(())
}

/// Rounds of fresh leaves: none is found, all are stored.
fn add(dedup: &Dedup, round: u64, leaves: u64) -> Result<(), Box<dyn Error>> {
    let rounds = leaves.div_ceil(round);
    let cost = cost(rounds * round, || {
        for _ in 0..rounds {
            let first = dedup.covered()?.size();
            let fresh: Vec<Hash> = (first..first + round).map(index::leaf).collect();
            assert!(dedup.look_up(&fresh)?.iter().all(Option::is_none), "they are fresh");
            dedup.insert(&fresh, index::head(first + round), Known::None)?;
        }
        Ok(())
    })?;
    println!("round of {round} fresh leaves: {cost}");
    Ok(())
}

/// Rounds of leaves that the index has.
fn find(dedup: &Dedup, round: u64, leaves: u64) -> Result<(), Box<dyn Error>> {
    let covered = dedup.covered()?.size();
    let step = (covered / leaves).max(1);
    let indices: Vec<u64> = (0..covered / step).map(|n| n * step).collect();
    let cost = cost(indices.len() as u64, || {
        for some in indices.chunks(usize::try_from(round)?) {
            let known: Vec<Hash> = some.iter().copied().map(index::leaf).collect();
            let found = dedup.look_up(&known)?;
            assert!(found.iter().zip(some).all(|(found, index)| *found == Some(*index)), "all are found");
        }
        Ok(())
    })?;
    println!("round of {round} known leaves: {cost}");
    Ok(())
}

/// What each of `leaves` costs.
fn cost(leaves: u64, work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let (start, before) = (Instant::now(), index::cpu());
    work()?;
    let wall = start.elapsed();
    index::wait_until_idle();
    let (wall, cpu) = (each(wall, leaves), each(index::cpu().saturating_sub(before), leaves));
    Ok(format!("{wall:.0} ns a leaf, {cpu:.0} ns of CPU"))
}

#[allow(clippy::cast_precision_loss, reason = "printed with few digits")]
fn each(time: Duration, leaves: u64) -> f64 {
    time.as_nanos() as f64 / leaves.max(1) as f64
}

/// The memory of this process, and the size of the folder on disk.
fn usage(folder: &Path) -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(format!("memory {}, disk {} MiB", resident.trim(), size(folder)? >> 20))
}

fn size(folder: &Path) -> std::io::Result<u64> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            if entry.file_type()?.is_dir() { size(&entry.path()) } else { Ok(entry.metadata()?.len()) }
        })
        .sum()
}
