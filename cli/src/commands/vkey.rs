//! `kiln vkey`: prints the key that a log is verified by.

use kiln_sequencer::Signer;
use kiln_tiles::{KeyName, VerifierKey};

use crate::failure::Failure;
use crate::keys::{KeyArgs, KeyType};
use crate::output::Output;
use crate::reading;
use crate::store::{FolderStore, StorePlace};

/// Print the vkey of a log of one's own: one line, nothing else. Needs no lock.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  export KILN_VKEY=$(kiln vkey ./log)
  kiln vkey ./log --type ml-dsa-44
  kiln vkey ./log --key awskms:///alias/releases --origin example.com/releases")]
pub(crate) struct Vkey {
    /// The store that the log lives in.
    store: StorePlace,
    /// The name of the log, where its key has none of its own: one in a KMS, or as PKCS#8.
    #[arg(long)]
    origin: Option<KeyName>,
    #[command(flatten)]
    key: KeyArgs,
    /// Which of the log's keys [default: the first one, of Ed25519 unless it was made otherwise].
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<KeyType>,
}

const ADD: &str =
    "`kiln key new ORIGIN --type ml-dsa-44 -o STORE/private/key.ml-dsa-44` gives a log a second key.";

impl Vkey {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        if let Some(store) = self.store.as_folder() {
            self.check_folder(store)?;
        }
        let vkey = self.vkey().await?;
        let value = || serde_json::json!({ "origin": vkey.name().as_str(), "vkey": vkey.to_string() });
        output.result(&vkey, value)
    }

    async fn vkey(&self) -> Result<VerifierKey, Failure> {
        let first = self.store.key(&self.key, self.origin.as_ref()).await?.verifier_key();
        if self.key.given()?.is_some_and(|key| key.is_nameless()) {
            reading::check_is_key_of(&self.store, &first).await?;
        }
        let Some(kind) = self.kind.map(KeyType::signature_type) else { return Ok(first) };
        let second = self.store.cosigner(&self.key, first.name())?.map(|key| key.verifier_key());
        let found = [Some(first), second].into_iter().flatten().find(|vkey| vkey.signature_type() == kind);
        found.ok_or_else(|| {
            Failure::usage(format!("{} has no key of this type: {kind}", self.store)).with_advice(ADD)
        })
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
