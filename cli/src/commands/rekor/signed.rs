//! What somebody signed: an artifact or its digest, a signature, and the key or certificate to it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use kiln_rekor::{
    Digest, EntrySignatureError, HashAlgorithm, HashedRekord, KeyDetails, KeyKind, KeyMaterial, PublicKey,
    Signature, Verifier, verify_message,
};
use sha2::{Sha256, Sha384, Sha512};

use super::pem;
use crate::failure::Failure;
use crate::files;

/// The artifact.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ArtifactArgs {
    /// The artifact that was signed; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "digest")]
    artifact: Option<PathBuf>,
    /// The digest of the artifact instead: SHA-256, SHA-384 or SHA-512, as the key asks for.
    #[arg(long, value_name = "HEX")]
    digest: Option<Hex>,
}

/// Who signed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SignerArgs {
    /// The public key, in PEM.
    #[arg(long, visible_alias = "key", value_name = "PEM", conflicts_with = "certificate")]
    public_key: Option<PathBuf>,
    /// The certificate of the key, in PEM; of a chain the first.
    #[arg(long, value_name = "PEM")]
    certificate: Option<PathBuf>,
}

/// Bytes, in hex.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Hex(Vec<u8>);

/// The text is no digest.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a digest: 64, 96 or 128 hex digits")]
struct ParseHexError;

impl FromStr for Hex {
    type Err = ParseHexError;

    fn from_str(text: &str) -> Result<Self, ParseHexError> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
        let digits = digits.filter(|digits| matches!(digits.len(), 64 | 96 | 128)).ok_or(ParseHexError)?;
        Ok(Self(digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()))
    }
}

impl ArtifactArgs {
    pub(super) const fn is_given(&self) -> bool {
        self.artifact.is_some() || self.digest.is_some()
    }

    /// The digest by this algorithm; `None` where no artifact was given.
    pub(super) fn digest(&self, algorithm: HashAlgorithm) -> Result<Option<Digest>, Failure> {
        let bytes = match (&self.artifact, &self.digest) {
            (Some(path), _) => hash(path, algorithm).map_err(|error| Failure::file(path, &error))?,
            (None, Some(Hex(bytes))) => bytes.clone(),
            (None, None) => return Ok(None),
        };
        Digest::new(algorithm, bytes).map(Some).map_err(|error| Failure::usage(format!("--digest: {error}")))
    }

    /// The artifact in words.
    pub(super) fn words(&self) -> String {
        match &self.artifact {
            Some(path) if path != Path::new("-") => path.display().to_string(),
            _ => "the artifact".to_owned(),
        }
    }

    /// Whether this is the very artifact that was signed with Ed25519, and not its digest.
    fn is_signed_whole(&self, key: &PublicKey, signatures: &[Vec<u8>]) -> bool {
        let file = self.artifact.as_deref().filter(|path| *path != Path::new("-"));
        let Some(artifact) = file.and_then(|path| files::read_all(path).ok()) else { return false };
        let signed =
            |signature: &Vec<u8>| verify_message(key, KeyDetails::PkixEd25519, &artifact, signature).is_ok();
        key.kind() == KeyKind::Ed25519 && signatures.iter().any(signed)
    }
}

impl SignerArgs {
    /// The key or certificate that was given, in DER.
    pub(super) fn material(&self) -> Result<Option<KeyMaterial>, Failure> {
        match (&self.public_key, &self.certificate) {
            (Some(path), _) => pem::public_key(path).map(|(_, der)| Some(KeyMaterial::PublicKey(der))),
            (None, Some(path)) => pem::certificate(path).map(KeyMaterial::X509Certificate).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// What clients say of a key, and what they hash an artifact with that it signs.
pub(super) fn details_of(material: &KeyMaterial) -> Result<(KeyDetails, HashAlgorithm), Failure> {
    let kind = material.public_key().map_err(Failure::usage)?.kind();
    let details = KeyDetails::of_key(kind);
    let known = details.and_then(|details| Some((details, details.hash_algorithm()?)));
    known.ok_or_else(|| {
        Failure::usage(format!(
            "no Rekor log takes signatures by {kind}: they take ECDSA on P-256, P-384 and P-521, RSA with 2048, 3072 \
             and 4096 bits, and Ed25519"
        ))
    })
}

/// A signature as it stands in a file: its bytes, or their base64, as cosign writes it.
pub(super) fn read_signature(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = files::read(path, pem::MAX_PEM)?;
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    let decoded = Base64::decode_vec(text).ok().filter(|decoded| !decoded.is_empty());
    Ok(decoded.into_iter().chain([bytes]).filter(|signature| !signature.is_empty()).collect())
}

/// The entry of the signature that holds, of several readings of it.
pub(super) fn hashedrekord(
    artifact: &ArtifactArgs,
    material: &KeyMaterial,
    signatures: &[Vec<u8>],
) -> Result<HashedRekord, Failure> {
    let (details, algorithm) = details_of(material)?;
    let data = artifact.digest(algorithm)?;
    let data = data.ok_or_else(|| Failure::usage("give the artifact, or its --digest"))?;
    let verifier = Verifier::new(details, material.clone());
    let read = signatures.iter().map(|content| {
        let signature = Signature { content: content.clone(), verifier: verifier.clone() };
        HashedRekord { data: data.clone(), signature }
    });
    let mut fault = None;
    for entry in read {
        match entry.verify() {
            Ok(()) => return Ok(entry),
            Err(error) => fault = Some(error),
        }
    }
    Err(refused(artifact, material, signatures, fault))
}

fn refused(
    artifact: &ArtifactArgs,
    material: &KeyMaterial,
    signatures: &[Vec<u8>],
    fault: Option<EntrySignatureError>,
) -> Failure {
    const PURE: &str = "It is one of pure Ed25519, over the artifact itself. A Rekor log never sees the artifact, and takes \
                        Ed25519ph alone, over its SHA-512.";
    let Some(fault) = fault else { return Failure::usage("the signature is empty") };
    let failure = Failure::bad(format!("signature: {fault}: it is not this key's over {}", artifact.words()));
    let whole = material.public_key().is_ok_and(|key| artifact.is_signed_whole(&key, signatures));
    if whole { failure.with_advice(PURE) } else { failure }
}

/// The digest of a file, however long it is.
fn hash(path: &Path, algorithm: HashAlgorithm) -> io::Result<Vec<u8>> {
    let mut input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    match algorithm {
        HashAlgorithm::Sha2_256 => hashed::<Sha256>(&mut input),
        HashAlgorithm::Sha2_384 => hashed::<Sha384>(&mut input),
        HashAlgorithm::Sha2_512 => hashed::<Sha512>(&mut input),
    }
}

fn hashed<H: sha2::Digest>(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut hasher, mut buffer) = (H::new(), vec![0; 1 << 16]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
