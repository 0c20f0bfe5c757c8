//! The commands, one file each.

mod add;
mod backup;
mod bench;
mod config;
mod freeze;
mod fsck;
mod gc;
mod get;
mod info;
mod init;
mod key;
mod manual;
mod mirror;
mod policy;
mod prove;
mod recover;
mod rekor;
mod serve;
mod tail;
mod token;
mod verify;
mod vkey;
mod witness;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;
use crate::traces::TraceArgs;

/// What kiln does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<serve::Serve>),
    Witness(witness::Witness),
    Mirror(mirror::Mirror),
    Init(init::Init),
    Vkey(vkey::Vkey),
    Add(add::Add),
    Get(get::Get),
    Prove(prove::Prove),
    Verify(verify::Verify),
    Info(info::Info),
    Tail(tail::Tail),
    Fsck(fsck::Fsck),
    Gc(gc::Gc),
    Freeze(Box<freeze::Freeze>),
    Backup(backup::Backup),
    Recover(recover::Recover),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Rekor(rekor::Rekor),
    Bench(bench::Bench),
    Man(manual::Man),
    Completions(manual::Completions),
}

impl Command {
    /// Whether it runs until it is told to stop.
    pub(crate) const fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Witness(_) | Self::Mirror(_))
    }

    /// Where it sends traces, if it is one that does.
    pub(crate) const fn traces(&self) -> Option<&TraceArgs> {
        match self {
            Self::Serve(command) => Some(&command.traces),
            Self::Witness(command) => Some(&command.traces),
            Self::Mirror(command) => Some(&command.traces),
            _ => None,
        }
    }

    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Init(command) => on_runtime(command.run(output)),
            Self::Serve(command) => on_runtime(command.run(output)),
            Self::Witness(command) => on_runtime(command.run(output)),
            Self::Mirror(command) => on_runtime(command.run(output)),
            Self::Add(command) => on_runtime(command.run(output)),
            Self::Get(command) => on_runtime(command.run(output)),
            Self::Prove(command) => on_runtime(command.run(output)),
            Self::Info(command) => on_runtime(command.run(output)),
            Self::Tail(command) => on_runtime(command.run(output)),
            Self::Fsck(command) => on_runtime(command.run(output)),
            Self::Gc(command) => on_runtime(command.run(output)),
            Self::Freeze(command) => on_runtime(command.run(output)),
            Self::Backup(command) => on_runtime(command.run(output)),
            Self::Recover(command) => on_runtime(command.run(output)),
            Self::Vkey(command) => on_runtime(command.run(output)),
            Self::Key(command) => on_runtime(command.run(output)),
            Self::Policy(command) => on_runtime(command.run(output)),
            Self::Rekor(command) => on_runtime(command.run(output)),
            Self::Bench(command) => on_runtime(command.run(output)),
            Self::Verify(command) => command.run(output),
            Self::Man(command) => command.run(output),
            Self::Completions(command) => command.run(output),
            Self::Config(command) => command.run(output),
            Self::Token(command) => command.run(output),
        }
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // What still reads from a slow disk or waits for a name server must not hold up the end.
    runtime.shutdown_background();
    outcome
}
