//! A durable register on a disk, which one `fdatasync` changes.
//!
//! Two files, the *slots*, are overwritten in turn, so the value before stays whole while the next
//! is written. Byte by byte:
//!
//! ```text
//! 0   13  "kiln-slot/v1\n"
//! 13  8   sequence number, big-endian; the slot with the higher one holds the value
//! 21  8   length of the value, big-endian
//! 29  32  SHA-256 of the 29 bytes before and the value
//! 61  -   the value; whatever follows is left over from a longer one
//! ```
//!
//! A power cut tears at most the slot being written, whose hash is wrong then: the swap did not
//! happen, and nobody was told that it did.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::disk::{Disk, RealDisk};
use super::on_disk;
use crate::error::{StorageError, SwapError};
use crate::store::{Loaded, MAX_OBJECT_SIZE, Register};

const MAGIC: &[u8; 13] = b"kiln-slot/v1\n";
const HASHED: usize = MAGIC.len() + 8 + 8;
const HEADER: usize = HASHED + 32;

/// A register in a folder of its own, locked while somebody holds leave to swap. Clones share it.
#[derive(Debug)]
pub struct FolderRegister<D: Disk = RealDisk> {
    inner: Arc<Inner<D>>,
}

// Not derived: that would ask for a disk that can be cloned.
impl<D: Disk> Clone for FolderRegister<D> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

#[derive(Debug)]
struct Inner<D> {
    disk: Arc<D>,
    folder: PathBuf,
    owner: String,
    patience: Duration,
    known: Mutex<Known>,
}

/// What this process knows, having done it. What it merely reads is not known to be durable.
#[derive(Debug, Default)]
struct Known {
    /// The newest slot, which is durable.
    newest: Option<Slot>,
    /// Whether this slot's file is fit to be overwritten: written anew by this process, and every
    /// sync since then came back without an error.
    sound: [bool; 2],
}

/// Leave to swap: the lock, and what to count on from.
#[derive(Debug)]
pub struct FolderHeld<D: Disk = RealDisk> {
    sequence: u64, // 0 where the register is empty
    _lock: D::Lock,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Slot {
    sequence: u64,
    value: Bytes,
}

impl<D: Disk> FolderRegister<D> {
    /// The register in `folder`, which is made at the first load. `owner` is what others are told
    /// who find it locked; `patience` how long a load waits for them.
    pub fn new(disk: Arc<D>, folder: PathBuf, owner: String, patience: Duration) -> Self {
        Self { inner: Arc::new(Inner { disk, folder, owner, patience, known: Mutex::default() }) }
    }
}

impl<D: Disk> Register for FolderRegister<D> {
    type Held = FolderHeld<D>;

    async fn load(&self) -> Result<Loaded<FolderHeld<D>>, StorageError> {
        let inner = self.inner.clone();
        let load = move || inner.load().map_err(|e| StorageError::io("load", &inner.folder.display(), e));
        on_disk::<D, _>(load).await
    }

    async fn swap(&self, held: FolderHeld<D>, value: Bytes) -> Result<FolderHeld<D>, SwapError> {
        let inner = self.inner.clone();
        let swap =
            move || inner.swap(held, value).map_err(|e| StorageError::io("swap", &inner.folder.display(), e));
        Ok(on_disk::<D, _>(swap).await?)
    }
}

impl<D: Disk> Inner<D> {
    fn load(&self) -> io::Result<Loaded<FolderHeld<D>>> {
        self.disk.create_folders(&self.folder)?;
        let lock = self.lock()?;
        let newest = self.make_durable(self.newest_slot()?)?;
        let sequence = newest.as_ref().map_or(0, |slot| slot.sequence);
        Ok(Loaded { held: FolderHeld { sequence, _lock: lock }, value: newest.map(|slot| slot.value) })
    }

    /// Locks the register, waiting for `patience` at most.
    fn lock(&self) -> io::Result<D::Lock> {
        const STEP: Duration = Duration::from_millis(2);
        let mut waited = Duration::ZERO;
        loop {
            match self.disk.try_lock(&self.folder.join("lock"), &self.owner) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && waited < self.patience => {
                    std::thread::sleep(STEP);
                    waited += STEP;
                }
                done => return done,
            }
        }
    }

