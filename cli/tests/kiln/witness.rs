//! `kiln witness`: its keys, its lists, and what it knows after whatever end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use kiln_tiles::{
    AddCheckpoint, Checkpoint, Cosignatures, Hash, Node, Note, Proof, SignatureType, SigningKey, Subtree,
    TreeHead, VerifierKey,
};

use crate::world::{Reply, Server, World, free_address};

/// A log whose entries are numbers.
struct Log(SigningKey);

impl Log {
    fn new(origin: &str) -> Self {
        Self(SigningKey::from_seed(origin.parse().unwrap(), [7; 32]))
    }

    fn list(&self) -> String {
        format!("logs/v0\nvkey {}\n", self.0.verifier_key())
    }

    fn node(node: Node) -> Hash {
        if node.level() == 0 {
            return Hash::leaf(&node.index().to_be_bytes());
        }
        let child = |index| Self::node(Node::new(node.level() - 1, index).unwrap());
        Hash::node(child(2 * node.index()), child(2 * node.index() + 1))
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let root = Subtree::whole(size).unwrap().hash(|node| Some(Self::node(node))).unwrap();
        let checkpoint = Checkpoint::new(self.0.name().as_str(), TreeHead::new(size, root).unwrap()).unwrap();
        let prove = |earlier| Proof::make(earlier, size, |node| Some(Self::node(node))).unwrap();
        let proof = Subtree::whole(old).map_or_else(Proof::default, prove);
        AddCheckpoint { old, proof, checkpoint: self.0.sign(checkpoint.to_string()).unwrap() }
    }
}

fn add(witness: &Server, request: &AddCheckpoint) -> Reply {
    witness.post("/add-checkpoint", request.to_string().as_bytes())
}

