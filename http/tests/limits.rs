//! What a stranger may use up: time, bytes, connections. Each test is one kind of rude client, and most end
//! with a polite one that must not notice.

mod common;

use std::time::{Duration, Instant};

use common::{BIG, MAX_BODY, PATIENCE, Server, hasty, statuses};
use kiln_http::Limits;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// Slowloris: a byte now and then keeps a head unfinished for ever.
#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let server = Server::start(hasty()).await;
    let start = Instant::now();
    let (mut read, mut write) = server.connect().await.0.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        while write.write_all(b"k").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, read.read_to_end(&mut answer)).await.expect("the server closes");
    assert!(answer.is_empty());
    assert!(start.elapsed() >= hasty().header_timeout);
    trickle.abort();
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_trickles_in_is_answered_408_and_the_connection_closed() {
    let server = Server::start(hasty()).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: kiln\r\nContent-Length: 9\r\n\r\nabc").await;
    let answer = client.read_to_end().await;
    assert_eq!(statuses(&answer), [408], "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("the body did not arrive within 0.15 s: send it again, faster\n"), "{answer}");
}

/// Each connection could make the server hold a whole body that never ends: memory was what connects.
#[tokio::test]
async fn bodies_that_never_end_hold_no_more_than_all_may_together() {
    let server = Server::start(Limits { body_timeout: Duration::from_secs(1), ..hasty() }).await;
    let head = format!("POST /echo HTTP/1.1\r\nHost: kiln\r\nContent-Length: {MAX_BODY}\r\n\r\n");
    let mut answers = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.send([head.as_bytes(), &[b'x'; MAX_BODY - 1]].concat()).await;
        answers.push(tokio::spawn(async move { client.read_to_end().await }));
    }
    let mut refused = 0;
    for answer in answers {
        let answer = answer.await.unwrap();
        match statuses(&answer)[..] {
            [408] => {}
            [503] => {
                refused += 1;
                assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
                assert!(answer.ends_with("requests are being read: send it again in a moment\n"), "{answer}");
            }
            _ => panic!("{answer}"),
        }
    }
    assert!(refused >= 2, "only one of them fits: {refused} were refused");
    let whole = [head.as_bytes(), &[b'x'; MAX_BODY]].concat();
    let mut client = server.connect().await;
    client.send(whole).await;
    assert_eq!(statuses(&client.read_response().await), [200], "what they held was given back");
}

#[tokio::test]
async fn too_many_header_fields_are_answered_431() {
    let server = Server::start(Limits { max_headers: 10, ..hasty() }).await;
    for (fields, status) in [(10, 200), (11, 431), (1000, 431)] {
        let head = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(fields));
        assert_eq!(statuses(&server.exchange(head).await), [status], "{fields} fields");
    }
}

/// The answer must arrive although much of the head is never read.
#[tokio::test]
async fn a_huge_head_is_answered_431() {
    for max_header_bytes in [1000, 16 * 1024] {
        let server = Server::start(Limits { max_header_bytes, ..hasty() }).await;
        for (bytes, status) in [(max_header_bytes - 100, 200), (max_header_bytes, 431), (4 << 20, 431)] {
            let field = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(bytes));
            assert_eq!(statuses(&server.exchange(field).await), [status], "a field of {bytes} bytes");
            let line = format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(bytes));
            assert_eq!(statuses(&server.exchange(line).await), [status], "a line of {bytes} bytes");
        }
    }
}

#[tokio::test]
async fn an_announced_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let announced = MAX_BODY + 1;
    client
        .send(format!("POST /echo HTTP/1.1\r\nContent-Length: {announced}\r\nExpect: 100-continue\r\n\r\n"))
        .await;
    let answer = client.read_response().await;
    assert_eq!(statuses(&answer), [413], "{answer}");
    assert!(answer.ends_with("the body is larger than 100000 bytes: send less at once\n"), "{answer}");
}

/// A socket closed over unread input is reset, and many clients then throw away the answer that says why.
#[tokio::test]
async fn a_client_that_sends_a_huge_body_regardless_still_reads_413() {
    let server = Server::start(Limits::default()).await;
    let head = format!("POST /echo HTTP/1.1\r\nContent-Length: {BIG}\r\n\r\n");
    let mut client = server.connect().await.0;
    client.write_all(&[head.as_bytes(), &vec![b'x'; BIG]].concat()).await.expect("no reset");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("no reset");
    assert_eq!(statuses(&answer), [413], "{answer}");
}

