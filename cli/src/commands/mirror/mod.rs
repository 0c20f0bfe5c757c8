//! `kiln mirror`: keeps verified, cosigned copies of logs.

mod doors;
mod pulling;
mod targets;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kiln_tiles::KeyName;
use kiln_witness::{Prefixes, TicketKey};
use zeroize::Zeroizing;

use crate::cosigning::lists::Lists;
use crate::cosigning::{self, Role, SystemClock, keys};
use crate::door::{Entrance, EntranceOptions, RateOptions, SubmitterOptions, Submitters};
use crate::environment;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::keyed::Keyed;
use crate::keys::read_text;
use crate::output::Output;
use crate::quantity::parse_span;
use crate::signals;
use crate::traces::TraceArgs;
use doors::{DoorArgs, Doors};
use pulling::Pullings;
use targets::{Target, targets};

/// Run a mirror: keeps copies of logs, and cosigns what it has whole (c2sp.org/tlog-mirror).
///
/// Logs push their entries to it, or it pulls them. At its first start it makes its keys, DIR/keys/ed25519 and
/// DIR/keys/ml-dsa-44. It prints its vkeys, one a line, and then `ready`. The copy of a log is DIR/copies/<hex SHA-256 of
/// its origin>, with what readers see in public/. SIGTERM or SIGINT ends it; what was taken by then is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln mirror ./m1 --name mirror.example.com/m1 --logs logs.txt
  kiln mirror ./m1 --name mirror.example.com/m1 --pull example.com/log+1234abcd+Aa...=https://example.com/log
  kiln mirror /srv/m1 --pull policy.txt --listen 0.0.0.0:8080 --read-listen 0.0.0.0:8081
  kiln mirror /srv/m1 --pull policy.txt --once        from cron, say

A list of logs begins with the line logs/v0; each log is a line `vkey V`, and maybe `origin O`, `qpd N` (add-checkpoint
requests a day) and `contact T`. A policy (c2sp.org/tlog-policy) has a line `log VKEY URL` for each log that is pulled,
and says which witnesses must have cosigned what is mirrored.")]
pub(crate) struct Mirror {
    /// Where the mirror keeps its keys, its state, the copies, and evidence against logs.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The name of the mirror, for ever, such as mirror.example.com/m1; remembered from the first start on.
    #[arg(long)]
    name: Option<KeyName>,
    /// Let the logs of this list push to the mirror.
    #[arg(long, value_name = "FILE|URL", num_args = 1..)]
    logs: Vec<String>,
    /// How often the lists are read again.
    #[arg(long, value_name = "SPAN", default_value = "1min", value_parser = parse_span)]
    poll: Duration,
    /// Pull this log, or those of a policy file that have a URL there: a URL, a folder or a store.
    #[arg(long, value_name = "VKEY=URL|FILE")]
    pull: Vec<Keyed>,
    /// Mirror of a log that is named by VKEY=URL only what the witnesses of this tlog-policy file have cosigned.
    #[arg(long, value_name = "FILE", requires = "pull")]
    policy: Option<PathBuf>,
    /// How long after a look at a log that is pulled the next one is.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    interval: Duration,
    /// How many logs are copied at once. Each may take up to 100 MiB of memory meanwhile.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pulls_at_once: usize,
    /// Pull each log once, listen nowhere, and end: with exit code 1 if one is bad, 3 if one could not be pulled.
    #[arg(long, requires = "pull")]
    once: bool,
    /// Cosign by this key too, one that cosigns, in Go's note form: for the time in which a key is replaced.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    doors: DoorArgs,
    #[command(flatten)]
    entrance: EntranceOptions,
    #[command(flatten)]
    rates: RateOptions,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
}

/// What a mirror is called, and what it cannot do without.
const ROLE: Role = Role {
    name: "mirror",
    example: "mirror.example.com/m1",
    mark: "mirror\n",
    lost: "The keys are there and what they cosigned is not: started anew, this mirror would cosign a fork of it. Bring \
           the file back as it was when the mirror ended, or make a new mirror under a new name.",
};

