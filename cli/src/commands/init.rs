//! `kiln init`: makes a log.

use kiln_sequencer::{Dedup, Log, Options, Sequencer, Signer, create_log};
use kiln_tiles::KeyName;

use crate::environment;
use crate::failure::Failure;
use crate::guard::GuardArgs;
use crate::keys::KeyArgs;
use crate::output::Output;
use crate::reading::check_is_key_of;
use crate::store::{StorePlace, check_conditions};

/// Make a log; prints its vkey.
///
/// Where there is this log already it only prints the vkey. Runs that were interrupted can be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln init ./log --origin example.com/releases
  kiln init ./log --origin example.com/releases --key release.key
  kiln init ./log --origin example.com/releases --key awskms:///alias/releases")]
pub(crate) struct Init {
    /// Where to make the log: a folder, or s3://, gs:// or az://.
    store: StorePlace,
    /// The name of the log, for ever: no space, plus or control character, at most 255 bytes
    /// [default: <host>/<folder>-<8 hex>].
    #[arg(long)]
    origin: Option<KeyName>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    guard: GuardArgs,
}

impl Init {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        self.store.check_key(&self.key)?;
        let vkey = if self.store.has_log().await? {
            let vkey = self.store.key(&self.key, self.origin.as_ref()).await?.verifier_key();
            check_is_key_of(&self.store, &vkey).await?;
            output.note(format_args!("{} holds this log already", self.store));
            vkey
        } else {
            self.make(output).await?
        };
        let value = || serde_json::json!({ "origin": vkey.name().as_str(), "vkey": vkey.to_string() });
        output.result(&vkey, value)
    }

    async fn make(&self, output: &Output) -> Result<kiln_tiles::VerifierKey, Failure> {
        let guards = self.guard.outside(&self.store)?;
        let (key, chosen) = self.store.key_of_new_log(&self.key, self.origin.as_ref()).await?;
        let (vkey, kms) = (key.verifier_key(), key.reference().cloned());
        let store = self.store.open("kiln init")?;
        check_conditions(&store).await?;
        let guards = guards.open(&vkey, &environment::process_name("kiln init")).await?;
        self.store.keep_key(&key)?;
        let second = self.store.cosigner_of_new_log(&self.key, key.name())?;
        second.iter().try_for_each(|second| self.store.keep_cosigner(second))?;
        let log = guards.guard(key, store, Dedup::off());
        let log = second.into_iter().fold(log, Log::with_cosigner);
        create_log(&log).await?;
        // The first load publishes the empty tree, so that readers find a log.
        Sequencer::new(log, Options::default()).load().await?;
        output.note(format_args!("made the log {} in {}", vkey.name(), self.store));
        if let Some(kms) = kms {
            output.note(format_args!(
                "  its key stays in {kms}: whoever may sign with it can sign in the log's name"
            ));
        } else if let Some(path) = self.store.key_path() {
            output.note(format_args!("  its key is {}: keep a copy, in secret", path.display()));
        }
        if let Some(path) = self.store.cosigner_path().filter(|path| path.exists()) {
            let path = path.display();
            output.note(format_args!("  its second key, of ML-DSA-44, is {path}: keep a copy of it, too"));
        }
        if chosen {
            output.note("  its origin was chosen for you, since no --origin was given; it is for ever");
        }
        Ok(vkey)
    }
}
