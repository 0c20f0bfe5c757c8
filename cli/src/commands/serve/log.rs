//! One log: what its operator says of it, and its life from a store to the last answer.

use std::fs::File;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kiln_http::{Gate, Relay};
use kiln_rekor_server::RekorServer;
use kiln_sequencer::{
    CatchUp, Description, Holder, LoadError, Log, LogServer, MAX_ROUND_BYTES, Options, PoolLimits, Sequencer,
    ServerOptions, Shared, State, Status, SubmissionLimits, Submissions, Writer,
};
use kiln_storage::AnyRegister;
use kiln_tiles::{KeyName, MAX_ENTRY_SIZE, TreeHead};
use tokio::task::JoinSet;

use super::collecting::GcArgs;
use super::front::Front;
use super::mirrors::{MirrorArgs, Mirrors};
use super::opening::Opened;
use super::rekor::RekorArgs;
use super::witnesses::WitnessArgs;
use super::words;
use crate::addresses::ServerUrl;
use crate::door::{SubmitterOptions, Submitters};
use crate::environment::{self, Stopwatch};
use crate::failure::Failure;
use crate::guard::GuardArgs;
use crate::keys::KeyArgs;
use crate::progress::Progress;
use crate::quantity::{at_least_one, parse_bytes, parse_span};
use crate::signals::Stop;
use crate::store::{OpenStore, StorePlace, put};

type OpenSequencer = Sequencer<OpenStore, AnyRegister>;
type OpenWriter = Writer<OpenStore, AnyRegister>;
type SharedLog = Shared<OpenStore, AnyRegister>;
type OpenLog = Log<OpenStore, AnyRegister>;

/// What the operator of a log says of it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LogArgs {
    /// The URL under which others reach the log, for log.json [default: that of --listen].
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<ServerUrl>,
    /// The URL under which others reach the reads, for log.json [default: --url or that of --read-listen].
    /// What is read there at a start is one more voice that tells of a store that went back in time.
    #[arg(long, value_name = "URL")]
    pub(super) read_url: Option<ServerUrl>,
    /// The name of the log, for ever: no space, plus or control character, at most 255 bytes
    /// [default: <host>/<folder>-<8 hex>].
    #[arg(long)]
    pub(super) origin: Option<KeyName>,
    /// Serve a log that is there, and never make one: a disk that is not mounted looks like a place for a new log.
    #[arg(long)]
    existing: bool,
    /// The time from the start of a round to that of the next.
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = parse_span)]
    interval: Duration,
    #[command(flatten)]
    pub(super) key: KeyArgs,
    #[command(flatten)]
    pub(super) guard: GuardArgs,
    /// Start with this head although the guard is missing: you know that no larger tree was signed.
    #[arg(long, value_name = "SIZE:ROOT")]
    accept_head: Option<TreeHead>,
    /// Share the log with other processes of which one writes: follow it, serve its reads, and take over
    /// when the writer ends. Submissions are answered with 503 meanwhile.
    #[arg(long)]
    pub(super) standby: bool,
    /// While standing by, hand submissions on to the process that writes, instead of answering 503.
    #[arg(long, requires = "standby")]
    forward: bool,
    /// How long a writer in an object store may be silent before another takes over. The same for all.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    lease: Duration,
    /// Whether an entry that was logged before gets the index that it has.
    #[arg(long, value_name = "HOW", default_value = "exact")]
    pub(super) dedup: DedupMode,
    /// Keep the dedup index here instead of in the store, or for an object store instead of in
    /// $XDG_CACHE_HOME/kiln or ~/.cache/kiln; it can be deleted at any time.
    #[arg(long, value_name = "FOLDER")]
    pub(super) cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) witnesses: WitnessArgs,
    #[command(flatten)]
    pub(super) mirrors: MirrorArgs,
    #[command(flatten)]
    gc: GcArgs,
    /// Take no entries: the log is only read. Whoever submits is told so, with 410, or 405 by Rekor's API.
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    pub(super) rekor: RekorArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    pub(super) submitters: SubmitterOptions,
}

/// Whether equal entries are one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum DedupMode {
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
    #[arg(long, value_name = "N", default_value_t = 1 << 20, value_parser = at_least_one())]
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

/// One log that is to run.
#[derive(Clone, Debug)]
pub(super) struct LogPlan {
    /// Where it lives, or will.
    pub(super) store: StorePlace,
    pub(super) args: LogArgs,
}

/// Where others reach a log.
#[derive(Clone, Debug)]
pub(super) struct Urls {
    /// Where it takes entries.
    pub(super) submissions: String,
    pub(super) reads: String,
}

