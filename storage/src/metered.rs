//! A store whose use is counted.

use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tracing::{Instrument, debug_span, field};

use crate::error::{CreateError, PutError, StorageError, StorageErrorKind, SwapError};
use crate::partials::{PartialObjects, PartialPath};
use crate::path::ObjectPath;
use crate::store::{ImmutableObjects, Loaded, MutableObjects, Object, Register, Store};

/// A store that counts what it is asked: each call, how it ended, how long it took, and the bytes; but not how it is
/// listed. Clones share the counters.
#[derive(Clone, Debug)]
pub struct Metered<S: Store> {
    store: S,
    head: MeteredRegister<S::Head>,
    counters: Counters,
}

/// The head of a store that is counted.
#[derive(Clone, Debug)]
pub struct MeteredRegister<R> {
    register: R,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct Counters {
    operations: Family<Ended, Counter>,
    durations: Family<Operation, Histogram>,
    written: Counter,
    read: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Ended {
    operation: &'static str,
    outcome: &'static str,
}

/// Those that every writer does; whoever watches for growth would miss the first of what was not there before.
const OPERATIONS: [&str; 5] = ["create", "read", "replace", "load_head", "swap_head"];

impl Default for Counters {
    fn default() -> Self {
        // From a tenth of a millisecond to a quarter of a minute.
        let seconds = || Histogram::new(exponential_buckets(0.0001, 2.0, 18));
        let counters = Self {
            operations: Family::default(),
            durations: Family::new_with_constructor(seconds),
            written: Counter::default(),
            read: Counter::default(),
        };
        for operation in OPERATIONS {
            for outcome in ["ok", "transient", "denied", "full"] {
                drop(counters.operations.get_or_create(&Ended { operation, outcome }));
            }
        }
        counters
    }
}

impl Counters {
    /// Counts a call from here to its end. One that is given up is not counted.
    async fn count<T, E: Outcome>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let span = debug_span!(
            "storage",
            otel.name = operation,
            outcome = field::Empty,
            otel.status_code = field::Empty
        );
        let done = call.instrument(span.clone()).await;
        let outcome = done.as_ref().map_or_else(E::outcome, |_| "ok");
        if done.is_err() {
            span.record("outcome", outcome).record("otel.status_code", "error");
        }
        self.ended(operation, outcome, started.elapsed());
        done
    }

    fn ended(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.operations.get_or_create(&Ended { operation, outcome }).inc();
        self.durations.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    fn count_read(&self, body: Option<&Bytes>) {
        self.read.inc_by(body.map_or(0, |body| body.len() as u64));
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Calls to the log's store, by what was asked and how it ended";
        registry.register("storage_operations", help, self.operations.clone());
        let (unit, help) = (Unit::Seconds, "Time of calls to the log's store, their retries included");
        registry.register_with_unit("storage_operation_duration", help, unit, self.durations.clone());
        let help = "Bytes of objects written to the log's store, or tried to";
        registry.register_with_unit("storage_written", help, Unit::Bytes, self.written.clone());
        let help = "Bytes of objects read from the log's store";
        registry.register_with_unit("storage_read", help, Unit::Bytes, self.read.clone());
    }
}

/// How a call ended that failed, in a word.
trait Outcome {
    fn outcome(&self) -> &'static str;
}

impl Outcome for StorageError {
    fn outcome(&self) -> &'static str {
        match self.kind() {
            StorageErrorKind::Transient => "transient",
            StorageErrorKind::Full => "full",
            StorageErrorKind::Denied => "denied",
            StorageErrorKind::TooLarge => "too_large",
            StorageErrorKind::Held => "held",
        }
    }
}

impl Outcome for CreateError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Differs(_) => "differs",
            Self::Storage(error) => error.outcome(),
        }
    }
}

impl Outcome for PutError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Storage(error) => error.outcome(),
        }
    }
}

impl Outcome for SwapError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Storage(error) => error.outcome(),
        }
    }
}

