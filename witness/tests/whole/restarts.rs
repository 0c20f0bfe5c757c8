//! What a witness knows after it ended, in whatever way.

use std::sync::atomic::Ordering;

use kiln_tiles::{Note, NoteSignature};
use kiln_witness::{Store, StoreError};

use crate::door::Door;
use crate::testing::TestLog;
use crate::world::{NOW, World};

#[tokio::test]
async fn a_witness_goes_on_where_it_was() {
    let (world, log) = (World::new(), TestLog::new("example.com/log"));
    for (old, size) in [(0, 4), (4, 9), (9, 9)] {
        let witness = world.witness(&[&log], None);
        assert_eq!(witness.recover().await.unwrap(), 0, "nothing is left over");
        let door = Door::open(witness).await;
        door.granted(&log.request(old, size)).await;
        door.close().await;
    }
    let store = Store::open(&world.path("state.redb")).unwrap();
    let shown = store.cosigned(log.log().origin_hash()).unwrap().unwrap();
    assert_eq!((shown.head(), shown.time()), (log.head(9), NOW));
    assert!(matches!(Store::open(&world.path("state.redb")), Err(StoreError::InUse)));
}

/// A witness that was killed between answer and write showed monitors an older checkpoint than it had cosigned, or none.
#[tokio::test]
async fn what_was_answered_and_not_written_is_shown_after_the_next_start_by_the_same_bytes() {
    let (world, log) = (World::new(), TestLog::new("example.com/log"));
    let door = Door::open(world.witness(&[&log], None)).await;
    door.granted(&log.request(0, 4)).await;
    door.close().await;
    let kept = std::fs::read(world.path("state.redb")).unwrap();
    let door = Door::open(world.witness(&[&log], None)).await;
    let answer = door.add(&log.request(4, 9)).await.expect(200).body;
    door.close().await;
    // The record of the grant, and not what was cosigned: as it stood when the commit was done.
    let after = Store::open(&world.path("state.redb")).unwrap();
    let granted = after.latest(log.log().origin_hash()).unwrap().unwrap();
    drop(after);
    std::fs::write(world.path("state.redb"), kept).unwrap();
    put_latest(&world, &log, granted.note(), granted.time());

    world.clock.0.store(NOW + 1000, Ordering::SeqCst);
    let witness = world.witness(&[&log], None);
    assert_eq!(witness.recover().await.unwrap(), 1);
    let door = Door::open(witness).await;
    door.close().await;
    let store = Store::open(&world.path("state.redb")).unwrap();
    let shown = store.cosigned(log.log().origin_hash()).unwrap().unwrap();
    let lines: String =
        shown.note().signatures()[1..].iter().map(|line: &NoteSignature| format!("{line}\n")).collect();
    assert_eq!(lines, answer);
}

/// Writes the table as the witness does.
fn put_latest(world: &World, log: &TestLog, note: &Note, time: u64) {
    let database = redb::Database::open(world.path("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&[u8; 32], &[u8]>::new("latest");
    let bytes = [&time.to_be_bytes(), note.to_string().as_bytes()].concat();
    transaction.open_table(table).unwrap().insert(log.log().origin_hash().as_bytes(), &bytes[..]).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_contradicts_nothing() {
    let (world, log) = (World::new(), TestLog::new("example.com/log"));
    let door = Door::open(world.witness(&[&log], None)).await;
    for (clock, time, size) in [
        (NOW, NOW, 1),
        (NOW - 30, NOW, 2),
        (NOW + 5, NOW + 5, 3),
        (NOW - 4000, NOW - 4000, 4), // what it said before was wrong
    ] {
        world.clock.0.store(clock, Ordering::SeqCst);
        assert_eq!(door.granted(&log.request(size - 1, size)).await, time, "the clock says {clock}");
    }
    // A clock that nobody has set signs nothing.
    world.clock.0.store(0, Ordering::SeqCst);
    let reply = door.add(&log.request(4, 5)).await.expect(503);
    assert_eq!(reply.header("retry-after"), "1");
    world.clock.0.store(NOW, Ordering::SeqCst);
    door.granted(&log.request(4, 5)).await;
    door.close().await;
}
