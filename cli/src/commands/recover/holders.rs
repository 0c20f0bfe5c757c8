//! Who may have what is missing: the logs after `--from`.

use bytes::Bytes;
use kiln_client::{AnySource, BadLog, Client, ClientError, Copied, CopyError, Existing, Source, SourceError};
use kiln_sequencer::{RecoverError, Voice};
use kiln_tiles::{SignedCheckpoint, SignedEnd, TreeHead, TrustedLog};

use crate::ending::read_end;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::reading;
use crate::store::OpenStore;

/// One log that may have what is missing, and the newest tree that it has.
struct Holder {
    place: String,
    source: AnySource,
    checkpoint: SignedCheckpoint,
}

/// The newest tree that the log's key signed, and everybody who may have a part of it.
pub(super) struct Best {
    /// Who has its checkpoint.
    pub(super) place: String,
    pub(super) checkpoint: SignedCheckpoint,
    client: Client<Holders>,
    sources: Vec<AnySource>,
}

/// The one with the newest checkpoint, and where it lacks an object, the others: what they have is
/// verified in the same way.
struct Holders(Vec<AnySource>);

impl Source for Holders {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        let mut answer = Ok(None);
        let asked = if path == "checkpoint" { &self.0[..1] } else { &self.0[..] };
        for source in asked {
            match source.fetch(path, limit).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => answer = Err(error),
            }
        }
        answer
    }
}

impl Holder {
    /// Reads and verifies the checkpoint that a log has now.
    async fn read(place: &str, log: &TrustedLog) -> Result<Self, Failure> {
        let source = reading::source(place)?;
        let client = Client::new(source.clone(), log.clone());
        let update = client.update().await.map_err(|error| Failure::from(error).at(place))?;
        Ok(Self { place: place.to_owned(), source, checkpoint: update.checkpoint })
    }
}

impl Best {
    /// Reads the checkpoint at each place. One that does not answer is left aside, if another does;
    /// one that is bad is an error, and so are two that are no prefix of each other. `store` is what
    /// is brought back: objects that it still has need no other holder.
    pub(super) async fn among(
        places: &[String],
        store: AnySource,
        log: &TrustedLog,
        output: Output,
    ) -> Result<Self, Failure> {
        let (mut holders, mut unread) = (Vec::new(), None);
        for place in places {
            match Holder::read(place, log).await {
                Ok(holder) => holders.push(holder),
                Err(failure) if failure.exit() == Exit::Bad => return Err(failure),
                Err(failure) => {
                    output.note(format_args!("left aside: {failure}"));
                    unread = Some(failure);
                }
            }
        }
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.checkpoint.head().size()));
        let sources: Vec<_> = holders.iter().map(|holder| holder.source.clone()).chain([store]).collect();
        let mut holders = holders.into_iter();
        let Some(Holder { place, .. }) = holders.next() else {
            return Err(unread.unwrap_or_else(|| Failure::usage("give a log to recover from: --from LOG")));
        };
        let client = Client::new(Holders(sources.clone()), log.clone());
        let checkpoint = client.update().await.map_err(|error| Failure::from(error).at(&place))?.checkpoint;
        let best = Self { place, checkpoint, client, sources };
        for other in holders {
            best.check_extends_that_of(&other).await?;
        }
        Ok(best)
    }

    /// Two checkpoints, both signed by the log: one of them extends the other, or the log is forked.
    async fn check_extends_that_of(&self, other: &Holder) -> Result<(), Failure> {
        match self.client.consistency(other.checkpoint.head()).await {
            Ok(_) => Ok(()),
            Err(ClientError::BadLog(BadLog::Inconsistent { earlier, head })) => Err(Failure::bad(format!(
                "the log is forked: {} has tree size {} with root {}, and {} has tree size {} with root {}, \
                 which does not extend it. Nothing was changed. Keep both checkpoints: they show anybody what the log did.\n\n{}\n{}",
                other.place,
                earlier.size(),
                earlier.root().to_hex(),
                self.place,
                head.size(),
                head.root().to_hex(),
                other.checkpoint.note(),
                self.checkpoint.note()
            ))),
            Err(error) => Err(Failure::from(error).at(&self.place)),
        }
    }

    /// What the log's key signed of its end, whoever has it.
    pub(super) async fn end(&self, log: &TrustedLog) -> Option<SignedEnd> {
        for source in &self.sources {
            if let Some(end) = read_end(source, log).await {
                return Some(end);
            }
        }
        None
    }

    /// The tree extends one that somebody knows, as far as it reaches.
    pub(super) async fn check_extends(&self, voice: Voice, theirs: TreeHead) -> Result<(), Failure> {
        let ours = self.checkpoint.head();
        if theirs.size() > ours.size() {
            return Ok(()); // what that means, the plan says
        }
        match self.client.consistency(theirs).await {
            Ok(_) => Ok(()),
            Err(ClientError::BadLog(BadLog::Inconsistent { .. })) => {
                Err(RecoverError::Fork { voice, theirs, ours }.into())
            }
            Err(error) => Err(Failure::from(error).at(&self.place)),
        }
    }

    /// Makes the store have all of a tree.
    pub(super) async fn fill(
        &self,
        store: &OpenStore,
        tree: TreeHead,
        existing: Existing,
    ) -> Result<Copied, Failure> {
        let mut progress = Progress::of("entries");
        let copied =
            self.client.copy_into(store, tree, existing, |now| progress.set(now.done, now.total)).await;
        drop(progress);
        copied.map_err(|error| match error {
            CopyError::Source(error) => Failure::from(error).at(&self.place),
            error => error.into(),
        })
    }
}
