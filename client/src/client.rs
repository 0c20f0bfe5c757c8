//! A client of one log: what it knows, and how it learns of a newer tree.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use kiln_tiles::{Hash, Node, Proof, SignedCheckpoint, Subtree, TILE_WIDTH, TlogProof, TreeHead, TrustedLog};

use crate::builder::ClientBuilder;
use crate::cache::Cache;
use crate::error::{BadLog, ClientError, Evidence};
use crate::fetch;
use crate::source::Source;
use crate::tree::{Reader, Tree};

/// A client of one log: it reads through a [`Source`] that it does not trust, and answers only what
/// a checkpoint vouches for that the [`TrustedLog`] signed, and its quorum of witnesses cosigned.
///
/// It remembers the newest tree that it verified, and every answer is about that tree: reading does
/// not go to the network for a newer checkpoint unless there is none yet, or what was asked for lies
/// beyond. [`update`](Self::update) does.
///
/// A clone is another handle to the same client. Calls may run side by side, and dropping one in
/// the middle does no harm.
pub struct Client<S> {
    pub(crate) shared: Arc<Shared<S>>,
}

pub(crate) struct Shared<S> {
    pub(crate) log: TrustedLog,
    pub(crate) reader: Reader<S>,
    pub(crate) refuse_rollback: bool,
    #[cfg(feature = "tokio")]
    pub(crate) poll_interval: std::time::Duration,
    pub(crate) view: RwLock<Option<View<S>>>,
    pub(crate) updating: futures_util::lock::Mutex<()>,
}

/// The newest tree that was verified.
pub(crate) struct View<S> {
    pub(crate) checkpoint: SignedCheckpoint,
    pub(crate) tree: Arc<Tree<S>>,
}

/// What [`Client::update`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// The newest checkpoint known, which every further answer is about.
    pub checkpoint: SignedCheckpoint,
    /// How it compares with what was known before.
    pub freshness: Freshness,
}

/// How a served checkpoint compares with the newest one known before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freshness {
    /// Nothing was known before.
    First,
    /// The tree has grown from this one, and extends it.
    Grown {
        /// The newest tree known before.
        from: TreeHead,
    },
    /// The tree is the same.
    Same,
    /// The tree served is an older one, which the newest known extends. A CDN does so for a while
    /// after each publication; a log that was set back does so for ever.
    Stale {
        /// The older tree that was served.
        served: TreeHead,
    },
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S> Clone for View<S> {
    fn clone(&self) -> Self {
        Self { checkpoint: self.checkpoint.clone(), tree: Arc::clone(&self.tree) }
    }
}

impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.view().map(|view| view.checkpoint.head());
        f.debug_struct("Client").field("origin", &self.shared.log.origin()).field("head", &head).finish()
    }
}

impl<S> Client<S> {
    /// The log that this client believes.
    #[must_use]
    pub fn log(&self) -> &TrustedLog {
        &self.shared.log
    }

    /// The newest checkpoint that was verified, without asking for a newer one.
    #[must_use]
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        self.view().map(|view| view.checkpoint)
    }

    fn view(&self) -> Option<View<S>> {
        self.shared.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_view(&self, view: View<S>) {
        *self.shared.view.write().unwrap_or_else(PoisonError::into_inner) = Some(view);
    }
}

impl<S: Source> Client<S> {
    /// A client with the usual options: see [`ClientBuilder`].
    #[must_use]
    pub fn new(source: S, log: TrustedLog) -> Self {
        Self::builder(source, log).build()
    }

    /// A client with options.
    pub const fn builder(source: S, log: TrustedLog) -> ClientBuilder<S> {
        ClientBuilder::new(source, log)
    }

    /// Reads the log's checkpoint, verifies it, and compares it with the newest one known, an
    /// earlier run's in the cache folder included:
    ///
    /// | the served tree is | answer |
    /// |---|---|
    /// | larger, and extends the known one | [`Freshness::Grown`]; it is the known one now |
    /// | the same | [`Freshness::Same`] |
    /// | smaller, and the known one extends it | [`Freshness::Stale`]; the known one stays. [`BadLog::Rollback`] where the tiles of the known one are gone too, or the client was told to [refuse](ClientBuilder::refuse_rollback) |
    /// | anything else | [`BadLog::Fork`], with both checkpoints as evidence |
    ///
    /// What an earlier run remembered is compared even where its cosignatures do not meet the quorum of the
    /// [`TrustedLog`] any more. Answers are never about it then.
    ///
    /// That an older tree is no error at once is on purpose: every CDN serves one now and then.
    ///
    /// # Errors
    /// Where the checkpoint or a tile cannot be read, or does not verify, or see above.
    pub async fn update(&self) -> Result<Update, ClientError> {
        self.update_for(None).await
    }

