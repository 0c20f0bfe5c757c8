//! Certificates from an authority that speaks ACME ([RFC 8555]), such as Let's Encrypt: ordered, and renewed when a
//! third of their time is left.
//!
//! The authority looks whether the server has the name by connecting to it: TLS-ALPN-01, [RFC 8737]. That needs no
//! other port, no other program and no leave to change a zone; the listener answers it between its other connections.
//!
//! [RFC 8555]: https://www.rfc-editor.org/rfc/rfc8555
//! [RFC 8737]: https://www.rfc-editor.org/rfc/rfc8737

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, HttpClient,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};

use crate::identity::{Identity, IdentityError};
use crate::{Bytes, Certificates};

/// Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// How often the end of a certificate is looked at.
const LOOKS: Duration = Duration::from_secs(60 * 60);

/// Between two attempts: the first, and the longest. Authorities count those that fail, by the hour and the week.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// For one request to the authority, and for all of an order.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const ORDER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Of whom certificates are had, and for which names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcmeOptions {
    /// The names of the server.
    pub domains: Vec<Domain>,
    /// Whom the authority may write to, such as `mailto:operator@example.com`.
    pub contact: Option<String>,
    /// The URL of the authority's directory.
    pub directory: String,
}

/// A name in the DNS: lowercase letters, digits and dashes between dots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain(String);

/// The text is no name in the DNS.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a name such as log.example.com, in lowercase and without a wildcard")]
pub struct ParseDomainError;

impl std::str::FromStr for Domain {
    type Err = ParseDomainError;

    fn from_str(text: &str) -> Result<Self, ParseDomainError> {
        let is_label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-')
        };
        let is_domain = text.len() <= 253 && text.contains('.') && text.split('.').all(is_label);
        if is_domain { Ok(Self(text.to_owned())) } else { Err(ParseDomainError) }
    }
}

impl Domain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the account and the certificates are kept, keys included: for their owner's eyes alone.
pub trait AcmeCache: Send + Sync + 'static {
    /// What was kept under this name, a plain file name.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Keeps this in place of what was there, durably and in one step.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn store(&self, name: &str, secret: &[u8]) -> io::Result<()>;
}