/// But not for ever: who goes on sending is reset after a moment.
#[tokio::test]
async fn a_client_that_sends_for_ever_is_cut_off() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await.0;
    client.write_all(b"POST /echo HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n").await.unwrap();
    let send = async { while client.write_all(b"more").await.is_ok() {} };
    timeout(PATIENCE, send).await.expect("the server closes");
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused_once_it_is_over() {
    let server = Server::start(Limits::default()).await;
    for (chunks, status) in [(100, 200), (101, 413), (5000, 413)] {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        let body = chunk.repeat(chunks) + "0\r\n\r\n";
        let head = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let answer = server.exchange(format!("{head}{body}")).await;
        assert_eq!(statuses(&answer), [status], "{chunks} kB");
        assert_eq!(answer.ends_with(&"x".repeat(100_000)), status == 200);
    }
}

#[tokio::test]
async fn bodies_of_every_size_arrive_whole() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    for size in [0, 1, 4095, 4096, 8192, 20_000, MAX_BODY] {
        let body = "ab\n".repeat(size / 3 + 1)[..size].to_owned();
        client.send(format!("POST /echo HTTP/1.1\r\nContent-Length: {size}\r\n\r\n{body}")).await;
        let answer = client.read_response().await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&format!("\r\n\r\n{body}")), "{size}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_the_connection_only() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").await;
    client.0.shutdown().await.unwrap();
    let answer = client.read_to_end().await;
    assert!([vec![], vec![400]].contains(&statuses(&answer)), "{answer}");
    assert_eq!(statuses(&server.connect().await.get("/").await), [200]);
}

/// `printf ... | nc -N` closes its half as soon as the request is out.
#[tokio::test]
async fn a_half_closed_client_gets_its_answer() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET /slow HTTP/1.1\r\nHost: kiln\r\n\r\n").await;
    client.0.shutdown().await.unwrap();
    let answer = client.read_to_end().await;
    assert!(answer.ends_with("slow\n"), "{answer:?}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off_and_others_do_not_notice() {
    let server = Server::start(hasty()).await;
    let mut deaf = server.connect().await;
    deaf.send("GET /big HTTP/1.1\r\nHost: kiln\r\n\r\n").await;
    let until = Instant::now() + 2 * hasty().write_timeout;
    while Instant::now() < until {
        assert_eq!(statuses(&server.connect().await.get("/").await), [200]);
    }
    assert!(deaf.read_to_end().await.len() < BIG, "still served after it took nothing for so long");
}

/// The time-out is for a standstill, not for the whole answer, and no other clock runs meanwhile.
#[tokio::test]
async fn a_slow_reader_is_served_to_the_end() {
    let server = Server::start(hasty()).await;
    let mut client = server.connect().await;
    client.send("GET /big HTTP/1.1\r\nHost: kiln\r\nConnection: close\r\n\r\n").await;
    let (mut total, start) = (0, Instant::now());
    let mut buffer = vec![0; 4 << 20];
    while let Ok(read @ 1..) = client.0.read(&mut buffer).await {
        total += read;
        sleep(hasty().write_timeout / 3).await;
    }
    assert!(total > BIG, "{total} bytes");
    assert!(start.elapsed() > 2 * hasty().write_timeout);
}

#[tokio::test]
async fn a_thousand_idle_connections_are_reaped() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let server = Server::start(Limits { max_connections: 1000, ..hasty() }).await;
    let mut idle = Vec::new();
    for n in 0..1000 {
        let mut client = server.connect().await;
        // Half of them were useful once.
        if n % 2 == 0 {
            assert_eq!(statuses(&client.get("/").await), [200]);
        }
        idle.push(client);
    }
    for client in &mut idle {
        assert_eq!(client.read_to_end().await, "");
    }
    assert_eq!(statuses(&server.connect().await.get("/").await), [200]);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_the_place_is_free_again_later() {
    let server = Server::start(Limits { max_connections: 2, ..Limits::default() }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!(statuses(&first.get("/").await), [200]);
    assert_eq!(statuses(&second.get("/").await), [200]);
    assert_eq!(server.connect().await.read_to_end().await, "");
    assert_eq!(statuses(&second.get("/").await), [200]);
    drop(first);
    assert_eq!(statuses(&answered_at_last(&server).await), [200]);
}

/// The server learns of a closed connection a moment after the client closed it.
async fn answered_at_last(server: &Server) -> String {
    let knock = async {
        loop {
            let answer = server.connect().await.get("/").await;
            if !answer.is_empty() {
                return answer;
            }
        }
    };
    timeout(PATIENCE, knock).await.expect("a place is free")
}

#[tokio::test]
async fn a_panic_in_the_handler_ends_its_connection_only() {
    let server = Server::start(Limits::default()).await;
    let mut other = server.connect().await;
    assert_eq!(statuses(&other.get("/").await), [200]);
    assert_eq!(server.exchange("GET /panic HTTP/1.1\r\n\r\n").await, "");
    assert_eq!(statuses(&other.get("/").await), [200]);
}
