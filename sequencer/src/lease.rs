//! The lease: who is writing now, on stores that cannot lock. It answers one question, "shall I
//! try?", and nothing is safe because of it: what makes a writer harmless that was paused for a day
//! and woken is that its swap of the head fails.
//!
//! It stands in `private/lease`:
//!
//! ```text
//! kiln-lease/v1
//! <SHA-256 of the log's vkey, hex>
//! <the holder's id, drawn when it took the lease, hex> <how often it was renewed> held|released
//! <the holder, in words>
//! <the URL where the holder takes entries, or nothing>
//! ```
//!
//! Nobody compares clocks: a lease has run out for who has seen it unchanged for its whole time.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kiln_storage::{MutableObjects, ObjectPath, PutError, StorageError};
use kiln_tiles::Hash;
use tokio::time::Instant;

const HEADER: &str = "kiln-lease/v1";

/// Who holds a lease.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holder {
    /// In words: program, process and machine.
    pub name: String,
    /// Where it takes entries, if it says so.
    pub url: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.url {
            Some(url) => write!(f, "{} at {url}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What stands in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Record {
    id: [u8; 16],
    renewals: u64,
    released: bool,
    holder: Holder,
}

/// A lease that this writer took.
#[derive(Debug)]
pub(crate) struct Lease<V> {
    record: Record,
    version: V,
}

/// Why a lease was not taken or renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    /// Somebody else holds it.
    #[error("held by {0}")]
    Held(Holder),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was seen of another's lease.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The record, and since when it has not changed.
    last: Option<(Record, Instant)>,
    /// Whether it changed since it was first seen: its holder lives.
    changed: bool,
}

impl Seen {
    /// Whether this lease has run out, or been released.
    fn is_free(&mut self, record: &Record, lasts: Duration) -> bool {
        match &self.last {
            Some((seen, since)) if seen == record => record.released || since.elapsed() >= lasts,
            last => {
                self.changed = last.is_some();
                self.last = Some((record.clone(), Instant::now()));
                record.released || lasts.is_zero()
            }
        }
    }

    /// How long until it has run out, if nobody renews it.
    pub(crate) fn time_left(&self, lasts: Duration) -> Option<Duration> {
        let (_, since) = self.last.as_ref()?;
        Some(lasts.saturating_sub(since.elapsed()))
    }

    /// Whether the holder was seen to renew it.
    pub(crate) const fn is_alive(&self) -> bool {
        self.changed
    }
}

impl<V: Clone + Send + Sync> Lease<V> {
    /// Takes the lease if it is free: none was taken yet, it was released, `seen` to run out, or has
    /// this id.
    pub(crate) async fn take<S: MutableObjects<Version = V> + Sync>(
        store: &S,
        log: Hash,
        (id, holder): ([u8; 16], Holder),
        (seen, lasts): (&mut Seen, Duration),
    ) -> Result<Self, LeaseError> {
        let mut version = None;
        if let Some((body, found)) = store.read_version(&path()).await? {
            version = Some(found);
            // A lease that nobody can read is nobody's.
            let theirs = parse(&body, log).filter(|record| record.id != id);
            if let Some(record) = theirs.filter(|record| !seen.is_free(record, lasts)) {
                return Err(LeaseError::Held(record.holder));
            }
        }
        let record = Record { id, renewals: 0, released: false, holder };
        match store.put(&path(), print(log, &record), version).await {
            Ok(version) => Ok(Self { record, version }),
            Err(PutError::Conflict) => {
                Err(LeaseError::Held(Holder { name: "another process".into(), url: None }))
            }
            Err(PutError::Storage(error)) => Err(error.into()),
        }
    }

    /// Shows that this writer lives, or that it has ended.
    pub(crate) async fn renew<S: MutableObjects<Version = V> + Sync>(
        &mut self,
        store: &S,
        log: Hash,
        released: bool,
    ) -> Result<(), LeaseError> {
        let record = Record { renewals: self.record.renewals + 1, released, ..self.record.clone() };
        let body = print(log, &record);
        match store.put(&path(), body.clone(), Some(self.version.clone())).await {
            Ok(version) => *self = Self { record, version },
            // An earlier try may have arrived, so only a read tells.
            Err(_) => match store.read_version(&path()).await? {
                Some((found, version)) => self.found(&found, version, log)?,
                None => return Err(LeaseError::Held(Holder::default())),
            },
        }
        Ok(())
    }

    fn found(&mut self, body: &[u8], version: V, log: Hash) -> Result<(), LeaseError> {
        match parse(body, log) {
            Some(record) if record.id == self.record.id => {
                *self = Self { record, version };
                Ok(())
            }
            other => Err(LeaseError::Held(other.map(|record| record.holder).unwrap_or_default())),
        }
    }
}

/// Who holds the lease, as far as it says.
pub(crate) async fn holder(store: &impl MutableObjects, log: Hash) -> Result<Option<Holder>, StorageError> {
    let found = store.read_version(&path()).await?;
    let record = found.and_then(|(body, _)| parse(&body, log));
    Ok(record.filter(|record| !record.released).map(|record| record.holder))
}

