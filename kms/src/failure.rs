//! Why a key management service does not do its part.

use std::time::Duration;

/// How long a signature or a public key is tried for: less than a round waits for it, which would not know why.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// How long a try may take, with that for credentials. Services answer within a tenth of a second.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(2);

/// How long until the second try; each pause is twice as long as that before.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Why a key cannot be used now, or not at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// This build knows no such service.
    #[error("this build of Kiln has no keys in {service}: it was built without the feature {feature}")]
    NotBuilt {
        /// Which.
        service: &'static str,
        /// By what it would.
        feature: &'static str,
    },
    /// The environment says too little, or what makes no sense.
    #[error("{0}")]
    Setup(&'static str),
    /// There is no way to it: this machine has no root certificates, say.
    #[cfg(feature = "client")]
    #[error("the KMS cannot be asked from here: {0}")]
    Client(#[source] object_store::Error),
    /// There are no credentials, or they cannot be had now.
    #[cfg(feature = "client")]
    #[error("no credentials for the KMS: {0}")]
    Credentials(#[source] object_store::Error),
    /// Whoever gives credentials to this machine does not answer, or there is nobody.
    #[error(
        "no credentials for the KMS within {0:?}: none are in the environment, and no metadata service of a cloud gives any"
    )]
    NoCredentials(Duration),
    /// The service could not be reached, or did not answer.
    #[cfg(feature = "client")]
    #[error("the KMS could not be asked: {0}")]
    Transport(#[from] object_store::client::HttpError),
    /// The service did not answer in time.
    #[error("the KMS did not answer within {0:?}")]
    Late(Duration),
    /// Who asks may not.
    #[error(
        "who runs this lacks the permission {permission} on the key: the KMS answered {status}, {message}"
    )]
    Denied {
        /// What is lacking.
        permission: &'static str,
        /// As HTTP has it.
        status: u16,
        /// The service's words.
        message: String,
    },
    /// The service fails, or was asked too often.
    #[error("the KMS is in trouble: it answered {status}, {message}")]
    Busy {
        /// As HTTP has it.
        status: u16,
        /// The service's words.
        message: String,
    },
    /// The service refuses.
    #[error("the KMS answered {status}, {message}")]
    Refused {
        /// As HTTP has it.
        status: u16,
        /// The service's words.
        message: String,
    },
    /// What was answered is no answer.
    #[error("the answer of the KMS makes no sense: {0}")]
    Malformed(&'static str),
    /// What was answered, or what was asked, was damaged on its way.
    #[error("{0} was damaged between here and the KMS: its checksum is another")]
    Damaged(&'static str),
    /// A key that signs nothing that a log could use.
    #[error(
        "the key signs neither by Ed25519 nor by ECDSA on the curve P-256 with SHA-256, as the keys of logs do"
    )]
    KeyType,
    /// What was answered is no signature of the key.
    #[error("the KMS answered with what is no signature of this key")]
    Signature,
}

impl KmsError {
    /// Whether another try may have better luck.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            #[cfg(feature = "client")]
            Self::Credentials(_) | Self::Transport(_) => true,
            Self::Late(_)
            | Self::NoCredentials(_)
            | Self::Busy { .. }
            | Self::Damaged(_)
            | Self::Signature => true,
            _ => false,
        }
    }
}
