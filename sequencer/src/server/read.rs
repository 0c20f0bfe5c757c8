//! The read path: what a CDN would serve just as well.

use bytes::Bytes;
use kiln_http::{
    EntityTag, Incoming, Method, Request, Response, StaticResource, cors, etag_of, reply, respond,
};
use kiln_storage::{ImmutableObjects, ObjectPath, Register, Store};
use kiln_tiles::{BundleCoord, TileCoord};

use super::LogServer;
use super::bundles::BundleError;
use crate::publish::checkpoint_path;
use crate::state::Status;

/// Tiles never change, so they may be kept for ever.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The checkpoint changes every second or so: it may be kept, but must be asked for anew.
const REVALIDATE: &str = "no-cache";

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

impl<S: Store, G: Register> LogServer<S, G> {
    /// Serves the checkpoint, a tile or a bundle; nothing else of the store can be named.
    pub(super) async fn read(&self, request: &Request<Incoming>) -> Response {
        let Some(resource) = Resource::named(request.uri().path()) else {
            return cors::open(reply::not_found());
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return cors::open(reply::method_not_allowed("GET, HEAD"));
        }
        let state = self.shared.state();
        let Some(published) = &state.published else { return cors::open(not_loaded()) };
        if let Kind::Checkpoint = resource.kind {
            // What this process knows, and not what stands in the store: that may be newer, or older after
            // a power cut, and whoever asks twice must not see the log shrink.
            let body = Bytes::from(published.note().to_string());
            return respond(request, &resource.with(body.clone(), etag_of(&body)));
        }
        // Another process writes: of what it has not published nobody here knows whether it is whole.
        if matches!(state.status, Status::StandingBy(_)) && !resource.is_in_tree(published.head().size()) {
            return cors::open(reply::not_found());
        }
        match self.read_resource(&resource).await {
            Ok(Some((body, etag))) => respond(request, &resource.with(body, etag)),
            Ok(None) => cors::open(reply::not_found()),
            Err(error) => cors::open(not_now(&error)),
        }
    }

    async fn read_resource(&self, resource: &Resource) -> Result<Option<(Bytes, EntityTag)>, BundleError> {
        if let Kind::Bundle(coord) = resource.kind {
            return self.bundles.read(&self.reads, coord).await;
        }
        let body = self.reads.read(&resource.path).await?;
        // Of a tile too: its path would name a damaged copy as well, which could then never be replaced.
        Ok(body.map(|body| (body.clone(), etag_of(&body))))
    }

    pub(super) fn log_json(&self, request: &Request<Incoming>) -> Response {
        let ended = self.shared.end().map(|end| self.described.with_end(&end).to_json());
        let body = Bytes::from(ended.unwrap_or_else(|| self.description.clone()));
        let etag = etag_of(&body);
        let resource = StaticResource {
            body,
            content_type: "application/json",
            cache_control: "public, max-age=60",
            etag,
        };
        respond(request, &resource)
    }
}

/// Until the log has published in this process nobody knows what of the store is whole: a tile may have
/// its name and not its bytes after a power cut, and a cache would keep it for ever.
fn not_loaded() -> Response {
    reply::unavailable(1, "the log is being loaded, and what is in its store is not verified yet\n")
}

fn not_now(error: &BundleError) -> Response {
    match error {
        BundleError::Storage(error) => {
            tracing::warn!(%error, "a read failed");
            reply::unavailable(1, "the store does not answer at the moment\n")
        }
        BundleError::Crowded => reply::unavailable(1, format!("{error}\n")),
    }
}

struct Resource {
    path: ObjectPath,
    kind: Kind,
}

enum Kind {
    Checkpoint,
    Tile(TileCoord),
    Bundle(BundleCoord),
}

impl Resource {
    /// The resource at a path, where that is the canonical path of one.
    fn named(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let kind = if let Ok(coord) = path.parse() {
            Kind::Bundle(coord)
        } else if let Ok(coord) = path.parse() {
            Kind::Tile(coord)
        } else if path == checkpoint_path().as_str() {
            Kind::Checkpoint
        } else {
            return None;
        };
        Some(Self { path: path.parse().ok()?, kind })
    }

    /// Whether a tree of this size, or an earlier one, implies it.
    fn is_in_tree(&self, size: u64) -> bool {
        match self.kind {
            Kind::Checkpoint => true,
            Kind::Tile(coord) => TileCoord::in_tree(coord.level(), coord.index(), size)
                .is_some_and(|widest| coord.width() <= widest.width()),
            Kind::Bundle(coord) => BundleCoord::holding(coord.start(), size)
                .is_some_and(|widest| coord.width() <= widest.width()),
        }
    }

    fn with(self, body: Bytes, etag: EntityTag) -> StaticResource {
        let (content_type, cache_control) = match self.kind {
            Kind::Checkpoint => (TEXT, REVALIDATE),
            Kind::Tile(_) | Kind::Bundle(_) => (BYTES, IMMUTABLE),
        };
        StaticResource { body, content_type, cache_control, etag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_public_can_be_named() {
        for path in ["/checkpoint", "/tile/0/000.p/1", "/tile/entries/x001/000"] {
            assert!(Resource::named(path).is_some(), "{path}");
        }
        for path in [
            "/",
            "/private/head/0",
            "/tile/0/../../private/key",
            "/tile/0/0",
            "checkpoint",
            "//checkpoint",
            "/checkpoint/",
        ] {
            assert!(Resource::named(path).is_none(), "{path}");
        }
    }
}
