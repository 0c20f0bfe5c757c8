//! What a load does with a head that holds unfinished rounds, and what it leaves alone.

use bytes::Bytes;
use kiln_sequencer::HeadRecord;
use kiln_simulator::faulty::{Faults, FaultyRegister, FaultyStore};
use kiln_simulator::world::{Ledger, Patience, SeededEnvironment, entries, live, simulate, trusted_log};
use kiln_storage::{Memory, MemoryRegister, Register, Store};

struct World {
    memory: Memory,
    guard: MemoryRegister,
    ledger: Ledger,
}

impl World {
    fn new() -> Self {
        Self { memory: Memory::new(), guard: MemoryRegister::default(), ledger: Ledger::default() }
    }

    /// One life of a process without faults; returns the sizes that it signed.
    async fn live(&mut self, rounds: &[Vec<Bytes>]) -> Vec<u64> {
        let store = FaultyStore::new(self.memory.clone(), Faults::none());
        let guard = FaultyRegister::new(self.guard.clone(), Faults::none());
        let (environment, patience) = (SeededEnvironment::new(1), Patience::UntilAcknowledged);
        live(store.clone(), guard, environment, &mut self.ledger, rounds, patience)
            .await
            .expect("a sound log");
        store
            .put_checkpoints()
            .iter()
            .map(|note| trusted_log().open(note).expect("signed").head().size())
            .collect()
    }

    async fn head(&self) -> HeadRecord {
        let value = self.memory.head().load().await.expect("memory").value;
        HeadRecord::parse(&value.expect("a head")).expect("a record")
    }
}

/// Readers had seen the larger tree, when a load signed the one before its rounds on the way.
#[test]
fn a_load_signs_for_the_size_of_the_head_alone() {
    simulate(async {
        let mut world = World::new();
        world.live(&[entries("first", 10), entries("second", 10)]).await;
        world.memory.tamper(&"checkpoint".parse().expect("a name"), None);
        assert_eq!(world.live(&[]).await, [20]);
        assert_eq!(world.ledger.check_at_rest(&world.memory).await, 20);
    });
}

#[test]
fn the_time_of_rounds_never_goes_back() {
    simulate(async {
        let (mut world, mut time) = (World::new(), 0);
        // The clock steps back within a life, and far back between two.
        for (life, rounds) in [20, 1, 10, 1].into_iter().enumerate() {
            let rounds: Vec<_> =
                (0..rounds).map(|round| entries(&format!("life {life}, round {round}"), 1)).collect();
            world.live(&rounds).await;
            let now = world.head().await.time();
            assert!(now >= time && now > 0, "life {life}: from {time} to {now}");
            time = now;
        }
    });
}
