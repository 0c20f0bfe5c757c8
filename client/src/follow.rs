//! The entries of a log as they come.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};

use crate::bundle::VerifiedBundle;
use crate::client::Client;
use crate::error::ClientError;
use crate::source::Source;
use crate::stream::{Bundles, Entries, walk};

/// The longest pause between two attempts at a log that cannot be read.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl<S: Source + 'static> Client<S> {
    /// The entries from index `from` on, those that are there and, without end, those that come. It
    /// looks for a new checkpoint at an [interval](crate::ClientBuilder::poll_interval).
    ///
    /// Each failure is an item. After one that is [retryable](ClientError::is_retryable) the stream
    /// goes on where it was, after a pause that doubles up to a minute; any other is the last item.
    /// It needs a tokio runtime with a timer. Nothing runs while nobody polls; drop it at any time.
    #[must_use]
    pub fn follow(&self, from: u64) -> Entries {
        self.follow_bundles(from).into()
    }

    /// As [`follow`](Self::follow), a bundle at a time.
    #[must_use]
    pub fn follow_bundles(&self, from: u64) -> Bundles {
        let pause = Duration::ZERO;
        let tail = Tail { client: self.clone(), next: from, reading: None, pause, over: false };
        Bundles::new(stream::unfold(tail, Tail::step))
    }
}

struct Tail<S> {
    client: Client<S>,
    next: u64,
    reading: Option<BoxStream<'static, Result<VerifiedBundle, ClientError>>>,
    pause: Duration, // before the next look at the checkpoint
    over: bool,
}

impl<S: Source + 'static> Tail<S> {
    async fn step(mut self) -> Option<(Result<VerifiedBundle, ClientError>, Self)> {
        if self.over {
            return None;
        }
        let item = self.read().await;
        match &item {
            Ok(bundle) => self.next = bundle.end(),
            Err(error) => self.failed(error),
        }
        Some((item, self))
    }

    async fn read(&mut self) -> Result<VerifiedBundle, ClientError> {
        loop {
            if let Some(reading) = &mut self.reading {
                if let Some(item) = reading.next().await {
                    return item;
                }
                self.reading = None;
                self.pause = self.client.shared.poll_interval;
            }
            tokio::time::sleep(self.pause).await;
            self.look().await?;
        }
    }

    /// Asks for the newest tree, and begins to read where it has more.
    async fn look(&mut self) -> Result<(), ClientError> {
        self.client.update().await?;
        let tree = self.client.reaching(0).await?.tree;
        let range = self.next..tree.head().size();
        self.reading = Some(walk(tree, range).boxed());
        Ok(())
    }

    fn failed(&mut self, error: &ClientError) {
        let interval = self.client.shared.poll_interval;
        self.over = !error.is_retryable();
        self.reading = None;
        self.pause = (self.pause * 2).clamp(interval, MAX_PAUSE.max(interval));
    }
}
