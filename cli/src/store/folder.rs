//! A store that is a folder: what it holds, and the key of its log.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_client::{AnySource, FolderSource};
use kiln_storage::Folder;
use kiln_tiles::{Cosigner, KeyName, SigningKey};

use crate::environment;
use crate::failure::Failure;
use crate::keys::{self, KeyArgs};
use crate::log_key::LogKey;
use crate::store::Contents;

/// A folder that a log lives in, or will.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FolderStore {
    folder: PathBuf,
}

impl FolderStore {
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder by the name that every process would call it.
    pub(crate) fn canonical(&self) -> PathBuf {
        self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone())
    }

    /// The store itself, made where it is missing. `command` is what a second process is told that
    /// finds it held.
    pub(crate) fn open(&self, command: &str) -> Result<Folder, Failure> {
        Ok(Folder::open(&self.folder, environment::process_name(command))?)
    }

    /// What readers see of it, or would.
    pub(crate) fn source(&self) -> AnySource {
        AnySource::Folder(FolderSource::new(self.folder.join("public")))
    }

    pub(crate) fn key_path(&self) -> PathBuf {
        self.folder.join("private/key")
    }

    /// Where the log's second key is, of ML-DSA-44.
    pub(crate) fn cosigner_path(&self) -> PathBuf {
        self.folder.join("private/key.ml-dsa-44")
    }

    /// Where the dedup index is, unless said otherwise.
    pub(crate) fn dedup_path(&self) -> PathBuf {
        self.folder.join("private/dedup")
    }

    pub(super) fn contents(&self) -> Result<Contents, Failure> {
        self.look().map_err(|error| Failure::file(&self.folder, &error))
    }

    fn look(&self) -> io::Result<Contents> {
        if self.folder.is_file() {
            return Ok(Contents::Other);
        }
        let holds = |name: &str| self.folder.join(name).try_exists();
        if holds("private/head/0")? || holds("private/head/1")? {
            return Ok(Contents::Log);
        }
        if holds("public/checkpoint")? || holds("public/tile")? {
            return Ok(Contents::PublicHalf);
        }
        let mut names = match fs::read_dir(&self.folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::Nothing),
            Err(error) => return Err(error),
        };
        let ours = |name: &OsStr| name == "private" || name == "public" || name == "lost+found";
        let other =
            names.try_fold(false, |other, entry| Ok::<_, io::Error>(other || !ours(&entry?.file_name())))?;
        Ok(if other { Contents::Other } else { Contents::Nothing })
    }

    /// The log's key, by which it goes on: the one given, else the store's own.
    pub(crate) async fn key(&self, given: &KeyArgs, origin: Option<&KeyName>) -> Result<LogKey, Failure> {
        match given.given()? {
            Some(key) => key.named(origin).await,
            None => self.own_key(origin).map(LogKey::from),
        }
    }

    /// The key of its own; an error where it has none.
    pub(crate) fn own_key(&self, origin: Option<&KeyName>) -> Result<SigningKey, Failure> {
        let path = self.key_path();
        if !path.try_exists().map_err(|error| Failure::file(&path, &error))? {
            let path = path.display();
            return Err(Failure::usage(format!("the log's key is not at {path}: give it with --key FILE")));
        }
        let key = keys::read(&path)?.named(None)?;
        match origin.filter(|&origin| origin != key.name()) {
            Some(origin) => Err(Failure::usage(format!(
                "{} holds the log {}: it cannot become {origin}, for an origin is for ever",
                self.folder.display(),
                key.name()
            ))),
            None => Ok(key),
        }
    }

    /// The key of a log that is to be made: the one given, or that of an earlier try, or a new one.
    /// Tells whether the origin was chosen here.
    pub(crate) async fn key_of_new_log(
        &self,
        given: &KeyArgs,
        origin: Option<&KeyName>,
    ) -> Result<(LogKey, bool), Failure> {
        if let Some(key) = given.given()? {
            return Ok((key.named(origin).await?, false));
        }
        let chosen = origin.is_none();
        if !self.key_path().exists() {
            let name = origin.cloned().map_or_else(|| self.choose_origin(), Ok)?;
            let key = keys::generate_first(name)?;
            self.keep_key(&key)?;
        }
        // What counts is what stands there: another process may have been first.
        Ok((self.own_key(origin)?.into(), chosen))
    }

    /// Keeps the key in the store, unless there is one.
    pub(crate) fn keep_key(&self, key: &SigningKey) -> Result<(), Failure> {
        self.make_private()?;
        keys::write_note_form(&self.key_path(), &key.to_note_form()).map(drop)
    }

    /// The second key of the log of this origin; `None` where it has none.
    pub(crate) fn cosigner(&self, origin: &KeyName) -> Result<Option<Cosigner>, Failure> {
        let path = self.cosigner_path();
        if !path.try_exists().map_err(|error| Failure::file(&path, &error))? {
            return Ok(None);
        }
        let key = keys::read(&path)?.second_of(origin);
        key.map(Some).map_err(|failure| failure.at(&path.display().to_string()))
    }

    /// Keeps the second key in the store, unless there is one.
    pub(crate) fn keep_cosigner(&self, key: &Cosigner) -> Result<(), Failure> {
        self.make_private()?;
        keys::write_note_form(&self.cosigner_path(), &key.to_note_form()).map(drop)
    }

    /// The second key of a log that is to be made: a new one, or that of an earlier try. It stands beside the first:
    /// where that one is kept elsewhere, nobody asked for a secret in this folder.
    pub(crate) fn cosigner_of_new_log(&self, origin: &KeyName) -> Result<Option<Cosigner>, Failure> {
        if self.key_path().exists() && !self.cosigner_path().exists() {
            self.keep_cosigner(&keys::generate_second(origin.clone())?)?;
        }
        // What counts is what stands there: another process may have been first.
        self.cosigner(origin)
    }

    fn make_private(&self) -> Result<(), Failure> {
        let private = self.folder.join("private");
        make_private(&private).map_err(|error| Failure::file(&private, &error))
    }

    /// `<host>/<folder>-<8 hex>`.
    fn choose_origin(&self) -> Result<KeyName, Failure> {
        let folder = self.canonical();
        let folder = folder.file_name().unwrap_or(OsStr::new("log")).to_string_lossy().into_owned();
        let random: [u8; 4] = environment::random()?;
        let random = u32::from_be_bytes(random);
        let name = format!("{}/{}-{random:08x}", plain(&environment::host_name()), plain(&folder));
        name.parse().map_err(Failure::usage)
    }
}

