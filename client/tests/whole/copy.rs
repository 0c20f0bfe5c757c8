//! A verified copy holds exactly what the tree implies, goes on where it was interrupted, and mends
//! what is damaged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{TestLog, blamed, head, trusted};
use bytes::Bytes;
use kiln_client::tiles::{RightEdge, TreeHead};
use kiln_client::{BadLog, Client, ClientError, Copied, CopyError, Existing, StoreSource};
use kiln_storage::{
    CreateError, Folder, ImmutableObjects, Memory, MutableObjects, Object, ObjectPath, PutError,
    StorageError, StorageErrorKind,
};

const NEW: fn() -> Existing = || Existing::Keep(TreeHead::empty());

async fn copy<T>(log: &TestLog, target: &T, existing: Existing) -> Result<Copied, CopyError>
where
    T: ImmutableObjects + MutableObjects + Clone + Send + Sync + 'static,
{
    log.client().copy_into(target, log.head(), existing, |_| {}).await
}

/// Everything that the target holds below `tile/`.
fn tiles(target: &Memory) -> BTreeMap<String, Bytes> {
    let objects = target.objects().into_iter().map(|(path, body)| (path.to_string(), body));
    objects.filter(|(path, _)| path.starts_with("tile/")).collect()
}

/// What a tree implies: a log that published once has nothing else.
fn implied(size: u64) -> BTreeMap<String, Bytes> {
    let source = TestLog::of(size).source;
    let paths = source.paths().into_iter().filter(|path| path != "checkpoint");
    paths.map(|path| (path.clone(), source.get(&path).unwrap())).collect()
}

fn path(name: &str) -> ObjectPath {
    name.parse().unwrap()
}

/// Publishes the log's checkpoint in the copy, and verifies all of it as a reader would.
async fn check<T: ImmutableObjects + MutableObjects + Clone + Send + Sync + 'static>(
    log: &TestLog,
    target: &T,
) {
    let name = path("checkpoint");
    let version = target.read_version(&name).await.unwrap().map(|(_, version)| version);
    target.put(&name, log.source.get("checkpoint").unwrap(), version).await.unwrap();
    let client = Client::new(StoreSource::new(target.clone()), trusted());
    let checked = client.check_log(|_| {}).await.unwrap();
    assert_eq!(checked.checkpoint.head(), log.head());
}

#[tokio::test]
async fn a_copy_has_what_the_tree_implies_and_nothing_else() {
    for size in [0, 1, 255, 256, 257, 700, 66_000] {
        let (log, target) = (TestLog::of(size), Memory::new());
        let copied = copy(&log, &target, NEW()).await.unwrap();
        assert_eq!((copied.head, copied.from), (log.head(), 0));
        assert_eq!(tiles(&target), implied(size), "size {size}");
        assert_eq!(copied.objects, tiles(&target).len() as u64);
        check(&log, &target).await;
    }
}

#[tokio::test]
async fn progress_tells_each_bundle_in_order() {
    let (log, target, mut told) = (TestLog::of(700), Memory::new(), Vec::new());
    let tell = |now: kiln_client::Progress| told.push((now.done, now.total));
    log.client().copy_into(&target, log.head(), NEW(), tell).await.unwrap();
    assert_eq!(told, [(256, 700), (512, 700), (700, 700)]);
}

#[tokio::test]
async fn only_what_is_new_is_read_and_written() {
    let (mut log, target) = (TestLog::of(600), Memory::new());
    copy(&log, &target, NEW()).await.unwrap();
    let before = log.head();
    log.grow_to(1000);
    log.source.remove("tile/entries/000"); // what the copy has is not asked for again
    log.source.remove("tile/0/000");
    let copied = copy(&log, &target, Existing::Keep(before)).await.unwrap();
    assert_eq!(copied.from, 512);
    for (path, body) in implied(1000) {
        assert_eq!(tiles(&target).get(&path), Some(&body), "{path}");
    }
    // The same again: the partial tiles and the bundle they end with.
    let again = copy(&log, &target, Existing::Keep(log.head())).await.unwrap();
    assert_eq!(again.from, 768);
    check(&TestLog::of(1000), &target).await;
}

