//! A log that is served from a store whose reads can be held up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kiln_http::{Bytes, Limits};
use kiln_sequencer::{
    Dedup, Description, Log, LogServer, Options, Sequencer, ServerOptions, Status, SubmissionLimits,
    create_log,
};
use kiln_storage::{
    CreateError, ImmutableObjects, Memory, MemoryRegister, MutableObjects, Object, ObjectPath, PutError,
    StorageError, Store,
};
use kiln_tiles::SigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::common::Still;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A log, and its server.
pub(crate) struct World {
    pub(crate) store: HeldStore,
    sequencer: Option<Sequencer<HeldStore, MemoryRegister>>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl World {
    /// A log that is served, and not loaded yet.
    pub(crate) async fn not_loaded(options: ServerOptions) -> Self {
        let store = HeldStore::default();
        let key = SigningKey::from_seed("example.com/log".parse().unwrap(), [1; 32]);
        let log =
            Log::new(key, store.clone(), MemoryRegister::default(), Dedup::in_memory(), Arc::new(Still));
        create_log(&log).await.unwrap();
        let sequencer =
            Sequencer::new(log, Options { interval: Duration::from_millis(5), ..Options::default() });
        let server = Arc::new(LogServer::new(sequencer.shared(), &description(), options));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(kiln_http::serve(listener, Limits::default(), server, std::future::pending()));
        Self { store, sequencer: Some(sequencer), address, stop: watch::channel(false).0 }
    }

    pub(crate) async fn new(options: ServerOptions) -> Self {
        let mut world = Self::not_loaded(options).await;
        world.load().await;
        world
    }

    /// Loads the log and lets it run.
    pub(crate) async fn load(&mut self) {
        let sequencer = self.sequencer.take().unwrap();
        let mut states = sequencer.shared().watch();
        let writer = sequencer.load().await.unwrap();
        tokio::spawn(sequencer.run(writer, self.stop.subscribe()));
        states.wait_for(|state| matches!(state.status, Status::Ready)).await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.request("POST", path, headers, body).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut stream = self.send(method, path, headers, body.len(), body).await;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
        Reply::parse(&answer)
    }

    /// Sends a request, or what there is of its body, and reads nothing.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
        body: &[u8],
    ) -> TcpStream {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: kiln\r\nConnection: close\r\n");
        if method == "POST" {
            head += &format!("Content-Length: {length}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await.unwrap();
        stream
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        let (status, fields) = head.split_once("\r\n").unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: fields.split("\r\n").map(header).collect(),
            body: answer[end + 4..].to_vec(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn description() -> Description {
    Description {
        origin: "example.com/log".into(),
        witnesses: Vec::new(),
        vkeys: Vec::new(),
        submission_url: None,
        read_url: None,
        limits: SubmissionLimits::default(),
        end: None,
    }
}

/// A store in memory whose reads can be held up, as by a disk that is slow or gone.
#[derive(Clone, Default)]
pub(crate) struct HeldStore {
    pub(crate) memory: Memory,
    held: Arc<watch::Sender<Option<&'static str>>>,
    reads: Arc<AtomicUsize>,
}

impl HeldStore {
    /// Holds up the reads of everything whose name starts so; `None` lets them go on.
    pub(crate) fn hold(&self, prefix: Option<&'static str>) {
        self.held.send_replace(prefix);
    }

    /// How many reads are held up.
    pub(crate) fn waiting(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Store for HeldStore {
    type Head = MemoryRegister;

    fn head(&self) -> &MemoryRegister {
        self.memory.head()
    }
}

impl ImmutableObjects for HeldStore {
    async fn create(&self, objects: Vec<Object>) -> Result<(), CreateError> {
        self.memory.create(objects).await
    }

    async fn read(&self, path: &ObjectPath) -> Result<Option<Bytes>, StorageError> {
        // A disk does not stop reading when nobody waits any more: neither does this.
        let (memory, path, reads) = (self.memory.clone(), path.clone(), self.reads.clone());
        let mut held = self.held.subscribe();
        let read = tokio::spawn(async move {
            reads.fetch_add(1, Ordering::SeqCst);
            let free = |held: &Option<&str>| held.is_none_or(|prefix| !path.as_str().starts_with(prefix));
            let _ = held.wait_for(free).await;
            reads.fetch_sub(1, Ordering::SeqCst);
            // A copy of its own for each reader, as from a disk.
            memory.read(&path).await.map(|body| body.map(|body| Bytes::copy_from_slice(&body)))
        });
        read.await.unwrap()
    }
}

impl MutableObjects for HeldStore {
    type Version = Bytes;

    async fn read_version(&self, path: &ObjectPath) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        self.memory.read_version(path).await
    }

    async fn put(&self, path: &ObjectPath, body: Bytes, expected: Option<Bytes>) -> Result<Bytes, PutError> {
        self.memory.put(path, body, expected).await
    }
}
