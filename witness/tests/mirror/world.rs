//! A mirror in a folder of its own, the least of a client, and what a log sends.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use kiln_http::Limits;
use kiln_tiles::{
    AddCheckpoint, AddEntries, BundleCoord, Cosignatures, Cosigner, HashTile, MirrorInfo, Note, RightEdge,
    TileCoord, push_entry, push_package,
};
use kiln_witness::{Clock, Cosigners, KnownLogs, Mirror, Prefixes, Store, TicketKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::testing::TestLog;

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(pub(crate) AtomicU64);

impl Clock for TestClock {
    fn unix_time(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.unix_time())
    }
}

/// When all tests begin.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A folder, and the mirror that is started in it again and again.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
}

pub(crate) fn log() -> TestLog {
    TestLog::new("example.com/log")
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(TestClock(AtomicU64::new(NOW))) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A mirror that knows these logs.
    pub(crate) fn mirror(&self, logs: &[&TestLog]) -> Mirror {
        let known = KnownLogs::open(self.folder.path()).unwrap();
        let list: String = logs.iter().map(|log| format!("vkey {}\n", log.key.verifier_key())).collect();
        known.take(&[format!("logs/v0\n{list}").parse().unwrap()]).unwrap();
        let state = self.path("state.redb");
        let store = if state.exists() { Store::open(&state) } else { Store::create(&state) };
        let prefixes = Prefixes { submission: "http://m".to_owned(), monitoring: "http://r".to_owned() };
        let (tickets, clock) = (TicketKey::new([5; 32]), self.clock.clone());
        Mirror::new(cosigners(), known, store.unwrap(), self.folder.path(), tickets, prefixes, clock).unwrap()
    }

    pub(crate) async fn door(&self, logs: &[&TestLog]) -> Door {
        let mirror = self.mirror(logs);
        mirror.recover().await.unwrap();
        Door::open(mirror).await
    }

    /// A file of the copy that readers see.
    pub(crate) fn public(&self, log: &TestLog, path: &str) -> Option<Vec<u8>> {
        let copy = self.path("copies").join(log.log().origin_hash().to_hex());
        std::fs::read(copy.join("public").join(path)).ok()
    }

    /// When each file of the mirror was last written, by path.
    pub(crate) fn written(&self) -> BTreeMap<PathBuf, SystemTime> {
        let (mut folders, mut files) = (vec![self.folder.path().to_owned()], BTreeMap::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    files.insert(entry.path(), entry.metadata().unwrap().modified().unwrap());
                }
            }
        }
        files
    }

    /// Every file of the copy that readers see, by name.
    pub(crate) fn all_public(&self, log: &TestLog) -> HashMap<String, Vec<u8>> {
        let root = self.path("copies").join(log.log().origin_hash().to_hex()).join("public");
        let (mut folders, mut files) = (vec![root.clone()], HashMap::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

pub(crate) fn cosigners() -> Cosigners {
    let name = || "mirror.example/m1".parse().unwrap();
    let keys = [Cosigner::ed25519_from_seed(name(), [1; 32]), Cosigner::ml_dsa_44_from_seed(name(), [2; 32])];
    Cosigners::new(keys.into()).unwrap()
}

/// What a tree of this log implies, by name: the tiles and bundles, the partial ones of its size included.
pub(crate) fn implied(log: &TestLog, size: u64) -> HashMap<String, Vec<u8>> {
    let mut edge = RightEdge::empty();
    let tiles = edge.append((0..size).map(|index| kiln_tiles::Hash::leaf(log.entry(index).as_bytes())));
    let wanted = |tile: &HashTile| {
        let coord = tile.coord();
        TileCoord::in_tree(coord.level(), coord.index(), size) == Some(coord)
    };
    let tiles = tiles.iter().filter(|tile| wanted(tile));
    let mut implied: HashMap<_, _> = tiles.map(|tile| (tile.coord().to_string(), tile.to_bytes())).collect();
    for start in (0..size).step_by(256) {
        let end = size.min(start + 256);
        implied.insert(BundleCoord::holding(start, size).unwrap().to_string(), framed(log, start, end));
    }
    implied
}

pub(crate) fn framed(log: &TestLog, start: u64, end: u64) -> Vec<u8> {
    let mut framed = Vec::new();
    (start..end).for_each(|index| push_entry(&mut framed, log.entry(index).as_bytes()).unwrap());
    framed
}

/// A request of so many packages at most.
pub(crate) fn upload(log: &TestLog, start: u64, end: u64, ticket: &[u8], most: usize) -> Vec<u8> {
    let header = AddEntries::new(log.origin(), start..end, ticket.to_vec()).unwrap();
    let mut body = header.to_bytes();
    for span in header.packages().take(most) {
        let entries = framed(log, span.start(), span.end());
        push_package(&mut body, &entries, &log.prove(span.subtree(), end)).unwrap();
    }
    body
}

/// A mirror that answers until it is stopped.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    pub(crate) mirror: Mirror,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) const ENTRIES: &str = "Content-Type: application/octet-stream\r\n";

impl Door {
    pub(crate) async fn open(mirror: Mirror) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let handler = Arc::new(mirror.clone());
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(kiln_http::serve(listener, Limits::default(), handler, stopped));
        Self { address, stop, serving, mirror }
    }

    /// Answers who asked, and writes what waits.
    pub(crate) async fn close(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        tokio::task::spawn_blocking(move || drop(self.mirror)).await.unwrap();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let length = format!("Content-Length: {}\r\n", body.len());
        self.send(method, path, &(length + headers), body).await.expect("an answer")
    }

    /// Sends a request as it is, says that there is no more, and reads what comes.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n{headers}\r\n");
        // Who is refused early is not listened to any more.
        let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let at = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, body) = (String::from_utf8(answer[..at].to_vec()).unwrap(), answer[at + 4..].to_vec());
        let (status, fields) = head.split_once("\r\n").unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Reply { status, headers: fields.split("\r\n").map(field).collect(), body })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "", b"").await
    }

    /// A resource of the copy of a log.
    pub(crate) async fn read(&self, log: &TestLog, path: &str) -> Reply {
        self.get(&format!("/{}/{path}", log.log().origin_hash().to_hex())).await
    }

    pub(crate) async fn add_checkpoint(&self, request: &AddCheckpoint) -> Reply {
        self.ask("POST", "/add-checkpoint", "", request.to_string().as_bytes()).await
    }

    /// Makes a checkpoint pending.
    pub(crate) async fn pend(&self, log: &TestLog, old: u64, size: u64) {
        let reply = self.add_checkpoint(&log.request(old, size)).await.expect(200);
        assert_eq!(reply.text(), "", "the mirror does not sign here");
    }

    pub(crate) async fn add_entries(&self, body: &[u8]) -> Reply {
        self.ask("POST", "/add-entries", ENTRIES, body).await
    }

    /// Uploads all of these entries at once, and verifies what the mirror signs: the time.
    pub(crate) async fn mirrored(&self, log: &TestLog, start: u64, end: u64) -> u64 {
        let reply = self.add_entries(&upload(log, start, end, b"", usize::MAX)).await;
        verify(log, end, &reply.expect(200).body)
    }
}

