//! A bucket in memory keeps the contract, and so does a store of either kind.

use std::sync::Arc;

use kiln_storage::{AnyStore, Bucket, Folder, contract};
use object_store::memory::InMemory;

fn bucket() -> Bucket {
    Bucket::over(Arc::new(InMemory::new()), &"s3://bucket/some/prefix".parse().expect("a URL"))
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
