//! The bastions that a witness serves behind, and the key that they know it by.

use std::path::Path;

use kiln_tiles::SigningKey;
use kiln_witness::{BackendKey, Bastion, BastionRoots};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::cosigning::keys;
use crate::environment;
use crate::failure::Failure;
use crate::keys::{KeyFormat, SecretKey, read_text, write};

/// The file of the key, PKCS#8 in PEM armor.
const KEY: &str = "bastion";

/// The bastions at these addresses. The key is made with the first of them.
pub(super) fn open(witness: &Path, addresses: &[String]) -> Result<Vec<Bastion>, Failure> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let key = key(witness)?;
    for address in addresses {
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        tracing::info!("behind the bastion: https://{host}/{}", key.hash());
    }
    let roots = BastionRoots::native().map_err(Failure::undone)?;
    let bastion = |address: &String| Bastion::new(address, &key, &roots).map_err(Failure::usage);
    addresses.iter().map(bastion).collect()
}

fn key(witness: &Path) -> Result<BackendKey, Failure> {
    let path = keys::folder(witness).join(KEY);
    if !path.exists() {
        let name = KEY.parse().map_err(Failure::undone)?; // a PKCS#8 file has no name
        let key = SigningKey::from_seed(name, environment::random()?);
        write(&path, &SecretKey::Named(Box::new(key)), KeyFormat::Pkcs8)?;
    }
    let bad = || Failure::usage(format!("{}: not an Ed25519 key as PKCS#8 PEM", path.display()));
    let pem = read_text(&path)?;
    let der = Zeroizing::new(PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| bad())?);
    BackendKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| bad())
}
