//! `kiln rekor trust-config`: the files by which Sigstore's clients find and believe a log.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use kiln_http::Uri;
use kiln_rekor::{
    CertificateAuthority, ClientTrustConfig, DistinguishedName, KeyDetails, RekorLog, Service,
    ServiceConfiguration, SigningConfig, TimeRange, Timestamp, TransparencyLogInstance, TrustedKey,
    TrustedRoot,
};
use kiln_sequencer::Signer;
use kiln_tiles::VerifierKey;
use serde_json::json;

use super::pem;
use crate::failure::Failure;
use crate::files;
use crate::keys::KeyArgs;
use crate::log_key::LogKey;
use crate::output::Output;
use crate::reading::host_of;
use crate::store::StorePlace;
use crate::trust::{given_vkey, parse_vkey};

/// Write trusted_root.json and signing_config.json, which Sigstore's clients take as they are.
///
/// For the log alone: enough to sign and verify with keys of one's own. With --fulcio, --ct-log, --tsa and --oidc also
/// for the other services of a private instance. client_trust_config.json is both files in one, for sigstore-python.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln rekor trust-config ./log --url https://rekor.example.com --out trust
  kiln rekor trust-config ./log --url https://rekor.example.com --out trust \\
    --fulcio https://fulcio.example.com=fulcio-chain.pem --ct-log https://ct.example.com=ct.pem \\
    --tsa https://tsa.example.com/api/v1/timestamp=tsa-chain.pem --oidc https://login.example.com

  cosign sign-blob --key cosign.key --trusted-root trust/trusted_root.json \\
    --signing-config trust/signing_config.json --bundle b.sigstore.json FILE
  sigstore --trust-config trust/client_trust_config.json sign FILE")]
pub(crate) struct TrustConfig {
    /// The log's store; a folder supplies the log's key.
    store: StorePlace,
    /// The URL under which clients reach the log: http(s), its host is the log's origin.
    #[arg(long)]
    url: String,
    /// The folder that the files go to; it is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The log's verifier key, instead of what its store says; or set KILN_VKEY.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
    #[command(flatten)]
    key: KeyArgs,
    /// A certificate authority that speaks Fulcio's API, and its chain of certificates in PEM, the root last.
    #[arg(long, value_name = "URL=FILE")]
    fulcio: Vec<Place>,
    /// A certificate transparency log, and its public key in PEM.
    #[arg(long, value_name = "URL=FILE")]
    ct_log: Vec<Place>,
    /// A timestamp authority (RFC 3161): the URL that is posted to, and its chain of certificates in PEM, the
    /// root last.
    #[arg(long, value_name = "URL=FILE")]
    tsa: Vec<Place>,
    /// An identity provider.
    #[arg(long, value_name = "URL")]
    oidc: Vec<String>,
    /// Since when the log and the services are to be believed and used, where no certificate says it.
    #[arg(long, value_name = "TIME", default_value = "2020-01-01T00:00:00Z")]
    start: Timestamp,
    /// Who runs the services, as a host name [default: the host of --url].
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

/// A service, and the file with its key or chain.
#[derive(Clone, Debug)]
struct Place {
    url: String,
    file: PathBuf,
}

/// The text is no `URL=FILE`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not URL=FILE, such as https://fulcio.example.com=chain.pem")]
struct ParsePlaceError;

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, ParsePlaceError> {
        let (url, file) = text.rsplit_once('=').ok_or(ParsePlaceError)?;
        let uri: Uri = url.parse().map_err(|_| ParsePlaceError)?;
        let valid = uri.scheme().is_some() && uri.host().is_some() && !file.is_empty();
        valid.then(|| Self { url: url.to_owned(), file: file.into() }).ok_or(ParsePlaceError)
    }
}

