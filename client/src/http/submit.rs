//! Submitting entries to a log.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use kiln_tiles::{EntryTooLong, Hash, MAX_ENTRY_SIZE, TlogProof, TrustedLog, push_entry};

use super::transport::{Ask, HttpError, HttpOptions, HttpSetupError, Transport};
use super::url::LogUrl;
use crate::verify::{self, VerifyError};

/// What an answer waits for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wait {
    /// A checkpoint that has the entry can be read: it can be proved. About a round's length.
    #[default]
    Published,
    /// The index is durable, and a checkpoint will have it.
    Sequenced,
}

/// Submits entries to a log by HTTP.
///
/// Every request is tried again where that may help (see [`HttpOptions::retries`]). That is safe: a
/// log has identical entries once, so what an attempt without an answer did is what the next one
/// finds. (A log that runs with dedup off may have an entry twice then.) An error may mean that the
/// entry is in the log all the same.
///
/// A server's word is an index; only [`submit_for_proof`](Self::submit_for_proof) proves it.
#[derive(Clone, Debug)]
pub struct Submitter {
    transport: Transport,
    log: TrustedLog,
    wait: Wait,
    authorization: Option<HeaderValue>,
}

/// Why a token is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It would be readable on the way.
    #[error("a token is sent by https only, or by http to this machine")]
    PlainHttp,
    /// It cannot stand in a header.
    #[error("a token is printable ASCII without spaces")]
    Characters,
}

/// Why nothing is known to be in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// An entry has at least one byte.
    #[error("an entry has at least one byte")]
    Empty,
    /// The entry is too long.
    #[error(transparent)]
    TooLong(#[from] EntryTooLong),
    /// The batch is too large for one request: see [`batches`].
    #[error(
        "a batch has at most {} entries and {} bytes, its framing included",
        Submitter::MAX_BATCH_ENTRIES,
        Submitter::MAX_BATCH_BYTES
    )]
    BatchTooLarge,
    /// The request was refused, or had no answer. Whether another try makes sense is in the error;
    /// where it does, the entry may be in the log.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is not one index for each entry.
    #[error("the server's answer is not one index for each entry")]
    Answer,
    /// The server's proof proves nothing. Keep it: it speaks against the server.
    #[error("the server's proof: {error}")]
    Proof {
        /// What does not hold.
        #[source]
        error: VerifyError,
        /// The proof.
        proof: Bytes,
    },
}

impl SubmitError {
    /// Whether the log, or what is said in its name, is bad.
    #[must_use]
    pub const fn is_bad_log(&self) -> bool {
        matches!(self, Self::Proof { .. })
    }

    /// Whether the same call may succeed later, without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_retryable())
    }
}

impl Submitter {
    /// The most entries of one batch.
    pub const MAX_BATCH_ENTRIES: usize = 4096;

    /// The most bytes of one batch, two for each entry's length included.
    pub const MAX_BATCH_BYTES: usize = 4 << 20;

    /// Submits to the log whose `add` stands below `url`.
    ///
    /// # Errors
    /// Where it is no such URL, or the machine has no root certificates for an https one.
    pub fn new(url: &str, log: TrustedLog) -> Result<Self, HttpSetupError> {
        Self::with_options(url, log, HttpOptions::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(url: &str, log: TrustedLog, options: HttpOptions) -> Result<Self, HttpSetupError> {
        let transport = Transport::new(url, options)?;
        Ok(Self { transport, log, wait: Wait::default(), authorization: None })
    }

    /// What [`submit`](Self::submit) and [`submit_batch`](Self::submit_batch) wait for.
    #[must_use]
    pub fn wait_for(self, wait: Wait) -> Self {
        Self { wait, ..self }
    }

    /// Sends a bearer token with each request.
    ///
    /// # Errors
    /// Where the URL is plain http to another machine, or the token cannot stand in a header.
    pub fn with_token(self, token: &str) -> Result<Self, TokenError> {
        let authorization = Some(bearer(token, self.transport.url())?);
        Ok(Self { authorization, ..self })
    }

    /// Submits an entry of 1 to 65,535 bytes. Returns its index, that of the first time where the
    /// log has it already.
    ///
    /// # Errors
    /// Where the entry is too short or too long, the log refuses it, or there is no answer.
    pub async fn submit(&self, entry: impl Into<Bytes>) -> Result<u64, SubmitError> {
        let entry = checked(entry.into())?;
        let answer = self.post(self.path("add"), HeaderMap::new(), entry, MAX_INDEX_LINE).await?;
        parse_index(&answer).ok_or(SubmitError::Answer)
    }

    /// Submits entries that go into the log together, in one round, or not at all. Returns an index
    /// for each. To submit more than one batch takes, see [`batches`].
    ///
    /// # Errors
    /// As [`submit`](Self::submit), or the batch is too large.
    pub async fn submit_batch<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<Vec<u64>, SubmitError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let body = frame(entries)?;
        let limit = entries.len() * MAX_INDEX_LINE;
        let answer = self.post(self.path("add-batch"), HeaderMap::new(), body, limit).await?;
        parse_indices(&answer).filter(|indices| indices.len() == entries.len()).ok_or(SubmitError::Answer)
    }

    /// Submits an entry and returns the proof that the log has it, which was verified.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), or [`SubmitError::Proof`].
    pub async fn submit_for_proof(&self, entry: impl Into<Bytes>) -> Result<TlogProof, SubmitError> {
        let entry = checked(entry.into())?;
        let leaf = Hash::leaf(&entry);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(PROOF_TYPE));
        let answer = self.post("add", headers, entry, TlogProof::MAX_SIZE).await?;
        open(&answer, leaf, &self.log).map_err(|error| SubmitError::Proof { error, proof: answer })
    }

