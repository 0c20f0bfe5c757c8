//! A mirror in this process, which does as it is told: right, or wrong in one of the ways there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kiln_sequencer::{MirrorClient, WitnessAnswer, WitnessError};
use kiln_tiles::{
    AddCheckpoint, AddEntries, Checkpoint, Cosignatures, Cosigner, EntryPackage, Hash, MAX_PACKAGES,
    MirrorInfo, RightEdge, TreeHead, TrustedLog,
};

/// What a mirror does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Honest,
    /// Takes one package of a request, and lets the rest come again.
    OnePackage,
    /// Does what it is asked for, and no answer arrives.
    LosesAnswers,
    Down,
    Stalls,
    WrongSignature,
    WrongKey,
    /// Says that it has nothing, whatever it is sent.
    NothingForEver,
    /// Says by turns that it has nothing, and one entry.
    ToAndFro,
    /// Says that it knows a tree of this size.
    Claims(u64),
    Garbage,
    Status(u16),
}

/// The ways that lead to no line.
pub(crate) const BAD_WAYS: [Way; 11] = [
    Way::Down,
    Way::Stalls,
    Way::WrongSignature,
    Way::WrongKey,
    Way::NothingForEver,
    Way::ToAndFro,
    Way::Claims(1 << 40),
    Way::Garbage,
    Way::Status(403),
    Way::Status(422),
    Way::Status(503),
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
    pending: TreeHead,
    /// All trees that were ever pending, by size.
    trees: BTreeMap<u64, TreeHead>,
    leaves: Vec<Hash>,
    requests: usize,
}

impl Fake {
    pub(crate) fn new(log: TrustedLog) -> Self {
        let cosigner = Cosigner::ed25519_from_seed("mirror.example/m".parse().unwrap(), [9; 32]);
        let state = State {
            way: Way::Honest,
            pending: TreeHead::empty(),
            trees: BTreeMap::new(),
            leaves: Vec::new(),
            requests: 0,
        };
        Self(Arc::new(Inner { cosigner, log, state: Mutex::new(state) }))
    }

    pub(crate) fn cosigner(&self) -> &Cosigner {
        &self.0.cosigner
    }

    pub(crate) fn does(&self, way: Way) {
        self.0.state.lock().unwrap().way = way;
    }

    /// It loses its disk.
    pub(crate) fn forgets(&self) {
        let mut state = self.0.state.lock().unwrap();
        (state.pending, state.leaves) = (TreeHead::empty(), Vec::new());
        state.trees.clear();
    }

    /// How many entries it has.
    pub(crate) fn size(&self) -> usize {
        self.0.state.lock().unwrap().leaves.len()
    }

    /// How many requests came with entries.
    pub(crate) fn requests(&self) -> usize {
        self.0.state.lock().unwrap().requests
    }

    /// The tree that it has, from the entries that it was sent.
    pub(crate) fn tree(&self) -> TreeHead {
        let mut edge = RightEdge::empty();
        edge.append(self.0.state.lock().unwrap().leaves.iter().copied());
        edge.head()
    }
}

fn answer(status: u16, body: &(impl ToString + ?Sized)) -> WitnessAnswer {
    WitnessAnswer { status, body: body.to_string().into() }
}

impl Inner {
    fn add_checkpoint(&self, body: &str) -> WitnessAnswer {
        let request: AddCheckpoint = body.parse().expect("a request");
        let checkpoint = self.log.open_note(request.checkpoint).expect("signed by the log");
        let mut state = self.state.lock().unwrap();
        match state.way {
            Way::Claims(size) => return answer(409, &format!("{size}\n")),
            Way::Garbage => return answer(409, "x\n"),
            Way::Status(status) => return answer(status, "no\n"),
            _ if request.old != state.pending.size() => {
                return answer(409, &format!("{}\n", state.pending.size()));
            }
            _ => {}
        }
        request.proof.verify_consistency(state.pending, checkpoint.head()).expect("it proves");
        state.pending = checkpoint.head();
        state.trees.insert(checkpoint.head().size(), checkpoint.head());
        answer(200, "")
    }

    fn add_entries(&self, body: &[u8]) -> WitnessAnswer {
        let (header, mut rest) = AddEntries::split(body).expect("a request").expect("its beginning");
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        assert!(header.packages().take(MAX_PACKAGES + 1).count() <= MAX_PACKAGES || rest.len() < (5 << 20));
        let info = |state: &State| {
            let ticket = state.pending.size().to_string().into_bytes();
            MirrorInfo::new(state.pending.size(), state.leaves.len() as u64, ticket).unwrap()
        };
        match state.way {
            Way::NothingForEver => {
                return answer(409, &MirrorInfo::new(state.pending.size(), 0, Vec::new()).unwrap());
            }
            Way::ToAndFro => {
                assert!(state.requests < 1000, "it is asked again and again, without a pause");
                let next = u64::from(state.requests % 2 == 1);
                return answer(409, &MirrorInfo::new(state.pending.size(), next, Vec::new()).unwrap());
            }
            Way::Garbage => return answer(202, "x\n"),
            _ => {}
        }
        let known = state.trees.get(&header.end()).copied();
        let Some(tree) = known.filter(|_| header.start() <= state.leaves.len() as u64) else {
            return answer(409, &info(&state));
        };
        let mut packages = 0;
        for span in header.packages() {
            if rest.is_empty() || (state.way == Way::OnePackage && packages == 1) {
                return answer(202, &info(&state));
            }
            packages += 1;
            assert!(packages <= MAX_PACKAGES, "no more in a request");
            let (package, after) = EntryPackage::split(span, rest).expect("a package").expect("all of it");
            let before = span.before();
            let before: Vec<Hash> = before.map(|i| state.leaves[usize::try_from(i).unwrap()]).collect();
            let leaves = package.verify(&before, tree).expect("it proves");
            let known = state.leaves.len() - usize::try_from(span.start()).unwrap();
            state.leaves.extend(leaves.into_iter().skip(known));
            rest = after;
        }
        assert!(rest.is_empty(), "nothing follows");
        self.sign(state.way, tree)
    }

    fn sign(&self, way: Way, tree: TreeHead) -> WitnessAnswer {
        let other = Cosigner::ed25519_from_seed("mirror.example/other".parse().unwrap(), [8; 32]);
        let cosigner = if way == Way::WrongKey { &other } else { &self.cosigner };
        let signed = if way == Way::WrongSignature { TreeHead::empty() } else { tree };
        let checkpoint = Checkpoint::new(self.log.origin(), signed).unwrap();
        let lines = vec![cosigner.cosign(&checkpoint, 5).unwrap()];
        answer(200, &Cosignatures::new(lines).unwrap())
    }

    async fn answered(&self, work: impl FnOnce() -> WitnessAnswer) -> Result<WitnessAnswer, WitnessError> {
        let way = self.state.lock().unwrap().way;
        match way {
            Way::Down => Err("no connection".into()),
            Way::Stalls => std::future::pending().await,
            Way::LosesAnswers => {
                work();
                Err("the connection broke".into())
            }
            _ => Ok(work()),
        }
    }
}

impl MirrorClient for Fake {
    fn add_checkpoint(&self, body: String) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>> {
        async move { self.0.answered(|| self.0.add_checkpoint(&body)).await }.boxed()
    }

    fn add_entries(&self, body: Bytes) -> BoxFuture<'_, Result<WitnessAnswer, WitnessError>> {
        async move { self.0.answered(|| self.0.add_entries(&body)).await }.boxed()
    }
}
