//! The stage of a run: starts the processes, lets happen what the seed planned, and sees that
//! whoever died comes back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kiln_sequencer::Status;
use tokio::time::{Instant, sleep};

use super::bucket::{Contents, HEAD};
use super::checker::Checker;
use super::event::Event;
use super::process::{End, Place, Process};
use super::world::{Storm, World};
use crate::disk::Trouble;

/// All that takes part in a run but the submitters.
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) place: Place,
    pub(crate) processes: Vec<Process>,
    /// When each process starts again that does not live.
    pub(crate) starts: Vec<Option<Instant>>,
    /// How long each process stays away once it has stopped.
    pub(crate) downs: Vec<Duration>,
    pub(crate) copy: Option<Copied>,
    /// Whether the log is to be ended, and it is not known yet that it was.
    pub(crate) freezing: bool,
}

/// A copy of the log's store.
pub(crate) enum Copied {
    Bucket(Contents),
    Machine(BTreeMap<PathBuf, Vec<u8>>),
}

/// How often it is looked whether all processes live that should.
const LOOK: Duration = Duration::from_millis(200);

impl Stage {
    /// Lets time pass, and whoever is due come back.
    pub(crate) async fn pass_until(&mut self, when: Instant) {
        while Instant::now() < when && self.world.violation().is_none() {
            sleep((when - Instant::now()).min(LOOK)).await;
            self.look().await;
        }
    }

    pub(crate) async fn look(&mut self) {
        for number in 0..self.processes.len() {
            self.look_at(number).await;
            let wanted = !self.processes[number].freezes || self.freezing;
            if wanted && self.starts[number].is_some_and(|start| start <= Instant::now()) {
                self.starts[number] = None;
                self.processes[number].start();
                if !self.processes[number].lives() {
                    self.start_in(number, Duration::from_secs(1)); // its disk fails
                }
            }
        }
    }

    async fn look_at(&mut self, number: usize) {
        let tampered = self.world.check(|checker| Ok(checker.is_tampered()));
        match self.processes[number].status() {
            Some(Status::Alarmed(error)) if !tampered => {
                self.world.violate(format!("a false alarm in process {number}: {error}"));
            }
            _ => {}
        }
        match self.processes[number].ended().await {
            Some(End::NotStarted(error)) if error.is_bad_log() && !tampered => {
                self.world.violate(format!("process {number} refused a sound log: {error}"));
            }
            Some(End::NotStarted(error)) => {
                self.world.note(Some(number), format_args!("did not start: {error}"));
                self.world.count("starts that failed");
                self.start_in(number, Duration::from_secs(2));
            }
            Some(End::Ran) if self.processes[number].freezes => self.freezing = false,
            Some(End::Ran) => {
                self.world.note(Some(number), format_args!("has stopped"));
                self.start_in(number, self.downs[number]);
            }
            None => {}
        }
    }

    fn start_in(&mut self, number: usize, down: Duration) {
        self.starts[number] = Some(Instant::now() + down);
    }

    async fn crash(&mut self, process: usize, down: Duration) {
        self.processes[process].crash().await;
        self.start_in(process, down);
    }

    /// Lets it happen.
    pub(crate) async fn act(&mut self, event: &Event) {
        self.world.note(None, format_args!("{event:?}"));
        self.world.count(event.name());
        match *event {
            Event::Crash { process, down } => self.crash(process, down).await,
            Event::KillAfter { process, operations } => self.processes[process].kill_after(operations),
            Event::Pause { process, length } => self.processes[process].link.pause(length),
            Event::PauseWriter { length } => self.pause_writer(length),
            Event::CutOff { process, length } => self.processes[process].link.cut_off(length),
            Event::Stop { process, down } => self.stop(process, down),
            Event::ClockBack { process, seconds } => self.processes[process].environment.step_back(seconds),
            Event::Storm { .. } | Event::Slow { .. } | Event::Refused { .. } | Event::Outage { .. } => {
                self.change_weather(event);
            }
            Event::Trouble { operations, trouble } => self.plan_trouble(operations, trouble),
            Event::PowerCut { down } => self.cut_power(down).await,
            Event::LoseLease { nonsense } => self.lose_lease(nonsense),
            Event::Collect => self.collect(),
            Event::Freeze { stopped } => self.freeze(stopped),
            Event::Copy => self.copy = Some(self.copy_store()),
            Event::GoBack { whole } => self.go_back(whole),
        }
    }

