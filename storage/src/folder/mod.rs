//! A log's store in a folder: atomic, durable, and held by one writer at a time.
//!
//! ```text
//! DIR/public/            what a web server or CDN may serve as it stands
//!     checkpoint         replaced by a rename
//!     log.json
//!     tile/...           written once
//! DIR/private/           mode 0700
//!     head/0, 1, lock    the commit register, see [`FolderRegister`]
//!     new/               files on their way to their names
//! ```

mod disk;
mod partials;
mod register;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use disk::{Disk, Entry, RealDisk};
pub use partials::FolderListing;
pub use register::{FolderHeld, FolderRegister};

use crate::error::{CreateError, PutError, StorageError};
use crate::path::ObjectPath;
use crate::store::{ImmutableObjects, MutableObjects, Object, Store};

/// A log's store in a folder. Clones share it.
#[derive(Debug)]
pub struct Folder<D: Disk = RealDisk> {
    files: Arc<Files<D>>,
    head: FolderRegister<D>,
}

// Not derived: that would ask for a disk that can be cloned.
impl<D: Disk> Clone for Folder<D> {
    fn clone(&self) -> Self {
        Self { files: self.files.clone(), head: self.head.clone() }
    }
}

#[derive(Debug)]
struct Files<D> {
    disk: Arc<D>,
    /// The numbers of files that are on their way to their names.
    new_names: Mutex<BTreeSet<usize>>,
    /// Held while a mutable object is compared and replaced. Other processes are kept out by the
    /// lock of the head, which only one writer holds.
    replacing: Mutex<()>,
}

impl Folder {
    /// The store in `root`, which is made where it is missing. `owner` is what a second process is
    /// told that finds the store held.
    ///
    /// # Errors
    /// Where folders cannot be made.
    pub fn open(root: &Path, owner: String) -> Result<Self, StorageError> {
        let disk = RealDisk::open(root).map_err(|e| StorageError::io("open", &root.display(), e))?;
        make_private(&root.join("private")).map_err(|e| StorageError::io("open", &root.display(), e))?;
        Self::on(Arc::new(disk), owner)
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

impl<D: Disk> Folder<D> {
    /// The store on a disk.
    ///
    /// # Errors
    /// Where folders cannot be made.
    pub fn on(disk: Arc<D>, owner: String) -> Result<Self, StorageError> {
        let root = disk.root().to_owned();
        for folder in ["public", "private/new"] {
            let made = disk.create_folders(&root.join(folder));
            made.map_err(|e| StorageError::io("make", &root.join(folder).display(), e))?;
        }
        let head = FolderRegister::new(disk.clone(), root.join("private/head"), owner, Duration::ZERO);
        Ok(Self {
            files: Arc::new(Files { disk, new_names: Mutex::default(), replacing: Mutex::default() }),
            head,
        })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.files.disk.root()
    }
}

/// Works on the disk, where that disturbs nobody.
async fn on_disk<D: Disk, T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if D::BLOCKS { blocking(work).await } else { work() }
}

/// Runs file work where it may block. A panic in it is one of ours: it goes on in the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await, // the runtime shuts down; so does the caller
        },
    }
}

impl<D: Disk> Store for Folder<D> {
    type Head = FolderRegister<D>;

    fn head(&self) -> &FolderRegister<D> {
        &self.head
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}

impl<D: Disk> ImmutableObjects for Folder<D> {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let files = self.files.clone();
        let create = move || files.create(&objects).map_err(|e| StorageError::io("create", &"tiles", e));
        Ok(on_disk::<D, _>(create).await?)
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let (files, path) = (self.files.clone(), path.clone());
        on_disk::<D, _>(move || files.read(&path)).await
    }
}

impl<D: Disk> MutableObjects for Folder<D> {
    type Version = [u8; 32]; // SHA-256 of the content

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, [u8; 32])>, StorageError> {
        let body = self.read(path).await?;
        Ok(body.map(|body| (body.clone(), version(&body))))
    }

    async fn put(
        &self,
        path: &ObjectPath,
        body: Bytes,
        expected: Option<[u8; 32]>,
    ) -> Result<[u8; 32], PutError> {
        let (files, path) = (self.files.clone(), path.clone());
        on_disk::<D, _>(move || files.put(&path, &body, expected)).await
    }
}

