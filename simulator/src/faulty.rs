//! A store whose calls fail, each in one of three ways that the caller cannot tell apart, or take their time.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kiln_storage::{
    CreateError, ImmutableObjects, Loaded, Memory, MemoryListing, MemoryRegister, MutableObjects, Object,
    ObjectPath, PartialListing, PartialObjects, PartialPath, PutError, Register, StorageError,
    StorageErrorKind, Store, SwapError,
};
use tokio::time::Instant;

/// What becomes of a call that reports an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Nothing was done.
    Lost,
    /// It was done, and the answer was lost.
    Persisted,
    /// It is done at some later time, if it still can be.
    Late,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Persisted, Self::Late];
}

/// What becomes of the removal of partial objects.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Removals {
    /// They are done.
    #[default]
    Done,
    /// Nobody may.
    Denied,
    /// There is never an answer.
    Hanging,
}

/// Which calls fail. Clones share it, so one plan covers a store and its guard.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    calls: usize,
    at: Option<(Range<usize>, Fate)>,
    random: Option<(fastrand::Rng, f64)>,
    latency: Duration,
    pause: Option<(usize, Duration)>,
    asleep_until: Option<Instant>,
    late: Vec<BoxFuture<'static, ()>>,
    removals: Removals,
}

impl Faults {
    /// No call fails.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Call `number`, counted from 0, fails, and no other.
    #[must_use]
    pub fn at(number: usize, fate: Fate) -> Self {
        let faults = Self::default();
        faults.plan().at = Some((number..number + 1, fate));
        faults
    }

    /// These calls, counted from 0, fail, and do nothing.
    #[must_use]
    pub fn outage(calls: Range<usize>) -> Self {
        let faults = Self::default();
        faults.plan().at = Some((calls, Fate::Lost));
        faults
    }

    /// Each call takes its time, so that others come between any two, and fails with this
    /// probability, in a way that the seed decides.
    #[must_use]
    pub fn random(seed: u64, probability: f64) -> Self {
        let faults = Self::default();
        faults.plan().random = Some((fastrand::Rng::with_seed(seed), probability));
        faults
    }

    /// Each call takes this long, and does what it should.
    #[must_use]
    pub fn slow(latency: Duration) -> Self {
        let faults = Self::default();
        faults.set_latency(latency);
        faults
    }

    /// The call that comes after `more` others fails, and no other.
    pub fn fail_after(&self, more: usize, fate: Fate) {
        let mut plan = self.plan();
        let number = plan.calls + more;
        plan.at = Some((number..number + 1, fate));
    }

    /// From the call on that comes after `more` others, none is made before this pause is over.
    pub fn pause_at(&self, more: usize, pause: Duration) {
        let mut plan = self.plan();
        plan.pause = Some((plan.calls + more, pause));
    }

    /// From now on each call takes this long.
    pub fn set_latency(&self, latency: Duration) {
        self.plan().latency = latency;
    }

    /// From now on each call fails with this probability, as for [`random`](Self::random).
    pub fn fail_at_random(&self, seed: u64, probability: f64) {
        self.plan().random = Some((fastrand::Rng::with_seed(seed), probability));
    }

    /// What becomes of removals from now on.
    pub fn set_removals(&self, removals: Removals) {
        self.plan().removals = removals;
    }

