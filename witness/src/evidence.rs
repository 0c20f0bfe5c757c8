//! Refusals that speak against a log, kept for people: the specification lets a witness [log them].
//!
//! Each is a folder, named by what it holds, so that the same is kept once:
//!
//! | file | holds |
//! |---|---|
//! | `submitted` | the checkpoint that was refused, with the log's signature |
//! | `recorded` | the one that was granted before, with the log's signature; none where the first speaks for itself |
//! | `request` | the request, as it can be sent again |
//! | `README` | what they show, when it came, and the keys of the log: all that a check takes, without a network |
//!
//! [log them]: https://c2sp.org/tlog-witness#add-checkpoint

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::{Digest, Sha256};

use crate::logs::Log;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::submission::Submission;

/// How many wait to be written. What comes beyond is counted and forgotten.
const WAITING: usize = 16;

/// How the name of a case begins that is being written.
const UNFINISHED: &str = ".new-";

/// The most cases of one kind and log, and of one kind.
const MOST_OF_A_LOG: usize = 16;
const MOST: usize = 500;

/// What a checkpoint that was refused shows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Case {
    /// The log signed two trees of one size, or an empty tree that is not empty: proof that it misbehaved.
    Fork,
    /// The proof from the recorded tree does not verify: the log may have misbehaved, or somebody sent its checkpoint
    /// with a proof of their own.
    BadProof,
    /// The log itself was read, and its tiles show that neither of its two trees extends the other: proof that it
    /// misbehaved.
    Rewrite,
}

impl Case {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::BadProof => "bad-proof",
            Self::Rewrite => "rewrite",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::Fork => {
                "The log signed a tree that cannot be beside what it signed before: compare the second and third \
                 line of `submitted` with those of `recorded`, or, for a tree of size 0, with the hash of nothing."
            }
            Self::BadProof => {
                "The proof in `request` does not lead from the tree of `recorded` to that of `submitted`. Whoever \
                 has both checkpoints can send a wrong proof: ask the log for a right one. If there is none, the \
                 log rewrote its past."
            }
            Self::Rewrite => {
                "The log was read at its own address. Its tiles hash to the tree of `submitted`, and this one and that \
                 of `recorded` do not extend one another: the log rewrote its past, or shows others another one. \
                 `request` is only how to send `submitted` to somebody else."
            }
        }
    }
}

/// Why evidence cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct EvidenceError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Hands evidence to the thread that writes it: no request waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    sender: SyncSender<Item>,
    metrics: Metrics,
}

/// A case as it is kept.
#[derive(Debug)]
struct Item {
    case: Case,
    origin: String,
    name: String,
    files: Vec<(&'static str, String)>,
}

impl Evidence {
    /// Keeps evidence in this folder, beside what is there.
    pub(crate) fn start(folder: &Path, metrics: Metrics) -> Result<Self, EvidenceError> {
        let failed = |error| EvidenceError { path: folder.to_owned(), error };
        fs::create_dir_all(folder).map_err(failed)?;
        let shelf = Shelf::open(folder).map_err(failed)?;
        let (sender, items) = sync_channel(WAITING);
        let counted = metrics.clone();
        let thread = std::thread::Builder::new().name("witness-evidence".to_owned());
        thread.spawn(move || keep_all(shelf, &items, &counted)).map_err(failed)?;
        Ok(Self { sender, metrics })
    }

    pub(crate) fn keep(&self, case: Case, submission: &Submission, record: Option<&Record>, time: u64) {
        if self.sender.try_send(Item::new(case, submission, record, time)).is_err() {
            self.metrics.count_evidence(case, "dropped");
        }
    }
}

impl Item {
    fn new(case: Case, submission: &Submission, record: Option<&Record>, time: u64) -> Self {
        let submitted = submission.note().to_string();
        let recorded = record.map(|record| record.note().to_string());
        // By the texts: the same checkpoints with other signatures or proofs show nothing more.
        let texts = [Some(submission.note()), record.map(Record::note)].into_iter().flatten();
        let digest = texts.fold(Sha256::new(), |digest, note| digest.chain_update(note.unverified_text()));
        let digest = kiln_tiles::Hash::from_bytes(digest.finalize().into()).to_hex();
        let of_log = name_of_log(case, submission.log());
        let files = [
            Some(("README", readme(case, submission.log(), time))),
            Some(("request", submission.to_request().to_string())),
            Some(("submitted", submitted)),
            recorded.map(|recorded| ("recorded", recorded)),
        ];
        Self {
            case,
            origin: submission.log().origin().to_owned(),
            name: format!("{of_log}-{}", &digest[..16]),
            files: files.into_iter().flatten().collect(),
        }
    }
}

fn name_of_log(case: Case, log: &Log) -> String {
    format!("{}-{}", case.name(), &log.origin_hash().to_hex()[..16])
}

fn readme(case: Case, log: &Log, time: u64) -> String {
    let vkeys: String = log.keys().iter().map(|vkey| format!("vkey   {vkey}\n")).collect();
    format!(
        "case   {}\norigin {}\n{vkeys}time   {time} (seconds since 1970)\n\n{}\n\
         `submitted` and `recorded` are signed notes (c2sp.org/signed-note); they verify by the vkeys above.\n",
        case.name(),
        log.origin(),
        case.explanation()
    )
}

fn keep_all(mut shelf: Shelf, items: &Receiver<Item>, metrics: &Metrics) {
    while let Ok(item) = items.recv() {
        let outcome = match shelf.put(&item) {
            // Once, for anybody can repeat it.
            Ok(outcome @ "kept") => {
                let (origin, case) = (&item.origin, item.case.name());
                tracing::warn!(
                    origin,
                    case,
                    "a checkpoint that the log signed was refused, and speaks against it"
                );
                outcome
            }
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, origin = item.origin, "evidence was not kept");
                "failed"
            }
        };
        metrics.count_evidence(item.case, outcome);
    }
}

