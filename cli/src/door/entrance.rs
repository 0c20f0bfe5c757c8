//! What listeners speak, and whom they take their clients for.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_http::{
    Acme, AcmeOptions, Certificates, Domain, Handler, Identity, LETS_ENCRYPT, Limits, Listener, Network,
    ProxyHeader, Tls, TrustedProxies,
};
use kiln_sequencer::Environment;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::cache::Folder;
use super::changes::{Changes, named};
use crate::addresses::{ServerUrl, ServerUrlError};
use crate::environment::System;
use crate::failure::Failure;
use crate::quantity::at_least_one;
use crate::signals::{Stop, stopped};
use crate::{files, keys, listeners};

/// What an operator sets of all public listeners of a server.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS and clients")]
pub(crate) struct EntranceOptions {
    /// Speak TLS with these certificates, in PEM, the server's own first. They are read again when they change, and at
    /// SIGHUP.
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "acme")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM; only its owner may be able to read it.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Speak TLS with a certificate for this name, had from an authority and renewed; its terms are agreed to. The
    /// name must lead here, with port 443. Can be repeated.
    #[arg(long, value_name = "DOMAIN", requires = "acme_cache")]
    pub(crate) acme: Vec<Domain>,
    /// Whom the authority may write to, such as mailto:operator@example.com.
    #[arg(long, value_name = "URL", requires = "acme", value_parser = parse_contact)]
    pub(crate) acme_contact: Option<String>,
    /// Where the account and the certificates are kept, with their keys.
    #[arg(long, value_name = "FOLDER", requires = "acme")]
    pub(crate) acme_cache: Option<PathBuf>,
    /// The directory of the authority [default: that of Let's Encrypt].
    #[arg(long, value_name = "URL", requires = "acme", value_parser = parse_directory)]
    pub(crate) acme_directory: Option<String>,
    /// Take the client's address from what these proxies say; nobody else is believed. Addresses or networks.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<Network>,
    /// The header in which the proxies say it.
    #[arg(long, value_name = "HEADER", default_value = "x-forwarded-for", requires = "trusted_proxies")]
    pub(crate) proxy_header: HeaderName,
    /// The most connections of one client to a listener at once, by its address, of IPv6 by its /64 [default: no limit
    /// but that of all].
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) max_connections_per_client: Option<usize>,
}

/// The text is nobody an authority may write to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a URL such as mailto:operator@example.com")]
struct ContactError;

fn parse_contact(text: &str) -> Result<String, ContactError> {
    let is_contact = |(scheme, rest): (&str, &str)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
            && !rest.is_empty()
            && !rest.contains(char::is_whitespace)
    };
    let contact = text.split_once(':').filter(|parts| is_contact(*parts));
    contact.map(|_| text.to_owned()).ok_or(ContactError)
}

/// Kept as it was given: of somebody else's URL the slash at its end may be a part.
fn parse_directory(text: &str) -> Result<String, ServerUrlError> {
    text.parse::<ServerUrl>().map(|_| text.to_owned())
}

/// A header by which proxies say whom they were asked by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum HeaderName {
    /// X-Forwarded-For.
    #[default]
    XForwardedFor,
    /// Forwarded (RFC 7239).
    Forwarded,
}

/// What listeners need for it.
#[derive(Debug)]
pub(crate) struct Entrance {
    certificates: Option<Certificates>,
    source: Source,
    proxies: TrustedProxies,
    connections: Option<usize>,
}

/// Where certificates come from.
#[derive(Debug)]
enum Source {
    Nowhere,
    Files(TlsFiles),
    Authority(Box<AcmeOptions>, Folder),
}

#[derive(Clone, Debug)]
struct TlsFiles {
    chain: PathBuf,
    key: PathBuf,
}

/// Longer than any chain of certificates.
const MAX_CHAIN: usize = 1 << 20;

impl Entrance {
    /// Reads what is in files.
    pub(crate) fn open(options: &EntranceOptions) -> Result<Self, Failure> {
        let (source, certificates) = match Source::of(options)? {
            Source::Nowhere => (Source::Nowhere, None),
            Source::Files(files) => {
                let certificates = Certificates::of(files.read()?);
                (Source::Files(files), Some(certificates))
            }
            authority @ Source::Authority(..) => (authority, Some(Certificates::default())),
        };
        let header = match options.proxy_header {
            HeaderName::XForwardedFor => ProxyHeader::XForwardedFor,
            HeaderName::Forwarded => ProxyHeader::Forwarded,
        };
        let proxies = TrustedProxies::new(options.trusted_proxies.clone(), header);
        Ok(Self { certificates, source, proxies, connections: options.max_connections_per_client })
    }

    /// A socket that speaks what was said.
    fn listener(&self, tcp: TcpListener) -> Listener {
        let tls = self.certificates.as_ref().map(Tls::new);
        Listener::from(tcp).with_tls(tls).behind(self.proxies.clone())
    }

    /// Has a public listener answer, until `stop` says so.
    pub(crate) fn serve<H: Handler>(
        &self,
        served: &mut JoinSet<()>,
        tcp: TcpListener,
        limits: Limits,
        handler: Arc<H>,
        stop: &Stop,
    ) {
        served.spawn(kiln_http::serve(self.listener(tcp), limits, handler, stopped(stop.clone())));
    }

