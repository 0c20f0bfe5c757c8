//! A mirror for transparency logs, as [tlog-mirror] defines it: it keeps a copy of each log, and says so of a
//! checkpoint only when all of its tree is there, durably.
//!
//! | request | answer |
//! |---|---|
//! | `POST /add-checkpoint` | as a [witness](crate::Witness): it becomes the *pending* checkpoint, and nothing is signed |
//! | `POST /add-entries` | entries up to a pending checkpoint; with the last of them, cosignatures by all keys |
//! | `POST /sign-subtree` | those of a subtree of what it mirrors, by the keys that can |
//! | `GET /<hex SHA-256 of the origin>/checkpoint`, `/tile/...` | the log, as [tlog-tiles] says, with the mirror's cosignatures |
//! | `GET /`, `/logs` | who it is; which logs it mirrors, in the form `logs/v0` |
//! | `GET /healthz`, `/readyz` | whether the process lives; whether it can mirror |
//!
//! A log may also be [pulled](Mirror::pull). Both ways end in one function, `Mirror::finish`, where the order of things
//! stands: nothing is signed that is not on disk.
//!
//! [tlog-mirror]: https://c2sp.org/tlog-mirror
//! [tlog-tiles]: https://c2sp.org/tlog-tiles

mod copies;
mod copy;
mod entries;
mod fair;
mod metrics;
mod pull;
mod read;
mod ticket;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kiln_http::{
    ByteBudget, Client, Handler, Incoming, Method, NotReady, Probe, Request, Response, Turns, cors, reply,
};
use kiln_storage::{Folder, MutableObjects, PutError, StorageError};
use kiln_tiles::{Checkpoint, Cosignatures, Hash, Note, NoteSignature};

use crate::clock::Clock;
use crate::cosigners::Cosigners;
use crate::evidence::{Evidence, EvidenceError};
use crate::listing::Listing;
use crate::logs::KnownLogs;
use crate::metrics::Metrics;
use crate::page::{Words, page};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::server::{Prefixes, answer_small, sign_subtree};
use crate::store::{Granted, Store, StoreError};
use crate::submission::Submission;
use crate::writer::{Grant, MirrorGrant, SIGNED_AGAIN_AFTER, Writer};
use copies::Copies;
pub use copy::LogCopyError;
pub(crate) use copy::Settled;
use copy::{LogCopy, object_path};
use fair::FairBudget;
use metrics::MirrorMetrics;
pub use pull::{PullError, PullTurns, Pulled};
use read::Resource;
pub use ticket::TicketKey;

/// The most bytes of uploads that are being read and checked, all together. An upload holds 4 MiB and a package, which
/// is 16.8 MB at most.
const UPLOADS: usize = 256 << 20;

/// The same of all other requests, which are small: uploads take nothing from them.
const BODIES: usize = 16 << 20;

/// The most bytes of bundles and tiles that are being sent, all together.
const ANSWERS: usize = 256 << 20;

/// The copy of a log, in a folder.
type FolderCopy = LogCopy<Folder>;

/// A mirror. Clones share it.
#[derive(Clone)]
pub struct Mirror(Arc<Inner>);

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("cosigners", &self.0.cosigners).finish_non_exhaustive()
    }
}

struct Inner {
    cosigners: Cosigners,
    logs: Arc<KnownLogs>,
    store: Arc<Store>,
    writer: Writer,
    copies: Copies,
    tickets: TicketKey,
    evidence: Evidence,
    clock: Arc<dyn Clock>,
    prefixes: Prefixes,
    metrics: Metrics,
    mirror_metrics: MirrorMetrics,
    uploads: Arc<FairBudget>,
    bodies: ByteBudget,
    answers: ByteBudget,
    checks: Turns,
    reads: Turns,
}

