//! A conversation with one mirror: [tlog-mirror] from the log's side.
//!
//! [tlog-mirror]: https://c2sp.org/tlog-mirror#updating-a-mirror

use std::sync::Arc;

use kiln_storage::{Register, Store};
use kiln_tiles::{
    AddCheckpoint, AddEntries, BundleCoord, Cosignatures, MAX_PACKAGES, MirrorInfo, Node, NoteSignature,
    PackageSpan, ParseMirrorError, ParseWitnessError, Proof, SignedCheckpoint, Subtree, TILE_WIDTH, TreeHead,
    VerifiedTiles, parse_size, push_entry, push_package, split_entries,
};

use super::Mirror;
use crate::log::Log;
use crate::read::{self, ReadError, Tiles};
use crate::witnesses::{WitnessAnswer, WitnessError, first_line};

/// How often `add-checkpoint` is sent: with the size that is remembered, with the one that the mirror says it has, and
/// once more should that have changed meanwhile.
const TRIES: usize = 3;

/// How often `add-entries` may lead nowhere: the mirror says where to go on, and that is no further than it was.
const STANDSTILLS: usize = 4;

/// How often a mirror may name another tree to go on to.
const OTHER_TREES: usize = 3;

/// A request has no further package from so many bytes on.
const ENOUGH: usize = 4 << 20;

