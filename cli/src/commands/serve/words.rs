//! What a log that starts says: for people, and the two lines that programs wait for.

use std::fmt;
use std::path::{Path, PathBuf};

use kiln_kms::KeyReference;
use kiln_sequencer::Description;
use kiln_tiles::TreeHead;

use crate::environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::reading::host_of;

/// How a log was made that did not exist before.
pub(super) struct Made {
    /// Whether its origin was chosen for its operator.
    pub(super) chosen: bool,
    /// Where its key is, if in the store.
    pub(super) key: Option<PathBuf>,
    /// Where a cloud keeps its key, if one does.
    pub(super) kms: Option<KeyReference>,
}

/// How a log takes entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Api {
    /// Any bytes, as they are.
    Raw,
    /// Those of Rekor, by Rekor's API.
    Rekor,
}

/// A log that takes entries from now on.
pub(super) struct Started<'a> {
    pub(super) store: String,
    pub(super) description: &'a Description,
    pub(super) head: TreeHead,
    pub(super) made: Option<Made>,
    pub(super) api: Api,
}

impl Started<'_> {
    /// Says so on standard output.
    pub(super) fn tell(&self, output: Output) -> Result<(), Failure> {
        if let Some(made) = &self.made {
            output.line(self.birth(made))?;
        }
        if self.made.is_some() || output.is_terminal() {
            output.line(self.next_steps())?;
        }
        output.line(self)
    }

    fn birth(&self, made: &Made) -> String {
        let Description { origin, vkeys, .. } = self.description;
        let chosen = if made.chosen { ", and chosen for you, since no --origin was given" } else { "" };
        let mut text = format!(
            "A new log was made in {}.\n\n  origin  {origin}\n          its name, which is for ever{chosen}\n",
            self.store
        );
        if let Some(vkey) = vkeys.first() {
            text += &format!("  vkey    {vkey}\n          what others verify it by: publish it\n");
        }
        if let Some(key) = &made.key {
            let key = key.display();
            text += &format!("  key     {key}\n          what it signs with: keep a copy, in secret\n");
        }
        if let Some(kms) = &made.kms {
            text += &format!("  key     {kms}\n          what it signs with: it stays there\n");
        }
        text
    }

    fn next_steps(&self) -> String {
        let alias = environment::program_out_of_path()
            .map_or_else(String::new, |program| format!("alias kiln={}\n  ", shown(&program)));
        let vkey = self.description.vkeys.first().map(String::as_str).unwrap_or_default();
        let begin = format!("Next, in another terminal:\n\n  {alias}export KILN_VKEY={}\n  ", quoted(vkey));
        match self.api {
            Api::Raw => begin + &self.first_entry(),
            Api::Rekor => begin + &self.first_signature(),
        }
    }

    fn first_entry(&self) -> String {
        let (url, read_url) = self.urls();
        format!(
            "echo 'hello, log' > hello.txt\n  \
             kiln add {url} hello.txt --proofs .\n  \
             kiln verify hello.txt.tlog-proof --entry hello.txt\n  \
             kiln get {read_url} 0\n  \
             kiln info {read_url}\n  \
             kiln fsck {}\n\n\
             `add` prints the index and the hash of the entry, and keeps a proof that `verify` takes\n\
             without a network; `fsck` verifies everything there is.\n",
            quoted(&self.store)
        )
    }

    fn first_signature(&self) -> String {
        let (url, read_url) = self.urls();
        // Of a log behind another server, the URL that clients know is not the one that it listens at.
        let origin = &self.description.origin;
        let known = host_of(url).as_deref() == Some(origin.as_str());
        let url = if known { url.to_owned() } else { format!("https://{origin}") };
        format!(
            "kiln rekor trust-config {} --url {url} --out trust\n  \
             echo 'hello, log' > hello.txt\n  \
             cosign generate-key-pair\n  \
             cosign sign-blob --yes --key cosign.key --signing-config trust/signing_config.json \\\n    \
             --trusted-root trust/trusted_root.json --bundle hello.sigstore.json hello.txt\n  \
             kiln rekor verify hello.sigstore.json --artifact hello.txt --key cosign.pub\n  \
             kiln rekor get {read_url} 0\n\n\
             `trust-config` writes what Sigstore's clients have to know of this log; `verify` needs no network.\n\
             Without cosign: `kiln rekor upload --help`.\n",
            quoted(&self.store)
        )
    }

    /// Where entries are taken, and where they are read.
    fn urls(&self) -> (&str, &str) {
        let url = self.description.submission_url.as_deref().unwrap_or_default();
        (url, self.description.read_url.as_deref().unwrap_or(url))
    }
}

/// Origin, vkey, store, URL and size on one line.
impl fmt::Display for Started<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { origin, vkeys, submission_url, read_url, .. } = self.description;
        // A second key is of ML-DSA-44, and 1.8 kB long: `log.json` and `kiln vkey` have it.
        let vkey = vkeys.first().map(String::as_str).unwrap_or_default();
        write!(f, "log  origin={origin} vkey={vkey} store={}", quoted(&self.store))?;
        write!(f, " url={}", submission_url.as_deref().unwrap_or_default())?;
        if read_url != submission_url {
            write!(f, " read-url={}", read_url.as_deref().unwrap_or_default())?;
        }
        write!(f, " size={}", self.head.size())
    }
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '/' | '-' | '_' | '+' | '=' | ':');
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_word_as_it_was_meant() {
        for (word, shell) in [("/srv/log", "/srv/log"), ("/my log", "'/my log'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(word), shell);
        }
    }
}
