//! A witness in this process, which does as it is told: right, or wrong in one of the ways there are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kiln_sequencer::{WitnessAnswer, WitnessClient, WitnessError};
use kiln_tiles::{AddCheckpoint, Cosigner, Note, NoteSignature, TreeHead, TrustedLog};

/// What a witness does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Honest,
    /// Honest, after so long.
    Slow(Duration),
    Down,
    Stalls,
    WrongSignature,
    WrongKey,
    NoTime,
    ConflictForEver,
    /// Says that it knows a tree of this size.
    Claims(u64),
    Garbage,
    Status(u16),
}

/// The ways that are no use to a log.
pub(crate) const BAD_WAYS: [Way; 11] = [
    Way::Down,
    Way::Stalls,
    Way::WrongSignature,
    Way::WrongKey,
    Way::NoTime,
    Way::ConflictForEver,
    Way::Claims(1 << 40),
    Way::Garbage,
    Way::Status(403),
    Way::Status(422),
    Way::Status(500),
];

#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cosigner: Cosigner,
    log: TrustedLog,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    way: Way,
    known: TreeHead,
    /// What is shown to monitors.
    shown: Option<Note>,
    cosigned: u64,
}

impl Fake {
    pub(crate) fn new(cosigner: Cosigner, log: TrustedLog) -> Self {
        let state = State { way: Way::Honest, known: TreeHead::empty(), shown: None, cosigned: 0 };
        Self(Arc::new(Inner { cosigner, log, state: Mutex::new(state) }))
    }

    pub(crate) fn does(&self, way: Way) {
        self.0.state.lock().expect("nobody panicked").way = way;
    }

    /// How often it cosigned.
    pub(crate) fn asked(&self) -> u64 {
        self.0.state.lock().unwrap().cosigned
    }

    pub(crate) fn knows(&self) -> TreeHead {
        self.0.state.lock().expect("nobody panicked").known
    }

    /// It has seen what that one has.
    pub(crate) fn becomes(&self, other: &Self) {
        let (known, shown) = {
            let other = other.0.state.lock().expect("nobody panicked");
            (other.known, other.shown.clone())
        };
        let mut state = self.0.state.lock().expect("nobody panicked");
        (state.known, state.shown) = (known, shown);
    }

    pub(crate) fn shows_nothing(&self) {
        self.0.state.lock().expect("nobody panicked").shown = None;
    }

    /// As the specification says, in its order, as far as a log of ours can tell.
    fn answer(&self, body: &str) -> WitnessAnswer {
        let Inner { cosigner, log, state } = &*self.0;
        let mut state = state.lock().expect("nobody panicked");
        let answer = |status, body: String| WitnessAnswer { status, body: Bytes::from(body) };
        match state.way {
            Way::ConflictForEver => return answer(409, "0\n".into()),
            Way::Claims(size) => return answer(409, format!("{size}\n")),
            Way::Garbage => return answer(200, "— \u{0}\n\n\n".into()),
            Way::Status(status) => return answer(status, "no\n".into()),
            _ => {}
        }
        let request: AddCheckpoint = body.parse().expect("a request of ours");
        let checkpoint = log.open_note(request.checkpoint).expect("signed by the log");
        if request.old != state.known.size() {
            return answer(409, format!("{}\n", state.known.size()));
        }
        let proved = request.proof.verify_consistency(state.known, checkpoint.head());
        if proved.is_err() || request.old > checkpoint.head().size() {
            return answer(422, String::new());
        }
        state.known = checkpoint.head();
        state.cosigned += 1;
        let time = if state.way == Way::NoTime { 0 } else { state.cosigned };
        let other = Cosigner::ed25519_from_seed(cosigner.name().clone(), [99; 32]);
        let by = if state.way == Way::WrongKey { &other } else { cosigner };
        let mut line = by.cosign(checkpoint.checkpoint(), time).expect("a cosignature");
        if state.way == Way::WrongSignature {
            let mut wrong = line.signature().to_vec();
            wrong[20] ^= 1;
            line = NoteSignature::new(&cosigner.verifier_key(), wrong);
        }
        state.shown = Some(checkpoint.note().clone());
        answer(200, format!("{line}\n"))
    }
}

impl WitnessClient for Fake {
    fn add_checkpoint(&self, body: String) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>> {
        let way = self.0.state.lock().expect("nobody panicked").way;
        async move {
            match way {
                Way::Down => return Err("connection refused".into()),
                Way::Stalls => std::future::pending().await,
                Way::Slow(time) => tokio::time::sleep(time).await,
                _ => {}
            }
            Ok(self.answer(&body))
        }
        .boxed()
    }

    fn checkpoint(&self, origin_hash: String) -> BoxFuture<'_, Result<Option<Bytes>, WitnessError>> {
        assert_eq!(origin_hash, kiln_tiles::origin_hash(self.0.log.origin()).to_hex());
        let (way, shown) = {
            let state = self.0.state.lock().expect("nobody panicked");
            (state.way, state.shown.clone())
        };
        async move {
            match way {
                Way::Down => Err("connection refused".into()),
                _ => Ok(shown.map(|note| note.to_string().into())),
            }
        }
        .boxed()
    }
}
