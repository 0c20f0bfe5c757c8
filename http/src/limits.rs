//! What a stranger may use up before anybody knows who it is.

use std::time::Duration;

/// The bounds on one listener.
///
/// Connections of HTTP/1.1 hold at most `max_connections * max_header_bytes` of input between them, plus one
/// answer each; those of HTTP/2 64 KiB each of bodies that nobody reads yet, and `max_requests *
/// max_header_bytes` of heads all together. What is read of bodies are bounded by what the handler passes to [`read_body`](crate::read_body), and what
/// is long by a [`ByteBudget`](crate::ByteBudget).
///
/// ```
/// let limits = kiln_http::Limits { max_connections: 100, ..Default::default() };
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections open at once; 20,000. One more is accepted and closed at once.
    ///
    /// Left in the kernel's backlog it would look connected to the client and to a load balancer's
    /// check, and wait for an unknown time with no byte of explanation. Closed, the client sees within one
    /// round trip that it must come back or go elsewhere.
    pub max_connections: usize,
    /// Connections of one client open at once, by its address, of IPv6 by its /64; `None`, no limit but that of all.
    /// One more is accepted and closed at once. Those of a trusted proxy do not count.
    pub max_connections_per_client: Option<usize>,
    /// For a handshake of TLS; 10 s. After it the connection is closed.
    pub handshake_timeout: Duration,
    /// From the moment a request may come to the end of its head; 10 s. After it the connection is
    /// closed without an answer.
    ///
    /// The same clock bounds idle keep-alive: hyper starts it as soon as the last answer is written. With
    /// HTTP/2, where a head has no clock of its own, a connection ends that is idle for one to two such times.
    pub header_timeout: Duration,
    /// For a whole request body; 30 s. The handler gives it to [`read_body`](crate::read_body), for only it
    /// knows whether it wants the body.
    pub body_timeout: Duration,
    /// For a client that takes less than 64 KiB of its answer while there is more; 30 s. After it the connection is
    /// closed.
    ///
    /// It counts anew from each 64 KiB taken, so a slow reader of a large answer is served to the end.
    pub write_timeout: Duration,
    /// Bytes of a request head, from the method to the empty line; 16 KiB. More is answered with 431.
    ///
    /// It is also the size of a connection's read buffer, though never below 8 KiB.
    pub max_header_bytes: usize,
    /// Header fields of a request of HTTP/1.1; 64. More is answered with 431.
    pub max_headers: usize,
    /// Requests of one HTTP/2 connection at once; 256. The client is told, and keeps the rest back.
    pub max_streams: u32,
    /// Requests of all HTTP/2 connections at once; 131,072. One more is answered with 503.
    pub max_requests: usize,
    /// From the shutdown signal until requests in flight are dropped; 10 s.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_client: None,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_header_bytes: 16 * 1024,
            max_headers: 64,
            max_streams: 256,
            max_requests: 128 * 1024,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}
