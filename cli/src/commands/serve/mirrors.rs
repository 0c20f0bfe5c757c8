//! The mirrors that a log pushes to.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use kiln_client::{ApiClient, HttpAnswer};
use kiln_sequencer::{
    MAX_MIRROR_ANSWER, MAX_WITNESS_ANSWER, Mirror, MirrorClient, Sequencer, WitnessAnswer, WitnessError,
};
use kiln_storage::{Register, Store};
use kiln_tiles::VerifierKey;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::keyed::Keyed;
use crate::quantity::parse_span;
use crate::reading;
use crate::signals::Stop;
use crate::trust::read_policy;

/// Which mirrors are pushed to.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct MirrorArgs {
    /// Push what is published to this mirror, or to those of a tlog-policy file: its witnesses that have a URL there.
    /// Give a mirror once for each of its keys. What it signs is published as that of a late witness.
    #[arg(long, value_name = "VKEY=URL|FILE")]
    mirror: Vec<Keyed>,
    /// Have mirrors sign the published checkpoint anew after this time without a round.
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span, requires = "mirror")]
    mirror_refresh: Duration,
}

/// A mirror that is named: what it is called, its key, and where it is.
type Named = (String, VerifierKey, String);

/// A mirror by its URL, with its name and all of its keys.
type Address = (String, String, Vec<VerifierKey>);

/// How long a request may take: 4 MiB of entries over a slow line.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Mirrors that were named, each by its URL and with all of its keys.
pub(super) struct Mirrors {
    mirrors: Vec<Mirror>,
    refresh: Duration,
}

impl Mirrors {
    /// Pushes beside the sequencer until `stop` says so.
    pub(super) fn start<S: Store, G: Register>(
        self,
        beside: &mut JoinSet<()>,
        sequencer: &Sequencer<S, G>,
        stop: &Stop,
    ) {
        if !self.mirrors.is_empty() {
            // Whatever it is doing when it ends is begun again.
            beside.spawn(sequencer.pusher(self.mirrors, self.refresh).run(stop.clone()));
        }
    }
}

impl MirrorArgs {
    /// The policy files that name some of them.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Path> {
        self.mirror.iter().filter_map(|named| match named {
            Keyed::File(path) => Some(Path::new(path)),
            Keyed::Key(..) => None,
        })
    }

    /// The mirrors: keys with the same URL are of one.
    pub(super) fn open(&self) -> Result<Mirrors, Failure> {
        let mut mirrors: Vec<Address> = Vec::new();
        for (name, key, url) in self.named()? {
            let url = url.trim_end_matches('/').to_owned();
            match mirrors.iter_mut().find(|(known, ..)| *known == url) {
                Some((_, _, keys)) => keys.push(key),
                None => mirrors.push((url, name, vec![key])),
            }
        }
        let open = |(url, name, keys): Address| {
            let client = HttpMirror::open(&url).map_err(|error| Failure::usage(error).at(&url))?;
            Ok::<_, Failure>(Mirror::new(name, keys, Box::new(client)))
        };
        let mirrors = mirrors.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Mirrors { mirrors, refresh: self.mirror_refresh })
    }

    fn named(&self) -> Result<Vec<Named>, Failure> {
        let mut named = Vec::new();
        for mirror in &self.mirror {
            match mirror {
                Keyed::Key(key, url) => {
                    named.push((key.name().to_string(), (**key).clone(), url.clone()));
                }
                Keyed::File(path) => named.extend(of_policy(path)?),
            }
        }
        Ok(named)
    }
}

fn of_policy(path: &str) -> Result<Vec<Named>, Failure> {
    let policy = read_policy(Path::new(path))?;
    let mut named = Vec::new();
    for witness in policy.quorum().witnesses() {
        let Some(url) = &witness.url else { continue };
        let not_text = || Failure::usage(format!("the URL of {} is not UTF-8", witness.name)).at(path);
        let url = url.as_str().ok_or_else(not_text)?;
        named.push((witness.name.to_string(), witness.key.clone(), url.to_owned()));
    }
    if named.is_empty() {
        return Err(
            Failure::usage("no witness of this policy has a URL: mirrors are pushed to there").at(path)
        );
    }
    Ok(named)
}

/// A mirror behind a URL. It is asked once each time: who asks knows better what to send the next time.
#[derive(Debug)]
struct HttpMirror(ApiClient);

impl HttpMirror {
    fn open(url: &str) -> Result<Self, kiln_client::HttpSetupError> {
        let options = reading::http_options().retries(0).timeout(TIMEOUT);
        Ok(Self(ApiClient::new(url, options)?))
    }
}

fn answered(answer: &HttpAnswer) -> WitnessAnswer {
    WitnessAnswer { status: answer.status(), body: answer.body().clone() }
}

impl MirrorClient for HttpMirror {
    fn add_checkpoint(&self, body: String) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>> {
        Box::pin(async { Ok(answered(&self.0.post_text("add-checkpoint", body, MAX_WITNESS_ANSWER).await?)) })
    }

    fn add_entries(&self, body: Bytes) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>> {
        Box::pin(async move {
            // Up to 4 MiB, which takes some milliseconds.
            let body = tokio::task::spawn_blocking(move || compressed(&body)).await??;
            Ok(answered(&self.0.post_gzip("add-entries", body, MAX_MIRROR_ANSWER).await?))
        })
    }
}

/// Fast rather than small: hashes and signatures do not get shorter.
fn compressed(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}
