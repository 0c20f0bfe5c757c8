//! A store that forgets: for tests, and for trying things out.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{CreateError, PutError, StorageError, SwapError};
use crate::partials::{ENOUGH, PartialListing, PartialObjects, PartialPath};
use crate::path::ObjectPath;
use crate::store::{ImmutableObjects, Loaded, MutableObjects, Object, Register, Store};

/// A log's store in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    objects: Arc<Mutex<BTreeMap<ObjectPath, Bytes>>>,
    head: MemoryRegister,
}

/// A register in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryRegister {
    state: Arc<Mutex<(u64, Option<Bytes>)>>, // how often it was swapped, and what it holds
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every object, by name.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<ObjectPath, Bytes> {
        lock(&self.objects).clone()
    }

    /// A copy of everything, the head included, that nobody shares: a backup.
    #[must_use]
    pub fn copy(&self) -> Self {
        let head = MemoryRegister { state: Arc::new(Mutex::new(lock(&self.head.state).clone())) };
        Self { objects: Arc::new(Mutex::new(self.objects())), head }
    }

    /// Goes back to what a copy holds, behind everybody's back.
    pub fn go_back_to(&self, copy: &Self) {
        *lock(&self.objects) = copy.objects();
        *lock(&self.head.state) = lock(&copy.head.state).clone();
    }

    /// Replaces or removes an object behind everybody's back, as a fault would.
    pub fn tamper(&self, path: &ObjectPath, body: Option<Bytes>) {
        let mut objects = lock(&self.objects);
        match body {
            Some(body) => objects.insert(path.clone(), body),
            None => objects.remove(path),
        };
    }
}

impl Store for Memory {
    type Head = MemoryRegister;

    fn head(&self) -> &MemoryRegister {
        &self.head
    }
}

impl ImmutableObjects for Memory {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let mut held = lock(&self.objects);
        for Object { path, body } in objects {
            if *held.entry(path.clone()).or_insert_with(|| body.clone()) != body {
                return Err(CreateError::Differs(path));
            }
        }
        Ok(())
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        Ok(lock(&self.objects).get(path).cloned())
    }
}

impl MutableObjects for Memory {
    type Version = Bytes; // the content itself

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        Ok(lock(&self.objects).get(path).map(|body| (body.clone(), body.clone())))
    }

    async fn put(&self, path: &ObjectPath, body: Bytes, expected: Option<Bytes>) -> Result<Bytes, PutError> {
        let mut objects = lock(&self.objects);
        if objects.get(path) != expected.as_ref() {
            return Err(PutError::Conflict);
        }
        objects.insert(path.clone(), body.clone());
        Ok(body)
    }
}

/// A walk through the partial objects in memory.
#[derive(Debug)]
pub struct MemoryListing {
    store: Memory,
    after: Bound<ObjectPath>,
}

impl PartialObjects for Memory {
    type Listing = MemoryListing;

    fn list_partials(&self) -> MemoryListing {
        MemoryListing { store: self.clone(), after: Bound::Unbounded }
    }

    async fn remove_partials(&self, paths: Vec<PartialPath>) -> Result<(), StorageError> {
        let mut objects = lock(&self.objects);
        paths.iter().for_each(|path| drop(objects.remove(path.as_path())));
        Ok(())
    }
}

impl PartialListing for MemoryListing {
    async fn next(&mut self) -> Result<Option<Vec<PartialPath>>, StorageError> {
        let objects = lock(&self.store.objects);
        let names = objects.range((self.after.clone(), Bound::Unbounded)).map(|(name, _)| name.clone());
        let batch: Vec<_> = names.filter_map(|name| PartialPath::try_from(name).ok()).take(ENOUGH).collect();
        let Some(last) = batch.last() else { return Ok(None) };
        self.after = Bound::Excluded(last.as_path().clone());
        Ok(Some(batch))
    }
}

impl Register for MemoryRegister {
    type Held = u64;

    async fn load(&self) -> Result<Loaded<u64>, StorageError> {
        let (held, value) = lock(&self.state).clone();
        Ok(Loaded { held, value })
    }

    async fn swap(&self, held: u64, value: Bytes) -> Result<u64, SwapError> {
        let mut state = lock(&self.state);
        if state.0 != held {
            return Err(SwapError::Conflict);
        }
        *state = (held + 1, Some(value));
        Ok(held + 1)
    }
}
