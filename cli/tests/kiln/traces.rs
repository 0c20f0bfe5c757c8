//! Traces, as a collector of OpenTelemetry's gets them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::world::World;

/// Starts a collector; what it is sent comes out here, with the head of each request.
fn collector() -> (String, Receiver<(String, ExportTraceServiceRequest)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, sent) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, send) = (connection.unwrap(), send.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let head = head.to_ascii_lowercase();
                    let (_, length) = head.split_once("content-length: ").unwrap();
                    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
                    reader.read_exact(&mut body).unwrap();
                    let _ = send.send((head, ExportTraceServiceRequest::decode(&body[..]).unwrap()));
                    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    (url, sent)
}

/// All spans that came, and that come within a second.
fn spans(sent: &Receiver<(String, ExportTraceServiceRequest)>) -> Vec<Span> {
    let mut all = Vec::new();
    while let Ok((head, request)) = sent.recv_timeout(Duration::from_secs(1)) {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        for resource in request.resource_spans {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let name = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let name = name.value.clone().unwrap().value.unwrap();
            assert_eq!(name, Value::StringValue("kiln".into()));
            all.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    all
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value
}

#[test]
fn a_collector_sees_each_round_with_its_steps_and_what_it_asks_of_the_store() {
    let world = World::new();
    let (url, sent) = collector();
    let server = world.serve(&["log", "--otlp", &url, "--otlp-requests", "1"]);
    assert_eq!(server.post("/add", b"entry").status, 200);
    assert_eq!(server.post("/add", b"").status, 400);
    assert_eq!(server.get("/tile/entries/000.p/1").status, 200);
    // A round is sent when it is published, not when the next one begins.
    let mut spans = spans(&sent);
    for _ in 0..30 {
        if spans.iter().any(|span| span.name == "round") {
            break;
        }
        spans.extend(self::spans(&sent));
    }
    assert!(spans.iter().any(|span| span.name == "round"), "{spans:#?}");
    let origin = server.field("origin").to_owned();
    assert_eq!(server.stop(), Some(0));
    spans.extend(self::spans(&sent));
    let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id.clone(), span)).collect();
    let parent_of = |span: &Span| by_id.get(&span.parent_span_id).map(|parent| parent.name.as_str());
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();

    let round = named("round").into_iter().find(|round| attribute(round, "entries").is_some()).unwrap();
    assert_eq!(attribute(round, "size"), Some(Value::IntValue(1)));
    for (name, parent) in [
        ("settle", "round"),
        ("publish", "round"),
        ("swap_head", "round"),
        ("create", "settle"),
        ("replace", "publish"),
    ] {
        let found = named(name).into_iter().find(|span| parent_of(span) == Some(parent));
        let span = found.unwrap_or_else(|| panic!("no {name} in {parent}: {spans:#?}"));
        assert_eq!(span.trace_id, round.trace_id);
        assert!(span.start_time_unix_nano >= round.start_time_unix_nano, "{name}");
        assert!(span.end_time_unix_nano <= round.end_time_unix_nano, "{name}");
    }
    assert_eq!(attribute(round, "log"), Some(Value::StringValue(origin)));
    assert!(named("read").iter().any(|read| parent_of(read) == Some("request")), "{spans:#?}");
    let statuses: Vec<_> = named("request")
        .iter()
        .map(|request| attribute(request, "http.response.status_code").unwrap())
        .collect();
    assert_eq!(statuses, [200, 400, 200].map(Value::IntValue));
}

#[test]
fn no_request_is_traced_where_none_should_be_and_a_collector_that_is_away_stops_nothing() {
    let world = World::new();
    let (url, sent) = collector();
    let server = world.serve(&["log", "--otlp", &format!("{url}/v1/traces"), "--otlp-requests", "0"]);
    assert_eq!(server.post("/add", b"entry").status, 200);
    assert_eq!(server.get("/tile/entries/000.p/1").status, 200);
    assert_eq!(server.stop(), Some(0));
    let spans = spans(&sent);
    let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert!(!roots.is_empty() && roots.iter().all(|root| root.name == "round"), "{roots:#?}");

    // One that refuses connections, and one that takes them and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for away in ["http://127.0.0.1:1".to_owned(), format!("http://{}", silent.local_addr().unwrap())] {
        let server = world.serve(&["log", "--otlp", &away]);
        assert_eq!(server.post("/add", away.as_bytes()).status, 200);
        let stopping = Instant::now();
        let (code, said) = server.stop_and_tell();
        assert_eq!(code, Some(0));
        assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
        assert!(said.lines().filter(|line| line.contains(" WARN ")).count() <= 2, "{said}");
    }
    let refused = world.kiln(&["serve", "log", "--otlp", "http://user:secret@127.0.0.1:1"]);
    assert!(!refused.fails(2, &["--otlp"]).stderr.contains("secret"));
    world.kiln(&["serve", "log", "--otlp", &url, "--otlp-requests", "2"]).fails(2, &["0 to 1"]);
}
