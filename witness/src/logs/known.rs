//! The logs of all lists that were ever read, on disk: no list takes one back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kiln_tiles::{Quorum, TrustedLog};

use super::list::{ListedLog, LogList, ParseLogListError};
use super::{Log, Logs, PerDay};

/// The file of what lists said, in the form that they have.
const LOGS: &str = "logs";
/// The file in which the operator names origins that are not witnessed any more, one a line.
const DISABLED: &str = "disabled";

/// The most keys of a log, and the most of all logs together. What lists name beyond stays out.
const MAX_KEYS_OF_A_LOG: usize = 16;
const MAX_KEYS: usize = 200_000;

/// The logs that are witnessed.
///
/// Additive: a list adds logs, and keys to logs. What it leaves out stays, and what the operator disabled stays so,
/// whatever lists say.
#[derive(Debug)]
pub struct KnownLogs {
    folder: PathBuf,
    remembered: Mutex<Remembered>,
    /// What requests are checked against.
    logs: RwLock<Arc<Logs>>,
}

/// What is on disk; and the logs of this process alone.
#[derive(Debug, Default)]
struct Remembered {
    keys: LogList,
    disabled: BTreeSet<String>,
    trusted: Vec<TrustedLog>,
}

/// What came of taking lists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Keys of logs that are new.
    pub added: usize,
    /// Keys that were left out, for there are too many of the log, or of all.
    pub left_out: usize,
}

/// Why logs could not be remembered, or remembered logs not be read.
#[derive(Debug, thiserror::Error)]
pub enum KnownLogsError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file of remembered logs is no list of logs. Somebody changed it.
    #[error("{}: {error}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ParseLogListError,
    },
}

impl KnownLogs {
    /// The logs that are remembered in this folder.
    ///
    /// # Errors
    /// Where the folder's files cannot be read.
    pub fn open(folder: &Path) -> Result<Self, KnownLogsError> {
        let path = folder.join(LOGS);
        let keys = match read(&path)? {
            Some(bytes) => LogList::parse(&bytes).map_err(|error| KnownLogsError::Damaged { path, error })?,
            None => LogList::default(),
        };
        let remembered = Remembered { keys, disabled: read_disabled(folder)?, trusted: Vec::new() };
        let logs = RwLock::new(Arc::new(remembered.logs()));
        Ok(Self { folder: folder.to_owned(), remembered: Mutex::new(remembered), logs })
    }