impl Mirror {
    /// A mirror with these keys, for these logs, whose state is in `store`. In `folder` are the copies of the logs, and
    /// what speaks against them.
    ///
    /// # Errors
    /// Where the folder cannot be made or read.
    pub fn new(
        cosigners: Cosigners,
        logs: KnownLogs,
        store: Store,
        folder: &Path,
        tickets: TicketKey,
        prefixes: Prefixes,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EvidenceError> {
        let (store, metrics, path) = (Arc::new(store), Metrics::default(), folder.join("evidence"));
        let evidence = Evidence::start(&path, metrics.clone())?;
        let writer = Writer::start(store.clone(), clock.clone(), evidence.clone(), metrics.clone())
            .map_err(|error| EvidenceError { path, error })?;
        Ok(Self(Arc::new(Inner {
            cosigners,
            logs: Arc::new(logs),
            copies: Copies::new(folder.join("copies")),
            store,
            writer,
            tickets,
            evidence,
            clock,
            prefixes,
            metrics,
            mirror_metrics: MirrorMetrics::default(),
            uploads: FairBudget::new(UPLOADS),
            bodies: ByteBudget::new(BODIES),
            answers: ByteBudget::new(ANSWERS),
            checks: Turns::default(),
            reads: Turns::default(),
        })))
    }

    /// Signs what was mirrored when the process ended before it was kept, and brings the checkpoints beside the tiles
    /// up to date. Returns how many checkpoints were signed; call it before the first request. A copy that cannot be
    /// read is told, and leaves the others alone.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let mut signed = 0;
        for (origin_hash, record) in self.0.store.not_kept(Granted::Mirrored)? {
            match self.sign_again(origin_hash, &record).await {
                Ok(()) => signed += 1,
                Err(error) => tell_unrecovered(&record, &error),
            }
        }
        for (origin_hash, record) in self.0.store.all_cosigned()? {
            self.count_mirrored(&record);
            if let Err(error) = self.show_again(origin_hash, &record).await {
                tell_unrecovered(&record, &error);
            }
        }
        Ok(signed)
    }

    async fn sign_again(&self, origin_hash: Hash, record: &Record) -> Result<(), LogCopyError> {
        let Some(grant) = MirrorGrant::again(origin_hash, record) else { return Ok(()) };
        let copy = self.copy(origin_hash).await?;
        let lines = self.sign(&grant).await?;
        self.publish(&copy, &grant, &lines).await;
        Ok(())
    }

    async fn show_again(&self, origin_hash: Hash, record: &Record) -> Result<(), LogCopyError> {
        let copy = self.copy(origin_hash).await?;
        put_checkpoint(&copy, record).await?;
        copy.show(record.head().size());
        Ok(())
    }

    /// The logs that are mirrored.
    #[must_use]
    pub fn logs(&self) -> &KnownLogs {
        &self.0.logs
    }

    /// What lists of logs are taken into.
    #[must_use]
    pub fn listing(&self) -> Listing {
        Listing::new(self.0.logs.clone(), self.0.metrics.clone())
    }

    /// The copy of a log.
    async fn copy(&self, origin_hash: Hash) -> Result<Arc<FolderCopy>, LogCopyError> {
        self.0.copies.open(origin_hash, &self.0.store).await
    }

    /// The pending checkpoint of a log.
    async fn latest(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        let store = self.0.store.clone();
        self.0.reads.run(move || store.latest(origin_hash)).await
    }

    /// The mirror checkpoint of a log.
    async fn mirrored(&self, origin_hash: Hash) -> Result<Option<Record>, StoreError> {
        let store = self.0.store.clone();
        self.0.reads.run(move || store.mirrored(origin_hash)).await
    }

    async fn route(&self, request: Request<Incoming>, client: Client) -> (&'static str, Response) {
        if let Some(response) = kiln_http::health(&request, self) {
            return ("health", response);
        }
        let path = request.uri().path();
        match (path, request.method()) {
            ("/add-checkpoint", &Method::POST) => {
                ("/add-checkpoint", self.answer("add-checkpoint", request).await)
            }
            ("/sign-subtree", &Method::POST) => ("/sign-subtree", self.answer("sign-subtree", request).await),
            ("/add-entries", &Method::POST) => {
                let outcome = self.add_entries(request, client).await;
                self.0.metrics.count_outcome("add-entries", outcome.name());
                ("/add-entries", outcome.into_response())
            }
            ("/add-checkpoint" | "/sign-subtree" | "/add-entries", _) => {
                ("other", reply::method_not_allowed("POST"))
            }
            (_, &Method::OPTIONS) => ("other", cors::preflight(&Method::OPTIONS, "GET, HEAD")),
            ("/", _) => {
                let text =
                    page(&Words::MIRROR, self.0.cosigners.vkeys(), &self.0.prefixes, &self.0.logs.now());
                ("/", crate::server::read_text(&request, text))
            }
            ("/logs", _) => ("/logs", crate::server::read_text(&request, self.0.logs.to_list().to_string())),
            _ => match Resource::named(path) {
                Some((origin_hash, resource)) => ("read", self.read(&request, origin_hash, resource).await),
                None => ("other", cors::open(reply::not_found())),
            },
        }
    }

