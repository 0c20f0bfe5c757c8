//! A process that writes the log or stands by: its lives, and how each of them ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use kiln_sequencer::{
    Answer, Dedup, Entry, Holder, LoadError, Log, Options, Refusal, Sequencer, Shared, Status, Wait,
    create_log,
};
use kiln_storage::{Register, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::bucket::{Bucket, Remote, RemoteRegister, Which};
use super::checker::Checker;
use super::link::Link;
use super::machine::{Local, LocalRegister};
use super::plan::Settings;
use super::signer::Hand;
use super::world::World;
use crate::disk::SimulatedDisk;
use crate::world::SeededEnvironment;

/// Where the log lives.
#[derive(Clone)]
pub(crate) enum Place {
    /// In a bucket.
    Bucket(Arc<Bucket>),
    /// In a folder of one machine.
    Machine(SimulatedDisk),
}

/// What submitters and observers need of a running log.
pub(crate) trait Running: Send + Sync {
    fn submit(&self, entries: Vec<Entry>, wait: Wait) -> BoxFuture<'_, Result<Answer, Refusal>>;
    fn status(&self) -> Status;
}

impl<S: Store, G: Register> Running for Shared<S, G> {
    fn submit(&self, entries: Vec<Entry>, wait: Wait) -> BoxFuture<'_, Result<Answer, Refusal>> {
        Box::pin(self.pool.submit(entries, wait))
    }

    fn status(&self) -> Status {
        self.state().status
    }
}

/// Where each process takes entries, while it lives.
#[derive(Clone)]
pub(crate) struct Doors(Arc<Mutex<Vec<Door>>>);

/// Of a process that does not live there is none.
type Door = Option<Arc<dyn Running>>;

impl Doors {
    pub(crate) fn of(processes: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; processes])))
    }

    pub(crate) fn get(&self, process: usize) -> Option<Arc<dyn Running>> {
        self.doors().get(process).cloned().flatten()
    }

    pub(crate) fn count(&self) -> usize {
        self.doors().len()
    }

    fn set(&self, process: usize, door: Door) {
        // Whoever ends the log has none.
        if let Some(place) = self.doors().get_mut(process) {
            *place = door;
        }
    }

    fn doors(&self) -> MutexGuard<'_, Vec<Door>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a life ended that was not killed.
pub(crate) enum End {
    /// It never came to run: at a start, somebody is there to read why.
    NotStarted(LoadError),
    /// It ran.
    Ran,
}

/// A process, which may live several times.
pub(crate) struct Process {
    pub(crate) link: Arc<Link>,
    pub(crate) environment: Arc<SeededEnvironment>,
    place: Place,
    settings: Settings,
    doors: Doors,
    life: Option<Life>,
    /// Whether all that it does is to end the log.
    pub(crate) freezes: bool,
}

struct Life {
    stop: watch::Sender<bool>,
    stopping: bool,
    task: JoinHandle<End>,
    disk: Option<SimulatedDisk>,
}

impl Process {
    pub(crate) fn new(link: Arc<Link>, seed: u64, place: Place, settings: Settings, doors: Doors) -> Self {
        Self {
            link,
            environment: SeededEnvironment::new(seed),
            place,
            settings,
            doors,
            life: None,
            freezes: false,
        }
    }

    /// The same, but it ends the log, and takes no entries.
    pub(crate) fn that_freezes(self) -> Self {
        Self { freezes: true, ..self }
    }

    pub(crate) const fn lives(&self) -> bool {
        self.life.is_some()
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.doors.get(self.link.process).map(|door| door.status())
    }

    /// Starts it.
    pub(crate) fn start(&mut self) {
        self.link.world.note(Some(self.link.process), format_args!("starts"));
        match self.place.clone() {
            Place::Bucket(bucket) => {
                let guard =
                    |number| RemoteRegister::new(bucket.clone(), self.link.clone(), Which::Guard(number));
                let guards = (0..self.settings.guards).map(guard).collect();
                self.live(Remote::new(bucket.clone(), self.link.clone()), guards, None);
            }
            Place::Machine(disk) => {
                let disk = disk.for_another_process();
                let guard = |number| LocalRegister::guard(&disk, self.link.clone(), number);
                let guards = (0..self.settings.guards).map(guard).collect();
                // The disk may be in trouble; then it does not start.
                if let Ok(store) = Local::new(&disk, self.link.clone()) {
                    self.live(store, guards, Some(disk.clone()));
                }
            }
        }
    }

