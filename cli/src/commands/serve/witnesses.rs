//! The witnesses that a log has its checkpoints cosigned by.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_client::{ApiClient, HttpAnswer};
use kiln_sequencer::{
    MAX_WITNESS_ANSWER, WitnessAnswer, WitnessClient, WitnessError, WitnessMode, WitnessOptions,
    WitnessSetupError, Witnesses,
};
use kiln_tiles::{KeyName, Note, VerifierKey};

use crate::failure::Failure;
use crate::quantity::parse_span;
use crate::reading;
use crate::trust::read_policy;

/// Which witnesses are asked, and what is done without them.
#[derive(clap::Args, Clone, Debug)]
pub(in crate::commands) struct WitnessArgs {
    /// Have each checkpoint cosigned by the witnesses of this tlog-policy file, at their URLs, and publish it when its
    /// quorum is met.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What to do where too few witnesses cosign in time.
    #[arg(long, value_name = "MODE", default_value = "require", requires = "policy")]
    witness_mode: Mode,
    /// How long a round waits for the quorum.
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = parse_span, requires = "policy")]
    witness_timeout: Duration,
    /// Have the published checkpoint cosigned anew after this time without a round.
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span, requires = "policy")]
    republish: Duration,
}

/// What is done where too few witnesses cosign in time.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// Publish nothing until the quorum is met; submissions wait, and are refused when there is no more room.
    Require,
    /// Publish without them, and add their lines when they come.
    Prefer,
}

impl WitnessArgs {
    /// Checks the policy for a log of which no more than its origin is known.
    pub(super) fn check(&self, origin: Option<&KeyName>) -> Result<(), Failure> {
        let Some(path) = &self.policy else { return Ok(()) };
        let policy = read_policy(path)?;
        match origin {
            Some(origin)
                if !policy.logs().is_empty() && !policy.logs().iter().any(|log| log.key.name() == origin) =>
            {
                let error = format!("the policy names logs, and {origin} is none of them");
                Err(Failure::usage(error).at(&path.display().to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The file of the policy.
    pub(super) fn policy(&self) -> Option<&Path> {
        self.policy.as_deref()
    }

    /// The witnesses of the policy for the log of this key; `None` without a policy, or with one that asks for nobody and
    /// names nobody who could be asked.
    pub(in crate::commands) fn open(&self, vkey: &VerifierKey) -> Result<Option<Witnesses>, Failure> {
        let Some(path) = &self.policy else { return Ok(None) };
        let policy = read_policy(path)?;
        let at =
            |error: &dyn std::fmt::Display| Failure::usage(error.to_string()).at(&path.display().to_string());
        if !policy.logs().is_empty() && !policy.logs().iter().any(|log| log.key == *vkey) {
            return Err(at(&format_args!("the policy names logs, and {vkey} is none of them")));
        }
        let options = WitnessOptions {
            mode: match self.witness_mode {
                Mode::Require => WitnessMode::Require,
                Mode::Prefer => WitnessMode::Prefer,
            },
            patience: self.witness_timeout,
            refresh: self.republish,
        };
        let connect = |url: &str| HttpWitness::open(url, options.longest()).map_err(|error| at(&error));
        let witnesses = Witnesses::new(policy.quorum().clone(), options, |url| connect(url).map_err(Setup));
        witnesses.map(Some).map_err(|Setup(failure)| failure)
    }
}

/// A failure, of which the sequencer knows one kind.
struct Setup(Failure);

impl From<WitnessSetupError> for Setup {
    fn from(error: WitnessSetupError) -> Self {
        Self(Failure::usage(error))
    }
}

/// A witness behind a URL. It is asked once each time: who asks knows better what to send the next time.
#[derive(Debug)]
struct HttpWitness(ApiClient);

impl HttpWitness {
    fn open(url: &str, longest: Duration) -> Result<Box<dyn WitnessClient>, kiln_client::HttpSetupError> {
        let options = reading::http_options().retries(0).timeout(longest);
        Ok(Box::new(Self(ApiClient::new(url.trim_end_matches('/'), options)?)))
    }
}

fn answered(answer: &HttpAnswer) -> WitnessAnswer {
    WitnessAnswer { status: answer.status(), body: answer.body().clone() }
}

impl WitnessClient for HttpWitness {
    fn add_checkpoint(&self, body: String) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>> {
        Box::pin(async {
            let answer = self.0.post_text("add-checkpoint", body, MAX_WITNESS_ANSWER).await?;
            Ok(answered(&answer))
        })
    }

    fn checkpoint(&self, origin_hash: String) -> BoxFuture<'_, Result<Option<Bytes>, WitnessError>> {
        Box::pin(async move {
            let answer = self.0.get(&format!("{origin_hash}/checkpoint"), Note::MAX_SIZE).await?;
            match answer.status() {
                200 => Ok(Some(answer.body().clone())),
                404 => Ok(None),
                _ => Err(answer.refusal().into()),
            }
        })
    }
}
