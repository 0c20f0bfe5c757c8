//! The copy: what it has, what gets into it, and when it is left alone.

use bytes::Bytes;
use kiln_client::{AnySource, BadLog, Client, ClientError, Copied, Existing, Source, StoreSource};
use kiln_sequencer::{CopyHead, LoadError};
use kiln_storage::{ImmutableObjects, ObjectPath, Store};
use kiln_tiles::{SignedCheckpoint, TreeHead, TrustedLog, VerifierKey};

use crate::environment;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::store::{OpenStore, StorePlace, put};

/// A copy of a log, held against every other writer.
pub(super) struct Target<'a> {
    place: &'a StorePlace,
    store: &'a OpenStore,
    head: CopyHead<'a, <OpenStore as Store>::Head>,
}

impl<'a> Target<'a> {
    /// The copy of this log, or the place for one.
    pub(super) async fn open(
        place: &'a StorePlace,
        store: &'a OpenStore,
        vkey: &VerifierKey,
    ) -> Result<Self, Failure> {
        let head = CopyHead::load(store.head(), vkey.fingerprint()).await.map_err(|error| match error {
            error @ (LoadError::OtherLog { .. } | LoadError::Head(_)) => Failure::bad(format!(
                "{place} is no copy of this log that could be replaced: {error}. Give another place"
            )),
            error => error.into(),
        })?;
        Ok(Self { place, store, head })
    }

    /// The copy of a log that has ended gets nothing more.
    pub(super) fn check_end(&self, head: TreeHead) -> Result<(), Failure> {
        match self.head.end().filter(|&end| end != head) {
            Some(end) => Err(Failure::bad(format!(
                "{} is the copy of a log that has ended at size {}, and the log has size {}: somebody went on with a copy. It stays as it is",
                self.place,
                end.size(),
                head.size()
            ))),
            None => Ok(()),
        }
    }

    /// The tree that the copy has already, which must be a prefix of what is copied. What its head
    /// knows is not always what readers see, so both are compared.
    pub(super) async fn kept(&self, client: &Client<AnySource>, mend: bool) -> Result<TreeHead, Failure> {
        let published =
            if mend { self.checkpoint(client.log()).await? } else { self.tree(client.log()).await? };
        for tree in published.into_iter().chain(self.head.tree()) {
            match client.consistency(tree).await {
                Ok(_) => {}
                Err(ClientError::Beyond { wanted, size }) => return Err(self.ahead(wanted, size)),
                Err(ClientError::BadLog(BadLog::Inconsistent { earlier, head })) => {
                    return Err(self.forked(earlier, head));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(published.unwrap_or_else(TreeHead::empty))
    }

    /// The tree that readers of the copy see, the right edge of which is there.
    async fn tree(&self, log: &TrustedLog) -> Result<Option<TreeHead>, Failure> {
        match Client::new(StoreSource::new(self.store.clone()), log.clone()).update().await {
            Ok(update) => Ok(Some(update.checkpoint.head())),
            Err(ClientError::NoCheckpoint) => Ok(None),
            Err(error) => Err(self.damaged(error)),
        }
    }

    /// The tree that readers of the copy should see.
    async fn checkpoint(&self, log: &TrustedLog) -> Result<Option<TreeHead>, Failure> {
        let path: ObjectPath = "checkpoint".parse().expect("an object name");
        let opened = self.store.read(&path).await?.map(|note| log.open(&note)).transpose();
        match opened {
            Ok(checkpoint) => Ok(checkpoint.map(|checkpoint| checkpoint.head())),
            Err(error) => Err(self.damaged(BadLog::Checkpoint(error).into())),
        }
    }

    /// Makes the copy have all of a tree.
    pub(super) async fn fill(
        &self,
        client: &Client<AnySource>,
        head: TreeHead,
        existing: Existing,
    ) -> Result<Copied, Failure> {
        let mut progress = Progress::of("entries");
        let copied =
            client.copy_into(self.store, head, existing, |now| progress.set(now.done, now.total)).await;
        drop(progress);
        Ok(copied?)
    }

    /// Copies `log.json`, where there is one.
    pub(super) async fn describe(&self, source: &AnySource) -> Result<(), Failure> {
        const MOST: usize = 1 << 20;
        let read = source.fetch("log.json", MOST).await;
        match read.map_err(|error| Failure::undone(format!("log.json: {error}")))? {
            Some(description) => self.put("log.json", description).await,
            None => Ok(()),
        }
    }

    /// Lets readers see the tree of a checkpoint.
    pub(super) async fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), Failure> {
        self.put("checkpoint", checkpoint.note().to_string().into()).await
    }

    async fn put(&self, name: &str, body: Bytes) -> Result<(), Failure> {
        if put(self.store, name, body).await? {
            return Ok(());
        }
        let place = self.place;
        Err(Failure::undone(format!("{place}: {name} changed meanwhile: somebody else writes there")))
    }

    /// Makes it a log at rest, which may start from this tree.
    pub(super) async fn rest_at(self, tree: TreeHead) -> Result<(), Failure> {
        Ok(self.head.advance(tree, environment::random()?).await?)
    }

    fn damaged(&self, error: ClientError) -> Failure {
        let place = self.place;
        let other = matches!(error, ClientError::BadLog(BadLog::Checkpoint(_) | BadLog::OtherKeys(_)));
        match Failure::from(error) {
            failure if failure.exit() != Exit::Bad => failure,
            failure if other => Failure::bad(format!(
                "{place} is no copy of this log: {failure}. Give another place, or remove this checkpoint if it is damaged"
            )),
            failure => Failure::bad(format!(
                "{place} is a damaged copy: {failure}. Replace what is damaged with --mend"
            )),
        }
    }

    fn ahead(&self, copied: u64, size: u64) -> Failure {
        Failure::bad(format!(
            "{0} has {copied} entries, and the log only {size}: the log went back in time, and its copy stays as it is. \
             `kiln recover STORE --from {0}` brings back what it lost",
            self.place
        ))
    }

    fn forked(&self, copied: TreeHead, head: TreeHead) -> Failure {
        Failure::bad(format!(
            "{} holds tree size {} with root {}, which the log's tree of size {} with root {} does not extend: \
             the log is forked, or this is the copy of another. It stays as it is",
            self.place,
            copied.size(),
            copied.root().to_hex(),
            head.size(),
            head.root().to_hex()
        ))
    }
}