#[tokio::test]
async fn an_earlier_tree_gets_its_own_partial_tiles() {
    for (now, then) in [(1000, 300), (1000, 512), (66_000, 65_000)] {
        let (log, target) = (TestLog::of(now), Memory::new());
        for existing in [NEW(), Existing::Mend] {
            log.client().copy_into(&target, head(then), existing, |_| {}).await.unwrap();
            assert_eq!(tiles(&target), implied(then));
        }
    }
}

#[tokio::test]
async fn a_tree_that_the_log_never_had_is_refused() {
    let (log, target) = (TestLog::of(600), Memory::new());
    let mut other = RightEdge::empty();
    other.append([kiln_client::tiles::Hash::leaf(b"another")]);
    let inconsistent = |error: CopyError| match error {
        CopyError::Source(ClientError::BadLog(BadLog::Inconsistent { earlier, .. })) => earlier,
        other => panic!("{other}"),
    };
    let copied = log.client().copy_into(&target, other.head(), NEW(), |_| {}).await;
    assert_eq!(inconsistent(copied.unwrap_err()), other.head());
    let copied = copy(&log, &target, Existing::Keep(other.head())).await;
    assert_eq!(inconsistent(copied.unwrap_err()), other.head());
    assert_eq!(target.objects(), BTreeMap::new(), "nothing was written");
    let beyond = log.client().copy_into(&target, head(601), NEW(), |_| {}).await.unwrap_err();
    assert!(matches!(beyond, CopyError::Source(ClientError::Beyond { wanted: 601, size: 600 })), "{beyond}");
}

#[tokio::test]
async fn what_does_not_verify_is_not_copied() {
    for name in ["tile/entries/001", "tile/entries/002.p/88"] {
        let (log, target) = (TestLog::of(600), Memory::new());
        let mut damaged = log.source.get(name).unwrap().to_vec();
        damaged[7] ^= 1;
        log.source.insert(name, damaged);
        let error = copy(&log, &target, NEW()).await.unwrap_err();
        assert!(matches!(&error, CopyError::Source(error) if blamed(error) == name), "{error}");
        assert!(!target.objects().contains_key(&path(name)), "{name}");
    }
}

/// Each kind of object of a log of 66,000 entries.
const OBJECTS: [&str; 8] = [
    "tile/0/000",
    "tile/0/257.p/208",
    "tile/1/000",
    "tile/1/001.p/1",
    "tile/2/000.p/1",
    "tile/entries/000",
    "tile/entries/100",
    "tile/entries/257.p/208",
];

#[tokio::test]
async fn a_damaged_or_missing_object_is_mended_and_no_other_touched() {
    let (log, target) = (TestLog::of(66_000), Memory::new());
    copy(&log, &target, NEW()).await.unwrap();
    let whole = tiles(&target);
    assert_eq!(copy(&log, &target, Existing::Mend).await.unwrap().objects, 0);
    for name in OBJECTS {
        let mut changed = whole[name].to_vec();
        changed[5] ^= 1;
        for damage in [None, Some(changed.into()), Some(Bytes::new()), Some(whole[name].slice(1..))] {
            target.tamper(&path(name), damage);
            let copied = copy(&log, &target, Existing::Mend).await.unwrap();
            assert_eq!((copied.objects, copied.bytes), (1, whole[name].len() as u64), "{name}");
            assert_eq!(tiles(&target), whole, "{name}");
        }
    }
}

/// A mirror that lacks a bundle is enough where the store has it.
#[tokio::test]
async fn what_stands_in_the_store_is_not_asked_for() {
    let (log, target) = (TestLog::of(1000), Memory::new());
    copy(&log, &target, NEW()).await.unwrap();
    target.tamper(&path("tile/entries/002"), None);
    for name in ["tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"] {
        log.source.remove(name);
    }
    assert_eq!(copy(&log, &target, Existing::Mend).await.unwrap().objects, 1);
    check(&log, &target).await;
}

#[tokio::test]
async fn a_copy_does_not_replace_another_log() {
    let (log, target) = (TestLog::of(600), Memory::new());
    target.tamper(&path("tile/0/001"), Some(Bytes::from_static(b"another log's")));
    let error = copy(&log, &target, NEW()).await.unwrap_err();
    assert!(matches!(&error, CopyError::Differs(differs) if differs.as_str() == "tile/0/001"), "{error}");
}

