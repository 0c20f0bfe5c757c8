//! A client of tile-based transparency logs.

#[cfg(all(feature = "folder", feature = "http"))]
mod any;
mod blame;
mod builder;
mod bundle;
mod cache;
mod check;
mod client;
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
mod memory;
mod offload;
mod pipeline;
mod source;
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
pub use error::{BadLog, ClientError, Evidence, Fault};
pub use find::Progress;
#[cfg(feature = "folder")]
pub use folder::FolderSource;
#[cfg(feature = "http")]
pub use http::{
    HttpError, HttpOptions, HttpSetupError, HttpSource, SubmitError, Submitter, TokenError, UrlError, Wait,
    batches,
};
pub use memory::MemorySource;
pub use source::{Source, SourceError};
pub use stream::{Bundles, Entries};
pub use verify::{Claim, VerifyError, verify, verify_leaf};
