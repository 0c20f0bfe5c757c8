//! Real object stores keep the contract: `KILN_TEST_STORE` names a bucket to write to, such as
//! `s3://bucket/prefix`, and the environment has the credentials. See `interop/object-stores/run`.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kiln_storage::{
    AnyStore, Bucket, BucketUrl, MutableObjects, PutError, Register, StorageErrorKind, Store, contract,
};

/// A prefix that no run had before. Each check gets one of its own below it.
fn new_prefix() -> Option<BucketUrl> {
    let Ok(url) = std::env::var("KILN_TEST_STORE") else {
        // Past what the test runner keeps back.
        let _ = writeln!(std::io::stderr(), "SKIPPED: KILN_TEST_STORE names no bucket to test with");
        return None;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    Some(
        format!("{url}/{now:x}-{}", std::process::id())
            .parse()
            .expect("KILN_TEST_STORE is no URL of a bucket"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_real_store_keeps_the_contract() {
    let Some(url) = new_prefix() else { return };
    let number = AtomicU32::new(0);
    let empty = || async { below(&url, number.fetch_add(1, Ordering::Relaxed)) };
    contract::check(empty).await;
    contract::check_partials(empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_real_store_keeps_conditions_while_many_probe_it() {
    let Some(url) = new_prefix() else { return };
    let bucket = Bucket::open(&url).expect("credentials in the environment");
    let probes = (0..20).map(|number| {
        let bucket = bucket.clone();
        tokio::spawn(async move { bucket.check_conditions([number; 16]).await })
    });
    for probe in probes.collect::<Vec<_>>() {
        probe.await.expect("a probe of this file").expect("a store that keeps conditions");
    }
}

/// A log in a bucket that was deleted, or misspelt, is not an empty log.
#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_empty_store() {
    let Some(url) = new_prefix() else { return };
    let scheme = url.to_string().split("://").next().expect("a scheme").to_owned();
    let bucket = Bucket::open(&format!("{scheme}://kiln-no-such-bucket").parse().unwrap());
    let bucket = bucket.expect("credentials in the environment");
    let error = bucket.head().load().await.expect_err("a bucket that is not there");
    assert_eq!(error.kind(), StorageErrorKind::Denied, "{error}");
    let checkpoint = bucket.put(&"checkpoint".parse().unwrap(), Bytes::new(), None).await;
    assert!(matches!(checkpoint, Err(PutError::Storage(e)) if e.kind() == StorageErrorKind::Denied));
}

fn below(url: &BucketUrl, number: u32) -> AnyStore {
    let url = format!("{url}/{number}").parse().expect("a prefix below a prefix");
    Bucket::open(&url).expect("credentials in the environment").into()
}
