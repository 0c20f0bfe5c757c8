//! `kiln rekor get`: one entry, verified and decoded.

use kiln_rekor::{Entry, Spec};
use kiln_tiles::Hash;

use super::decoded;
use super::facts::Facts;
use crate::failure::Failure;
use crate::output::Output;
use crate::reading::LogArgs;

/// Show an entry of a Rekor log, decoded, after verifying that it is in the log.
///
/// The signature of a hashedrekord is verified too, by the key that stands beside it: exit 1 if it does not
/// hold. Whose key it is, and whether a certificate is to be believed, is not asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln rekor get https://rekor.example.com 42 --vkey V
  kiln rekor get ./log 0 --json")]
pub(crate) struct Get {
    #[command(flatten)]
    log: LogArgs,
    /// Which entry: the first is 0.
    index: u64,
}

impl Get {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let client = self.log.open(output).await?;
        let body = client.get(self.index).await?;
        let facts = Facts::default().with("index", self.index).with("hash", Hash::leaf(&body).to_hex());
        let (facts, fault) = match Entry::parse(&body) {
            Ok(entry) => {
                let (words, fault) = check(&entry);
                (facts.and(decoded::entry(&entry)).with("signature_check", words), fault)
            }
            Err(error) => {
                let why = error.to_string();
                output.note(format_args!(
                    "entry {} is in the log, and is shown as it stands there: {why}",
                    self.index
                ));
                (facts.and(decoded::unknown(&body, &why)), None)
            }
        };
        output.result(&facts, || facts.to_value())?;
        let bad =
            |fault| Failure::bad(format!("entry {} is one that no log should take: {fault}", self.index));
        fault.map_or(Ok(()), |fault| Err(bad(fault)))
    }
}

/// What can be said of the signature with the entry alone.
fn check(entry: &Entry) -> (String, Option<String>) {
    match entry.spec() {
        Spec::HashedRekord(entry) => match entry.verify() {
            Ok(()) => ("ok: by this key over the digest".to_owned(), None),
            Err(error) => (format!("BAD: {error}"), Some(error.to_string())),
        },
        Spec::Dsse(_) => ("not done: the envelope that was signed is not in the log".to_owned(), None),
    }
}
