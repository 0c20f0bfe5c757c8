//! Where a transparency log lives.
//!
//! A log asks three things of its store, each a trait whose documentation is the contract:
//! [`ImmutableObjects`] for tiles and entry bundles, [`MutableObjects`] for the checkpoint, and a
//! [`Register`] with compare-and-swap for the head. Who collects superseded tiles uses
//! [`PartialObjects`]. [`Folder`] keeps them on a disk and survives a
//! power cut, [`Memory`] forgets, and `Bucket` (feature `object-stores`) is in S3, Google Cloud Storage or
//! Azure; `AnyStore` is a folder or a bucket, as the operator says. [`Metered`] counts what any of them is asked. The suite in `contract` (a feature) checks any store.

#[cfg(feature = "object-stores")]
pub mod any;
#[cfg(feature = "object-stores")]
pub mod bucket;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod folder;
mod memory;
mod metered;
mod partials;
mod path;
mod store;

#[cfg(feature = "object-stores")]
pub use any::{AnyRegister, AnyStore};
#[cfg(feature = "object-stores")]
pub use bucket::{Bucket, BucketRegister, BucketUrl};
pub use error::{CreateError, PutError, StorageError, StorageErrorKind, SwapError};
pub use folder::{Folder, FolderRegister};
pub use memory::{Memory, MemoryListing, MemoryRegister};
pub use metered::{Metered, MeteredRegister};
pub use partials::{PartialListing, PartialObjects, PartialPath, PartialPathError};
pub use path::{ObjectPath, ObjectPathError};
pub use store::{ImmutableObjects, Loaded, MAX_OBJECT_SIZE, MutableObjects, Object, Register, Store};
