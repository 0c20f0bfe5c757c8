//! Which logs are pulled, from where, and what they are believed by.

use std::path::Path;

use kiln_client::{AnySource, Client};
use kiln_tiles::{Policy, TrustedLog, VerifierKey};

use crate::failure::Failure;
use crate::keyed::Keyed;
use crate::reading;
use crate::trust::read_policy;

/// A log that is pulled.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) log: TrustedLog,
    /// Where it is read: a URL, a folder, or a store.
    pub(super) place: String,
}

impl Target {
    /// A client of the log.
    pub(super) fn client(&self) -> Result<Client<AnySource>, Failure> {
        let source = reading::source(&self.place).map_err(|failure| failure.at(self.log.origin()))?;
        // There may be many, each of which is asked seldom.
        Ok(Client::builder(source, self.log.clone()).memory_cache(1 << 20).build())
    }
}

/// The logs that are pulled. Those that are named by their keys are believed by the witnesses of `policy`, too.
pub(super) fn targets(pulls: &[Keyed], policy: Option<&Path>) -> Result<Vec<Target>, Failure> {
    let policy = policy.map(|path| read_policy(path).map(|policy| (path, policy))).transpose()?;
    let mut targets = Vec::new();
    for pull in pulls {
        match pull {
            Keyed::Key(vkey, place) => {
                targets.push(Target { log: trusted(vkey, policy.as_ref())?, place: place.clone() });
            }
            Keyed::File(path) => targets.extend(of_policy(path)?),
        }
    }
    let mut origins: Vec<&str> = targets.iter().map(|target| target.log.origin()).collect();
    origins.sort_unstable();
    match origins.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(Failure::usage(format!("--pull names the log {} twice", twice[0]))),
        None => Ok(targets),
    }
}

fn trusted(vkey: &VerifierKey, policy: Option<&(&Path, Policy)>) -> Result<TrustedLog, Failure> {
    let log = TrustedLog::from(vkey.clone());
    let Some((path, policy)) = policy else { return Ok(log) };
    if !policy.logs().is_empty() && !policy.logs().iter().any(|log| log.key == *vkey) {
        let problem = format!("the policy names logs, and {vkey} is none of them");
        return Err(Failure::usage(problem).at(&path.display().to_string()));
    }
    Ok(log.with_quorum(policy.quorum().clone()))
}

/// The logs of a policy that have a URL.
fn of_policy(path: &str) -> Result<Vec<Target>, Failure> {
    let policy = read_policy(Path::new(path))?;
    let mut targets: Vec<Target> = Vec::new();
    for log in policy.logs() {
        let (origin, url) = (log.key.name().as_str(), &log.url);
        let place = match url.as_ref().map(|url| url.as_str()) {
            Some(Some(url)) => url.to_owned(),
            Some(None) => return Err(Failure::usage("the URL of a log is not UTF-8").at(path)),
            None => continue,
        };
        if targets.iter().all(|target| target.log.origin() != origin)
            && let Some(log) = policy.trusted_log(origin)
        {
            targets.push(Target { log, place });
        }
    }
    if targets.is_empty() {
        return Err(Failure::usage("no log of this policy has a URL to pull it from").at(path));
    }
    Ok(targets)
}
