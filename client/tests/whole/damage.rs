//! Each kind of object, damaged in each way: a client believes none of it, and `check_log` names it.

use crate::common::{TestLog, blamed, entry, head, trusted};
use kiln_client::tiles::{BundleCoord, Hash};
use kiln_client::{BadLog, Client, ClientError, Fault, Progress};

/// 65,536 + 2 x 256 + 3: full and partial tiles on level 0 and 1, a partial one on level 2.
const SIZE: u64 = 66_051;

const OBJECTS: [&str; 12] = [
    "checkpoint",
    "tile/0/000",
    "tile/0/100",
    "tile/0/256",
    "tile/0/257",
    "tile/0/258.p/3",
    "tile/1/000",
    "tile/1/001.p/2",
    "tile/2/000.p/1",
    "tile/entries/000",
    "tile/entries/257",
    "tile/entries/258.p/3",
];

/// Every way to damage an object; `None` loses it.
fn damages(good: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flip = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        Some(bytes)
    };
    vec![
        ("first byte flipped", flip(0)),
        ("a byte in the middle flipped", flip(good.len() / 2)),
        ("last byte flipped", flip(good.len() - 1)),
        ("last byte cut off", Some(good[..good.len() - 1].to_vec())),
        ("empty", Some(Vec::new())),
        ("a byte too long", Some([good, &[0]].concat())),
        ("much too long", Some(good.repeat(3))),
        ("lost", None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn check_log_names_every_object_that_is_damaged_in_any_way() {
    let log = TestLog::of(SIZE);
    for path in OBJECTS {
        let good = log.source.get(path).unwrap();
        for (how, bytes) in damages(&good) {
            match bytes {
                Some(bytes) => log.source.insert(path, bytes),
                None => drop(log.source.remove(path)),
            }
            let error = log.client().check_log(|_| {}).await.expect_err(how);
            assert_eq!(blamed(&error), path, "{how}: {error}");
            assert!(error.is_bad_log());
        }
        log.source.insert(path, good);
    }
    log.client().check_log(|_| {}).await.unwrap();
}

#[tokio::test]
async fn check_log_counts_what_it_read() {
    for (size, tiles, bundles) in [(1, 1, 1), (255, 1, 1), (256, 2, 1), (257, 3, 2), (SIZE, 262, 259)] {
        let log = TestLog::of(size);
        let mut last = None;
        let checked = log.client().check_log(|progress| last = Some(progress)).await.unwrap();
        assert_eq!((checked.tiles, checked.bundles), (tiles, bundles), "{size}");
        let published = log.source.paths().len() as u64;
        assert_eq!(tiles + bundles + 1, published, "everything that is there was read");
        assert_eq!(checked.checkpoint.head(), head(size));
        assert_eq!(checked.entry_bytes, (0..size).map(|i| entry(i).len() as u64).sum::<u64>());
        assert_eq!(last, Some(Progress { done: size, total: size }));
    }
}

/// A tile that verified an hour ago may be damaged now: caches must not hide it.
#[tokio::test]
async fn check_log_reads_what_is_served_now() {
    let log = TestLog::of(SIZE);
    let client = log.client();
    for index in [0, 65_535, 66_050] {
        client.prove(index).await.unwrap();
    }
    log.source.remove("tile/1/000");
    client.prove(0).await.expect("from memory");
    assert_eq!(blamed(&client.check_log(|_| {}).await.unwrap_err()), "tile/1/000");
}

/// Two objects damaged so that they go together: the tile says what the bundle says, and the tree
/// says otherwise.
#[tokio::test]
async fn a_tile_and_a_bundle_that_lie_together_are_not_believed() {
    let log = TestLog::of(600);
    let mut other = TestLog::empty();
    other.append((0..600).map(|i| if i == 300 { b"forged".to_vec() } else { entry(i) }));
    for path in ["tile/0/001", "tile/entries/001"] {
        log.source.insert(path, other.source.get(path).unwrap());
    }
    assert_eq!(blamed(&log.client().check_log(|_| {}).await.unwrap_err()), "tile/0/001");
    assert_eq!(blamed(&log.client().get(300).await.unwrap_err()), "tile/entries/001");
    assert_eq!(blamed(&log.client().prove(300).await.unwrap_err()), "tile/0/001");
    assert_eq!(log.client().get(0).await.unwrap(), entry(0), "the rest is as good as before");
}

/// A changed entry is named where the leaf hashes are known.
#[tokio::test]
async fn a_forged_entry_is_named() {
    let log = TestLog::of(600);
    let mut other = TestLog::empty();
    other.append((0..600).map(|i| if i == 599 || i == 300 { b"forged".to_vec() } else { entry(i) }));
    let put = |path: &str| log.source.insert(path, other.source.get(path).unwrap());
    let fault = |error| match error {
        ClientError::BadLog(BadLog::Damaged { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    put("tile/entries/002.p/88");
    assert_eq!(fault(log.client().get(599).await.unwrap_err()), Fault::Entry(599));
    put("tile/entries/001");
    assert_eq!(fault(log.client().check_log(|_| {}).await.unwrap_err()), Fault::Entry(300));
}

/// After the first error a stream says nothing more: not the entries behind it either.
#[tokio::test]
async fn a_stream_ends_at_the_first_damage() {
    let log = TestLog::of(SIZE);
    log.source.insert("tile/entries/002", vec![0; 600]);
    let mut entries = log.client().entries(..);
    for index in 0..512 {
        assert_eq!(entries.next().await.unwrap().unwrap().0, index);
    }
    assert_eq!(blamed(&entries.next().await.unwrap().unwrap_err()), "tile/entries/002");
    for _ in 0..5 {
        assert!(entries.next().await.is_none());
    }
}

/// A damaged tile on the way of a search must not hide the entry that it looks for.
#[tokio::test]
async fn a_search_believes_no_damaged_tile() {
    let log = TestLog::of(SIZE);
    let mut tile = log.source.get("tile/0/100").unwrap().to_vec();
    tile[8_191] ^= 1;
    log.source.insert("tile/0/100", tile);
    let error = log.client().find(Hash::leaf(&entry(0)), .., |_| {}).await.unwrap_err();
    assert_eq!(blamed(&error), "tile/0/100");
}

/// A log of `size` that grew to `later`, from which the partial tiles and bundles of `size` were
/// deleted; it still serves the checkpoint of `size`, as a CDN would.
fn collected(size: u64, later: u64) -> TestLog {
    let mut log = TestLog::of(size);
    log.grow_to(later);
    for path in log.source.paths().iter().filter(|path| path.contains(".p/")) {
        let full = path.split_once(".p/").unwrap().0;
        if log.source.get(full).is_some() {
            log.source.remove(path);
        }
    }
    log.serve(head(size));
    log
}

#[tokio::test]
async fn where_a_partial_object_is_gone_the_full_one_is_read() {
    for (size, later) in [(255, 256), (300, 512), (257, 70_000), (66_051, 131_072)] {
        let log = collected(size, later);
        let partial = BundleCoord::holding(size - 1, size).unwrap();
        assert_eq!(log.source.get(&partial.to_string()), None, "{partial} is gone");
        assert_eq!(log.source.get(&partial.leaf_tile().to_string()), None);
        let client = log.client();
        assert_eq!(client.update().await.unwrap().checkpoint.head(), head(size));
        for index in [0, size / 2, size - 1] {
            assert_eq!(client.get(index).await.unwrap(), entry(index));
            let proof = client.prove(index).await.unwrap();
            assert_eq!(proof.verify(Hash::leaf(&entry(index)), &trusted()).unwrap().head().size(), size);
        }
        let mut entries = client.entries(..);
        let mut count = 0;
        while entries.next().await.transpose().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, size, "no entry of the later tree");
        client.check_log(|_| {}).await.unwrap();
    }
}

/// The full object that stands in for a partial one is named when it is the one at fault.
#[tokio::test]
async fn a_damaged_stand_in_is_named() {
    for path in ["tile/0/001", "tile/entries/001"] {
        let log = collected(300, 512);
        let mut bytes = log.source.get(path).unwrap().to_vec();
        bytes[5] ^= 1;
        log.source.insert(path, bytes);
        let error = log.client().check_log(|_| {}).await.unwrap_err();
        assert_eq!(blamed(&error), path, "{error}");
    }
}

/// What is behind the part that the checkpoint covers is not this tree's business.
#[tokio::test]
async fn damage_beyond_the_tree_does_no_harm() {
    let log = collected(300, 512);
    let mut tile = log.source.get("tile/0/001").unwrap().to_vec();
    tile[32 * 44] ^= 1; // hash 44, entry 300
    log.source.insert("tile/0/001", tile);
    log.client().check_log(|_| {}).await.unwrap();
}

#[tokio::test]
async fn a_bundle_with_an_entry_too_many_is_refused() {
    let log = TestLog::of(3);
    let mut bytes = log.source.get("tile/entries/000.p/3").unwrap().to_vec();
    bytes.extend([0, 1, b'x']);
    log.source.insert("tile/entries/000.p/3", bytes);
    let client = Client::new(log.source.clone(), trusted());
    assert_eq!(blamed(&client.get(0).await.unwrap_err()), "tile/entries/000.p/3");
}
