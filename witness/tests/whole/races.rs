//! Many writers on one origin.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::door::Door;
use crate::testing::TestLog;
use crate::world::World;

/// Each of 64 says that it extends the same tree, in another way: one is right, and no size goes back.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_extend_one_tree_one_is_granted() {
    let (world, log) = (World::new(), Arc::new(TestLog::new("example.com/log")));
    let door = Arc::new(Door::open(world.witness(&[&log], None)).await);
    let mut old = 0;
    for _ in 0..5 {
        let mut writers = JoinSet::new();
        for more in 1..=64 {
            let (door, log) = (door.clone(), log.clone());
            writers.spawn(async move {
                let reply = door.add(&log.request(old, old + more)).await;
                (old + more, reply.status, reply.body)
            });
        }
        let answers = writers.join_all().await;
        let granted: Vec<u64> =
            answers.iter().filter(|answer| answer.1 == 200).map(|answer| answer.0).collect();
        let [size] = granted[..] else { panic!("{granted:?}") };
        for (_, status, body) in answers.iter().filter(|answer| answer.0 != size) {
            assert_eq!((*status, body.as_str()), (409, format!("{size}\n").as_str()));
        }
        old = size;
    }
    // Some grow the log, others repeat what they saw: whatever was granted is at least as large as all before it.
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let (door, log) = (door.clone(), log.clone());
        writers.spawn(async move {
            let mut known = old;
            for _ in 0..20 {
                let reply = door.add(&log.request(known, known + 1)).await;
                let next =
                    if reply.status == 200 { known + 1 } else { reply.body.trim_end().parse().unwrap() };
                assert!(next > known, "{next} after {known}: {}", reply.status);
                known = next;
            }
        });
    }
    writers.join_all().await;
    Arc::into_inner(door).unwrap().close().await;
}
