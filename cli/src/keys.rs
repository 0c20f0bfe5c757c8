//! Secret keys: in files that only their owner may read, or in `KILN_KEY` and `KILN_ML_DSA_KEY`. The first key of a log may
//! be kept by a cloud as well: see `log_key`.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_kms::KeyReference;
use kiln_tiles::{
    Cosigner, KeyName, ParseSigningKeyError, Pkcs8Error, SignatureType, SigningKey, VerifierKey,
};
use zeroize::Zeroizing;

use crate::environment;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::log_key::{GivenKey, KeyPlace, KeyPlaceError};

/// Where a log's keys come from, if not from its own folder.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    /// The log's secret key: a file in Go's note form or as PKCS#8 PEM, which only its owner may be able to read; or
    /// where a cloud keeps it and signs with it, awskms:///ARN or gcpkms://projects/... KILN_KEY may hold the key itself
    /// or that place instead. Without either it is STORE/private/key.
    #[arg(long, value_name = "FILE|KMS")]
    key: Option<KeyPlace>,
    /// The log's second secret key, of ML-DSA-44, by which it cosigns its own checkpoints. KILN_ML_DSA_KEY
    /// may hold the key itself instead. Without either it is STORE/private/key.ml-dsa-44, if that is there.
    #[arg(long, value_name = "FILE", value_parser = parse_key_file)]
    ml_dsa_key: Option<PathBuf>,
    /// What stands behind the names of the variables, where a process has the keys of several logs.
    #[arg(skip)]
    suffix: String,
}

/// A secret key as it was read: one in PKCS#8 form has no name of its own.
pub(crate) enum SecretKey {
    /// One that signs notes, as the first key of each log does.
    Named(Box<SigningKey>),
    /// One that cosigns: a witness's, or the second of a log.
    Cosigner(Box<Cosigner>),
    /// One that signs notes.
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

impl KeyArgs {
    /// From now on the variables are those of one log among several: for `releases`, KILN_KEY_RELEASES and
    /// KILN_ML_DSA_KEY_RELEASES.
    pub(crate) fn name_variables(&mut self, log: &str) {
        self.suffix = format!("_{}", environment::in_variable(log));
    }

    /// The variable that holds the key, or where it is, if one does.
    pub(crate) fn variable(&self) -> Option<String> {
        let name = self.variable_name();
        (self.key.is_none() && variable(&name).is_some()).then_some(name)
    }

    /// The name of the variable that may hold the key.
    pub(crate) fn variable_name(&self) -> String {
        format!("KILN_KEY{}", self.suffix)
    }

    /// The key that was given; `None` where none was.
    pub(crate) fn given(&self) -> Result<Option<GivenKey>, Failure> {
        if let Some(place) = &self.key {
            return place.read().map(Some);
        }
        let name = self.variable_name();
        let Some(text) = variable(&name) else { return Ok(None) };
        if KeyReference::is_meant(&text) {
            let reference = text.trim_end().parse();
            let reference = reference.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
            return Ok(Some(GivenKey::Kms(reference)));
        }
        parse_variable(&name, &text).map(|key| Some(GivenKey::Secret(key)))
    }

    /// Reads the second key that was given, of a log whose origin is not known.
    pub(crate) fn read_second(&self) -> Result<(), Failure> {
        self.ml_dsa_key.as_deref().map_or(Ok(()), |path| read(path).map(drop))
    }

    /// The second key that was given, for the log of this origin; `None` where none was.
    pub(crate) fn given_cosigner(&self, origin: &KeyName) -> Result<Option<Cosigner>, Failure> {
        let name = format!("KILN_ML_DSA_KEY{}", self.suffix);
        let given = match &self.ml_dsa_key {
            Some(path) => Some(read(path)?),
            None => variable(&name).map(|text| parse_variable(&name, &text)).transpose()?,
        };
        given.map(|key| key.second_of(origin)).transpose()
    }
}

/// Whether a text is a secret key, and no name of a file that holds one.
pub(crate) fn is_secret(text: &str) -> bool {
    text.starts_with("PRIVATE+KEY+") || text.contains("-----BEGIN")
}

fn parse_key_file(text: &str) -> Result<PathBuf, KeyPlaceError> {
    if is_secret(text) { Err(KeyPlaceError::Itself) } else { Ok(text.into()) }
}

/// What an environment variable says, if it says something.
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().map(Zeroizing::new).filter(|text| !text.is_empty())
}

