//! The routes for orchestrators and Prometheus, and the plain replies they are made of.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not their helpers")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_http::{AdminHandler, NotReady, Probe, Request, Response, StatusCode, health, reply};

#[derive(Debug, Default)]
struct Log {
    stale: AtomicBool,
}

impl Probe for Log {
    fn ready(&self) -> Result<(), NotReady> {
        if self.stale.load(Ordering::Relaxed) {
            return Err(NotReady::because("the checkpoint is 40 s old"));
        }
        Ok(())
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

fn request(method: &str, path: &str) -> Request<()> {
    Request::builder().method(method).uri(path).body(()).unwrap()
}

fn field<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn body(response: Response) -> String {
    let body = response.into_body();
    format!("{body:?}")
}

/// An orchestrator restarts what is not alive and routes around what is not ready.
#[test]
fn a_log_that_is_not_ready_is_alive() {
    let log = Arc::new(Log::default());
    let admin = AdminHandler::new(log.clone());
    assert_eq!(admin.respond(&request("GET", "/readyz")).status(), StatusCode::OK);
    log.stale.store(true, Ordering::Relaxed);
    let ready = admin.respond(&request("GET", "/readyz"));
    assert_eq!((ready.status(), field(&ready, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(body(ready).contains("not ready: the checkpoint is 40 s old"));
    assert_eq!(admin.respond(&request("GET", "/healthz")).status(), StatusCode::OK);
}

#[test]
fn metrics_are_on_the_admin_listener_only_and_no_web_page_may_read_them() {
    let log = Log::default();
    assert!(health(&request("GET", "/metrics"), &log).is_none());
    assert!(health(&request("GET", "/checkpoint"), &log).is_none());
    let metrics = AdminHandler::new(log).respond(&request("GET", "/metrics"));
    assert_eq!(metrics.status(), StatusCode::OK);
    assert!(field(&metrics, "content-type").starts_with("application/openmetrics-text"));
    assert_eq!(field(&metrics, "access-control-allow-origin"), "");
}

#[test]
fn admin_routes_are_read_only() {
    let admin = AdminHandler::new(Log::default());
    for path in ["/healthz", "/readyz", "/metrics"] {
        let response = admin.respond(&request("POST", path));
        assert_eq!((response.status().as_u16(), field(&response, "allow")), (405, "GET, HEAD"), "{path}");
        assert_eq!(admin.respond(&request("HEAD", path)).status(), StatusCode::OK, "{path}");
    }
    assert_eq!(admin.respond(&request("GET", "/healthz/")).status(), StatusCode::NOT_FOUND);
}

/// What a stranger sends may come back in an error; no browser may run it, and no cache keep it.
#[test]
fn plain_replies_are_text_and_not_kept() {
    for (response, status) in [
        (reply::text(StatusCode::CONFLICT, "no\n"), 409),
        (reply::method_not_allowed("GET"), 405),
        (reply::not_found(), 404),
        (reply::unavailable(7, "later\n"), 503),
    ] {
        assert_eq!(response.status(), status);
        assert_eq!(field(&response, "content-type"), "text/plain; charset=utf-8");
        assert_eq!(field(&response, "x-content-type-options"), "nosniff");
        assert_eq!(field(&response, "cache-control"), "no-store");
    }
    assert_eq!(field(&reply::unavailable(7, ""), "retry-after"), "7");
}
