//! The end of a run: the faults stop, and within an hour all must be well again.

use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::Status;
use kiln_tiles::{Hash, Node, Proof, Subtree, TreeHead};
use tokio::time::{Instant, sleep};

use super::checker::Checker;
use super::eye::Reader;
use super::process::{Place, Process};
use super::stage::Stage;
use super::submit::Submitter;
use super::world::Latency;
use crate::check::check_log;
use crate::world::trusted_log;

/// Within this time a log recovers by itself when the faults are gone.
const RECOVERY: Duration = Duration::from_secs(3600);

impl Stage {
    /// Stops the faults. A fresh entry must be taken and published, also after whatever is late has
    /// come and whoever slept has woken; at last the power goes out, and everything is verified as a
    /// reader would.
    ///
    /// `sleepers`: whether those who sleep now are woken after the first entry, not before.
    pub(crate) async fn end_well(&mut self, mut last: Submitter, sleepers: bool) {
        self.stop_faults();
        if !sleepers || matches!(self.place, Place::Machine(_)) || self.processes.len() == 1 {
            self.wake_all();
        }
        self.expect_progress(&mut last, 1).await;
        self.wake_all();
        let quiet = Instant::now() + Duration::from_secs(12);
        self.pass_until(quiet.max(self.world.late_until().unwrap_or(quiet))).await;
        self.expect_progress(&mut last, 2).await;
        if self.is_frozen() {
            self.expect_rest(&mut last).await;
        }
        self.stop_all().await;
        self.lose_power();
        if self.world.violation().is_none() && !self.is_tampered() {
            self.verify_as_a_reader().await;
        }
    }

    fn stop_faults(&self) {
        self.world.note(None, format_args!("the faults stop"));
        let mut weather = self.world.weather();
        (weather.faults, weather.signer, weather.storm, weather.outage) = (0.0, 0.0, None, None);
        weather.latency = Latency { usual: weather.latency.usual.min(20), worst: 20, rare: 10 };
        if let Place::Machine(disk) = &self.place {
            disk.stop_trouble();
        }
    }

    fn wake_all(&self) {
        self.processes.iter().for_each(|process| process.link.wake());
    }

    fn is_tampered(&self) -> bool {
        self.world.check(|checker| Ok(checker.is_tampered()))
    }

    fn is_frozen(&self) -> bool {
        self.world.check(|checker| Ok(checker.is_frozen()))
    }

    /// Of a log that has ended each process finds so, and none takes an entry. One that was idle finds it when
    /// somebody submits.
    async fn expect_rest(&mut self, late: &mut Submitter) {
        let until = Instant::now() + RECOVERY;
        let rests =
            |process: &Process| process.freezes || matches!(process.status(), Some(Status::Frozen(_)));
        let mut taken = std::pin::pin!(late.submit_until_published(3));
        while !self.processes.iter().all(rests) && self.world.violation().is_none() {
            if Instant::now() > until {
                let all: Vec<_> =
                    self.processes.iter().map(|process| process.status().map(|s| s.to_string())).collect();
                self.world
                    .violate(format!("an hour without faults, and a frozen log is not at rest: {all:?}"));
            }
            tokio::select! {
                biased;
                _ = &mut taken => self.world.violate("a log took an entry after its end".into()),
                () = sleep(Duration::from_millis(200)) => self.look().await,
            }
        }
        self.world.count("frozen logs at rest");
    }

    /// A log that has ended makes no progress. After a store went back in time nobody promises that it goes on, only that nothing is
    /// contradicted; it is given a minute for that.
    async fn expect_progress(&mut self, last: &mut Submitter, number: usize) {
        let asked = !self.is_tampered();
        let until = Instant::now() + if asked { RECOVERY } else { Duration::from_secs(60) };
        let mut published = std::pin::pin!(last.submit_until_published(number));
        while Instant::now() < until && self.world.violation().is_none() {
            if self.is_frozen() {
                return;
            }
            tokio::select! {
                biased;
                _ = &mut published => return,
                () = sleep(Duration::from_millis(200)) => self.look().await,
            }
        }
        if asked {
            let all: Vec<_> =
                self.processes.iter().map(|process| process.status().map(|s| s.to_string())).collect();
            self.world.violate(format!("an hour without faults, and nothing is published: {all:?}"));
        }
    }

    async fn stop_all(&mut self) {
        let alarmed = |status: Option<Status>| matches!(status, Some(Status::Alarmed(_)));
        let alarms = self.processes.iter().filter(|process| alarmed(process.status())).count();
        self.world.trace().counts.add("processes with an alarm at the end", alarms as u64);
        for process in &mut self.processes {
            process.stop();
        }
        for process in &mut self.processes {
            let until = Instant::now() + Duration::from_secs(300);
            while process.lives() && process.ended().await.is_none() {
                if Instant::now() > until {
                    self.world.violate("a process does not stop".into());
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// What nobody works on any more is durable.
    fn lose_power(&self) {
        if let Place::Machine(disk) = &self.place {
            disk.cut_power();
            disk.restore_power();
            self.world.check(Checker::look_after_power_cut);
        }
    }

    async fn verify_as_a_reader(&self) {
        let checked = check_log(&Reader::of(&self.place), &trusted_log()).await;
        let head = checked.checkpoint.expect("a checkpoint was published").head();
        self.world.check(|checker| {
            checker.check_all_that_was_published("the end of the run")?;
            checker
                .answers()
                .iter()
                .try_for_each(|(entry, index)| check_entry(&checked.entries, entry, *index))?;
            let newest = checker.answers().values().max().copied();
            newest.map_or(Ok(()), |newest| prove(&checked.entries, newest, head))
        });
    }
}

fn check_entry(log: &[Bytes], entry: &Bytes, index: u64) -> Result<(), String> {
    let found = usize::try_from(index).ok().and_then(|index| log.get(index));
    if found == Some(entry) {
        Ok(())
    } else {
        Err(format!("index {index} was answered for {entry:?}, and holds {found:?}"))
    }
}

/// The inclusion proof of the entry at this index verifies against the published checkpoint.
fn prove(log: &[Bytes], index: u64, tree: TreeHead) -> Result<(), String> {
    let leaves: Vec<Hash> = log.iter().map(|entry| Hash::leaf(entry)).collect();
    let leaf = Subtree::new(index, index + 1).ok_or("no leaf has this index")?;
    let proof = Proof::make(leaf, tree.size(), |node| hash(&leaves, node)).ok_or("there is no proof")?;
    let at = usize::try_from(index).map_err(|error| error.to_string())?;
    proof.verify_inclusion(index, leaves[at], tree).map_err(|error| format!("index {index}: {error}"))
}

/// The hash of a whole node, from its leaves.
fn hash(leaves: &[Hash], node: Node) -> Option<Hash> {
    if node.level() == 0 {
        return usize::try_from(node.index()).ok().and_then(|index| leaves.get(index)).copied();
    }
    let below = |index| Node::new(node.level() - 1, index).and_then(|below| hash(leaves, below));
    Some(Hash::node(below(node.index() * 2)?, below(node.index() * 2 + 1)?))
}
