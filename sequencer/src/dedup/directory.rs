//! What is in memory of a run. Its leaves are divided into *blocks* of neighbours, some tens in each. Leaves are
//! hashes, spread evenly, so that the first bits of one say in which block it is; and one line of the processor's
//! cache says where the records of a block begin and, by a Bloom filter, which leaves are not among them.
//!
//! Leaves that are asked for in their order visit the blocks in theirs.

use std::io::{Read, Write};
use std::ops::Range;

use kiln_tiles::Hash;
use xxhash_rust::xxh3::Xxh3;

use super::fault::Fault;

/// How many records a block has on average: 11 bits of filter for each, which let one look-up in a hundred
/// through.
const RECORDS: u64 = 40;

/// The same in small runs, of which there are more, so that more look-ups would read a page in vain: 18 bits, which let
/// one in a thousand through.
const FEW_RECORDS: u64 = 24;

/// How many records a small run has at most: its directory has 11 MiB.
const SMALL: u64 = 1 << 22;

/// The most blocks of a run: 256 MiB. In a run of more than 160 million leaves they are larger, and
/// more look-ups read a page in vain.
const MOST: u64 = 1 << 22;

/// The position of the first record; the filter.
type Block = [u64; 8];

const BLOCK: usize = size_of::<Block>();

/// The bits of the filter in a block.
const BITS: u32 = 7 * u64::BITS;

/// The blocks of a run.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Directory {
    blocks: Vec<Block>,
    records: u64,
}

/// How many blocks so many records have.
const fn blocks(records: u64) -> u64 {
    let blocks = records.div_ceil(if records <= SMALL { FEW_RECORDS } else { RECORDS });
    if blocks > MOST { MOST } else { blocks }
}

/// How many bytes the directory of so many records has.
pub(super) const fn length(records: u64) -> u64 {
    blocks(records) * BLOCK as u64
}

impl Directory {
    /// Reads what [`write`](Self::write) wrote; what follows stays unread.
    pub(super) fn read(from: &mut impl Read, records: u64, checksum: u64) -> Result<Self, Fault> {
        let count = usize::try_from(blocks(records)).map_err(|_| Fault::Absurd)?;
        let (mut blocks, mut hasher, mut bytes) = (Vec::with_capacity(count), Xxh3::new(), [0; BLOCK]);
        for _ in 0..count {
            from.read_exact(&mut bytes)?;
            hasher.update(&bytes);
            blocks.push(from_bytes(&bytes));
        }
        if hasher.digest() == checksum { Ok(Self { blocks, records }) } else { Err(Fault::Checksum) }
    }

    /// Writes it, and returns its checksum.
    pub(super) fn write(&self, to: &mut impl Write) -> Result<u64, Fault> {
        let mut hasher = Xxh3::new();
        for block in &self.blocks {
            let bytes = to_bytes(block);
            hasher.update(&bytes);
            to.write_all(&bytes)?;
        }
        Ok(hasher.digest())
    }

    /// The number of records.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// The positions among which the leaf of a probe has its record, if it has one.
    pub(super) fn find(&self, probe: &Probe) -> Option<Range<u64>> {
        let number = probe.block(self.blocks.len());
        let block = self.blocks.get(number)?;
        // All words, whatever the first ones say: that is quicker than a branch that nobody can foresee.
        let missing =
            block[1..].iter().zip(&probe.filter).fold(0, |missing, (has, bits)| missing | (bits & !has));
        let may_be = missing == 0;
        let end = || self.blocks.get(number + 1).map_or(self.records, |next| next[0]);
        may_be.then(|| block[0]..end())
    }
}

fn from_bytes(bytes: &[u8; BLOCK]) -> Block {
    let mut words = bytes.as_chunks().0.iter();
    std::array::from_fn(|_| u64::from_le_bytes(*words.next().expect("eight words")))
}

fn to_bytes(block: &Block) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    bytes.as_chunks_mut().0.iter_mut().zip(block).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    bytes
}

/// What a directory is asked of a leaf: made once, for all runs.
#[derive(Debug)]
pub(super) struct Probe {
    /// The first 64 bits of the hash, taken as a fraction: where among the blocks that of the leaf is.
    fraction: u64,
    /// The bits of the leaf in the filter of that block.
    filter: [u64; 7],
}

