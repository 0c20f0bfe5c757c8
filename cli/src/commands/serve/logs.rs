//! The logs of a process, and which of them a request is for.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kiln_http::{
    Bytes, Client, Gate, Incoming, Method, NotReady, Probe, Request, Response, StatusCode, Uri, cors, header,
    health, reply,
};

use kiln_sequencer::Metrics;

use super::doors::Role;
use super::expositions;
use super::front::Front;
use crate::door::with_gate;
use crate::reading;

/// How long those wait who ask for a log that is out of order: it is tried again about as often.
const RETRY_SECS: u32 = 10;

/// A log that answers.
#[derive(Clone)]
pub(super) struct ServedLog {
    pub(super) front: Front,
    /// What its submissions pass.
    pub(super) gate: Arc<Gate>,
    /// Where others read it.
    pub(super) read_url: Arc<str>,
}

/// All of them. Clones share them.
#[derive(Clone)]
pub(super) enum Logs {
    /// One, to which every request goes.
    One(ServedLog),
    /// Those of a configuration, each below a path of its own.
    Many(Arc<Table>),
}

/// The logs of a configuration, in its order.
#[derive(Default)]
pub(super) struct Table(RwLock<Vec<Row>>);

/// Where a log answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// The host of the log's URL, where that is known.
    pub(super) host: Option<String>,
    /// Empty, or it begins and does not end with a slash.
    pub(super) path: String,
}

struct Row {
    name: String,
    place: Place,
    log: Result<ServedLog, OutOfOrder>,
}

/// Why a log does not answer.
#[derive(Clone, Debug)]
enum OutOfOrder {
    Starting,
    Failed,
}

/// What each log answers below its path, by the first of its names.
const OWN: [&str; 8] = ["add", "add-batch", "checkpoint", "tile", "log.json", "api", "healthz", "readyz"];

impl Place {
    /// Whether another place is among what a log here answers itself.
    pub(super) fn answers_itself(&self, other: &Self) -> bool {
        let rest = other.path.strip_prefix(self.path.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let first = rest.and_then(|rest| rest.split('/').next());
        self.host == other.host && first.is_some_and(|first| OWN.contains(&first))
    }

    /// What is left of the path of a request that is for this place: it begins with a slash.
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        match path.strip_prefix(self.path.as_str())? {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }
}

impl ServedLog {
    fn metrics(&self) -> String {
        with_gate(&self.front.metrics(), &self.gate)
    }
}

impl Table {
    /// The logs that there are to be, in this order; those that are there already stay as they are.
    pub(super) async fn arrange(&self, places: &[(String, Place)]) {
        let old = {
            let mut rows = self.write();
            let log = |name: &String| rows.iter().find(|row| row.name == *name).map(|row| row.log.clone());
            let row = |(name, place): &(String, Place)| Row {
                log: log(name).unwrap_or(Err(OutOfOrder::Starting)),
                name: name.clone(),
                place: place.clone(),
            };
            let new = places.iter().map(row).collect();
            std::mem::replace(&mut *rows, new)
        };
        drop_aside(old).await;
    }

    /// From now on this log answers.
    pub(super) async fn set(&self, name: &str, log: ServedLog) {
        self.change(name, Ok(log)).await;
    }

    /// From now on nobody answers for this log.
    pub(super) async fn fail(&self, name: &str) {
        self.change(name, Err(OutOfOrder::Failed)).await;
    }

    /// From now on nobody answers for this log, until it starts again.
    pub(super) async fn forget(&self, name: &str) {
        self.change(name, Err(OutOfOrder::Starting)).await;
    }

    async fn change(&self, name: &str, log: Result<ServedLog, OutOfOrder>) {
        let old = {
            let mut rows = self.write();
            let row = rows.iter_mut().find(|row| row.name == name);
            row.map(|row| std::mem::replace(&mut row.log, log))
        };
        drop_aside(old).await;
    }

    /// Answers a request: the log that it is for, or what the process says of itself.
    pub(super) async fn answer(
        &self,
        role: Role,
        mut request: Request<Incoming>,
        client: Client,
    ) -> Response {
        if let Some(response) = health(&request, self) {
            return response;
        }
        match self.find(&request) {
            Some((Ok(log), rest)) => {
                *request.uri_mut() = rest;
                role.answer(&log, request, client).await
            }
            Some((Err(OutOfOrder::Starting), _)) => unavailable("this log is starting"),
            Some((Err(OutOfOrder::Failed), _)) => unavailable("this log is out of order"),
            None => self.directory(&request),
        }
    }

    /// The log that a request is for, and what it asks of that.
    fn find(&self, request: &Request<Incoming>) -> Option<(Result<ServedLog, OutOfOrder>, Uri)> {
        let (rows, host, path) = (self.read(), host_of(request), request.uri().path());
        let row = &rows[found(rows.iter().map(|row| &row.place), host.as_deref(), path)?];
        Some((row.log.clone(), within(request.uri(), row.place.rest(path)?)))
    }

