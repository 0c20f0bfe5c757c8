//! An object store: linearizable, with versions that are derived from content, and behind a network
//! that loses, repeats and delays.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::join_all;
use kiln_storage::{
    CreateError, ImmutableObjects, Loaded, MutableObjects, Object, ObjectPath, PutError, Register,
    StorageError, Store, SwapError,
};
use tokio::sync::oneshot;

use super::checker::Checker;
use super::link::{Call, Fate, Link, fault, pass};

/// The bucket of a log, and those of its guards. What stands in it is its own version, as equal
/// content has equal `ETag`s.
#[derive(Debug, Default)]
pub(crate) struct Bucket(Mutex<Contents>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) objects: BTreeMap<String, Bytes>,
    pub(crate) guards: [Option<Bytes>; 2],
}

/// A register: an object that is only ever swapped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Which {
    /// The head of the log.
    Head,
    /// A guard.
    Guard(usize),
}

impl Which {
    pub(crate) const fn swap(self) -> Call {
        match self {
            Self::Head => Call::SwapHead,
            Self::Guard(_) => Call::SwapGuard,
        }
    }
}

pub(crate) const HEAD: &str = "private/head";

impl Contents {
    pub(crate) fn register(&self, which: Which) -> Option<Bytes> {
        match which {
            Which::Head => self.objects.get(HEAD).cloned(),
            Which::Guard(number) => self.guards[number].clone(),
        }
    }

    fn set_register(&mut self, which: Which, value: Bytes) {
        match which {
            Which::Head => drop(self.objects.insert(HEAD.into(), value)),
            Which::Guard(number) => self.guards[number] = Some(value),
        }
    }
}

impl Bucket {
    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, object: &Object) -> Result<(), CreateError> {
        let mut contents = self.contents();
        let standing = contents.objects.entry(object.path.to_string()).or_insert_with(|| object.body.clone());
        if *standing == object.body { Ok(()) } else { Err(CreateError::Differs(object.path.clone())) }
    }

    fn put(&self, path: &ObjectPath, body: &Bytes, expected: Option<&Bytes>) -> Result<Bytes, PutError> {
        let mut contents = self.contents();
        if contents.objects.get(path.as_str()) != expected {
            return Err(PutError::Conflict);
        }
        contents.objects.insert(path.to_string(), body.clone());
        Ok(body.clone())
    }

    fn swap(&self, which: Which, held: Option<&Bytes>, value: &Bytes) -> Result<Option<Bytes>, SwapError> {
        let mut contents = self.contents();
        if contents.register(which).as_ref() != held {
            return Err(SwapError::Conflict);
        }
        contents.set_register(which, value.clone());
        Ok(Some(value.clone()))
    }
}

/// The bucket, as one process reaches it.
#[derive(Clone)]
pub(crate) struct Remote {
    bucket: Arc<Bucket>,
    link: Arc<Link>,
    head: RemoteRegister,
}

/// A register in a bucket, as one process reaches it.
#[derive(Clone)]
pub(crate) struct RemoteRegister {
    bucket: Arc<Bucket>,
    link: Arc<Link>,
    which: Which,
}

impl Remote {
    pub(crate) fn new(bucket: Arc<Bucket>, link: Arc<Link>) -> Self {
        let head = RemoteRegister::new(bucket.clone(), link.clone(), Which::Head);
        Self { bucket, link, head }
    }
}

impl RemoteRegister {
    pub(crate) const fn new(bucket: Arc<Bucket>, link: Arc<Link>, which: Which) -> Self {
        Self { bucket, link, which }
    }
}