    /// Answers a small request of a log.
    async fn answer(&self, call: &'static str, request: Request<Incoming>) -> Response {
        let mirror = self.clone();
        let work = move |body| async move {
            let Inner { logs, cosigners, checks, .. } = &*mirror.0;
            match call {
                "add-checkpoint" => mirror.add_checkpoint(body).await.map(|()| String::new()),
                // By the mirror's keys, under its own cosignature.
                _ => sign_subtree(body, logs, cosigners, checks).await.map(|lines| lines.to_string()),
            }
        };
        answer_small(call, "granted", request, (&self.0.bodies, &self.0.metrics), work).await
    }

    /// [add-checkpoint](https://c2sp.org/tlog-mirror#add-checkpoint): moves the pending checkpoint, as a witness does the
    /// one that it cosigns. The mirror's keys sign nothing here.
    async fn add_checkpoint(&self, request: Bytes) -> Result<(), Refusal> {
        let logs = self.0.logs.now();
        let submission = self.0.checks.run(move || Submission::open(&request, &logs)).await?;
        self.pend(submission).await.map(drop)
    }

    /// Makes a checkpoint the pending one, durably.
    async fn pend(&self, submission: Submission) -> Result<Record, Refusal> {
        let grant = self.0.writer.decide(submission).await?;
        let record = Record::new(grant.time, grant.checkpoint.head(), grant.note.clone());
        match self.copy(grant.origin_hash).await {
            Ok(copy) => copy.remember(record.clone()),
            // It is pending all the same.
            Err(error) => tell_unrecovered(&record, &error),
        }
        Ok(record)
    }

    /// Mirrors the tree of a pending checkpoint, all of whose entries are held: the end of each upload and each pull.
    /// This process may end after any line:
    ///
    /// | last line done | the copy has | the mirror checkpoint is | readers see | the next start |
    /// |---|---|---|---|---|
    /// | (before) | entries and full tiles, durably; its root hash is not compared | the old one | the old tree | goes on from there |
    /// | settle | the whole tree, durably; it hashes to the root that the log signed | the old one | the old tree | the same, to no effect |
    /// | mirror | the same | the new one, durably; it never goes back | the old tree | signs it: see [`recover`](Self::recover) |
    /// | sign | the same | the same | the old tree | the same; signatures are the same bytes |
    /// | publish | the same | the same | the new tree, cosigned | finds nothing to do |
    ///
    /// So nothing is signed whose tree is not on disk, and nothing is shown that is not signed.
    ///
    /// One at a time of each log. Who asks again for what was signed a moment ago is answered from what is kept, and
    /// nothing is written.
    async fn finish(&self, copy: &FolderCopy, pending: &Record) -> Result<Cosignatures, Refusal> {
        let _one_at_a_time = copy.finishing.lock().await;
        if let Some(lines) = self.signed_lately(copy.origin_hash(), pending.note()).await {
            return Ok(lines);
        }
        let settled = copy.settle(pending).await.map_err(|error| {
            tracing::error!(%error, head = %pending.head(), "a tree is not whole: it is not mirrored, and not signed");
            Refusal::Unavailable
        })?;
        let grant = self.0.writer.mirror(settled).await?;
        let lines = self.sign(&grant).await?;
        self.publish(copy, &grant, &lines).await;
        Ok(lines)
    }

    /// Cosigns a mirror checkpoint, unless its lines are kept already.
    async fn sign(&self, grant: &MirrorGrant) -> Result<Cosignatures, Refusal> {
        let Grant { origin_hash, note, time, .. } = grant.get();
        let kept = self.kept(*origin_hash, note).await.filter(|kept| kept.time() == *time);
        if let Some(lines) = kept.and_then(|kept| self.own_lines(&kept)) {
            return Ok(lines);
        }
        let started = Instant::now();
        let lines = self.0.cosigners.cosign(grant.get().checkpoint.clone(), grant.get().time).await;
        self.0.metrics.count_signing(started.elapsed());
        Cosignatures::new(lines).ok_or(Refusal::Unavailable)
    }

