//! A bucket in memory keeps the contract, and so does a store of either kind. What a bucket does beyond
//! the contract.

use std::sync::Arc;

use bytes::Bytes;
use kiln_storage::{
    AnyStore, Bucket, Folder, ImmutableObjects, Loaded, MAX_OBJECT_SIZE, MutableObjects, Object, ObjectPath,
    PutError, Register, StorageErrorKind, Store, SwapError, contract,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attribute, ObjectStoreExt};

fn bucket() -> Bucket {
    over(&Arc::new(InMemory::new()))
}

fn over(store: &Arc<InMemory>) -> Bucket {
    Bucket::over(store.clone(), &"s3://bucket/some/prefix".parse().expect("a URL"))
}

fn path(name: &str) -> ObjectPath {
    name.parse().expect("a name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_keeps_the_contract() {
    contract::check(|| async { bucket() }).await;
    contract::check_partials(|| async { bucket() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_store_keeps_the_contract() {
    contract::check(|| async { AnyStore::from(bucket()) }).await;
    contract::check_partials(|| async { AnyStore::from(bucket()) }).await;
    let parent = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    let empty = || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        AnyStore::from(Folder::open(&parent.path().join(number.to_string()), "a test".into()).unwrap())
    };
    contract::check(empty).await;
    contract::check_partials(empty).await;
}

#[tokio::test]
async fn every_object_says_how_long_who_may_keep_it() {
    let store = Arc::new(InMemory::new());
    let bucket = over(&store);
    let tiles = ["tile/0/000", "tile/entries/000.p/7", "private/tile"];
    let object = |name: &str| Object { path: path(name), body: Bytes::from_static(b"x") };
    bucket.create(tiles.map(object).into()).await.unwrap();
    for name in ["checkpoint", "log.json", "private/lease"] {
        let version = bucket.put(&path(name), Bytes::from_static(b"1"), None).await.unwrap();
        bucket.put(&path(name), Bytes::from_static(b"2"), Some(version)).await.unwrap();
    }
    let Loaded { held, .. } = bucket.head().load().await.unwrap();
    bucket.head().swap(held, Bytes::from_static(b"1")).await.unwrap();
    bucket.check_conditions([1; 16]).await.unwrap();
    let forever = "public, max-age=31536000, immutable";
    for (name, content_type, cache_control) in [
        ("tile/0/000", "application/octet-stream", forever),
        ("tile/entries/000.p/7", "application/octet-stream", forever),
        ("checkpoint", "text/plain; charset=utf-8", "public, max-age=1"),
        ("log.json", "application/json", "public, max-age=60"),
        ("private/tile", "application/octet-stream", "no-store"),
        ("private/lease", "application/octet-stream", "no-store"),
        ("private/head", "application/octet-stream", "no-store"),
        ("private/probe", "application/octet-stream", "no-store"),
    ] {
        let found = store.get(&Path::from(format!("some/prefix/{name}"))).await.expect(name);
        let attribute = |name| found.attributes.get(&name).map(|value| value.as_ref().to_owned());
        assert_eq!(attribute(Attribute::ContentType).as_deref(), Some(content_type), "{name}");
        assert_eq!(attribute(Attribute::CacheControl).as_deref(), Some(cache_control), "{name}");
    }
}

#[tokio::test]
async fn an_object_that_is_too_long_is_refused() {
    let store = Arc::new(InMemory::new());
    let too_long = vec![0; usize::try_from(MAX_OBJECT_SIZE).unwrap() + 1];
    store.put(&Path::from("some/prefix/private/head"), too_long.clone().into()).await.unwrap();
    let bucket = over(&store);
    let error = bucket.head().load().await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
    assert!(error.to_string().contains("s3://bucket/some/prefix/private/head"), "{error}");
    let guard = bucket.register(&path("guard"));
    let held = guard.load().await.unwrap().held;
    let refused = guard.swap(held, too_long.into()).await;
    assert!(matches!(refused, Err(SwapError::Storage(e)) if e.kind() == StorageErrorKind::TooLarge));
}

#[tokio::test]
async fn what_is_private_does_not_make_a_place_a_log() {
    let store = Arc::new(InMemory::new());
    let bucket = over(&store);
    store.put(&Path::from("some/prefixes"), "another's".into()).await.unwrap();
    bucket.check_conditions([1; 16]).await.unwrap();
    assert_eq!(bucket.any_public_object().await.unwrap(), None);
    bucket.put(&path("checkpoint"), Bytes::new(), None).await.unwrap();
    let found = bucket.any_public_object().await.unwrap();
    assert_eq!(found.as_deref(), Some("s3://bucket/some/prefix/checkpoint"));
}

#[tokio::test]
async fn a_version_of_another_kind_of_store_matches_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = AnyStore::from(Folder::open(parent.path(), "a test".into()).unwrap());
    let bucket = AnyStore::from(bucket());
    assert!(folder.is_exclusive() && !bucket.is_exclusive());
    let checkpoint = path("checkpoint");
    let version = folder.put(&checkpoint, Bytes::new(), None).await.unwrap();
    bucket.put(&checkpoint, Bytes::new(), None).await.unwrap();
    let foreign = bucket.put(&checkpoint, Bytes::new(), Some(version)).await;
    assert!(matches!(foreign, Err(PutError::Conflict)));
    let held = folder.head().load().await.unwrap().held;
    assert!(matches!(bucket.head().swap(held, Bytes::new()).await, Err(SwapError::Conflict)));
}
