//! What is said between a log and a mirror, beyond what it says to a witness: [add-entries] of tlog-mirror.
//!
//! ```text
//! u16, origin        the log
//! u64 start, u64 end which entries; `end` is the size of a pending checkpoint
//! u16, ticket        what the mirror said before, or nothing
//! packages           of the entries in each block of 256: u16 and bytes each; u8 and so many hashes of a proof
//! ```
//!
//! [add-entries]: https://c2sp.org/tlog-mirror#add-entries

use core::fmt;
use core::ops::Range;
use core::str::FromStr;

use crate::bundle::split_entry;
use crate::hash::Hash;
use crate::proof::{Proof, ProofError};
use crate::text::{self, MAX_TREE_SIZE};
use crate::tile::HashTile;
use crate::tree::{Subtree, TILE_WIDTH, TreeHead};

/// The most hashes of the proof of a package.
const MAX_PROOF_HASHES: usize = 63;

/// How many packages a request to `add-entries` [should have at most](https://c2sp.org/tlog-mirror#implementation-considerations).
pub const MAX_PACKAGES: usize = 32;

/// The media type of a [`MirrorInfo`].
pub const MIRROR_INFO_MEDIA_TYPE: &str = "text/x.tlog.mirror-info";

/// Why bytes are none of what a log and a mirror say to each other: the first rule that they break.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseMirrorError {
    /// The origin is empty, or not UTF-8: no log has it.
    #[error("the origin is empty, or not UTF-8")]
    Origin,
    /// The end of the upload is no tree size.
    #[error("upload_end is above 2^63 - 1")]
    End,
    /// The upload ends before it starts.
    #[error("upload_start is above upload_end")]
    Start,
    /// The proof of a package has more hashes than any tree allows.
    #[error("the proof of a package has more than {MAX_PROOF_HASHES} hashes")]
    TooManyHashes,
    /// The answer is not three lines.
    #[error("the answer is not three lines, each with a newline at its end")]
    Lines,
    /// The first line of the answer.
    #[error("line 1 of the answer is not a tree size in canonical decimal")]
    Size,
    /// The second line of the answer.
    #[error("line 2 of the answer is not the index of an entry in canonical decimal")]
    Next,
    /// The third line of the answer.
    #[error("line 3 of the answer is not a ticket of at most 65,535 bytes in canonical base64")]
    Ticket,
}

/// How a request to `add-entries` begins: which entries are uploaded, up to which tree. The packages follow.
///
/// It was only read: nobody knows whether the mirror has such a log or checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddEntries {
    origin: String,  // 1..=65535 bytes
    start: u64,      // ..=end
    end: u64,        // ..=MAX_TREE_SIZE
    ticket: Vec<u8>, // ..=65535 bytes
}

impl AddEntries {
    /// The request for these entries of a log; `None` where no request can say so.
    #[must_use]
    pub fn new(origin: &str, entries: Range<u64>, ticket: Vec<u8>) -> Option<Self> {
        let most = usize::from(u16::MAX);
        let valid = (1..=most).contains(&origin.len()) && ticket.len() <= most;
        let ranged = entries.start <= entries.end && entries.end <= MAX_TREE_SIZE;
        let Range { start, end } = entries;
        (valid && ranged).then(|| Self { origin: origin.to_owned(), start, end, ticket })
    }

    /// Reads the beginning of a request, and returns what follows it; `None` while it is not all there.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn split(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, ParseMirrorError> {
        use ParseMirrorError as E;
        let Some((origin, start, end, ticket, rest)) = split_header(bytes) else { return Ok(None) };
        let origin = str::from_utf8(origin).ok().filter(|origin| !origin.is_empty()).ok_or(E::Origin)?;
        if end > MAX_TREE_SIZE {
            return Err(E::End);
        }
        let whole = Self::new(origin, start..end, ticket.to_vec()).ok_or(E::Start)?;
        Ok(Some((whole, rest)))
    }

    /// The origin of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The index of the first entry that is uploaded.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The size of the tree that the upload leads to.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// What the mirror said before, or nothing.
    #[must_use]
    pub fn ticket(&self) -> &[u8] {
        &self.ticket
    }

    /// The canonical sequence of packages.
    pub fn packages(&self) -> impl Iterator<Item = PackageSpan> + use<> {
        let Self { start, end, .. } = *self;
        let spans = (start / TILE_WIDTH..end.div_ceil(TILE_WIDTH)).filter(move |_| start < end);
        spans.map(move |block| {
            let block = block * TILE_WIDTH;
            PackageSpan { block, start: block.max(start), end: end.min(block.saturating_add(TILE_WIDTH)) }
        })
    }

    /// The bytes of the beginning, the inverse of [`split`](Self::split).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.origin.len() + self.ticket.len());
        push_short(&mut bytes, self.origin.as_bytes());
        bytes.extend_from_slice(&self.start.to_be_bytes());
        bytes.extend_from_slice(&self.end.to_be_bytes());
        push_short(&mut bytes, &self.ticket);
        bytes
    }
}

