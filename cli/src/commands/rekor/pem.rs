//! Keys and certificates in PEM, as OpenSSL and cosign write them.

use std::fmt::Display;
use std::path::Path;

use kiln_rekor::{Certificate, PublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use crate::failure::Failure;
use crate::files;

/// Longer than any key, signature or chain of certificates.
pub(super) const MAX_PEM: usize = 1 << 20;

const NO_KEY: &str = "no public key in PEM: it begins with -----BEGIN PUBLIC KEY-----";
const NO_CERTIFICATE: &str = "no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----";

/// The public key in a file, and its DER.
pub(super) fn public_key(path: &Path) -> Result<(PublicKey, Vec<u8>), Failure> {
    let pem = files::read(path, MAX_PEM)?;
    let der = SubjectPublicKeyInfoDer::from_pem_slice(&pem).map_err(|_| unusable(path, &NO_KEY))?;
    let key = PublicKey::from_spki_der(&der).map_err(|error| unusable(path, &error))?;
    Ok((key, der.to_vec()))
}

/// The first certificate in a file, in DER.
pub(super) fn certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = files::read(path, MAX_PEM)?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| unusable(path, &NO_CERTIFICATE))?;
    Certificate::from_der(&der).map_err(|error| unusable(path, &error))?;
    Ok(der.to_vec())
}

/// The first of a chain of certificates, and all of them in DER.
pub(super) fn chain(path: &Path) -> Result<(Certificate, Vec<Vec<u8>>), Failure> {
    let pem = files::read(path, MAX_PEM)?;
    let (mut first, mut chain) = (None, Vec::new());
    for der in CertificateDer::pem_slice_iter(&pem) {
        let der = der.map_err(|error| unusable(path, &error))?.to_vec();
        let certificate = Certificate::from_der(&der).map_err(|error| unusable(path, &error))?;
        first.get_or_insert(certificate);
        chain.push(der);
    }
    let first = first.ok_or_else(|| unusable(path, &NO_CERTIFICATE))?;
    Ok((first, chain))
}

/// That a file does not hold what it was given for.
pub(super) fn unusable(path: &Path, error: &impl Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}
