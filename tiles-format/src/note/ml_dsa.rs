//! ML-DSA-44 ([FIPS 204](https://csrc.nist.gov/pubs/fips/204/final)), with an empty context, as
//! [cosignatures](https://c2sp.org/tlog-cosignature) use it: keys and signatures, and what is signed is no matter here.
//!
//! Signatures are of the deterministic variant: the same message gets the same signature, no random number is
//! needed, and what was signed twice can be compared.

use std::sync::Arc;

use ml_dsa::{EncodedVerifyingKey, MlDsa44, Signature};
use zeroize::Zeroizing;

/// How many bytes a signature has.
pub(super) const SIGNATURE_SIZE: usize = 2_420;

/// A public key, with what is worked out from it once and for all: some 16 KiB, which clones share.
#[derive(Clone)]
pub(super) struct PublicKey(Arc<ml_dsa::VerifyingKey<MlDsa44>>);

impl PublicKey {
    /// Any bytes of this length are a key.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let encoded = EncodedVerifyingKey::<MlDsa44>::try_from(bytes).ok()?;
        Some(Self(Arc::new(ml_dsa::VerifyingKey::decode(&encoded))))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.encode().to_vec()
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::<MlDsa44>::try_from(signature);
        signature.is_ok_and(|signature| self.0.verify_with_context(message, &[], &signature))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.encode() == other.0.encode()
    }
}

impl Eq for PublicKey {}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MlDsa44")
    }
}

/// A secret key, wiped from memory when it goes. What is worked out from its seed is some 50 KiB.
pub(super) struct SecretKey(Box<ml_dsa::SigningKey<MlDsa44>>);

impl SecretKey {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        let seed = Zeroizing::new(ml_dsa::Seed::from(*seed));
        Self(Box::new(ml_dsa::SigningKey::from_seed(&seed)))
    }

    pub(super) fn seed(&self) -> &[u8] {
        self.0.as_seed()
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey(Arc::new(self.0.expanded_key().verifying_key()))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.0.expanded_key().sign_deterministic(message, &[]);
        signature.expect("an empty context is not too long").encode().to_vec()
    }
}
