//! `kiln serve`: runs a log, or those of a configuration.

mod checking;
mod collecting;
pub(crate) mod config;
mod doors;
mod expositions;
mod front;
mod log;
mod logs;
mod many;
mod mirrors;
mod opening;
mod public;
mod rekor;
mod witnesses;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals::{self, Hangups, Stop};
use crate::store::StorePlace;
use crate::traces::TraceArgs;
use config::Config;
use doors::{DoorArgs, Doors};
use log::{LogArgs, LogPlan};
use logs::{Logs, ServedLog, Table};
use many::Many;
pub(super) use witnesses::WitnessArgs;

/// Run a log: takes POST /add, serves reads.
///
/// In a folder with no log it makes one first, key included. When it takes entries it prints a line
/// with origin, vkey, store, URL and size, and then `ready`. SIGTERM or SIGINT ends it: it stops
/// taking entries, finishes the round, answers, and exits 0; a second one ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln serve ./log
  kiln serve /srv/log --origin example.com/releases --listen 0.0.0.0:8080 --admin-listen 127.0.0.1:9090
  kiln serve s3://bucket/log --key release.key --guard s3://guards --standby
  kiln serve /srv/rekor --rekor --origin rekor.example.com --url https://rekor.example.com
  kiln serve --config /etc/kiln/kiln.toml")]
pub(crate) struct Serve {
    /// Where the log lives, or will: a folder (DIR/public is what readers see, DIR/private its own), or
    /// s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    #[arg(required_unless_present = "config")]
    store: Option<StorePlace>,
    /// Run the logs of this file, as `kiln config example` shows one. SIGHUP reads it again: logs that are new, gone or
    /// changed start, stop or start again, and the others go on.
    #[arg(long, value_name = "FILE", conflicts_with_all = config::FLAGS)]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
    #[command(flatten)]
    doors: DoorArgs,
    #[command(flatten)]
    log: LogArgs,
}

impl Serve {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let Self { store, config, doors, log, traces: _ } = self;
        match (config, store) {
            (Some(path), _) => run_many(&path, *output).await,
            (None, Some(store)) => run_one(LogPlan { store, args: log }, &doors, *output).await,
            (None, None) => Err(Failure::usage("give a store, or --config")),
        }
    }
}

async fn run_one(plan: LogPlan, doors: &DoorArgs, output: Output) -> Result<(), Failure> {
    let files = environment::raise_file_limit();
    // Files are read again at SIGHUP; where there are none it does nothing, from the start.
    let (stop, _hangups) = (signals::stop("finishing the round")?, Hangups::new()?);
    plan.check()?;
    let doors = Doors::bind(doors).await.map(|doors| (doors.own_urls().of(&plan.args, ""), doors));
    let make = plan.is_new().await?;
    if make && doors.is_err() {
        return doors.map(drop); // and nothing was made
    }
    let opened = plan.open(make, doors.as_ref().ok().map(|(urls, _)| urls)).await?;
    let (urls, doors) = match doors {
        Ok(bound) => bound,
        // Who has the port is most often who has the store.
        Err(taken) => return Err(opened.holder().await.unwrap_or(taken)),
    };
    let begun = plan.begin(opened, &urls)?;
    let log = ServedLog { front: begun.front(), gate: begun.gate(), read_url: urls.reads.as_str().into() };
    let served = doors.serve(&Logs::One(log), files, &stop)?;
    let ended = begun
        .run(stop.clone(), |started| {
            if let Err(error) = started.tell(output).and_then(|()| output.line("ready")) {
                tracing::warn!(%error, "nobody reads standard output");
            }
        })
        .await;
    if *stop.borrow() {
        served.finish().await;
    }
    ended?;
    tracing::info!("stopped: every entry that was taken is published");
    Ok(())
}

async fn run_many(path: &Path, output: Output) -> Result<(), Failure> {
    let config = Config::read(path)?;
    let files = environment::raise_file_limit();
    let (mut hangups, mut stop) = (Hangups::new()?, signals::stop("finishing the rounds")?);
    let doors = Doors::bind(&config.doors).await?;
    let (own, table) = (doors.own_urls(), Arc::new(Table::default()));
    let mut many = Many::new(table.clone(), output);
    let served = doors.serve(&Logs::Many(table), files, &stop)?;
    let mut newer = None;
    loop {
        tokio::select! {
            () = many.become_those_of(newer.as_ref().unwrap_or(&config), &own) => {}
            () = signals::stopped(stop.clone()) => break,
        }
        if newer.is_some() {
            tracing::info!("{} is what runs now", path.display());
        } else if let Err(error) = output.line("ready") {
            tracing::warn!(%error, "nobody reads standard output");
        }
        newer = next(path, &config, &mut hangups, &mut stop).await;
        if newer.is_none() {
            break;
        }
    }
    let ended = many.stop_all().await;
    served.finish().await;
    ended?;
    tracing::info!("stopped: every entry that was taken is published");
    Ok(())
}

/// The configuration as it is once somebody asks for it to be read, and it is right; `None` when the process is told to stop.
/// What the process `started` with stays what it listens by.
async fn next(path: &Path, started: &Config, hangups: &mut Hangups, stop: &mut Stop) -> Option<Config> {
    loop {
        tokio::select! {
            () = hangups.next() => {}
            _ = stop.wait_for(|stop| *stop) => return None,
        }
        match Config::reloaded(path) {
            Ok(config) => {
                for key in config.needs_a_restart(started) {
                    tracing::warn!("{key} has changed, which only a restart can bring about");
                }
                return Some(config);
            }
            Err(failure) => tracing::error!("nothing was changed: {failure}"),
        }
    }
}
