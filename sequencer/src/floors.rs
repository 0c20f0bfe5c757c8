//! The floors: what others know of a log, below which it must not fall. They are read before its
//! head, which may grow in between.

use std::error::Error;
use std::fmt::Debug;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_storage::{Loaded, Register, Store};
use kiln_tiles::{SignedCheckpoint, TreeHead};

use crate::alarm::{Alarm, Voice};
use crate::failed_round::RoundError;
use crate::load::{LoadError, check_log};
use crate::log::Log;
use crate::publish::read_checkpoint;
use crate::record::HeadRecord;
use crate::witnesses::{Said, ask_all};

/// A place outside of the store where readers see the log's checkpoint: a URL that a CDN serves. What
/// was seen there was signed, so it is one more voice that knows of a store that went back in time.
pub trait PublicCheckpoint: Debug + Send + Sync + 'static {
    /// Reads the checkpoint; `None` where there is none. It must end, in seconds.
    fn read(&self) -> BoxFuture<'_, Result<Option<Bytes>, Box<dyn Error + Send + Sync>>>;
}

/// What others know of a log.
#[derive(Debug)]
pub(crate) struct Floors {
    /// Who knows which tree.
    pub(crate) trees: Vec<(Voice, TreeHead)>,
    /// What is published.
    pub(crate) published: Option<SignedCheckpoint>,
    /// What witnesses say of it.
    pub(crate) witnesses: Option<Said>,
    pub(crate) voucher: Voucher,
}

/// What vouches, outside of the store, for its head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Voucher {
    /// Every guard.
    Guards,
    /// Some guard, what readers saw, or what a witness shows; other guards are missing.
    Others,
    /// Nothing.
    None,
}

impl Voucher {
    /// With what these know, who may vouch for a head too.
    pub(crate) const fn or(self, others: &[(Voice, TreeHead)]) -> Self {
        match self {
            Self::None if !others.is_empty() => Self::Others,
            known => known,
        }
    }
}

impl Floors {
    pub(crate) async fn read<S: Store, G: Register>(log: &Log<S, G>) -> Result<Self, LoadError> {
        let guards = log.guard.read(log.fingerprint()).await?;
        let published = read_published(log).await?;
        let visible = published.as_ref().map(|checkpoint| (Voice::Checkpoint, checkpoint.head()));
        let public = read_public(log).await.map(|tree| (Voice::Public, tree));
        let guarded = guards.iter().flatten().map(|&tree| (Voice::Guard, tree));
        let voucher = match guards.iter().flatten().count() {
            all if all == guards.len() => Voucher::Guards, // which saves looking for missing ones
            0 if public.is_none() => Voucher::None,
            _ => Voucher::Others,
        };
        let witnesses = match &log.witnesses {
            Some(witnesses) => Some(ask_all(witnesses, log.trusted(), published.as_ref()).await),
            None => None,
        };
        let ended = log.end.as_ref().map(|end| (Voice::End, end.head()));
        let trees = guarded.chain(visible).chain(public).chain(ended).collect();
        Ok(Self { trees, published, witnesses, voucher })
    }
}

/// The published checkpoint. Where it does not verify the head may tell why: it is another log's.
async fn read_published<S: Store, G: Register>(
    log: &Log<S, G>,
) -> Result<Option<SignedCheckpoint>, LoadError> {
    let error = match read_checkpoint(log).await {
        Ok(found) => return Ok(found.map(|(checkpoint, _)| checkpoint)),
        Err(error) => error,
    };
    if let RoundError::Alarm(Alarm::Checkpoint(_)) = error
        && let Loaded { value: Some(bytes), .. } = log.store.head().load().await?
        && let Ok(record) = HeadRecord::parse(&bytes)
    {
        check_log(log, &record)?;
    }
    Err(error.into())
}

/// The tree that readers see. Where it cannot be read, or is not signed by the log, it says nothing:
/// whoever serves it may be down, and is not trusted.
pub(crate) async fn read_public<S: Store, G: Register>(log: &Log<S, G>) -> Option<TreeHead> {
    let public = log.public.as_ref()?;
    match public.read().await {
        Ok(Some(body)) => {
            let unsigned =
                |error: &_| tracing::warn!(%error, "what readers see is no checkpoint of this log");
            log.trusted().open(&body).inspect_err(unsigned).ok().map(|checkpoint| checkpoint.head())
        }
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%error, "what readers see of the log could not be read; going on without it");
            None
        }
    }
}
