//! Opening a `LOG`: what readers see of a log, at a URL or in a folder, and the key to verify it by.

use std::path::{Path, PathBuf};

use kiln_client::{AnySource, Client, FolderSource, HttpOptions, HttpSource, Source};
use kiln_http::Uri;
use kiln_storage::bucket::BucketUrl;
use kiln_tiles::{Hash, ParseVerifierKeyError, TrustedLog, VerifierKey};
use serde_json::Value;

use crate::environment;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::guard::state_folder;
use crate::keys;
use crate::output::Output;
use crate::store::{FolderStore, open_bucket};

/// A log to be read, and what it is trusted by.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// The log: an http(s):// URL, a folder that holds `checkpoint` and `tile/`, or a store: a folder,
    /// s3://, gs:// or az://.
    #[arg(value_name = "LOG")]
    pub(crate) log: String,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Keep verified tiles, and the newest checkpoint seen, in this folder: with it a log that goes
    /// back or forks between two runs is noticed. Or set KILN_CACHE.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
}

/// The key that a log is trusted by.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrustArgs {
    /// The log's verifier key, `name+hash+key`; or set KILN_VKEY. A store folder of one's own supplies it.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
    /// Take the key that the log names itself, and remember it for this LOG. Proves nothing: only
    /// for looking around.
    #[arg(long, conflicts_with = "vkey")]
    insecure_trust_on_first_use: bool,
}

impl LogArgs {
    /// A client of the log. It has read nothing of it yet.
    pub(crate) async fn open(&self, output: &Output) -> Result<Client<AnySource>, Failure> {
        self.open_at(&self.log, output).await
    }

    /// The same for a log that is read at another place than `LOG`.
    pub(crate) async fn open_at(&self, place: &str, output: &Output) -> Result<Client<AnySource>, Failure> {
        let source = source(place)?;
        let vkey = self.vkey(&source, output).await?;
        let mut builder = Client::builder(source, TrustedLog::from(vkey));
        let variable =
            || std::env::var_os("KILN_CACHE").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        if let Some(cache) = self.cache.clone().or_else(variable) {
            builder = builder.disk_cache(cache);
        }
        Ok(builder.build())
    }

    async fn vkey(&self, source: &AnySource, output: &Output) -> Result<VerifierKey, Failure> {
        if let Some(vkey) = given_vkey(self.trust.vkey.as_ref())? {
            return Ok(vkey);
        }
        if let Some(vkey) = own_vkey(&self.log)? {
            return Ok(vkey);
        }
        if self.trust.insecure_trust_on_first_use {
            let vkey = trust_on_first_use(&self.log, source).await?;
            output.note(format_args!(
                "INSECURE: trusting {vkey} because {} said so when it was first used here; nothing below is proved",
                self.log
            ));
            return Ok(vkey);
        }
        Err(Failure::usage(
            "no key to verify this log by: give --vkey or set KILN_VKEY (who runs the log publishes it). \
             To look around only: --insecure-trust-on-first-use",
        ))
    }
}

/// A verifier key as it is pasted, or read from a file: with white space around it.
pub(crate) fn parse_vkey(text: &str) -> Result<VerifierKey, ParseVerifierKeyError> {
    text.trim().parse()
}

/// The verifier key that a person gave: that of the option, else that of the environment.
pub(crate) fn given_vkey(option: Option<&VerifierKey>) -> Result<Option<VerifierKey>, Failure> {
    const VARIABLE: &str = "KILN_VKEY";
    match (option, environment::variable(VARIABLE)) {
        (Some(vkey), _) => Ok(Some(vkey.clone())),
        (None, Some(text)) => {
            parse_vkey(&text).map(Some).map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))
        }
        (None, None) => Ok(None),
    }
}

pub(crate) fn is_url(log: &str) -> bool {
    log.contains("://")
}

/// The host of a URL, without port; an IPv6 address without brackets, as Go has it.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned())
}

