//! Whole runs of a log that a seed makes: the store, one to three processes, submitters, faults,
//! crashes, power cuts, pauses; and a checker that holds every promise after every step.
//!
//! | module | what it is |
//! |---|---|
//! | `plan`, `event` | what a seed makes, and what happens when |
//! | `bucket`, `link` | an object store behind a network that loses, repeats and delays calls |
//! | `machine` | a folder on a disk whose power is cut |
//! | `process`, `submit` | those who write, and those who send |
//! | `signer` | who keeps the key, and signs when it suits |
//! | `stage` | lets things happen, and brings back who died |
//! | `checker` | the promises |
//! | `world`, `trace` | what they share, and what is left of a run |
//!
//! Everything is decided by the seed: one thread, simulated time, one pair of dice. So a seed that
//! fails fails again, and is kept in `simulator/seeds.txt`.

mod bucket;
mod checker;
mod end;
mod event;
mod eye;
mod link;
mod machine;
mod plan;
mod process;
mod signer;
mod stage;
mod submit;
mod trace;
mod world;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use trace::Counts;

use crate::disk::SimulatedDisk;
use crate::world::simulate;
use checker::Checker;
use link::Link;
use plan::Plan;
use process::{Doors, Place, Process};
use stage::Stage;
use submit::Submitter;
use trace::Trace;
use world::{Weather, World};

/// What came of a seed.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<String>,
    /// The same for two runs that did the same.
    pub hash: u64,
    /// How often things happened.
    pub counts: Counts,
    /// What happened, line by line, if it was asked for.
    pub lines: Vec<String>,
}

/// What makes the dice of the signer others than those of all else.
const SIGNER: u64 = u64::from_be_bytes(*b"\0signing");

/// Runs a seed. `trace`: whether somebody will read what happened.
#[must_use]
pub fn run(seed: u64, trace: bool) -> Report {
    simulate(async {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::draw(&mut rng).with_freeze(&mut fastrand::Rng::with_seed(!seed));
        let mut signer_dice = fastrand::Rng::with_seed(seed ^ SIGNER);
        let plan = plan.with_signer(&mut signer_dice);
        let (world, place) = make_world(&plan, trace, &mut rng, signer_dice);
        world.note(None, format_args!("seed {seed}: {plan:?}"));
        let played = AssertUnwindSafe(play(&plan, &world, place, &mut rng)).catch_unwind().await;
        if let Err(panic) = played {
            world.violate(format!("a panic: {}", words(&*panic)));
        }
        report(seed, &world)
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of no words")
}

fn make_world(
    plan: &Plan,
    trace: bool,
    rng: &mut fastrand::Rng,
    signer_dice: fastrand::Rng,
) -> (Arc<World>, Place) {
    let (place, eye): (Place, Arc<dyn checker::Eye>) = if plan.is_bucket {
        let bucket = Arc::new(bucket::Bucket::default());
        (Place::Bucket(bucket.clone()), bucket)
    } else {
        let disk = SimulatedDisk::new(rng.u64(..));
        (Place::Machine(disk.clone()), Arc::new(disk))
    };
    let checker = Checker::new(eye, plan.settings.guards, plan.settings.dedup);
    let Plan { faults, signer, latency, .. } = *plan;
    let weather = Weather { faults, signer, latency, storm: None, outage: None };
    (Arc::new(World::new(Trace::new(trace), checker, weather, signer_dice)), place)
}

async fn play(plan: &Plan, world: &Arc<World>, place: Place, rng: &mut fastrand::Rng) {
    let doors = Doors::of(plan.processes);
    let mut stage = make_stage(plan, world, place, &doors, rng);
    let (home, go_home) = watch::channel(false);
    let submitters = send_submitters(plan, world, &doors, &go_home, rng);
    let start = Instant::now();
    for (at, event) in &plan.events {
        stage.pass_until(start + *at).await;
        stage.act(event).await;
    }
    stage.pass_until(start + plan.length).await;
    home.send_replace(true);
    let last = Submitter { name: "last".into(), ..submitter(plan.submitters[0], 0, world, &doors, rng) };
    stage.end_well(last, rng.bool()).await;
    submitters.iter().for_each(JoinHandle::abort);
}

fn make_stage(
    plan: &Plan,
    world: &Arc<World>,
    place: Place,
    doors: &Doors,
    rng: &mut fastrand::Rng,
) -> Stage {
    let mut process = |number| {
        let link = Arc::new(Link::new(world.clone(), number, rng.fork()));
        Process::new(link, rng.u64(..), place.clone(), plan.settings, doors.clone())
    };
    let mut processes: Vec<Process> = (0..plan.processes).map(&mut process).collect();
    let mut starts = vec![Some(Instant::now()); plan.processes];
    if plan.freezes {
        processes.push(process(plan.processes).that_freezes());
        starts.push(None);
    }
    let downs = vec![Duration::ZERO; processes.len()];
    Stage { world: world.clone(), place, processes, starts, downs, copy: None, freezing: false }
}

fn send_submitters(
    plan: &Plan,
    world: &Arc<World>,
    doors: &Doors,
    go_home: &watch::Receiver<bool>,
    rng: &mut fastrand::Rng,
) -> Vec<JoinHandle<()>> {
    let planned = plan.submitters.iter().enumerate();
    let sent = planned.map(|(number, plan)| submitter(*plan, number, world, doors, rng));
    sent.map(|submitter| tokio::spawn(submitter.submit_all(go_home.clone()))).collect()
}

fn submitter(
    plan: plan::Submitter,
    number: usize,
    world: &Arc<World>,
    doors: &Doors,
    rng: &mut fastrand::Rng,
) -> Submitter {
    let (world, doors, rng) = (world.clone(), doors.clone(), rng.fork());
    Submitter { name: format!("submitter {number}"), plan, world, doors, rng }
}

fn report(seed: u64, world: &World) -> Report {
    let (size, answered, published) = world.check(|checker| Ok(checker.counts()));
    let violation = world.violation();
    let mut trace = world.trace();
    for (what, count) in
        [("entries logged", size), ("different entries answered", answered), ("checkpoints", published)]
    {
        trace.counts.add(what, count);
    }
    let (hash, lines) = (trace.hash(), trace.lines());
    Report { seed, violation, hash, counts: trace.counts.clone(), lines }
}
