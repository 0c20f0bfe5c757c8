//! The logs of a process, and which of them a request is for.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kiln_http::{
    Bytes, Client, Gate, Incoming, Method, NotReady, Probe, Request, Response, StatusCode, Uri, cors, header,
    health, reply,
};

use super::doors::Role;
use super::expositions;
use super::front::Front;
use crate::door::with_gate;

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

impl Place {
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
    pub(super) fn arrange(&self, places: &[(String, Place)]) {
        let mut rows = self.write();
        let old = std::mem::take(&mut *rows);
        *rows = places
            .iter()
            .map(|(name, place)| {
                let log = old.iter().find(|row| row.name == *name).map(|row| row.log.clone());
                Row {
                    name: name.clone(),
                    place: place.clone(),
                    log: log.unwrap_or(Err(OutOfOrder::Starting)),
                }
            })
            .collect();
    }

    /// From now on this log answers.
    pub(super) fn set(&self, name: &str, log: ServedLog) {
        self.change(name, Ok(log));
    }

    /// From now on nobody answers for this log.
    pub(super) fn fail(&self, name: &str) {
        self.change(name, Err(OutOfOrder::Failed));
    }

    /// From now on nobody answers for this log, until it starts again.
    pub(super) fn forget(&self, name: &str) {
        self.change(name, Err(OutOfOrder::Starting));
    }

    fn change(&self, name: &str, log: Result<ServedLog, OutOfOrder>) {
        if let Some(row) = self.write().iter_mut().find(|row| row.name == name) {
            row.log = log;
        }
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

    /// The log that a request is for, and what it asks of that. The longest path counts, then the host. A host that no log
    /// there has, as that of a prober, is for the log that names none, or the only one.
    fn find(&self, request: &Request<Incoming>) -> Option<(Result<ServedLog, OutOfOrder>, Uri)> {
        let (rows, host, path) = (self.read(), host_of(request), request.uri().path());
        let below = || rows.iter().filter(|row| row.place.rest(path).is_some());
        let longest = below().map(|row| row.place.path.len()).max()?;
        let here: Vec<_> = below().filter(|row| row.place.path.len() == longest).collect();
        let of_host = |host: Option<&String>| here.iter().find(|row| row.place.host.as_ref() == host);
        let only = || here.first().filter(|_| here.len() == 1);
        let row =
            host.as_ref().and_then(|host| of_host(Some(host))).or_else(|| of_host(None)).or_else(only)?;
        let rest = row.place.rest(path)?;
        Some((row.log.clone(), within(request.uri(), rest)))
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

fn unavailable(why: &'static str) -> Response {
    cors::open(reply::unavailable(RETRY_SECS, format!("{why}; send it again in a while\n")))
}

/// The host that a request names, without a port.
fn host_of(request: &Request<Incoming>) -> Option<String> {
    let named = || host_in(request.headers().get(header::HOST)?.to_str().ok()?);
    request.uri().host().map(str::to_ascii_lowercase).or_else(named)
}

/// The host of `host:port`.
fn host_in(authority: &str) -> Option<String> {
    let uri: Uri = format!("http://{authority}/").parse().ok()?;
    uri.host().map(str::to_ascii_lowercase)
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
        let answering = rows.iter().filter_map(|row| Some((row.name.as_str(), row.log.as_ref().ok()?)));
        expositions::joined(answering.map(|(name, log)| (name, log.metrics())))
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

    #[test]
    fn what_follows_the_path_stays() {
        let uri: Uri = "/a/add?wait=sequenced".parse().unwrap();
        assert_eq!(within(&uri, "/add"), "/add?wait=sequenced".parse::<Uri>().unwrap());
    }
}
