//! The logs of a configuration in one process: what happens to one leaves the others alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::config::{Config, ConfiguredLog};
use super::doors::OwnUrls;
use super::log::Urls;
use super::logs::{ServedLog, Table};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::signals::Stop;

/// After a log failed it is tried again, at first soon and then seldom: whoever mends its store need not start anything.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// How long the others wait for a log that takes its time to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// The logs that run.
pub(super) struct Many {
    table: Arc<Table>,
    output: Output,
    running: HashMap<String, Running>,
    /// Those that are in no configuration any more, and may not have ended yet.
    leaving: Vec<Task>,
}

/// What became of a log when it was stopped.
type Task = JoinHandle<Result<(), Failure>>;

/// A log that runs, or is tried again and again.
struct Running {
    kept: Arc<Kept>,
    stop: watch::Sender<bool>,
    task: Task,
}

/// What a log's task knows.
struct Kept {
    settings: ConfiguredLog,
    urls: Urls,
    table: Arc<Table>,
    output: Output,
    /// Told once the log answers, or cannot.
    tried: Mutex<Option<mpsc::Sender<()>>>,
    /// Whether it was ready since it failed.
    was_ready: AtomicBool,
    /// Whether it is not tried again.
    is_given_up: AtomicBool,
}

impl Many {
    pub(super) fn new(table: Arc<Table>, output: Output) -> Self {
        Self { table, output, running: HashMap::new(), leaving: Vec::new() }
    }

    /// Lets those logs run that the configuration has, with the settings that it has: those that have gone stop, those that
    /// changed or were given up stop and start, and the others notice nothing. Returns once each answers or was tried in vain, or takes
    /// too long for the others to wait.
    pub(super) async fn become_those_of(&mut self, config: &Config, own: &OwnUrls) {
        let same = |log: &ConfiguredLog| {
            self.running.get(&log.name).is_some_and(|running| running.kept.goes_on_as(log))
        };
        let started: Vec<_> = config.logs.iter().filter(|log| !same(log)).cloned().collect();
        let stays = |name: &String| config.logs.iter().any(|log| log.name == *name && same(log));
        let stopped: Vec<_> = self.running.keys().filter(|name| !stays(name)).cloned().collect();
        let mut stopped: HashMap<_, _> = stopped
            .into_iter()
            .filter_map(|name| Some((self.stop(&name)?, name)))
            .map(|(task, name)| (name, task))
            .collect();
        let places: Vec<_> = config.logs.iter().map(|log| (log.name.clone(), log.place())).collect();
        self.table.arrange(&places).await;
        let (tried, mut all_tried) = mpsc::channel(1);
        for settings in started {
            let before = stopped.remove(&settings.name);
            self.start(settings, before, own, tried.clone());
        }
        self.leaving.retain(|task| !task.is_finished());
        self.leaving.extend(stopped.into_values());
        drop(tried);
        // Nobody sends: it is closed when the last one has tried.
        if timeout(PATIENCE, all_tried.recv()).await.is_err() {
            tracing::warn!("a log takes longer than {PATIENCE:?} to start; the others do not wait for it");
        }
    }

    /// Starts a log, after the task that ran it before has ended.
    fn start(
        &mut self,
        settings: ConfiguredLog,
        before: Option<Task>,
        own: &OwnUrls,
        tried: mpsc::Sender<()>,
    ) {
        let (stop, stopping) = watch::channel(false);
        let kept = Kept {
            urls: own.of(&settings.plan.args, &settings.place().path),
            settings: settings.clone(),
            table: self.table.clone(),
            output: self.output,
            tried: Mutex::new(Some(tried)),
            was_ready: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
        };
        let kept = Arc::new(kept);
        let task = tokio::spawn(kept.clone().keep(before, stopping));
        self.running.insert(settings.name, Running { kept, stop, task });
    }