    /// These limits, with what was said of clients.
    pub(crate) const fn limits(&self, limits: Limits) -> Limits {
        Limits { max_connections_per_client: self.connections, ..limits }
    }

    /// The URL of a listener: by the first name that it has a certificate for, else by its address.
    pub(crate) fn url_of(&self, tcp: &TcpListener) -> Result<String, Failure> {
        match &self.source {
            Source::Nowhere => listeners::url_of("http", tcp),
            Source::Files(_) => listeners::url_of("https", tcp),
            Source::Authority(options, _) => {
                let name = options.domains.first().map_or("localhost", Domain::as_str);
                Ok(match tcp.local_addr()?.port() {
                    443 => format!("https://{name}"),
                    port => format!("https://{name}:{port}"),
                })
            }
        }
    }

    /// The certificates that are shown, if any.
    pub(crate) const fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// What is wrong with the certificate that is shown today, if something is.
    pub(crate) fn is_out_of_date(&self) -> Option<String> {
        let validity = self.certificates.as_ref()?.validity()?;
        let now = System.unix_time();
        if now > validity.not_after {
            Some(format!("the certificate ended at {}: clients refuse it", date(validity.not_after)))
        } else if now < validity.not_before {
            Some(format!(
                "the certificate begins at {}: clients refuse it until then",
                date(validity.not_before)
            ))
        } else {
            None
        }
    }

    /// Keeps the certificate fresh from now on.
    pub(crate) fn keep_fresh(&self) -> Result<(), Failure> {
        let Some(certificates) = self.certificates.clone() else { return Ok(()) };
        match &self.source {
            Source::Nowhere => {}
            Source::Files(files) => {
                let changes = Changes::of(vec![files.chain.clone(), files.key.clone()])?;
                tokio::spawn(files.clone().follow(changes, certificates.clone()));
            }
            Source::Authority(options, folder) => {
                let acme = Acme::open((**options).clone(), folder.clone(), certificates.clone());
                tokio::spawn(acme.map_err(Failure::undone)?.run(|| System.unix_time()));
            }
        }
        tokio::spawn(warn_of_end(certificates));
        Ok(())
    }
}

impl Source {
    fn of(options: &EntranceOptions) -> Result<Self, Failure> {
        if let (Some(chain), Some(key)) = (&options.tls_cert, &options.tls_key) {
            return Ok(Self::Files(TlsFiles { chain: chain.clone(), key: key.clone() }));
        }
        let (false, Some(cache)) = (options.acme.is_empty(), &options.acme_cache) else {
            return Ok(Self::Nowhere);
        };
        let folder = Folder::open(cache.clone()).map_err(|error| Failure::file(cache, &error))?;
        let directory = options.acme_directory.clone().unwrap_or_else(|| LETS_ENCRYPT.to_owned());
        let (domains, contact) = (options.acme.clone(), options.acme_contact.clone());
        Ok(Self::Authority(Box::new(AcmeOptions { domains, contact, directory }), folder))
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Identity, Failure> {
        let chain = files::read(&self.chain, MAX_CHAIN)?;
        let key = keys::read_text(&self.key)?;
        let identity = Identity::from_pem(&chain, key.as_bytes());
        identity.map_err(|error| Failure::undone(format!("{}: {error}", named(&[&self.chain, &self.key]))))
    }

    /// Shows each new certificate. One that is bad changes nothing: the last good one is better.
    async fn follow(self, mut changes: Changes, certificates: Certificates) {
        loop {
            changes.next().await;
            let files = self.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { continue };
            match read {
                Ok(identity) => {
                    tracing::info!(
                        ends_at = date(identity.validity().not_after),
                        "the certificate was read again"
                    );
                    certificates.replace(identity);
                }
                Err(error) => tracing::error!("the certificate stays as it was: {error}"),
            }
        }
    }
}

/// How often a certificate that ends soon is spoken of.
const WARNINGS: std::time::Duration = std::time::Duration::from_secs(6 * 60 * 60);

/// How long before its end: two weeks, or a quarter of a shorter life.
const WARNED_BEFORE: u64 = 14 * 24 * 60 * 60;

async fn warn_of_end(certificates: Certificates) {
    let mut looks = tokio::time::interval(WARNINGS);
    loop {
        looks.tick().await;
        let Some(validity) = certificates.validity() else { continue };
        let (now, ends_at) = (System.unix_time(), date(validity.not_after));
        let span = validity.not_after.saturating_sub(validity.not_before);
        if now > validity.not_after {
            tracing::error!(ends_at, "the certificate has ended: clients refuse it");
        } else if now < validity.not_before {
            tracing::error!(
                begins_at = date(validity.not_before),
                "the certificate has not begun: clients refuse it"
            );
        } else if validity.not_after - now < WARNED_BEFORE.min(span / 4) {
            tracing::warn!(ends_at, "the certificate ends soon");
        }
    }
}

fn date(unix_time: u64) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(unix_time));
    // Certificates without an end have 9999-12-31, which is the last that can be written.
    time.map_or_else(String::new, |time| humantime::format_rfc3339_seconds(time).to_string())
}
