//! A log that speaks Rekor's API.

use kiln_rekor::{KeyDetails, Policy};
use kiln_rekor_server::{OnDuplicate, RekorOptions};
use kiln_tiles::KeyName;

use super::words::Api;
use crate::addresses::ServerUrl;
use crate::failure::Failure;
use crate::reading::host_of;

/// Whether and how the log speaks Rekor's API.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Rekor")]
pub(super) struct RekorArgs {
    /// Speak Rekor's API, version 2, below /api/v2, and take no entries but by it. The log's origin is
    /// then the bare host name of its URL.
    #[arg(long)]
    rekor: bool,
    /// What is answered to who submits an entry that the log has already.
    #[arg(long, requires = "rekor", value_name = "WHAT", default_value = "return")]
    on_duplicate: WhenKnown,
    /// Take `dsse` entries too, which sigstore-js sends and rekor-tiles takes no longer.
    #[arg(long, requires = "rekor")]
    accept_dsse: bool,
    /// Do not say in `details` of an error what was wrong, just as rekor-tiles does.
    #[arg(long, requires = "rekor")]
    strict_compat: bool,
    /// Take signatures of these algorithms alone [default: all that a Rekor log may take].
    #[arg(long, requires = "rekor", value_name = "ALGORITHM", value_delimiter = ',', value_parser = algorithms())]
    client_signing_algorithms: Vec<String>,
    /// Leave the lines of witnesses, and of the log's second key, out of the checkpoints in Rekor's answers.
    #[arg(long, requires = "rekor")]
    rekor_slim_checkpoint: bool,
    /// The longest body of a request.
    #[arg(long, requires = "rekor", value_name = "BYTES", default_value = "4MiB", value_parser = crate::quantity::parse_bytes)]
    max_request_body_size: usize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum WhenKnown {
    /// The entry, with a fresh proof.
    Return,
    /// 409 with the index, as rekor-tiles does; most clients fail then.
    Conflict,
}

fn algorithms() -> impl clap::builder::TypedValueParser<Value = String> {
    clap::builder::PossibleValuesParser::new(
        KeyDetails::ACCEPTED.into_iter().filter_map(KeyDetails::flag_name),
    )
}

impl RekorArgs {
    /// Where entries are submitted, for who tries elsewhere.
    pub(super) const HINT: &str = "Rekor's clients submit to /api/v2/log/entries";

    pub(super) const fn is_on(&self) -> bool {
        self.rekor
    }

    /// How the log takes entries.
    pub(super) const fn api(&self) -> Api {
        if self.rekor { Api::Rekor } else { Api::Raw }
    }

    /// The options of the API; `None` where the log does not speak it.
    pub(super) fn options(&self) -> Option<RekorOptions> {
        self.rekor.then(|| RekorOptions {
            policy: self.policy(),
            on_duplicate: match self.on_duplicate {
                WhenKnown::Return => OnDuplicate::Return,
                WhenKnown::Conflict => OnDuplicate::Conflict,
            },
            reasons: !self.strict_compat,
            slim_checkpoint: self.rekor_slim_checkpoint,
            body_bytes: self.max_request_body_size,
            ..RekorOptions::default()
        })
    }

    fn policy(&self) -> Policy {
        let policy = if self.accept_dsse { Policy::default().with_dsse() } else { Policy::default() };
        if self.client_signing_algorithms.is_empty() {
            return policy;
        }
        let asked = |details: &KeyDetails| {
            details
                .flag_name()
                .is_some_and(|name| self.client_signing_algorithms.iter().any(|asked| asked == name))
        };
        let narrowed: Vec<_> = KeyDetails::ACCEPTED.into_iter().filter(asked).collect();
        policy.narrowed_to(&narrowed).expect("a part of what is accepted")
    }

    /// Checks the name of a log that speaks Rekor's API, and the URL under which others reach it.
    pub(super) fn check(&self, origin: &KeyName, url: Option<&ServerUrl>) -> Result<(), Failure> {
        if !self.rekor {
            return Ok(());
        }
        let host = origin.as_str();
        if !is_host(host) {
            return Err(Failure::usage(format!(
                "--rekor: the log's origin is {origin}, and no Sigstore client would verify it: they look for the bare \
                 host name of the log's URL, without port and path. An origin is for ever, so make another log, \
                 on a host of its own: --origin rekor.example.com"
            )));
        }
        match url.and_then(|url| host_of(url.as_str())) {
            Some(of_url) if of_url != host => Err(Failure::usage(format!(
                "--rekor: the log's origin is {host}, but the host of --url is {of_url}: Sigstore's clients \
                 verify checkpoints by the host of the log's URL, and would refuse these"
            ))),
            _ => Ok(()),
        }
    }

    /// The origin of a log that is to be made, where none was given: the host of its URL.
    pub(super) fn origin(&self, url: &str) -> Option<KeyName> {
        self.rekor.then(|| host_of(url)?.parse().ok())?
    }
}

/// Whether a name is one that a URL can have for a host.
fn is_host(name: &str) -> bool {
    host_of(&format!("https://{name}/")).as_deref() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str, url: Option<&str>) -> bool {
        let args = RekorArgs {
            rekor: true,
            on_duplicate: WhenKnown::Return,
            accept_dsse: false,
            rekor_slim_checkpoint: false,
            strict_compat: false,
            client_signing_algorithms: Vec::new(),
            max_request_body_size: 0,
        };
        args.check(&origin.parse().unwrap(), url.map(|url| url.parse().unwrap()).as_ref()).is_ok()
    }

    #[test]
    fn an_origin_is_the_host_of_the_url() {
        for (origin, url) in [
            ("rekor.example.com", None),
            ("rekor.example.com", Some("https://rekor.example.com")),
            ("rekor.example.com", Some("https://rekor.example.com:8443/some/path")),
            ("127.0.0.1", Some("http://127.0.0.1:3000")),
            ("localhost", None),
        ] {
            assert!(check(origin, url), "{origin} {url:?}");
        }
        for (origin, url) in [
            ("rekor.example.com/2026", None),
            ("rekor.example.com:8080", None),
            ("user@rekor.example.com", None),
            ("rekor.example.com", Some("https://example.com/rekor")),
        ] {
            assert!(!check(origin, url), "{origin} {url:?}");
        }
    }
}
