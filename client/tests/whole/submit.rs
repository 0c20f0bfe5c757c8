//! Submitting: what is sent, what is tried again, what is believed.

#[allow(dead_code, reason = "each test file uses another part")]
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{TestLog, entry, trusted};
use crate::server::{Request, Server, answer, ok, recording};
use kiln_client::tiles::split_entries;
use kiln_client::{HttpError, HttpOptions, SubmitError, Submitter, TokenError, Wait, batches};
use proptest::prelude::*;

type Seen = Arc<Mutex<Vec<Request>>>;

fn to(server: &Server) -> Submitter {
    let options = HttpOptions::default().timeout(Duration::from_millis(500)).retries(3);
    Submitter::with_options(&server.url, trusted(), options).unwrap()
}

async fn submitter(answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> (Submitter, Server, Seen) {
    let (server, seen) = recording(answer).await;
    (to(&server), server, seen)
}

#[tokio::test]
async fn an_entry_is_posted_as_it_is() {
    let (log, _server, seen) = submitter(|_| ok("41\n")).await;
    assert_eq!(log.submit(&b"an entry\n"[..]).await.unwrap(), 41);
    assert_eq!(log.clone().wait_for(Wait::Sequenced).submit(vec![0; 65_535]).await.unwrap(), 41);
    let seen = seen.lock().unwrap();
    assert!(seen[0].head.starts_with("post /add http/1.1"), "{}", seen[0].head);
    assert!(!seen[0].head.contains("authorization") && !seen[0].head.contains("text/x.tlog-proof"));
    assert_eq!(seen[0].body, b"an entry\n");
    assert_eq!((seen[1].path(), seen[1].body.len()), ("/add?wait=sequenced", 65_535));
}

#[tokio::test]
async fn what_no_log_takes_is_not_sent() {
    let (log, server, _) = submitter(|_| ok("0")).await;
    assert!(matches!(log.submit(Vec::new()).await, Err(SubmitError::Empty)));
    assert!(matches!(log.submit(vec![0; 65_536]).await, Err(SubmitError::TooLong(_))));
    assert!(matches!(log.submit_for_proof(Vec::new()).await, Err(SubmitError::Empty)));
    assert!(matches!(log.submit_batch(&[&b"x"[..], b""]).await, Err(SubmitError::Empty)));
    assert!(matches!(log.submit_batch(&[[7]; 4_097]).await, Err(SubmitError::BatchTooLarge)));
    assert!(matches!(log.submit_batch(&[[7; 65_534]; 65]).await, Err(SubmitError::BatchTooLarge)));
    assert!(log.submit_batch::<Vec<u8>>(&[]).await.unwrap().is_empty());
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_full_batch_is_framed_like_a_bundle() {
    let indices = (0..4_096).map(|i| format!("{}\n", i * 2)).collect::<String>();
    let (log, _server, seen) = submitter(move |_| ok(&indices)).await;
    let entries: Vec<Vec<u8>> = (0..4_096).map(entry).collect();
    let indices = log.submit_batch(&entries).await.unwrap();
    assert_eq!((indices.len(), indices[4_095]), (4_096, 8_190));
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].path(), "/add-batch");
    let sent: Vec<_> = split_entries(&seen[0].body).collect::<Result<_, _>>().unwrap();
    assert_eq!(sent, entries);
}

