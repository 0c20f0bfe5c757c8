//! A client of tile-based transparency logs, as [tlog-tiles] defines them: it fetches, verifies,
//! proves, follows and submits. It trusts the log's key, and a quorum of witnesses if you have one, and
//! nothing else: not the server, not the CDN, not its own cache.
//!
//! | you want to | use |
//! |---|---|
//! | name the log that you believe | [`TrustedLog`](tiles::TrustedLog), from its vkey |
//! | name the witnesses that must have seen it | [`Policy`](tiles::Policy), from a [tlog-policy] file |
//! | reach it | [`HttpSource`], [`FolderSource`], [`MemorySource`], or your own [`Source`] |
//! | read an entry, all entries, those that come | [`Client::get`], [`Client::entries`], [`Client::follow`] |
//! | learn of a newer tree, a rollback, a fork | [`Client::update`] |
//! | cut a proof, find an entry, show that a log grew | [`Client::prove`], [`Client::find`], [`Client::consistency`] |
//! | verify a proof without network | [`verify()`] |
//! | submit entries | [`Submitter`]; by an API that a log has beside it, [`ApiClient`] |
//! | verify that they are where the server said | [`Client::verify_leaves`] |
//! | verify everything there is | [`Client::check_log`]; in a folder [`Client::check_leftovers`] as well |
//! | keep a verified copy, or mend a store | `Client::copy_into` (feature `stores`) |
//!
//! The formats themselves are in [`tiles`], which is the crate `kiln-tiles`.
//!
//! # Fetch and verify
//! ```no_run
//! use kiln_client::{Client, HttpSource, tiles::VerifierKey};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vkey: VerifierKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse()?;
//! let client = Client::new(HttpSource::new("https://example.com/foo")?, vkey.into());
//!
//! println!("{}", client.update().await?.checkpoint.head()); // size and root hash
//! let entry = client.get(7).await?; // verified, or an error
//! let mut entries = client.entries(..);
//! while let Some(entry) = entries.next().await {
//!     let (index, bytes) = entry?;
//!     println!("{index}: {} bytes", bytes.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Prove, and verify offline
//! A proof is a small text file ([tlog-proof]) that says, for as long as the log's key is trusted,
//! that the log has an entry.
//! ```
//! use kiln_client::{Client, verify};
//! # use kiln_client::{MemorySource, tiles::*};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (source, mut edge, mut bundle) = (MemorySource::default(), RightEdge::empty(), Vec::new());
//! # push_entry(&mut bundle, b"my release, sha256:...")?;
//! # for tile in edge.append([Hash::leaf(b"my release, sha256:...")]) {
//! #     source.insert(tile.coord().to_string(), tile.to_bytes());
//! # }
//! # source.insert("tile/entries/000.p/1", bundle);
//! # let key = SigningKey::from_seed("example.com/log".parse()?, [7; 32]);
//! # let text = Checkpoint::new("example.com/log", edge.head()).unwrap().to_string();
//! # source.insert("checkpoint", key.sign(text)?.to_string().into_bytes());
//! # let log = TrustedLog::from(key.verifier_key());
//! let client = Client::new(source, log.clone());
//! let proof: String = client.prove(0).await?.to_string();
//!
//! // Later, elsewhere, with no network:
//! let claim = verify(proof.as_bytes(), b"my release, sha256:...", &log)?;
//! assert_eq!((claim.index(), claim.origin()), (0, "example.com/log"));
//! assert!(verify(proof.as_bytes(), b"another release", &log).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # Verify by a policy
//! A log that shows you another tree than everybody else signs both. It cannot get both cosigned: a
//! witness cosigns one history. A [tlog-policy] file says which logs are believed, and which witnesses
//! must have cosigned.
//! ```
//! use kiln_client::{tiles::{Policy, TlogProof}, verify};
//! # use kiln_client::tiles::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let entry = b"my release, sha256:...";
//! # let key = SigningKey::from_seed("example.com/log".parse()?, [7; 32]);
//! # let [one, two, three] = [1, 2, 3].map(|n| {
//! #     Cosigner::ed25519_from_seed(format!("witness{n}.example").parse().unwrap(), [n; 32])
//! # });
//! # let file = format!("log {}\nwitness one {}\nwitness two {}\nwitness three {}\n\
//! #     group ring 2 one two three\nquorum ring\n", key.verifier_key(), one.verifier_key(),
//! #     two.verifier_key(), three.verifier_key());
//! # let head = TreeHead::new(1, Hash::leaf(entry)).unwrap();
//! # let checkpoint = Checkpoint::new("example.com/log", head).unwrap();
//! # let signed = key.sign(checkpoint.to_string())?.with(one.cosign(&checkpoint, 5).unwrap())?;
//! # let alone = TlogProof::new(0, Proof::default(), signed.clone()).to_string();
//! # let signed = signed.with(three.cosign(&checkpoint, 6).unwrap())?;
//! # let proof = TlogProof::new(0, Proof::default(), signed).to_string();
//! let policy: Policy = file.parse()?; // log, three witnesses, and `group ring 2 one two three`
//! let log = policy.trusted_log("example.com/log").ok_or("the policy does not have this log")?;
//!
//! let claim = verify(proof.as_bytes(), entry, &log)?; // two of the three have cosigned
//! let verdict = log.quorum().judge(claim.checkpoint().note())?;
//! assert_eq!(verdict.witnesses, [Some(5), None, Some(6)]); // who, and when
//! assert!(verify(alone.as_bytes(), entry, &log).is_err()); // the log's word, and that of one
//! # Ok(())
//! # }
//! ```
//! A [`Client`] of such a log asks the same of each checkpoint that it reads, and a [`Submitter`] of each
//! proof that it is given. A policy with several logs tells them apart by what is to be verified:
//! [`Policy::trusted_log_of`](tiles::Policy::trusted_log_of).
//!
//! # Submit
//! ```no_run
//! use kiln_client::{Submitter, batches, tiles::TrustedLog};
//!
//! # async fn submit(log: TrustedLog, lines: Vec<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//! let submitter = Submitter::new("https://example.com/log", log)?;
//! let proof = submitter.submit_for_proof("my release, sha256:...").await?; // verified
//! std::fs::write("release.tlog-proof", proof.to_string())?;
//!
//! for batch in batches(&lines) {
//!     let indices = submitter.submit_batch(batch).await?; // safe to repeat
//!     println!("up to {:?}", indices.last());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//! One question matters first: is the log bad, or could it not be read?
//! [`ClientError::is_bad_log`], [`SubmitError::is_bad_log`] and every [`VerifyError`] mean the
//! former: keep the error, it names the resource or holds the evidence. Of the others,
//! `is_retryable` tells whether to try again. In between is a checkpoint that the log signed and too
//! few witnesses have cosigned ([`ClientError::lacks_cosignatures`]): do not believe it; look again later.
//!
//! # Features
//! | feature | brings |
//! |---|---|
//! | `http` (default) | [`HttpSource`], [`Submitter`]; needs a tokio runtime |
//! | `folder` (default) | [`FolderSource`], the [cache folder](ClientBuilder::disk_cache) |
//! | `stores` | `StoreSource` and `Client::copy_into`: logs in any store of `kiln-storage`, and copies in one |
//! | `object-stores` | buckets of S3, Google Cloud Storage and Azure, in `AnySource` |
//! | `tokio` | [`Client::follow`], hashing on all cores; implied by the others |
//!
//! Without any of them, [`verify()`] and a [`Client`] over any [`Source`] remain. They need no runtime
//! and build for `wasm32-unknown-unknown`.
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles
//! [tlog-proof]: https://c2sp.org/tlog-proof
//! [tlog-policy]: https://c2sp.org/tlog-policy