#[tokio::test]
async fn a_folder_is_mended_too() {
    let folder = tempfile::tempdir().unwrap();
    let (log, target) = (TestLog::of(700), Folder::open(folder.path(), "a test".into()).unwrap());
    copy(&log, &target, NEW()).await.unwrap();
    check(&log, &target).await;
    std::fs::write(folder.path().join("public/tile/entries/001"), "torn").unwrap();
    std::fs::remove_file(folder.path().join("public/tile/0/000")).unwrap();
    assert_eq!(copy(&log, &target, Existing::Mend).await.unwrap().objects, 2);
    check(&log, &target).await;
}

/// A store that fails a `create` or a `put`: nothing is written then, or all of it.
#[derive(Clone)]
struct Failing {
    memory: Memory,
    writes: Arc<AtomicUsize>,
    fails: usize,
    persists: bool,
}

impl Failing {
    fn new(memory: &Memory, fails: usize, persists: bool) -> Self {
        Self { memory: memory.clone(), writes: Arc::default(), fails, persists }
    }

    fn fails_now(&self) -> bool {
        self.writes.fetch_add(1, Ordering::SeqCst) == self.fails
    }

    fn is_pending(&self) -> bool {
        self.writes.load(Ordering::SeqCst) <= self.fails
    }
}

fn fault() -> StorageError {
    StorageError::new(StorageErrorKind::Transient, "write", &"a test", None)
}

impl ImmutableObjects for Failing {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let fails = self.fails_now();
        if !fails || self.persists {
            self.memory.create(objects).await?;
        }
        if fails { Err(fault().into()) } else { Ok(()) }
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        self.memory.read(path).await
    }
}

impl MutableObjects for Failing {
    type Version = Bytes;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        self.memory.read_version(path).await
    }

    async fn put(&self, path: &ObjectPath, body: Bytes, expected: Option<Bytes>) -> Result<Bytes, PutError> {
        let fails = self.fails_now();
        let put =
            if !fails || self.persists { self.memory.put(path, body, expected).await } else { Ok(body) };
        if fails { Err(fault().into()) } else { put }
    }
}

#[tokio::test]
async fn an_interrupted_copy_goes_on_where_it_was() {
    let log = TestLog::of(140_000); // three batches
    let whole = implied(140_000);
    for persists in [false, true] {
        for fails in 0.. {
            let memory = Memory::new();
            let failing = Failing::new(&memory, fails, persists);
            let copied = copy(&log, &failing, NEW()).await;
            if failing.is_pending() {
                copied.unwrap();
                assert_eq!(fails, 7, "a mark before the first batch, and a batch and a mark for each");
                break;
            }
            copied.unwrap_err();
            let again = copy(&log, &memory, NEW()).await.unwrap();
            let behind = (fails + usize::from(persists)).saturating_sub(1) / 2 * 65_536;
            assert_eq!(again.from, (behind as u64).min(140_000 / 256 * 256), "write {fails}, {persists}");
            assert_eq!(tiles(&memory), whole);
        }
    }
}

/// What an interrupted run wrote is seen, and may not be durable: equal bytes are no proof.
#[tokio::test]
async fn what_an_interrupted_run_may_have_written_is_written_anew() {
    let (log, memory) = (TestLog::of(70_000), Memory::new());
    copy(&log, &memory, NEW()).await.unwrap();
    for name in ["tile/entries/001", "tile/entries/270"] {
        memory.tamper(&path(name), None);
    }
    // It mends the first batch, and fails in the second, having written it.
    let failing = Failing::new(&memory, 3, true);
    copy(&log, &failing, Existing::Mend).await.unwrap_err();
    let whole = tiles(&memory);
    assert_eq!(whole, implied(70_000));
    let second = whole.len() as u64 - 2 * 256 - 1; // all but the objects of the first batch
    assert_eq!(copy(&log, &memory, Existing::Mend).await.unwrap().objects, second);
    assert_eq!(copy(&log, &memory, Existing::Mend).await.unwrap().objects, 0, "the mark is closed");
}

#[tokio::test]
async fn a_mark_is_not_believed_where_the_objects_are_gone() {
    let (log, memory) = (TestLog::of(700), Memory::new());
    copy(&log, &memory, NEW()).await.unwrap();
    for name in tiles(&memory).keys() {
        memory.tamper(&path(name), None);
    }
    assert_eq!(copy(&log, &memory, NEW()).await.unwrap().from, 0);
    assert_eq!(tiles(&memory), implied(700));
}
