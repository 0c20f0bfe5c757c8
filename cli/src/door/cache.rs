//! The folder where an authority's account and certificates are kept.

use std::io;
use std::path::PathBuf;

use kiln_http::AcmeCache;

use crate::files::{self, Readers};

/// A folder for its owner alone.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// This folder, made where there is none.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&path)?;
        Ok(Self(path))
    }
}

impl AcmeCache for Folder {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn store(&self, name: &str, secret: &[u8]) -> io::Result<()> {
        files::put(&self.0.join(name), secret, Readers::Owner)
    }
}