    fn live<S: Store, G: Register>(&mut self, store: S, guards: Vec<G>, disk: Option<SimulatedDisk>) {
        let sequencer = Sequencer::new(self.log(store, guards), self.options());
        let shared = sequencer.shared();
        self.doors.set(self.link.process, Some(shared));
        let (stop, stopped) = watch::channel(false);
        let world = self.link.world.clone();
        if self.freezes {
            let task = tokio::spawn(freeze(sequencer, world));
            self.life = Some(Life { stop, stopping: false, task, disk });
            return;
        }
        let made = move || world.check(|checker| Ok(checker.is_made()));
        let task = tokio::spawn(live(sequencer, self.settings.stand_by, stopped, made));
        self.life = Some(Life { stop, stopping: false, task, disk });
    }

    fn log<S: Store, G: Register>(&self, store: S, guards: Vec<G>) -> Log<S, G> {
        let dedup = if self.settings.dedup { Dedup::in_memory() } else { Dedup::off() };
        let mut guards = guards.into_iter();
        let first = guards.next().expect("a log has a guard");
        let hand = Hand::new(self.link.world.clone(), self.link.process);
        let log = Log::new(hand, store, first, dedup, self.environment.clone());
        guards.fold(log, Log::with_guard)
    }

    fn options(&self) -> Options {
        let holder = Holder { name: format!("process {}", self.link.process), url: None };
        let Settings { interval, lease, stand_by: standby, pool, .. } = self.settings;
        Options { interval, pool, holder, standby, lease, ..Options::default() }
    }

    /// Kills it between two operations. What it sent is on its way all the same.
    pub(crate) async fn crash(&mut self) {
        self.doors.set(self.link.process, None);
        if let Some(life) = self.life.take() {
            life.task.abort();
            self.note_end(life.task.await.map(drop).err());
            self.link.wake();
        }
    }

    /// Kills it in the operation of its disk after so many. Somebody has to [`crash`](Self::crash) it
    /// then.
    pub(crate) fn kill_after(&self, operations: usize) {
        if let Some(disk) = self.life.as_ref().and_then(|life| life.disk.as_ref()) {
            disk.kill_after(operations);
        }
    }

    /// Tells it to stop.
    pub(crate) fn stop(&mut self) {
        if let Some(life) = &mut self.life {
            life.stopping = true;
            life.stop.send_replace(true);
        }
    }

    /// What came of a life that ended by itself; `None` where it did not.
    pub(crate) async fn ended(&mut self) -> Option<End> {
        let life = self.life.take_if(|life| life.task.is_finished())?;
        self.doors.set(self.link.process, None);
        match life.task.await {
            Ok(End::Ran) if !life.stopping && !self.freezes => {
                self.link.world.violate(format!("process {} ended by itself", self.link.process));
                Some(End::Ran)
            }
            Ok(end) => Some(end),
            Err(error) => {
                self.note_end(Some(error));
                Some(End::Ran)
            }
        }
    }

    fn note_end(&self, error: Option<tokio::task::JoinError>) {
        if let Some(panic) = error.filter(tokio::task::JoinError::is_panic) {
            self.link.world.violate(format!("process {} panicked: {panic}", self.link.process));
        }
    }
}

/// From its start to its end.
async fn live<S: Store, G: Register>(
    sequencer: Sequencer<S, G>,
    stand_by: bool,
    stop: watch::Receiver<bool>,
    made: impl Fn() -> bool,
) -> End {
    // Whoever comes first makes the log.
    match create_log(&sequencer.shared().log).await {
        Err(LoadError::Held(_)) | Ok(()) => {}
        Err(error) if error.is_bad_log() => return End::NotStarted(error),
        Err(_) if made() => {}
        Err(error) => return End::NotStarted(error),
    }
    if stand_by {
        // Why it did not run when it was stopped is in the trace.
        drop(sequencer.stand_by(stop).await);
        return End::Ran;
    }
    match sequencer.load().await {
        Ok(writer) => drop(sequencer.run(writer, stop).await),
        Err(error) => return End::NotStarted(error),
    }
    End::Ran
}

/// Ends the log, once.
async fn freeze<S: Store, G: Register>(sequencer: Sequencer<S, G>, world: Arc<World>) -> End {
    let frozen = match sequencer.load().await {
        Ok(writer) => sequencer.freeze(writer).await,
        Err(error) => Err(error),
    };
    match frozen {
        Ok(_) => {
            world.count("logs frozen");
            world.check(Checker::is_frozen_for_sure);
            End::Ran
        }
        Err(error) => End::NotStarted(error),
    }
}
