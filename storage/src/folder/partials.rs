//! Partial tiles and bundles in a folder.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, RealDisk};
use super::{Files, Folder, blocking};
use crate::error::StorageError;
use crate::partials::{ENOUGH, PartialListing, PartialObjects, PartialPath};
use crate::path::ObjectPath;

/// A walk through the partial objects of a folder. It holds the names of the folders that it has yet to
/// look into, at most those beside its path from the root, and the files of one.
#[derive(Debug)]
pub struct FolderListing<D: Disk = RealDisk> {
    files: Arc<Files<D>>,
    pending: Vec<String>,
}

impl<D: Disk> PartialObjects for Folder<D> {
    type Listing = FolderListing<D>;

    fn list_partials(&self) -> FolderListing<D> {
        FolderListing { files: self.files.clone(), pending: vec!["tile".into()] }
    }

    async fn remove_partials(&self, paths: Vec<PartialPath>) -> Result<(), StorageError> {
        let files = self.files.clone();
        blocking(move || files.remove_partials(&paths)).await
    }
}

impl<D: Disk> PartialListing for FolderListing<D> {
    async fn next(&mut self) -> Result<Option<Vec<PartialPath>>, StorageError> {
        let (files, mut pending) = (self.files.clone(), std::mem::take(&mut self.pending));
        let walk = move || files.walk(&mut pending).map(|batch| (batch, pending));
        let (batch, pending) = blocking(walk).await.map_err(|e| StorageError::io("list", &"tiles", e))?;
        self.pending = pending;
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl<D: Disk> Files<D> {
    fn walk(&self, pending: &mut Vec<String>) -> io::Result<Vec<PartialPath>> {
        let mut batch = Vec::new();
        while batch.len() < ENOUGH
            && let Some(folder) = pending.pop()
        {
            for entry in self.disk.list_folder(&self.disk.root().join("public").join(&folder))? {
                let name = format!("{folder}/{}", entry.name);
                if entry.is_folder {
                    pending.push(name);
                } else {
                    batch.extend(name.parse::<ObjectPath>().ok().and_then(|path| path.try_into().ok()));
                }
            }
        }
        Ok(batch)
    }

    /// Nothing is synced: what a power cut brings back is collected again.
    fn remove_partials(&self, paths: &[PartialPath]) -> Result<(), StorageError> {
        let files: Vec<_> = paths.iter().map(|path| self.path(path.as_path())).collect();
        for (file, path) in files.iter().zip(paths) {
            self.disk.remove_file(file).map_err(|e| StorageError::io("remove", path, e))?;
        }
        let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        folders.into_iter().try_for_each(|folder| {
            let removed = self.disk.remove_empty_folder(folder);
            removed.map_err(|e| StorageError::io("remove", &folder.display(), e))
        })
    }
}
