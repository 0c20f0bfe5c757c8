//! Partial tiles of earlier trees in a folder: what `check_log` does not read, since no checkpoint of now
//! implies it.

use std::fs;

use crate::common::{TestLog, blamed, trusted};
use kiln_client::{Client, ClientError, FolderSource, Leftovers};
use tempfile::TempDir;

/// A log that published at each of these sizes, in a folder.
fn folder_of(sizes: &[u64]) -> TempDir {
    let (folder, mut log) = (tempfile::tempdir().unwrap(), TestLog::empty());
    sizes.iter().for_each(|&size| log.grow_to(size));
    for path in log.source.paths() {
        let file = folder.path().join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, log.source.get(&path).unwrap()).unwrap();
    }
    folder
}

async fn check(folder: &TempDir) -> Result<Leftovers, ClientError> {
    let source = FolderSource::new(folder.path());
    let client = Client::new(source.clone(), trusted());
    let checked = client.check_log(|_| {}).await.unwrap();
    client.check_leftovers(&source, &checked).await
}

/// A partial tile that was damaged stayed unnoticed for as long as the full one was sound, while readers of
/// an earlier checkpoint failed on it.
#[tokio::test]
async fn every_byte_of_an_earlier_tile_counts() {
    let folder = folder_of(&[1, 2, 300, 65_535, 65_537, 65_800, 131_100]);
    let found = check(&folder).await.unwrap();
    // At level 0 the widths 1 and 2 of tile 0, 44 of 1, 255 of 255, 1 of 256 and 8 of 257, each with its
    // bundle; the upper levels have some of their own.
    assert_eq!(found.bundles, 6, "{found:?}");
    assert!(found.tiles > 8, "{found:?}");
    for path in ["tile/0/000.p/2", "tile/0/255.p/255", "tile/1/000.p/255", "tile/entries/001.p/44"] {
        let (file, mut bytes) = (folder.path().join(path), fs::read(folder.path().join(path)).unwrap());
        for at in [0, bytes.len() - 1] {
            bytes[at] ^= 1;
            fs::write(&file, &bytes).unwrap();
            let error = check(&folder).await.unwrap_err();
            assert_eq!(blamed(&error), path, "byte {at}: {error}");
            bytes[at] ^= 1;
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(check(&folder).await.unwrap(), found);
}

#[tokio::test]
async fn a_thousand_files_that_are_none_of_the_log_are_counted_and_a_few_named() {
    let folder = folder_of(&[3]);
    for number in 0..1_000 {
        fs::write(folder.path().join(format!("tile/0/note {number}")), b"?").unwrap();
    }
    fs::write(folder.path().join("tile/0/001"), b"?").unwrap();
    let found = check(&folder).await.unwrap();
    assert_eq!((found.unknown.count, found.unknown.first.len()), (1_000, kiln_client::Files::NAMED));
    assert_eq!((found.beyond.count, &found.beyond.first[..]), (1, &["tile/0/001".to_owned()][..]));
    assert_eq!((found.tiles, found.bundles), (0, 0));
    let nothing = check(&folder_of(&[])).await.unwrap();
    assert_eq!(nothing, Leftovers::default());
}
