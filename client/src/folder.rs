//! A log in a local folder.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::offload::offload;
use crate::source::{Source, SourceError};

/// A log in a folder that holds `checkpoint` and `tile/`, as a web server would serve it.
#[derive(Clone, Debug)]
pub struct FolderSource {
    folder: PathBuf,
}

impl FolderSource {
    /// The log in `folder`, or in the `public` folder below it where that holds a checkpoint: the
    /// layout of a Kiln store.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let public = folder.join("public");
        let is_store = public.join("checkpoint").is_file();
        Self { folder: if is_store { public } else { folder } }
    }

    /// The folder that is read.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// [`fetch`](Source::fetch), on this thread.
    pub(crate) fn read(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        let within = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !within {
            return Err(refused(io::ErrorKind::InvalidInput.into()));
        }
        read(&self.folder.join(path), limit)
    }
}

impl Source for FolderSource {
    async fn fetch(&self, path: &str, limit: usize) -> Result<Option<Bytes>, SourceError> {
        let (source, path) = (self.clone(), path.to_owned());
        offload(move || source.read(&path, limit)).await
    }

    fn is_local(&self) -> bool {
        true
    }
}

fn read(path: &Path, limit: usize) -> Result<Option<Bytes>, SourceError> {
    match read_bounded(path, limit) {
        Ok(bytes) if bytes.len() > limit => Err(SourceError::TooLong { limit }),
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// At most `limit` bytes and one, so that a file that is too long shows.
fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    // In one read, and one that finds the end.
    let mut bytes = vec![0; usize::try_from(metadata.len()).unwrap_or(limit).min(limit) + 1];
    let (mut file, mut length) = (File::open(path)?.take(limit as u64 + 1), 0);
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.read_to_end(&mut bytes)?; // it grew since
    Ok(bytes)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn refused(error: io::Error) -> SourceError {
    SourceError::Refused(Box::new(error))
}