/// Why a checkpoint was not mirrored.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it does not answer: {0}")]
    Unreachable(#[source] WitnessError),
    #[error("it answers {0} with {1}{2}")]
    Refused(&'static str, u16, String),
    #[error("it answers 409 whatever size it is sent; it said {0} last")]
    Conflict(u64),
    #[error("it wants entries from {next} on up to {size}, time and again")]
    Standstill { next: u64, size: u64 },
    #[error("it knows a tree of size {theirs}, and this one has {ours}")]
    Overtaken { theirs: u64, ours: u64 },
    #[error(transparent)]
    MalformedLines(#[from] ParseWitnessError),
    #[error(transparent)]
    MalformedInfo(#[from] ParseMirrorError),
    #[error("it answers with no cosignature by a key that it is known by")]
    OtherKey,
    #[error("its cosignature is wrong")]
    Signature,
    #[error("what it is to be sent cannot be read: {0}")]
    Read(#[from] ReadError),
}

impl Fault {
    /// What it is called in metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused(..) => "refused",
            Self::Conflict(_) => "conflict",
            Self::Standstill { .. } => "standstill",
            Self::Overtaken { .. } => "ahead",
            Self::MalformedLines(_) | Self::MalformedInfo(_) => "malformed",
            Self::OtherKey => "other_key",
            Self::Signature => "bad_signature",
            Self::Read(_) => "unreadable",
        }
    }
}

/// What is remembered of a mirror from one push to the next.
#[derive(Debug, Default)]
pub(super) struct Push {
    /// The size of its pending checkpoint, if it said so.
    pending: Option<u64>,
    /// Its next entry, if it said so.
    next: Option<u64>,
}

/// Where an upload goes on.
struct Cursor {
    next: u64,
    size: u64,
    ticket: Vec<u8>,
}

/// How an upload goes. Where a mirror is led in circles, or leads in circles, it comes to an end.
#[derive(Default)]
struct Course {
    /// The furthest next entry that the mirror named.
    furthest: Option<u64>,
    standstills: usize,
    other_trees: usize,
}

impl Course {
    /// Whether an answer leads on, or one like it may still be borne; the upload was one to `size`.
    fn leads_on(&mut self, info: &MirrorInfo, size: u64) -> bool {
        self.other_trees += usize::from(info.size() != size);
        // Where it is it may say once without having got anything.
        if self.furthest.is_none_or(|furthest| furthest < info.next()) {
            self.furthest = Some(info.next());
        } else {
            self.standstills += 1;
        }
        self.standstills < STANDSTILLS && self.other_trees <= OTHER_TREES
    }
}

impl Push {
    /// Brings the mirror up to a published checkpoint. Returns its lines under that, which are verified.
    pub(super) async fn push<S: Store, G: Register>(
        &mut self,
        mirror: &Mirror,
        log: &Arc<Log<S, G>>,
        published: &SignedCheckpoint,
    ) -> Result<Vec<NoteSignature>, Fault> {
        let pushed = self.try_push(mirror, log, published).await;
        if pushed.is_err() {
            // Whatever it said before is asked for anew.
            *self = Self::default();
        }
        pushed
    }

    async fn try_push<S: Store, G: Register>(
        &mut self,
        mirror: &Mirror,
        log: &Arc<Log<S, G>>,
        published: &SignedCheckpoint,
    ) -> Result<Vec<NoteSignature>, Fault> {
        self.pend(mirror, log, published).await?;
        let (head, mut course) = (published.head(), Course::default());
        // A mirror that was never asked says where it is when it is sent nothing.
        let next = self.next.unwrap_or(head.size()).min(head.size());
        let mut cursor = Cursor { next, size: head.size(), ticket: Vec::new() };
        loop {
            let body = request(log, head, &cursor).await?;
            let answer = mirror.client.add_entries(body.into()).await.map_err(Fault::Unreachable)?;
            let info = match answer.status {
                200 if cursor.size == head.size() => {
                    self.next = Some(head.size());
                    return verified(mirror, published, &answer);
                }
                // An older checkpoint is mirrored now: on to the newest.
                200 => MirrorInfo::new(head.size(), cursor.size, Vec::new()).ok_or(Fault::OtherKey)?,
                202 | 409 => MirrorInfo::parse(&answer.body)?,
                status => return Err(Fault::Refused("add-entries", status, first_line(&answer.body))),
            };
            if info.size() > head.size() {
                return Err(Fault::Overtaken { theirs: info.size(), ours: head.size() });
            }
            if !course.leads_on(&info, cursor.size) {
                return Err(Fault::Standstill { next: info.next(), size: info.size() });
            }
            self.next = Some(info.next());
            let (next, size) = (info.next().min(info.size()), info.size());
            cursor = Cursor { next, size, ticket: info.ticket().to_vec() };
        }
    }

    /// Makes the checkpoint the pending one, as it is shown to a witness.
    async fn pend<S: Store, G: Register>(
        &mut self,
        mirror: &Mirror,
        log: &Arc<Log<S, G>>,
        published: &SignedCheckpoint,
    ) -> Result<(), Fault> {
        let head = published.head();
        let mut said = 0;
        for _ in 0..TRIES {
            let old = self.pending.unwrap_or(0);
            let proof = consistency(log, old, head).await?;
            let request = AddCheckpoint { old, proof, checkpoint: published.note().clone() };
            let answer = mirror.client.add_checkpoint(request.to_string()).await;
            let answer = answer.map_err(Fault::Unreachable)?;
            match answer.status {
                200 => {
                    self.pending = Some(head.size());
                    return Ok(());
                }
                409 => said = parse_size(&answer.body)?,
                status => return Err(Fault::Refused("add-checkpoint", status, first_line(&answer.body))),
            }
            if said > head.size() {
                return Err(Fault::Overtaken { theirs: said, ours: head.size() });
            }
            self.pending = Some(said);
        }
        Err(Fault::Conflict(said))
    }
}

/// The lines by keys of the mirror, each of which must verify.
fn verified(
    mirror: &Mirror,
    published: &SignedCheckpoint,
    answer: &WitnessAnswer,
) -> Result<Vec<NoteSignature>, Fault> {
    let (answer, text) = (Cosignatures::parse(&answer.body)?, published.note().unverified_text());
    let mut lines = Vec::new();
    for key in &mirror.keys {
        let Some(line) = answer.lines().iter().find(|line| line.is_by(key)) else { continue };
        if !key.verify(text, line.signature()) || key.time_of(line).is_none_or(|time| time == 0) {
            return Err(Fault::Signature);
        }
        lines.push(line.clone());
    }
    if lines.is_empty() { Err(Fault::OtherKey) } else { Ok(lines) }
}

/// The proof that the tree extends the one of size `old`.
async fn consistency<S: Store, G: Register>(
    log: &Log<S, G>,
    old: u64,
    head: TreeHead,
) -> Result<Proof, ReadError> {
    let Some(earlier) = Subtree::whole(old) else { return Ok(Proof::default()) };
    let nodes = nodes_of(earlier, head.size());
    let tiles = read::load_verified(Tiles::new(log.store(), head), head, nodes).await?;
    Ok(Proof::make(earlier, head.size(), |node| tiles.node(node)).unwrap_or_default())
}

/// The nodes of the proof of a subtree; none where the tree does not have it.
fn nodes_of(subtree: Subtree, size: u64) -> Vec<Node> {
    let parts = Proof::parts(subtree, size).unwrap_or_default();
    parts.into_iter().flat_map(Subtree::nodes).collect()
}

/// The next request of an upload: as many packages as one has, from a tree that `head` extends or is.
async fn request<S: Store, G: Register>(
    log: &Log<S, G>,
    head: TreeHead,
    cursor: &Cursor,
) -> Result<Vec<u8>, ReadError> {
    let Cursor { next, size, ticket } = cursor;
    let header = AddEntries::new(log.trusted().origin(), *next..*size, ticket.clone());
    let header = header.expect("it begins before its end, and a key name is an origin");
    let spans: Vec<PackageSpan> = header.packages().take(MAX_PACKAGES).collect();
    let mut body = header.to_bytes();
    if spans.is_empty() {
        return Ok(body);
    }
    let tiles = Tiles::new(log.store(), head);
    let tree = tree_of(tiles, head, *size).await?;
    let nodes = spans.iter().flat_map(|span| nodes_of(span.subtree(), *size));
    let verified = read::load_verified(tiles, tree, nodes).await?;
    let begins = body.len();
    for span in spans {
        if body.len() - begins >= ENOUGH {
            break;
        }
        push(&mut body, tiles, &verified, span).await?;
    }
    Ok(body)
}

/// The tree of an earlier size.
async fn tree_of<S: Store>(tiles: Tiles<'_, S>, head: TreeHead, size: u64) -> Result<TreeHead, ReadError> {
    if size == head.size() {
        return Ok(head);
    }
    let root = read::load_root_at(tiles, head, size).await?;
    Ok(TreeHead::new(size, root).expect("a root that was computed for this size"))
}

/// Appends a package: its entries, as they verify by the tile beside them, and its proof.
async fn push<S: Store>(
    body: &mut Vec<u8>,
    tiles: Tiles<'_, S>,
    tree: &VerifiedTiles,
    span: PackageSpan,
) -> Result<(), ReadError> {
    let bundle = BundleCoord::holding(span.end() - 1, span.end()).expect("the last entry is in a bundle");
    let framed = read::load_bundle(tiles, bundle).await?;
    let skipped = usize::try_from(span.start() % TILE_WIDTH).expect("less than 256");
    let mut entries = Vec::with_capacity(framed.len());
    for entry in split_entries(&framed).skip(skipped) {
        push_entry(&mut entries, entry.expect("it was verified")).expect("it was read with its length");
    }
    let proof = Proof::make(span.subtree(), tree.head().size(), |node| tree.node(node));
    let proof = proof.expect("every tile for it was read");
    push_package(body, &entries, &proof).expect("no tree is so high");
    Ok(())
}
