//! [add-entries]: which uploads are taken, and what becomes of them.
//!
//! [add-entries]: https://c2sp.org/tlog-mirror#add-entries

use std::sync::Arc;

use bytes::Bytes;
use kiln_http::{BodyError, Client, Incoming, Request, Response, StatusCode, discard, header, reply};
use kiln_tiles::{
    AddEntries, Cosignatures, EntryPackage, MIRROR_INFO_MEDIA_TYPE, MirrorInfo, PackageSpan,
    ParseMirrorError, ProofError,
};

use super::copy::{LogCopyError, Verified};
use super::upload::{Encoding, Upload, UploadError};
use super::{FolderCopy, Mirror};
use crate::logs::Log;
use crate::record::Record;
use crate::refusal::Refusal;

/// The most entries of an upload that are there already: as many as a request has, so that one whose answer was lost
/// may be sent again as it was.
const MAX_EXCESS: u64 = 8192;

/// So many bytes of packages are made durable together.
const TOGETHER: usize = 4 << 20;

/// What became of an upload.
///
/// | status | when |
/// |---|---|
/// | 200 | all entries up to the pending checkpoint are there: it is the mirror checkpoint now, and signed |
/// | 202 | some packages were authenticated, and more are to come |
/// | 400 | the beginning is malformed, no package was whole before the body ended, or something follows the last |
/// | 404 | the origin is unknown |
/// | 409 | `upload_end` is no pending checkpoint that is known, or below the mirror checkpoint; `upload_start` is above the next entry, or too far below |
/// | 415 | the body is of another type or encoding |
/// | 422 | no checkpoint of the log is pending yet, or the proof of a package does not verify |
/// | 503 | the mirror itself is at fault, or takes no more at once |
#[derive(Debug)]
pub(super) enum Outcome {
    Mirrored(Cosignatures),
    More(MirrorInfo),
    Conflict(MirrorInfo),
    Refused(EntriesRefusal),
}

/// Why an upload is refused, where the answer is a sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntriesRefusal {
    #[error("the body is of another media type than application/octet-stream")]
    MediaType,
    #[error("the body is encoded in a way that is not known here; gzip is, and none")]
    Encoding,
    #[error("this mirror does not know the origin")]
    UnknownOrigin,
    #[error("no checkpoint of this log is pending here: send add-checkpoint first")]
    NoPending,
    #[error("{0}")]
    Unread(#[from] UploadError),
    #[error("the body ends before its first package does")]
    NoPackage,
    #[error("something follows the last package")]
    Trailing,
    #[error("entries {} to {}: {error}", span.start(), span.end() - 1)]
    Proof { span: PackageSpan, error: ProofError },
    #[error("the mirror cannot take entries at the moment; send them again")]
    Unavailable,
}

impl EntriesRefusal {
    const fn status(&self) -> StatusCode {
        use UploadError as U;
        match self {
            Self::MediaType | Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownOrigin | Self::Unread(U::Malformed(ParseMirrorError::Origin)) => {
                StatusCode::NOT_FOUND
            }
            Self::NoPending | Self::Proof { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unread(U::Body(BodyError::Crowded)) | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unread(U::Body(BodyError::TimedOut { .. })) => StatusCode::REQUEST_TIMEOUT,
            Self::Unread(_) | Self::NoPackage | Self::Trailing => StatusCode::BAD_REQUEST,
        }
    }

    const fn outcome(&self) -> &'static str {
        match self {
            Self::MediaType | Self::Encoding => "media_type",
            Self::UnknownOrigin => "unknown_origin",
            Self::NoPending => "no_pending",
            Self::Unread(UploadError::Body(_)) => "unread",
            Self::Unread(_) | Self::NoPackage | Self::Trailing => "malformed",
            Self::Proof { .. } => "bad_proof",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<LogCopyError> for EntriesRefusal {
    fn from(error: LogCopyError) -> Self {
        tracing::error!(%error, "entries were not taken");
        Self::Unavailable
    }
}

impl Outcome {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Mirrored(_) => "mirrored",
            Self::More(_) => "more",
            Self::Conflict(_) => "conflict",
            Self::Refused(refusal) => refusal.outcome(),
        }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = match self {
            Self::Mirrored(lines) => reply::text(StatusCode::OK, lines.to_string()),
            Self::More(info) => info_response(StatusCode::ACCEPTED, &info),
            Self::Conflict(info) => closing(info_response(StatusCode::CONFLICT, &info)),
            Self::Refused(EntriesRefusal::Unavailable) => {
                closing(reply::unavailable(1, format!("{}\n", EntriesRefusal::Unavailable)))
            }
            Self::Refused(EntriesRefusal::Unread(UploadError::Body(error))) => error.into_response(),
            Self::Refused(refusal) => closing(reply::text(refusal.status(), format!("{refusal}\n"))),
        };
        let gzip = header::HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::ACCEPT_ENCODING, gzip);
        response
    }
}