/// As much of a name as an origin may have.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if allowed(c) { c } else { '-' }).take(100).collect()
}

fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_from_a_log_and_from_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::at(folder.path());
        assert_eq!(store.contents().unwrap(), Contents::Nothing);
        fs::create_dir_all(folder.path().join("private")).unwrap();
        assert_eq!(store.contents().unwrap(), Contents::Nothing);
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert_eq!(store.contents().unwrap(), Contents::Other);
        fs::create_dir_all(folder.path().join("public/tile")).unwrap();
        assert_eq!(store.contents().unwrap(), Contents::PublicHalf);
        fs::create_dir_all(folder.path().join("private/head/0")).unwrap();
        assert_eq!(store.contents().unwrap(), Contents::Log);
        assert_eq!(FolderStore::at(&folder.path().join("none")).contents().unwrap(), Contents::Nothing);
        assert_eq!(FolderStore::at(&folder.path().join("notes.txt")).contents().unwrap(), Contents::Other);
    }

    #[test]
    fn an_origin_is_made_of_plain_characters() {
        assert_eq!(plain("my log+1\n"), "my-log-1-");
        let origin = FolderStore::at(Path::new("/tmp/my log+1")).choose_origin().unwrap();
        assert!(origin.as_str().contains("/my-log-1-"), "{origin}");
    }
}
