//! `kiln vkey`: prints the key that a log is verified by.

use crate::failure::Failure;
use crate::keys::KeyArgs;
use crate::output::Output;
use crate::reading;
use crate::store::{FolderStore, StorePlace};

/// Print the vkey of a log of one's own: one line, nothing else. Needs no lock.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export KILN_VKEY=$(kiln vkey ./log)")]
pub(crate) struct Vkey {
    /// The store that the log lives in.
    store: StorePlace,
    #[command(flatten)]
    key: KeyArgs,
}

impl Vkey {
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        if let Some(store) = self.store.as_folder() {
            self.check_folder(store)?;
        }
        let vkey = self.store.key(&self.key, None)?.verifier_key();
        let value = || serde_json::json!({ "origin": vkey.name().as_str(), "vkey": vkey.to_string() });
        output.result(&vkey, value)
    }

    fn check_folder(&self, store: &FolderStore) -> Result<(), Failure> {
        let folder = store.folder();
        if !folder.is_dir() {
            return Err(Failure::undone(format!("{}: no such folder", folder.display())));
        }
        if self.key.given()?.is_none() && !store.key_path().exists() {
            reading::source(&folder.to_string_lossy())?; // no log, or one whose key is elsewhere
        }
        Ok(())
    }
}
