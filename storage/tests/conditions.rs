//! Stores that do not keep conditions are found out; stores that lose answers are none of those.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use kiln_storage::bucket::ConditionsError;
use kiln_storage::{Bucket, ImmutableObjects, Loaded, Object, Register, Store, SwapError};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lie {
    /// It does not look at `If-None-Match`.
    CreateReplaces,
    /// It does not look at `If-Match`.
    StaleReplaces,
    /// It compares versions wrongly.
    NothingMatches,
    /// It does not know `If-Match`.
    NotImplemented,
    /// What was written is not there.
    Forgets,
    /// Each answer is lost, and the second try finds the first in the way.
    LosesAnswers,
}

#[derive(Debug)]
struct Lying(InMemory, Lie);

impl fmt::Display for Lying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a store that lies: {:?}", self.1)
    }
}

#[async_trait]
impl ObjectStore for Lying {
    async fn put_opts(&self, at: &Path, body: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        match (self.1, &options.mode) {
            (Lie::CreateReplaces, PutMode::Create) | (Lie::StaleReplaces, PutMode::Update(_)) => {
                options.mode = PutMode::Overwrite;
            }
            (Lie::NothingMatches, PutMode::Update(_)) => {
                return Err(Error::Precondition { path: at.to_string(), source: "412".into() });
            }
            (Lie::NotImplemented, PutMode::Update(_)) => {
                return Err(Error::Generic { store: "S3", source: "501 Not Implemented".into() });
            }
            (Lie::Forgets, _) => {
                return InMemory::new().put_opts(at, body, PutOptions::default()).await;
            }
            (Lie::LosesAnswers, _) => {
                self.0.put_opts(at, body.clone(), options.clone()).await?;
            }
            _ => {}
        }
        self.0.put_opts(at, body, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(at, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        o: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, o).await
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

fn over(store: impl ObjectStore) -> Bucket {
    Bucket::over(Arc::new(store), &"s3://bucket/log".parse().expect("a URL"))
}

fn lying(lie: Lie) -> Bucket {
    over(Lying(InMemory::new(), lie))
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lies_is_refused_by_name_and_by_what_it_ignores() {
    for (lie, words) in [
        (Lie::CreateReplaces, "If-None-Match"),
        (Lie::StaleReplaces, "(If-Match): two writers"),
        (Lie::NothingMatches, "refuses to replace"),
        (Lie::NotImplemented, "has no conditional writes"),
        (Lie::Forgets, "does not show"),
    ] {
        let bucket = lying(lie);
        for start in 0..2 {
            let error = bucket.check_conditions([start; 16]).await.expect_err("a lie");
            assert!(!matches!(error, ConditionsError::Storage(_)), "{lie:?}: {error}");
            let error = error.to_string();
            assert!(error.starts_with("s3://bucket/log ") && error.contains(words), "{lie:?}: {error}");
        }
    }
}

#[tokio::test]
async fn an_honest_store_is_accepted_at_every_start() {
    let bucket = over(InMemory::new());
    for start in 0..3 {
        bucket.check_conditions([start; 16]).await.expect("an honest store");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_probe_at_once_accuse_nobody() {
    let bucket = over(InMemory::new());
    let probes = (0..20).map(|number| {
        let bucket = bucket.clone();
        tokio::spawn(async move { bucket.check_conditions([number; 16]).await })
    });
    for probe in probes.collect::<Vec<_>>() {
        probe.await.unwrap().expect("an honest store");
    }
}

/// A conditional write that was sent twice fails although it happened. Taken for a conflict, it would be
/// another writer's; so nobody may say so without a look.
#[tokio::test]
async fn an_answer_that_was_lost_is_found_by_reading() {
    let bucket = lying(Lie::LosesAnswers);
    bucket.check_conditions([1; 16]).await.expect("an honest store, on a bad line");
    let tile = Object { path: "tile/0/000".parse().unwrap(), body: Bytes::from_static(b"tile") };
    bucket.create(vec![tile]).await.expect("it is there");
    let Loaded { held, .. } = bucket.head().load().await.unwrap();
    let swapped = bucket.head().swap(held, Bytes::from_static(b"mine")).await;
    assert!(matches!(swapped, Err(SwapError::Conflict)), "which says that only a load tells");
    assert_eq!(bucket.head().load().await.unwrap().value, Some(Bytes::from_static(b"mine")));
}
