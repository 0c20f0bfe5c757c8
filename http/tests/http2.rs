//! HTTP/2 without TLS, as clients speak it that know beforehand: many requests at once on one connection,
//! within the same bounds.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

mod common;

use std::time::{Duration, Instant};

use common::{BIG, Client, PATIENCE, SLOW, Server, hasty};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kiln_http::{Bytes, Gate, GateOptions, Limits, Listener, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

type Sender = SendRequest<Full<Bytes>>;

/// A connection, and what tells that it ended.
async fn connect(server: &Server) -> (Sender, JoinHandle<()>) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) =
        Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

fn request(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("http://kiln{path}")).body(Full::new(body.into())).unwrap()
}

async fn ask(sender: &mut Sender, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
    let asked = async {
        let (head, body) = sender.send_request(request(path, body)).await.unwrap().into_parts();
        (head.status, body.collect().await.unwrap().to_bytes())
    };
    timeout(PATIENCE, asked).await.expect("the server answers")
}

/// With HTTP/1.1 each of them would take a connection, or wait for the one before.
#[tokio::test]
async fn requests_of_one_connection_wait_side_by_side() {
    let server = Server::start(Limits::default()).await;
    let (sender, _) = connect(&server).await;
    let (mut waiting, start) = (JoinSet::new(), Instant::now());
    for _ in 0..100 {
        let mut sender = sender.clone();
        waiting.spawn(async move { ask(&mut sender, "/slow", "").await });
    }
    let answers = waiting.join_all().await;
    assert!(answers.iter().all(|answer| *answer == (StatusCode::OK, "slow\n".into())));
    assert!(start.elapsed() < 20 * SLOW, "{:?}", start.elapsed());
}