impl LogPlan {
    /// Checks what can be known without looking at the store.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let args = &self.args;
        self.store.check_key(&args.key)?;
        args.guard.outside(&self.store)?;
        Submitters::open(&args.submitters)?;
        args.mirrors.open().map(drop)
    }

    /// Limits below which an entry that is taken never gets in, each with what is wrong.
    pub(super) fn limits_that_cannot_work(&self) -> impl Iterator<Item = (&'static str, String)> {
        let LimitArgs { pool_bytes, body_bytes, max_entry_bytes: entry, .. } = self.args.limits;
        [("pool-bytes", pool_bytes), ("body-bytes", body_bytes)].into_iter().filter_map(
            move |(flag, bytes)| {
                let wrong = format!(
                    "there is no room for the longest entry, which has {entry} bytes (max-entry-bytes)"
                );
                (bytes < entry).then_some((flag, wrong))
            },
        )
    }

    /// Whether there is no log yet, and one may be made.
    pub(super) async fn is_new(&self) -> Result<bool, Failure> {
        self.is_new_if(self.store.has_log().await?)
    }

    /// The same of a store that has a log, or has none.
    pub(super) fn is_new_if(&self, has_log: bool) -> Result<bool, Failure> {
        let is_new = !has_log;
        if is_new && self.args.existing {
            return Err(Failure::undone(format!(
                "{}: no log is here, and --existing says that there is one. Is the disk mounted, and the name right?",
                self.store
            )));
        }
        Ok(is_new)
    }

    /// What answers for a log that is open.
    pub(super) fn begin(&self, opened: Opened, urls: &Urls) -> Result<Begun, Failure> {
        let Opened { log, made, dedup_lock } = opened;
        let description = self.describe(&log, urls);
        let sequencer = Sequencer::new(log, self.options(&description));
        let shared = sequencer.shared();
        let submitters = Submitters::open(&self.args.submitters)?;
        let front = self.front(shared.clone(), &description, submitters.gate())?;
        Ok(Begun {
            submitters,
            sequencer,
            shared,
            front,
            description,
            made,
            dedup_lock,
            store: self.store.canonical(),
            api: self.args.rekor.api(),
            standby: self.args.standby,
            gc: self.args.gc,
            mirrors: self.args.mirrors.open()?,
            in_folder: self.store.as_folder().is_some(),
        })
    }

    /// What `log.json` says.
    fn describe(&self, log: &OpenLog, urls: &Urls) -> Description {
        Description {
            origin: log.trusted().origin().to_owned(),
            vkeys: log.vkeys().iter().map(ToString::to_string).collect(),
            witnesses: log.described_witnesses(),
            submission_url: Some(urls.submissions.clone()),
            read_url: Some(urls.reads.clone()),
            limits: self.submission_limits(),
            end: None,
        }
    }

    fn options(&self, description: &Description) -> Options {
        let LimitArgs { round_bytes, pool_entries, pool_bytes, .. } = self.args.limits;
        let usual = if self.store.as_folder().is_some() { FOLDER_ROUND_BYTES } else { MAX_ROUND_BYTES };
        let pool = PoolLimits {
            entries: pool_entries,
            bytes: pool_bytes,
            round_bytes: round_bytes.unwrap_or(usual),
        };
        let holder =
            Holder { name: environment::process_name("kiln serve"), url: description.submission_url.clone() };
        let LogArgs { interval, accept_head, standby, lease, .. } = self.args;
        Options { interval, pool, accept_head, holder, standby, lease }
    }

    fn front(
        &self,
        shared: Arc<SharedLog>,
        description: &Description,
        gate: &Arc<Gate>,
    ) -> Result<Front, Failure> {
        let log = Arc::new(self.server(shared, description)?.with_gate(gate.clone()));
        Ok(match self.args.rekor.options() {
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
        Ok(if self.args.forward { server.with_relay(Relay::new(options.answer_timeout)?) } else { server })
    }

    fn submission_limits(&self) -> SubmissionLimits {
        SubmissionLimits { entry_bytes: self.args.limits.max_entry_bytes, ..SubmissionLimits::default() }
    }

    fn server_options(&self) -> ServerOptions {
        let usual = ServerOptions::default();
        let answer_timeout = usual.answer_timeout + 2 * self.args.interval;
        let LimitArgs { body_bytes, answer_bytes, .. } = self.args.limits;
        let submissions = match (self.args.read_only, self.args.rekor.is_on()) {
            (true, _) => Submissions::None,
            (false, true) => Submissions::Elsewhere(RekorArgs::HINT),
            (false, false) => Submissions::Raw,
        };
        let limits = self.submission_limits();
        ServerOptions { submissions, limits, answer_timeout, body_bytes, answer_bytes, ..usual }
    }
}

/// A log that answers, though it may not be loaded yet.
pub(super) struct Begun {
    sequencer: OpenSequencer,
    shared: Arc<SharedLog>,
    front: Front,
    submitters: Submitters,
    description: Description,
    store: String,
    made: Option<words::Made>,
    api: words::Api,
    standby: bool,
    gc: GcArgs,
    mirrors: Mirrors,
    in_folder: bool,
    dedup_lock: Option<File>,
}

impl Begun {
    /// Who answers for it.
    pub(super) fn front(&self) -> Front {
        self.front.clone()
    }

    /// What its submissions pass.
    pub(super) fn gate(&self) -> Arc<Gate> {
        self.submitters.gate().clone()
    }

    /// Runs it until `stop` says so. `tell` hears of it when it takes entries, or serves reads while another
    /// process does. When this returns nobody waits for an answer any more, and nothing but answers that are being sent
    /// holds the store.
    pub(super) async fn run(self, stop: Stop, tell: impl FnOnce(&words::Started<'_>)) -> Result<(), Failure> {
        let Self { sequencer, shared, description, dedup_lock, .. } = self;
        let _fresh = self.submitters.keep_fresh()?;
        // They hold the store, and have no end of their own.
        let mut beside = JoinSet::new();
        self.gc.start(&mut beside, &sequencer, self.in_folder, &stop);
        self.mirrors.start(&mut beside, &sequencer, &stop);
        let ready = |head| {
            let (store, made, api) = (self.store, self.made, self.api);
            tell(&words::Started { store, description: &description, head, made, api });
            beside.spawn(describe_after_takeovers(shared.clone(), description.clone()));
        };
        let ended = write(sequencer, &shared, &description, self.standby, stop, ready).await;
        beside.shutdown().await;
        drop(dedup_lock);
        ended
    }
}

/// Loads a log and writes it, or stands by to, until `stop` says so. `ready` gets the tree that readers see, once they do.
async fn write(
    sequencer: OpenSequencer,
    shared: &SharedLog,
    description: &Description,
    standby: bool,
    mut stop: Stop,
    ready: impl FnOnce(TreeHead),
) -> Result<(), Failure> {
    let mut running = if standby {
        tokio::spawn(sequencer.stand_by(stop))
    } else {
        let loaded = tokio::select! {
            loaded = load(&sequencer) => loaded,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        match loaded {
            Ok(writer) => tokio::spawn(sequencer.run(writer, stop)),
            // Nothing is wrong with the log, and it serves reads; witnesses, and who keeps its key, come back.
            Err(error) if error.is_unwitnessed() || error.is_unsigned() => {
                tracing::warn!("{error}; trying again for as long as it takes");
                tokio::spawn(sequencer.stand_by(stop))
            }
            Err(error) => return Err(error.into()),
        }
    };
    let ended = tokio::select! {
        head = when_ready(shared, description) => {
            head.map(ready);
            running.await
        }
        ended = &mut running => ended,
    };
    ended.map_err(Failure::undone)?.map_err(|error| unfinished(&error))
}

/// It was stopped while it could not go on: what it answered stands, but not all may be published.
fn unfinished(error: &LoadError) -> Failure {
    let text = format!("stopped, and the last round may not be published: {error}");
    if error.is_bad_log() { Failure::bad(text) } else { Failure::undone(text) }
}

/// Waits until the log takes entries, or serves reads while another process does: the tree that readers see. `None` if
/// it never will.
async fn when_ready(shared: &SharedLog, description: &Description) -> Option<TreeHead> {
    // A channel that is closed is a log that is gone already; the task knows why.
    let _ = shared.watch().wait_for(is_ready_or_never_will).await;
    let State { status, published } = shared.state();
    match status {
        Status::Stopped => return None,
        Status::Ready | Status::Unwitnessed | Status::Stalled => describe(shared, description).await,
        Status::Frozen(end) => describe(shared, &description.with_end(&end)).await,
        _ => {}
    }
    Some(published.map_or_else(TreeHead::empty, |checkpoint| checkpoint.head()))
}

/// Writes `log.json`. It is advice: a log without it is none the worse.
async fn describe(shared: &SharedLog, description: &Description) {
    if let Err(error) = publish(shared.log.store(), description).await {
        tracing::warn!(%error, "log.json was not written");
    }
}

fn is_ready_or_never_will(state: &State) -> bool {
    match state.status {
        Status::Ready | Status::Stalled | Status::Unwitnessed => true,
        Status::Frozen(_) | Status::Alarmed(_) | Status::Stopped => true,
        Status::StandingBy(_) => state.published.is_some(),
        _ => false,
    }
}

/// Whoever takes over says in `log.json` where the log takes entries now.
async fn describe_after_takeovers(shared: Arc<SharedLog>, description: Description) {
    let mut states = shared.watch();
    loop {
        let stands_by = |state: &State| matches!(state.status, Status::StandingBy(_));
        let writes =
            |state: &State| matches!(state.status, Status::Ready | Status::Unwitnessed | Status::Stalled);
        if states.wait_for(stands_by).await.is_err() || states.wait_for(writes).await.is_err() {
            return;
        }
        describe(&shared, &description).await;
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
