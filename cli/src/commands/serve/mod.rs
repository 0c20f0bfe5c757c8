//! `kiln serve`: runs a log.

mod collecting;
mod doors;
mod front;
mod opening;
mod public;
mod rekor;
mod witnesses;
mod words;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kiln_http::Relay;
use kiln_rekor_server::RekorServer;
use kiln_sequencer::{
    CatchUp, Description, Holder, LoadError, LogServer, MAX_ROUND_BYTES, Options, PoolLimits, Sequencer,
    ServerOptions, Shared, State, Status, SubmissionLimits, Submissions, Writer,
};
use kiln_storage::AnyRegister;
use kiln_tiles::{KeyName, MAX_ENTRY_SIZE, TreeHead};

use crate::environment::{self, Stopwatch};
use crate::failure::Failure;
use crate::guard::GuardArgs;
use crate::keys::KeyArgs;
use crate::output::Output;
use crate::progress::Progress;
use crate::quantity::{parse_bytes, parse_span};
use crate::signals;
use crate::store::{OpenStore, StorePlace, put};
use collecting::GcArgs;
use doors::{DoorArgs, Doors};
use front::Front;
use rekor::RekorArgs;
use witnesses::WitnessArgs;

type OpenSequencer = Sequencer<OpenStore, AnyRegister>;
type OpenWriter = Writer<OpenStore, AnyRegister>;
type SharedLog = Shared<OpenStore, AnyRegister>;

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
  kiln serve /srv/rekor --rekor --origin rekor.example.com --url https://rekor.example.com")]
pub(crate) struct Serve {
    /// Where the log lives, or will: a folder (DIR/public is what readers see, DIR/private its own), or
    /// s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    store: StorePlace,
    #[command(flatten)]
    doors: DoorArgs,
    /// The name of the log, for ever: no space, plus or control character, at most 255 bytes
    /// [default: <host>/<folder>-<8 hex>].
    #[arg(long)]
    origin: Option<KeyName>,
    /// The time from the start of a round to that of the next.
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = parse_span)]
    interval: Duration,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    guard: GuardArgs,
    /// Start with this head although the guard is missing: you know that no larger tree was signed.
    #[arg(long, value_name = "SIZE:ROOT")]
    accept_head: Option<TreeHead>,
    /// Share the log with other processes of which one writes: follow it, serve its reads, and take over
    /// when the writer ends. Submissions are answered with 503 meanwhile.
    #[arg(long)]
    standby: bool,
    /// While standing by, hand submissions on to the process that writes, instead of answering 503.
    #[arg(long, requires = "standby")]
    forward: bool,
    /// How long a writer in an object store may be silent before another takes over. The same for all.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    lease: Duration,
    /// Whether an entry that was logged before gets the index that it has.
    #[arg(long, value_name = "HOW", default_value = "exact")]
    dedup: DedupMode,
    /// Keep the dedup index here instead of in the store, or for an object store instead of in
    /// $XDG_CACHE_HOME/kiln or ~/.cache/kiln; it can be deleted at any time.
    #[arg(long, value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    witnesses: WitnessArgs,
    #[command(flatten)]
    gc: GcArgs,
    /// Take no entries: the log is only read. Whoever submits is told so, with 410, or 405 by Rekor's API.
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    rekor: RekorArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Whether equal entries are one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum DedupMode {
    /// An entry is logged once, ever.
    Exact,
    /// An entry is logged as often as it is sent.
    Off,
}

/// What may be used up.
#[derive(Clone, Copy, Debug, clap::Args)]
struct LimitArgs {
    /// A round starts early when this many bytes wait [default: 4MiB on a folder, 16MiB in an object store].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    round_bytes: Option<usize>,
    /// The most entries that wait for a round; above it answers are 503.
    #[arg(long, value_name = "N", default_value_t = 1 << 20)]
    pool_entries: usize,
    /// The most bytes of entries that wait for a round; above it answers are 503.
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = parse_bytes)]
    pool_bytes: usize,
    /// The longest entry that is taken.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_ENTRY_SIZE, value_parser = parse_entry_bytes)]
    max_entry_bytes: usize,
    /// The most bytes of submissions that are being read, all together; above it answers are 503.
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = parse_bytes)]
    body_bytes: usize,
    /// The most bytes of entry bundles that are being sent, all together; above it answers are 503.
    /// Readers of the same one share it.
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = parse_bytes)]
    answer_bytes: usize,
    /// The most connections to a listener at once.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    max_connections: usize,
}

