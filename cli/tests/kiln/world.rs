//! A machine of its own for each test: a folder, and nothing of the environment around it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that kiln runs in, with a state folder of its own.
pub(crate) struct World {
    folder: TempDir,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A `kiln serve`, `kiln witness` or `kiln mirror` that printed `ready`.
pub(crate) struct Server {
    child: Child,
    /// What it printed, up to `ready`.
    pub(crate) printed: String,
    pub(crate) url: String,
    stderr: PathBuf,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Everything below a folder, elsewhere.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        copy(&self.path(from), &self.path(to));
    }

    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(arguments).current_dir(self.folder.path());
        let ours = |name: &str| name.starts_with("KILN_") || name.starts_with("OTEL_") || name == "RUST_LOG";
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command.env("KILN_STATE_DIR", self.path("state")).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn kiln(&self, arguments: &[&str]) -> Ran {
        self.run(&mut self.command(arguments))
    }

    /// Runs a command that reads `input`.
    pub(crate) fn kiln_reading(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let input = File::open(self.write("input", input)).unwrap();
        self.run(self.command(arguments).stdin(input))
    }

    pub(crate) fn run(&self, command: &mut Command) -> Ran {
        // Files, not pipes: nobody has to read while it runs.
        let [stdout, stderr] = [self.fresh("stdout"), self.fresh("stderr")];
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        let status = end_of(&mut command.spawn().unwrap());
        let stderr = String::from_utf8(fs::read(stderr).unwrap()).unwrap();
        Ran { code: status.code(), stdout: fs::read(stdout).unwrap(), stderr }
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let number = fs::read_dir(self.folder.path()).unwrap().count();
        self.path(&format!("{name}.{number}"))
    }

    /// Runs a log until it is ready: on a free port and with short rounds, unless said otherwise.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let mut arguments = [&["serve"], arguments].concat();
        for usual in [["--listen", "127.0.0.1:0"], ["--interval", "20ms"]] {
            if !arguments.contains(&usual[0]) {
                arguments.extend(usual);
            }
        }
        let mut server = self.start(&arguments);
        let log = server.printed.lines().last().unwrap_or_else(|| panic!("kiln serve: {}", server.stderr()));
        let url = field(log, "url").unwrap_or_else(|| panic!("no log line: {log}, {}", server.stderr()));
        server.url = url.to_owned();
        server
    }

    /// Runs a witness until it is ready, on a free port.
    pub(crate) fn witness(&self, arguments: &[&str]) -> Server {
        self.cosigner("witness", &free_address(), arguments)
    }

    /// Runs a mirror until it is ready, at this address.
    pub(crate) fn mirror(&self, address: &str, arguments: &[&str]) -> Server {
        self.cosigner("mirror", address, arguments)
    }

    fn cosigner(&self, command: &str, address: &str, arguments: &[&str]) -> Server {
        let mut server = self.start(&[&[command], arguments, &["--listen", address]].concat());
        server.url = format!("http://{address}");
        server
    }

    /// Runs the logs of a configuration, which listens at this address, until all are ready or known to be out of order.
    pub(crate) fn serve_config(&self, file: &str, address: &str) -> Server {
        self.serve_config_with(file, address, &[])
    }

    /// The same, with these variables.
    pub(crate) fn serve_config_with(&self, file: &str, address: &str, variables: &[(&str, &str)]) -> Server {
        let mut command = self.command(&["serve", "--config", file]);
        command.envs(variables.iter().copied());
        let mut server = self.started(command, "serve");
        server.url = format!("http://{address}");
        server
    }

    /// Runs a server until it prints `ready`.
    fn start(&self, arguments: &[&str]) -> Server {
        self.started(self.command(arguments), arguments[0])
    }

    fn started(&self, mut command: Command, name: &str) -> Server {
        let stderr = self.fresh(name);
        command.stdout(Stdio::piped()).stderr(File::create(&stderr).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let printed: Vec<String> = lines.by_ref().take_while(|line| line != "ready").collect();
        // What it prints later must not end it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url: String::new(), stderr, printed: printed.join("\n") }
    }

    /// The vkey of a log of one's own.
    pub(crate) fn vkey(&self, store: &str) -> String {
        self.kiln(&["vkey", store]).ok().text().trim_end().to_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

fn end_of(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A field of the line that `kiln serve` prints of a log.
pub(crate) fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stderr, self.text());
        self
    }

    /// It failed with this code, and said something with these words in it.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stderr, self.text());
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Server {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(self) -> Option<i32> {
        self.stop_and_tell().0
    }

    /// SIGTERM, the exit code, and what it said on standard error.
    pub(crate) fn stop_and_tell(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let code = end_of(&mut self.child).code();
        (code, fs::read_to_string(&self.stderr).unwrap())
    }

    /// Waits for its end, which somebody brought about.
    pub(crate) fn ended(mut self) -> Option<i32> {
        end_of(&mut self.child).code()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        end_of(&mut self.child);
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// What it prints of its log: `origin`, `vkey`, `store`, `url`, `size`.
    pub(crate) fn field(&self, name: &str) -> &str {
        let line = self.printed.lines().last().unwrap();
        field(line, name).unwrap_or_else(|| panic!("no {name}: {line}"))
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        request(&self.url, "GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Reply {
        request(&self.url, "POST", path, &[], body)
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        request(&self.url, method, path, headers, body)
    }
}

/// A test that fails leaves nothing running.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own, sent as it stands: no client between puts it right.
pub(crate) fn request(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    try_request(url, method, path, headers, body).unwrap()
}

/// The same to a server that may be killed in the middle of it.
pub(crate) fn try_request(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Reply> {
    let address = url.strip_prefix("http://").unwrap();
    let host = if headers.iter().any(|(name, _)| *name == "Host") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let mut head = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n");
    if method == "POST" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let reply = parse_reply(&answer).ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = reply.headers.get("content-length").filter(|_| method != "HEAD");
    let whole = length.is_none_or(|length| *length == reply.body.len().to_string());
    if whole { Ok(reply) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// What is there of an answer; `None` where its head is cut off.
fn parse_reply(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let (status, fields) = head.split_once("\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Some(Reply {
        status: status.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: fields.split("\r\n").map(header).collect(),
        body: answer[end + 4..].to_vec(),
    })
}

impl Reply {
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

/// An address that nobody listens at.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The folder of test data that all crates share.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

/// Copies test data into the world.
pub(crate) fn copy_testdata(world: &World, name: &str, to: &str) {
    copy(&testdata(name), &world.path(to));
}
