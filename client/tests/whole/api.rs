//! An API beside the log: what is posted, and what of the answer is handed back.

#[allow(dead_code, reason = "each test file uses another part")]
use std::time::Duration;

use crate::server::{Server, answer, recording};
use kiln_client::{ApiClient, HttpError, HttpOptions, TokenError};

fn to(server: &Server) -> ApiClient {
    let options = HttpOptions::default().timeout(Duration::from_millis(500)).retries(2);
    ApiClient::new(&server.url, options).unwrap()
}

#[tokio::test]
async fn json_is_posted_and_the_answer_handed_back() {
    let (server, seen) = recording(|_| answer("201 Created", "x-log-index: 7\r\n", "{\"a\":1}")).await;
    let api = to(&server).with_token("secret").unwrap();
    let answer = api.post_json("api/v2/log/entries", "{}".to_owned(), 100).await.unwrap();
    assert_eq!((answer.status(), answer.is_success(), &answer.body()[..]), (201, true, &b"{\"a\":1}"[..]));
    assert_eq!((answer.header("x-log-index"), answer.header("x-other")), ("7", ""));
    let seen = seen.lock().unwrap();
    assert!(seen[0].head.starts_with("post /api/v2/log/entries "), "{}", seen[0].head);
    for header in ["content-type: application/json", "authorization: bearer secret"] {
        assert!(seen[0].head.contains(header), "{}", seen[0].head);
    }
    assert_eq!(seen[0].body, b"{}");
}

/// A refusal tells something in its body: the whole of it is wanted, not a line of 300 bytes.
#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let words = "why ".repeat(500);
    let refusal = words.clone();
    let (server, _) = recording(move |_| answer("400 Bad Request", "", &refusal)).await;
    let answer = to(&server).post_json("x", String::new(), 10).await.unwrap();
    assert_eq!((answer.status(), answer.is_success()), (400, false));
    assert_eq!(answer.body(), words.as_bytes());
    let HttpError::Status { status: 400, sentence, .. } = answer.refusal() else { panic!() };
    assert!(sentence.starts_with("why why") && sentence.len() == 300);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn who_is_busy_is_asked_again() {
    let busy = |n| match n {
        0 => answer("503 Service Unavailable", "retry-after: 1\r\n", "{}"),
        _ => answer("201 Created", "", "{}"),
    };
    let (server, _) = recording(busy).await;
    let started = std::time::Instant::now();
    let answer = to(&server).post_json("x", String::new(), 10).await.unwrap();
    assert_eq!((answer.status(), server.requests()), (201, 2));
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After is waited for");
}

#[tokio::test]
async fn who_stays_busy_is_heard() {
    let (server, _) = recording(|_| answer("503 Service Unavailable", "retry-after: 0\r\n", "full")).await;
    let answer = to(&server).post_json("x", String::new(), 10).await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..], server.requests()), (503, &b"full"[..], 3));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let (server, _) = recording(|n| match n {
        0 => answer("201 Created", "", "12345678901"),
        1 => answer("307 Temporary Redirect", "location: http://elsewhere.example/\r\n", ""),
        _ => answer("201 Created", "content-encoding: gzip\r\n", "x"),
    })
    .await;
    let api = to(&server);
    let ask = async || api.post_json("x", String::new(), 10).await.unwrap_err();
    assert!(matches!(ask().await, HttpError::TooLong { limit: 10 }));
    assert!(matches!(ask().await, HttpError::Redirect { status: 307, .. }));
    assert!(matches!(ask().await, HttpError::Encoding(_)));
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_token_is_not_sent_in_the_clear() {
    let api = ApiClient::new("http://192.0.2.1", HttpOptions::default()).unwrap();
    assert_eq!(api.with_token("secret").unwrap_err(), TokenError::PlainHttp);
}
