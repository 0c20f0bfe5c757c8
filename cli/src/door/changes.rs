//! Files that are read again: when they are others than they were, or when SIGHUP says so.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::failure::Failure;
use crate::signals::Hangups;

/// How often the files are looked at.
const LOOKS: Duration = Duration::from_secs(10);

/// What tells one state of a file from another.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// Tells when files have to be read again.
pub(crate) struct Changes {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
    looks: Interval,
    hangups: Hangups,
}

impl Changes {
    /// Of these files, from how they are now: read them after this.
    pub(crate) fn of(paths: Vec<PathBuf>) -> Result<Self, Failure> {
        Self::looking_each(LOOKS, paths)
    }

    fn looking_each(span: Duration, paths: Vec<PathBuf>) -> Result<Self, Failure> {
        let (seen, hangups) = (stamps(&paths), Hangups::new()?);
        let mut looks = interval(span);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { paths, seen, looks, hangups })
    }

    /// Waits until they changed, or somebody says that they are to be read. What changes while they are read is
    /// noticed the next time.
    pub(crate) async fn next(&mut self) {
        loop {
            let told = tokio::select! {
                () = self.hangups.next() => true,
                _ = self.looks.tick() => false,
            };
            let paths = self.paths.clone();
            // A folder of another machine may let one wait.
            let now = tokio::task::spawn_blocking(move || stamps(&paths)).await;
            let now = now.unwrap_or_else(|_| self.seen.clone());
            if told || now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| path.metadata().ok().map(|metadata| Stamp::of(&metadata));
    paths.iter().map(stamp).collect()
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode }
    }
}

/// How files are called in messages.
pub(crate) fn named(paths: &[&Path]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    async fn changed(changes: &mut Changes) -> bool {
        timeout(Duration::from_millis(200), changes.next()).await.is_ok()
    }

    /// A certificate that is renewed is a link to another file, of the same length and often within a second.
    #[tokio::test]
    async fn a_file_is_read_again_when_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["one", "other"].map(|name| folder.path().join(name));
        std::fs::write(&path, "first").unwrap();
        let mut changes = Changes::looking_each(SOON, vec![path.clone()]).unwrap();
        assert!(!changed(&mut changes).await);
        std::fs::write(&path, "longer").unwrap();
        assert!(changed(&mut changes).await && !changed(&mut changes).await);
        std::fs::write(&other, "LONGER").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(changed(&mut changes).await);
        std::fs::remove_file(&path).unwrap();
        assert!(changed(&mut changes).await && !changed(&mut changes).await);
    }
}
