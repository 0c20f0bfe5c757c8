//! What `kiln witness` and `kiln mirror` have in common: keys that are made once, state that is never made anew, and
//! lists of logs.

pub(crate) mod keys;
pub(crate) mod lists;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use kiln_sequencer::Environment;
use kiln_tiles::KeyName;
use kiln_witness::{Clock, Cosigners, KnownLogs, Store, StoreError};

use crate::environment::{Stopwatch, System};
use crate::failure::Failure;
use crate::files::{self, Readers};

/// Who cosigns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    /// What it is called.
    pub(crate) name: &'static str,
    /// How one may be named.
    pub(crate) example: &'static str,
    /// What stands in the file by which its folder is known.
    pub(crate) mark: &'static str,
    /// What is said where its state is gone and its keys are not.
    pub(crate) lost: &'static str,
}

/// The clocks of this machine.
pub(crate) struct SystemClock(Stopwatch);

impl SystemClock {
    pub(crate) fn start() -> Self {
        Self(Stopwatch::start())
    }
}

impl Clock for SystemClock {
    fn unix_time(&self) -> u64 {
        System.unix_time()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Opens what is in the folder, and makes what a new one needs.
pub(crate) fn open(
    folder: &Path,
    role: &Role,
    name: Option<&KeyName>,
    more: &[PathBuf],
) -> Result<(Cosigners, Store, KnownLogs), Failure> {
    let state = folder.join("state.redb");
    keys::make_folder(folder).map_err(|error| Failure::file(folder, &error))?;
    // One that was never started to its end has keys at most, and has cosigned nothing: the state is made before
    // anything is answered, and the mark says that it was.
    let made = keys::folder(folder).join(STATE_MADE);
    let is_new = !made.exists() && !state.exists();
    check_role(&made, role)?;
    let cosigners = keys::open(folder, role, is_new, name, more)?;
    let store = if is_new { Store::create(&state) } else { Store::open(&state) };
    let store = store.map_err(|error| not_opened(&state, role, &error))?;
    if !made.exists() {
        let marked = files::create(&made, role.mark.as_bytes(), Readers::Owner);
        marked.map_err(|error| Failure::file(&made, &error))?;
    }
    let logs = KnownLogs::open(folder).map_err(Failure::undone)?;
    Ok((cosigners, store, logs))
}

/// A mirror says by its keys that it holds a tree, and a witness that it saw one: neither signs what the other was
/// granted.
fn check_role(made: &Path, role: &Role) -> Result<(), Failure> {
    let mark = match fs::read(made) {
        Ok(mark) => mark,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file(made, &error)),
    };
    if mark == role.mark.as_bytes() {
        return Ok(());
    }
    let problem = format!("{}: not a folder of a {}", made.display(), role.name);
    Err(Failure::usage(problem).with_advice(
        "A witness and a mirror share no folder and no keys: they say different things of a checkpoint.",
    ))
}

/// Stands beside the keys, so that a copy of these alone is not taken for a new one, and says whose they are.
const STATE_MADE: &str = "state-was-made";

fn not_opened(path: &Path, role: &Role, error: &StoreError) -> Failure {
    let failure = Failure::undone(format!("{}: {error}", path.display()));
    match error {
        StoreError::InUse => failure.with_advice("Each process has a folder of its own."),
        _ if !path.exists() => failure.with_advice(role.lost),
        _ => failure,
    }
}