impl<S: Store<Head: Clone>> Metered<S> {
    /// Counts what this store is asked from now on.
    #[must_use]
    pub fn new(store: S) -> Self {
        let counters = Counters::default();
        let head = MeteredRegister { register: store.head().clone(), counters: counters.clone() };
        Self { store, head, counters }
    }
}

impl<S: Store> Metered<S> {
    /// The store itself.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.store
    }
}

impl<S: Store<Head: Clone>> Store for Metered<S> {
    type Head = MeteredRegister<S::Head>;

    fn head(&self) -> &Self::Head {
        &self.head
    }

    fn is_exclusive(&self) -> bool {
        self.store.is_exclusive()
    }

    fn register_metrics(&self, registry: &mut Registry) {
        self.counters.register(registry);
        self.store.register_metrics(registry);
    }
}

impl<S: Store> ImmutableObjects for Metered<S> {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        self.counters.written.inc_by(objects.iter().map(|object| object.body.len() as u64).sum());
        self.counters.count("create", self.store.create(objects)).await
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        let read = self.counters.count("read", self.store.read(path)).await?;
        self.counters.count_read(read.as_ref());
        Ok(read)
    }
}

impl<S: Store> MutableObjects for Metered<S> {
    type Version = S::Version;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, S::Version)>, StorageError> {
        let read = self.counters.count("read", self.store.read_version(path)).await?;
        self.counters.count_read(read.as_ref().map(|(body, _)| body));
        Ok(read)
    }

    async fn put(
        &self,
        path: &ObjectPath,
        body: Bytes,
        expected: Option<S::Version>,
    ) -> Result<S::Version, PutError> {
        self.counters.written.inc_by(body.len() as u64);
        self.counters.count("replace", self.store.put(path, body, expected)).await
    }
}

impl<S: Store + PartialObjects> PartialObjects for Metered<S> {
    type Listing = S::Listing;

    fn list_partials(&self) -> S::Listing {
        self.store.list_partials()
    }

    async fn remove_partials(&self, paths: Vec<PartialPath>) -> Result<(), StorageError> {
        self.counters.count("remove", self.store.remove_partials(paths)).await
    }
}

impl<R: Register> Register for MeteredRegister<R> {
    type Held = R::Held;

    async fn load(&self) -> Result<Loaded<R::Held>, StorageError> {
        let loaded = self.counters.count("load_head", self.register.load()).await?;
        self.counters.count_read(loaded.value.as_ref());
        Ok(loaded)
    }

    async fn swap(&self, held: R::Held, value: Bytes) -> Result<R::Held, SwapError> {
        self.counters.written.inc_by(value.len() as u64);
        self.counters.count("swap_head", self.register.swap(held, value)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    fn exposed(store: &impl Store) -> String {
        let mut registry = Registry::default();
        store.register_metrics(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[tokio::test]
    async fn calls_are_counted_by_how_they_ended() {
        let store = Metered::new(Memory::default());
        let path: ObjectPath = "checkpoint".parse().unwrap();
        store.put(&path, Bytes::from_static(b"four"), None).await.unwrap();
        assert!(matches!(store.put(&path, Bytes::from_static(b"xx"), None).await, Err(PutError::Conflict)));
        assert_eq!(store.read(&path).await.unwrap().unwrap(), "four");
        let held = store.head().load().await.unwrap().held;
        store.head().swap(held, Bytes::from_static(b"head")).await.unwrap();
        let text = exposed(&store.clone());
        for line in [
            "storage_operations_total{operation=\"replace\",outcome=\"ok\"} 1",
            "storage_operations_total{operation=\"replace\",outcome=\"conflict\"} 1",
            "storage_operations_total{operation=\"swap_head\",outcome=\"ok\"} 1",
            "storage_operations_total{operation=\"create\",outcome=\"transient\"} 0",
            "storage_operation_duration_seconds_count{operation=\"replace\"} 2",
            "storage_written_bytes_total 10",
            "storage_read_bytes_total 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
