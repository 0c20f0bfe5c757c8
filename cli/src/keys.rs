//! Secret keys: in files that only their owner may read, or in `KILN_KEY`.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_tiles::{KeyName, ParseSigningKeyError, Pkcs8Error, SigningKey};
use zeroize::Zeroizing;

use crate::environment;
use crate::failure::Failure;
use crate::files::{self, Readers};

/// Where a log's key comes from, if not from its own folder.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    /// The log's secret key, in Go's note form or as PKCS#8 PEM; only its owner may be able to read
    /// it. KILN_KEY may hold the key itself instead. Without either it is STORE/private/key.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// A secret key as it was read: one in PKCS#8 form has no name of its own.
pub(crate) enum SecretKey {
    Named(Box<SigningKey>),
    Pem(Zeroizing<String>),
}

/// Why a text holds no secret key. It never quotes the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum KeyError {
    #[error(transparent)]
    Note(#[from] ParseSigningKeyError),
    #[error(transparent)]
    Pem(#[from] Pkcs8Error),
    #[error("the key is longer than any key")]
    TooLong,
}

/// Longer than any key in any form.
const MAX_LENGTH: u64 = 10_000;

const ENVIRONMENT: &str = "KILN_KEY";

impl KeyArgs {
    /// The key that was given; `None` where none was.
    pub(crate) fn given(&self) -> Result<Option<SecretKey>, Failure> {
        match &self.key {
            Some(path) => read(path).map(Some),
            None => match std::env::var(ENVIRONMENT) {
                Ok(text) if !text.is_empty() => {
                    let text = Zeroizing::new(text);
                    parse(&text).map(Some).map_err(|e| Failure::usage(format!("{ENVIRONMENT}: {e}")))
                }
                _ => Ok(None),
            },
        }
    }
}

impl SecretKey {
    /// The key under its name. A PKCS#8 key gets `name`; one that has another name is refused.
    pub(crate) fn named(self, name: Option<&KeyName>) -> Result<SigningKey, Failure> {
        match (self, name) {
            (Self::Named(key), Some(name)) if key.name() != name => Err(Failure::usage(format!(
                "the key's name is {}, not {name}: an origin is for ever, and is the name of the log's key",
                key.name()
            ))),
            (Self::Named(key), _) => Ok(*key),
            (Self::Pem(pem), Some(name)) => {
                SigningKey::from_pkcs8_pem(name.clone(), &pem).map_err(Failure::usage)
            }
            (Self::Pem(_), None) => {
                Err(Failure::usage("a PKCS#8 key has no name of its own: give the log's origin"))
            }
        }
    }
}

/// What a key signs with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum KeyType {
    /// What every reader of notes knows.
    Ed25519,
    /// ECDSA on the curve P-256, for Rekor logs whose readers ask for it.
    EcdsaP256,
}

/// Makes a key of this name.
pub(crate) fn generate(name: KeyName, kind: KeyType) -> Result<SigningKey, Failure> {
    match kind {
        KeyType::Ed25519 => Ok(SigningKey::from_seed(name, environment::random()?)),
        KeyType::EcdsaP256 => loop {
            // One number in four billion makes no key.
            if let Some(key) = SigningKey::ecdsa_from_secret(name.clone(), environment::random()?) {
                return Ok(key);
            }
        },
    }
}

/// Reads a key file, which only its owner may be able to read.
pub(crate) fn read(path: &Path) -> Result<SecretKey, Failure> {
    parse(&read_text(path)?).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The text of a key file, which only its owner may be able to read.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let metadata = file.metadata().map_err(|error| Failure::file(path, &error))?;
    if metadata.is_dir() {
        return Err(Failure::undone(format!("{} is a folder, and no key file", path.display())));
    }
    check_mode(path, &metadata)?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_LENGTH + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::file(path, &error))?;
    Ok(text)
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::undone(format!(
        "{path} has mode {mode:03o}: others than its owner may have read this secret key. \
         If nobody has: chmod 600 {path}"
    )))
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _metadata: &Metadata) -> Result<(), Failure> {
    Ok(())
}

fn parse(text: &str) -> Result<SecretKey, KeyError> {
    if text.len() as u64 > MAX_LENGTH {
        return Err(KeyError::TooLong);
    }
    if text.trim_start().starts_with("-----BEGIN") {
        // Whether it is a key shows under any name; whoever asks for it has the right one.
        let probe = "probe".parse::<KeyName>().map_err(ParseSigningKeyError::from)?;
        SigningKey::from_pkcs8_pem(probe, text)?;
        return Ok(SecretKey::Pem(Zeroizing::new(text.to_owned())));
    }
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(SecretKey::Named(Box::new(line.strip_suffix('\r').unwrap_or(line).parse()?)))
}

/// The form that a key is written in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum KeyFormat {
    /// A line in the form of Go's note package, with the name.
    Note,
    /// PKCS#8 in PEM armor, as OpenSSL reads it; the name is not part of it.
    Pkcs8,
}

/// Writes a key to a new file that only its owner can read; `false` where there is one already.
pub(crate) fn write(path: &Path, key: &SigningKey, format: KeyFormat) -> Result<bool, Failure> {
    let text = match format {
        KeyFormat::Note => Zeroizing::new(format!("{}\n", *key.to_note_form())),
        KeyFormat::Pkcs8 => key.to_pkcs8_pem().map_err(Failure::undone)?,
    };
    let written: io::Result<bool> = files::create(path, text.as_bytes(), Readers::Owner);
    written.map_err(|error| Failure::file(path, &error))
}
