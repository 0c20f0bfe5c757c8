//! Somebody who sends entries, to whichever process takes them, and tells the checker what was
//! answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_sequencer::{Answer, Entry, Refusal, Wait};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::plan;
use super::process::Doors;
use super::world::World;

/// Somebody who sends entries.
pub(crate) struct Submitter {
    pub(crate) name: String,
    pub(crate) plan: plan::Submitter,
    pub(crate) world: Arc<World>,
    pub(crate) doors: Doors,
    pub(crate) rng: fastrand::Rng,
}

impl Submitter {
    /// Sends all that it has to, unless it is told to go home before.
    pub(crate) async fn submit_all(mut self, home: watch::Receiver<bool>) {
        for number in 0..self.plan.submissions {
            sleep(Duration::from_millis(self.rng.u64(..=self.plan.pause))).await;
            let batch = self.draw_batch(number);
            let wait = if self.rng.bool() { Wait::Sequenced } else { Wait::Published };
            // An error means that nothing is known; who minds tries again.
            let tries = if self.rng.u8(..4) == 0 { 1 } else { 8 };
            for _ in 0..tries {
                if *home.borrow() {
                    return;
                }
                if self.submit(&batch, wait).await.is_some() {
                    break;
                }
            }
        }
    }

    fn draw_batch(&mut self, number: usize) -> Vec<Bytes> {
        let first = if number == 0 { self.plan.first } else { 0 };
        let count = first + self.rng.usize(1..=self.plan.batch);
        let mut sent = self.world.sent();
        let mut draw = |index: usize| {
            if !sent.is_empty() && self.rng.f64() < self.plan.again {
                return sent[self.rng.usize(..sent.len())].clone();
            }
            let entry = Bytes::from(format!("{} {number}.{index}", self.name));
            sent.push(entry.clone());
            entry
        };
        (0..count).map(&mut draw).collect()
    }

    /// Tries one process after another, beginning anywhere.
    async fn submit(&mut self, batch: &[Bytes], wait: Wait) -> Option<Answer> {
        let first = self.rng.usize(..self.doors.count());
        for next in 0..self.doors.count() {
            let process = (first + next) % self.doors.count();
            if let Some(answer) = self.submit_to(process, batch, wait).await {
                return Some(answer);
            }
        }
        sleep(Duration::from_millis(self.rng.u64(50..2_000))).await;
        None
    }

    async fn submit_to(&self, process: usize, batch: &[Bytes], wait: Wait) -> Option<Answer> {
        let door = self.doors.get(process)?;
        let entries = batch.iter().map(|entry| Entry::new(entry.clone()).expect("an entry")).collect();
        let answer = timeout(Duration::from_secs(self.plan.patience), door.submit(entries, wait)).await;
        match answer {
            Ok(Ok(answer)) => {
                self.tell(process, batch, wait, &answer);
                Some(answer)
            }
            Ok(Err(Refusal::Closed)) => None,
            Ok(Err(_)) => {
                self.world.count("refusals with an open outcome");
                None
            }
            Err(_) => {
                self.world.count("submitters that lost patience");
                None
            }
        }
    }

    fn tell(&self, process: usize, batch: &[Bytes], wait: Wait, answer: &Answer) {
        let (first, count) = (answer.indices[0], batch.len());
        self.world.note(
            Some(process),
            format_args!("answers {} with {first}, {count} entries, {wait:?}", self.name),
        );
        self.world.trace().counts.add("entries answered", count as u64);
        self.world.check(|checker| checker.answered(batch, answer, wait));
    }

    /// Sends one entry that nobody sent before, until some process has published it.
    pub(crate) async fn submit_until_published(&mut self, number: usize) -> Answer {
        let entry = [Bytes::from(format!("{} {number}", self.name))];
        loop {
            if let Some(answer) = self.submit(&entry, Wait::Published).await {
                return answer;
            }
        }
    }
}