impl TrustConfig {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let log = self.log().await?;
        let (root, config) = (self.trusted_root(&log)?, self.signing_config());
        fs::create_dir_all(&self.out).map_err(|error| Failure::file(&self.out, &error))?;
        let both = ClientTrustConfig::new(root.clone(), config.clone());
        for (name, text) in [
            ("trusted_root.json", root.to_json()),
            ("signing_config.json", config.to_json()),
            ("client_trust_config.json", both.to_json()),
        ] {
            let path = self.out.join(name);
            files::replace(&path, text.as_bytes())?;
            let file = path.display().to_string();
            output.result(&file, || json!({ "file": file }))?;
        }
        Ok(())
    }

    async fn log(&self) -> Result<RekorLog, Failure> {
        let vkey = match given_vkey(self.vkey.as_ref())? {
            Some(vkey) => vkey,
            None => self.key().await?.verifier_key(),
        };
        RekorLog::of(&vkey).ok_or_else(|| {
            Failure::usage(format!("Sigstore's clients know no log keys of the type of {vkey}"))
        })
    }

    /// The log's key. One without a name can only be meant for the host of the URL.
    async fn key(&self) -> Result<LogKey, Failure> {
        match self.key.given()? {
            None => self.store.key(&self.key, None).await,
            Some(key) if key.is_nameless() => {
                let host = host_of(&self.url).and_then(|host| host.parse().ok());
                key.named(host.as_ref()).await
            }
            Some(key) => key.named(None).await,
        }
    }

    fn trusted_root(&self, log: &RekorLog) -> Result<TrustedRoot, Failure> {
        let tlog = TransparencyLogInstance::rekor(&self.url, log, self.start).ok_or_else(|| {
            Failure::usage(format!(
                "the log's origin is {}, which is not the host of {}: no Sigstore client would verify its checkpoints",
                log.origin(),
                self.url
            ))
        })?;
        let authorities = |places: &[Place]| {
            places.iter().map(|place| self.authority(place)).collect::<Result<_, Failure>>()
        };
        Ok(TrustedRoot {
            tlogs: vec![tlog],
            certificate_authorities: authorities(&self.fulcio)?,
            ctlogs: self.ct_log.iter().map(|place| self.ct_log(place)).collect::<Result<_, _>>()?,
            timestamp_authorities: authorities(&self.tsa)?,
            ..TrustedRoot::default()
        })
    }

    /// An authority, to be believed for as long as its first certificate says.
    fn authority(&self, place: &Place) -> Result<CertificateAuthority, Failure> {
        let (first, chain) = pem::chain(&place.file)?;
        let first = first.identity().map_err(|error| pem::unusable(&place.file, &error))?;
        let subject = DistinguishedName { organization: self.operator(), common_name: first.subject };
        let valid_for = TimeRange { start: first.not_before, end: Some(first.not_after) };
        Ok(CertificateAuthority::new(subject, &place.url, chain, valid_for))
    }

    fn ct_log(&self, place: &Place) -> Result<TransparencyLogInstance, Failure> {
        let (key, der) = pem::public_key(&place.file)?;
        let details = KeyDetails::of_key(key.kind())
            .ok_or_else(|| pem::unusable(&place.file, &"no kind of key that a log has"))?;
        Ok(TransparencyLogInstance::ct_log(&place.url, TrustedKey::new(&der, details, self.start)))
    }

    fn signing_config(&self) -> SigningConfig {
        let operator = self.operator();
        let service = |url: &str, version| Service::new(url, version, self.start, &operator);
        SigningConfig {
            ca_urls: self.fulcio.iter().map(|place| service(&place.url, 1)).collect(),
            oidc_urls: self.oidc.iter().map(|url| service(url, 1)).collect(),
            rekor_tlog_urls: vec![service(&self.url, 2)],
            rekor_tlog_config: Some(ServiceConfiguration::ANY),
            tsa_urls: self.tsa.iter().map(|place| service(&place.url, 1)).collect(),
            tsa_config: (!self.tsa.is_empty()).then_some(ServiceConfiguration::ANY),
            ..SigningConfig::default()
        }
    }

    fn operator(&self) -> String {
        self.operator.clone().or_else(|| host_of(&self.url)).unwrap_or_default()
    }
}
