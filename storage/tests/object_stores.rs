//! Real object stores keep the contract: `KILN_TEST_STORE` names a bucket to write to, such as
//! `s3://bucket/prefix`, and the environment has the credentials. See `interop/object-stores/run`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kiln_storage::{AnyStore, Bucket, BucketUrl, contract};

/// A prefix that no run had before. Each check gets one of its own below it.
fn new_prefix() -> Option<BucketUrl> {
    let Ok(url) = std::env::var("KILN_TEST_STORE") else {
        eprintln!("SKIPPED: KILN_TEST_STORE names no bucket to test with");
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

fn below(url: &BucketUrl, number: u32) -> AnyStore {
    let url = format!("{url}/{number}").parse().expect("a prefix below a prefix");
    Bucket::open(&url).expect("credentials in the environment").into()
}
