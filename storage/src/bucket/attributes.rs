//! What a bucket tells those who fetch an object from it, be it directly or through a CDN.

use object_store::{Attribute, Attributes};

use crate::path::ObjectPath;

const BYTES: &str = "application/octet-stream";

/// The content type and cache control of an object, by its name.
pub(super) fn attributes_of(path: &ObjectPath) -> Attributes {
    let name = path.as_str();
    match name {
        // Nobody serves these; should somebody by mistake, no cache keeps them.
        _ if path.is_private() => attributes(BYTES, "no-store"),
        _ if name.starts_with("tile/") => attributes(BYTES, "public, max-age=31536000, immutable"),
        // A CDN may answer from its copy for a moment, so that many readers are one request a second.
        "checkpoint" => attributes("text/plain; charset=utf-8", "public, max-age=1"),
        _ if name.ends_with(".json") => attributes("application/json", "public, max-age=60"),
        _ => attributes(BYTES, "no-cache"),
    }
}

/// Those of an object that is read by its writers alone.
pub(super) fn unshared() -> Attributes {
    attributes(BYTES, "no-store")
}

fn attributes(content_type: &'static str, cache_control: &'static str) -> Attributes {
    [(Attribute::ContentType, content_type), (Attribute::CacheControl, cache_control)].into_iter().collect()
}