#[tokio::test]
async fn bodies_come_and_go_whole() {
    let server = Server::start(Limits::default()).await;
    let (mut sender, _) = connect(&server).await;
    for length in [0, 1, 70_000, common::MAX_BODY] {
        let body = Bytes::from(vec![b'x'; length]);
        assert_eq!(ask(&mut sender, "/echo", body.clone()).await, (StatusCode::OK, body), "{length}");
    }
    let (status, _) = ask(&mut sender, "/echo", vec![b'x'; common::MAX_BODY + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(ask(&mut sender, "/big", "").await.1.len(), BIG);
}

/// Announces a body of so many bytes and sends it piece by piece, as curl does; returns the answer's status. A stream that is reset
/// meanwhile is a failure: curl 7.88 ended with an error of the framing then, and never showed the answer.
async fn upload(server: &Server, length: usize) -> StatusCode {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let announced = Request::post("http://kiln/echo").header("content-length", length).body(()).unwrap();
    let (answer, mut body) = sender.ready().await.unwrap().send_request(announced, false).unwrap();
    let mut sent = 0;
    while sent < length {
        body.reserve_capacity((length - sent).min(16 * 1024));
        let room = std::future::poll_fn(|context| body.poll_capacity(context));
        let room = timeout(PATIENCE, room).await.unwrap().expect("no reset").unwrap();
        sent += room;
        body.send_data(Bytes::from(vec![b'x'; room]), sent == length).unwrap();
    }
    timeout(PATIENCE, answer).await.unwrap().unwrap().status()
}

#[tokio::test]
async fn who_sends_too_much_or_is_turned_away_is_heard_out_before_the_answer() {
    let server = Server::start(Limits::default()).await;
    assert_eq!(upload(&server, 2 * common::MAX_BODY).await, StatusCode::PAYLOAD_TOO_LARGE);
    let shut =
        Gate::new(GateOptions { tokens: Some("# nobody\n".parse().unwrap()), ..GateOptions::default() });
    let server = Server::start_behind(shut, Limits::default(), Listener::from).await;
    assert_eq!(upload(&server, 2 * common::MAX_BODY).await, StatusCode::UNAUTHORIZED);
}

/// Who never comes to an end is not waited for.
#[tokio::test]
async fn who_is_turned_away_and_sends_slowly_has_the_answer_soon() {
    let shut =
        Gate::new(GateOptions { tokens: Some("# nobody\n".parse().unwrap()), ..GateOptions::default() });
    let server = Server::start_behind(shut, Limits::default(), Listener::from).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let endless = Request::post("http://kiln/echo").body(()).unwrap();
    let (answer, _body) = sender.ready().await.unwrap().send_request(endless, false).unwrap();
    let answer = timeout(PATIENCE, answer).await.expect("it is not waited for").unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

/// The first byte of the preface is that of `POST` too, and each may come in a packet of its own.
#[tokio::test]
async fn a_beginning_in_pieces_is_understood() {
    let server = Server::start(Limits::default()).await;
    for (begin, rest) in [
        ("P", "OST /echo HTTP/1.1\r\nHost: kiln\r\nContent-Length: 2\r\n\r\nhi"),
        ("G", "ET / HTTP/1.1\r\nHost: kiln\r\n\r\n"),
    ] {
        let mut client = server.connect().await;
        client.send(begin).await;
        sleep(Duration::from_millis(30)).await;
        client.send(rest).await;
        assert!(client.read_response().await.starts_with("HTTP/1.1 200"), "{begin}{rest}");
    }
    let Client(mut stream) = server.connect().await;
    for piece in ["P", "R", "I * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\0\0\x04\0\0\0\0\0"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(30)).await;
    }
    let mut frame = [0; 9];
    let read = stream.read_exact(&mut frame);
    timeout(PATIENCE, read).await.expect("the server answers").unwrap();
    assert_eq!(frame[3], 4, "its settings come first");
}

#[tokio::test]
async fn who_says_nothing_or_half_a_beginning_is_cut_off() {
    let server = Server::start(hasty()).await;
    for begin in ["", "P", "PRI"] {
        let start = Instant::now();
        assert_eq!(server.exchange(begin).await, "", "{begin}");
        assert!(start.elapsed() >= hasty().header_timeout, "{begin}");
    }
}

#[tokio::test]
async fn who_begins_like_http2_and_goes_on_otherwise_is_cut_off() {
    let server = Server::start(Limits::default()).await;
    let Client(mut stream) = server.connect().await;
    stream.write_all(b"PRI / HTTP/1.1\r\nHost: kiln\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = timeout(PATIENCE, read).await.expect("the server closes it");
    assert_eq!(server.seen(), [""; 0]);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = Server::start(hasty()).await;
    let ((mut idle, ended), (mut busy, _)) = (connect(&server).await, connect(&server).await);
    assert_eq!(ask(&mut idle, "/", "").await.0, StatusCode::OK);
    for _ in 0..10 {
        assert_eq!(ask(&mut busy, "/slow", "").await.0, StatusCode::OK, "longer than an idle time");
    }
    timeout(PATIENCE, ended).await.expect("the server closes it").unwrap();
    assert!(idle.ready().await.is_err());
}

/// It asked for 32 MiB and never made room for them: no write fails, for none is tried.
#[tokio::test]
async fn a_client_that_makes_no_room_for_its_answer_is_cut_off() {
    let server = Server::start(hasty()).await;
    let (mut sender, ended) = connect(&server).await;
    let answer = sender.send_request(request("/big", "")).await.unwrap();
    timeout(PATIENCE, ended).await.expect("the server closes it").unwrap();
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_408() {
    let server = Server::start(hasty()).await;
    let Client(mut stream) = server.connect().await;
    // Settings, then the head of a POST to /echo, and no end of the stream.
    let block = [&[0x83, 0x86, 0x44, 0x05][..], b"/echo", &[0x41, 0x04], b"kiln"].concat();
    let length = u8::try_from(block.len()).unwrap();
    let head = [&[0, 0, length, 1, 4, 0, 0, 0, 1][..], &block].concat();
    let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], &head].concat();
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = timeout(PATIENCE, read).await.expect("the server closes it");
    let sentence = b"the body did not arrive within 0.15 s";
    assert!(answer.windows(sentence.len()).any(|window| window == sentence), "{answer:?}");
}

#[tokio::test]
async fn more_requests_than_all_may_have_are_answered_503() {
    let server = Server::start(Limits { max_requests: 2, ..Limits::default() }).await;
    let (mut sender, _) = connect(&server).await;
    let mut held = JoinSet::new();
    for _ in 0..2 {
        let mut sender = sender.clone();
        held.spawn(async move { sender.send_request(request("/slow", "")).await.unwrap().status() });
    }
    while server.seen().len() < 2 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(ask(&mut sender, "/", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(held.join_all().await.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(ask(&mut sender, "/", "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_long_head_is_answered_431_and_an_endless_one_ends_the_connection() {
    let server = Server::start(Limits { max_header_bytes: 1024, ..Limits::default() }).await;
    let (mut sender, ended) = connect(&server).await;
    let long = |length| {
        let mut long = request("/", "");
        long.headers_mut().insert("x-long", "y".repeat(length).parse().unwrap());
        long
    };
    let answer = sender.send_request(long(2000)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(server.seen(), [""; 0]);
    assert_eq!(ask(&mut sender, "/", "").await.0, StatusCode::OK);
    assert!(sender.send_request(long(200_000)).await.is_err());
    timeout(PATIENCE, ended).await.expect("the server closes it").unwrap();
}

#[tokio::test]
async fn a_panic_resets_its_stream_and_no_other() {
    let server = Server::start(Limits::default()).await;
    let (mut sender, _) = connect(&server).await;
    let mut slow = sender.clone();
    let slow = tokio::spawn(async move { ask(&mut slow, "/slow", "").await.0 });
    assert!(sender.send_request(request("/panic", "")).await.is_err());
    assert_eq!(slow.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn a_shutdown_answers_what_is_open_and_closes_the_rest() {
    let server = Server::start(Limits::default()).await;
    let ((mut sender, _), (_idle, idle_ended)) = (connect(&server).await, connect(&server).await);
    let open = tokio::spawn(async move { ask(&mut sender, "/slow", "").await.0 });
    while server.seen().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    let ended = server.stop();
    assert_eq!(open.await.unwrap(), StatusCode::OK);
    timeout(PATIENCE, idle_ended).await.expect("closed").unwrap();
    timeout(PATIENCE, ended).await.expect("serve ends").unwrap();
}
