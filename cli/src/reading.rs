//! Opening a `LOG`: what readers see of a log, at a URL or in a folder, and what it is believed by.

use std::path::{Path, PathBuf};

use kiln_client::{AnySource, Client, ClientError, FolderSource, HttpOptions, HttpSource, Source};
use kiln_http::Uri;
use kiln_storage::bucket::BucketUrl;
use kiln_tiles::{Hash, Note, Quorum, TrustedLog, VerifierKey};
use serde_json::Value;

use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::guard::state_folder;
use crate::keys;
use crate::output::Output;
use crate::store::{FolderStore, StorePlace, open_bucket};
use crate::trust::{Trust, TrustArgs, no_logs};

/// A log to be read, and what it is trusted by.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// The log: an http(s):// URL, a folder that holds `checkpoint` and `tile/`, or a store: a folder,
    /// s3://, gs:// or az://.
    #[arg(value_name = "LOG")]
    pub(crate) log: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// Take the key that the log names itself, and remember it for this LOG. Proves nothing: only
    /// for looking around.
    #[arg(long, conflicts_with_all = ["vkey", "policy"])]
    insecure_trust_on_first_use: bool,
    /// Keep verified tiles, and the newest checkpoint seen, in this folder: with it a log that goes
    /// back or forks between two runs is noticed. Or set KILN_CACHE.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
}

impl LogArgs {
    /// A client of the log. It has read no entry of it yet.
    pub(crate) async fn open(&self, output: &Output) -> Result<Client<AnySource>, Failure> {
        self.open_at(&self.log, output).await
    }

    /// The same for a log that is read at another place than `LOG`.
    pub(crate) async fn open_at(&self, place: &str, output: &Output) -> Result<Client<AnySource>, Failure> {
        let source = source(place)?;
        let log = self.trusted(&source, output).await?;
        Ok(self.client(source, log))
    }

    /// A client that believes the log's signature alone, and the quorum of witnesses that is to be asked for.
    pub(crate) async fn open_and_judge(
        &self,
        output: &Output,
    ) -> Result<(Client<AnySource>, Quorum), Failure> {
        let source = source(&self.log)?;
        let log = self.trusted(&source, output).await?;
        Ok((self.client(source, log.without_quorum()), log.quorum().clone()))
    }

    fn client(&self, source: AnySource, log: TrustedLog) -> Client<AnySource> {
        let builder = Client::builder(source, log);
        let variable =
            || std::env::var_os("KILN_CACHE").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        match self.cache.clone().or_else(variable) {
            Some(cache) => builder.disk_cache(cache).build(),
            None => builder.build(),
        }
    }

    /// What the log is believed by: what a person gave, else the key of a store of one's own, else the key that it
    /// named itself, if that was asked for.
    async fn trusted(&self, source: &AnySource, output: &Output) -> Result<TrustedLog, Failure> {
        if let Some(trust) = self.trust.given()? {
            return self.by(&trust, source).await;
        }
        if let Some(vkey) = own_vkey(&self.log)? {
            return Ok(vkey.into());
        }
        if self.insecure_trust_on_first_use {
            let vkey = trust_on_first_use(&self.log, source).await?;
            output.note(format_args!(
                "INSECURE: trusting {vkey} because {} said so when it was first used here; nothing below is proved",
                self.log
            ));
            return Ok(vkey.into());
        }
        Err(Failure::usage(
            "no key or policy to verify this log by: give --vkey or --policy, or set KILN_VKEY or KILN_POLICY (who runs \
             the log publishes its key). To look around only: --insecure-trust-on-first-use",
        ))
    }

    /// The log that is believed here: of several, the one whose checkpoint this is.
    async fn by(&self, trust: &Trust, source: &AnySource) -> Result<TrustedLog, Failure> {
        match trust {
            Trust::Policy(policy) if policy.logs().is_empty() => {
                // Witnesses alone: a log of one's own is known without it.
                let own = own_vkey(&self.log)?.ok_or_else(no_logs)?;
                Ok(TrustedLog::from(own).with_quorum(policy.quorum().clone()))
            }
            trust => match trust.only_log() {
                Some(log) => Ok(log),
                None => trust.log_of(&read_checkpoint(source).await?),
            },
        }
    }
}

/// The checkpoint that a source has, not verified.
pub(crate) async fn read_checkpoint(source: &AnySource) -> Result<Note, Failure> {
    let read = source.fetch("checkpoint", Note::MAX_SIZE).await;
    let read = read.map_err(|error| Failure::undone(format!("checkpoint: {error}")))?;
    let bytes = read.ok_or_else(|| Failure::from(ClientError::NoCheckpoint))?;
    Note::parse(&bytes).map_err(|error| Failure::bad(format!("checkpoint: {error}")))
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

/// Nobody waits longer to be told that a name may be mistyped.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// Sees to it that a key is the one of the log in a store of one's own, as far as that has published what can be read: a key
/// without a name of its own would be another log's under another name.
pub(crate) async fn check_is_key_of(store: &StorePlace, vkey: &VerifierKey) -> Result<(), Failure> {
    let Ok(source) = store.source() else { return Ok(()) };
    let read = tokio::time::timeout(PATIENCE, source.fetch("checkpoint", Note::MAX_SIZE)).await;
    let Ok(Ok(Some(bytes))) = read else { return Ok(()) };
    check_signed_by(store, &bytes, vkey)
}

/// The same of a checkpoint that was read. One that is damaged is for others to speak of.
pub(crate) fn check_signed_by(store: &StorePlace, bytes: &[u8], vkey: &VerifierKey) -> Result<(), Failure> {
    match Note::parse(bytes) {
        Ok(note) if note.verify(std::slice::from_ref(vkey)).is_err() => Err(Failure::usage(format!(
            "{store} holds the log {:?}, whose checkpoint this key did not sign, as {:?}: give the key that it was made with, \
             and its --origin where the key has no name of its own",
            note.unverified_origin(),
            vkey.name().as_str()
        ))),
        _ => Ok(()),
    }
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