fn vkeys(witness: &Server) -> Vec<VerifierKey> {
    witness.printed.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_first_start_makes_two_keys_and_later_ones_have_them() {
    let (world, log) = (World::new(), Log::new("example.com/log"));
    world.write("logs", log.list());
    let first = world.witness(&["w", "--name", "w.example/1", "--logs", "logs"]);
    let made = vkeys(&first);
    let kinds: Vec<_> = made.iter().map(VerifierKey::signature_type).collect();
    assert_eq!(kinds, [SignatureType::Ed25519Cosignature, SignatureType::MlDsa44Cosignature]);
    assert!(made.iter().all(|vkey| vkey.name().as_str() == "w.example/1"));
    for key in ["w/keys/ed25519", "w/keys/ml-dsa-44"] {
        assert_eq!(fs::metadata(world.path(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    world.kiln(&["witness", "w", "--listen", &free_address()]).fails(3, &["another process has it open"]);
    let request = log.request(0, 5);
    let answer = Cosignatures::parse(&add(&first, &request).expect(200).body).unwrap();
    let note = answer.lines().iter().try_fold(request.checkpoint, |note, line| note.with(line.clone()));
    assert_eq!(note.unwrap().verify(&made).unwrap().1.len(), 2);
    assert_eq!(first.stop(), Some(0));

    // The name and the logs are remembered.
    let again = world.witness(&["w"]);
    assert_eq!(vkeys(&again), made);
    add(&again, &log.request(5, 9)).expect(200);
    assert_eq!(again.stop(), Some(0));
    world.kiln(&["witness", "w", "--name", "w.example/2"]).fails(2, &["w.example/1", "for ever"]);
}

#[test]
fn what_cannot_be_a_witness_is_refused() {
    let (world, log) = (World::new(), Log::new("example.com/log"));
    world.write("logs", log.list());
    let witness =
        |arguments: &[&str]| world.kiln(&[&["witness", "w", "--listen", "127.0.0.1:0"], arguments].concat());
    witness(&["--logs", "logs"]).fails(2, &["--name"]);
    witness(&["--name", "w.example/1"]).fails(2, &["--logs"]);
    witness(&["--name", "w.example/1", "--logs", "none"]).fails(3, &["none"]);
    world.write("bad", "logs/v0\nvkey x\n");
    witness(&["--name", "w.example/1", "--logs", "bad"]).fails(3, &["line 2"]);
    witness(&["--name", "w.example/1", "--logs", "logs", "--listen", "x"]).fails(2, &[]);
    world.kiln(&["key", "new", "w.example/1", "-o", "signs"]).ok();
    witness(&["--logs", "logs", "--key", "signs"]).fails(2, &["signs"]);
    witness(&["--logs", "logs", "--bastion", "bastion.example"]).fails(2, &["host and port"]);

    let key = world.path("w/keys/ed25519");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    witness(&["--logs", "logs"]).fails(3, &["chmod 600"]);
    // Others know the witness by it: it is not made anew in silence.
    fs::remove_file(&key).unwrap();
    witness(&["--logs", "logs"]).fails(3, &["ed25519"]);
}

#[test]
fn a_further_key_cosigns_too() {
    let (world, log) = (World::new(), Log::new("example.com/log"));
    world.write("logs", log.list());
    let other = world.witness(&["other", "--name", "w.example/1", "--logs", "logs"]);
    let old = vkeys(&other)[0].clone();
    assert_eq!(other.stop(), Some(0));
    let more = ["--name", "w.example/1", "--logs", "logs", "--key", "other/keys/ed25519"];
    let witness = world.witness(&[&["w"], &more[..]].concat());
    let keys = vkeys(&witness);
    assert_eq!((keys.len(), &keys[2]), (3, &old));
    let answer = Cosignatures::parse(&add(&witness, &log.request(0, 5)).expect(200).body).unwrap();
    assert!(keys.iter().zip(answer.lines()).all(|(key, line)| line.is_by(key)));
    assert_eq!(answer.lines().len(), 3);
    let twice = ["witness", "w", "--key", "w/keys/ed25519", "--listen", "127.0.0.1:0"];
    assert_eq!(witness.stop(), Some(0));
    world.kiln(&twice).fails(2, &["there twice"]);
}

#[test]
fn lists_are_read_again_and_a_broken_one_takes_nothing_back() {
    let (world, one, two) = (World::new(), Log::new("example.com/one"), Log::new("example.com/two"));
    world.write("logs", one.list());
    let witness = world.witness(&["w", "--name", "w.example/1", "--logs", "logs", "--poll", "20ms"]);
    let outcome = |log: &Log| add(&witness, &log.request(1, 2)).status;
    let becomes = |log: &Log, status| {
        let found = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            outcome(log) == status
        });
        assert!(found, "{}: {status}; {}", log.0.name(), witness.stderr());
    };
    assert_eq!((outcome(&one), outcome(&two)), (409, 404));
    world.write("logs", two.list());
    becomes(&two, 409);
    assert_eq!(outcome(&one), 409, "additive");
    world.write("logs", "logs/v0\nvkey broken");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((outcome(&one), outcome(&two)), (409, 409));
    assert!(witness.stderr().contains("the logs that are known stay"));
    world.write("w/disabled", "example.com/one\n");
    becomes(&one, 404);
    world.write("logs", one.list());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((outcome(&one), outcome(&two)), (404, 409), "disabled stays disabled");
    assert_eq!(witness.stop(), Some(0));
}

/// kill -9 at any moment: what was answered is known, no size goes back, and monitors see it.
#[test]
fn what_was_answered_survives_a_kill() {
    let (world, log) = (World::new(), Log::new("example.com/log"));
    world.write("logs", log.list());
    let mut size = 0;
    let mut witness = world.witness(&["w", "--name", "w.example/1", "--logs", "logs"]);
    for round in 0..5 {
        for _ in 0..=round {
            add(&witness, &log.request(size, size + 3)).expect(200);
            size += 3;
        }
        witness.kill();
        witness = world.witness(&["w"]);
        let hash = origin_hash(log.0.name().as_str());
        let shown = witness.get(&format!("/{hash}/checkpoint")).expect(200);
        let keys = [&[log.0.verifier_key()][..], &vkeys(&witness)].concat();
        let note = Note::parse(&shown.body).unwrap();
        let (text, signatures) = note.verify(&keys).unwrap();
        assert_eq!((text.parse::<Checkpoint>().unwrap().head().size(), signatures.len()), (size, 3));
        assert_eq!(add(&witness, &log.request(0, size)).expect(409).text(), format!("{size}\n"));
    }
    assert_eq!(witness.stop(), Some(0));
}

fn origin_hash(origin: &str) -> String {
    use sha2::Digest;
    Hash::from_bytes(sha2::Sha256::digest(origin).into()).to_hex()
}

#[test]
fn metrics_have_a_port_of_their_own_or_none() {
    let (world, log) = (World::new(), Log::new("example.com/log"));
    world.write("logs", log.list());
    let admin = free_address();
    let witness = world.witness(&["w", "--name", "w.example/1", "--logs", "logs", "--admin-listen", &admin]);
    add(&witness, &log.request(0, 5)).expect(200);
    witness.get("/metrics").expect(404);
    witness.get("/readyz").expect(200);
    let metrics = crate::world::request(&format!("http://{admin}"), "GET", "/metrics", &[], b"").text();
    for line in [
        "kiln_witness_requests_total{call=\"add-checkpoint\",outcome=\"cosigned\"} 1",
        "kiln_witness_log_tree_size{origin=\"example.com/log\"} 5",
        "kiln_witness_logs 1",
        "kiln_witness_ready 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert_eq!(witness.stop(), Some(0));
}