/// Origin, start, end, ticket, and what follows.
type Parts<'a> = (&'a [u8], u64, u64, &'a [u8], &'a [u8]);

fn split_header(bytes: &[u8]) -> Option<Parts<'_>> {
    let (origin, rest) = split_entry(bytes)?;
    let (start, rest) = rest.split_first_chunk()?;
    let (end, rest) = rest.split_first_chunk()?;
    let (ticket, rest) = split_entry(rest)?;
    Some((origin, u64::from_be_bytes(*start), u64::from_be_bytes(*end), ticket, rest))
}

fn push_short(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("what is too long is refused where it is made");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
}

/// Which entries a package has, and of which subtree its proof is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PackageSpan {
    block: u64, // a multiple of 256
    start: u64, // block..end
    end: u64,   // start + 1..=block + 256
}

impl PackageSpan {
    /// The index of the first entry.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The index after the last entry.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// The subtree that the proof is of: from the beginning of the block on.
    #[must_use]
    pub fn subtree(self) -> Subtree {
        Subtree::new(self.block, self.end).expect("at most 256 leaves from a multiple of 256 on")
    }

    /// Which leaves of the subtree stand before the package.
    #[must_use]
    pub const fn before(self) -> Range<u64> {
        self.block..self.start
    }
}

/// Entries of one block, and the proof that they are part of a tree. It was only read, nothing is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryPackage<'a> {
    span: PackageSpan,
    framed: &'a [u8],
    entries: Vec<&'a [u8]>,
    proof: Proof,
}

impl<'a> EntryPackage<'a> {
    /// Reads the package of these entries, and returns what follows it; `None` while it is not all there.
    ///
    /// # Errors
    /// [`ParseMirrorError::TooManyHashes`].
    pub fn split(span: PackageSpan, bytes: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, ParseMirrorError> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        for _ in span.start..span.end {
            let Some((entry, after)) = split_entry(rest) else { return Ok(None) };
            entries.push(entry);
            rest = after;
        }
        let framed = &bytes[..bytes.len() - rest.len()];
        let Some((&hashes, rest)) = rest.split_first() else { return Ok(None) };
        let hashes = usize::from(hashes);
        if hashes > MAX_PROOF_HASHES {
            return Err(ParseMirrorError::TooManyHashes);
        }
        let Some((proof, rest)) = rest.split_at_checked(hashes * Hash::SIZE) else { return Ok(None) };
        let (proof, _) = proof.as_chunks::<{ Hash::SIZE }>();
        let proof = proof.iter().map(|hash| Hash::from_bytes(*hash)).collect();
        let proof = Proof::from_hashes(proof).ok_or(ParseMirrorError::TooManyHashes)?;
        Ok(Some((Self { span, framed, entries, proof }, rest)))
    }

    /// Which entries it has.
    #[must_use]
    pub const fn span(&self) -> PackageSpan {
        self.span
    }

    /// The entries, each behind its length: as they stand in a bundle.
    #[must_use]
    pub const fn framed(&self) -> &'a [u8] {
        self.framed
    }

    /// Verifies that the entries are those of `tree` in this place, whose leaves [before](PackageSpan::before) the
    /// package are these. Returns the leaf hashes of the entries.
    ///
    /// # Errors
    /// Where they are not, or the proof does not show it.
    pub fn verify(&self, before: &[Hash], tree: TreeHead) -> Result<Vec<Hash>, ProofError> {
        let own = Hash::leaves(self.entries.iter().copied());
        let (subtree, block) = (self.span.subtree(), self.span.block / TILE_WIDTH);
        let leaves = HashTile::from_hashes(0, block, [before, &own].concat());
        let hash = leaves.and_then(|leaves| subtree.hash(|node| leaves.node(node)));
        self.proof.verify(subtree, hash.ok_or(ProofError::Outside)?, tree)?;
        Ok(own)
    }
}

/// Appends a package: entries as they stand in a bundle, and their proof. `None` where the proof has more hashes than
/// a package may have; nothing is appended then.
#[must_use]
pub fn push_package(bytes: &mut Vec<u8>, framed: &[u8], proof: &Proof) -> Option<()> {
    let hashes = u8::try_from(proof.hashes().len()).ok().filter(|&n| usize::from(n) <= MAX_PROOF_HASHES)?;
    bytes.extend_from_slice(framed);
    bytes.push(hashes);
    proof.hashes().iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
    Some(())
}

