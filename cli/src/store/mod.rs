//! A `STORE`: where a log lives, a folder or a bucket of an object store.

mod bucket;
mod folder;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use kiln_client::AnySource;
use kiln_storage::bucket::{BucketUrl, ParseBucketUrlError};
use kiln_storage::{AnyStore, Bucket, Metered, MutableObjects, ObjectPath, PutError, StorageError};
use kiln_tiles::{Cosigner, KeyName, VerifierKey};

pub(crate) use folder::FolderStore;

use crate::environment;
use crate::failure::Failure;
use crate::files::real;
use crate::keys::KeyArgs;
use crate::log_key::LogKey;

/// Where a log lives, or will.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum StorePlace {
    /// In a folder.
    Folder(FolderStore),
    /// In a bucket: `s3://`, `gs://` or `az://`.
    Bucket(BucketUrl),
}

/// What a store is once it is open.
pub(crate) type OpenStore = Metered<AnyStore>;

/// What a store holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contents {
    /// No log: it is empty, or is not there, or somebody began to make a log here.
    Nothing,
    /// A log.
    Log,
    /// What readers see of a log, but not its private half.
    PublicHalf,
    /// Something that is no log.
    Other,
}

/// The text names no store.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum StorePlaceError {
    #[error("a store is a folder, or s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")]
    Empty,
    #[error(transparent)]
    Bucket(#[from] ParseBucketUrlError),
    #[error(
        "{0} looks like no folder. Where one is called so, write ./ before it; a bucket is s3://bucket/prefix, gs:// or az://"
    )]
    Slip(&'static str),
}

/// How texts begin that mean something else than a folder of that name: nobody here puts anything in their place.
const SLIPS: [&str; 7] = ["~", "$", "s3:", "gs:", "az:", "arn:", "file:"];

impl FromStr for StorePlace {
    type Err = StorePlaceError;

    fn from_str(store: &str) -> Result<Self, StorePlaceError> {
        match store {
            "" => Err(StorePlaceError::Empty),
            url if url.contains("://") => Ok(Self::Bucket(url.parse()?)),
            folder => match SLIPS.into_iter().find(|slip| folder.starts_with(slip)) {
                Some(slip) => Err(StorePlaceError::Slip(slip)),
                None => Ok(Self::Folder(FolderStore::at(Path::new(folder)))),
            },
        }
    }
}

/// As it was named.
impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(store) => store.folder().display().fmt(f),
            Self::Bucket(url) => url.fmt(f),
        }
    }
}