#[cfg(all(feature = "folder", feature = "http"))]
mod any;
mod blame;
mod builder;
mod bundle;
mod cache;
mod check;
mod client;
#[cfg(feature = "stores")]
mod copy;
mod error;
mod fetch;
mod find;
#[cfg(feature = "folder")]
mod folder;
#[cfg(feature = "tokio")]
mod follow;
#[cfg(feature = "http")]
mod http;
mod leaves;
#[cfg(feature = "folder")]
mod leftovers;
mod memory;
mod offload;
mod pipeline;
mod places;
mod signers;
mod source;
#[cfg(feature = "stores")]
mod store;
mod stream;
mod tree;
mod verify;

pub use kiln_tiles as tiles;

#[cfg(all(feature = "folder", feature = "http"))]
pub use any::AnySource;
pub use builder::ClientBuilder;
pub use bundle::VerifiedBundle;
pub use check::Checked;
pub use client::{Client, Freshness, Update};
#[cfg(feature = "stores")]
pub use copy::{Copied, CopyError, Existing};
pub use error::{BadLog, ClientError, Evidence, Fault};
pub use find::Progress;
#[cfg(feature = "folder")]
pub use folder::FolderSource;
#[cfg(feature = "http")]
pub use http::{
    ApiClient, HttpAnswer, HttpError, HttpOptions, HttpSetupError, HttpSource, Retry, SubmitError, Submitter,
    TokenError, UrlError, Wait, batches,
};
#[cfg(feature = "folder")]
pub use leftovers::{Files, Leftovers};
pub use memory::MemorySource;
pub use signers::OtherKeys;
pub use source::{Source, SourceError};
#[cfg(feature = "stores")]
pub use store::StoreSource;
pub use stream::{Bundles, Entries};
pub use verify::{Claim, VerifyError, verify, verify_leaf};
