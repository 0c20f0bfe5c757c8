//! What can be seen to be wrong with a log before it runs, in the files that its flags name.

use std::path::Path;

use kiln_tiles::{KeyName, Note, VerifierKey};

use super::doors::DoorArgs;
use super::log::LogPlan;
use crate::door::{Entrance, Submitters};
use crate::failure::Failure;
use crate::reading::check_signed_by;
use crate::store::{FolderStore, StorePlace, open_bucket};
use crate::{files, keys};

type Wrong = (Vec<&'static str>, Failure);

/// What somebody sees who looks.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What is wrong, and by which flags: the first of them that was given.
    pub(super) wrong: Vec<Wrong>,
    /// The same of what may be otherwise tomorrow: disks come and go, and certificates end.
    pub(super) today: Vec<Wrong>,
    /// The name of the log, where that is known.
    pub(super) origin: Option<KeyName>,
}

impl Seen {
    fn take<T>(&mut self, flags: &[&'static str], checked: Result<T, Failure>) -> Option<T> {
        checked.map_err(|failure| self.wrong.push((flags.to_vec(), failure))).ok()
    }

    fn take_today<T>(&mut self, flags: &[&'static str], checked: Result<T, Failure>) -> Option<T> {
        checked.map_err(|failure| self.today.push((flags.to_vec(), failure))).ok()
    }
}

impl LogPlan {
    /// Looks at the files of its operator: keys, tokens, policies, and whether a folder has a log. Nobody is asked and
    /// nothing is made.
    pub(super) fn look(&self) -> Seen {
        let (args, mut seen) = (&self.args, Seen::default());
        let guards = args.guard.outside(&self.store);
        if let Some(guards) = seen.take(&["guard"], guards) {
            seen.take_today(&["guard"], guards.check_folders());
        }
        seen.take(&["tokens"], Submitters::open(&args.submitters));
        seen.take(&["mirror"], args.mirrors.open());
        seen.take_today(&["cache-dir"], args.cache_dir.as_deref().map_or(Ok(()), files::check_may_be_folder));
        for (flag, wrong) in self.limits_that_cannot_work() {
            seen.take(&[flag], Err::<(), _>(Failure::usage(wrong)));
        }
        let has_log = seen.take_today(&["store"], self.look_at_store());
        let given = seen.take(&["key", "origin"], self.given_vkey());
        let vkey = match (given, self.store.as_folder(), has_log) {
            (Some(Some(given)), Some(folder), Some(true)) => {
                seen.take_today(&["key", "origin"], self.check_own(folder, &given));
                Some(given)
            }
            (Some(None), Some(folder), Some(has_log)) => {
                seen.take_today(&["key", "origin"], self.own_vkey(folder, has_log)).flatten()
            }
            (given, _, _) => given.flatten(),
        };
        let known = vkey.as_ref().map(|vkey| vkey.name().clone()).or_else(|| self.expected_origin());
        seen.take(
            &["policy"],
            match &vkey {
                Some(vkey) => args.witnesses.open(vkey).map(drop),
                None => args.witnesses.check(known.as_ref()),
            },
        );
        if let Some(origin) = &known {
            seen.take(&["rekor"], args.rekor.check(origin, args.url.as_ref()));
            if has_log.is_some() {
                seen.take(&["ml-dsa-key"], self.store.cosigner(&args.key, origin));
            }
        } else {
            seen.take(&["ml-dsa-key"], args.key.read_second());
        }
        seen.origin = known;
        seen
    }

    /// Whether there is a log, or may be: who would have to be asked is believed.
    fn look_at_store(&self) -> Result<bool, Failure> {
        match &self.store {
            StorePlace::Folder(folder) => files::check_may_be_folder(folder.folder())?,
            StorePlace::Bucket(url) => open_bucket(url).map(drop)?,
        }
        match self.store.folder_has_log()? {
            Some(has_log) => Ok(!self.is_new_if(has_log)?),
            None => Ok(true),
        }
    }

    /// The public half of the key that was given; `None` where none was, or only a cloud knows it.
    fn given_vkey(&self) -> Result<Option<VerifierKey>, Failure> {
        self.store.check_key(&self.args.key)?;
        let Some(key) = self.args.key.given()? else { return Ok(None) };
        let vkey = key.vkey_at_hand(self.expected_origin().as_ref());
        vkey.map_err(|failure| match self.args.key.variable() {
            Some(name) => failure.at(&name),
            None => failure,
        })
    }

    /// Whether the log that a folder holds is that of this key, as far as it has published anything.
    fn check_own(&self, folder: &FolderStore, vkey: &VerifierKey) -> Result<(), Failure> {
        let path = folder.folder().join("public/checkpoint");
        files::read(&path, Note::MAX_SIZE).map_or(Ok(()), |bytes| check_signed_by(&self.store, &bytes, vkey))
    }

    /// That of the key that a folder has, or should have.
    fn own_vkey(&self, folder: &FolderStore, has_log: bool) -> Result<Option<VerifierKey>, Failure> {
        if self.args.key.given()?.is_some() || !(has_log || folder.key_path().is_file()) {
            return Ok(None);
        }
        Ok(Some(folder.own_key(self.expected_origin().as_ref())?.verifier_key()))
    }
}

impl DoorArgs {
    /// Looks at the files of certificates.
    pub(super) fn look(&self) -> Seen {
        let (entrance, mut seen) = (&self.entrance, Seen::default());
        if let Some(cache) = &entrance.acme_cache {
            seen.take_today(&["acme-cache"], files::check_may_be_folder(cache));
        }
        // Of an authority nothing can be known before it is asked.
        let (Some(chain), Some(key)) = (&entrance.tls_cert, &entrance.tls_key) else { return seen };
        let chain = seen.take(&["tls-cert"], read(chain));
        let key = seen.take(&["tls-key"], keys::read_text(key));
        if let (Some(_), Some(_)) = (chain, key)
            && let Some(opened) = seen.take(&["tls-cert"], Entrance::open(entrance))
        {
            let dates = opened.is_out_of_date().map_or(Ok(()), |why| Err(Failure::usage(why)));
            seen.take_today(&["tls-cert"], dates);
        }
        seen
    }
}

fn read(path: &Path) -> Result<(), Failure> {
    files::read(path, 1).map(drop)
}
