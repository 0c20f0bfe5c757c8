//! The key of a [bastion backend], and the certificate that it shows: X.509 with one Ed25519 key, signed by itself.
//!
//! A bastion looks at the public key in it and at nothing else, so that it is always the same: its validity begins before
//! Kiln and [never ends], and it has the one extension that a client needs.
//!
//! [bastion backend]: https://c2sp.org/https-bastion#backend-to-bastion-connection
//! [never ends]: https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5

use std::fmt;
use std::sync::Arc;

use kiln_tiles::Hash;
use rustls::SignatureScheme;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use sha2::{Digest, Sha256};

/// How many bytes an Ed25519 public key has.
const PUBLIC_KEY: usize = 32;

/// The key that a bastion knows a backend by. It is used for nothing else.
#[derive(Clone)]
pub struct BackendKey {
    key: Arc<dyn SigningKey>,
    hash: Hash,
}

/// Not an Ed25519 key in PKCS#8 form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an Ed25519 key in PKCS#8 form")]
pub struct BackendKeyError;

impl BackendKey {
    /// Reads a key in PKCS#8 form, DER.
    ///
    /// # Errors
    /// Where it is none of Ed25519.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BackendKeyError> {
        let key = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der));
        let key = key.map_err(|_| BackendKeyError)?;
        let info = key.public_key().ok_or(BackendKeyError)?;
        let public = info.last_chunk::<PUBLIC_KEY>().ok_or(BackendKeyError)?;
        let hash = Hash::from_bytes(Sha256::digest(public).into());
        Ok(Self { key, hash })
    }

    /// The [key hash], in hex: the first segment of the path below the bastion.
    ///
    /// [key hash]: https://c2sp.org/https-bastion#client-to-bastion-requests
    #[must_use]
    pub fn hash(&self) -> String {
        self.hash.to_hex()
    }

    /// A number from 0 to 1 that another key has another of.
    pub(crate) fn spread(&self) -> f64 {
        f64::from(self.hash.as_bytes()[0]) / f64::from(u8::MAX)
    }

    /// The key with its certificate, as TLS takes it.
    pub(crate) fn certified(&self) -> Result<CertifiedKey, BackendKeyError> {
        Ok(CertifiedKey::new(vec![CertificateDer::from(self.certificate()?)], self.key.clone()))
    }

    fn certificate(&self) -> Result<Vec<u8>, BackendKeyError> {
        let to_be_signed = to_be_signed(&self.key.public_key().ok_or(BackendKeyError)?);
        let signer = self.key.choose_scheme(&[SignatureScheme::ED25519]).ok_or(BackendKeyError)?;
        let signature = signer.sign(&to_be_signed).map_err(|_| BackendKeyError)?;
        Ok(der(SEQUENCE, &[&to_be_signed, ED25519, &der(BIT_STRING, &[NO_UNUSED_BITS, &signature])]))
    }
}

/// Prints its hash and nothing of the secret.
impl fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendKey").field("hash", &self.hash()).finish_non_exhaustive()
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

const NO_UNUSED_BITS: &[u8] = &[0];

/// `AlgorithmIdentifier` of id-Ed25519, without parameters: [RFC 8410](https://www.rfc-editor.org/rfc/rfc8410#section-3).
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
/// id-at-commonName.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
/// id-ce-extKeyUsage.
const EXTENDED_KEY_USAGE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x25];
/// id-kp-clientAuth.
const CLIENT_AUTH: &[u8] = &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// `TBSCertificate`, from top to bottom: [RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-4.1).
fn to_be_signed(public_key_info: &[u8]) -> Vec<u8> {
    let version_3 = der(VERSION, &[&der(INTEGER, &[&[2]])]);
    let serial_number = der(INTEGER, &[&[1]]);
    let common_name = der(SEQUENCE, &[COMMON_NAME, &der(UTF8_STRING, &[b"Bastion backend"])]);
    let name = der(SEQUENCE, &[&der(SET, &[&common_name])]);
    let validity =
        der(SEQUENCE, &[&der(UTC_TIME, &[b"250101000000Z"]), &der(GENERALIZED_TIME, &[b"99991231235959Z"])]);
    let usage = der(OCTET_STRING, &[&der(SEQUENCE, &[CLIENT_AUTH])]);
    let extension = der(SEQUENCE, &[EXTENDED_KEY_USAGE, &usage]);
    let extensions = der(EXTENSIONS, &[&der(SEQUENCE, &[&extension])]);
    let fields = [&version_3, &serial_number, ED25519, &name, &validity, &name, public_key_info, &extensions];
    der(SEQUENCE, &fields)
}

/// One value of DER: tag, length, and contents of less than 64 KiB.
fn der(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = u16::try_from(contents.len()).expect("a certificate is short");
    let [high, low] = length.to_be_bytes();
    let header: &[u8] = match length {
        0..0x80 => &[tag, low],
        0x80..0x100 => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [header, &contents].concat()
}

#[cfg(test)]
mod tests {
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    /// PKCS#8 of a seed: [RFC 8410](https://www.rfc-editor.org/rfc/rfc8410#section-7).
    pub(crate) fn pkcs8(seed: [u8; 32]) -> Vec<u8> {
        let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22];
        [&prefix[..], &[0x04, 0x20], &seed].concat()
    }

    /// That of RFC 8410, section 10.3.
    const SEED: [u8; 32] = [
        0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a,
        0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
    ];

    #[test]
    fn a_backend_is_known_by_the_hash_of_its_public_key() {
        let key = BackendKey::from_pkcs8(&pkcs8(SEED)).unwrap();
        let public = key.key.public_key().unwrap().last_chunk::<32>().unwrap().to_owned();
        assert_eq!(public[..4], [0x19, 0xbf, 0x44, 0x09], "the public key of RFC 8410");
        assert_eq!(key.hash(), Hash::from_bytes(Sha256::digest(public).into()).to_hex());
        assert!(!format!("{key:?}").contains("d4ee"));
        assert!(BackendKey::from_pkcs8(b"no key").is_err());
    }

    /// webpki trusts it as a root and reads it as a client's: all of its fields are in their places.
    #[test]
    fn the_certificate_is_one_and_signed_by_itself() {
        let key = BackendKey::from_pkcs8(&pkcs8(SEED)).unwrap();
        let certificate = CertificateDer::from(key.certificate().unwrap());
        assert_eq!(certificate.as_ref(), key.certificate().unwrap(), "always the same");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots.clone()),
            provider.clone(),
        );
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        clients.build().unwrap().verify_client_cert(&certificate, &[], now).unwrap();
        // It is no server's.
        let servers = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let name = ServerName::try_from("bastion.example").unwrap();
        assert!(servers.build().unwrap().verify_server_cert(&certificate, &[], &name, &[], now).is_err());
    }
}