/// What a mirror answers that has not all entries yet, or was sent others than it expects: where to go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorInfo {
    size: u64,
    next: u64,
    ticket: Vec<u8>,
}

impl MirrorInfo {
    /// The answer; `None` where no answer can say so.
    #[must_use]
    pub fn new(size: u64, next: u64, ticket: Vec<u8>) -> Option<Self> {
        let valid = size <= MAX_TREE_SIZE && next <= MAX_TREE_SIZE && ticket.len() <= usize::from(u16::MAX);
        valid.then_some(Self { size, next, ticket })
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(answer: &[u8]) -> Result<Self, ParseMirrorError> {
        str::from_utf8(answer).map_err(|_| ParseMirrorError::Lines)?.parse()
    }

    /// The size of a pending checkpoint that may be uploaded to.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The index of the first entry that the mirror has not.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// What to send with the next request.
    #[must_use]
    pub fn ticket(&self) -> &[u8] {
        &self.ticket
    }
}

impl FromStr for MirrorInfo {
    type Err = ParseMirrorError;

    fn from_str(answer: &str) -> Result<Self, ParseMirrorError> {
        use ParseMirrorError as E;
        let lines = answer.strip_suffix('\n').ok_or(E::Lines)?;
        let lines: Vec<&str> = lines.splitn(4, '\n').collect();
        let &[size, next, ticket] = &lines[..] else { return Err(E::Lines) };
        let size = text::parse_decimal(size).ok_or(E::Size)?;
        let next = text::parse_decimal(next).ok_or(E::Next)?;
        let ticket = text::parse_base64(ticket).ok_or(E::Ticket)?;
        Self::new(size, next, ticket).ok_or(E::Ticket)
    }
}

/// Writes the body of the answer.
impl fmt::Display for MirrorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.size, self.next, text::to_base64(&self.ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::push_entry;
    use crate::edge::RightEdge;
    use crate::tree::Node;
    use crate::verified::VerifiedTiles;

    fn spans(entries: Range<u64>) -> Vec<(u64, u64, u64)> {
        let header = AddEntries::new("example.com/log", entries, Vec::new()).unwrap();
        header.packages().map(|span| (span.block, span.start, span.end)).collect()
    }

    #[test]
    fn packages_end_where_bundles_do() {
        assert_eq!(spans(0..0), []);
        assert_eq!(spans(300..300), [], "also within a block");
        assert_eq!(spans(0..1), [(0, 0, 1)]);
        assert_eq!(spans(10..600), [(0, 10, 256), (256, 256, 512), (512, 512, 600)]);
        assert_eq!(spans(256..512), [(256, 256, 512)]);
        assert_eq!(spans(MAX_TREE_SIZE - 1..MAX_TREE_SIZE).len(), 1);
    }

    #[test]
    fn a_beginning_reads_what_it_wrote_and_waits_for_all_of_it() {
        let header = AddEntries::new("example.com/log", 3..70_000, b"ticket".to_vec()).unwrap();
        let bytes = header.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(AddEntries::split(&bytes[..end]), Ok(None), "{end} bytes");
        }
        let more = [&bytes[..], b"more"].concat();
        assert_eq!(AddEntries::split(&more), Ok(Some((header, &b"more"[..]))));
    }

    #[test]
    fn each_rule_of_the_beginning_has_its_error() {
        use ParseMirrorError as E;
        let of = |origin: &[u8], start: u64, end: u64| {
            let mut bytes = Vec::new();
            push_short(&mut bytes, origin);
            bytes.extend([start.to_be_bytes(), end.to_be_bytes()].concat());
            bytes.extend([0, 0]);
            AddEntries::split(&bytes).map(|whole| whole.is_some())
        };
        assert_eq!(of(b"a", 1, 1), Ok(true));
        assert_eq!(of(b"", 0, 1), Err(E::Origin));
        assert_eq!(of(b"\xff", 0, 1), Err(E::Origin));
        assert_eq!(of(b"a", 2, 1), Err(E::Start));
        assert_eq!(of(b"a", 0, 1 << 63), Err(E::End));
        assert_eq!(of(b"a", u64::MAX, u64::MAX), Err(E::End));
        assert_eq!(AddEntries::new("", 0..1, Vec::new()), None);
        assert_eq!(AddEntries::new("a", 0..1, vec![0; 65_536]), None);
    }

    /// A log of `SIZE` entries, which are numbers.
    struct TestLog {
        edge: RightEdge,
        tiles: VerifiedTiles,
    }

    const SIZE: u64 = 700;

    impl TestLog {
        fn new() -> Self {
            let mut edge = RightEdge::empty();
            let tiles = edge.append((0..SIZE).map(leaf));
            let mut verified = VerifiedTiles::new(&edge);
            for tile in tiles.into_iter().filter(|tile| tile.coord().is_full()) {
                verified.insert(tile).unwrap();
            }
            Self { edge, tiles: verified }
        }

