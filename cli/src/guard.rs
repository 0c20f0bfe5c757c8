//! Where the guard stands: outside of the store, so that it does not go back in time with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_storage::FolderRegister;
use kiln_storage::folder::{Disk, RealDisk};
use kiln_tiles::VerifierKey;

use crate::failure::Failure;
use crate::files::real;

/// Where the guard stands.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct GuardArgs {
    /// Keep the guard below this folder, outside of the store: the highest committed tree, by which
    /// a store that went back in time is noticed [default: $KILN_STATE_DIR/guard, else
    /// $XDG_STATE_HOME/kiln/guard, else ~/.local/state/kiln/guard].
    #[arg(long, value_name = "FOLDER")]
    guard: Option<PathBuf>,
}

/// How long to wait for another process that raises the same guard.
const PATIENCE: Duration = Duration::from_secs(5);

/// A folder for guards that is outside of the store.
pub(crate) struct GuardFolder(PathBuf);

impl GuardArgs {
    /// The folder that was named, or this machine's, unless it is in `store`. Makes nothing.
    pub(crate) fn outside(&self, store: &Path) -> Result<GuardFolder, Failure> {
        let folder = match &self.guard {
            Some(folder) if folder.to_string_lossy().contains("://") => {
                return Err(Failure::usage("--guard is a folder: guards in object stores come later"));
            }
            Some(folder) => folder.clone(),
            None => state_folder()?.join("guard"),
        };
        if real(&folder).starts_with(real(store)) {
            return Err(Failure::usage(format!(
                "the guard at {} would go back in time together with the store: keep it outside (--guard)",
                folder.display()
            )));
        }
        Ok(GuardFolder(folder))
    }
}

impl GuardFolder {
    /// The guard of the log with this key.
    pub(crate) fn open(self, vkey: &VerifierKey, owner: String) -> Result<FolderRegister, Failure> {
        let disk = RealDisk::open(&self.0).map_err(|error| Failure::file(&self.0, &error))?;
        make_names_durable(disk.root());
        let register = disk.root().join(vkey.fingerprint().to_hex());
        Ok(FolderRegister::new(Arc::new(disk), register, owner, PATIENCE))
    }
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
