//! The door that all of Kiln's servers share: listener, TLS, limits, time-outs, who may submit and how much,
//! conditional requests, plain replies, health and metrics.
//!
//! A server implements [`Handler`] and calls [`serve`]. Everything a stranger can do to a server
//! before its handler runs is bounded by [`Limits`], and the request body by [`read_body`], so memory is
//! what the flags say and not what connects (design.md, promise 7).
//!
//! ```no_run
//! use std::sync::Arc;
//! use kiln_http::{Client, Handler, Incoming, Limits, Request, Response, StatusCode, reply, serve};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     async fn handle(&self, _request: Request<Incoming>, _client: Client) -> Response {
//!         reply::text(StatusCode::OK, "hello\n")
//!     }
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! serve(listener, Limits::default(), Arc::new(Hello), std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! HTTP is that of [RFC 9110], [RFC 9112] and [RFC 9113].
//!
//! [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112
//! [RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113

mod accept;
#[cfg(feature = "acme")]
mod acme;
mod admin;
mod body;
mod budget;
mod client;
pub mod cors;
mod crowd;
mod etag;
mod gate;
mod head_lines;
mod identity;
mod limits;
mod listener;
mod proxies;
mod range;
mod rate;
mod relay;
pub mod reply;
mod resource;
mod serve;
mod socket;
mod tls;
mod tokens;
mod turns;

pub use accept::asks_for;
#[cfg(feature = "acme")]
pub use acme::{Acme, AcmeCache, AcmeError, AcmeOptions, Domain, LETS_ENCRYPT, ParseDomainError};
pub use admin::{AdminHandler, NotReady, Probe, health};
pub use body::{BodyError, discard, next_chunk, read_body};
pub use budget::{BudgetExhausted, ByteBudget, Share};
pub use bytes::Bytes;
pub use client::Client;
pub use etag::{EntityTag, InvalidEntityTag, etag_of};
pub use gate::{Admitted, Gate, GateOptions, Gated, NotAdmitted, TurnedAway};
pub use http_body_util::Full;
pub use hyper::body::Incoming;
pub use hyper::http::request::Parts;
pub use hyper::{HeaderMap, Method, Request, StatusCode, Uri, Version, header};
pub use identity::{Identity, IdentityError, Validity};
pub use limits::Limits;
pub use listener::Listener;
pub use proxies::{Network, ParseNetworkError, ProxyHeader, TrustedProxies};
pub use rate::{ParseRateError, Rate};
pub use relay::Relay;
pub use resource::{StaticResource, respond};
pub use serve::serve;
pub use tls::{Certificates, Tls};
pub use tokens::{MIN_TOKEN_LENGTH, ParseTokensError, TokenFault, Tokens};
pub use turns::Turns;

/// What a [`Handler`] answers: the whole body at once.
///
/// Tiles, bundles, proofs and checkpoints are small and mostly shared, so a body is one reference-counted
/// slice and never a stream.
pub type Response = hyper::Response<Full<Bytes>>;

/// Answers requests: the server behind the door.
///
/// With HTTP/1.1 it is called on the connection's task, one request of a connection at a time; with HTTP/2 each
/// request is a task of its own. The future is dropped when the connection breaks while an answer is written, when
/// an HTTP/2 client resets the stream, or when the grace time of a shutdown ends, so work that must not stop halfway
/// belongs in a task that the handler spawns. It is *not* dropped when the client merely stops sending: half of a
/// closed connection can still take an answer.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request of this client. Errors are answers too: nothing but a response leaves here.
    fn handle(&self, request: Request<Incoming>, client: Client) -> impl Future<Output = Response> + Send;
}