/// How many bytes make a round on a folder. What a round costs beyond its entries is little there beside the
/// cost of so many, and who submits much need not wait for the interval (decision 17).
const FOLDER_ROUND_BYTES: usize = 4 << 20;

/// The number is no length of an entry.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an entry has 1 to {MAX_ENTRY_SIZE} bytes")]
struct EntryBytesError;

fn parse_entry_bytes(text: &str) -> Result<usize, EntryBytesError> {
    let bytes = parse_bytes(text).ok().filter(|&bytes| bytes <= MAX_ENTRY_SIZE);
    bytes.ok_or(EntryBytesError)
}

impl Serve {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let files = environment::raise_file_limit();
        let mut stop = signals::stop("finishing the round")?;
        self.store.check_key(&self.key)?;
        self.guard.outside(&self.store)?;
        let doors = Doors::bind(&self.doors).await;
        let made = !self.store.has_log().await?;
        if made && doors.is_err() {
            return doors.map(drop); // and nothing was made
        }
        let opened = self.open(made, doors.as_ref().ok()).await?;
        let doors = match doors {
            Ok(doors) => doors,
            // Who has the port is most often who has the store.
            Err(taken) => return Err(opened.holder().await.unwrap_or(taken)),
        };
        let description = doors.describe(&opened.log, self.submission_limits());
        let sequencer = Sequencer::new(opened.log, self.options(&description));
        let shared = sequencer.shared();
        let server = self.front(shared.clone(), &description)?;
        let served = doors.serve(&server, self.limits.max_connections, files, &stop);
        self.gc.start(&sequencer, self.store.as_folder().is_some(), &stop);
        let running = if self.standby {
            tokio::spawn(sequencer.stand_by(stop))
        } else {
            let loaded = tokio::select! {
                loaded = load(&sequencer) => loaded,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            match loaded {
                Ok(writer) => tokio::spawn(sequencer.run(writer, stop)),
                // Nothing is wrong with the log, and it serves reads; witnesses come back.
                Err(error) if error.is_unwitnessed() => {
                    tracing::warn!("{error}; trying again until it is met");
                    tokio::spawn(sequencer.stand_by(stop))
                }
                Err(error) => return Err(error.into()),
            }
        };
        let (store, api) = (self.store.canonical(), self.rekor.api());
        tell_when_ready(&shared, &description, store, opened.made, api, *output).await?;
        let describing = tokio::spawn(describe_after_takeovers(shared, description));
        let ended = running.await.map_err(Failure::undone)?;
        describing.abort();
        served.finish().await;
        drop(opened.dedup_lock);
        ended.map_err(|error| unfinished(&error))?;
        tracing::info!("stopped: every entry that was taken is published");
        Ok(())
    }

    fn options(&self, description: &Description) -> Options {
        let LimitArgs { round_bytes, pool_entries, pool_bytes, .. } = self.limits;
        let usual = if self.store.as_folder().is_some() { FOLDER_ROUND_BYTES } else { MAX_ROUND_BYTES };
        let pool = PoolLimits {
            entries: pool_entries,
            bytes: pool_bytes,
            round_bytes: round_bytes.unwrap_or(usual),
        };
        let holder =
            Holder { name: environment::process_name("kiln serve"), url: description.submission_url.clone() };
        let Self { interval, accept_head, standby, lease, .. } = *self;
        Options { interval, pool, accept_head, holder, standby, lease }
    }

    fn front(&self, shared: Arc<SharedLog>, description: &Description) -> Result<Front, Failure> {
        let log = Arc::new(self.server(shared, description)?);
        Ok(match self.rekor.options() {
            Some(options) => Front::Rekor(Arc::new(RekorServer::new(log, options))),
            None => Front::Log(log),
        })
    }

    fn server(
        &self,
        shared: Arc<SharedLog>,
        description: &Description,
    ) -> Result<LogServer<OpenStore, AnyRegister>, Failure> {
        let options = self.server_options();
        let server = LogServer::new(shared, description, options);
        Ok(if self.forward { server.with_relay(Relay::new(options.answer_timeout)?) } else { server })
    }

