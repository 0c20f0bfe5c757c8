//! `kiln key`: makes and shows keys.

use std::path::PathBuf;

use clap::Subcommand;
use kiln_tiles::{KeyName, VerifierKey};
use serde_json::json;

use crate::failure::Failure;
use crate::keys::{self, KeyFormat, KeyType};
use crate::log_key::KeyPlace;
use crate::output::Output;

/// Make keys, and show the public half of one.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key in a new file that only its owner can read; prints its vkey.
    #[command(after_help = "\
Examples:
  kiln key new example.com/releases -o release.key
  kiln key new example.com/releases -o release.pem --format pkcs8
  kiln key new rekor.example.com -o rekor.key --type ecdsa-p256
  kiln key new example.com/releases -o log/private/key.ml-dsa-44 --type ml-dsa-44
  kiln key new witness.example.com/w1 -o witness.key --type ml-dsa-44")]
    New {
        /// The name of the key; of a log's keys it is the log's origin.
        name: KeyName,
        /// The file. One that is there is left alone.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The form that the key is written in.
        #[arg(long, value_name = "FORM", default_value = "note")]
        format: KeyFormat,
        /// What the key signs, and with what.
        #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
        kind: KeyType,
    },
    /// Print the vkey of a secret key.
    #[command(after_help = "\
Examples:
  kiln key show release.key
  kiln key show log/private/key.ml-dsa-44
  kiln key show awskms:///alias/releases --name example.com/releases")]
    Show {
        /// The file, in note form or PKCS#8 PEM, which only its owner may be able to read; or where a cloud keeps the
        /// key, awskms:///ARN or gcpkms://projects/...
        #[arg(value_name = "FILE|KMS")]
        file: KeyPlace,
        /// The name of the key, which a PKCS#8 file and a key in a cloud do not have: the log's origin.
        #[arg(long, visible_alias = "origin")]
        name: Option<KeyName>,
    },
}

impl Key {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::New { name, output: path, format, kind } => {
                let key = keys::generate(name, kind)?;
                if !keys::write(&path, &key, format)? {
                    let path = path.display();
                    return Err(Failure::usage(format!("{path} exists already; no key is overwritten")));
                }
                output.note(format_args!("made the secret key {}", path.display()));
                show(&key.verifier_key(None)?, *output)
            }
            Self::Show { file, name } => show(&file.read()?.verifier_key(name.as_ref()).await?, *output),
        }
    }
}

fn show(vkey: &VerifierKey, output: Output) -> Result<(), Failure> {
    let kind = vkey.signature_type().to_string();
    output.result(vkey, || json!({ "name": vkey.name().as_str(), "type": kind, "vkey": vkey.to_string() }))
}
