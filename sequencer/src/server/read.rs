//! The read path: what a CDN would serve just as well.

use bytes::Bytes;
use kiln_http::{Incoming, Method, Request, Response, StaticResource, cors, etag_of, reply, respond};
use kiln_storage::{ObjectPath, Register, Store};
use kiln_tiles::{BundleCoord, TileCoord};

use super::LogServer;
use crate::publish::checkpoint_path;

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
        if self.shared.state().published.is_none() {
            return cors::open(not_loaded());
        }
        match self.shared.log.store().read(&resource.path).await {
            Ok(Some(body)) => respond(request, &resource.with(body)),
            Ok(None) => cors::open(reply::not_found()),
            Err(error) => {
                tracing::warn!(%error, "a read failed");
                cors::open(reply::unavailable(1, "the store does not answer at the moment\n"))
            }
        }
    }

    pub(super) fn log_json(&self, request: &Request<Incoming>) -> Response {
        let body = Bytes::from(self.description.clone());
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

struct Resource {
    path: ObjectPath,
    immutable: bool,
}

impl Resource {
    /// The resource at a path, where that is the canonical path of one.
    fn named(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let immutable = path.parse::<TileCoord>().is_ok() || path.parse::<BundleCoord>().is_ok();
        let checkpoint = checkpoint_path();
        if !immutable && path != checkpoint.as_str() {
            return None;
        }
        Some(Self { path: path.parse().ok()?, immutable })
    }

    fn with(self, body: Bytes) -> StaticResource {
        let (content_type, cache_control) =
            if self.immutable { (BYTES, IMMUTABLE) } else { (TEXT, REVALIDATE) };
        // Of a tile too: its path would name a damaged copy as well, which could then never be replaced.
        let etag = etag_of(&body);
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
