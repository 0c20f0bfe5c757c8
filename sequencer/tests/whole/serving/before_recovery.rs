//! What readers get while nobody knows yet what a crash left.

use kiln_http::Bytes;
use kiln_sequencer::ServerOptions;

use super::world::World;

/// A power cut left a tile that had its name, but not its bytes. The log served it before the load
/// wrote it anew: 200, immutable, and a CDN kept the torn tile for a year.
#[tokio::test]
async fn nothing_is_read_before_the_log_has_published() {
    let mut world = World::not_loaded(ServerOptions::default()).await;
    let tile = "tile/0/000.p/1".parse().unwrap();
    world.store.memory.tamper(&tile, Some(Bytes::from_static(b"torn")));
    for path in ["/tile/0/000.p/1", "/tile/entries/000.p/1", "/checkpoint"] {
        let refused = world.get(path).await.expect(503);
        assert_eq!(refused.header("cache-control"), "no-store", "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), "*", "{path}");
        assert!(!refused.header("retry-after").is_empty(), "{path}");
    }
    world.get("/tile/0/0").await.expect(404);
    world.get("/log.json").await.expect(200);
    world.store.memory.tamper(&tile, None);
    world.load().await;
    world.get("/checkpoint").await.expect(200);
    world.get("/tile/0/000.p/1").await.expect(404);
}

/// The ETag of a tile was its path. Who had got a torn copy asked whether it changed, was told 304
/// for ever, and could never get the whole one.
#[tokio::test]
async fn an_etag_never_names_two_byte_strings() {
    let world = World::new(ServerOptions::default()).await;
    world.post("/add", &[], b"entry").await.expect(200);
    let whole = world.get("/tile/0/000.p/1").await.expect(200);
    let tile = "tile/0/000.p/1".parse().unwrap();
    world.store.memory.tamper(&tile, Some(Bytes::from_static(b"torn")));
    let torn = world.get("/tile/0/000.p/1").await.expect(200).header("etag").to_owned();
    world.store.memory.tamper(&tile, Some(whole.body.clone().into()));
    let healed = world.request("GET", "/tile/0/000.p/1", &[("If-None-Match", &torn)], b"").await.expect(200);
    assert_eq!(healed.body, whole.body);
}
