//! One machine: a folder on a simulated disk, the guard beside it, and processes that share both.
//!
//! A call of the folder is done at once; the time that it takes passes before and after it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kiln_storage::folder::FolderHeld;
use kiln_storage::{
    CreateError, Folder, FolderRegister, ImmutableObjects, Loaded, MutableObjects, Object, ObjectPath,
    PutError, Register, StorageError, StorageErrorKind, Store, SwapError,
};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::bucket::Which;
use super::checker::{Checker, Eye};
use super::link::{Call, Fate, Link, fault, pass};
use crate::disk::SimulatedDisk;

/// A log in a folder, as one process reaches it.
#[derive(Clone)]
pub(crate) struct Local {
    folder: Folder<SimulatedDisk>,
    link: Arc<Link>,
    head: LocalRegister,
}

/// A register in a folder, as one process reaches it.
#[derive(Clone)]
pub(crate) struct LocalRegister {
    register: FolderRegister<SimulatedDisk>,
    link: Arc<Link>,
    which: Which,
}

impl Local {
    pub(crate) fn new(disk: &SimulatedDisk, link: Arc<Link>) -> Result<Self, StorageError> {
        let folder = Folder::on(Arc::new(disk.below("log")), format!("process {}", link.process))?;
        let head = LocalRegister { register: folder.head().clone(), link: link.clone(), which: Which::Head };
        Ok(Self { folder, link, head })
    }
}

impl LocalRegister {
    /// A guard of the machine.
    pub(crate) fn guard(disk: &SimulatedDisk, link: Arc<Link>, number: usize) -> Self {
        let (disk, owner) = (Arc::new(disk.below("state")), format!("process {}", link.process));
        // Nobody waits for the lock in true time; see `load`.
        let register = FolderRegister::new(disk, guard_folder(number), owner, Duration::ZERO);
        Self { register, link, which: Which::Guard(number) }
    }
}

fn guard_folder(number: usize) -> PathBuf {
    format!("/state/guard-{number}").into()
}

impl Link {
    async fn work<T, E, W>(&self, call: Call, what: &str, work: impl FnOnce() -> W) -> Result<T, E>
    where
        W: Future<Output = Result<T, E>>,
        E: From<StorageError> + std::fmt::Display,
    {
        let trip = self.send(call).await;
        pass(trip.out).await;
        let done = if trip.fate == Fate::Done {
            work().await
        } else {
            self.world.count("faults of calls");
            Err(fault().into())
        };
        let outcome = done.as_ref().err().map_or_else(|| "done".into(), ToString::to_string);
        self.world.note(Some(self.process), format_args!("{what}: {outcome}"));
        done
    }

    /// The time after a call, once what it left was looked at.
    async fn work_was_done(&self) {
        let weather = *self.world.weather();
        let trip = if weather.latency_now().usual == 0 { Duration::ZERO } else { Duration::from_millis(1) };
        self.hear(trip).await;
    }
}

impl Store for Local {
    type Head = LocalRegister;

    fn head(&self) -> &LocalRegister {
        &self.head
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}

impl ImmutableObjects for Local {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let world = &self.link.world;
        objects.iter().for_each(|object| world.check(|checker| checker.creates(object)));
        let what = format!("create {} objects", objects.len());
        let created = self.link.work(Call::Create, &what, || self.folder.create(objects.clone())).await;
        if created.is_ok() {
            world.check(|checker| checker.made(&objects));
        }
        self.link.work_was_done().await;
        created
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let found = self.link.work(Call::Read, &format!("read {path}"), || self.folder.read(path)).await;
        self.link.work_was_done().await;
        found
    }
}

impl MutableObjects for Local {
    type Version = [u8; 32];

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, [u8; 32])>, StorageError> {
        let found =
            self.link.work(Call::Read, &format!("read {path}"), || self.folder.read_version(path)).await;
        self.link.work_was_done().await;
        found
    }

    async fn put(
        &self,
        path: &ObjectPath,
        body: Bytes,
        expected: Option<[u8; 32]>,
    ) -> Result<[u8; 32], PutError> {
        let (world, is_checkpoint) = (&self.link.world, path.as_str() == "checkpoint");
        if is_checkpoint {
            world.check(|checker| checker.signed(&body));
        }
        let put =
            self.link.work(Call::Put, &format!("put {path}"), || self.folder.put(path, body, expected)).await;
        if is_checkpoint {
            world.check(Checker::look_at_checkpoint);
        }
        if is_checkpoint && put.is_ok() {
            world.check(Checker::checkpoint_was_put);
        }
        self.link.work_was_done().await;
        put
    }
}

impl Register for LocalRegister {
    type Held = FolderHeld<SimulatedDisk>;

    /// Another process may hold a guard for a moment.
    async fn load(&self) -> Result<Loaded<Self::Held>, StorageError> {
        let mut tries = if self.which == Which::Head { 1 } else { 100 };
        loop {
            tries -= 1;
            let loaded =
                self.link.work(Call::Read, &format!("load {:?}", self.which), || self.register.load()).await;
            if loaded.is_ok() {
                self.link.world.look_at(self.which, self.link.process);
            }
            self.link.work_was_done().await;
            match loaded {
                Err(error) if error.kind() == StorageErrorKind::Held && tries > 0 => {
                    sleep(Duration::from_millis(10)).await;
                }
                done => return done,
            }
        }
    }

    async fn swap(&self, held: Self::Held, value: Bytes) -> Result<Self::Held, SwapError> {
        let what = format!("swap {:?}", self.which);
        let swapped = self.link.work(self.which.swap(), &what, || self.register.swap(held, value)).await;
        self.link.world.look_at(self.which, self.link.process);
        self.link.work_was_done().await;
        swapped
    }
}

impl Eye for SimulatedDisk {
    fn object(&self, path: &ObjectPath) -> Option<Bytes> {
        let half = if path.is_private() { "/log" } else { "/log/public" };
        self.peek(&Path::new(half).join(path.as_str())).map(Bytes::from)
    }

    fn head(&self) -> Option<Bytes> {
        newest_slot(self, Path::new("/log/private/head"))
    }

    fn guard(&self, number: usize) -> Option<Bytes> {
        newest_slot(self, &guard_folder(number))
    }
}

/// As the format of a register says, at the top of `storage/src/folder/register.rs`; read here by
/// other code than wrote it.
fn newest_slot(disk: &SimulatedDisk, folder: &Path) -> Option<Bytes> {
    let slots = ["0", "1"].map(|slot| disk.peek(&folder.join(slot)).and_then(|file| whole_slot(&file)));
    slots.into_iter().flatten().max_by_key(|(sequence, _)| *sequence).map(|(_, value)| value)
}

fn whole_slot(file: &[u8]) -> Option<([u8; 8], Bytes)> {
    let (hashed, rest) = file.split_at_checked(29)?;
    let (hash, rest) = rest.split_at_checked(32)?;
    let numbers = hashed.strip_prefix(b"kiln-slot/v1\n")?;
    let (sequence, length) = numbers.split_at(8);
    let length = usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?;
    let value = rest.get(..length)?;
    let whole = Sha256::new().chain_update(hashed).chain_update(value).finalize()[..] == *hash;
    whole.then(|| Some((sequence.try_into().ok()?, Bytes::copy_from_slice(value))))?
}