    /// Whether no log was ever named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let remembered = self.lock();
        remembered.keys.is_empty() && remembered.trusted.is_empty()
    }

    /// Knows these logs too, as long as this process lives. What their quorums ask for is asked of every checkpoint of
    /// theirs, whoever sends it. It is not remembered: a later process that was not told of the quorum would take what
    /// lacks it.
    pub fn trust(&self, logs: Vec<TrustedLog>) {
        let mut remembered = self.lock();
        remembered.trusted = logs;
        *self.logs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(remembered.logs());
    }

    /// Takes what lists say now, and what the operator disabled. It is on disk before the first request sees it.
    ///
    /// A quota follows the lists: the largest of those that name the log counts.
    ///
    /// # Errors
    /// Where files cannot be read or written. Then the logs stay as they are.
    pub fn take(&self, lists: &[LogList]) -> Result<Taken, KnownLogsError> {
        let mut remembered = self.lock();
        let disabled = read_disabled(&self.folder)?;
        let (mut keys, mut taken) = merge(&remembered.keys, lists);
        // The next start has to read it.
        if keys.to_string().len() > LogList::MAX_SIZE {
            taken = Taken { added: 0, left_out: taken.added + taken.left_out };
            keys = remembered.keys.clone();
        }
        if keys == remembered.keys && disabled == remembered.disabled {
            return Ok(taken);
        }
        if keys != remembered.keys {
            let path = self.folder.join(LOGS);
            write(&path, &keys.to_string()).map_err(|error| KnownLogsError::File { path, error })?;
        }
        (remembered.keys, remembered.disabled) = (keys, disabled);
        *self.logs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(remembered.logs());
        Ok(taken)
    }

    /// The logs as they are now.
    #[must_use]
    pub fn now(&self) -> Arc<Logs> {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is witnessed, as a list.
    #[must_use]
    pub fn to_list(&self) -> LogList {
        let remembered = self.lock();
        let mut logs = remembered.keys.logs.clone();
        for listed in remembered.trusted.iter().flat_map(listed) {
            if logs.iter().all(|log| log.origin != listed.origin || log.vkey != listed.vkey) {
                logs.push(listed);
            }
        }
        logs.retain(|log| !remembered.disabled.contains(&log.origin));
        LogList { logs, skipped: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn logs(&self) -> Logs {
        let mut logs: BTreeMap<&str, Log> = BTreeMap::new();
        for listed in self.keys.logs.iter().filter(|log| !self.disabled.contains(&log.origin)) {
            let log = logs.entry(&listed.origin).or_insert_with(|| Log {
                origin: listed.origin.clone(),
                keys: Vec::new(),
                per_day: listed.per_day,
                quorum: Quorum::none(),
            });
            log.keys.push(listed.vkey.clone());
        }
        for trusted in self.trusted.iter().filter(|log| !self.disabled.contains(log.origin())) {
            let unlisted = || Log::new(trusted.origin().to_owned(), Vec::new());
            let log = logs.entry(trusted.origin()).or_insert_with(unlisted);
            let new = trusted.keys().iter().filter(|key| !log.keys.contains(key));
            log.keys.extend(new.cloned().collect::<Vec<_>>());
            log.quorum = trusted.quorum().clone();
        }
        logs.into_values().collect()
    }
}

/// A log as a list would name it: a line for each key.
fn listed(log: &TrustedLog) -> impl Iterator<Item = ListedLog> {
    log.keys().iter().map(|vkey| ListedLog {
        vkey: vkey.clone(),
        origin: log.origin().to_owned(),
        per_day: None,
        contact: None,
    })
}

/// What is remembered and what lists say: each key of each origin once, under one quota an origin.
fn merge(remembered: &LogList, lists: &[LogList]) -> (LogList, Taken) {
    let mut logs = remembered.logs.clone();
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for log in &logs {
        known.entry(log.origin.clone()).or_default().push(log.vkey.to_string());
    }
    let mut quotas: BTreeMap<&str, Option<PerDay>> = BTreeMap::new();
    let mut taken = Taken::default();
    for log in lists.iter().flat_map(|list| &list.logs) {
        quotas
            .entry(&log.origin)
            .and_modify(|quota| *quota = quota.and_then(|one| Some(one.max(log.per_day?))))
            .or_insert(log.per_day);
        let keys = known.entry(log.origin.clone()).or_default();
        let vkey = log.vkey.to_string();
        if keys.contains(&vkey) {
            continue;
        }
        if keys.len() >= MAX_KEYS_OF_A_LOG || logs.len() >= MAX_KEYS {
            taken.left_out += 1;
            continue;
        }
        keys.push(vkey);
        logs.push(log.clone());
        taken.added += 1;
    }
    for log in &mut logs {
        if let Some(quota) = quotas.get(log.origin.as_str()) {
            log.per_day = *quota;
        }
    }
    (LogList { logs, skipped: 0 }, taken)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, KnownLogsError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KnownLogsError::File { path: path.to_owned(), error }),
    }
}