    /// What is here, for a person.
    fn directory(&self, request: &Request<Incoming>) -> Response {
        if request.uri().path() != "/" || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return cors::open(reply::not_found());
        }
        let rows = self.read();
        let lines: String = rows
            .iter()
            .map(|row| {
                let Place { host, path } = &row.place;
                format!("{:20}  {}{path}/\n", row.name, host.as_deref().unwrap_or_default())
            })
            .collect();
        reply::text(StatusCode::OK, format!("Transparency logs, run by Kiln.\n\n{lines}"))
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Row>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Row>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of these places a request is for: first those of its host, then those without one. Where there is none, as for
/// a prober that calls the process by its address, the only one with such a path. The longest path counts.
fn found<'a>(
    places: impl Iterator<Item = &'a Place> + Clone,
    host: Option<&str>,
    path: &str,
) -> Option<usize> {
    let below = places.enumerate().filter(|(_, place)| place.rest(path).is_some());
    let longest = |of: &dyn Fn(&Place) -> bool| {
        below.clone().filter(|(_, place)| of(place)).max_by_key(|(_, place)| place.path.len())
    };
    let of_host = longest(&|place| host.is_some() && place.host.as_deref() == host);
    let only = || {
        let (at, place) = longest(&|_| true)?;
        let alone = below.clone().filter(|(_, other)| other.path.len() == place.path.len()).count() == 1;
        alone.then_some((at, place))
    };
    of_host.or_else(|| longest(&|place| place.host.is_none())).or_else(only).map(|(at, _)| at)
}

/// Whoever is the last to hold a log may have a part of its dedup index to write.
async fn drop_aside<T: Send + 'static>(old: T) {
    let _ = tokio::task::spawn_blocking(move || drop(old)).await;
}

fn unavailable(why: &'static str) -> Response {
    cors::open(reply::unavailable(RETRY_SECS, format!("{why}; send it again in a while\n")))
}

/// The host that a request names, without a port.
fn host_of(request: &Request<Incoming>) -> Option<String> {
    match request.uri().authority() {
        Some(authority) => comparable_host(&format!("http://{authority}/")),
        None => comparable_host(&format!("http://{}/", request.headers().get(header::HOST)?.to_str().ok()?)),
    }
}

/// The host of a URL, as hosts are compared.
pub(super) fn comparable_host(url: &str) -> Option<String> {
    Some(reading::host_of(url)?.trim_end_matches('.').to_ascii_lowercase())
}

/// The same request target, with another path, which is a part of the old one.
fn within(uri: &Uri, path: &str) -> Uri {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Uri::from_maybe_shared(Bytes::from(target)).expect("a part of a path, and the query, are those of a URI")
}

impl Probe for Table {
    /// While one of them is: that another one is out of order is no reason to keep everybody from all.
    fn ready(&self) -> Result<(), NotReady> {
        let rows = self.read();
        let why = |row: &Row| match &row.log {
            Ok(log) => log.front.ready().err().map(|error| error.to_string()),
            Err(OutOfOrder::Starting) => Some("starting".to_owned()),
            Err(OutOfOrder::Failed) => Some("out of order".to_owned()),
        };
        let whys: Vec<_> =
            rows.iter().filter_map(|row| Some(format!("{}: {}", row.name, why(row)?))).collect();
        if whys.len() < rows.len() { Ok(()) } else { Err(NotReady::because(whys.join("; "))) }
    }

    fn metrics(&self) -> String {
        let rows = self.read();
        // A log that does not answer is there, and not ready: what is missing alarms nobody.
        let metrics =
            |row: &Row| row.log.as_ref().map_or_else(|_| Metrics::default().encode(), ServedLog::metrics);
        expositions::joined(rows.iter().map(|row| (row.name.as_str(), metrics(row))))
    }
}

impl Probe for Logs {
    fn ready(&self) -> Result<(), NotReady> {
        match self {
            Self::One(log) => log.front.ready(),
            Self::Many(table) => table.ready(),
        }
    }

    fn metrics(&self) -> String {
        match self {
            Self::One(log) => log.metrics(),
            Self::Many(table) => table.metrics(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: Option<&str>, path: &str) -> Place {
        Place { host: host.map(str::to_owned), path: path.to_owned() }
    }

    #[test]
    fn a_path_is_that_of_a_log_up_to_a_slash() {
        for (of_log, path, rest) in [
            ("", "/add", Some("/add")),
            ("", "/", Some("/")),
            ("/a", "/a/checkpoint", Some("/checkpoint")),
            ("/a", "/a", Some("/")),
            ("/a", "/ab", None),
            ("/a", "/", None),
            ("/a/b", "/a/b/tile/0/000", Some("/tile/0/000")),
        ] {
            assert_eq!(place(None, of_log).rest(path), rest, "{of_log} {path}");
        }
    }

    /// The API of Rekor on one host went to another log, below `/api` on a host of its own.
    #[test]
    fn the_host_counts_before_the_path() {
        let a = place(Some("a.example.com"), "/api");
        let b = place(Some("b.example.com"), "");
        let (c, d) = (place(None, "/c"), place(Some("d.example.com"), "/api"));
        let of = |host: &str, path: &str| found([&a, &b, &c, &d].into_iter(), Some(host), path);
        assert_eq!(of("a.example.com", "/api/v2"), Some(0));
        assert_eq!(of("b.example.com", "/api/v2"), Some(1));
        assert_eq!(of("d.example.com", "/api/v2"), Some(3));
        assert_eq!(of("b.example.com", "/c/add"), Some(1));
        assert_eq!(of("127.0.0.1", "/c/add"), Some(2));
        assert_eq!(of("127.0.0.1", "/api/v2"), None, "it might be for either");
        assert_eq!(of("127.0.0.1", "/checkpoint"), Some(1), "nobody else has such a path");
        assert_eq!(of("a.example.com", "/checkpoint"), Some(1));
    }

    #[test]
    fn what_follows_the_path_stays() {
        let uri: Uri = "/a/add?wait=sequenced".parse().unwrap();
        assert_eq!(within(&uri, "/add"), "/add?wait=sequenced".parse::<Uri>().unwrap());
    }
}
