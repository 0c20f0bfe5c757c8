//! What a log asks of the place it lives in: three contracts.

use std::future::Future;

use bytes::Bytes;
use prometheus_client::registry::Registry;

use crate::error::{CreateError, PutError, StorageError, SwapError};
use crate::path::ObjectPath;

/// The longest object, in bytes, that a store reads: a head of four rounds of 16 MiB, and some.
pub const MAX_OBJECT_SIZE: u64 = 80 << 20;

/// An object to be created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// Its name.
    pub path: ObjectPath,
    /// Its bytes.
    pub body: Bytes,
}

/// Where a log lives: immutable objects, a few mutable ones, and the commit register.
pub trait Store: ImmutableObjects + MutableObjects + Send + Sync + 'static {
    /// The register that holds the head.
    type Head: Register;

    /// The commit register of this log.
    fn head(&self) -> &Self::Head;

    /// Whether leave to swap the head is a lock that keeps every other process out. Where it is none,
    /// writers need another way to agree who should try: a lease.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Registers what the store counts of its use, by names that begin with `storage`: nothing, unless it says so.
    fn register_metrics(&self, _registry: &mut Registry) {}
}

/// Objects that are written once and never change: tiles and entry bundles.
pub trait ImmutableObjects {
    /// Makes all of these objects exist with exactly these bytes.
    ///
    /// `Ok` means that all of them are durable, whether this call wrote them or found them, and so
    /// are the folders they stand in. A reader sees each whole or not at all.
    ///
    /// Repeating a call is safe at any time, and so is a write that arrives late. Where an object
    /// exists with other bytes, a store that can tear a write in a power cut replaces it, for then
    /// it is the remains of one; any other store answers [`CreateError::Differs`]. So this must only
    /// be called for objects of a round that the head still holds.
    fn create(&self, objects: Vec<Object>) -> impl Future<Output = Result<(), CreateError>> + Send;

    /// Reads an object of at most [`MAX_OBJECT_SIZE`] bytes; `None` where there is none.
    fn read(&self, path: &ObjectPath) -> impl Future<Output = Result<Option<Bytes>, StorageError>> + Send;
}

/// Objects that are replaced under a condition: the checkpoint, the log's description.
pub trait MutableObjects {
    /// What tells one state of an object from another: an `ETag`, a generation, a hash.
    /// Equal bytes may have equal versions.
    type Version: Clone + Send + Sync;

    /// Reads an object and its version; `None` where there is none.
    fn read_version(
        &self,
        path: &ObjectPath,
    ) -> impl Future<Output = Result<Option<(Bytes, Self::Version)>, StorageError>> + Send;

    /// Replaces the object if it still has this version, or creates it if there is none and
    /// `expected` is `None`. `Ok` means that it is durable.
    ///
    /// After [`PutError`] read again: an earlier try of one's own may have arrived.
    fn put(
        &self,
        path: &ObjectPath,
        body: Bytes,
        expected: Option<Self::Version>,
    ) -> impl Future<Output = Result<Self::Version, PutError>> + Send;
}

/// One durable value that is changed only by compare-and-swap: the commit register of a log, and
/// its guard. Linearizable, across processes and restarts.
pub trait Register: Send + Sync + 'static {
    /// Leave to swap once, bound to the value last seen (an `ETag`, a lock). Where the store knows
    /// locks, nobody else can load while one of these exists.
    type Held: Send;

    /// Reads the value, which is durable then, and takes leave to swap it. `None` where nothing was
    /// ever swapped in.
    fn load(&self) -> impl Future<Output = Result<Loaded<Self::Held>, StorageError>> + Send;

    /// Replaces the value unless another writer did. `Ok` means that it is durable.
    ///
    /// Takes `held` by value: after `Err` nobody knows what the register holds, and without a new
    /// [`load`](Self::load) no code can try again. No two values that are ever swapped in may be
    /// equal: versions may be derived from content.
    fn swap(
        &self,
        held: Self::Held,
        value: Bytes,
    ) -> impl Future<Output = Result<Self::Held, SwapError>> + Send;
}

/// What a register held when it was loaded.
#[derive(Debug)]
pub struct Loaded<Held> {
    /// Leave to swap once.
    pub held: Held,
    /// The value.
    pub value: Option<Bytes>,
}
