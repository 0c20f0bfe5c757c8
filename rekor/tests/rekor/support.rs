//! Signers of every kind, and requests of what they sign.

use std::path::PathBuf;
use std::sync::OnceLock;

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256,
};
use ed25519_dalek::{Sha512, SigningKey};
use kiln_rekor::{
    CreateEntryRequest, Digest, HashAlgorithm, KeyDetails, KeyMaterial, LogKey, Signature, Verifier,
};

/// A file of `testdata/rekor`.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/rekor")).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file that is text.
pub(crate) fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

pub(crate) struct Signer {
    pub(crate) details: KeyDetails,
    pub(crate) spki: Vec<u8>,
    key: Key,
}

enum Key {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(SigningKey),
}

/// One signer of each accepted kind. Made once: RSA keys take their time.
pub(crate) fn signers() -> &'static [Signer] {
    static SIGNERS: OnceLock<Vec<Signer>> = OnceLock::new();
    SIGNERS.get_or_init(|| KeyDetails::ACCEPTED.into_iter().map(Signer::new).collect())
}

pub(crate) fn p256() -> &'static Signer {
    signers().iter().find(|signer| signer.details == KeyDetails::PkixEcdsaP256Sha256).unwrap()
}

pub(crate) fn ed25519() -> &'static Signer {
    signers().iter().find(|signer| signer.details == KeyDetails::PkixEd25519Ph).unwrap()
}

impl Signer {
    pub(crate) fn new(details: KeyDetails) -> Self {
        let (key, spki) = match details {
            KeyDetails::PkixEcdsaP256Sha256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyDetails::PkixEcdsaP384Sha384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyDetails::PkixEcdsaP521Sha512 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING),
            KeyDetails::PkixRsaPkcs1v15_2048Sha256 => rsa(KeySize::Rsa2048),
            KeyDetails::PkixRsaPkcs1v15_3072Sha256 => rsa(KeySize::Rsa3072),
            KeyDetails::PkixRsaPkcs1v15_4096Sha256 => rsa(KeySize::Rsa4096),
            _ => {
                let key = SigningKey::from_bytes(&[7; 32]);
                let spki = LogKey::ed25519(key.verifying_key().as_bytes()).spki_der().to_vec();
                (Key::Ed25519(key), spki)
            }
        };
        Self { details, spki, key }
    }

    pub(crate) fn hash(&self) -> HashAlgorithm {
        self.details.hash_algorithm().unwrap()
    }

    /// Signs the digest of an artifact, as clients do.
    pub(crate) fn sign(&self, artifact: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ecdsa(key) => key.sign_digest(&self.aws_digest(artifact)).unwrap().as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, artifact, &mut signature).unwrap();
                signature
            }
            Key::Ed25519(key) => {
                use ed25519_dalek::Digest as _;
                key.sign_prehashed(Sha512::new_with_prefix(artifact), None).unwrap().to_vec()
            }
        }
    }

    /// Signs the artifact itself, with Ed25519.
    pub(crate) fn sign_pure(&self, artifact: &[u8]) -> Vec<u8> {
        use ed25519_dalek::Signer as _;
        let Key::Ed25519(key) = &self.key else { panic!("{} signs digests", self.details) };
        key.sign(artifact).to_vec()
    }

    fn aws_digest(&self, artifact: &[u8]) -> aws_digest::Digest {
        let algorithm = match self.hash() {
            HashAlgorithm::Sha2_256 => &aws_digest::SHA256,
            HashAlgorithm::Sha2_384 => &aws_digest::SHA384,
            HashAlgorithm::Sha2_512 => &aws_digest::SHA512,
        };
        aws_digest::digest(algorithm, artifact)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.details, KeyMaterial::PublicKey(self.spki.clone()))
    }

    /// The request for the signature over an artifact.
    pub(crate) fn request(&self, artifact: &[u8]) -> Vec<u8> {
        let digest = Digest::of(self.hash(), artifact);
        request(digest.as_bytes(), self.sign(artifact), self.verifier())
    }
}

pub(crate) fn request(digest: &[u8], content: Vec<u8>, verifier: Verifier) -> Vec<u8> {
    CreateEntryRequest::hashedrekord_json(digest, &Signature { content, verifier }).into_bytes()
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> (Key, Vec<u8>) {
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let spki = spki.as_ref().to_vec();
    (Key::Ecdsa(key), spki)
}

fn rsa(size: KeySize) -> (Key, Vec<u8>) {
    let key = RsaKeyPair::generate(size).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let spki = spki.as_ref().to_vec();
    (Key::Rsa(key), spki)
}
