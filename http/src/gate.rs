//! Who may submit, and how much: checked before a body is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use tokio::time::Instant;

use crate::rate::{Bucket, Buckets, ClientKey, Rate};
use crate::tokens::{Tokens, token_in};
use crate::{Client, Handler, Response, discard, reply};

/// What submissions pass. Reads do not.
///
/// [`admit`](Self::admit) each as soon as its head is read, and [`charge`](Self::charge) what it holds beyond one entry
/// once that is known. What was let in is paid for, whatever becomes of it: who sends nonsense is no better than
/// who sends much.
#[derive(Debug)]
pub struct Gate {
    tokens: Option<RwLock<Arc<Tokens>>>,
    all: Option<Limit<Bucket>>,
    each: Option<Limit<Buckets>>,
    start: Instant,
    unauthorized: AtomicU64,
    too_many: AtomicU64,
}

/// How many submissions were not let in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TurnedAway {
    /// For want of a token that is known: 401.
    pub unauthorized: u64,
    /// Since too much was sent: 429.
    pub too_many: u64,
}

/// What is counted, and the rate in words.
#[derive(Debug)]
struct Limit<B> {
    rate: Rate,
    buckets: B,
}

/// What the operator asks of submitters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GateOptions {
    /// The tokens of which one is needed; with `None` none is.
    pub tokens: Option<Tokens>,
    /// What all may send together.
    pub rate: Option<Rate>,
    /// What each may send: each token where these are needed, else each address, of IPv6 each /64.
    pub client_rate: Option<Rate>,
}

/// A submission that was let in.
#[derive(Clone, Copy, Debug)]
#[must_use = "a batch is charged for what it holds"]
pub struct Admitted(ClientKey);

/// Why a submission was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// No token, two, or one in another form.
    #[error("a submission needs a bearer token here: send Authorization: Bearer TOKEN")]
    NoToken,
    /// Nobody's token.
    #[error("this bearer token is not known here")]
    UnknownToken,
    /// The sender's bucket is empty.
    #[error("you may send {rate} (entries/time:burst) here: send it again in {} s", whole_seconds(*.wait))]
    TooMuch {
        /// What is allowed.
        rate: Rate,
        /// How long until it is.
        wait: Duration,
    },
    /// The bucket of all is empty.
    #[error("all together may send {rate} (entries/time:burst) here: send it again in {} s", whole_seconds(*.wait))]
    TooMuchOfAll {
        /// What is allowed.
        rate: Rate,
        /// How long until it is.
        wait: Duration,
    },
}

impl Default for Gate {
    /// Open to all.
    fn default() -> Self {
        Self::new(GateOptions::default())
    }
}

impl Gate {
    /// A gate that asks for this.
    #[must_use]
    pub fn new(options: GateOptions) -> Self {
        Self {
            tokens: options.tokens.map(|tokens| RwLock::new(Arc::new(tokens))),
            all: options.rate.map(|rate| Limit { rate, buckets: Bucket::new(rate) }),
            each: options.client_rate.map(|rate| Limit { rate, buckets: Buckets::new(rate) }),
            start: Instant::now(),
            unauthorized: AtomicU64::new(0),
            too_many: AtomicU64::new(0),
        }
    }

    /// Takes these tokens from now on, and no others. A gate that was open to all stays so.
    pub fn replace_tokens(&self, tokens: Tokens) {
        if let Some(current) = &self.tokens {
            *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
        }
    }

    /// Lets a submission in, and charges one entry.
    ///
    /// # Errors
    /// Where it lacks a token, or too much was sent.
    pub fn admit(&self, client: Client, headers: &HeaderMap) -> Result<Admitted, NotAdmitted> {
        let known = self.known_key(client, headers);
        let admitted = Admitted(known.inspect_err(|refused| self.count(refused))?);
        self.pay(admitted).inspect_err(|refused| self.count(refused))?;
        Ok(admitted)
    }

    fn known_key(&self, client: Client, headers: &HeaderMap) -> Result<ClientKey, NotAdmitted> {
        let hash = self.tokens.as_ref().map(|tokens| known(tokens, headers)).transpose()?;
        let key = self.each.as_ref().map(|each| match hash {
            Some(hash) => each.buckets.key(hash),
            None => each.buckets.key(client.network()),
        });
        Ok(key.unwrap_or_default())
    }

    /// Charges so many more entries of a submission that was let in, though it be into debt: its sender waits longer for
    /// the next one.
    pub fn charge(&self, Admitted(client): Admitted, entries: usize) {
        if entries == 0 || (self.all.is_none() && self.each.is_none()) {
            return;
        }
        let (entries, now) = (entries as u64, self.start.elapsed());
        if let Some(Limit { buckets, .. }) = &self.each {
            buckets.owe(client, entries, now);
        }
        if let Some(Limit { buckets, .. }) = &self.all {
            buckets.pay(entries, now);
        }
    }

