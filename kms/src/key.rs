//! A key that a service keeps, as a log signs with it.

use std::fmt::Debug;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kiln_sequencer::{SignError, Signer};
use kiln_tiles::{KeyName, NoteSignature, VerifierKey};
use tokio::time::{Instant, sleep, timeout_at};

use crate::failure::{ATTEMPT, FIRST_PAUSE, KmsError, PATIENCE};
use crate::public_key::{self, Algorithm};
use crate::reference::KeyReference;

/// What is asked of a service, once. Whoever implements it bounds the length of an answer.
pub(crate) trait Service: Debug + Send + Sync {
    /// Reads the public half, in DER form.
    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>>;

    /// Signs a text. Nobody has verified that what is returned is its signature.
    fn sign<'a>(&'a self, text: &'a str, by: Algorithm) -> BoxFuture<'a, Result<Vec<u8>, KmsError>>;
}

/// A key that a key management service keeps, and signs with when it is asked.
#[derive(Debug)]
pub struct KmsKey {
    vkey: VerifierKey,
    algorithm: Algorithm,
    service: Box<dyn Service>,
}

impl KmsKey {
    /// Asks the service for the public half of the key, with the credentials that the environment has. The key has no
    /// name of its own: a log's is its origin.
    ///
    /// | service | variables, as its own tools have them |
    /// |---|---|
    /// | AWS | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL`, roles of instances, tasks and web identities |
    /// | Google | `GOOGLE_APPLICATION_CREDENTIALS`, service accounts, `CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS` |
    ///
    /// # Errors
    /// Where the service cannot be asked, does not let this process, or has no key that signs as a log's does.
    pub async fn open(reference: &KeyReference, name: KeyName) -> Result<Self, KmsError> {
        Self::of(service(reference)?, name).await
    }

    pub(crate) async fn of(service: Box<dyn Service>, name: KeyName) -> Result<Self, KmsError> {
        let der = persist(|| service.public_key()).await?;
        let vkey = public_key::from_der(name, &der)?;
        Ok(Self { algorithm: Algorithm::of(&vkey)?, vkey, service })
    }

    /// The name that it was given.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        self.vkey.name()
    }

    async fn signature(&self, text: &str) -> Result<NoteSignature, KmsError> {
        let signature = self.service.sign(text, self.algorithm).await?;
        // A service that signs with another key by now, as one behind an alias may, has signed nothing.
        let verifies = self.vkey.verify(text, &signature);
        verifies.then(|| NoteSignature::new(&self.vkey, signature)).ok_or(KmsError::Signature)
    }
}

impl Signer for KmsKey {
    fn verifier_key(&self) -> VerifierKey {
        self.vkey.clone()
    }

    fn sign<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<NoteSignature, SignError>> {
        async move {
            let signed = persist(|| self.signature(text).boxed()).await;
            signed.map_err(|error| SignError::Unsigned(error.into()))
        }
        .boxed()
    }
}

fn service(reference: &KeyReference) -> Result<Box<dyn Service>, KmsError> {
    match reference {
        #[cfg(feature = "aws")]
        KeyReference::Aws(key) => Ok(Box::new(crate::aws::AwsKms::of_environment(key)?)),
        #[cfg(not(feature = "aws"))]
        KeyReference::Aws(_) => Err(KmsError::NotBuilt { service: "AWS KMS", feature: "kms-aws" }),
        #[cfg(feature = "gcp")]
        KeyReference::Gcp(key) => Ok(Box::new(crate::gcp::GcpKms::of_environment(key)?)),
        #[cfg(not(feature = "gcp"))]
        KeyReference::Gcp(_) => Err(KmsError::NotBuilt { service: "Google Cloud KMS", feature: "kms-gcp" }),
    }
}

/// Tries it again, with pauses, for as long as it may be for the moment only that it fails, and nobody waits too long.
async fn persist<'a, T>(attempt: impl Fn() -> BoxFuture<'a, Result<T, KmsError>>) -> Result<T, KmsError> {
    let end = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let late = end.min(Instant::now() + ATTEMPT);
        let done = timeout_at(late, attempt()).await.unwrap_or(Err(KmsError::Late(ATTEMPT)));
        match done {
            Err(error) if error.is_passing() && Instant::now() + pause < end => sleep(pause).await,
            done => return done,
        }
        pause *= 2;
    }
}
