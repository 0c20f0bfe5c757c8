//! The two states of a simulated disk: what is seen, and what is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use kiln_storage::folder::Entry;

use super::Trouble;

#[derive(Clone)]
pub(super) struct State {
    pub(super) files: BTreeMap<u64, File>,
    pub(super) seen: Names,
    pub(super) durable: Names,
    pub(super) locks: BTreeMap<PathBuf, u64>,
    pub(super) next: u64,
    pub(super) operations: usize,
    pub(super) trouble: Option<(usize, Trouble)>,
    pub(super) power: bool,
    pub(super) rng: fastrand::Rng,
}

#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) files: BTreeMap<PathBuf, u64>,
    pub(super) folders: BTreeSet<PathBuf>,
}

#[derive(Clone)]
pub(super) struct File {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// A sync of it failed: the system believes that it is clean, and no sync writes it any more.
    pub(super) lost: bool,
}

impl State {
    pub(super) fn new_file(&mut self, body: &[u8]) -> u64 {
        self.next += 1;
        self.files.insert(self.next, File { seen: body.to_vec(), durable: Vec::new(), lost: false });
        self.next
    }

    pub(super) fn file(&mut self, path: &Path) -> io::Result<&mut File> {
        let number = *self.seen.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files.get_mut(&number).expect("a name has a file"))
    }

    pub(super) fn write(&mut self, path: &Path, body: &[u8]) -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        if !self.seen.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = self.new_file(body);
        self.seen.files.insert(path.to_owned(), file);
        Ok(())
    }

    /// What stands directly in a folder.
    pub(super) fn list(&self, folder: &Path) -> Vec<Entry> {
        let files = self.seen.files.keys().map(|path| (path, false));
        let all = files.chain(self.seen.folders.iter().map(|path| (path, true)));
        let within = all.filter(|(path, _)| path.parent() == Some(folder));
        let named = within.filter_map(|(path, is_folder)| Some((path.file_name()?, is_folder)));
        named
            .map(|(name, is_folder)| Entry { name: name.to_string_lossy().into_owned(), is_folder })
            .collect()
    }

    pub(super) fn sync_file(&mut self, path: &Path) -> io::Result<()> {
        let file = self.file(path)?;
        if !file.lost {
            file.durable = file.seen.clone();
        }
        Ok(())
    }

    /// Makes the names that stand directly in a folder durable.
    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let directly = |path: &Path| path.parent() == Some(folder);
        self.durable.files.retain(|path, _| !directly(path));
        let files = self.seen.files.iter().filter(|(path, _)| directly(path));
        self.durable.files.extend(files.map(|(path, file)| (path.clone(), *file)));
        let folders = self.seen.folders.iter().filter(|path| directly(path));
        self.durable.folders.extend(folders.cloned());
    }

    /// A sync failed: what it would have made durable never will be.
    pub(super) fn forget_durability_since(&mut self, before: &Self) {
        self.durable = before.durable.clone();
        for (number, file) in &mut self.files {
            let old = before.files.get(number);
            if old.is_none_or(|old| old.durable != file.durable || old.seen != file.seen) {
                file.durable = old.map(|old| old.durable.clone()).unwrap_or_default();
                file.lost = true;
            }
        }
    }

    /// Of what was written, only the first bytes are seen.
    pub(super) fn tear_since(&mut self, before: &Self) {
        for (number, file) in &mut self.files {
            let old = before.files.get(number).map_or(&[][..], |old| &old.seen);
            if file.seen != old {
                file.seen = torn(&file.seen, old, &mut self.rng);
            }
        }
    }

    pub(super) fn lose_what_was_not_durable(&mut self) {
        let Self { files, seen, durable, rng, .. } = self;
        for file in files.values_mut() {
            if file.seen != file.durable {
                file.seen = after_a_cut(file, rng);
                file.durable = file.seen.clone();
            }
            file.lost = false;
        }
        let unsure: BTreeSet<PathBuf> = seen.folders.difference(&durable.folders).cloned().collect();
        for folder in unsure {
            if rng.bool() && folder.parent().is_some_and(|above| durable.folders.contains(above)) {
                durable.folders.insert(folder);
            }
        }
        let names: BTreeSet<PathBuf> = seen.files.keys().chain(durable.files.keys()).cloned().collect();
        let mut left = BTreeMap::new();
        for name in names {
            let state = if rng.bool() { &seen.files } else { &durable.files };
            let folder_is_there = name.parent().is_some_and(|folder| durable.folders.contains(folder));
            if let Some(file) = state.get(&name).filter(|_| folder_is_there) {
                left.insert(name, *file);
            }
        }
        durable.files = left;
        *seen = durable.clone();
    }
}

/// What is left of a file whose bytes were not durable.
fn after_a_cut(file: &File, rng: &mut fastrand::Rng) -> Vec<u8> {
    match rng.u8(..if file.lost { 2 } else { 5 }) {
        0 | 1 => file.durable.clone(),
        2 => file.seen.clone(),
        3 => vec![0; file.seen.len()],
        _ => torn(&file.seen, &file.durable, rng),
    }
}

/// The first blocks are new; behind them what stood there before, or nothing.
fn torn(new: &[u8], old: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let cut = rng.usize(..=new.len());
    [&new[..cut], old.get(cut..).unwrap_or(&[])].concat()
}