/// Whether it looks like a URL without its beginning: `host:port`, and maybe a path.
fn is_address(log: &str) -> bool {
    let authority = log.split('/').next().unwrap_or_default();
    authority.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// How all commands ask over HTTP.
pub(crate) fn http_options() -> HttpOptions {
    HttpOptions::default().user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
}

/// Where the log's resources come from. Of a folder with no log in it nothing can be said.
pub(crate) fn source(log: &str) -> Result<AnySource, Failure> {
    if let Ok(url) = log.parse::<BucketUrl>() {
        return Ok(AnySource::bucket(open_bucket(&url)?));
    }
    if is_url(log) {
        return Ok(AnySource::Http(Box::new(HttpSource::with_options(log, http_options())?)));
    }
    let folder = Path::new(log);
    let holds = |name: &str| folder.join(name).exists();
    if !folder.is_dir() {
        let hint = if is_address(log) {
            format!("; a log behind an address is http://{log}")
        } else {
            String::new()
        };
        return Err(Failure::undone(format!("{log}: no such folder{hint}")));
    }
    if !["checkpoint", "tile", "public/checkpoint", "public/tile"].into_iter().any(holds) {
        return Err(Failure::undone(format!("{log}: no log here, neither checkpoint nor tile/")));
    }
    // A store that lost its checkpoint is still one.
    let folder = if holds("public/tile") { folder.join("public") } else { folder.to_owned() };
    Ok(AnySource::Folder(FolderSource::new(folder)))
}

/// The key of a store folder of one's own.
fn own_vkey(log: &str) -> Result<Option<VerifierKey>, Failure> {
    if is_url(log) {
        return Ok(None);
    }
    let key = FolderStore::at(Path::new(log)).key_path();
    if !key.is_file() {
        return Ok(None);
    }
    Ok(Some(keys::read(&key)?.named(None)?.verifier_key()))
}

/// What a log says of itself: `log.json`. Nothing vouches for any of it.
#[derive(Debug, Default)]
pub(crate) struct SelfDescription(Value);

/// Far longer than any.
const MAX_DESCRIPTION: usize = 1 << 20;

impl SelfDescription {
    pub(crate) async fn read(source: &AnySource) -> Result<Self, Failure> {
        let read = source.fetch("log.json", MAX_DESCRIPTION).await;
        let bytes = read.map_err(|error| Failure::undone(format!("log.json: {error}")))?;
        let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self(value.unwrap_or_default()))
    }

    pub(crate) fn read_url(&self) -> Option<&str> {
        self.0["read_url"].as_str()
    }

    pub(crate) fn submission_url(&self) -> Option<&str> {
        self.0["submission_url"].as_str()
    }

    fn vkey(&self) -> Option<VerifierKey> {
        self.0["vkeys"][0].as_str()?.parse().ok()
    }
}

/// The key that this log named when it was first used on this machine, or names now.
async fn trust_on_first_use(log: &str, source: &AnySource) -> Result<VerifierKey, Failure> {
    let folder = state_folder()?.join("first-use");
    let place = if is_url(log) { log.into() } else { Path::new(log).canonicalize()? };
    let path = folder.join(Hash::leaf(place.as_os_str().as_encoded_bytes()).to_hex());
    if let Ok(remembered) = std::fs::read_to_string(&path) {
        let malformed = |_| Failure::undone(format!("{}: not a vkey", path.display()));
        return remembered.trim_end().parse().map_err(malformed);
    }
    let vkey = SelfDescription::read(source).await?.vkey();
    let vkey = vkey.ok_or_else(|| Failure::undone(format!("{log} names no key of its own in log.json")))?;
    let kept = std::fs::create_dir_all(&folder)
        .and_then(|()| files::create(&path, format!("{vkey}\n").as_bytes(), Readers::Usual));
    kept.map_err(|error| Failure::file(&path, &error))?;
    Ok(vkey)
}
