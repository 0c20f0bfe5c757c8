//! The logs of a configuration in one process: what happens to one leaves the others alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::config::{Config, ConfiguredLog};
use super::doors::OwnUrls;
use super::log::Urls;
use super::logs::{ServedLog, Table};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::signals::Stop;

/// After a log failed it is tried again, at first soon and then seldom: whoever mends it need not start anything.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// The logs that run.
pub(super) struct Many {
    table: Arc<Table>,
    output: Output,
    running: HashMap<String, Running>,
}

/// A log that runs, or is tried again and again.
struct Running {
    settings: ConfiguredLog,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What a log's task knows.
struct Kept {
    settings: ConfiguredLog,
    urls: Urls,
    table: Arc<Table>,
    output: Output,
    /// Told once the log answers, or cannot.
    tried: Mutex<Option<mpsc::Sender<()>>>,
}

impl Many {
    pub(super) fn new(table: Arc<Table>, output: Output) -> Self {
        Self { table, output, running: HashMap::new() }
    }

    /// Lets those logs run that the configuration has, with the settings that it has: those that have gone stop, those that
    /// changed stop and start, and the others notice nothing. Returns once each answers, or was tried in vain.
    pub(super) async fn become_those_of(&mut self, config: &Config, own: &OwnUrls) {
        let same = |log: &ConfiguredLog| {
            self.running.get(&log.name).is_some_and(|running| running.settings.is_like(log))
        };
        let started: Vec<_> = config.logs.iter().filter(|log| !same(log)).cloned().collect();
        let stays = |name: &String| config.logs.iter().any(|log| log.name == *name && same(log));
        let stopped: Vec<_> = self.running.keys().filter(|name| !stays(name)).cloned().collect();
        self.stop(&stopped).await;
        let places: Vec<_> = config.logs.iter().map(|log| (log.name.clone(), log.place())).collect();
        self.table.arrange(&places);
        let (tried, mut all_tried) = mpsc::channel(1);
        for settings in started {
            self.start(settings, own, tried.clone());
        }
        drop(tried);
        // Nobody sends: it is closed when the last one has tried.
        let _ = all_tried.recv().await;
    }

    fn start(&mut self, settings: ConfiguredLog, own: &OwnUrls, tried: mpsc::Sender<()>) {
        let (stop, stopping) = watch::channel(false);
        let kept = Kept {
            urls: own.of(&settings.plan.args, &settings.place().path),
            settings: settings.clone(),
            table: self.table.clone(),
            output: self.output,
            tried: Mutex::new(Some(tried)),
        };
        let task = tokio::spawn(Arc::new(kept).keep(stopping));
        self.running.insert(settings.name.clone(), Running { settings, stop, task });
    }

    /// Stops these, side by side, and waits until their last answers are given.
    async fn stop(&mut self, names: &[String]) {
        let running: Vec<_> = names.iter().filter_map(|name| self.running.remove(name)).collect();
        for log in &running {
            log.stop.send_replace(true);
        }
        for Running { settings, task, .. } in running {
            if let Err(error) = task.await {
                tracing::error!(log = settings.name, %error, "the log did not stop well");
            }
            // Whoever answers for it holds its store.
            self.table.forget(&settings.name);
        }
    }

    /// Stops all.
    pub(super) async fn stop_all(mut self) {
        let names: Vec<_> = self.running.keys().cloned().collect();
        self.stop(&names).await;
    }
}

impl Kept {
    /// Runs the log until it is stopped, however often it fails.
    async fn keep(self: Arc<Self>, mut stop: Stop) {
        let mut pauses = PAUSES.into_iter();
        while !*stop.borrow() {
            // A task of its own: a panic is one more way to fail.
            let running = tokio::spawn(self.clone().run(stop.clone()));
            let failure = match running.await {
                Ok(Ok(())) if *stop.borrow() => break,
                Ok(Ok(())) => Failure::undone("it ended by itself"),
                Ok(Err(failure)) => failure,
                Err(error) => Failure::undone(error),
            };
            let pause = pauses.next().unwrap_or(PAUSES[PAUSES.len() - 1]);
            self.say(&failure, pause);
            self.table.fail(&self.settings.name);
            self.has_tried();
            let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
        }
        tracing::info!(log = self.settings.name, "stopped");
    }

    fn say(&self, failure: &Failure, pause: Duration) {
        let (log, seconds) = (&self.settings.name, pause.as_secs());
        let what = if failure.exit() == Exit::Bad {
            "the log is bad, and is not served"
        } else {
            "the log is out of order"
        };
        tracing::error!(log, "{what}, the others go on; it is tried again in {seconds} s: {failure}");
    }

    async fn run(self: Arc<Self>, stop: Stop) -> Result<(), Failure> {
        let plan = &self.settings.plan;
        plan.check()?;
        let make = !plan.store.has_log().await?;
        let opened = plan.open(make, Some(&self.urls)).await?;
        let begun = plan.begin(opened, &self.urls)?;
        let log =
            ServedLog { front: begun.front(), gate: begun.gate(), read_url: self.urls.reads.as_str().into() };
        self.table.set(&self.settings.name, log);
        let output = self.output;
        begun
            .run(stop, |started| {
                if let Err(error) = started.tell(output) {
                    tracing::warn!(%error, "nobody reads standard output");
                }
                self.has_tried();
            })
            .await
    }

    fn has_tried(&self) {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