impl StorePlace {
    /// The store by the name that every process would call it.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Self::Folder(store) => store.canonical().to_string_lossy().into_owned(),
            Self::Bucket(url) => url.to_string(),
        }
    }

    /// The folder, if it is one.
    pub(crate) const fn as_folder(&self) -> Option<&FolderStore> {
        match self {
            Self::Folder(store) => Some(store),
            Self::Bucket(_) => None,
        }
    }

    /// The store itself; a folder is made where it is missing. `command` is what a second process is
    /// told that finds it held.
    pub(crate) fn open(&self, command: &str) -> Result<OpenStore, Failure> {
        Ok(Metered::new(match self {
            Self::Folder(store) => store.open(command)?.into(),
            Self::Bucket(url) => open_bucket(url)?.into(),
        }))
    }

    /// What readers see of it, or would.
    pub(crate) fn source(&self) -> Result<AnySource, Failure> {
        match self {
            Self::Folder(store) => Ok(store.source()),
            Self::Bucket(url) => Ok(AnySource::bucket(open_bucket(url)?)),
        }
    }

    pub(crate) async fn contents(&self) -> Result<Contents, Failure> {
        match self {
            Self::Folder(store) => store.contents(),
            Self::Bucket(url) => Ok(bucket::contents(&open_bucket(url)?).await?),
        }
    }

    /// Whether there is a log, or may be one made. Anything else is left alone.
    pub(crate) async fn has_log(&self) -> Result<bool, Failure> {
        self.judge(self.contents().await?)
    }

    /// The same of a folder; `None` for a bucket, which would have to be asked.
    pub(crate) fn folder_has_log(&self) -> Result<Option<bool>, Failure> {
        self.as_folder().map(|store| self.judge(store.contents()?)).transpose()
    }

    fn judge(&self, contents: Contents) -> Result<bool, Failure> {
        match contents {
            Contents::Log => Ok(true),
            Contents::Nothing => Ok(false),
            Contents::PublicHalf => Err(Failure::bad(format!(
                "{self} holds what readers see of a log, but its head is gone (private/head): \
                 a log made anew here would contradict it. Bring it back: \
                 `kiln recover {self} --from {self}`, or from a mirror, a CDN or a backup"
            ))),
            Contents::Other => Err(Failure::usage(format!(
                "{self} holds something that is no log: give a place that is empty, or none yet"
            ))),
        }
    }

    /// Whether a key is at hand that only a person can give, said before anything is asked of a cloud.
    pub(crate) fn check_key(&self, given: &KeyArgs) -> Result<(), Failure> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Bucket(url) => bucket::given_key(url, given).map(drop),
        }
    }

    /// The log's key, by which it goes on: the one given, else the folder's own.
    pub(crate) async fn key(&self, given: &KeyArgs, origin: Option<&KeyName>) -> Result<LogKey, Failure> {
        match self {
            Self::Folder(store) => store.key(given, origin).await,
            Self::Bucket(url) => bucket::key(url, given, origin).await,
        }
    }

    /// The key of a log that is to be made: the one given, or that of an earlier try, or a new one.
    /// Tells whether the origin was chosen here.
    pub(crate) async fn key_of_new_log(
        &self,
        given: &KeyArgs,
        origin: Option<&KeyName>,
    ) -> Result<(LogKey, bool), Failure> {
        match self {
            Self::Folder(store) => store.key_of_new_log(given, origin).await,
            Self::Bucket(url) => Ok((bucket::key(url, given, origin).await?, false)),
        }
    }

    /// Keeps the key in a folder, unless there is one. No bucket ever holds a key, and one that a cloud keeps stays there.
    pub(crate) fn keep_key(&self, key: &LogKey) -> Result<(), Failure> {
        match (self, key.at_hand()) {
            (Self::Folder(store), Some(key)) => store.keep_key(key),
            _ => Ok(()),
        }
    }

    /// The key by which the log of this origin cosigns its own checkpoints: the one given, else the folder's own;
    /// `None` where it has none.
    pub(crate) fn cosigner(&self, given: &KeyArgs, origin: &KeyName) -> Result<Option<Cosigner>, Failure> {
        match (given.given_cosigner(origin)?, self) {
            (Some(key), _) => Ok(Some(key)),
            (None, Self::Folder(store)) => store.cosigner(origin),
            (None, Self::Bucket(_)) => Ok(None),
        }
    }

    /// The same of a log that is to be made: a folder that keeps its first key gets a second one.
    pub(crate) fn cosigner_of_new_log(
        &self,
        given: &KeyArgs,
        origin: &KeyName,
    ) -> Result<Option<Cosigner>, Failure> {
        match (given.given_cosigner(origin)?, self) {
            (Some(key), _) => Ok(Some(key)),
            (None, Self::Folder(store)) => store.cosigner_of_new_log(origin),
            (None, Self::Bucket(_)) => Ok(None),
        }
    }

    /// Keeps the second key in a folder, unless there is one. No bucket ever holds a key.
    pub(crate) fn keep_cosigner(&self, key: &Cosigner) -> Result<(), Failure> {
        self.as_folder().map_or(Ok(()), |store| store.keep_cosigner(key))
    }

    /// Where the key of its log is, if it is a folder.
    pub(crate) fn key_path(&self) -> Option<PathBuf> {
        self.as_folder().map(FolderStore::key_path)
    }

    /// Where the second key of its log is, if it is a folder.
    pub(crate) fn cosigner_path(&self) -> Option<PathBuf> {
        self.as_folder().map(FolderStore::cosigner_path)
    }

    /// Where the dedup index of this log is, unless said otherwise.
    pub(crate) fn dedup_path(&self, vkey: &VerifierKey) -> Result<PathBuf, Failure> {
        match self {
            Self::Folder(store) => Ok(store.dedup_path()),
            Self::Bucket(_) => {
                Ok(environment::cache_folder()?.join(vkey.fingerprint().to_hex()).join("dedup"))
            }
        }
    }

    /// Whether one of these places is in the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(one), Self::Folder(two)) => {
                let (one, two) = (real(one.folder()), real(two.folder()));
                one.starts_with(&two) || two.starts_with(&one)
            }
            (Self::Bucket(one), Self::Bucket(two)) => {
                let (below_one, below_two) = (format!("{one}/"), format!("{two}/"));
                below_one.starts_with(&below_two) || below_two.starts_with(&below_one)
            }
            _ => false,
        }
    }
}

