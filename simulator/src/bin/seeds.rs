//! Runs seeds, until one breaks a promise. `simulator/run` builds and starts this.

use std::process::ExitCode;

use kiln_simulator::hunt::{Hunt, hunt};
use kiln_simulator::scenario::{Report, run};

const USAGE: &str =
    "usage: simulator/run --seeds N [--from S] [--jobs J]   as many seeds, from S on, J side by side
       simulator/run --kept FILE                      the seeds that a file begins its lines with
       simulator/run --seed S [--trace]               one, twice; and what happened in it";

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Some(Command::Hunt(seeds)) => hunt(&seeds),
        Some(Command::One { seed, trace }) => one(seed, trace),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

enum Command {
    Hunt(Hunt),
    One { seed: u64, trace: bool },
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Command> {
    let (mut hunt, mut count, mut from, mut one, mut trace) = (Hunt::default(), None, 1, None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => count = Some(words.next()?.parse::<u64>().ok()?),
            "--from" => from = words.next()?.parse().ok()?,
            "--jobs" => hunt.jobs = words.next()?.parse().ok()?,
            "--kept" => hunt.seeds = kept(&std::fs::read_to_string(words.next()?).ok()?),
            "--seed" => one = Some(words.next()?.parse().ok()?),
            "--trace" => trace = true,
            _ => return None,
        }
    }
    hunt.seeds.extend(count.map_or(0..0, |count| from..from + count));
    match one {
        Some(seed) => Some(Command::One { seed, trace }),
        None if hunt.seeds.is_empty() || hunt.jobs == 0 => None,
        None => Some(Command::Hunt(hunt)),
    }
}

/// Lines of a seed and its story.
fn kept(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Runs one seed twice: it has to do the same.
fn one(seed: u64, trace: bool) -> ExitCode {
    let (report, again) = (run(seed, trace), run(seed, false));
    report.lines.iter().for_each(|line| println!("{line}"));
    let Report { violation, hash, counts, .. } = report;
    print!("{counts}");
    println!("seed {seed}, trace {hash:016x}: {}", violation.as_deref().unwrap_or("every promise was held"));
    if again.hash != hash {
        println!("a second run was another one: {:016x}", again.hash);
    }
    ExitCode::from(u8::from(violation.is_some() || again.hash != hash))
}
