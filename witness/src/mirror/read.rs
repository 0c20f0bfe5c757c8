//! The read path: each log as [tlog-tiles] has it, below the hash of its origin.
//!
//! What is served is what the mirror checkpoint implies, and so is durable and cosigned: entries that wait for the rest
//! of their tree stand beside it, and nobody sees them.
//!
//! [tlog-tiles]: https://c2sp.org/tlog-tiles

use std::time::Duration;

use bytes::Bytes;
use kiln_http::{
    Incoming, Method, Request, Response, Share, StaticResource, StatusCode, cors, etag_of, reply, respond,
};
use kiln_storage::ImmutableObjects;
use kiln_tiles::{BundleCoord, Hash, MAX_ENTRY_SIZE, TileCoord};
use tokio::time::timeout;

use super::Mirror;
use super::copy::object_path;

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// Tiles never change, so they may be kept for ever.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// A checkpoint may be kept, but must be asked for anew.
const REVALIDATE: &str = "no-cache";

/// How long a reader waits for others to be sent theirs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What of a log is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resource {
    Checkpoint,
    Tile(TileCoord),
    Bundle(BundleCoord),
}

impl Resource {
    /// The resource of a log at `/<64 hex digits>/<path>`, where that is the canonical path of one.
    pub(super) fn named(path: &str) -> Option<(Hash, Self)> {
        let (origin_hash, path) = path.strip_prefix('/')?.split_once('/')?;
        let resource = match path {
            "checkpoint" => Self::Checkpoint,
            path => match path.parse() {
                Ok(coord) => Self::Bundle(coord),
                Err(_) => Self::Tile(path.parse().ok()?),
            },
        };
        Some((Hash::from_hex(origin_hash)?, resource))
    }

    /// Whether a tree of this size, or an earlier one, implies it.
    fn is_in_tree(self, size: u64) -> bool {
        match self {
            Self::Checkpoint => true,
            Self::Tile(coord) => TileCoord::in_tree(coord.level(), coord.index(), size)
                .is_some_and(|widest| coord.width() <= widest.width()),
            Self::Bundle(coord) => BundleCoord::holding(coord.start(), size)
                .is_some_and(|widest| coord.width() <= widest.width()),
        }
    }

    /// How long it may be.
    fn most_bytes(self) -> usize {
        match self {
            Self::Checkpoint => 0,
            Self::Tile(coord) => usize::from(coord.width()) * Hash::SIZE,
            Self::Bundle(coord) => usize::from(coord.width()) * (2 + MAX_ENTRY_SIZE),
        }
    }

    fn path(self) -> String {
        match self {
            Self::Checkpoint => "checkpoint".to_owned(),
            Self::Tile(coord) => coord.to_string(),
            Self::Bundle(coord) => coord.to_string(),
        }
    }
}

/// The body of an answer, whose bytes count until it is sent.
struct Carried {
    body: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Mirror {
    pub(super) async fn read(
        &self,
        request: &Request<Incoming>,
        origin_hash: Hash,
        resource: Resource,
    ) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return cors::open(reply::method_not_allowed("GET, HEAD"));
        }
        match self.find(origin_hash, resource).await {
            Ok(Some(body)) => {
                let (content_type, cache_control) = match resource {
                    Resource::Checkpoint => (TEXT, REVALIDATE),
                    Resource::Tile(_) | Resource::Bundle(_) => (BYTES, IMMUTABLE),
                };
                let etag = etag_of(&body);
                respond(request, &StaticResource { body, content_type, cache_control, etag })
            }
            Ok(None) => cors::open(reply::text(StatusCode::NOT_FOUND, "this mirror has no such resource\n")),
            Err(error) => {
                tracing::warn!(%error, "a read failed");
                cors::open(reply::unavailable(1, "the mirror does not answer at the moment\n"))
            }
        }
    }

    async fn find(&self, origin_hash: Hash, resource: Resource) -> Result<Option<Bytes>, ReadError> {
        if resource == Resource::Checkpoint {
            let store = self.0.store.clone();
            let record = self.0.reads.run(move || store.cosigned(origin_hash)).await?;
            return Ok(record.map(|record| record.note().to_string().into()));
        }
        if !self.0.copies.is_known(origin_hash) && self.mirrored(origin_hash).await?.is_none() {
            return Ok(None); // nothing is opened for who asks for anything
        }
        let copy = self.copy(origin_hash).await?;
        if !resource.is_in_tree(copy.shown()) {
            return Ok(None);
        }
        // How long it is shows only once it is read.
        let share = timeout(PATIENCE, self.0.answers.share(resource.most_bytes()));
        let mut share = share.await.map_err(|_| ReadError::Crowded)?;
        let Some(body) = copy.store().read(&object_path(&resource.path())).await? else { return Ok(None) };
        share.shrink_to(body.len());
        Ok(Some(Bytes::from_owner(Carried { body, _share: share })))
    }
}

/// Why a resource cannot be had now.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    State(#[from] crate::store::StoreError),
    #[error(transparent)]
    Copy(#[from] super::copy::LogCopyError),
    #[error(transparent)]
    Storage(#[from] kiln_storage::StorageError),
    #[error("too many bytes are held for others at the moment")]
    Crowded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_log_has_can_be_named() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for path in ["checkpoint", "tile/0/000.p/1", "tile/entries/x001/000"] {
            assert!(Resource::named(&format!("/{hash}/{path}")).is_some(), "{path}");
        }
        for path in ["", "private/copy", "../x/checkpoint", "tile/0/0", "log.json", "checkpoint/"] {
            assert!(Resource::named(&format!("/{hash}/{path}")).is_none(), "{path}");
        }
        assert!(Resource::named(&format!("/{}/checkpoint", hash.to_uppercase())).is_none());
        assert!(Resource::named("/checkpoint").is_none());
    }

    #[test]
    fn what_the_mirrored_tree_does_not_imply_is_not_there() {
        let tile = |path: &str| Resource::Tile(path.parse().unwrap());
        assert!(tile("tile/0/000").is_in_tree(300) && tile("tile/0/001.p/44").is_in_tree(300));
        assert!(!tile("tile/0/001").is_in_tree(300) && !tile("tile/0/001.p/45").is_in_tree(300));
        assert!(!tile("tile/0/000.p/1").is_in_tree(0));
        assert!(!Resource::Bundle("tile/entries/001".parse().unwrap()).is_in_tree(511));
    }
}