impl Mirror {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let files = environment::raise_file_limit();
        let stop = signals::stop("keeping what was taken")?;
        let _hangups = signals::Hangups::new()?; // files are read again at SIGHUP; where there are none it does nothing
        let targets = targets(&self.pull, self.policy.as_deref())?;
        let lists = Lists::new(&self.logs)?;
        // A port that is taken makes no mirror.
        let submitters = Submitters::open(&SubmitterOptions { tokens: None, rates: self.rates })?;
        let entrance = Entrance::open(&self.entrance)?;
        let doors = if self.once { None } else { Some(Doors::bind(&self.doors, &entrance, files).await?) };
        let (mirror, vkeys) = self.open(doors.as_ref().map(|doors| doors.prefixes.clone()))?;
        mirror.logs().trust(targets.iter().map(|target| target.log.clone()).collect());
        let recovered = mirror.recover().await.map_err(Failure::undone)?;
        if recovered > 0 {
            tracing::info!(checkpoints = recovered, "signed what was mirrored before an unexpected end");
        }
        let none = "this mirror knows no logs: give a list of some with --logs, or logs to --pull";
        let lists = lists.first_read(&mirror.listing(), none).await?;
        match doors {
            None => self.pull_once(&mirror, &targets, *output, stop).await?,
            Some(doors) => {
                let pullings = Pullings::new(&mirror, &targets, self.pulls_at_once)?;
                let polling = tokio::spawn(lists.poll(mirror.listing(), self.poll, stop.clone()));
                let served = doors.serve(&mirror, (&entrance, &submitters), &stop);
                entrance.keep_fresh()?;
                for vkey in vkeys {
                    output.result(&vkey, || serde_json::json!({ "vkey": vkey.to_string() }))?;
                }
                output.line("ready")?;
                let pulling = pullings.follow(self.interval, &stop);
                served.join_all().await;
                pulling.join_all().await;
                polling.await.map_err(Failure::undone)?;
            }
        }
        // With the last of it the thread that writes ends, once it has done what waits.
        tokio::task::spawn_blocking(move || drop(mirror)).await.map_err(Failure::undone)
    }

    fn open(
        &self,
        prefixes: Option<Prefixes>,
    ) -> Result<(kiln_witness::Mirror, Vec<kiln_tiles::VerifierKey>), Failure> {
        let opened = cosigning::open(&self.folder, &ROLE, self.name.as_ref(), &self.key)?;
        let (cosigners, store, logs) = opened;
        let vkeys = cosigners.vkeys().to_vec();
        let nowhere = || Prefixes { submission: String::new(), monitoring: String::new() };
        let (prefixes, clock) = (prefixes.unwrap_or_else(nowhere), Arc::new(SystemClock::start()));
        let tickets = ticket_key(&self.folder)?;
        let mirror =
            kiln_witness::Mirror::new(cosigners, logs, store, &self.folder, tickets, prefixes, clock);
        Ok((mirror.map_err(Failure::undone)?, vkeys))
    }

    async fn pull_once(
        &self,
        mirror: &kiln_witness::Mirror,
        targets: &[Target],
        output: Output,
        stop: signals::Stop,
    ) -> Result<(), Failure> {
        Pullings::new(mirror, targets, self.pulls_at_once)?.once(output, stop).await
    }
}

/// The file of the key of tickets, 64 hex digits.
const TICKETS: &str = "tickets";

/// The key of tickets. One that is lost is made anew: the tickets that were given say nothing then, no more.
fn ticket_key(folder: &Path) -> Result<TicketKey, Failure> {
    let path = keys::folder(folder).join(TICKETS);
    if !path.exists() {
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(environment::random()?);
        let text = Zeroizing::new(kiln_tiles::Hash::from_bytes(*secret).to_hex() + "\n");
        let made = files::create(&path, text.as_bytes(), Readers::Owner);
        made.map_err(|error| Failure::file(&path, &error))?;
    }
    let text = read_text(&path)?;
    let key = kiln_tiles::Hash::from_hex(text.trim_end());
    let key = key.ok_or_else(|| Failure::usage(format!("{}: not 64 hex digits", path.display())))?;
    Ok(TicketKey::new(*key.as_bytes()))
}