/// Why no certificate was had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The authority, or the way to it.
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    /// It would not look at the name in the one way that is offered.
    #[error("the authority offers no tls-alpn-01 for {0}")]
    NoChallenge(String),
    /// It looked, and did not see what it was to see.
    #[error("the authority did not find this server under {0}: does the name lead here, with port 443?")]
    NotFound(String),
    /// It took too long.
    #[error("the authority did not finish in {} s", ORDER_TIMEOUT.as_secs())]
    TimedOut,
    /// What it sent is no certificate for the key.
    #[error("what the authority sent: {0}")]
    Identity(#[from] IdentityError),
    /// No key or certificate could be made.
    #[error("{0}")]
    Making(#[from] rcgen::Error),
    /// What TLS makes of it.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The cache.
    #[error("the folder of certificates: {0}")]
    Cache(#[from] io::Error),
    /// What is in the cache is no account.
    #[error("the account in the folder of certificates: {0}")]
    Account(#[from] serde_json::Error),
}

/// Keeps a certificate fresh.
#[derive(Debug)]
pub struct Acme<C> {
    options: AcmeOptions,
    cache: C,
    certificates: Certificates,
    http: Http,
}

impl<C: AcmeCache> Acme<C> {
    /// Shows the certificate that the cache has for these names, if it has one.
    ///
    /// # Errors
    /// Where the cache cannot be read, or this machine has no root certificates.
    pub fn open(options: AcmeOptions, cache: C, certificates: Certificates) -> Result<Self, AcmeError> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().build();
        let http = Http(Client::builder(TokioExecutor::new()).build(connector));
        let acme = Self { options, cache, certificates, http };
        if let Some(pem) = acme.cache.load(&acme.certificate_name())? {
            match Identity::from_pem(&pem, &pem) {
                Ok(identity) => acme.certificates.replace(identity),
                Err(error) => {
                    tracing::warn!(%error, "the certificate that was kept is damaged; another is ordered");
                }
            }
        }
        Ok(acme)
    }

    /// Has a certificate ordered whenever there is none or it ends soon, for ever. `now` is the Unix time.
    pub async fn run(self, now: impl Fn() -> u64 + Send) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let is_needed = self.certificates.validity().is_none_or(|validity| validity.is_ending(now()));
            let wait = if !is_needed {
                LOOKS
            } else if let Err(error) = self.renew().await {
                let end = self.certificates.validity().map(|validity| validity.not_after);
                tracing::warn!(%error, ends_at = ?end, "no certificate was had; trying again in {pause:?}");
                let wait = pause;
                pause = (2 * pause).min(LONGEST_PAUSE);
                wait
            } else {
                tracing::info!(names = ?self.names(), "a new certificate");
                pause = SHORTEST_PAUSE;
                LOOKS
            };
            sleep(wait).await;
        }
    }

    /// Orders a certificate, keeps it, and shows it.
    async fn renew(&self) -> Result<(), AcmeError> {
        let ordered = timeout(ORDER_TIMEOUT, self.order()).await;
        self.certificates.set_challenges(HashMap::new());
        let pem = ordered.map_err(|_| AcmeError::TimedOut)??;
        let identity = Identity::from_pem(pem.as_bytes(), pem.as_bytes())?;
        self.certificates.replace(identity);
        // An authority rations certificates: one that cannot be kept is shown all the same.
        if let Err(error) = self.cache.store(&self.certificate_name(), pem.as_bytes()) {
            tracing::error!(%error, "the new certificate is shown, and was not kept: a restart orders another");
        }
        Ok(())
    }

    /// The key and the chain, in PEM.
    async fn order(&self) -> Result<String, AcmeError> {
        let account = self.account().await?;
        let names: Vec<_> = self.names().iter().map(|name| Identifier::Dns((*name).to_owned())).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        self.meet_challenges(&mut order).await?;
        if order.poll_ready(&patience()).await? != OrderStatus::Ready {
            return Err(AcmeError::NotFound(self.names().join(", ")));
        }
        let key = order.finalize().await?;
        Ok(key + &order.poll_certificate(&patience()).await?)
    }

    async fn account(&self) -> Result<Account, AcmeError> {
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let name = format!("account-{}.json", short_hash(&[&self.options.directory]));
        if let Some(json) = self.cache.load(&name)? {
            let credentials: AccountCredentials = serde_json::from_slice(&json)?;
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact: Vec<&str> = self.options.contact.as_deref().into_iter().collect();
        let account =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder.create(&account, self.options.directory.clone(), None).await?;
        self.cache.store(&name, &serde_json::to_vec(&credentials)?)?;
        Ok(account)
    }

    /// Has the listener show what the authority is to see, for all names, and then asks it to look.
    async fn meet_challenges(&self, order: &mut Order) -> Result<(), AcmeError> {
        let mut shown = HashMap::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = authorization.identifier().to_string();
            let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
            let mut challenge = challenge.ok_or_else(|| AcmeError::NoChallenge(name.clone()))?;
            let key = challenge_key(&name, challenge.key_authorization().digest().as_ref())?;
            shown.insert(name, Arc::new(key));
            self.certificates.set_challenges(shown.clone());
            challenge.set_ready().await?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<&str> {
        self.options.domains.iter().map(Domain::as_str).collect()
    }

    /// Other names, or another authority, are another certificate.
    fn certificate_name(&self) -> String {
        let mut parts = self.names();
        let first = parts.first().copied().unwrap_or_default().to_owned();
        parts.push(&self.options.directory);
        format!("{first}-{}.pem", short_hash(&parts))
    }
}

/// What the authority is to see: a certificate of the name by nobody, with the digest in it.
fn challenge_key(name: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = default_provider().key_provider.load_private_key(key.into())?;
    // Not `CertifiedKey::from_der`: it reads the certificate, and knows no such extension, which is critical.
    Ok(CertifiedKey::new(vec![certificate], key))
}

fn short_hash(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n"));
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

const fn patience() -> RetryPolicy {
    RetryPolicy::new().timeout(Duration::from_secs(60))
}

/// The HTTP client that there is.
#[derive(Clone, Debug)]
struct Http(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let asked = self.0.request(request);
        Box::pin(async move {
            let late = || instant_acme::Error::Other("the authority does not answer".into());
            let answer = timeout(REQUEST_TIMEOUT, asked).await.map_err(|_| late())?;
            Ok(answer.map_err(|error| instant_acme::Error::Other(Box::new(error)))?.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rustls compared the key with the certificate, did not know its one critical extension, and refused both: no
    /// certificate was ever had.
    #[test]
    fn what_an_authority_is_shown_can_be_made_and_names_the_digest() {
        let key = challenge_key("log.example.com", &[0x5a; 32]).unwrap();
        let certificate = key.end_entity_cert().unwrap();
        assert!(certificate.windows(32).any(|bytes| bytes == [0x5a; 32]));
        assert!(certificate.windows(15).any(|bytes| bytes == b"log.example.com"));
    }

    #[test]
    fn a_domain_is_a_name_that_others_can_look_up() {
        for good in ["log.example.com", "a.b", "xn--bcher-kva.example", "1.example.com"] {
            assert!(good.parse::<Domain>().is_ok(), "{good}");
        }
        for bad in
            ["", "localhost", "*.example.com", "Log.example.com", "a..b", "a.b.", "../x.y", "-a.b", "a b.c"]
        {
            assert_eq!(bad.parse::<Domain>(), Err(ParseDomainError), "{bad}");
        }
    }
}