    fn path(&self, of: &'static str) -> &'static str {
        match (of, self.wait) {
            (path, Wait::Published) => path,
            ("add", Wait::Sequenced) => "add?wait=sequenced",
            (_, Wait::Sequenced) => "add-batch?wait=sequenced",
        }
    }

    async fn post(
        &self,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<Bytes, SubmitError> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        Ok(self.transport.send(&Ask { path, headers, body: Some(body), limit }).await?)
    }
}

/// The header that carries a token to this URL.
pub(super) fn bearer(token: &str, url: &LogUrl) -> Result<HeaderValue, TokenError> {
    if !url.is_private() {
        return Err(TokenError::PlainHttp);
    }
    let printable = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    let bearer = printable.then(|| format!("Bearer {token}").parse::<HeaderValue>());
    let mut value = bearer.and_then(Result::ok).ok_or(TokenError::Characters)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The media type of a tlog proof.
const PROOF_TYPE: &str = "text/x.tlog-proof";

/// An index in decimal, and the end of its line.
const MAX_INDEX_LINE: usize = 24;

/// Splits entries into batches that [`Submitter::submit_batch`] takes, in order, each as large as it
/// may be. An entry that is too long for any is a batch of its own, and refused there.
pub fn batches<E: AsRef<[u8]>>(entries: &[E]) -> impl Iterator<Item = &[E]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let (batch, after) = rest.split_at(batch_length(rest));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// How many of the first entries make a batch.
fn batch_length<E: AsRef<[u8]>>(entries: &[E]) -> usize {
    let mut room = Submitter::MAX_BATCH_BYTES;
    let fits = |entry: &&E| {
        let left = room.checked_sub(size_of::<u16>() + entry.as_ref().len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    let fitting = entries.iter().take(Submitter::MAX_BATCH_ENTRIES).take_while(fits).count();
    fitting.max(1).min(entries.len())
}

fn frame<E: AsRef<[u8]>>(entries: &[E]) -> Result<Bytes, SubmitError> {
    let mut body = Vec::new();
    for entry in entries {
        check(entry.as_ref())?;
        push_entry(&mut body, entry.as_ref())?;
    }
    let fits = entries.len() <= Submitter::MAX_BATCH_ENTRIES && body.len() <= Submitter::MAX_BATCH_BYTES;
    if fits { Ok(body.into()) } else { Err(SubmitError::BatchTooLarge) }
}

fn checked(entry: Bytes) -> Result<Bytes, SubmitError> {
    check(&entry).map(|()| entry)
}

fn check(entry: &[u8]) -> Result<(), SubmitError> {
    match entry.len() {
        0 => Err(SubmitError::Empty),
        1..=MAX_ENTRY_SIZE => Ok(()),
        length => Err(EntryTooLong(length).into()),
    }
}

fn parse_index(answer: &[u8]) -> Option<u64> {
    let text = str::from_utf8(answer).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.bytes().all(|b| b.is_ascii_digit()).then(|| line.parse().ok())?
}

fn parse_indices(answer: &[u8]) -> Option<Vec<u64>> {
    let text = str::from_utf8(answer).ok()?;
    text.strip_suffix('\n').unwrap_or(text).split('\n').map(|line| parse_index(line.as_bytes())).collect()
}

fn open(bytes: &[u8], leaf: Hash, log: &TrustedLog) -> Result<TlogProof, VerifyError> {
    let proof = TlogProof::parse(bytes)?;
    verify::check(&proof, leaf, log)?;
    Ok(proof)
}
