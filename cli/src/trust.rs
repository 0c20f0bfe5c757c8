//! What a log is believed by: its key, or a policy that names logs and witnesses. All commands ask here.

use std::path::{Path, PathBuf};

use kiln_tiles::{Note, ParseVerifierKeyError, Policy, TrustedLog, VerifierKey};

use crate::environment;
use crate::failure::Failure;
use crate::files;

/// What a log is believed by.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrustArgs {
    /// The log's verifier key, `name+hash+key`; or set KILN_VKEY. A store folder of one's own supplies it.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
    /// A policy instead: a file that says which logs are believed, and which witnesses must have cosigned
    /// (c2sp.org/tlog-policy, see `kiln policy check`); or set KILN_POLICY.
    #[arg(long, value_name = "FILE", conflicts_with = "vkey")]
    policy: Option<PathBuf>,
}

/// Which logs are believed.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// The one with this key.
    Key(Box<VerifierKey>),
    /// Those of a policy, where their witnesses have cosigned.
    Policy(Box<Policy>),
}

const VKEY: &str = "KILN_VKEY";
const POLICY: &str = "KILN_POLICY";

impl TrustArgs {
    /// What a person gave: the option, else what the environment says; `None` where it is neither.
    pub(crate) fn given(&self) -> Result<Option<Trust>, Failure> {
        match (&self.vkey, &self.policy) {
            (Some(vkey), _) => Ok(Some(Trust::Key(Box::new(vkey.clone())))),
            (None, Some(path)) => read_policy(path).map(Trust::from).map(Some),
            (None, None) => by_environment(),
        }
    }
}

fn by_environment() -> Result<Option<Trust>, Failure> {
    let Some(path) = environment::variable(POLICY) else {
        return Ok(given_vkey(None)?.map(|vkey| Trust::Key(Box::new(vkey))));
    };
    if environment::variable(VKEY).is_some() {
        return Err(Failure::usage(format!(
            "{VKEY} and {POLICY} are both set, and each says whom to believe: unset one, or give --vkey or --policy"
        )));
    }
    read_policy(Path::new(&path)).map(Trust::from).map(Some)
}

impl From<Policy> for Trust {
    fn from(policy: Policy) -> Self {
        Self::Policy(Box::new(policy))
    }
}

impl Trust {
    /// The log that a note says it is of, which is not verified yet, if it is believed. A log of a key is: its note
    /// is then seen not to be signed by it.
    pub(crate) fn log_of(&self, note: &Note) -> Result<TrustedLog, Failure> {
        match self {
            Self::Key(vkey) => Ok((**vkey).clone().into()),
            Self::Policy(policy) => policy.trusted_log_of(note).ok_or_else(|| stranger(policy, note)),
        }
    }

    /// The log that is believed, where there is no choice between several.
    pub(crate) fn only_log(&self) -> Option<TrustedLog> {
        match self {
            Self::Key(vkey) => Some((**vkey).clone().into()),
            Self::Policy(policy) => {
                let [first, others @ ..] = &origins(policy)[..] else { return None };
                others.is_empty().then(|| policy.trusted_log(first)).flatten()
            }
        }
    }
}

/// The origins of the logs of a policy, each once.
fn origins(policy: &Policy) -> Vec<&str> {
    let mut origins: Vec<&str> = policy.logs().iter().map(|log| log.key.name().as_str()).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

/// A log that the policy does not have is as bad as one that another key signed for.
fn stranger(policy: &Policy, note: &Note) -> Failure {
    const MOST: usize = 8;
    let (origin, known) = (note.unverified_origin(), origins(policy));
    let named = known.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    match known.len() {
        0 => no_logs(),
        1..=MOST => {
            Failure::bad(format!("checkpoint: it is of the log {origin:?}; those of the policy are {named}"))
        }
        all => Failure::bad(format!(
            "checkpoint: it is of the log {origin:?}; those of the policy are {named} and {} more",
            all - MOST
        )),
    }
}

/// The specification allows it, for who knows the log from elsewhere.
pub(crate) fn no_logs() -> Failure {
    Failure::usage("the policy names no log, but witnesses alone: add a line `log VKEY`")
}

/// Reads a policy, and says where it is wrong.
pub(crate) fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let bytes = files::read(path, Policy::MAX_SIZE)?;
    Policy::parse(&bytes).map_err(|error| Failure::usage(error).at(&path.display().to_string()))
}

/// A verifier key as it is pasted, or read from a file: with white space around it.
pub(crate) fn parse_vkey(text: &str) -> Result<VerifierKey, ParseVerifierKeyError> {
    text.trim().parse()
}

/// The verifier key that a person gave: that of the option, else that of the environment.
pub(crate) fn given_vkey(option: Option<&VerifierKey>) -> Result<Option<VerifierKey>, Failure> {
    match (option, environment::variable(VKEY)) {
        (Some(vkey), _) => Ok(Some(vkey.clone())),
        (None, Some(text)) => {
            parse_vkey(&text).map(Some).map_err(|error| Failure::usage(format!("{VKEY}: {error}")))
        }
        (None, None) => Ok(None),
    }
}