    /// The same, where the next question is about `next`.
    async fn update_for(&self, next: Option<Node>) -> Result<Update, ClientError> {
        let _one_at_a_time = self.shared.updating.lock().await;
        let served = fetch::checkpoint(&*self.shared.reader.source, &self.shared.log).await?;
        let known = match self.checkpoint() {
            Some(known) => Some(known),
            None => self.shared.reader.cache.remembered(&self.shared.log).await?,
        };
        let freshness = match known {
            None => self.begin(served, next).await?,
            Some(known) if served.head().size() < known.head().size() => {
                self.hold(known, &served, next).await?
            }
            Some(known) => self.advance(&known, served, next).await?,
        };
        let checkpoint = self.checkpoint().ok_or(ClientError::NoCheckpoint)?;
        Ok(Update { checkpoint, freshness })
    }

    /// The tree of `head`, the one at hand where it is that.
    async fn tree(&self, head: TreeHead, next: Option<Node>) -> Result<Arc<Tree<S>>, ClientError> {
        match self.view().filter(|view| view.tree.head() == head) {
            Some(view) => Ok(view.tree),
            None => Ok(Arc::new(Tree::open(self.shared.reader.clone(), head, next).await?)),
        }
    }

    /// The first tree that is seen.
    async fn begin(&self, served: SignedCheckpoint, next: Option<Node>) -> Result<Freshness, ClientError> {
        let tree = self.tree(served.head(), next).await?;
        self.remember(&served).await?;
        self.set_view(View { checkpoint: served, tree });
        Ok(Freshness::First)
    }

    /// A tree that is at least as large as the one known: it must extend it.
    async fn advance(
        &self,
        known: &SignedCheckpoint,
        served: SignedCheckpoint,
        next: Option<Node>,
    ) -> Result<Freshness, ClientError> {
        let (from, to) = (known.head(), served.head());
        let fork = || BadLog::Fork(evidence(known, &served));
        if from.size() == to.size() && from.root() != to.root() {
            return Err(fork().into()); // no tile is needed to see it, and there may be none
        }
        let tree = self.tree_through(to, from, next).await?.ok_or_else(fork)?;
        if served != *known {
            self.remember(&served).await?;
        }
        self.set_view(View { checkpoint: served, tree });
        Ok(if from == to { Freshness::Same } else { Freshness::Grown { from } })
    }

    /// A tree that is smaller than the one known: the known one must extend it, and stays. One that an earlier run
    /// remembered and that lacks cosignatures does not: it only shows that the log did not go another way.
    async fn hold(
        &self,
        known: SignedCheckpoint,
        served: &SignedCheckpoint,
        next: Option<Node>,
    ) -> Result<Freshness, ClientError> {
        let both = evidence(&known, served);
        match self.tree_through(known.head(), served.head(), next).await {
            Err(error) if error.is_bad_log() => Err(BadLog::Rollback(both).into()),
            Err(error) => Err(error),
            Ok(None) => Err(BadLog::Fork(both).into()),
            Ok(Some(_)) if self.shared.refuse_rollback => Err(BadLog::Rollback(both).into()),
            Ok(Some(tree)) if self.is_cosigned(&known) => {
                self.set_view(View { checkpoint: known, tree });
                Ok(Freshness::Stale { served: served.head() })
            }
            Ok(Some(_)) => {
                let tree = self.tree(served.head(), next).await?;
                self.set_view(View { checkpoint: served.clone(), tree });
                Ok(Freshness::Stale { served: served.head() })
            }
        }
    }

    /// Whether the witnesses have cosigned a checkpoint, as those of an earlier run with another policy need not have.
    fn is_cosigned(&self, checkpoint: &SignedCheckpoint) -> bool {
        self.shared.log.quorum().check(checkpoint.note()).is_ok()
    }

    /// The tree of `head`, where it extends `earlier`.
    async fn tree_through(
        &self,
        head: TreeHead,
        earlier: TreeHead,
        next: Option<Node>,
    ) -> Result<Option<Arc<Tree<S>>>, ClientError> {
        let tree = self.tree(head, next).await?;
        let extends = tree.root_at(earlier.size()).await? == Some(earlier.root());
        Ok(extends.then_some(tree))
    }

    async fn remember(&self, checkpoint: &SignedCheckpoint) -> Result<(), ClientError> {
        self.shared.reader.cache.remember(checkpoint, &self.shared.log).await
    }