/// Opens a bucket with the credentials of the environment.
pub(crate) fn open_bucket(url: &BucketUrl) -> Result<Bucket, Failure> {
    Bucket::open(url).map_err(Failure::undone)
}

/// Sees to it that a store keeps the conditions of writes, on which everything rests.
pub(crate) async fn check_conditions(store: &OpenStore) -> Result<(), Failure> {
    match store.inner().as_bucket() {
        Some(bucket) => check_conditions_of(bucket).await,
        None => Ok(()),
    }
}

/// The same of a bucket, which may be a guard's.
pub(crate) async fn check_conditions_of(bucket: &Bucket) -> Result<(), Failure> {
    bucket.check_conditions(environment::random()?).await.map_err(Failure::undone)
}

/// Makes a mutable object of the store these bytes, unless it is already; `false` where somebody else
/// changed it meanwhile.
pub(crate) async fn put(store: &impl MutableObjects, name: &str, body: Bytes) -> Result<bool, StorageError> {
    let path: ObjectPath = name.parse().expect("an object name of this program's");
    let found = store.read_version(&path).await?;
    if found.as_ref().is_some_and(|(standing, _)| *standing == body) {
        return Ok(true);
    }
    match store.put(&path, body, found.map(|(_, version)| version)).await {
        Ok(_) => Ok(true),
        Err(PutError::Conflict) => Ok(false),
        Err(PutError::Storage(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> StorePlace {
        text.parse().unwrap()
    }

    #[test]
    fn a_store_is_a_folder_or_a_bucket() {
        assert_eq!(place("log"), StorePlace::Folder(FolderStore::at(Path::new("log"))));
        for bucket in ["s3://bucket", "s3://bucket/some/prefix", "gs://bucket/log", "az://container/log"] {
            assert!(matches!(place(bucket), StorePlace::Bucket(_)), "{bucket}");
            assert_eq!(place(bucket).to_string(), bucket);
        }
        for bad in [
            "",
            "s3://",
            "http://host/log",
            "s3://bucket/log/",
            "s3:/bucket",
            "~/log",
            "$HOME/log",
            "arn:aws:s3:::bucket",
        ] {
            assert!(bad.parse::<StorePlace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn places_that_are_one_or_in_one_another_are_told() {
        for (one, two, overlap) in [
            ("a", "a", true),
            ("a", "a/b", true),
            ("a", "ab", false),
            ("s3://bucket/a", "s3://bucket/a/b", true),
            ("s3://bucket/a", "s3://bucket/ab", false),
            ("s3://bucket", "s3://bucket/a", true),
            ("s3://bucket/a", "gs://bucket/a", false),
            ("a", "s3://bucket/a", false),
        ] {
            assert_eq!(place(one).overlaps(&place(two)), overlap, "{one} {two}");
            assert_eq!(place(two).overlaps(&place(one)), overlap, "{two} {one}");
        }
    }
}
