//! A dedup index of leaves that nobody wrote.

use std::time::Duration;

use kiln_sequencer::{Dedup, DedupError, Known};
use kiln_tiles::{Hash, TreeHead};
use rustix::time::{ClockId, clock_gettime};

/// The hash of the leaf at `index`: as random as a hash, and made in a few nanoseconds.
pub(crate) fn leaf(index: u64) -> Hash {
    let mut hash = [0; Hash::SIZE];
    for (word, part) in (4 * index..).zip(hash.chunks_exact_mut(8)) {
        part.copy_from_slice(&mixed(word).to_be_bytes());
    }
    Hash::from_bytes(hash)
}

/// The `n`th number of `SplitMix64`.
const fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// A tree of this size; what its root is the index does not care.
pub(crate) fn head(size: u64) -> TreeHead {
    TreeHead::new(size, leaf(0)).unwrap_or_else(TreeHead::empty)
}

/// As many leaves at once as a load adds when it catches up.
const CHUNK: u64 = 65_536;

/// Adds what the index lacks of a tree.
pub(crate) fn fill(dedup: &Dedup, tree: TreeHead) -> Result<(), DedupError> {
    let mut covered = dedup.covered()?.size();
    while covered < tree.size() {
        let end = tree.size().min(covered + CHUNK);
        let leaves: Vec<Hash> = (covered..end).map(leaf).collect();
        dedup.insert(&leaves, if end == tree.size() { tree } else { head(end) }, Known::None)?;
        covered = end;
    }
    Ok(())
}

/// What this process used so far, all of its threads together.
pub(crate) fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.try_into().expect("time is not negative")
}

/// Waits until what the index does in the background is done.
pub(crate) fn wait_until_idle() {
    const STEP: Duration = Duration::from_millis(200);
    loop {
        let before = cpu();
        std::thread::sleep(STEP);
        if cpu().saturating_sub(before) < STEP / 100 {
            return;
        }
    }
}