impl Probe {
    pub(super) fn of(leaf: &Hash) -> Self {
        let mut filter = [0; 7];
        // Six bits, by the next bytes of the hash.
        for bytes in leaf.as_bytes()[8..20].as_chunks().0 {
            let bit = (u32::from(u16::from_le_bytes(*bytes)) * BITS) >> u16::BITS;
            filter[(bit / u64::BITS) as usize] |= 1 << (bit % u64::BITS);
        }
        Self { fraction: fraction(leaf), filter }
    }

    fn block(&self, blocks: usize) -> usize {
        let number = (u128::from(self.fraction) * blocks as u128) >> u64::BITS;
        usize::try_from(number).expect("it is less than the blocks")
    }
}

/// The first bits of a leaf: those of two leaves are in the order of the leaves, and seldom the same.
pub(super) fn fraction(leaf: &Hash) -> u64 {
    u64::from_be_bytes(*leaf.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// Makes a directory, while its records are written in the order of their leaves.
#[derive(Debug)]
pub(super) struct Builder {
    directory: Directory,
    /// How many blocks know where they begin.
    begun: usize,
}

impl Builder {
    pub(super) fn new(records: u64) -> Self {
        let count = usize::try_from(blocks(records)).expect("at most four million");
        Self { directory: Directory { blocks: vec![[0; 8]; count], records }, begun: 0 }
    }

    /// The next leaf, whose record is at `position`.
    pub(super) fn push(&mut self, leaf: &Hash, position: u64) {
        let probe = Probe::of(leaf);
        let number = probe.block(self.directory.blocks.len());
        self.begin(number + 1, position);
        let filter = &mut self.directory.blocks[number][1..];
        filter.iter_mut().zip(probe.filter).for_each(|(filter, bits)| *filter |= bits);
    }

    /// Says that the next blocks, up to the one of number `end`, begin here.
    fn begin(&mut self, end: usize, position: u64) {
        while self.begun < end {
            self.directory.blocks[self.begun][0] = position;
            self.begun += 1;
        }
    }

    pub(super) fn finish(mut self) -> Directory {
        self.begin(self.directory.blocks.len(), self.directory.records);
        self.directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> Hash {
        Hash::leaf(&n.to_be_bytes())
    }

    fn directory(records: u64) -> (Vec<Hash>, Directory) {
        let mut leaves: Vec<Hash> = (0..records).map(leaf).collect();
        leaves.sort_unstable();
        let mut builder = Builder::new(records);
        leaves.iter().zip(0..).for_each(|(leaf, position)| builder.push(leaf, position));
        (leaves, builder.finish())
    }

    #[test]
    fn each_leaf_is_where_it_is_looked_for_and_few_others_are() {
        for records in [0, 1, 47, 49, 20_000] {
            let (leaves, directory) = directory(records);
            for (leaf, position) in leaves.iter().zip(0..) {
                assert!(directory.find(&Probe::of(leaf)).unwrap().contains(&position));
            }
            let in_vain = (records..records + 20_000)
                .filter(|&n| directory.find(&Probe::of(&leaf(n))).is_some())
                .count();
            assert!(in_vain < 60, "{in_vain} of 20,000 look-ups, with {records} leaves");
        }
    }

    #[test]
    fn a_directory_is_read_as_it_was_written_and_not_otherwise() {
        let (_, directory) = directory(1_000);
        let mut bytes = Vec::new();
        let checksum = directory.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length(1_000));
        assert_eq!(Directory::read(&mut &bytes[..], 1_000, checksum).unwrap(), directory);
        assert!(Directory::read(&mut &bytes[..999], 1_000, checksum).is_err());
        bytes[500] ^= 1;
        assert!(matches!(Directory::read(&mut &bytes[..], 1_000, checksum), Err(Fault::Checksum)));
    }

    #[test]
    fn a_directory_does_not_grow_beyond_a_quarter_of_a_gibibyte() {
        assert_eq!(length(100_000_000), 160_000_000);
        assert_eq!(length(1_000_000_000), 256 << 20);
        assert_eq!(length(u64::MAX / 2), 256 << 20);
    }
}