    /// How many were not let in.
    #[must_use]
    pub fn turned_away(&self) -> TurnedAway {
        let [unauthorized, too_many] =
            [&self.unauthorized, &self.too_many].map(|count| count.load(Ordering::Relaxed));
        TurnedAway { unauthorized, too_many }
    }

    fn count(&self, refused: &NotAdmitted) {
        let counter = if refused.wait().is_some() { &self.too_many } else { &self.unauthorized };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// For one entry.
    fn pay(&self, Admitted(client): Admitted) -> Result<(), NotAdmitted> {
        if self.all.is_none() && self.each.is_none() {
            return Ok(());
        }
        let now = self.start.elapsed();
        // All together pay last: neither does who is refused for the others' sake lose anything, nor do all by who
        // sends too much.
        if let Some(Limit { rate, buckets }) = &self.all {
            buckets.has_one(now).map_err(|wait| NotAdmitted::TooMuchOfAll { rate: *rate, wait })?;
        }
        if let Some(Limit { rate, buckets }) = &self.each {
            let paid = buckets.pay(client, 1, now);
            paid.map_err(|wait| NotAdmitted::TooMuch { rate: *rate, wait })?;
        }
        if let Some(Limit { buckets, .. }) = &self.all {
            buckets.pay(1, now);
        }
        Ok(())
    }
}

/// The hash of the token of a request, if it is one of these.
fn known(tokens: &RwLock<Arc<Tokens>>, headers: &HeaderMap) -> Result<crate::tokens::TokenHash, NotAdmitted> {
    let token = token_in(headers).ok_or(NotAdmitted::NoToken)?;
    let tokens = tokens.read().unwrap_or_else(PoisonError::into_inner).clone();
    let (hash, name) = tokens.find(token).ok_or(NotAdmitted::UnknownToken)?;
    tracing::trace!(name, "token");
    Ok(hash)
}

impl NotAdmitted {
    /// 401 or 429.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::TooMuch { .. } | Self::TooMuchOfAll { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// How long to wait, where that is all that it takes.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::NoToken | Self::UnknownToken => None,
            Self::TooMuch { wait, .. } | Self::TooMuchOfAll { wait, .. } => Some(*wait),
        }
    }

    /// Says in the headers of an answer how to do better.
    pub fn advise(&self, headers: &mut HeaderMap) {
        match self {
            Self::NoToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::UnknownToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
            }
            Self::TooMuch { wait, .. } | Self::TooMuchOfAll { wait, .. } => {
                headers.insert(RETRY_AFTER, whole_seconds(*wait).into());
            }
        }
    }

    /// The answer, in plain text.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = reply::text(self.status(), format!("{self}\n"));
        self.advise(response.headers_mut());
        response
    }
}

/// A handler all of whose POSTs pass a gate, for a server that has no submissions of many entries.
#[derive(Debug)]
pub struct Gated<H> {
    handler: H,
    gate: Arc<Gate>,
}

impl<H> Gated<H> {
    /// Puts the gate before the handler.
    pub const fn new(handler: H, gate: Arc<Gate>) -> Self {
        Self { handler, gate }
    }
}

impl<H: Handler> Handler for Gated<H> {
    async fn handle(&self, request: Request<Incoming>, client: Client) -> Response {
        if request.method() == Method::POST
            && let Err(refused) = self.gate.admit(client, request.headers())
        {
            discard(request.version(), request.into_body()).await;
            return refused.into_response();
        }
        self.handler.handle(request, client).await
    }
}

