//! Signatures over digests: a log never sees the artifact.
//!
//! ECDSA and RSA are verified by AWS-LC, which takes a digest where ring takes the message alone;
//! [Ed25519ph] by ed25519-dalek.
//!
//! [Ed25519ph]: https://www.rfc-editor.org/rfc/rfc8032.html#section-5.1

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature as aws;
use ed25519_dalek::VerifyingKey;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, consts::U64};

use crate::digest::{Digest, HashAlgorithm};
use crate::key::{KeyKind, PublicKey};
use crate::key_details::KeyDetails;

/// The signature is not this key's over this digest or message; or the key is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Verifies a signature over a digest: ECDSA in DER, RSA by PKCS#1 v1.5, or Ed25519ph without context.
///
/// # Errors
/// Where it does not hold, the key is malformed (a point off its curve), or the digest is not made by the
/// one hash that goes with the key.
pub fn verify_digest(key: &PublicKey, digest: &Digest, signature: &[u8]) -> Result<(), BadSignature> {
    use HashAlgorithm as H;
    match (key.kind(), digest.algorithm()) {
        (KeyKind::EcdsaP256, H::Sha2_256) => verify_by(&aws::ECDSA_P256_SHA256_ASN1, key, digest, signature),
        (KeyKind::EcdsaP384, H::Sha2_384) => verify_by(&aws::ECDSA_P384_SHA384_ASN1, key, digest, signature),
        (KeyKind::EcdsaP521, H::Sha2_512) => verify_by(&aws::ECDSA_P521_SHA512_ASN1, key, digest, signature),
        (KeyKind::Rsa(_), H::Sha2_256) => verify_by(&aws::RSA_PKCS1_2048_8192_SHA256, key, digest, signature),
        (KeyKind::Ed25519, H::Sha2_512) => verify_ed25519ph(key, digest, signature),
        _ => Err(BadSignature),
    }
}

/// Verifies a signature over a message, hashed as the key details say; pure Ed25519 hashes by itself.
///
/// # Errors
/// Where it does not hold, or no message is signed so.
pub fn verify_message(
    key: &PublicKey,
    details: KeyDetails,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    match (details, details.hash_algorithm()) {
        (KeyDetails::PkixEd25519, _) => verify_ed25519(key, message, signature),
        (_, Some(algorithm)) => verify_digest(key, &Digest::of(algorithm, message), signature),
        (_, None) => Err(BadSignature),
    }
}

fn verify_by(
    algorithm: &'static dyn aws::VerificationAlgorithm,
    key: &PublicKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), BadSignature> {
    let of = match digest.algorithm() {
        HashAlgorithm::Sha2_256 => &aws_digest::SHA256,
        HashAlgorithm::Sha2_384 => &aws_digest::SHA384,
        HashAlgorithm::Sha2_512 => &aws_digest::SHA512,
    };
    let digest = aws_digest::Digest::import_less_safe(digest.as_bytes(), of).map_err(|_| BadSignature)?;
    let key = aws::UnparsedPublicKey::new(algorithm, key.as_bytes());
    key.verify_digest(&digest, signature).map_err(|_| BadSignature)
}

/// Strictly: what holds here holds in every implementation of RFC 8032.
fn verify_ed25519ph(key: &PublicKey, digest: &Digest, signature: &[u8]) -> Result<(), BadSignature> {
    let (key, signature) = ed25519(key, signature)?;
    let finished = FinishedSha512(digest.as_bytes().try_into().map_err(|_| BadSignature)?);
    key.verify_prehashed_strict(finished, None, &signature).map_err(|_| BadSignature)
}

fn verify_ed25519(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let (key, signature) = ed25519(key, signature)?;
    key.verify_strict(message, &signature).map_err(|_| BadSignature)
}

fn ed25519(
    key: &PublicKey,
    signature: &[u8],
) -> Result<(VerifyingKey, ed25519_dalek::Signature), BadSignature> {
    let key = key.as_bytes().try_into().map_err(|_| BadSignature)?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
    let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| BadSignature)?;
    Ok((key, signature))
}

/// A SHA-512 that somebody else has finished, in the form of a hasher: dalek asks for the hasher, and
/// only ever finishes it.
struct FinishedSha512([u8; 64]);

/// Asked for by the trait of hashers, and the only way to hash something here: the digest of zeros is
/// that of no known message.
impl Default for FinishedSha512 {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl HashMarker for FinishedSha512 {}

impl OutputSizeUser for FinishedSha512 {
    type OutputSize = U64;
}

impl Update for FinishedSha512 {
    fn update(&mut self, _: &[u8]) {
        unreachable!("the hash is finished, and a prehashed signature adds nothing to it");
    }
}

impl FixedOutput for FinishedSha512 {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0);
    }
}
