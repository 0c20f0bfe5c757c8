//! What a mirror knows after it ended, in whatever way.

use std::sync::atomic::Ordering;

use crate::world::{NOW, World, implied, log, shown_size, upload};

#[tokio::test]
async fn an_upload_goes_on_where_it_was_after_each_restart() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    // Up to the middle of a block, so that its beginning has to be read back.
    door.pend(&log, 0, 300).await;
    door.mirrored(&log, 0, 300).await;
    door.pend(&log, 300, 2000).await;
    door.close().await;
    let (mut start, mut ticket) = (300, Vec::new());
    loop {
        let door = world.door(&[&log]).await;
        let reply = door.add_entries(&upload(&log, start, 2000, &ticket, 1)).await;
        door.close().await;
        if reply.status == 200 {
            break;
        }
        let info = reply.expect(202).info();
        assert!(info.next() > start, "{} after {start}", info.next());
        (start, ticket) = (info.next(), info.ticket().to_vec());
    }
    for (path, body) in implied(&log, 2000) {
        assert!(world.public(&log, &path) == Some(body), "{path}");
    }
    assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 2000);
    // What was held and not asked for by a checkpoint leaves nothing behind.
    let mut names: Vec<_> = world.all_public(&log).into_keys().collect();
    let expected = implied(&log, 2000).into_keys().chain(implied(&log, 300).into_keys());
    let expected: std::collections::BTreeSet<_> = expected.chain(["checkpoint".to_owned()]).collect();
    names.sort();
    assert_eq!(names, expected.into_iter().collect::<Vec<_>>());
}

/// A mirror that was killed after its checkpoint had moved and before it was signed: readers saw the tree before, and
/// nobody asked for the signature again.
#[tokio::test]
async fn what_was_mirrored_and_not_signed_is_signed_at_the_next_start() {
    let (world, log) = (World::new(), log());
    let door = world.door(&[&log]).await;
    door.pend(&log, 0, 300).await;
    let answer = door.add_entries(&upload(&log, 0, 300, b"", 9)).await.expect(200).body;
    door.close().await;
    forget_cosigned(&world, &log);
    let copies = world.path("copies").join(log.log().origin_hash().to_hex());
    std::fs::remove_file(copies.join("public/checkpoint")).unwrap();
    world.clock.0.store(NOW + 1000, Ordering::SeqCst);

    let mirror = world.mirror(&[&log]);
    assert_eq!(mirror.recover().await.unwrap(), 1);
    let door = crate::world::Door::open(mirror).await;
    let shown = door.read(&log, "checkpoint").await.expect(200).body;
    assert_eq!(shown_size(&log, &shown), 300);
    assert!(String::from_utf8(shown).unwrap().ends_with(str::from_utf8(&answer).unwrap()), "the same bytes");
    door.read(&log, "tile/entries/000").await.expect(200);
    door.close().await;
    assert_eq!(world.mirror(&[&log]).recover().await.unwrap(), 0, "nothing is left over");
}

fn forget_cosigned(world: &World, log: &crate::testing::TestLog) {
    let database = redb::Database::open(world.path("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let table: redb::TableDefinition<'_, &[u8; 32], &[u8]> = redb::TableDefinition::new("cosigned");
    let forgotten =
        transaction.open_table(table).unwrap().remove(log.log().origin_hash().as_bytes()).unwrap().is_some();
    assert!(forgotten);
    transaction.commit().unwrap();
}

/// A disk that changed what stands at the right edge: the last bundle, or the last tile of a level. The root is computed
/// from these, and a tree that hashes to another is never signed. What stands further left is not read again, which is
/// for `kiln fsck`.
#[tokio::test]
async fn a_copy_whose_right_edge_was_damaged_is_not_signed() {
    for path in ["tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"] {
        let (world, log) = (World::new(), log());
        let door = world.door(&[&log]).await;
        door.pend(&log, 0, 600).await;
        door.mirrored(&log, 0, 600).await;
        door.pend(&log, 600, 700).await;
        door.close().await;
        let file = world.path("copies").join(log.log().origin_hash().to_hex()).join("public").join(path);
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let door = world.door(&[&log]).await;
        let status = door.add_entries(&upload(&log, 600, 700, b"", 9)).await.status;
        assert_eq!(status, 503, "{path}");
        door.close().await;
        assert_eq!(shown_size(&log, &world.public(&log, "checkpoint").unwrap()), 600);
    }
}
