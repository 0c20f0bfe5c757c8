//! What can be seen to be wrong with a log before it runs, in the files that its flags name.

use kiln_tiles::{KeyName, VerifierKey};

use super::doors::DoorArgs;
use super::log::LogPlan;
use crate::door::{Entrance, Submitters};
use crate::failure::Failure;

/// What somebody sees who looks.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What is wrong, and by which flag.
    pub(super) wrong: Vec<(&'static str, Failure)>,
    /// The name of the log, where that is known.
    pub(super) origin: Option<KeyName>,
}

impl Seen {
    fn take<T>(&mut self, flag: &'static str, checked: Result<T, Failure>) -> Option<T> {
        checked.map_err(|failure| self.wrong.push((flag, failure))).ok()
    }
}

impl LogPlan {
    /// Looks at the files of its operator: keys, tokens, policies, and whether a folder has a log. Nobody is asked and
    /// nothing is made.
    pub(super) fn look(&self) -> Seen {
        let (args, mut seen) = (&self.args, Seen::default());
        seen.take("guard", args.guard.outside(&self.store));
        seen.take("tokens", Submitters::open(&args.submitters));
        seen.take("mirror", args.mirrors.open());
        let has_log = self
            .store
            .folder_has_log()
            .and_then(|has_log| has_log.map_or(Ok(true), |has_log| Ok(!self.is_new_if(has_log)?)));
        let has_log = seen.take("store", has_log);
        let vkey = has_log.and_then(|has_log| seen.take("key", self.vkey_at_hand(has_log))).flatten();
        seen.take(
            "policy",
            match &vkey {
                Some(vkey) => args.witnesses.open(vkey).map(drop),
                None => args.witnesses.check(),
            },
        );
        seen.origin = vkey.map(|vkey| vkey.name().clone()).or_else(|| self.expected_origin());
        if let Some(origin) = seen.origin.clone() {
            seen.take("origin", args.rekor.check(&origin, args.url.as_ref()));
            seen.take("ml-dsa-key", self.store.cosigner(&args.key, &origin));
        }
        seen
    }

    /// The public half of the log's key; `None` where only a cloud knows it, or it is still to be made.
    fn vkey_at_hand(&self, has_log: bool) -> Result<Option<VerifierKey>, Failure> {
        self.store.check_key(&self.args.key)?;
        let origin = self.expected_origin();
        match (self.args.key.given()?, self.store.as_folder()) {
            (Some(key), _) => key.vkey_at_hand(origin.as_ref()),
            (None, Some(folder)) if has_log || folder.key_path().is_file() => {
                Ok(Some(folder.own_key(origin.as_ref())?.verifier_key()))
            }
            (None, _) => Ok(None),
        }
    }
}

impl DoorArgs {
    /// Looks at the files of certificates.
    pub(super) fn look(&self) -> Seen {
        let mut seen = Seen::default();
        // Of an authority nothing can be known before it is asked.
        if self.entrance.acme.is_empty()
            && let Some(entrance) = seen.take("tls-cert", Entrance::open(&self.entrance))
        {
            let dates = entrance.is_out_of_date().map_or(Ok(()), |why| Err(Failure::usage(why)));
            seen.take("tls-cert", dates);
        }
        seen
    }
}
