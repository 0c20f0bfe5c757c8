//! A few hundred seeds, and the proof that a seed is one run and no other.

use std::time::{Duration, Instant};

use kiln_simulator::scenario::{Report, run};

/// In an unoptimized build a seed takes a while, on a busy machine longer. The rest runs in
/// `simulator/run`.
const TIME: Duration = Duration::from_secs(15);

fn hold(seed: u64) -> Report {
    let report = run(seed, false);
    if let Some(violation) = &report.violation {
        panic!("seed {seed}: {violation}\nagain: simulator/run --seed {seed} --trace");
    }
    report
}

#[test]
fn every_promise_is_held_whatever_a_seed_makes() {
    let start = Instant::now();
    let held = (0..500).take_while(|_| start.elapsed() < TIME).map(hold).count();
    assert!(held >= 10, "only {held} seeds in {TIME:?}");
}

#[test]
fn seeds_that_failed_once_hold() {
    let kept = include_str!("../../seeds.txt").lines().filter_map(|line| line.split_whitespace().next());
    kept.filter_map(|seed| seed.parse().ok()).for_each(|seed| drop(hold(seed)));
}

/// Whatever is found can be found again.
#[test]
fn the_same_seed_is_the_same_run() {
    let once: Vec<u64> = (1_000..1_030).map(|seed| hold(seed).hash).collect();
    let again: Vec<u64> = (1_000..1_030).map(|seed| hold(seed).hash).collect();
    assert_eq!(once, again);
    assert!(once.windows(2).all(|two| two[0] != two[1]), "two seeds are two runs");
}