    /// The newest tree known that has `size` leaves at least.
    pub(crate) async fn reaching(&self, size: u64) -> Result<View<S>, ClientError> {
        self.reaching_for(size, None).await
    }

    async fn reaching_for(&self, size: u64, next: Option<Node>) -> Result<View<S>, ClientError> {
        if let Some(view) = self.view().filter(|view| view.tree.head().size() >= size) {
            return Ok(view);
        }
        let known = self.update_for(next).await?.checkpoint.head().size();
        let beyond = ClientError::Beyond { wanted: size, size: known };
        self.view().filter(|view| view.tree.head().size() >= size).ok_or(beyond)
    }

    /// The newest tree known that has an entry at `index`. What `next` needs of a tree that is not known yet is read
    /// beside it.
    pub(crate) async fn having(&self, index: u64, next: Option<Node>) -> Result<View<S>, ClientError> {
        self.reaching_for(index.saturating_add(1), next).await.map_err(|error| match error {
            ClientError::Beyond { size, .. } => ClientError::NoEntry { index, size },
            error => error,
        })
    }

    /// The entry at `index`, verified.
    ///
    /// # Errors
    /// Where the log has no entry there, or what is needed cannot be read or does not verify.
    pub async fn get(&self, index: u64) -> Result<Bytes, ClientError> {
        let bundle = Node::new(8, index / TILE_WIDTH); // a bundle is verified without its leaf tile
        let view = self.having(index, bundle).await?;
        let leaves = view.tree.leaves(index).await?;
        let bundle = view.tree.bundle(leaves).await?;
        bundle.entry(index).ok_or(ClientError::NoEntry { index, size: bundle.end() })
    }

    /// The proof that the log has what it has at `index`, with its checkpoint: a file that
    /// [`verify`](crate::verify) takes offline. Write it with `to_string`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn prove(&self, index: u64) -> Result<TlogProof, ClientError> {
        let view = self.having(index, Node::leaf(index)).await?;
        let none = || ClientError::NoEntry { index, size: view.tree.head().size() };
        let leaf = Subtree::new(index, index.saturating_add(1)).ok_or_else(none)?;
        let inclusion = view.tree.prove(leaf).await?.ok_or_else(none)?;
        Ok(TlogProof::new(index, inclusion, view.checkpoint.note().clone()))
    }

    /// The leaf hash at `index`, verified.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn leaf_hash(&self, index: u64) -> Result<Hash, ClientError> {
        let view = self.having(index, Node::leaf(index)).await?;
        let none = || ClientError::NoEntry { index, size: view.tree.head().size() };
        let leaf = Node::leaf(index).ok_or_else(none)?;
        view.tree.with_nodes(&[leaf], |tiles| tiles.node(leaf)).await?.ok_or_else(none)
    }

    /// The proof that the newest tree known extends `earlier`, and that tree's checkpoint.
    ///
    /// # Errors
    /// [`BadLog::Inconsistent`] where it does not extend it; else as [`get`](Self::get).
    pub async fn consistency(&self, earlier: TreeHead) -> Result<(Proof, SignedCheckpoint), ClientError> {
        let View { checkpoint, tree } = self.reaching(earlier.size()).await?;
        let proof = match Subtree::whole(earlier.size()) {
            Some(subtree) => tree.prove(subtree).await?.unwrap_or_default(),
            None => Proof::default(),
        };
        let head = tree.head();
        let holds = proof.verify_consistency(earlier, head);
        holds.map_err(|_| BadLog::Inconsistent { earlier, head })?;
        Ok((proof, checkpoint))
    }
}

fn evidence(known: &SignedCheckpoint, served: &SignedCheckpoint) -> Box<Evidence> {
    Box::new(Evidence { known: known.clone(), served: served.clone() })
}

pub(crate) fn shared<S>(builder: ClientBuilder<S>, cache: Cache) -> Shared<S> {
    let reader = Reader {
        source: Arc::new(builder.source),
        cache: Arc::new(cache),
        parallelism: builder.parallelism,
        most_tiles: builder.tiles_in_memory.max(MIN_TILES),
    };
    Shared {
        log: builder.log,
        reader,
        refuse_rollback: builder.refuse_rollback,
        #[cfg(feature = "tokio")]
        poll_interval: builder.poll_interval,
        view: RwLock::new(None),
        updating: futures_util::lock::Mutex::new(()),
    }
}

/// What a tree holds at least, so that no single answer needs to make room for itself.
const MIN_TILES: usize = 64;
