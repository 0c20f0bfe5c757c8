//! A server that serves a log as it stands in a folder, and answers submissions with whatever it likes.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What it answers to a submission: status, headers, body.
pub(crate) type Lie = (&'static str, String, Vec<u8>);

type Answer = dyn Fn(usize) -> Lie + Send + Sync;

/// A server that lies. It runs until the test process ends.
pub(crate) struct Liar {
    pub(crate) url: String,
    posts: Arc<AtomicUsize>,
}

impl Liar {
    /// Serves `folder`, and answers each submission with `answer`.
    pub(crate) fn serve(folder: PathBuf, answer: &'static str) -> Self {
        Self::answering(folder, move |_| ("200 OK", String::new(), answer.into()))
    }

    /// Serves `folder`, and answers submission number `n`, counted from 0, with `answer(n)`.
    pub(crate) fn answering(folder: PathBuf, answer: impl Fn(usize) -> Lie + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(AtomicUsize::new(0));
        let (counter, answer): (_, Arc<Answer>) = (Arc::clone(&posts), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (folder, counter, answer) = (folder.clone(), Arc::clone(&counter), Arc::clone(&answer));
                std::thread::spawn(move || handle(stream.unwrap(), &folder, &*answer, &counter));
            }
        });
        Self { url, posts }
    }

    /// How many submissions came.
    pub(crate) fn posts(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }
}

fn handle(mut stream: TcpStream, folder: &Path, answer: &Answer, posts: &AtomicUsize) {
    let Some(head) = read_request(&mut stream) else { return };
    let path = head.split(' ').nth(1).unwrap().trim_start_matches('/');
    let (status, headers, body) = if head.starts_with("POST") {
        answer(posts.fetch_add(1, Ordering::SeqCst))
    } else {
        let file = fs::read(folder.join(path));
        file.map_or(("404 Not Found", String::new(), Vec::new()), |body| ("200 OK", String::new(), body))
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    // Who asked may be gone.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

/// The head of a request, after all of its body was read.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        let read = stream.read(&mut buffer).ok().filter(|&read| read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        if bytes.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
            return Some(head);
        }
    }
}
