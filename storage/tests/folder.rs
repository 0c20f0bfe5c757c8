//! What a folder does beyond the contract.

use std::fs;

use bytes::Bytes;
use kiln_storage::{
    Folder, ImmutableObjects, Loaded, Object, ObjectPath, PartialObjects, PartialPath, Register,
    StorageErrorKind, Store,
};

fn open(root: &std::path::Path, owner: &str) -> Folder {
    Folder::open(root, owner.into()).expect("a folder")
}

#[tokio::test]
async fn a_second_writer_is_told_who_holds_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path(), "kiln 0.1.0, process 1 on host");
    let held = first.head().load().await.unwrap();
    let second = open(root.path(), "another");
    let error = second.head().load().await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Held);
    assert!(error.to_string().contains("held by kiln 0.1.0, process 1 on host"), "{error}");
    drop(held);
    second.head().load().await.expect("the first let go");
}

#[tokio::test]
async fn public_and_private_stand_apart() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), "a test");
    let object = |path: &str| Object { path: path.parse().unwrap(), body: Bytes::from_static(b"x") };
    folder.create(vec![object("tile/0/x001/234.p/5"), object("private/lease")]).await.unwrap();
    assert!(root.path().join("public/tile/0/x001/234.p/5").is_file());
    assert!(root.path().join("private/lease").is_file());
    assert!(!root.path().join("public/private").exists());
    let left: Vec<_> = fs::read_dir(root.path().join("private/new")).unwrap().collect();
    assert!(left.is_empty(), "files on their way are gone");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(root.path().join("private")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test]
async fn a_damaged_slot_falls_back_to_the_value_before() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), "a test");
    let Loaded { held, .. } = folder.head().load().await.unwrap();
    let held = folder.head().swap(held, Bytes::from_static(b"first")).await.unwrap();
    drop(folder.head().swap(held, Bytes::from_static(b"second")).await.unwrap());
    // Sequence 2 stands in slot 0, as after a power cut in the middle of its write.
    let slot = root.path().join("private/head/0");
    let torn = fs::read(&slot).unwrap();
    fs::write(&slot, &torn[..torn.len() - 1]).unwrap();
    let again = open(root.path(), "a test");
    let Loaded { value, .. } = again.head().load().await.unwrap();
    assert_eq!(value, Some(Bytes::from_static(b"first")));
}

#[tokio::test]
async fn a_file_that_is_too_long_is_refused_and_not_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), "a test");
    let file = fs::File::create(root.path().join("public/checkpoint")).unwrap();
    file.set_len(kiln_storage::MAX_OBJECT_SIZE + 1).unwrap();
    let error = folder.read(&"checkpoint".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
}

/// A writer that recovers writes partial tiles anew while another process collects them, and takes away the folder
/// between the moment it is made and the rename into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_takes_no_folder_from_under_a_writer() {
    let root = tempfile::tempdir().unwrap();
    let (writer, collector) = (open(root.path(), "a writer"), open(root.path(), "a collector"));
    let name = |width: u64| format!("tile/0/000.p/{}", width % 255 + 1);
    let collecting = tokio::spawn(async move {
        for round in 0..2000 {
            let paths = [round, round + 1].map(|width| name(width).parse::<ObjectPath>().unwrap());
            let partials = paths.map(|path| PartialPath::try_from(path).unwrap());
            collector.remove_partials(partials.into()).await.expect("what is gone is gone");
        }
    });
    for round in 0..100 {
        let objects = [round, round + 1]
            .map(|width| Object { path: name(width).parse().unwrap(), body: Bytes::from_static(b"x") });
        // A round tries as often as this.
        for attempt in 0..4 {
            match writer.create(objects.to_vec()).await {
                Ok(()) => break,
                Err(error) => assert!(attempt < 3, "{error}"),
            }
        }
    }
    collecting.await.unwrap();
}

#[tokio::test]
async fn the_folder_of_the_last_partial_tile_goes_with_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), "a test");
    let (names, partials) =
        (["tile/0/x001/234.p/5", "tile/0/x001/234.p/6"], root.path().join("public/tile/0/x001"));
    let object = |path: &str| Object { path: path.parse().unwrap(), body: Bytes::from_static(b"x") };
    let partial = |path: &str| PartialPath::try_from(object(path).path).unwrap();
    folder.create(names.map(object).into()).await.unwrap();
    folder.remove_partials(vec![partial(names[0])]).await.unwrap();
    assert!(partials.join("234.p/6").is_file(), "another tile is still in it");
    folder.remove_partials(vec![partial(names[1])]).await.unwrap();
    assert!(!partials.join("234.p").exists() && partials.is_dir());
    folder.create(names.map(object).into()).await.expect("it is made again");
}

/// Two wrote through one folder at once, and the names of files on their way came round after 1024: one file was renamed
/// into the place of another, and a tile had the bytes of a tile elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_write_at_once_write_each_its_own() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path(), "a test");
    let object = |writer: usize, number: usize| {
        let path: ObjectPath = format!("tile/{writer}/{number:03}").parse().unwrap();
        Object { body: Bytes::from(path.to_string()), path }
    };
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (folder, objects) = (folder.clone(), (0..256).map(|number| object(writer, number)).collect());
        writing.spawn(async move { folder.create(objects).await });
    }
    let written = writing.join_all().await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    for (writer, number) in (0..8).flat_map(|writer| (0..256).map(move |number| (writer, number))) {
        let Object { path, body } = object(writer, number);
        assert_eq!(folder.read(&path).await.unwrap(), Some(body));
    }
}