impl Link {
    /// Changes something. What has been sent is done, whatever becomes of the sender.
    async fn change<T, E>(
        &self,
        call: Call,
        change: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let trip = self.send(call).await;
        let (done, answered) = trip.done();
        let (change, (tell, told)) = (Arc::new(change), oneshot::channel());
        let mut tell = Some(tell);
        for (number, after) in done.into_iter().enumerate() {
            let (change, tell) = (change.clone(), tell.take_if(|_| answered == Some(number)));
            tokio::spawn(async move {
                pass(after).await;
                let changed = change();
                // Whoever asked may be gone.
                tell.map(|tell| tell.send(changed));
            });
        }
        let outcome = if answered.is_some() {
            told.await.unwrap_or_else(|_| Err(fault().into()))
        } else {
            pass(trip.out).await;
            self.world.count("faults of calls");
            Err(fault().into())
        };
        self.hear(trip.back).await;
        outcome
    }

    async fn read<T>(
        &self,
        what: &(dyn fmt::Display + Sync),
        read: impl Fn() -> T,
    ) -> Result<T, StorageError> {
        let trip = self.send(Call::Read).await;
        pass(trip.out).await;
        let found = if trip.fate == Fate::Done { Ok(read()) } else { Err(fault()) };
        let outcome = if found.is_ok() { "" } else { ": failed" };
        self.world.note(Some(self.process), format_args!("read {what}{outcome}"));
        self.hear(trip.back).await;
        found
    }
}

/// How a change went, for the trace.
fn word<T, E: fmt::Display>(outcome: &Result<T, E>) -> String {
    outcome.as_ref().err().map_or_else(|| "done".into(), ToString::to_string)
}

impl Store for Remote {
    type Head = RemoteRegister;

    fn head(&self) -> &RemoteRegister {
        &self.head
    }
}

impl ImmutableObjects for Remote {
    /// Each object is a call of its own.
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        let creates = objects.into_iter().map(|object| {
            let (bucket, world, process) = (self.bucket.clone(), self.link.world.clone(), self.link.process);
            self.link.change(Call::Create, move || {
                world.check(|checker| checker.creates(&object));
                let created = bucket.create(&object);
                world.note(Some(process), format_args!("create {}: {}", object.path, word(&created)));
                created
            })
        });
        join_all(creates).await.into_iter().collect()
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        self.link.read(path, || self.bucket.contents().objects.get(path.as_str()).cloned()).await
    }
}

impl MutableObjects for Remote {
    type Version = Bytes;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        let found = self.read(path).await?;
        Ok(found.map(|body| (body.clone(), body)))
    }

    async fn put(&self, path: &ObjectPath, body: Bytes, expected: Option<Bytes>) -> Result<Bytes, PutError> {
        if path.as_str() == "checkpoint" {
            self.link.world.check(|checker| checker.signed(&body));
        }
        let (bucket, world, process) = (self.bucket.clone(), self.link.world.clone(), self.link.process);
        let path = path.clone();
        let change = move || {
            let put = bucket.put(&path, &body, expected.as_ref());
            world.note(Some(process), format_args!("put {path}: {}", word(&put)));
            if put.is_ok() && path.as_str() == "checkpoint" {
                world.check(Checker::look_at_checkpoint);
            }
            put
        };
        self.link.change(Call::Put, change).await
    }
}

impl Register for RemoteRegister {
    type Held = Option<Bytes>;

    async fn load(&self) -> Result<Loaded<Option<Bytes>>, StorageError> {
        let what = format!("{:?}", self.which);
        let value = self.link.read(&what, || self.bucket.contents().register(self.which)).await?;
        Ok(Loaded { held: value.clone(), value })
    }

    async fn swap(&self, held: Option<Bytes>, value: Bytes) -> Result<Option<Bytes>, SwapError> {
        let (bucket, world, process) = (self.bucket.clone(), self.link.world.clone(), self.link.process);
        let which = self.which;
        let change = move || {
            let swapped = bucket.swap(which, held.as_ref(), &value);
            world.note(Some(process), format_args!("swap {which:?}: {}", word(&swapped)));
            match &swapped {
                Ok(_) => world.look_at(which, process),
                Err(_) if which == Which::Head => world.count("swaps of the head refused"),
                Err(_) => world.count("swaps of a guard refused"),
            }
            swapped
        };
        self.link.change(which.swap(), change).await
    }
}