/// Verifies that both keys of the mirror signed this tree, at the time that is returned.
pub(crate) fn verify(log: &TestLog, size: u64, answer: &[u8]) -> u64 {
    let lines = Cosignatures::parse(answer).unwrap();
    let vkeys = cosigners().vkeys().to_vec();
    assert_eq!(lines.lines().len(), vkeys.len());
    let text = log.checkpoint(size).to_string();
    let times = vkeys.iter().zip(lines.lines()).map(|(vkey, line)| {
        assert!(line.is_by(vkey) && vkey.verify(&text, line.signature()));
        vkey.time_of(line).unwrap()
    });
    let times: Vec<u64> = times.collect();
    assert_eq!(times[0], times[1]);
    times[0]
}

/// The checkpoint that readers see: signed by the log and by both keys of the mirror.
pub(crate) fn shown_size(log: &TestLog, note: &[u8]) -> u64 {
    let vkeys = [&[log.key.verifier_key()], cosigners().vkeys()].concat();
    let note = Note::parse(note).unwrap();
    let (text, verified) = note.verify(&vkeys).unwrap();
    assert_eq!(verified.len(), 3);
    let size = text.lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(text, log.checkpoint(size).to_string());
    size
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// Where to go on.
    #[track_caller]
    pub(crate) fn info(&self) -> MirrorInfo {
        assert_eq!(self.header("content-type"), "text/x.tlog.mirror-info");
        MirrorInfo::parse(&self.body).unwrap()
    }
}