        fn package(&self, span: PackageSpan) -> Vec<u8> {
            let mut framed = Vec::new();
            (span.start..span.end).for_each(|i| push_entry(&mut framed, &i.to_be_bytes()).unwrap());
            let proof = Proof::make(span.subtree(), SIZE, |node: Node| self.tiles.node(node)).unwrap();
            let mut bytes = Vec::new();
            push_package(&mut bytes, &framed, &proof).unwrap();
            bytes
        }
    }

    fn leaf(index: u64) -> Hash {
        Hash::leaf(&index.to_be_bytes())
    }

    #[test]
    fn a_package_verifies_in_its_place_and_nowhere_else() {
        let log = TestLog::new();
        let request = AddEntries::new("a", 10..SIZE, Vec::new()).unwrap();
        let spans: Vec<_> = request.packages().collect();
        for (i, &span) in spans.iter().enumerate() {
            let bytes = log.package(span);
            for end in [0, 1, 2, 50, bytes.len() - 1] {
                assert_eq!(EntryPackage::split(span, &bytes[..end]), Ok(None), "{end} bytes");
            }
            let more = [&bytes[..], b"more"].concat();
            let (package, rest) = EntryPackage::split(span, &more).unwrap().unwrap();
            assert_eq!(rest, b"more");
            let before: Vec<Hash> = span.before().map(leaf).collect();
            let leaves = package.verify(&before, log.edge.head()).unwrap();
            assert_eq!(leaves, (span.start..span.end).map(leaf).collect::<Vec<_>>());
            // Another past of the block, another tree, another place.
            if let Some((_, fewer)) = before.split_first() {
                assert!(package.verify(fewer, log.edge.head()).is_err());
            }
            let other = TreeHead::new(SIZE, leaf(0)).unwrap();
            assert!(package.verify(&before, other).is_err());
            let elsewhere = spans[(i + 1) % spans.len()];
            if let Ok(Some((package, _))) = EntryPackage::split(elsewhere, &more) {
                let before: Vec<Hash> = elsewhere.before().map(leaf).collect();
                assert!(package.verify(&before, log.edge.head()).is_err());
            }
        }
    }

    #[test]
    fn a_bit_changed_anywhere_in_a_package_is_noticed() {
        let log = TestLog::new();
        let span = AddEntries::new("a", 0..SIZE, Vec::new()).unwrap().packages().nth(2).unwrap();
        let bytes = log.package(span);
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            let Ok(Some((package, _))) = EntryPackage::split(span, &changed) else { continue };
            assert!(package.verify(&[], log.edge.head()).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_proof_has_at_most_63_hashes() {
        let span = AddEntries::new("a", 0..1, Vec::new()).unwrap().packages().next().unwrap();
        for (hashes, expected) in [(63, Ok(true)), (64, Err(ParseMirrorError::TooManyHashes))] {
            let bytes = [&[0, 1, b'x', hashes][..], &[7; 64 * 32]].concat();
            assert_eq!(EntryPackage::split(span, &bytes).map(|whole| whole.is_some()), expected);
        }
        let proof = |hashes| Proof::from_hashes(vec![leaf(0); hashes]).unwrap();
        assert!(push_package(&mut Vec::new(), b"", &proof(63)).is_some());
        assert!(push_package(&mut Vec::new(), b"", &proof(64)).is_none());
    }

    #[test]
    fn answers_read_what_they_print() {
        for info in [MirrorInfo::new(12, 5, b"ticket".to_vec()), MirrorInfo::new(0, 0, Vec::new())] {
            let info = info.unwrap();
            assert_eq!(MirrorInfo::parse(info.to_string().as_bytes()), Ok(info));
        }
        use ParseMirrorError as E;
        for (bad, error) in [
            (&b""[..], E::Lines),
            (b"12\n5\n", E::Lines),
            (b"12\n5\nAQ==", E::Lines),
            (b"12\n5\nAQ==\n\n", E::Lines),
            (b"\xff\n5\n\n", E::Lines),
            (b"012\n5\n\n", E::Size),
            (b"12\r\n5\n\n", E::Size),
            (b"12\n+5\n\n", E::Next),
            (b"12\n9223372036854775808\n\n", E::Next),
            (b"12\n5\nAR==\n", E::Ticket),
            (b"12\n5\nAQ\n", E::Ticket),
        ] {
            assert_eq!(MirrorInfo::parse(bad), Err(error), "{bad:?}");
        }
        let long = format!("1\n0\n{}\n", text::to_base64(&[0; 65_536]));
        assert_eq!(long.parse::<MirrorInfo>(), Err(E::Ticket));
    }
}
