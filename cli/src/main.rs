//! Kiln, a tile-based transparency log: one binary to run, feed, read and verify logs.
//!
//! What it promises people and scripts stands in `docs/cli.md`. Nothing is decided here: each
//! command puts crates together and finds words.

#![allow(rustdoc::invalid_html_tags, reason = "the docs of arguments are help texts")]

mod addresses;
mod allocator;
mod commands;
mod cosigned;
mod cosigning;
mod door;
mod ending;
mod environment;
mod failure;
mod files;
mod guard;
mod keyed;
mod keys;
mod listeners;
mod log_key;
mod logging;
mod output;
mod progress;
mod quantity;
mod reading;
mod signals;
mod store;
mod submitting;
mod token;
mod traces;
mod trust;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;
use logging::LogFormat;
use output::Output;
use traces::{TraceArgs, Traces};

/// A tile-based transparency log: run one, feed it, read it, and prove what is in it.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    /// Print JSON on standard output, one value a line.
    #[arg(long, global = true)]
    json: bool,
    /// How messages on standard error look; what is said, KILN_LOG or RUST_LOG decide.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
The first hour:
  kiln serve ./log                  makes a log and runs it; prints its vkey and URL
  kiln add URL FILE --vkey V --proofs .
  kiln verify FILE.tlog-proof --entry FILE --vkey V

Exit codes: 0 done and verified; 1 the log, proof or signature is bad; 2 wrong usage;
3 could not be done (network, storage, permission), and nothing is said about the log.";

fn main() -> ExitCode {
    let Cli { json, log_format, command } = Cli::parse();
    if command.is_server() {
        allocator::keep_memory_between_rounds();
    }
    let output = Output::new(json);
    let traces = match command.traces().map_or(Ok(None), TraceArgs::open) {
        Ok(traces) => traces,
        Err(failure) => return output.fail(&failure),
    };
    logging::start(log_format, command.is_server(), traces.as_ref());
    let code = match command.run(&output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    };
    traces.into_iter().for_each(Traces::end);
    code
}
