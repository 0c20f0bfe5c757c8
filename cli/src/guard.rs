//! Where the guard stands: outside of the store, so that it does not go back in time with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use kiln_sequencer::{Dedup, Log, Signer};
use kiln_storage::bucket::BucketUrl;
use kiln_storage::folder::{Disk, RealDisk};
use kiln_storage::{AnyRegister, FolderRegister};
use kiln_tiles::VerifierKey;

use crate::environment::System;
use crate::failure::Failure;
use crate::files::{check_may_be_folder, real};
use crate::store::{OpenStore, StorePlace, StorePlaceError, check_conditions_of, open_bucket};

/// Where the guard stands.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct GuardArgs {
    /// Keep the guard here, outside of the store: the highest committed tree, by which a store that
    /// went back in time is noticed. A folder, or s3://, gs:// or az:// in a bucket of its own; writers
    /// on several machines need one in common. Can be repeated: each is raised in each round
    /// [default: $KILN_STATE_DIR/guard, else $XDG_STATE_HOME/kiln/guard, else ~/.local/state/kiln/guard].
    #[arg(long, value_name = "FOLDER|STORE")]
    guard: Vec<GuardPlace>,
}

/// A place for guards.
#[derive(Clone, Debug)]
enum GuardPlace {
    Folder(PathBuf),
    Bucket(BucketUrl),
}

impl FromStr for GuardPlace {
    type Err = StorePlaceError;

    fn from_str(place: &str) -> Result<Self, StorePlaceError> {
        Ok(match place.parse()? {
            StorePlace::Bucket(url) => Self::Bucket(url),
            StorePlace::Folder(store) => Self::Folder(store.folder().to_owned()),
        })
    }
}

/// How long to wait for another process that raises the same guard.
const PATIENCE: Duration = Duration::from_secs(5);

/// Places for guards that are outside of the store: at least one.
pub(crate) struct GuardPlaces(Vec<GuardPlace>);

/// The guards of a log: at least one.
pub(crate) struct Guards(AnyRegister, Vec<AnyRegister>);

impl GuardArgs {
    /// The places that were named, or this machine's, unless one is in `store`. Makes nothing.
    pub(crate) fn outside(&self, store: &StorePlace) -> Result<GuardPlaces, Failure> {
        let mut places = self.guard.clone();
        if places.is_empty() {
            places.push(GuardPlace::Folder(state_folder()?.join("guard")));
        }
        places.iter().try_for_each(|place| check_outside(place, store))?;
        Ok(GuardPlaces(places))
    }
}

/// What goes back in time together with the store notices nothing.
fn check_outside(place: &GuardPlace, store: &StorePlace) -> Result<(), Failure> {
    match (place, store) {
        (GuardPlace::Folder(folder), StorePlace::Folder(store))
            if real(folder).starts_with(real(store.folder())) =>
        {
            Err(Failure::usage(format!(
                "the guard at {} would go back in time together with the store: keep it outside (--guard)",
                folder.display()
            )))
        }
        (GuardPlace::Bucket(url), StorePlace::Bucket(store)) if url.is_in_bucket_of(store) => {
            Err(Failure::usage(format!(
                "the guard at {url} would go back in time together with the store: keep it in another bucket, \
                 under another policy"
            )))
        }
        _ => Ok(()),
    }
}

impl GuardPlaces {
    /// Checks that those in folders can be there, and that the environment says where the others are. Makes nothing.
    pub(crate) fn check_folders(&self) -> Result<(), Failure> {
        self.0.iter().try_for_each(|place| match place {
            GuardPlace::Folder(folder) => check_may_be_folder(folder),
            GuardPlace::Bucket(url) => open_bucket(url).map(drop),
        })
    }

    /// Whether other machines reach the guard as well.
    pub(crate) fn are_shared(&self) -> bool {
        self.0.iter().any(|place| matches!(place, GuardPlace::Bucket(_)))
    }

    /// The guards of the log with this key.
    pub(crate) async fn open(&self, vkey: &VerifierKey, owner: &str) -> Result<Guards, Failure> {
        let mut registers = Vec::new();
        for place in &self.0 {
            registers.push(match place {
                GuardPlace::Folder(folder) => open_in_folder(folder, vkey, owner)?.into(),
                GuardPlace::Bucket(url) => open_in_bucket(url, vkey).await?,
            });
        }
        Ok(Guards(registers.remove(0), registers))
    }
}

impl Guards {
    /// Puts the log together that these guard.
    pub(crate) fn guard(
        self,
        key: impl Signer,
        store: OpenStore,
        dedup: Dedup,
    ) -> Log<OpenStore, AnyRegister> {
        let Self(first, more) = self;
        let log = Log::new(key, store, first, dedup, Arc::new(System));
        more.into_iter().fold(log, Log::with_guard)
    }
}

fn open_in_folder(folder: &Path, vkey: &VerifierKey, owner: &str) -> Result<FolderRegister, Failure> {
    let disk = RealDisk::open(folder).map_err(|error| Failure::file(folder, &error))?;
    make_names_durable(disk.root());
    let register = disk.root().join(vkey.fingerprint().to_hex());
    Ok(FolderRegister::new(Arc::new(disk), register, owner.to_owned(), PATIENCE))
}

async fn open_in_bucket(url: &BucketUrl, vkey: &VerifierKey) -> Result<AnyRegister, Failure> {
    let bucket = open_bucket(url)?;
    let path = vkey.fingerprint().to_hex().parse().expect("hex is an object name");
    check_conditions_of(&bucket).await?;
    Ok(bucket.register(&path).into())
}

/// The folders above the guard may be as new as itself. One that cannot be synced is somebody
/// else's, and older.
fn make_names_durable(root: &Path) {
    root.ancestors().skip(1).filter_map(|folder| File::open(folder).ok()).for_each(|folder| {
        let _ = folder.sync_all();
    });
}

/// What this machine must remember: `$KILN_STATE_DIR`, else `$XDG_STATE_HOME/kiln`, else
/// `~/.local/state/kiln`.
pub(crate) fn state_folder() -> Result<PathBuf, Failure> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG folder is to be ignored, says the specification of these folders.
    let xdg = || folder("XDG_STATE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("kiln"));
    let home = || folder("HOME").map(|path| path.join(".local/state/kiln"));
    folder("KILN_STATE_DIR").or_else(xdg).or_else(home).ok_or_else(|| {
        Failure::usage("there is no place for what this machine must remember: set KILN_STATE_DIR to a folder outside of the store")
    })
}
