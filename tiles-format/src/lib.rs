//! The formats of tile-based transparency logs, as the [C2SP] specifications define them: pure, strict
//! and small enough to read in an afternoon. No clock, no network, no async; it builds for WebAssembly.
//!
//! | module | holds | specification |
//! |---|---|---|
//! | [`struct@Hash`] | leaf, node and root hashes | [RFC 6962] |
//! | [`TreeHead`], [`Node`], [`Subtree`] | the shape of a tree | [RFC 6962], [subtrees] |
//! | [`TileCoord`], [`HashTile`] | Merkle tiles and their paths | [tlog-tiles] |
//! | [`BundleCoord`], [`EntryBundle`] | entries and their paths | [tlog-tiles] |
//! | [`RightEdge`] | grows a tree by batches | |
//! | [`VerifiedTiles`] | tiles that a root hash vouches for | |
//! | [`Proof`] | inclusion, consistency and subtree proofs | [RFC 6962], [subtrees] |
//! | [`Note`], [`VerifierKey`], [`SigningKey`] | signed text | [signed-note] |
//! | [`Checkpoint`], [`TrustedLog`], [`SignedCheckpoint`] | a log's signed head | [tlog-checkpoint] |
//! | [`EndOfLog`], [`SignedEnd`] | a log's signed end, and its successor | |
//! | [`Cosigner`] | what a witness says of a checkpoint, and when | [tlog-cosignature] |
//! | [`Policy`], [`Quorum`] | which logs and witnesses count | [tlog-policy] |
//! | [`AddCheckpoint`], [`SignSubtree`] | what a witness is asked | [tlog-witness] |
//! | [`AddEntries`], [`EntryPackage`], [`MirrorInfo`] | what a mirror is sent, and answers | [tlog-mirror] |
//! | [`TlogProof`] | a proof that travels | [tlog-proof] |
//!
//! Every text has one spelling: what is parsed is printed and compared. Every parser is bounded, and
//! has one error for each rule of its specification. What was read is only bytes until something
//! named `open` or `verify` says more.
//!
//! [C2SP]: https://c2sp.org
//! [RFC 6962]: https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1
//! [subtrees]: https://www.ietf.org/archive/id/draft-ietf-plants-merkle-tree-certs-02.html#name-subtrees
//! [tlog-tiles]: https://c2sp.org/tlog-tiles
//! [signed-note]: https://c2sp.org/signed-note
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
//! [tlog-cosignature]: https://c2sp.org/tlog-cosignature
//! [tlog-policy]: https://c2sp.org/tlog-policy
//! [tlog-witness]: https://c2sp.org/tlog-witness
//! [tlog-mirror]: https://c2sp.org/tlog-mirror
//! [tlog-proof]: https://c2sp.org/tlog-proof

mod bundle;
mod checkpoint;
mod edge;
mod end;
mod hash;
mod mirror;
mod note;
mod path;
mod policy;
mod proof;
mod quorum;
mod text;
mod tile;
mod tlog_proof;
mod tree;
mod verified;
mod witness;

pub use bundle::{
    BundleCoord, EntryBundle, EntryTooLong, MAX_ENTRY_SIZE, ParseBundleCoordError, ParseBundleError,
    push_entry, split_entries,
};
pub use checkpoint::{Checkpoint, OpenCheckpointError, ParseCheckpointError, SignedCheckpoint, TrustedLog};
pub use edge::{EdgeError, RightEdge};
pub use end::{EndOfLog, OpenEndError, ParseEndError, SignedEnd, Successor, SuccessorUrlError};
pub use hash::Hash;
pub use mirror::{
    AddEntries, EntryPackage, MAX_PACKAGES, MIRROR_INFO_MEDIA_TYPE, MirrorInfo, PackageSpan,
    ParseMirrorError, push_package,
};
#[cfg(feature = "pkcs8")]
pub use note::Pkcs8Error;
pub use note::{
    Cosigner, KeyId, KeyName, KeyNameError, Note, NoteSignature, ParseNoteError, ParseSigningKeyError,
    ParseVerifierKeyError, SignatureType, SigningKey, VerifierKey, VerifyNoteError,
};
pub use policy::{ParsePolicyError, Policy, PolicyLog, PolicyName, PolicyProblem};
pub use proof::{Proof, ProofError};
pub use quorum::{Group, Member, Quorum, QuorumNotMet, Verdict, Witness};
pub use text::MAX_TREE_SIZE;
pub use tile::{HashTile, HashTileError, ParseTileError, TileCoord, partial_tiles};
pub use tlog_proof::{ParseTlogProofError, TlogProof, VerifyTlogProofError};
pub use tree::{Node, ParseTreeHeadError, Subtree, TILE_WIDTH, TreeHead};
pub use verified::{TileError, VerifiedTiles};
pub use witness::{
    AddCheckpoint, Cosignatures, ParseWitnessError, SIZE_MEDIA_TYPE, SignSubtree, origin_hash, parse_size,
    size_answer,
};
