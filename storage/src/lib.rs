//! Where a transparency log lives.
//!
//! A log asks three things of its store, each a trait whose documentation is the contract:
//! [`ImmutableObjects`] for tiles and entry bundles, [`MutableObjects`] for the checkpoint, and a
//! [`Register`] with compare-and-swap for the head. [`Folder`] keeps them on a disk and survives a
//! power cut, [`Memory`] forgets. The suite in `contract` (a feature) checks any store.

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod folder;
mod memory;
mod path;
mod store;

pub use error::{CreateError, PutError, StorageError, StorageErrorKind, SwapError};
pub use folder::{Folder, FolderRegister};
pub use memory::{Memory, MemoryRegister};
pub use path::{ObjectPath, ObjectPathError};
pub use store::{ImmutableObjects, Loaded, MAX_OBJECT_SIZE, MutableObjects, Object, Register, Store};