    /// Whether no fault that was planned has come yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        let plan = self.plan();
        plan.at.as_ref().is_some_and(|(calls, _)| plan.calls <= calls.start)
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.plan().calls
    }

    /// From now on nothing fails. What was to be done late still may be.
    pub fn stop(&self) {
        let mut plan = self.plan();
        plan.at = None;
        plan.random = None;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and decides it. Something late may be done first.
    async fn next(&self) -> Option<Fate> {
        let pause = {
            let mut plan = self.plan();
            let (calls, now) = (plan.calls, Instant::now());
            if let Some((_, pause)) = plan.pause.take_if(|(call, _)| *call <= calls) {
                plan.asleep_until = Some(now + pause);
            }
            let asleep =
                plan.asleep_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            asleep + plan.latency + plan.random.as_mut().map_or(Duration::ZERO, |(rng, _)| pause(rng))
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let late = {
            let mut plan = self.plan();
            // With one fault, the late call comes two calls after its own; else at random.
            let due = match &mut plan.random {
                Some((rng, _)) => rng.f64() < 0.2,
                None => plan.at.as_ref().is_none_or(|(calls, _)| plan.calls > calls.start + 2),
            };
            if due { plan.late.pop() } else { None }
        };
        if let Some(late) = late {
            late.await;
        }
        let mut plan = self.plan();
        let number = plan.calls;
        plan.calls += 1;
        match &mut plan.random {
            Some((rng, probability)) => (rng.f64() < *probability).then(|| rng.choice(Fate::ALL)).flatten(),
            None => plan.at.as_ref().filter(|(calls, _)| calls.contains(&number)).map(|(_, fate)| *fate),
        }
    }

    fn later(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.plan().late.push(Box::pin(call));
    }
}

/// How long a call takes: mostly a moment, now and then so long that others get whole rounds done.
fn pause(rng: &mut fastrand::Rng) -> Duration {
    let longest = match rng.u8(..32) {
        0 => 3000,
        1..4 => 300,
        _ => 10,
    };
    Duration::from_millis(rng.u64(..longest))
}

fn fault() -> StorageError {
    StorageError::new(StorageErrorKind::Transient, "a simulated fault in", &"a call", None)
}

/// A store in memory whose calls fail as planned.
#[derive(Clone)]
pub struct FaultyStore {
    memory: Memory,
    head: FaultyRegister,
    faults: Faults,
    put: Arc<Mutex<Vec<Bytes>>>,
}

/// A register in memory whose calls fail as planned.
#[derive(Clone)]
pub struct FaultyRegister {
    memory: MemoryRegister,
    faults: Faults,
}

impl FaultyStore {
    /// This memory, with these faults.
    #[must_use]
    pub fn new(memory: Memory, faults: Faults) -> Self {
        let head = FaultyRegister::new(memory.head().clone(), faults.clone());
        Self { memory, head, faults, put: Arc::default() }
    }

    /// Every checkpoint that a caller ever tried to put.
    #[must_use]
    pub fn put_checkpoints(&self) -> Vec<Bytes> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FaultyRegister {
    /// This register, with these faults.
    #[must_use]
    pub const fn new(memory: MemoryRegister, faults: Faults) -> Self {
        Self { memory, faults }
    }
}

impl Store for FaultyStore {
    type Head = FaultyRegister;

    fn head(&self) -> &FaultyRegister {
        &self.head
    }
}

impl ImmutableObjects for FaultyStore {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let memory = self.memory.clone();
        match self.faults.next().await {
            None => return memory.create(objects).await,
            Some(Fate::Lost) => {}
            Some(Fate::Persisted) => memory.create(objects).await?,
            Some(Fate::Late) => self.faults.later(async move { drop(memory.create(objects).await) }),
        }
        Err(fault().into())
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let fate = self.faults.next().await;
        if fate.is_some() { Err(fault()) } else { self.memory.read(path).await }
    }
}

impl MutableObjects for FaultyStore {
    type Version = Bytes;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        let fate = self.faults.next().await;
        if fate.is_some() { Err(fault()) } else { self.memory.read_version(path).await }
    }

    async fn put(&self, path: &ObjectPath, body: Bytes, expected: Option<Bytes>) -> Result<Bytes, PutError> {
        if path.as_str() == "checkpoint" {
            self.put.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
        }
        let (memory, path) = (self.memory.clone(), path.clone());
        match self.faults.next().await {
            None => return memory.put(&path, body, expected).await,
            Some(Fate::Lost) => {}
            Some(Fate::Persisted) => drop(memory.put(&path, body, expected).await?),
            Some(Fate::Late) => {
                self.faults.later(async move { drop(memory.put(&path, body, expected).await) });
            }
        }
        Err(fault().into())
    }
}

/// A walk through the partial objects of such a store.
pub struct FaultyListing {
    listing: MemoryListing,
    faults: Faults,
}

impl PartialObjects for FaultyStore {
    type Listing = FaultyListing;

    fn list_partials(&self) -> FaultyListing {
        FaultyListing { listing: self.memory.list_partials(), faults: self.faults.clone() }
    }

    async fn remove_partials(&self, paths: Vec<PartialPath>) -> Result<(), StorageError> {
        let memory = self.memory.clone();
        let fate = self.faults.next().await;
        let removals = self.faults.plan().removals;
        match removals {
            Removals::Done => {}
            Removals::Denied => {
                return Err(StorageError::new(StorageErrorKind::Denied, "remove", &"partial objects", None));
            }
            Removals::Hanging => std::future::pending().await,
        }
        match fate {
            None => return memory.remove_partials(paths).await,
            Some(Fate::Lost) => {}
            Some(Fate::Persisted) => memory.remove_partials(paths).await?,
            Some(Fate::Late) => self.faults.later(async move { drop(memory.remove_partials(paths).await) }),
        }
        Err(fault())
    }
}

impl PartialListing for FaultyListing {
    async fn next(&mut self) -> Result<Option<Vec<PartialPath>>, StorageError> {
        let fate = self.faults.next().await;
        if fate.is_some() { Err(fault()) } else { self.listing.next().await }
    }
}

impl Register for FaultyRegister {
    type Held = u64;

    async fn load(&self) -> Result<Loaded<u64>, StorageError> {
        let fate = self.faults.next().await;
        if fate.is_some() { Err(fault()) } else { self.memory.load().await }
    }

    async fn swap(&self, held: u64, value: Bytes) -> Result<u64, SwapError> {
        let memory = self.memory.clone();
        match self.faults.next().await {
            None => return memory.swap(held, value).await,
            Some(Fate::Lost) => {}
            Some(Fate::Persisted) => drop(memory.swap(held, value).await?),
            Some(Fate::Late) => self.faults.later(async move { drop(memory.swap(held, value).await) }),
        }
        Err(fault().into())
    }
}
