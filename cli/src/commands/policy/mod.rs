//! `kiln policy`: explains what a policy asks for, and whether a checkpoint meets it.

mod explained;
mod operators;
mod warnings;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use kiln_tiles::{Checkpoint, Note, Policy, TlogProof};

use crate::cosigned::Cosigned;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::reading;
use crate::trust::{Trust, read_policy};
use explained::Explained;

/// Explain policies: which logs are believed, and which witnesses must have cosigned.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(Check),
}

/// Explain a policy in words, find its mistakes, and say whether a checkpoint meets it.
///
/// A mistake is exit 2, with its line. What is questionable is a warning, and no error. With a checkpoint: exit 1 where
/// it is not a log's of the policy, or does not meet the quorum.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln policy check release.policy
  kiln policy check release.policy --checkpoint https://log.example
  kiln policy check release.policy --checkpoint release.tar.gz.tlog-proof")]
pub(crate) struct Check {
    /// The policy, as c2sp.org/tlog-policy has it; `-` for standard input.
    file: PathBuf,
    /// A checkpoint to judge: a file with one, or with a proof, or a log.
    #[arg(long, value_name = "FILE|LOG")]
    checkpoint: Option<String>,
}

impl PolicyCommand {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.run(*output).await,
        }
    }
}

/// A checkpoint that a log of the policy signed, and what the quorum says of it.
struct Judged<'a> {
    note: Note,
    checkpoint: Checkpoint,
    cosigned: Cosigned<'a>,
}

impl Check {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let policy = read_policy(&self.file)?;
        let judged = match &self.checkpoint {
            Some(place) => Some(judge(&policy, read_note(place).await?).map_err(|error| error.at(place))?),
            None => None,
        };
        let name = self.file.display().to_string();
        Explained { name: &name, policy: &policy, judged: judged.as_ref() }.report(output)?;
        match &judged {
            Some(judged) => policy.quorum().check(&judged.note).map_err(Failure::bad),
            None => Ok(()),
        }
    }
}

/// The checkpoint in a file, on its own or in a proof, or that of a log.
async fn read_note(place: &str) -> Result<Note, Failure> {
    let path = Path::new(place);
    if !path.is_file() && place != "-" {
        return reading::read_checkpoint(&reading::source(place)?).await;
    }
    let bytes = files::read(path, TlogProof::MAX_SIZE)?;
    if let Ok(proof) = TlogProof::parse(&bytes) {
        return Ok(proof.checkpoint().clone());
    }
    Note::parse(&bytes)
        .map_err(|error| Failure::bad(format!("{place}: neither checkpoint nor proof: {error}")))
}

/// Verifies what stands under a checkpoint. A policy without logs has nothing to say of the log's signature.
fn judge(policy: &Policy, note: Note) -> Result<Judged<'_>, Failure> {
    let checkpoint = if policy.logs().is_empty() {
        let text: Result<Checkpoint, _> = note.unverified_text().parse();
        text.map_err(Failure::bad)?
    } else {
        let log = Trust::from(policy.clone()).log_of(&note)?;
        let opened = log.without_quorum().open_note(note.clone());
        opened.map_err(|error| Failure::bad(format!("checkpoint: {error}")))?.checkpoint().clone()
    };
    let cosigned = Cosigned::of(policy.quorum(), &note).map_err(Failure::bad)?;
    Ok(Judged { note, checkpoint, cosigned })
}