/// How many files are on their way to their names together.
const NEW_AT_ONCE: usize = 256;

/// Files on their way to their names, under names that nobody else has until this is dropped.
struct NewFiles<'a> {
    taken: &'a Mutex<BTreeSet<usize>>,
    numbers: Vec<usize>,
    paths: Vec<PathBuf>,
}

impl Drop for NewFiles<'_> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for number in &self.numbers {
            taken.remove(number);
        }
    }
}

fn version(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

impl<D: Disk> Files<D> {
    /// Where an object's file stands.
    fn path(&self, object: &ObjectPath) -> PathBuf {
        let half = if object.is_private() { "" } else { "public" };
        self.disk.root().join(half).join(object.as_str())
    }

    fn read(&self, object: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let body = self.disk.read(&self.path(object)).map_err(|e| StorageError::io("read", object, e))?;
        Ok(body.map(Bytes::from))
    }

    /// Every object gets a new file, also where one of that name stands already: it may be torn, or
    /// may never have reached the disk. Or it is whole, durable, and what readers are using: so it
    /// gives way only to a file that is durable. The process may end after any line:
    ///
    /// | last line done | the objects are...                                         |
    /// |----------------|------------------------------------------------------------|
    /// | write          | as they were; files without a name are left                |
    /// | make durable   | the same                                                   |
    /// | rename         | seen; a power cut may lose or tear those that were not there |
    /// | sync           | durable                                                    |
    fn create(&self, objects: &[Object]) -> io::Result<()> {
        let paths: Vec<PathBuf> = objects.iter().map(|object| self.path(&object.path)).collect();
        for (objects, paths) in objects.chunks(NEW_AT_ONCE).zip(paths.chunks(NEW_AT_ONCE)) {
            let files = self.new_files(objects.len());
            let new = &files.paths;
            objects.iter().zip(new).try_for_each(|(object, new)| self.disk.write(new, &object.body))?;
            if paths.iter().any(|path| self.stands(path)) {
                self.disk.sync_files(new)?;
            }
            new.iter().zip(paths).try_for_each(|(new, path)| self.rename_making_folders(new, path))?;
        }
        self.disk.sync_files(&paths)
    }

    /// Whether there is a file, be it one that cannot be read.
    fn stands(&self, path: &Path) -> bool {
        !matches!(self.disk.read(path), Ok(None))
    }

    fn put(
        &self,
        object: &ObjectPath,
        body: &Bytes,
        expected: Option<[u8; 32]>,
    ) -> Result<[u8; 32], PutError> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.read(object)?.map(|found| version(&found)) != expected {
            return Err(PutError::Conflict);
        }
        let replaced = self.replace(&self.path(object), body);
        replaced.map_err(|e| StorageError::io("replace", object, e))?;
        Ok(version(body))
    }

    fn replace(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let files = self.new_files(1);
        for new in &files.paths {
            self.disk.write_durably(new, &[body])?;
            self.rename_making_folders(new, path)?;
        }
        path.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder))
    }

    /// So many names that nothing else uses, the first that are free: so that what crashes leave behind stays little, and
    /// is overwritten in its turn.
    fn new_files(&self, count: usize) -> NewFiles<'_> {
        let mut taken = self.new_names.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: Vec<usize> = (0..).filter(|number| !taken.contains(number)).take(count).collect();
        taken.extend(&numbers);
        let folder = self.disk.root().join("private/new");
        let paths = numbers.iter().map(|number| folder.join(number.to_string())).collect();
        NewFiles { taken: &self.new_names, numbers, paths }
    }

    /// Folders are made when one is missing: for one tile in 256 or fewer. A collector may take an
    /// empty one away before the file is in it, but not time and again.
    fn rename_making_folders(&self, from: &Path, to: &Path) -> io::Result<()> {
        for _ in 0..3 {
            match self.disk.rename(from, to) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    to.parent().map_or(Ok(()), |folder| self.disk.create_folders(folder))?;
                }
                done => return done,
            }
        }
        self.disk.rename(from, to)
    }
}