/// Rounded up: who comes back then is let in.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use hyper::header::AUTHORIZATION;
    use tokio::time::advance;

    use super::*;

    const TOKENS: [&str; 2] = ["the-token-of-one-client", "the-token-of-another-client"];

    fn gate(rate: Option<&str>, client_rate: Option<&str>, tokens: Option<&str>) -> Gate {
        Gate::new(GateOptions {
            tokens: tokens.map(|text| text.parse().unwrap()),
            rate: rate.map(|text| text.parse().unwrap()),
            client_rate: client_rate.map(|text| text.parse().unwrap()),
        })
    }

    fn at(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    fn bearing(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    fn status(admitted: Result<Admitted, NotAdmitted>) -> u16 {
        admitted.map_or_else(|refused| refused.into_response().status().as_u16(), |_| 200)
    }

    fn asked(gate: &Gate, address: &str) -> u16 {
        status(gate.admit(at(address), &HeaderMap::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_does_not_use_up_what_another_may_send() {
        let gate = gate(None, Some("1/s:2"), None);
        assert_eq!([0; 3].map(|_| asked(&gate, "192.0.2.7")), [200, 200, 429]);
        assert_eq!(asked(&gate, "192.0.2.8"), 200);
        assert_eq!(
            [1, 2, 3].map(|host| asked(&gate, &format!("2001:db8::{host}"))),
            [200, 200, 429],
            "one /64"
        );
        advance(Duration::from_secs(1)).await;
        assert_eq!([0; 2].map(|_| asked(&gate, "192.0.2.7")), [200, 429]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_have_a_limit_too_and_hear_how_long_to_wait() {
        let gate = gate(Some("2/s:3"), None, None);
        assert_eq!([1, 2, 3, 4].map(|host| asked(&gate, &format!("192.0.2.{host}"))), [200, 200, 200, 429]);
        let refused = gate.admit(at("192.0.2.5"), &HeaderMap::new()).unwrap_err();
        let text = "all together may send 2/s:3 (entries/time:burst) here: send it again in 1 s";
        assert_eq!(refused.to_string(), text);
        assert_eq!(refused.into_response().headers()[RETRY_AFTER], "1");
        advance(Duration::from_millis(500)).await;
        assert_eq!(asked(&gate, "192.0.2.5"), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_charged_for_each_of_its_entries() {
        let gate = gate(None, Some("10/s"), None);
        let batch = gate.admit(at("192.0.2.7"), &HeaderMap::new()).unwrap();
        gate.charge(batch, 99);
        assert_eq!(asked(&gate, "192.0.2.7"), 429);
        advance(Duration::from_millis(9000)).await;
        assert_eq!(asked(&gate, "192.0.2.7"), 429, "the 90 above the burst take 9 s, and one more a tenth");
        advance(Duration::from_millis(100)).await;
        assert_eq!(asked(&gate, "192.0.2.7"), 200);
    }

    /// A rate of less than two a second has a burst of one, and a batch asked for one more entry than there was: it was
    /// refused, however long its sender had waited.
    #[tokio::test(start_paused = true)]
    async fn a_batch_passes_whatever_the_burst() {
        let gate = gate(Some("1/s"), Some("1/s"), None);
        for _ in 0..2 {
            let batch = gate.admit(at("192.0.2.7"), &HeaderMap::new()).unwrap();
            gate.charge(batch, 9);
            assert_eq!(asked(&gate, "192.0.2.7"), 429);
            advance(Duration::from_secs(10)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_clients_wherever_they_come_from() {
        let lines = format!(
            "one {}\nother {}\n",
            &Tokens::line("x", TOKENS[0])[2..],
            &Tokens::line("x", TOKENS[1])[2..]
        );
        let gate = gate(None, Some("1/s"), Some(&lines));
        let send = |address, token| status(gate.admit(at(address), &bearing(token)));
        assert_eq!([send("192.0.2.7", TOKENS[0]), send("192.0.2.8", TOKENS[0])], [200, 429]);
        assert_eq!(send("192.0.2.7", TOKENS[1]), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_known_token_the_answer_is_401_and_says_what_is_missing() {
        let gate = gate(None, None, Some(&Tokens::line("one", TOKENS[0])));
        let refused = gate.admit(at("192.0.2.7"), &HeaderMap::new()).unwrap_err();
        assert_eq!((refused, refused.status()), (NotAdmitted::NoToken, StatusCode::UNAUTHORIZED));
        assert_eq!(refused.into_response().headers()[WWW_AUTHENTICATE], "Bearer");
        let refused = gate.admit(at("192.0.2.7"), &bearing(TOKENS[1])).unwrap_err();
        assert_eq!(refused, NotAdmitted::UnknownToken);
        assert_eq!(refused.into_response().headers()[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
        gate.replace_tokens(Tokens::line("other", TOKENS[1]).parse().unwrap());
        assert_eq!(status(gate.admit(at("192.0.2.7"), &bearing(TOKENS[1]))), 200);
        assert_eq!(status(gate.admit(at("192.0.2.7"), &bearing(TOKENS[0]))), 401, "no longer");
        assert_eq!(gate.turned_away(), TurnedAway { unauthorized: 3, too_many: 0 });
    }

    /// An empty file of tokens is a gate that is shut, not one that is open.
    #[test]
    fn no_tokens_at_all_let_nobody_in() {
        let gate = gate(None, None, Some("# nobody yet\n"));
        assert_eq!(status(gate.admit(at("192.0.2.7"), &bearing(TOKENS[0]))), 401);
        assert_eq!(asked(&Gate::default(), "192.0.2.7"), 200);
    }
}