fn read_disabled(folder: &Path) -> Result<BTreeSet<String>, KnownLogsError> {
    let bytes = read(&folder.join(DISABLED))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// Puts a file in place of the one of that name, durably, in one step.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use kiln_tiles::SigningKey;

    use super::*;

    fn vkey(origin: &str, seed: u8) -> String {
        SigningKey::from_seed(origin.parse().unwrap(), [seed; 32]).verifier_key().to_string()
    }

    fn list(logs: &[(&str, u8, &str)]) -> LogList {
        let logs = logs.iter().map(|(origin, seed, more)| format!("vkey {}\n{more}", vkey(origin, *seed)));
        format!("logs/v0\n{}", logs.collect::<String>()).parse().unwrap()
    }

    fn keys_of(known: &KnownLogs, origin: &str) -> usize {
        known.now().get(origin).map_or(0, |log| log.keys().len())
    }

    #[test]
    fn lists_add_logs_and_keys_and_take_none_away() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownLogs::open(folder.path()).unwrap();
        assert!(known.is_empty());
        assert_eq!(known.take(&[list(&[("a", 1, ""), ("b", 2, "")])]).unwrap().added, 2);
        assert_eq!(known.take(&[list(&[("a", 1, ""), ("a", 3, "")]), list(&[])]).unwrap().added, 1);
        assert_eq!(known.take(&[]).unwrap(), Taken::default());
        for known in [known, KnownLogs::open(folder.path()).unwrap()] {
            assert_eq!((keys_of(&known, "a"), keys_of(&known, "b"), keys_of(&known, "c")), (2, 1, 0));
        }
    }

    #[test]
    fn what_the_operator_disabled_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownLogs::open(folder.path()).unwrap();
        let lists = [list(&[("a", 1, ""), ("b", 2, "")])];
        known.take(&lists).unwrap();
        fs::write(folder.path().join(DISABLED), "# broken since May\na\n").unwrap();
        for _ in 0..2 {
            known.take(&lists).unwrap();
            assert_eq!((keys_of(&known, "a"), keys_of(&known, "b")), (0, 1));
            assert_eq!(known.to_list().len(), 1);
        }
        assert_eq!(keys_of(&KnownLogs::open(folder.path()).unwrap(), "a"), 0);
        fs::write(folder.path().join(DISABLED), "").unwrap();
        known.take(&[]).unwrap();
        assert_eq!(keys_of(&known, "a"), 1);
    }

    #[test]
    fn a_quota_is_the_largest_of_those_that_lists_name() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownLogs::open(folder.path()).unwrap();
        let quota = || known.now().get("a").unwrap().per_day.map(|per_day| per_day.to_string());
        known.take(&[list(&[("a", 1, "qpd 24\n")])]).unwrap();
        assert_eq!(quota().as_deref(), Some("24"));
        known.take(&[list(&[("a", 1, "qpd 24\n")]), list(&[("a", 1, "qpd 48\n")])]).unwrap();
        assert_eq!(quota().as_deref(), Some("48"));
        known.take(&[list(&[("a", 1, "qpd 24\n")]), list(&[("a", 1, "")])]).unwrap();
        assert_eq!(quota(), None);
        known.take(&[]).unwrap();
        assert_eq!(quota(), None, "nobody says otherwise");
    }

    /// A quorum that is not asked for in a later run must not leave the log behind without it.
    #[test]
    fn what_is_trusted_has_its_quorum_whatever_lists_say_and_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownLogs::open(folder.path()).unwrap();
        let witness = kiln_tiles::Cosigner::ed25519_from_seed("w".parse().unwrap(), [9; 32]).verifier_key();
        let policy = format!("log {}\nwitness w {witness}\nquorum w\n", vkey("a", 1));
        let policy: kiln_tiles::Policy = policy.parse().unwrap();
        known.trust(vec![policy.trusted_log("a").unwrap()]);
        assert!(!known.is_empty() && known.to_list().len() == 1);
        let is_open = |origin: &str| known.now().get(origin).unwrap().quorum.is_none();
        assert!(!is_open("a"));
        known.take(&[list(&[("a", 1, ""), ("a", 2, ""), ("b", 3, "")])]).unwrap();
        assert!(!is_open("a") && is_open("b"));
        assert_eq!((keys_of(&known, "a"), known.to_list().len()), (2, 3));
        let known = KnownLogs::open(folder.path()).unwrap();
        known.trust(vec![policy.trusted_log("a").unwrap()]);
        fs::write(folder.path().join(DISABLED), "a\n").unwrap();
        known.take(&[]).unwrap();
        assert_eq!((keys_of(&known, "a"), known.to_list().len()), (0, 1));
    }

    #[test]
    fn the_keys_of_a_log_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownLogs::open(folder.path()).unwrap();
        let many: Vec<_> = (0..20).map(|seed| ("a", seed, "")).collect();
        assert_eq!(known.take(&[list(&many)]).unwrap(), Taken { added: 16, left_out: 4 });
        assert_eq!(keys_of(&known, "a"), 16);
    }
}
