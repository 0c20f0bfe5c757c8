//! Which Rekor logs are believed: one by its key, or those of a trusted root.

use std::path::PathBuf;

use kiln_rekor::{KeyKind, LogId, RekorLog, TrustedRoot};
use kiln_tiles::VerifierKey;

use crate::failure::Failure;
use crate::files;
use crate::trust::{given_vkey, parse_vkey};

/// What a Rekor log is believed by.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RekorTrustArgs {
    /// The log's verifier key, `name+hash+key`; or set KILN_VKEY.
    #[arg(long, value_name = "VKEY", value_parser = parse_vkey)]
    vkey: Option<VerifierKey>,
    /// Believe the logs in this trusted root, which `kiln rekor trust-config` writes, and Sigstore.
    #[arg(long, value_name = "FILE", conflicts_with = "vkey")]
    trusted_root: Option<PathBuf>,
}

/// The logs that are believed.
#[derive(Debug)]
pub(super) enum Trust {
    Key(RekorLog),
    Root(TrustedRoot),
}

/// Longer than any trusted root.
const MAX_ROOT: usize = 16 << 20;

impl RekorTrustArgs {
    pub(super) fn open(&self) -> Result<Trust, Failure> {
        if let Some(path) = &self.trusted_root {
            let root = TrustedRoot::parse(&files::read(path, MAX_ROOT)?);
            let unusable = |error| Failure::usage(format!("{}: no trusted root: {error}", path.display()));
            return root.map(Trust::Root).map_err(unusable);
        }
        let vkey = given_vkey(self.vkey.as_ref())?.ok_or_else(|| {
            Failure::usage("nothing to verify the log by: give --trusted-root or --vkey, or set KILN_VKEY")
        })?;
        let log = RekorLog::of(&vkey);
        log.map(Trust::Key)
            .ok_or_else(|| Failure::usage(format!("Rekor logs have no keys of the type of {vkey}")))
    }
}

impl Trust {
    /// The log with this ID; `None` where it is not believed.
    pub(super) fn log(&self, id: LogId) -> Result<Option<RekorLog>, Failure> {
        match self {
            Self::Key(log) => Ok(Some(log.clone()).filter(|log| log.id() == id)),
            Self::Root(root) => {
                let log = root.rekor_log(id).map(|log| {
                    log.to_rekor_log().map_err(|error| {
                        let url = &log.base_url;
                        Failure::undone(format!(
                            "log: {url} in the trusted root is not verified here: {error}"
                        ))
                    })
                });
                log.transpose()
            }
        }
    }

    /// The one log that is believed, or else the one on this host.
    pub(super) fn log_at(&self, host: &str) -> Option<RekorLog> {
        match self {
            Self::Key(log) => Some(log.clone()),
            Self::Root(root) => {
                let mut logs: Vec<RekorLog> =
                    root.tlogs.iter().filter_map(|log| log.to_rekor_log().ok()).collect();
                if logs.len() > 1 {
                    logs.retain(|log| log.origin().as_str() == host);
                }
                logs.pop()
            }
        }
    }

    /// In words, why a log is not believed.
    pub(super) fn stranger(&self, id: LogId) -> String {
        match self {
            Self::Key(log) => {
                format!(
                    "the entry is of the log {id}, and the given key is that of {} ({})",
                    log.origin(),
                    log.id()
                )
            }
            Self::Root(_) => format!("the entry is of the log {id}, which the trusted root does not have"),
        }
    }
}

/// The verifier key of a log, of the types that logs of Kiln's have.
pub(super) fn vkey_of(log: &RekorLog) -> Option<VerifierKey> {
    if log.key().public_key().kind() != KeyKind::EcdsaP256 {
        return log.key().verifier_key(log.origin());
    }
    let typed = [&[0x02], log.key().spki_der()].concat();
    VerifierKey::from_typed_bytes(log.origin().clone(), &typed).ok()
}