    fn pause_writer(&self, length: Duration) {
        let writes = |process: &&Process| matches!(process.status(), Some(Status::Ready));
        if let Some(writer) = self.processes.iter().find(writes) {
            writer.link.pause(length);
        }
    }

    fn freeze(&mut self, stopped: Option<Duration>) {
        let Some(operator) = self.processes.iter().position(|process| process.freezes) else { return };
        if let Some(down) = stopped {
            (0..operator).for_each(|process| self.stop(process, down));
        }
        self.freezing = true;
        self.start_in(operator, Duration::ZERO);
    }

    /// It starts again after its end, and after so long.
    fn stop(&mut self, process: usize, down: Duration) {
        if self.processes[process].lives() {
            self.processes[process].stop();
            self.downs[process] = down;
        }
    }

    fn change_weather(&self, event: &Event) {
        let (mut weather, now) = (self.world.weather(), Instant::now());
        match *event {
            Event::Storm { faults, length } => weather.storm = Some((now + length, Storm::Faults(faults))),
            Event::Slow { latency, length } => weather.storm = Some((now + length, Storm::Slow(latency))),
            Event::Refused { call, length } => weather.storm = Some((now + length, Storm::Refused(call))),
            Event::Outage { length } => weather.outage = Some(now + length),
            _ => {}
        }
    }

    fn plan_trouble(&self, operations: usize, trouble: Trouble) {
        if let Place::Machine(disk) = &self.place {
            disk.trouble_at(operations, trouble);
        }
    }

    async fn cut_power(&mut self, down: Duration) {
        let Place::Machine(disk) = self.place.clone() else { return };
        disk.cut_power();
        for process in 0..self.processes.len() {
            self.crash(process, down).await;
        }
        disk.restore_power();
        self.world.check(Checker::look_after_power_cut);
    }

    fn lose_lease(&self, nonsense: bool) {
        let Place::Bucket(bucket) = &self.place else { return };
        let objects = &mut bucket.contents().objects;
        if nonsense {
            objects.insert("private/lease".into(), "nonsense".into());
        } else {
            objects.remove("private/lease");
        }
    }

    /// Removes partial tiles and bundles whose full one is there and covered by the checkpoint before
    /// the one that stands.
    fn collect(&self) {
        let Place::Bucket(bucket) = &self.place else { return };
        let covered = self.world.check(|checker| Ok(checker.published_before()));
        let objects = &mut bucket.contents().objects;
        let full: Vec<String> =
            objects.keys().filter(|path| is_full_and_covered(path, covered)).cloned().collect();
        let before = objects.len();
        objects.retain(|path, _| {
            path.split_once(".p/").is_none_or(|(tile, _)| !full.iter().any(|full| full == tile))
        });
        self.world.trace().counts.add("partial objects collected", (before - objects.len()) as u64);
    }

    fn copy_store(&self) -> Copied {
        match &self.place {
            Place::Bucket(bucket) => Copied::Bucket(bucket.contents().clone()),
            Place::Machine(disk) => Copied::Machine(disk.snapshot("log")),
        }
    }

    /// The guards stay as they are.
    fn go_back(&self, whole: bool) {
        match (&self.place, &self.copy) {
            (Place::Bucket(bucket), Some(Copied::Bucket(copy))) => {
                let objects = &mut bucket.contents().objects;
                match copy.objects.get(HEAD) {
                    _ if whole => objects.clone_from(&copy.objects),
                    Some(head) => drop(objects.insert(HEAD.into(), head.clone())),
                    None => drop(objects.remove(HEAD)),
                }
            }
            (Place::Machine(disk), Some(Copied::Machine(copy))) => {
                let folder = if whole { "log" } else { "log/private/head" };
                let below = copy.iter().filter(|(path, _)| path.starts_with(PathBuf::from("/").join(folder)));
                disk.put_back(folder, &below.map(|(path, body)| (path.clone(), body.clone())).collect());
            }
            _ => return,
        }
        self.world.check(|checker| {
            checker.tamper();
            Ok(())
        });
    }
}

/// The logs of these runs have less than 256,000 entries.
fn is_full_and_covered(path: &str, covered: u64) -> bool {
    let index = path.strip_prefix("tile/0/").or_else(|| path.strip_prefix("tile/entries/"));
    let index = index.and_then(|index| index.parse::<u64>().ok());
    index.is_some_and(|index| (index + 1) * 256 <= covered)
}