    fn newest_slot(&self) -> io::Result<Option<Slot>> {
        let slots = [self.disk.read(&self.slot_path(0))?, self.disk.read(&self.slot_path(1))?];
        let whole = slots.into_iter().flatten().filter_map(|bytes| parse_slot(&bytes));
        Ok(whole.max_by_key(|slot| slot.sequence))
    }

    /// What was read counts only once it is durable, and only a new file is sure to be: after an
    /// `fsync` that failed in some earlier process, another would claim success for lost bytes.
    ///
    /// The new file gets the next sequence number, so that whoever wrote the slot finds it changed. It
    /// would overwrite a file whose name this process may not have made durable.
    fn make_durable(&self, slot: Option<Slot>) -> io::Result<Option<Slot>> {
        let mut known = self.known();
        match &slot {
            Some(slot) if known.newest.as_ref() != Some(slot) => {
                known.sound = [false; 2]; // written by somebody else since
                let again = Slot { sequence: slot.sequence + 1, value: slot.value.clone() };
                self.write_slot(&mut known, &again)?;
                Ok(Some(again))
            }
            _ => Ok(slot),
        }
    }

    fn swap(&self, held: FolderHeld<D>, value: Bytes) -> io::Result<FolderHeld<D>> {
        if value.len() as u64 > MAX_OBJECT_SIZE - HEADER as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let slot = Slot { sequence: held.sequence + 1, value };
        self.write_slot(&mut self.known(), &slot)?;
        Ok(FolderHeld { sequence: slot.sequence, ..held })
    }

    /// Writes a slot durably: over the one before the last where that is sound, which takes one
    /// wait, else as a new file.
    fn write_slot(&self, known: &mut Known, slot: &Slot) -> io::Result<()> {
        let path = self.slot_path(slot.sequence);
        let sound = &mut known.sound[slot_number(slot.sequence)];
        // Until this came back without an error. After one, the load that must follow finds a slot
        // that is not the newest known, and trusts neither file.
        known.newest = None;
        let pieces = [&print_header(slot)[..], &slot.value];
        if *sound {
            self.disk.overwrite_durably(&path, &pieces)?;
        } else {
            let new = self.folder.join("new");
            self.disk.write_durably(&new, &pieces)?;
            self.disk.rename(&new, &path)?;
            self.sync_folders()?;
        }
        *sound = true;
        known.newest = Some(slot.clone());
        Ok(())
    }

    /// The register's own folder, and those above it, which may be as new.
    fn sync_folders(&self) -> io::Result<()> {
        let mut folders = self.folder.ancestors().take_while(|folder| folder.starts_with(self.disk.root()));
        folders.try_for_each(|folder| self.disk.sync_folder(folder))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot_path(&self, sequence: u64) -> PathBuf {
        self.folder.join(["0", "1"][slot_number(sequence)])
    }
}

/// The slots are used in turn.
fn slot_number(sequence: u64) -> usize {
    usize::from(!sequence.is_multiple_of(2))
}

/// `None` for a slot that a power cut tore.
fn parse_slot(bytes: &[u8]) -> Option<Slot> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let (hashed, hash) = header.split_at(HASHED);
    let numbers = hashed.strip_prefix(MAGIC)?;
    let (sequence, length) = numbers.split_at(8);
    let length = usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?;
    let value = rest.get(..length)?;
    let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
    (hash_slot(hashed, value) == hash).then(|| Slot { sequence, value: Bytes::copy_from_slice(value) })
}

/// What stands before the value.
fn print_header(slot: &Slot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&slot.sequence.to_be_bytes());
    bytes.extend_from_slice(&(slot.value.len() as u64).to_be_bytes());
    let hash = hash_slot(&bytes, &slot.value);
    bytes.extend_from_slice(&hash);
    bytes
}

fn hash_slot(hashed: &[u8], value: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(hashed).chain_update(value).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_what_it_prints_and_nothing_torn() {
        let slot = Slot { sequence: 7, value: Bytes::from_static(b"value") };
        let bytes = [&print_header(&slot)[..], &slot.value].concat();
        assert_eq!(parse_slot(&bytes), Some(slot.clone()));
        let longer = [&bytes[..], b"left over"].concat();
        assert_eq!(parse_slot(&longer), Some(slot));
        for end in 0..bytes.len() {
            assert_eq!(parse_slot(&bytes[..end]), None, "cut at {end}");
            let mut changed = bytes.clone();
            changed[end] ^= 1;
            assert_eq!(parse_slot(&changed), None, "changed at {end}");
        }
    }
}