    fn submission_limits(&self) -> SubmissionLimits {
        SubmissionLimits { entry_bytes: self.limits.max_entry_bytes, ..SubmissionLimits::default() }
    }

    fn server_options(&self) -> ServerOptions {
        let usual = ServerOptions::default();
        let answer_timeout = usual.answer_timeout + 2 * self.interval;
        let LimitArgs { body_bytes, answer_bytes, .. } = self.limits;
        let submissions = match (self.read_only, self.rekor.is_on()) {
            (true, _) => Submissions::None,
            (false, true) => Submissions::Elsewhere(RekorArgs::HINT),
            (false, false) => Submissions::Raw,
        };
        let limits = self.submission_limits();
        ServerOptions { submissions, limits, answer_timeout, body_bytes, answer_bytes, ..usual }
    }
}

/// It was stopped while it could not go on: what it answered stands, but not all may be published.
fn unfinished(error: &LoadError) -> Failure {
    let text = format!("stopped, and the last round may not be published: {error}");
    if error.is_bad_log() { Failure::bad(text) } else { Failure::undone(text) }
}

/// Waits until the log takes entries, or serves reads while another process does, and says so.
async fn tell_when_ready(
    shared: &SharedLog,
    description: &Description,
    store: String,
    made: Option<words::Made>,
    api: words::Api,
    output: Output,
) -> Result<(), Failure> {
    // A channel that is closed is a log that is gone already; the task knows why.
    let _ = shared.watch().wait_for(is_ready_or_never_will).await;
    let State { status, published } = shared.state();
    match status {
        Status::Stopped => return Ok(()),
        Status::Ready => publish(shared.log.store(), description).await?,
        _ => {}
    }
    let head = published.map_or_else(TreeHead::empty, |checkpoint| checkpoint.head());
    let started = words::Started { store, description, head, made, api };
    if let Err(error) = started.tell(output) {
        tracing::warn!(%error, "nobody reads standard output");
    }
    Ok(())
}

fn is_ready_or_never_will(state: &State) -> bool {
    match state.status {
        Status::Ready | Status::Stalled | Status::Unwitnessed | Status::Alarmed(_) | Status::Stopped => true,
        Status::StandingBy(_) => state.published.is_some(),
        _ => false,
    }
}

/// Whoever takes over says in `log.json` where the log takes entries now.
async fn describe_after_takeovers(shared: Arc<SharedLog>, description: Description) {
    let mut states = shared.watch();
    loop {
        let stands_by = |state: &State| matches!(state.status, Status::StandingBy(_));
        let writes = |state: &State| matches!(state.status, Status::Ready);
        if states.wait_for(stands_by).await.is_err() || states.wait_for(writes).await.is_err() {
            return;
        }
        if let Err(error) = publish(shared.log.store(), &description).await {
            tracing::warn!(%error, "log.json was not written");
        }
    }
}

/// How often a long start says how far it is, where no bar can be drawn.
const PROGRESS_MESSAGES: Duration = Duration::from_secs(5);

/// Loads the log, and says how far it is.
async fn load(sequencer: &OpenSequencer) -> Result<OpenWriter, LoadError> {
    let mut states = sequencer.shared().watch();
    let (mut progress, mut said) = (Progress::of("entries in the dedup index"), Stopwatch::start());
    let mut loading = pin!(sequencer.load());
    loop {
        tokio::select! {
            loaded = &mut loading => return loaded,
            Ok(()) = states.changed() => {}
        }
        if let Status::CatchingUp(CatchUp { done, of }) = states.borrow_and_update().status {
            progress.set(done, of);
            if said.elapsed() >= PROGRESS_MESSAGES {
                said = Stopwatch::start();
                tracing::info!(done, of, "the dedup index catches up");
            }
        }
    }
}

/// Writes `log.json`, if it says something new. Whoever else wrote it meanwhile is no writer of this
/// log: it is advice, and stays.
async fn publish(store: &OpenStore, description: &Description) -> Result<(), Failure> {
    put(store, "log.json", description.to_json().into()).await?;
    Ok(())
}
