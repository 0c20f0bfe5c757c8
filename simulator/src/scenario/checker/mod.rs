//! Holds every promise after every step: looks at what stands in the store after each call that
//! changed it, and at each answer. It keeps what it knows, and verifies only what is new.
//!
//! | promise | where |
//! |---|---|
//! | the head only grows, by one round at a time; one process commits an index; no entry twice | [`Checker::look_at_head`] |
//! | a round leaves the head when all that it implies can be read | the same |
//! | the guard extends what it held, and nothing stands in it that was not committed | [`Checker::look_at_guard`] |
//! | what is signed was committed and guarded, and extends all that was signed and answered | [`Checker::signed`] |
//! | what is published can be read; the published checkpoint never goes back | [`Checker::look_at_checkpoint`] |
//! | an object is what a committed tree implies, and never changes | [`Checker::creates`] |
//! | an answered index holds that entry, guarded, for ever; with dedup it has no other | [`Checker::answered`] |
//! | nothing follows the end of a log: no head, no signature, no answer | [`Checker::look_at_head`], [`Checker::signed`], [`Checker::answered`] |
//! | a power cut takes nothing of this away | [`Checker::look_after_power_cut`] |

mod commits;
mod ended;
mod power;
mod promised;
mod published;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use kiln_sequencer::{Entry, HeadRecord};
use kiln_storage::{Object, ObjectPath};
use kiln_tiles::{Hash, TreeHead, TrustedLog};

pub(crate) use commits::Commit;
use commits::Commits;

use crate::world::trusted_log;

/// Sees all that stands in the stores, as no process can.
pub(crate) trait Eye: Send + Sync {
    /// An object of the log's store.
    fn object(&self, path: &ObjectPath) -> Option<Bytes>;
    /// The head.
    fn head(&self) -> Option<Bytes>;
    /// A guard.
    fn guard(&self, number: usize) -> Option<Bytes>;
}

/// What it was shown so far.
pub(crate) struct Checker {
    eye: Arc<dyn Eye>,
    log: TrustedLog,
    dedup: bool,
    commits: Commits,
    /// The head that stands, its bytes and number, and which process swapped it in.
    at: Arc<Commit>,
    bytes: Option<Bytes>,
    number: u64,
    writer: Option<usize>,
    /// All rounds up to here left the head.
    left: Arc<Commit>,
    /// The leaf hashes of the tree that stands.
    logged: HashSet<Hash>,
    guards: Vec<Arc<Commit>>,
    /// The largest tree that was signed, or of which an index was answered.
    promised: Arc<Commit>,
    /// The checkpoint that stands, and all that ever stood, with what each implied and the one before did not.
    visible: Option<Arc<Commit>>,
    published: BTreeMap<u64, (Arc<Commit>, Vec<Object>)>,
    /// The largest checkpoint that a put was answered for.
    put: u64,
    answered: HashMap<Bytes, u64>,
    /// Where the log ended, if the head says that it has; and whether somebody was told so.
    frozen: Option<Arc<Commit>>,
    frozen_for_sure: bool,
    /// The store went back in time: what stands in it proves nothing any more.
    tampered: bool,
}

/// What a look at the head showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth {
    /// Another process writes than before.
    pub(crate) takeover: bool,
    /// So many rounds are in the head.
    pub(crate) rounds: usize,
}

type Checked<T = ()> = Result<T, String>;

impl Checker {
    pub(crate) fn new(eye: Arc<dyn Eye>, guards: usize, dedup: bool) -> Self {
        let commits = Commits::new();
        let empty = commits.find(TreeHead::empty()).expect("the empty tree").clone();
        Self {
            eye,
            log: trusted_log(),
            dedup,
            commits,
            at: empty.clone(),
            bytes: None,
            number: 0,
            writer: None,
            left: empty.clone(),
            logged: HashSet::new(),
            guards: vec![empty.clone(); guards],
            promised: empty,
            visible: None,
            published: BTreeMap::new(),
            put: 0,
            answered: HashMap::new(),
            frozen: None,
            frozen_for_sure: false,
            tampered: false,
        }
    }

    /// Whether the store went back in time.
    pub(crate) const fn is_tampered(&self) -> bool {
        self.tampered
    }

    /// Whether there is a log.
    pub(crate) const fn is_made(&self) -> bool {
        self.bytes.is_some()
    }

    /// How large the log is, how many entries were answered, and how many checkpoints stood.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.at.size(), self.answered.len() as u64, self.published.len() as u64)
    }

    /// The size of the checkpoint before the one that stands.
    pub(crate) fn published_before(&self) -> u64 {
        self.published.keys().rev().nth(1).copied().unwrap_or(0)
    }

    /// Each entry that was answered, with its index.
    pub(crate) const fn answers(&self) -> &HashMap<Bytes, u64> {
        &self.answered
    }

    /// The head may have changed.
    pub(crate) fn look_at_head(&mut self, process: usize) -> Checked<Growth> {
        let found = self.eye.head();
        if found == self.bytes {
            return Ok(Growth::default());
        }
        let bytes = match found {
            Some(bytes) => bytes,
            None if self.tampered => return Ok(Growth::default()),
            None => return Err("the head is gone".into()),
        };
        let record = HeadRecord::parse(&bytes).map_err(|error| error.to_string())?;
        let (base, next) = self.commits.add(&record)?;
        if !self.tampered {
            self.check_growth(&record, &base, &next)?;
        }
        self.frozen = record.frozen.then(|| next.clone());
        self.left = base;
        self.stand_at(next, bytes, record.number);
        let takeover = self.writer.replace(process).is_some_and(|before| before != process);
        Ok(Growth { takeover, rounds: record.rounds.len() })
    }

    fn check_growth(&self, record: &HeadRecord, base: &Commit, next: &Arc<Commit>) -> Checked {
        if self.bytes.is_none() {
            return if next.size() == 0 { Ok(()) } else { Err("a new log is not empty".into()) };
        }
        self.check_nothing_follows_the_end()?;
        let grown = if record.frozen { Some(next) } else { next.before.as_ref() };
        if grown.map(|before| before.head()) != Some(self.at.head()) {
            let (from, to) = (self.at.head(), next.head());
            return Err(format!("the head was not grown by a round: {from} became {to}"));
        }
        if record.number != self.number + 1 {
            return Err(format!("round {} follows round {}", record.number, self.number));
        }
        if self.dedup && !record.frozen {
            self.check_distinct(next.new_entries())?;
        }
        let between = self.at.history().skip_while(|commit| commit.size() > base.size());
        for commit in between.take_while(|commit| commit.size() > self.left.size()) {
            self.check_readable(&commit.objects, "a round left the head")?;
        }
        Ok(())
    }

    fn check_distinct(&self, entries: &[Entry]) -> Checked {
        let mut new = HashSet::new();
        match entries.iter().find(|entry| self.logged.contains(&entry.leaf()) || !new.insert(entry.leaf())) {
            Some(twice) => Err(format!("an entry was committed twice: {:?}", twice.bytes())),
            None => Ok(()),
        }
    }

    fn stand_at(&mut self, commit: Arc<Commit>, bytes: Bytes, number: u64) {
        if !commit.before.as_ref().is_some_and(|before| before.head() == self.at.head()) {
            self.logged = commit.entries.iter().map(Entry::leaf).collect();
        }
        self.logged.extend(commit.new_entries().iter().map(Entry::leaf));
        (self.at, self.bytes, self.number) = (commit, Some(bytes), number);
    }
}