/// The folder, and how many cases it has by the beginnings of their names.
struct Shelf {
    folder: PathBuf,
    cases: HashMap<String, usize>,
}

impl Shelf {
    fn open(folder: &Path) -> io::Result<Self> {
        let mut shelf = Self { folder: folder.to_owned(), cases: HashMap::new() };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Some(name) if name.starts_with(UNFINISHED) => fs::remove_dir_all(entry.path())?,
                Some(name) => shelf.count(name),
                None => {}
            }
        }
        Ok(shelf)
    }

    /// Counts a case under its kind and log, and under its kind.
    fn count(&mut self, name: &str) {
        for beginning in beginnings(name).into_iter().flatten() {
            *self.cases.entry(beginning.to_owned()).or_default() += 1;
        }
    }

    fn has_room_for(&self, name: &str) -> bool {
        let limits = beginnings(name).into_iter().zip([MOST_OF_A_LOG, MOST]);
        limits.into_iter().all(|(beginning, most)| {
            beginning.is_none_or(|beginning| self.cases.get(beginning).is_none_or(|&cases| cases < most))
        })
    }

    /// Writes a case beside the others, in one step.
    fn put(&mut self, item: &Item) -> io::Result<&'static str> {
        let path = self.folder.join(&item.name);
        if path.exists() {
            return Ok("known");
        }
        if !self.has_room_for(&item.name) {
            return Ok("dropped");
        }
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.folder)?;
        for (name, text) in &item.files {
            let mut file = fs::File::create(unfinished.path().join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        fs::rename(unfinished.path(), &path)?;
        fs::File::open(&self.folder)?.sync_all()?;
        self.count(&item.name);
        Ok("kept")
    }
}

/// `fork-<log>` and `fork` of `fork-<log>-<digest>`.
fn beginnings(name: &str) -> [Option<&str>; 2] {
    let of_log = name.rsplit_once('-').map(|(beginning, _)| beginning);
    let of_kind = of_log.and_then(|beginning| Some(beginning.rsplit_once('-')?.0));
    [of_log, of_kind]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(log: &str, digest: usize) -> Item {
        Item {
            case: Case::BadProof,
            origin: log.to_owned(),
            name: format!("bad-proof-{log}-{digest:04}"),
            files: vec![("README", "words".to_owned())],
        }
    }

    #[test]
    fn evidence_is_kept_once_and_bounded_for_each_log_and_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(folder.path()).unwrap();
        assert_eq!(shelf.put(&item("a", 0)).unwrap(), "kept");
        assert_eq!(shelf.put(&item("a", 0)).unwrap(), "known");
        for digest in 1..MOST_OF_A_LOG {
            assert_eq!(shelf.put(&item("a", digest)).unwrap(), "kept");
        }
        for mut shelf in [shelf, Shelf::open(folder.path()).unwrap()] {
            assert_eq!(shelf.put(&item("a", 1000)).unwrap(), "dropped");
        }
        let mut shelf = Shelf::open(folder.path()).unwrap();
        assert_eq!(shelf.put(&item("b", 0)).unwrap(), "kept", "one log's are not another's");
        shelf.cases.insert("bad-proof".to_owned(), MOST);
        assert_eq!(shelf.put(&item("c", 0)).unwrap(), "dropped");
        assert_eq!(fs::read_to_string(folder.path().join("bad-proof-b-0000/README")).unwrap(), "words");
    }
}
