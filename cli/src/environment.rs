//! The clock, the dice and the machine. Nothing else in this crate asks for them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiln_sequencer::Environment;

use crate::failure::Failure;

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Environment for System {
    fn unix_time(&self) -> u64 {
        // A clock before 1970 is wrong by so much that no number would be better than another.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn random_id(&self) -> [u8; 16] {
        random().expect("a system that gave randomness at the start goes on giving it")
    }
}

/// Random bytes, fit for secrets.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// An environment variable, as text without white space around it. One that is empty is as good as none;
/// one that is no text is none that anybody here takes.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    let value = value.to_string_lossy().trim().to_owned();
    (!value.is_empty()).then_some(value)
}

/// A key or a name, as it stands in the name of a variable.
pub(crate) fn in_variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// All variables whose names begin like this and that are texts with something in them, in the order of their names.
pub(crate) fn variables(prefix: &str) -> Vec<(String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut found: Vec<_> = std::env::vars_os()
        .filter_map(text)
        .filter(|(name, value)| name.starts_with(prefix) && !value.is_empty())
        .collect();
    found.sort_unstable();
    found
}

/// How long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// How long ago this moment of the file system was; `None` for one that lies ahead.
pub(crate) fn age(moment: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(moment).ok()
}

/// What this machine calls itself.
pub(crate) fn host_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// What others are told that find something held by this process.
pub(crate) fn process_name(command: &str) -> String {
    format!("{command}, process {} on {}", std::process::id(), host_name())
}

/// Where this machine keeps what can be deleted at any time: `$XDG_CACHE_HOME/kiln`, else
/// `~/.cache/kiln`.
pub(crate) fn cache_folder() -> Result<PathBuf, Failure> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG folder is to be ignored, says the specification of these folders.
    let xdg = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("kiln"));
    xdg.or_else(|| folder("HOME").map(|path| path.join(".cache/kiln")))
        .ok_or_else(|| Failure::usage("there is no place for the dedup index: give one with --cache-dir"))
}

/// This program, if a shell would not find it under its name.
pub(crate) fn program_out_of_path() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).find_map(|folder| folder.join("kiln").canonicalize().ok());
    (found != program.canonicalize().ok()).then_some(program)
}

/// Lets this process open as many files as the system would let it: a connection is one. The
/// usual limit of 1,024 is a default for programs that use `select`. Returns how many that are, if
/// they are counted.
#[cfg(unix)]
pub(crate) fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused, it stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current
}

/// See above: nobody counts here.
#[cfg(not(unix))]
pub(crate) fn raise_file_limit() -> Option<u64> {
    None
}