/// The log has identical entries once: the same bytes again can do no harm.
#[tokio::test]
async fn the_same_bytes_are_sent_again_until_there_is_an_answer() {
    for failure in [
        answer("503 Service Unavailable", "retry-after: 0\r\n", "the pool is full\n"),
        answer("500 Internal Server Error", "", ""),
        answer("429 Too Many Requests", "", ""),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1".to_vec(),
        Vec::new(),
    ] {
        let fail = move |n| if n < 2 { failure.clone() } else { ok("7") };
        let (log, server, seen) = submitter(fail).await;
        assert_eq!(log.submit(&b"once"[..]).await.unwrap(), 7);
        assert_eq!(server.requests(), 3);
        assert!(seen.lock().unwrap().iter().all(|request| request.body == b"once"));
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_in_the_servers_words() {
    for status in ["400 Bad Request", "401 Unauthorized", "410 Gone", "413 Content Too Large"] {
        let (log, server, _) = submitter(move |_| answer(status, "", "this log is frozen\n")).await;
        let error = log.submit(&b"x"[..]).await.unwrap_err();
        assert!(error.to_string().ends_with(": this log is frozen"), "{error}");
        assert!(!error.is_retryable() && !error.is_bad_log());
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_log_that_stays_busy_is_an_error_that_may_be_tried_again() {
    let (log, server, _) = submitter(|_| answer("503 Busy", "retry-after: 0\r\n", "full")).await;
    let error = log.submit(&b"x"[..]).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(matches!(&error, SubmitError::Http(HttpError::Status { status: 503, .. })), "{error:?}");
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn an_answer_that_is_no_index_is_none() {
    for nonsense in ["", "\n", "-1", "+1", "1 2", "0x1", "1\n2\n", "99999999999999999999", "ok"] {
        let (log, _server, _) = submitter(move |_| ok(nonsense)).await;
        assert!(matches!(log.submit(&b"x"[..]).await, Err(SubmitError::Answer)), "{nonsense:?}");
    }
    for nonsense in ["1\n", "1\n2\n3\n", "1\n\n2\n", "1,2"] {
        let (log, _server, _) = submitter(move |_| ok(nonsense)).await;
        assert!(matches!(log.submit_batch(&[b"a", b"b"]).await, Err(SubmitError::Answer)), "{nonsense:?}");
    }
    let (log, _server, _) = submitter(|_| ok("1".repeat(100_000))).await;
    assert!(matches!(log.submit(&b"x"[..]).await, Err(SubmitError::Http(HttpError::TooLong { .. }))));
}

#[tokio::test]
async fn a_proof_is_verified_before_it_is_believed() {
    let client = TestLog::of(300).client();
    let proof = client.prove(299).await.unwrap();
    let text = proof.to_string();
    let (log, _server, seen) = submitter(move |_| ok(&text)).await;
    assert_eq!(log.submit_for_proof(entry(299)).await.unwrap(), proof);
    assert!(seen.lock().unwrap()[0].head.contains("accept: text/x.tlog-proof"));

    // The same proof for another entry, and bytes that are none.
    let error = log.submit_for_proof(entry(298)).await.unwrap_err();
    assert!(error.is_bad_log() && matches!(error, SubmitError::Proof { .. }));
    let (log, _server, _) = submitter(|_| ok("299\n")).await;
    assert!(log.submit_for_proof(entry(299)).await.unwrap_err().is_bad_log());
}

#[tokio::test]
async fn a_token_goes_to_the_log_and_nowhere_else() {
    let (server, seen) = recording(|_| ok("1")).await;
    let log = to(&server).with_token("s3cret").unwrap();
    log.submit(&b"x"[..]).await.unwrap();
    assert!(seen.lock().unwrap()[0].head.contains("authorization: bearer s3cret"));
    assert!(!format!("{log:?}").contains("s3cret"), "{log:?}");

    let at = |url: &str| Submitter::new(url, trusted()).unwrap();
    assert_eq!(at("http://log.example").with_token("s").unwrap_err(), TokenError::PlainHttp);
    assert!(at("http://localhost:1").with_token("s").is_ok());
    for token in ["", "a b", "a\nb", "é"] {
        assert_eq!(to(&server).with_token(token).unwrap_err(), TokenError::Characters);
    }
}

/// A redirect could carry token and entry to anybody.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (log, server, _) =
        submitter(|_| answer("307 Temporary Redirect", "location: http://evil.example/add\r\n", "")).await;
    let error = log.with_token("s3cret").unwrap().submit(&b"x"[..]).await.unwrap_err();
    assert!(matches!(error, SubmitError::Http(HttpError::Redirect { .. })));
    assert_eq!(server.requests(), 1);
}

proptest! {
    /// Batches are the entries, in order, and each is one that a log takes.
    #[test]
    fn batches_lose_nothing(lengths in prop::collection::vec(0_usize..65_535, 0..200), small in 0_usize..10_000) {
        let mut entries: Vec<Vec<u8>> = lengths.into_iter().map(|length| vec![1; length]).collect();
        entries.extend((0..small).map(|_| vec![2; 3]));
        let split: Vec<&[Vec<u8>]> = batches(&entries).collect();
        prop_assert_eq!(&split.concat(), &entries);
        for batch in split {
            let bytes: usize = batch.iter().map(|entry| entry.len() + 2).sum();
            prop_assert!((1..=4_096).contains(&batch.len()) && bytes <= 4 << 20);
        }
    }
}