fn path() -> ObjectPath {
    "private/lease".parse().expect("an object name")
}

fn print(log: Hash, record: &Record) -> Bytes {
    let Record { id, renewals, released, holder } = record;
    let (id, state) = (u128::from_be_bytes(*id), if *released { "released" } else { "held" });
    let url = holder.url.as_deref().unwrap_or_default();
    let text = format!("{HEADER}\n{}\n{id:032x} {renewals} {state}\n{}\n{url}\n", log.to_hex(), holder.name);
    text.into()
}

fn parse(body: &[u8], log: Hash) -> Option<Record> {
    let mut lines = std::str::from_utf8(body).ok()?.strip_suffix('\n')?.split('\n');
    let ours = lines.next() == Some(HEADER) && lines.next() == Some(log.to_hex().as_str());
    let mut words = lines.next()?.split(' ');
    let id = u128::from_str_radix(words.next().filter(|id| id.len() == 32)?, 16).ok()?.to_be_bytes();
    let renewals = words.next()?.parse().ok()?;
    let released = words.next()? == "released";
    let (name, url) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    let holder = Holder { name, url: Some(url).filter(|url| !url.is_empty()) };
    let record = Record { id, renewals, released, holder };
    // One spelling: what is accepted is what is printed.
    (ours && print(log, &record) == body).then_some(record)
}

#[cfg(test)]
mod tests {
    use kiln_storage::Memory;

    use super::*;

    const LASTS: Duration = Duration::from_secs(10);

    fn log() -> Hash {
        Hash::leaf(b"log")
    }

    async fn take(store: &Memory, id: u8, seen: &mut Seen) -> Result<Lease<Bytes>, LeaseError> {
        let holder = Holder { name: format!("writer {id}"), url: Some("http://127.0.0.1:1".into()) };
        Lease::take(store, log(), ([id; 16], holder), (seen, LASTS)).await
    }

    fn holder_of(error: &LeaseError) -> &str {
        match error {
            LeaseError::Held(holder) => &holder.name,
            LeaseError::Storage(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_lease_reads_what_it_prints_and_nothing_else() {
        let holder = Holder { name: "kiln serve, process 7 on host".into(), url: None };
        let record = Record { id: [7; 16], renewals: 3, released: false, holder };
        let body = print(log(), &record);
        assert_eq!(parse(&body, log()), Some(record));
        assert_eq!(parse(&body, Hash::leaf(b"other")), None);
        for end in 0..body.len() {
            assert_eq!(parse(&body[..end], log()), None, "cut at {end}");
        }
        let text = String::from_utf8(body.to_vec()).unwrap();
        for (good, bad) in [(" 3 ", " +3 "), ("held", "maybe"), ("host\n", "host\n\n"), ("0707", "070A")] {
            assert_eq!(parse(text.replacen(good, bad, 1).as_bytes(), log()), None, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_when_it_was_not_renewed_for_its_whole_time() {
        let (store, mut seen) = (Memory::new(), Seen::default());
        let mut first = take(&store, 1, &mut Seen::default()).await.unwrap();
        for _ in 0..8 {
            let held = take(&store, 2, &mut seen).await.unwrap_err();
            assert_eq!(holder_of(&held), "writer 1");
            tokio::time::sleep(LASTS / 2).await;
            first.renew(&store, log(), false).await.unwrap();
        }
        assert!(take(&store, 2, &mut seen).await.is_err(), "it has just changed");
        tokio::time::sleep(LASTS - Duration::from_secs(1)).await;
        assert!(take(&store, 2, &mut seen).await.is_err());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut second = take(&store, 2, &mut seen).await.unwrap();
        let lost = first.renew(&store, log(), false).await.unwrap_err();
        assert_eq!(holder_of(&lost), "writer 2");
        second.renew(&store, log(), false).await.unwrap();
    }

    /// A writer in a folder, which was locked, found the lease of the process before it, and those who stood by were told
    /// the wrong name after each restart.
    #[tokio::test(start_paused = true)]
    async fn who_has_locked_the_head_takes_any_lease_at_once() {
        let store = Memory::new();
        take(&store, 1, &mut Seen::default()).await.unwrap();
        let locked = ([2; 16], Holder { name: "writer 2".into(), url: None });
        Lease::take(&store, log(), locked, (&mut Seen::default(), Duration::ZERO)).await.unwrap();
        assert_eq!(holder(&store, log()).await.unwrap().unwrap().name, "writer 2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_was_released_or_is_unreadable_is_free_at_once() {
        let store = Memory::new();
        let mut first = take(&store, 1, &mut Seen::default()).await.unwrap();
        assert_eq!(holder(&store, log()).await.unwrap().unwrap().name, "writer 1");
        first.renew(&store, log(), true).await.unwrap();
        assert_eq!(holder(&store, log()).await.unwrap(), None);
        take(&store, 2, &mut Seen::default()).await.unwrap();
        store.tamper(&path(), Some(Bytes::from_static(b"nonsense")));
        take(&store, 3, &mut Seen::default()).await.unwrap();
    }
}
