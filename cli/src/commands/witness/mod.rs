//! `kiln witness`: runs a witness.

mod behind;
mod doors;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kiln_tiles::KeyName;

use crate::cosigning::lists::Lists;
use crate::cosigning::{self, Role, SystemClock};
use crate::door::{Entrance, EntranceOptions, RateOptions, SubmitterOptions, Submitters};
use crate::environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::parse_span;
use crate::signals;
use crate::traces::TraceArgs;
use doors::{DoorArgs, Doors};

/// Run a witness: cosigns checkpoints of logs that only grow (c2sp.org/tlog-witness).
///
/// At its first start it makes its keys, DIR/keys/ed25519 and DIR/keys/ml-dsa-44. It prints its vkeys, one a line,
/// and then `ready`. What a list of logs named once is witnessed until DIR/disabled has its origin in a line. SIGTERM
/// or SIGINT ends it: it takes no more, answers, and exits 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln witness ./w1 --name witness.example.com/w1 --logs logs.txt
  kiln witness /srv/w1 --logs https://staging.witness-network.org/log-list-10qps-4klogs.1 --listen 0.0.0.0:8080

A list of logs begins with the line logs/v0; each log is a line `vkey V`, and maybe `origin O`, `qpd N` (add-checkpoint
requests a day) and `contact T`.")]
pub(crate) struct Witness {
    /// Where the witness keeps its keys, its state, the logs it knows, and evidence against them.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The name of the witness, for ever, such as witness.example.com/w1; remembered from the first start on.
    #[arg(long)]
    name: Option<KeyName>,
    /// Witness the logs of this list, too.
    #[arg(long, value_name = "FILE|URL", num_args = 1..)]
    logs: Vec<String>,
    /// How often the lists are read again.
    #[arg(long, value_name = "SPAN", default_value = "1min", value_parser = parse_span)]
    poll: Duration,
    /// Cosign by this key too, one that cosigns, in Go's note form: for the time in which a key is replaced.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    doors: DoorArgs,
    /// Serve behind this bastion too (c2sp.org/https-bastion), which knows the witness by the key DIR/keys/bastion.
    #[arg(long, value_name = "HOST:PORT")]
    bastion: Vec<String>,
    #[command(flatten)]
    entrance: EntranceOptions,
    #[command(flatten)]
    rates: RateOptions,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
}

/// What a witness is called, and what it cannot do without.
const ROLE: Role = Role {
    name: "witness",
    example: "witness.example.com/w1",
    mark: "",
    lost: "The keys are there and what they cosigned is not: started anew, this witness would cosign a fork of it. \
           Bring the file back as it was when the witness ended, or make a new witness under a new name.",
};

impl Witness {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let files = environment::raise_file_limit();
        let stop = signals::stop("answering who asked")?;
        let _hangups = signals::Hangups::new()?; // files are read again at SIGHUP; where there are none it does nothing
        let lists = Lists::new(&self.logs)?;
        // A port that is taken makes no witness.
        let submitters = Submitters::open(&SubmitterOptions { tokens: None, rates: self.rates })?;
        let entrance = Entrance::open(&self.entrance)?;
        let doors = Doors::bind(&self.doors, &entrance, files).await?;
        let opened = cosigning::open(&self.folder, &ROLE, self.name.as_ref(), &self.key)?;
        let (cosigners, store, logs) = opened;
        let bastions = behind::open(&self.folder, &self.bastion)?;
        let vkeys = cosigners.vkeys().to_vec();
        let clock = Arc::new(SystemClock::start());
        let (evidence, prefixes) = (self.folder.join("evidence"), doors.prefixes.clone());
        let witness = kiln_witness::Witness::new(cosigners, logs, store, &evidence, prefixes, clock);
        let witness = witness.map_err(Failure::undone)?;
        let recovered = witness.recover().await.map_err(Failure::undone)?;
        if recovered > 0 {
            tracing::info!(checkpoints = recovered, "signed what was granted before an unexpected end");
        }
        let none = "this witness knows no logs: give a list of some with --logs";
        let lists = lists.first_read(&witness.listing(), none).await?;
        let polling = tokio::spawn(lists.poll(witness.listing(), self.poll, stop.clone()));
        let mut served = doors.serve(&witness, (&entrance, &submitters), &stop);
        entrance.keep_fresh()?;
        for bastion in bastions {
            served.spawn(bastion.serve(witness.clone(), stop.clone()));
        }
        for vkey in vkeys {
            output.result(&vkey, || serde_json::json!({ "vkey": vkey.to_string() }))?;
        }
        output.line("ready")?;
        served.join_all().await;
        polling.await.map_err(Failure::undone)?;
        // With the last of it the thread that writes ends, once it has done what waits.
        tokio::task::spawn_blocking(move || drop(witness)).await.map_err(Failure::undone)?;
        tracing::info!("stopped: what was granted is answered");
        Ok(())
    }
}
