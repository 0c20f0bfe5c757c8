//! The first key of a log: one that is at hand, or one that a cloud keeps and signs with.

use std::path::PathBuf;
use std::str::FromStr;

use futures_util::future::BoxFuture;
use kiln_kms::{KeyReference, KmsError, KmsKey, ParseReferenceError};
use kiln_sequencer::{SignError, Signer};
use kiln_tiles::{KeyName, NoteSignature, SigningKey, VerifierKey};

use crate::failure::Failure;
use crate::keys::{self, SecretKey};

/// Where a first key is.
#[derive(Clone, Debug)]
pub(crate) enum KeyPlace {
    /// In a file.
    File(PathBuf),
    /// In a cloud.
    Kms(KeyReference),
}

/// The text names no key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum KeyPlaceError {
    #[error(transparent)]
    Kms(#[from] ParseReferenceError),
    #[error("this is a secret key itself: put it in a file that only its owner can read, and give its name")]
    Itself,
}

impl FromStr for KeyPlace {
    type Err = KeyPlaceError;

    fn from_str(text: &str) -> Result<Self, KeyPlaceError> {
        match text {
            key if keys::is_secret(key) => Err(KeyPlaceError::Itself),
            place if KeyReference::is_meant(place) => Ok(Self::Kms(place.parse()?)),
            place if place.contains("://") || place.starts_with("arn:") => {
                Err(KeyPlaceError::Kms(ParseReferenceError::Scheme))
            }
            file => Ok(Self::File(file.into())),
        }
    }
}

impl KeyPlace {
    /// What stands there. Nothing is asked of a cloud.
    pub(crate) fn read(&self) -> Result<GivenKey, Failure> {
        match self {
            Self::File(path) => keys::read(path).map(GivenKey::Secret),
            Self::Kms(reference) => Ok(GivenKey::Kms(reference.clone())),
        }
    }
}

/// A first key as it was given.
pub(crate) enum GivenKey {
    /// The key itself.
    Secret(SecretKey),
    /// Where it is kept.
    Kms(KeyReference),
}

impl GivenKey {
    /// The key, under its name. One without a name of its own gets `name`; one that has another is refused.
    pub(crate) async fn named(self, name: Option<&KeyName>) -> Result<LogKey, Failure> {
        match self {
            Self::Secret(key) => key.named(name).map(LogKey::from),
            Self::Kms(reference) => LogKey::open(reference, name).await,
        }
    }

    /// The public half, also of a key that cosigns.
    pub(crate) async fn verifier_key(self, name: Option<&KeyName>) -> Result<VerifierKey, Failure> {
        match self {
            Self::Secret(key) => key.verifier_key(name),
            Self::Kms(reference) => Ok(LogKey::open(reference, name).await?.verifier_key()),
        }
    }

    /// The public half, under its name; `None` of one that a cloud would have to be asked for.
    pub(crate) fn vkey_at_hand(self, name: Option<&KeyName>) -> Result<Option<VerifierKey>, Failure> {
        match self {
            Self::Secret(key) => Ok(Some(key.named(name)?.verifier_key())),
            Self::Kms(reference) => needed(&reference, name).map(|_| None),
        }
    }

    /// Whether it has no name but the one that it is given.
    pub(crate) const fn is_nameless(&self) -> bool {
        matches!(self, Self::Kms(_) | Self::Secret(SecretKey::Pem(_)))
    }
}

/// The first key of a log, which signs what it publishes.
#[derive(Debug)]
pub(crate) enum LogKey {
    /// At hand.
    Own(Box<SigningKey>),
    /// Kept by a cloud, which gives it to nobody.
    Kms(KeyReference, Box<KmsKey>),
}

impl LogKey {
    async fn open(reference: KeyReference, name: Option<&KeyName>) -> Result<Self, Failure> {
        let name = needed(&reference, name)?;
        let opened = KmsKey::open(&reference, name.clone()).await;
        let opened = opened.map_err(|error| {
            let is_usage =
                matches!(error, KmsError::Setup(_) | KmsError::KeyType | KmsError::NotBuilt { .. });
            let words = format!("{reference}: {error}");
            if is_usage { Failure::usage(words) } else { Failure::undone(words) }
        })?;
        Ok(Self::Kms(reference, Box::new(opened)))
    }

    pub(crate) const fn name(&self) -> &KeyName {
        match self {
            Self::Own(key) => key.name(),
            Self::Kms(_, key) => key.name(),
        }
    }

    /// The secret itself, if it is at hand.
    pub(crate) const fn at_hand(&self) -> Option<&SigningKey> {
        match self {
            Self::Own(key) => Some(key),
            Self::Kms(..) => None,
        }
    }

    /// Where a cloud keeps it, if one does.
    pub(crate) const fn reference(&self) -> Option<&KeyReference> {
        match self {
            Self::Own(_) => None,
            Self::Kms(reference, _) => Some(reference),
        }
    }

    fn signer(&self) -> &dyn Signer {
        match self {
            Self::Own(key) => &**key,
            Self::Kms(_, key) => &**key,
        }
    }
}

/// The name of a key that has none of its own.
fn needed<'a>(reference: &KeyReference, name: Option<&'a KeyName>) -> Result<&'a KeyName, Failure> {
    name.ok_or_else(|| {
        Failure::usage(format!(
            "{reference} has no name of its own, as no key in a KMS has: give the log's origin"
        ))
    })
}

impl From<SigningKey> for LogKey {
    fn from(key: SigningKey) -> Self {
        Self::Own(Box::new(key))
    }
}

impl Signer for LogKey {
    fn verifier_key(&self) -> VerifierKey {
        self.signer().verifier_key()
    }

    fn sign<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>> {
        self.signer().sign(text)
    }
}