fn parse_variable(name: &str, text: &str) -> Result<SecretKey, Failure> {
    parse(text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

impl SecretKey {
    /// The key that signs notes, under its name. A PKCS#8 key gets `name`; one that has another name is refused.
    pub(crate) fn named(self, name: Option<&KeyName>) -> Result<SigningKey, Failure> {
        match (self, name) {
            (Self::Named(key), Some(name)) if key.name() != name => Err(other_name(key.name(), name)),
            (Self::Named(key), _) => Ok(*key),
            (Self::Cosigner(key), _) => Err(Failure::usage(format!(
                "the key of {} makes cosignatures ({}): it is a witness's, or the second one of a log",
                key.name(),
                key.verifier_key().signature_type()
            ))),
            (Self::Pem(pem), Some(name)) => {
                SigningKey::from_pkcs8_pem(name.clone(), &pem).map_err(Failure::usage)
            }
            (Self::Pem(_), None) => {
                Err(Failure::usage("a PKCS#8 key has no name of its own: give the log's origin"))
            }
        }
    }

    /// The key by which a log cosigns its own checkpoints: one of ML-DSA-44, and its name is the origin.
    pub(crate) fn second_of(self, origin: &KeyName) -> Result<Cosigner, Failure> {
        match self {
            Self::Cosigner(key) if key.name() != origin => Err(other_name(key.name(), origin)),
            Self::Cosigner(key) if is_ml_dsa(&key) => Ok(*key),
            _ => Err(Failure::usage(format!(
                "the second key of a log is one of ML-DSA-44: `kiln key new {origin} --type ml-dsa-44` makes it"
            ))),
        }
    }

    /// The public half. A PKCS#8 key gets `name`; one that has another name is refused.
    pub(crate) fn verifier_key(self, name: Option<&KeyName>) -> Result<VerifierKey, Failure> {
        match (self, name) {
            (Self::Cosigner(key), Some(name)) if key.name() != name => Err(other_name(key.name(), name)),
            (Self::Cosigner(key), _) => Ok(key.verifier_key()),
            (key, name) => Ok(key.named(name)?.verifier_key()),
        }
    }

    /// The text of its file.
    fn to_text(&self, format: KeyFormat) -> Result<Zeroizing<String>, Failure> {
        match (self, format) {
            (Self::Named(key), KeyFormat::Note) => Ok(line(&key.to_note_form())),
            (Self::Named(key), KeyFormat::Pkcs8) => key.to_pkcs8_pem().map_err(Failure::undone),
            (Self::Cosigner(key), KeyFormat::Note) => Ok(line(&key.to_note_form())),
            (Self::Cosigner(_), KeyFormat::Pkcs8) => Err(Failure::usage(
                "a key that cosigns is bound to its name, which PKCS#8 has no place for: leave out --format",
            )),
            (Self::Pem(pem), _) => Ok(pem.clone()),
        }
    }
}

fn is_ml_dsa(key: &Cosigner) -> bool {
    key.verifier_key().signature_type() == SignatureType::MlDsa44Cosignature
}

fn other_name(of_key: &KeyName, name: &KeyName) -> Failure {
    Failure::usage(format!(
        "the key's name is {of_key}, not {name}: an origin is for ever, and is the name of the log's keys"
    ))
}

fn line(key: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{key}\n"))
}

/// What a key signs, and with what.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum KeyType {
    /// A log's key: what every reader of notes knows.
    Ed25519,
    /// A log's key: ECDSA on the curve P-256, for Rekor logs whose readers ask for it.
    EcdsaP256,
    /// Makes cosignatures: the second key of a log, or a witness's. It outlives quantum computers.
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    /// Makes cosignatures: a witness's key, for those who do not know ML-DSA-44.
    Ed25519Cosigner,
}

impl KeyType {
    pub(crate) const fn signature_type(self) -> SignatureType {
        match self {
            Self::Ed25519 => SignatureType::Ed25519,
            Self::EcdsaP256 => SignatureType::EcdsaP256,
            Self::MlDsa44 => SignatureType::MlDsa44Cosignature,
            Self::Ed25519Cosigner => SignatureType::Ed25519Cosignature,
        }
    }
}

/// Makes a key of this name.
pub(crate) fn generate(name: KeyName, kind: KeyType) -> Result<SecretKey, Failure> {
    match kind {
        KeyType::Ed25519 => Ok(SecretKey::Named(Box::new(generate_first(name)?))),
        KeyType::EcdsaP256 => loop {
            // One number in four billion makes no key.
            if let Some(key) = SigningKey::ecdsa_from_secret(name.clone(), environment::random()?) {
                return Ok(SecretKey::Named(Box::new(key)));
            }
        },
        KeyType::MlDsa44 => Ok(SecretKey::Cosigner(Box::new(generate_second(name)?))),
        KeyType::Ed25519Cosigner => {
            let key = Cosigner::ed25519_from_seed(name, environment::random()?);
            Ok(SecretKey::Cosigner(Box::new(key)))
        }
    }
}

/// Makes the first key of a log, unless its operator asks for another: one of Ed25519.
pub(crate) fn generate_first(origin: KeyName) -> Result<SigningKey, Failure> {
    Ok(SigningKey::from_seed(origin, environment::random()?))
}

/// Makes the second key of a log: one of ML-DSA-44.
pub(crate) fn generate_second(origin: KeyName) -> Result<Cosigner, Failure> {
    Ok(Cosigner::ml_dsa_44_from_seed(origin, environment::random()?))
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
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.parse() {
        Err(ParseSigningKeyError::SignatureType(_)) => Ok(SecretKey::Cosigner(Box::new(line.parse()?))),
        key => Ok(SecretKey::Named(Box::new(key?))),
    }
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
pub(crate) fn write(path: &Path, key: &SecretKey, format: KeyFormat) -> Result<bool, Failure> {
    write_text(path, &key.to_text(format)?)
}

/// The same for the note form of a key, a line without a newline.
pub(crate) fn write_note_form(path: &Path, key: &str) -> Result<bool, Failure> {
    write_text(path, &line(key))
}

fn write_text(path: &Path, text: &str) -> Result<bool, Failure> {
    let written: io::Result<bool> = files::create(path, text.as_bytes(), Readers::Owner);
    written.map_err(|error| Failure::file(path, &error))
}