    /// The lines that this checkpoint got so lately that they count for who asks again.
    async fn signed_lately(&self, origin_hash: Hash, note: &Note) -> Option<Cosignatures> {
        let kept = self.kept(origin_hash, note).await?;
        let age = self.0.clock.unix_time().saturating_sub(kept.time());
        if age < SIGNED_AGAIN_AFTER { self.own_lines(&kept) } else { None }
    }

    /// The mirror checkpoint as it is kept with its lines, where its text is that of `note`: all of the text is signed,
    /// so that the same tree is not enough.
    async fn kept(&self, origin_hash: Hash, note: &Note) -> Option<Record> {
        let store = self.0.store.clone();
        let kept = self.0.reads.run(move || store.cosigned(origin_hash)).await.ok().flatten();
        kept.filter(|kept| kept.note().unverified_text() == note.unverified_text())
    }

    /// The lines by keys of this mirror.
    fn own_lines(&self, kept: &Record) -> Option<Cosignatures> {
        let own = |line: &&NoteSignature| self.0.cosigners.vkeys().iter().any(|vkey| line.is_by(vkey));
        Cosignatures::new(kept.note().signatures().iter().filter(own).cloned().collect())
    }

    /// Shows readers a mirror checkpoint, here and where others serve the folder.
    async fn publish(&self, copy: &FolderCopy, grant: &MirrorGrant, lines: &Cosignatures) {
        let Some(record) = grant.get().cosigned(lines.lines()) else { return };
        self.0.writer.keep(grant.get().origin_hash, record.clone()).await;
        let before = copy.shown();
        copy.show(record.head().size());
        self.count_mirrored(&record);
        if let Err(error) = put_checkpoint(copy, &record).await {
            tracing::warn!(%error, "the checkpoint was not written beside the tiles; the next one will be");
        } else if let Err(error) = copy.collect(before).await {
            tracing::warn!(%error, "partial tiles that full ones supersede were not removed");
        }
    }

    fn count_mirrored(&self, record: &Record) {
        let origin = record.note().unverified_origin();
        self.0.mirror_metrics.set_mirrored(origin, record.head().size());
    }
}

fn tell_unrecovered(record: &Record, error: &LogCopyError) {
    let origin = record.note().unverified_origin();
    tracing::error!(origin, %error, "the copy of this log cannot be read: it is not mirrored further until it can");
}

/// Writes the checkpoint beside the tiles, where a file server finds it, unless a later one is there.
async fn put_checkpoint(copy: &FolderCopy, record: &Record) -> Result<(), StorageError> {
    let _one_at_a_time = copy.publishing.lock().await;
    let (path, body) = (object_path(&"checkpoint"), Bytes::from(record.note().to_string()));
    let standing = copy.store().read_version(&path).await?;
    if standing
        .as_ref()
        .is_some_and(|(standing, _)| *standing == body || size_of(standing) > record.head().size())
    {
        return Ok(());
    }
    match copy.store().put(&path, body, standing.map(|(_, version)| version)).await {
        Ok(_) => Ok(()),
        Err(PutError::Storage(error)) => Err(error),
        Err(PutError::Conflict) => Ok(()), // somebody else writes there: it is theirs to say why
    }
}

/// The size that a checkpoint says; 0 for what is none.
fn size_of(note: &[u8]) -> u64 {
    let note = Note::parse(note).ok();
    let checkpoint = note.and_then(|note| note.unverified_text().parse::<Checkpoint>().ok());
    checkpoint.map_or(0, |checkpoint| checkpoint.head().size())
}

impl From<StoreError> for entries::EntriesRefusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the state of the mirror cannot be read");
        Self::Unavailable
    }
}

impl Handler for Mirror {
    async fn handle(&self, request: Request<Incoming>, client: Client) -> Response {
        let (route, response) = self.route(request, client).await;
        self.0.metrics.count_answer(route, response.status().as_u16());
        response
    }
}

impl Probe for Mirror {
    fn ready(&self) -> Result<(), NotReady> {
        if self.0.writer.is_failing() {
            return Err(NotReady::because("the store fails"));
        }
        Ok(())
    }

    fn metrics(&self) -> String {
        let (logs, ready) = (self.0.logs.now().len(), self.ready().is_ok());
        self.0.metrics.encode("kiln_mirror", logs, ready, |registry| self.0.mirror_metrics.register(registry))
    }
}
