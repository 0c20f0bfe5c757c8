//! How often one object may be written.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use object_store::path::Path;
use tokio::time::{Instant, sleep_until};

use super::url::Cloud;

/// Spaces the writes of each mutable object. Google takes about one a second and answers 429 to more;
/// a write that waits is sooner done than one that is refused.
#[derive(Debug)]
pub(super) struct Pace {
    least: Duration,
    next: Mutex<BTreeMap<Path, Instant>>, // the few mutable objects of a log
}

impl Pace {
    pub(super) fn of(cloud: Cloud) -> Self {
        let least = if cloud == Cloud::Google { Duration::from_secs(1) } else { Duration::ZERO };
        Self { least, ..Self::none() }
    }

    /// As fast as it goes.
    pub(super) fn none() -> Self {
        Self { least: Duration::ZERO, next: Mutex::default() }
    }

    /// Waits for this object's turn, and takes it.
    pub(super) async fn take_turn(&self, path: &Path) {
        if !self.least.is_zero() {
            sleep_until(self.reserve(path)).await;
        }
    }

    fn reserve(&self, path: &Path) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.get(path).copied().unwrap_or(now).max(now);
        next.insert(path.clone(), turn + self.least);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_object_of_google_is_written_once_a_second() {
        let pace = Pace::of(Cloud::Google);
        let (head, checkpoint) = (Path::from("private/head"), Path::from("checkpoint"));
        let start = Instant::now();
        for second in 0..3 {
            pace.take_turn(&head).await;
            assert_eq!(start.elapsed().as_secs(), second);
        }
        pace.take_turn(&checkpoint).await;
        assert_eq!(start.elapsed().as_secs(), 2, "another object has its own pace");
        tokio::time::advance(Duration::from_secs(10)).await;
        pace.take_turn(&head).await;
        assert_eq!(start.elapsed().as_secs(), 12, "after a pause nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn other_clouds_need_no_pace() {
        let pace = Pace::of(Cloud::S3);
        let start = Instant::now();
        for _ in 0..3 {
            pace.take_turn(&Path::from("private/head")).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
