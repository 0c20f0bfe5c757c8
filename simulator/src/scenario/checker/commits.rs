//! Every tree that was ever committed, and which of them extends which.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kiln_sequencer::{Entry, HeadRecord, Tree};
use kiln_storage::{Object, ObjectPath};
use kiln_tiles::TreeHead;

/// A tree that was committed.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) tree: Tree,
    head: TreeHead, // a tree has to compute it
    /// All of its entries, and when the last of them were committed.
    pub(crate) entries: Vec<Entry>,
    time: u64,
    /// What it implies and the one before did not.
    pub(crate) objects: Vec<Object>,
    /// The tree that its round was added to.
    pub(crate) before: Option<Arc<Commit>>,
}

impl Commit {
    fn empty() -> Arc<Self> {
        let (tree, head) = (Tree::empty(), TreeHead::empty());
        Arc::new(Self { tree, head, entries: Vec::new(), time: 0, objects: Vec::new(), before: None })
    }

    pub(crate) const fn head(&self) -> TreeHead {
        self.head
    }

    pub(crate) fn size(&self) -> u64 {
        self.head.size()
    }

    pub(crate) fn entry(&self, index: u64) -> Option<&Bytes> {
        usize::try_from(index).ok().and_then(|index| self.entries.get(index)).map(Entry::bytes)
    }

    /// The entries of its own round.
    pub(crate) fn new_entries(&self) -> &[Entry] {
        let before = self.before.as_ref().map_or(0, |before| before.entries.len());
        &self.entries[before..]
    }

    /// It and those before it, newest first.
    pub(crate) fn history(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |commit| commit.before.as_ref())
    }

    /// Mostly it was added to it. Where not, the same entries may have come in other rounds.
    pub(crate) fn extends(self: &Arc<Self>, earlier: &Self) -> bool {
        let first = self.history().find(|commit| commit.size() <= earlier.size());
        first.is_some_and(|commit| commit.head() == earlier.head())
            || self.entries.starts_with(&earlier.entries)
    }

    /// The first tree that had this index.
    pub(crate) fn first_with(self: &Arc<Self>, index: u64) -> Option<&Arc<Self>> {
        self.history().take_while(|commit| commit.size() > index).last()
    }

    fn with(self: &Arc<Self>, round: &kiln_sequencer::Round) -> Self {
        let mut tree = self.tree.clone();
        let objects = tree.append(&round.entries);
        let entries = self.entries.iter().chain(&round.entries).cloned().collect();
        Self { head: tree.head(), tree, entries, time: round.time, objects, before: Some(self.clone()) }
    }
}

/// Every tree that was ever committed, and what they imply.
#[derive(Debug)]
pub(crate) struct Commits {
    all: HashMap<TreeHead, Arc<Commit>>,
    implied: HashMap<ObjectPath, Bytes>,
}

impl Commits {
    pub(crate) fn new() -> Self {
        Self { all: HashMap::from([(TreeHead::empty(), Commit::empty())]), implied: HashMap::new() }
    }

    pub(crate) fn find(&self, head: TreeHead) -> Option<&Arc<Commit>> {
        self.all.get(&head)
    }

    /// What some committed tree implies under this name.
    pub(crate) fn implied(&self, path: &ObjectPath) -> Option<&Bytes> {
        self.implied.get(path)
    }

    /// The tree before the rounds of a head record, and the one after them; whatever of it is new is
    /// committed now.
    pub(crate) fn add(&mut self, record: &HeadRecord) -> Result<(Arc<Commit>, Arc<Commit>), String> {
        let base = self.find(record.base).ok_or("the base of the head was never committed")?.clone();
        let mut last = base.clone();
        for round in &record.rounds {
            last = self.add_round(&last, round)?;
        }
        if last.head() != record.head {
            return Err("the rounds of the head do not lead to its root hash".into());
        }
        Ok((base, last))
    }

    fn add_round(&mut self, at: &Arc<Commit>, round: &kiln_sequencer::Round) -> Result<Arc<Commit>, String> {
        let next = at.with(round);
        if next.time < at.time {
            return Err("the time of a round goes back".into());
        }
        // The same entries may be committed at another time, where a power cut took the first commit.
        if let Some(known) = self.all.get(&next.head()).filter(|known| known.time == next.time) {
            return Ok(known.clone());
        }
        let implied = next.objects.iter().map(|object| (object.path.clone(), object.body.clone()));
        self.implied.extend(implied);
        let next = Arc::new(next);
        self.all.insert(next.head(), next.clone());
        Ok(next)
    }
}
