//! The lists of logs that a witness or mirror was told of, read again and again.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use kiln_client::{HttpSource, Source};
use kiln_witness::{Listing, LogList};

use crate::failure::Failure;
use crate::files;
use crate::reading::http_options;
use crate::signals::Stop;

/// All lists, each with what it said last.
pub(crate) struct Lists {
    lists: Vec<List>,
}

struct List {
    name: String,
    place: Place,
    /// What it said when it was last a list: one that breaks takes nothing back.
    last: Option<LogList>,
    /// What was last wrong with it, so that it is not told every minute.
    complaint: Option<String>,
}

enum Place {
    File(PathBuf),
    Url { below: Box<HttpSource>, path: String },
}

impl Lists {
    /// The lists at these places.
    pub(crate) fn new(names: &[String]) -> Result<Self, Failure> {
        let lists = names.iter().map(|name| List::new(name)).collect::<Result<_, _>>()?;
        Ok(Self { lists })
    }

    /// Reads the lists for the first time. Who knows logs goes on with these where a list cannot be read; who knows none
    /// has nothing to do, and is told so by `none`.
    pub(crate) async fn first_read(mut self, listing: &Listing, none: &'static str) -> Result<Self, Failure> {
        if self.lists.is_empty() && listing.logs().is_empty() {
            return Err(Failure::usage(none));
        }
        match self.read(listing).await {
            Err(failure) if listing.logs().is_empty() => Err(failure),
            _ => Ok(self),
        }
    }

    /// Reads all lists, and takes what they say.
    ///
    /// # Errors
    /// The first that could not be had, after all others were taken.
    async fn read(&mut self, listing: &Listing) -> Result<(), Failure> {
        let mut first = Ok(());
        for list in &mut self.lists {
            let read = list.read(listing).await;
            list.tell(read.as_ref().err());
            first = first.and(read);
        }
        let lists: Vec<LogList> = self.lists.iter().filter_map(|list| list.last.clone()).collect();
        let known = listing.clone();
        // It writes to the disk.
        let taken = tokio::task::spawn_blocking(move || known.logs().take(&lists)).await;
        let taken = taken.map_err(Failure::undone)?.map_err(|error| {
            tracing::error!(%error, "the logs stay as they were, disabled ones included");
            Failure::undone(error)
        })?;
        if taken.added > 0 {
            tracing::info!(keys = taken.added, "new logs");
        }
        if taken.left_out > 0 {
            tracing::warn!(
                keys = taken.left_out,
                "the lists name more keys than a log, or all together, may have"
            );
        }
        first
    }

    /// Reads them every so often, until the process is told to stop.
    pub(crate) async fn poll(mut self, listing: Listing, every: Duration, mut stop: Stop) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            // What is wrong was told, and is tried again.
            let _ = self.read(&listing).await;
        }
    }
}

impl List {
    fn new(name: &str) -> Result<Self, Failure> {
        let is_url = ["http://", "https://"].iter().any(|scheme| name.starts_with(scheme));
        let place = if is_url {
            let (below, path) = name.rsplit_once('/').unwrap_or((name, ""));
            let below = HttpSource::with_options(below, http_options())?;
            Place::Url { below: Box::new(below), path: path.to_owned() }
        } else {
            Place::File(name.into())
        };
        Ok(Self { name: name.to_owned(), place, last: None, complaint: None })
    }

    async fn read(&mut self, listing: &Listing) -> Result<(), Failure> {
        let bytes = match self.fetch().await {
            Ok(bytes) => bytes,
            Err(failure) => {
                listing.count_missing_list();
                return Err(failure);
            }
        };
        let list = LogList::parse(&bytes);
        listing.count_list(&list);
        let list = list.map_err(|error| Failure::undone(format!("{}: {error}", self.name)))?;
        if list.skipped() > 0 && self.last.as_ref() != Some(&list) {
            tracing::warn!(list = self.name, logs = list.skipped(), "left out: keys of an unknown type");
        }
        self.last = Some(list);
        Ok(())
    }

    async fn fetch(&self) -> Result<Bytes, Failure> {
        match &self.place {
            Place::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || files::read(&path, LogList::MAX_SIZE));
                Ok(read.await.map_err(Failure::undone)??.into())
            }
            Place::Url { below, path } => {
                let fetched = below.fetch(path, LogList::MAX_SIZE).await;
                let fetched = fetched.map_err(|error| Failure::undone(error).at(&self.name))?;
                fetched.ok_or_else(|| Failure::undone("there is no such list").at(&self.name))
            }
        }
    }

    fn tell(&mut self, failure: Option<&Failure>) {
        let complaint = failure.map(ToString::to_string);
        if complaint != self.complaint {
            match &complaint {
                Some(complaint) => tracing::warn!("{complaint}: the logs that are known stay"),
                None => tracing::info!(list = self.name, "the list of logs can be read again"),
            }
        }
        self.complaint = complaint;
    }
}
