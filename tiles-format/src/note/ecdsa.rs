//! ECDSA on the curve P-256 with SHA-256: [signature type 0x02](https://c2sp.org/signed-note#signature-types).
//!
//! The key ID is the hash of the public key alone, without the name. Signatures are in ASN.1 DER form. They are
//! deterministic ([RFC 6979](https://www.rfc-editor.org/rfc/rfc6979)): the same text gets the same signature, and
//! no random number is needed, whose loss would give the key away.

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use zeroize::Zeroizing;

use super::key::KeyId;
use crate::hash::sha256;

/// Signature type identifier byte.
pub(super) const ECDSA: u8 = 0x02;

/// How many bytes a secret key has.
const SECRET_SIZE: usize = 32;

/// A public key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER form: the one spelling of a key on this curve.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let key = Self(VerifyingKey::from_public_key_der(der).ok()?);
        (key.to_der() == der).then_some(key)
    }

    pub(super) fn to_der(&self) -> Vec<u8> {
        self.0.to_public_key_der().expect("a point of the curve can be written").into_vec()
    }

    pub(super) fn key_id(&self) -> KeyId {
        let [a, b, c, d, ..] = *sha256(&[&self.to_der()]).as_bytes();
        KeyId::from_bytes([a, b, c, d])
    }

    pub(super) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        DerSignature::try_from(signature).is_ok_and(|signature| self.0.verify(text, &signature).is_ok())
    }
}

/// A secret key, wiped from memory when it goes.
pub(super) struct SecretKey(SigningKey);

impl SecretKey {
    /// From the number that it is, big-endian.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; SECRET_SIZE]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.0.sign(text);
        signature.as_bytes().to_vec()
    }

    #[cfg(feature = "pkcs8")]
    pub(super) fn from_pkcs8_pem(pem: &str) -> Option<Self> {
        use p256::pkcs8::DecodePrivateKey;
        SigningKey::from_pkcs8_pem(pem).ok().map(Self)
    }

    #[cfg(feature = "pkcs8")]
    pub(super) fn to_pkcs8_pem(&self) -> Option<Zeroizing<String>> {
        use p256::pkcs8::{EncodePrivateKey, LineEnding};
        self.0.to_pkcs8_pem(LineEnding::LF).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Note, SigningKey, VerifierKey};

    /// By `openssl genpkey` and `openssl dgst -sha256 -sign`; the key ID by `sha256sum` over the public key.
    const VKEY: &str = "log.example.com+28641f14+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC5+2jwSKdzXC/rHvy7x2piwVKQC/Bz7hNBd33UaAqIFOiC8tyUIiIO5FVRSFIm0dL9Hvc07UPopp0aE+ObzFqE=";
    const NOTE: &str = "log.example.com\n1\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n— log.example.com KGQfFDBGAiEA8+QUSqw1zLBkgwl8U7H2dN23NII3j/PwG9vUBx0VZXMCIQDaK4K0r71IuCTuTFNlxgqxw3gV4NfN4SS3V7IFq8B35w==\n";
    #[cfg(feature = "pkcs8")]
    const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBaRxVA0z/E0X0+RS
ELAE9xXSo0U7Di6E77mhHLTe306hRANCAAQufto8Einc1wv6x78u8dqYsFSkAvwc
+4TQXd91GgKiBTogvLclCIiDuRVUUhSJtHS/R73NO1D6KadGhPjm8xah
-----END PRIVATE KEY-----
";

    #[test]
    fn what_openssl_signed_verifies_and_nothing_else_does() {
        let vkey: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(vkey.to_string(), VKEY);
        let verified = |note: &str| note.parse::<Note>().unwrap().verify(std::slice::from_ref(&vkey)).is_ok();
        assert!(verified(NOTE));
        for (from, to) in [("\n1\n", "\n2\n"), ("8+QU", "8+QV"), ("MCIQDaK", "MDIQDaK")] {
            assert!(!verified(&NOTE.replace(from, to)), "{from}");
        }
    }

    #[test]
    fn a_vkey_has_one_spelling() {
        use crate::ParseVerifierKeyError as E;
        for (from, to, error) in [
            ("28641f14", "28641f15", E::Mismatch),
            ("AjBZ", "AjBa", E::PublicKey),
            ("FqE=", "FqI=", E::PublicKey), // not on the curve
        ] {
            assert_eq!(VKEY.replace(from, to).parse::<VerifierKey>(), Err(error), "{from}");
        }
    }

    #[cfg(feature = "pkcs8")]
    #[test]
    fn a_key_of_openssl_is_read_and_written() {
        let key = SigningKey::from_pkcs8_pem("log.example.com".parse().unwrap(), PEM).unwrap();
        assert_eq!(key.verifier_key().to_string(), VKEY);
        assert_eq!(*key.to_pkcs8_pem().unwrap(), PEM);
    }

    fn key() -> SigningKey {
        SigningKey::ecdsa_from_secret("example.com/log".parse().unwrap(), [7; 32]).unwrap()
    }

    #[test]
    fn a_key_reads_what_it_prints_and_the_same_text_gets_the_same_signature() {
        let (key, vkey) = (key(), key().verifier_key());
        assert_eq!(vkey.to_string().parse::<VerifierKey>().unwrap(), vkey);
        let again: SigningKey = key.to_note_form().parse().unwrap();
        assert_eq!(again.verifier_key(), vkey);
        let note = key.sign("text\n".to_owned()).unwrap();
        assert_eq!(again.sign("text\n".to_owned()).unwrap(), note);
        assert_eq!(
            note.to_string().parse::<Note>().unwrap().verify(std::slice::from_ref(&vkey)).unwrap().0,
            "text\n"
        );
        let changed: Note = note.to_string().replace("text", "next").parse().unwrap();
        assert!(changed.verify(&[vkey]).is_err());
    }
}