fn info_response(status: StatusCode, info: &MirrorInfo) -> Response {
    let mut response = reply::text(status, info.to_string());
    let kind = header::HeaderValue::from_static(MIRROR_INFO_MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What is left of the body is not read.
fn closing(mut response: Response) -> Response {
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// An upload that may go on: what is expected of it was checked.
struct Accepted {
    copy: Arc<FolderCopy>,
    header: AddEntries,
    /// The pending checkpoint that it leads to.
    pending: Record,
}

/// How far a body led.
#[derive(Clone, Copy, Default)]
struct Taken {
    packages: u64,
    complete: bool,
}

impl Mirror {
    /// Takes an upload, in a task of its own: what came is kept, whether or not the client waits for the answer.
    pub(super) async fn add_entries(&self, request: Request<Incoming>, client: Client) -> Outcome {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/octet-stream")) {
            discard(parts.version, body).await;
            return Outcome::Refused(EntriesRefusal::MediaType);
        }
        let Some(encoding) = Encoding::of(&parts.headers) else {
            discard(parts.version, body).await;
            return Outcome::Refused(EntriesRefusal::Encoding);
        };
        let (mirror, share) = (self.clone(), self.0.uploads.empty_share(client));
        let mut upload = Upload::new(body, encoding, share);
        let taking = tokio::spawn(async move {
            let taken = mirror.take(&mut upload).await;
            upload.hear_out(parts.version).await;
            taken
        });
        let taken = taking.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an upload was not answered");
            Err(EntriesRefusal::Unavailable)
        });
        taken.unwrap_or_else(Outcome::Refused)
    }

    /// The whole way of an upload. The process may end after any line, and the body anywhere:
    ///
    /// | last line done | the copy has | the mirror checkpoint is | the client goes on |
    /// |---|---|---|---|
    /// | accept | what it had | the old one | with the same |
    /// | take_packages | what was authenticated, batch by batch; see [`append`](super::copy::LogCopy::append) | the old one | behind that |
    /// | finish | all of the tree | see [`finish`](Self::finish) | |
    async fn take(&self, upload: &mut Upload) -> Result<Outcome, EntriesRefusal> {
        let header = upload.header().await?.ok_or(EntriesRefusal::NoPackage)?;
        let accepted = match self.accept(header).await? {
            Ok(accepted) => accepted,
            Err(info) => return Ok(Outcome::Conflict(info)),
        };
        let taken = self.take_packages(upload, &accepted).await?;
        let Accepted { copy, pending, .. } = &accepted;
        if !taken.complete {
            return Ok(Outcome::More(self.info(copy, Some(pending)).await?));
        }
        match self.finish(copy, pending).await {
            Ok(lines) => Ok(Outcome::Mirrored(lines)),
            // Somebody else led the mirror further meanwhile.
            Err(Refusal::Conflict(_)) => Ok(Outcome::Conflict(self.info(copy, None).await?)),
            Err(_) => Err(EntriesRefusal::Unavailable),
        }
    }

    /// The rules of the beginning, in the order of the [specification](https://c2sp.org/tlog-mirror#processing).
    async fn accept(&self, header: AddEntries) -> Result<Result<Accepted, MirrorInfo>, EntriesRefusal> {
        let logs = self.0.logs.now();
        let log: &Log = logs.get(header.origin()).ok_or(EntriesRefusal::UnknownOrigin)?;
        let origin_hash = log.origin_hash();
        let latest = self.latest(origin_hash).await?.ok_or(EntriesRefusal::NoPending)?;
        let copy = self.copy(origin_hash).await?;
        let mirrored = self.mirrored(origin_hash).await?;
        let known = self.pending_of(&copy, &header, &latest, mirrored.as_ref());
        let mirrored = mirrored.map_or(0, |record| record.head().size());
        let Some(pending) = known.filter(|pending| pending.head().size() >= mirrored) else {
            return Ok(Err(self.info(&copy, None).await?));
        };
        let next = copy.next_entry();
        let excess = header.end().min(next).saturating_sub(header.start());
        if header.start() > next || excess > MAX_EXCESS {
            return Ok(Err(self.info(&copy, Some(&pending)).await?));
        }
        Ok(Ok(Accepted { copy, header, pending }))
    }

    /// The pending checkpoint that an upload leads to, if it is one of this mirror: the latest, one of those before, or
    /// that of the ticket.
    fn pending_of(
        &self,
        copy: &FolderCopy,
        header: &AddEntries,
        latest: &Record,
        mirrored: Option<&Record>,
    ) -> Option<Record> {
        let wanted = |record: &Record| record.head().size() == header.end();
        let recorded = [Some(latest), mirrored].into_iter().flatten().find(|record| wanted(record)).cloned();
        let remembered = || copy.remembered(header.end()).map(|record| (*record).clone());
        let ticket = || self.0.tickets.open(copy.origin_hash(), header.ticket()).filter(wanted);
        recorded.or_else(remembered).or_else(ticket)
    }

    /// Where to go on: up to the pending checkpoint of the upload, if there is anything left of it, else to the latest.
    async fn info(&self, copy: &FolderCopy, pending: Option<&Record>) -> Result<MirrorInfo, EntriesRefusal> {
        let next = copy.next_entry();
        // Read behind it: what is held is never further than what is pending.
        let latest = self.latest(copy.origin_hash()).await?.ok_or(EntriesRefusal::NoPending)?;
        let record = pending.filter(|pending| next <= pending.head().size()).unwrap_or(&latest);
        let ticket = self.0.tickets.issue(copy.origin_hash(), record);
        MirrorInfo::new(record.head().size(), next, ticket).ok_or(EntriesRefusal::Unavailable)
    }

    /// Authenticates packages as they come, each by itself, and makes them durable, some together. What breaks off is
    /// an error only where nothing was authenticated.
    async fn take_packages(&self, upload: &mut Upload, accepted: &Accepted) -> Result<Taken, EntriesRefusal> {
        let Accepted { copy, header, .. } = accepted;
        let (mut taken, mut batch) = (Taken::default(), Vec::new());
        for span in header.packages() {
            let bytes = match upload.package(span).await {
                Ok(Some(bytes)) => bytes,
                ended => {
                    self.save(copy, upload, &mut batch).await?;
                    return broken_off(taken, ended.err());
                }
            };
            let verified = self.verify(copy, accepted, span, bytes).await;
            match verified {
                Ok(verified) => batch.push(verified),
                Err(refusal) => {
                    self.save(copy, upload, &mut batch).await?;
                    return Err(refusal);
                }
            }
            taken.packages += 1;
            if upload.held() >= TOGETHER {
                self.save(copy, upload, &mut batch).await?;
            }
        }
        self.save(copy, upload, &mut batch).await?;
        match upload.ends().await {
            Ok(true) => Ok(Taken { complete: true, ..taken }),
            Ok(false) => Err(EntriesRefusal::Trailing),
            // All that was asked for is here: its end need not be.
            Err(UploadError::Body(BodyError::Broken | BodyError::TimedOut { .. })) => {
                Ok(Taken { complete: true, ..taken })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn verify(
        &self,
        copy: &FolderCopy,
        accepted: &Accepted,
        span: PackageSpan,
        bytes: Bytes,
    ) -> Result<Verified, EntriesRefusal> {
        let before = copy.leaves(span.before()).await?;
        let tree = accepted.pending.head();
        let work = move || {
            let (package, _) = EntryPackage::split(span, &bytes)
                .map_err(UploadError::from)?
                .ok_or(EntriesRefusal::NoPackage)?;
            let leaves =
                package.verify(&before, tree).map_err(|error| EntriesRefusal::Proof { span, error })?;
            let framed = bytes.slice_ref(package.framed());
            Ok(Verified { span, framed, leaves })
        };
        self.0.checks.run(work).await
    }

    async fn save(
        &self,
        copy: &FolderCopy,
        upload: &mut Upload,
        batch: &mut Vec<Verified>,
    ) -> Result<(), EntriesRefusal> {
        if !batch.is_empty() {
            let packages = std::mem::take(batch);
            self.0.mirror_metrics.count_packages(packages.len());
            copy.append(packages, &self.0.writer).await?;
        }
        upload.release();
        Ok(())
    }
}

/// What an upload is that ended before all of it was there.
fn broken_off(taken: Taken, error: Option<UploadError>) -> Result<Taken, EntriesRefusal> {
    match error {
        _ if taken.packages > 0 => Ok(taken),
        Some(error) => Err(error.into()),
        None => Err(EntriesRefusal::NoPackage),
    }
}