    /// Tells a log to stop; its task ends when its last answers are given.
    fn stop(&mut self, name: &str) -> Option<Task> {
        let Running { stop, task, .. } = self.running.remove(name)?;
        stop.send_replace(true);
        Some(task)
    }

    /// Stops all, side by side.
    ///
    /// # Errors
    /// The worst of what became of them: one that is bad, or could not publish what it took.
    pub(super) async fn stop_all(mut self) -> Result<(), Failure> {
        let names: Vec<_> = self.running.keys().cloned().collect();
        let stopped: Vec<_> = names.iter().filter_map(|name| self.stop(name)).collect();
        let mut worst = None;
        for task in self.leaving.into_iter().chain(stopped) {
            let Err(failure) = task.await.unwrap_or_else(|error| Err(Failure::undone(error))) else {
                continue;
            };
            let is_worse = worst.as_ref().is_none_or(|worst: &Failure| failure.exit() < worst.exit());
            worst = if is_worse { Some(failure) } else { worst };
        }
        worst.map_or(Ok(()), Err)
    }
}

impl Kept {
    /// Whether it is what it would be with these settings.
    fn goes_on_as(&self, settings: &ConfiguredLog) -> bool {
        self.settings.is_like(settings) && !self.is_given_up.load(Ordering::Relaxed)
    }

    /// Runs the log until it is stopped, however often its store fails. A log that is bad is not tried again: what
    /// knows better may not be there the next time, and somebody has to look.
    async fn keep(self: Arc<Self>, before: Option<Task>, mut stop: Stop) -> Result<(), Failure> {
        let name = &self.settings.name;
        if let Some(before) = before {
            self.table.forget(name).await; // whoever answers for it holds its store
            let _ = before.await; // it has said what there was to say
        }
        let mut pauses = PAUSES.into_iter();
        loop {
            // A task of its own: a panic is one more way to fail.
            let ended = tokio::spawn(self.clone().run(stop.clone())).await;
            let ended = ended.unwrap_or_else(|error| Err(Failure::undone(error)));
            if *stop.borrow() {
                self.table.forget(name).await;
                tracing::info!(log = name, "stopped");
                return ended.map_err(|failure| failure.at(&format!("log {name}")));
            }
            let failure = ended.err().unwrap_or_else(|| Failure::undone("it ended by itself"));
            self.table.fail(name).await;
            if failure.exit() == Exit::Bad {
                tracing::error!(
                    log = name,
                    "the log is bad, and is not served until it is started again; the others go on: {failure}"
                );
                self.is_given_up.store(true, Ordering::Relaxed);
                self.has_tried();
                let _ = stop.wait_for(|stop| *stop).await;
                return Err(failure.at(&format!("log {name}")));
            }
            self.has_tried();
            if self.was_ready.swap(false, Ordering::Relaxed) {
                pauses = PAUSES.into_iter();
            }
            let pause = pauses.next().unwrap_or(PAUSES[PAUSES.len() - 1]);
            tracing::error!(
                log = name,
                "the log is out of order, the others go on; it is tried again in {} s: {failure}",
                pause.as_secs()
            );
            if timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                return Err(failure.at(&format!("log {name}")));
            }
        }
    }

    async fn run(self: Arc<Self>, stop: Stop) -> Result<(), Failure> {
        let plan = &self.settings.plan;
        plan.check()?;
        let make = plan.is_new().await?;
        let opened = plan.open(make, Some(&self.urls)).await?;
        let begun = plan.begin(opened, &self.urls)?;
        let log =
            ServedLog { front: begun.front(), gate: begun.gate(), read_url: self.urls.reads.as_str().into() };
        self.table.set(&self.settings.name, log).await;
        let output = self.output;
        begun
            .run(stop, |started| {
                if let Err(error) = started.tell(output) {
                    tracing::warn!(%error, "nobody reads standard output");
                }
                self.was_ready.store(true, Ordering::Relaxed);
                self.has_tried();
            })
            .await
    }

    fn has_tried(&self) {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
