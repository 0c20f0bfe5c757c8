//! A log that is judged by a policy: who has cosigned, who is missing, and what is wrong with the policy itself.

use kiln_tiles::{Checkpoint, Cosigner, Note};

use crate::world::{Ran, World};

const WITNESSES: [&str; 3] = ["anna", "boris", "carla"];

/// A log with three entries that is at rest, three witnesses, and the policy that asks for two of them.
struct Ring {
    world: World,
    witnesses: Vec<Cosigner>,
}

/// When they cosign.
const TIME: u64 = 1_700_000_000;

impl Ring {
    fn new() -> Self {
        let world = World::new();
        let server = world.serve(&["log", "--origin", "policy.example/log"]);
        world.kiln_reading(&["add", "log", "--lines"], "one\ntwo\nthree\n").ok();
        assert_eq!(server.stop(), Some(0));
        world.write("entry", "two");
        let witnesses = WITNESSES.map(|name| new_witness(&world, name, &format!("{name}.key"))).into();
        let ring = Self { world, witnesses };
        ring.write_policy("ring.policy", "group ring 2 anna boris carla\nquorum ring\n");
        ring
    }

    /// A policy with the log and all witnesses, that ends like this.
    fn write_policy(&self, name: &str, end: &str) {
        let mut policy = format!("# who must have seen a release\nlog {}\n", self.world.vkey("log"));
        for (name, witness) in WITNESSES.iter().zip(&self.witnesses) {
            policy += &format!("witness {name} {}\n", witness.verifier_key());
        }
        self.world.write(name, policy + end);
    }

    /// Puts the lines of these witnesses under the log's checkpoint, and one of somebody whom nobody knows.
    fn cosign(&self, by: &[usize]) {
        let stranger = Cosigner::ed25519_from_seed("stranger.example/w".parse().unwrap(), [7; 32]);
        let by = by.iter().map(|&place| (&self.witnesses[place], TIME + place as u64));
        let by: Vec<(&Cosigner, u64)> = by.chain([(&stranger, 5)]).collect();
        self.cosign_as("log/public/checkpoint", &by);
    }

    fn cosign_as(&self, path: &str, by: &[(&Cosigner, u64)]) {
        let note = Note::parse(&self.world.read(path)).unwrap();
        let checkpoint: Checkpoint = note.unverified_text().parse().unwrap();
        let own = Note::new(note.unverified_text().to_owned(), note.signatures()[..1].to_vec()).unwrap();
        let note = by.iter().fold(own, |note, (witness, time)| {
            note.with(witness.cosign(&checkpoint, *time).unwrap()).unwrap()
        });
        self.world.write(path, note.to_string());
    }

    fn by_policy(&self, arguments: &[&str]) -> Ran {
        self.world.kiln(&[arguments, &["--policy", "ring.policy"]].concat())
    }
}

fn new_witness(world: &World, name: &str, file: &str) -> Cosigner {
    let kind = if name == "carla" { "ed25519-cosigner" } else { "ml-dsa-44" };
    let key_name = format!("{name}.example/witness");
    world.kiln(&["key", "new", &key_name, "-o", file, "--type", kind]).ok();
    String::from_utf8(world.read(file)).unwrap().trim_end().parse().unwrap()
}

const READERS: &[&[&str]] = &[
    &["get", "log", "1"],
    &["prove", "log", "--index", "1"],
    &["prove", "log", "--entry", "entry"],
    &["tail", "log", "--no-follow"],
    &["fsck", "log"],
    &["info", "log"],
];

/// The log showed one reader a tree that only one witness had seen.
#[test]
fn no_command_reads_what_too_few_have_cosigned() {
    let ring = Ring::new();
    ring.cosign(&[1]);
    for command in READERS {
        let refused = ring.by_policy(command);
        let refused = refused.fails(1, &["cosigned by boris, and not by anna, carla", "quorum ring"]);
        let shows = command[0] == "info";
        assert!(shows || refused.stdout.is_empty(), "{command:?}: {}", refused.text());
    }
    ring.by_policy(&["add", "log", "entry"]).fails(1, &["quorum ring"]); // and nothing was sent
    ring.cosign(&[1, 2]);
    for command in READERS {
        ring.by_policy(command).ok();
    }
    assert_eq!(ring.by_policy(&["get", "log", "1"]).ok().text(), "two");
}

#[test]
fn verify_says_who_cosigned_and_when_or_who_is_missing() {
    let ring = Ring::new();
    ring.cosign(&[0, 2]);
    let proof = ring.by_policy(&["prove", "log", "--index", "1"]).ok().text();
    assert!(proof.contains("— stranger.example/w "), "what nobody knows here, another may: {proof}");
    let verify = |proof: &str| {
        ring.world.write("proof", proof);
        ring.by_policy(&["verify", "proof", "--entry", "entry"])
    };
    let said = verify(&proof).ok().text();
    for line in [
        "signature   ok: by policy.example/log (",
        "cosigned    by anna at 2023-11-14T22:13:20Z",
        "cosigned    by carla at 2023-11-14T22:13:22Z",
        "quorum      ok: ring has 2 of 3, needs 2",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("boris"), "{said}");
    let json = ring.by_policy(&["verify", "proof", "--entry", "entry", "--json"]).ok().json();
    assert_eq!(json["quorum"], serde_json::json!({ "name": "ring", "met": true }));
    let times: Vec<_> =
        json["witnesses"].as_array().unwrap().iter().map(|one| one["time"].as_u64()).collect();
    assert_eq!(times, [Some(TIME), None, Some(TIME + 2)]);

    // One line is lost on the way, or one letter of it is another.
    let anna = proof.lines().find(|line| line.starts_with("— anna")).unwrap();
    verify(&proof.replace(&format!("{anna}\n"), ""))
        .fails(1, &["quorum: cosigned by carla, and not by anna, boris"]);
    let (start, letter) =
        (&anna[..anna.len() - 9], if anna.as_bytes()[anna.len() - 9] == b'A' { 'B' } else { 'A' });
    let changed = format!("{start}{letter}{}", &anna[anna.len() - 8..]);
    verify(&proof.replace(anna, &changed)).fails(1, &["quorum: ", "anna.example/witness (", "is wrong"]);
    // A key rotated: what the old one signed is not what the new policy asks for.
    let rotated = new_witness(&ring.world, "anna", "rotated.key");
    let old = ring.witnesses[0].verifier_key().to_string();
    let policy = String::from_utf8(ring.world.read("ring.policy")).unwrap();
    ring.world.write("ring.policy", policy.replace(&old, &rotated.verifier_key().to_string()));
    verify(&proof).fails(1, &["cosigned by carla, and not by anna, boris"]);
}

/// By the log's key alone nobody is asked but the log.
#[test]
fn a_key_and_a_policy_are_two_ways_and_not_both() {
    let ring = Ring::new();
    ring.cosign(&[]);
    let vkey = ring.world.vkey("log");
    ring.world.kiln(&["info", "log/public", "--vkey", &vkey]).ok();
    let both = |arguments: &[&str]| {
        let mut command = ring.world.command(arguments);
        command.env("KILN_VKEY", &vkey).env("KILN_POLICY", "ring.policy");
        ring.world.run(&mut command)
    };
    for command in [&["info", "log"][..], &["verify", "entry", "--entry", "entry"]] {
        ring.by_policy(&[command, &["--vkey", &vkey]].concat()).fails(2, &["--vkey", "--policy"]);
        both(command).fails(2, &["KILN_VKEY and KILN_POLICY are both set"]);
    }
    both(&["info", "log", "--vkey", &vkey]).ok(); // an option is nearer than the environment
    both(&["info", "log", "--policy", "ring.policy"]).fails(1, &["quorum ring"]);
    let alone = ring.world.run(ring.world.command(&["info", "log"]).env("KILN_POLICY", "ring.policy"));
    alone.fails(1, &["quorum ring"]); // a store of one's own is judged, too, where a policy is given
    ring.by_policy(&["info", "log", "--insecure-trust-on-first-use"]).fails(2, &["cannot be used with"]);
    ring.world.kiln(&["info", "log", "--policy", "none"]).fails(3, &["none"]);
}

/// Several logs in one policy, told apart by what is read.
#[test]
fn the_log_is_told_by_the_origin() {
    let ring = Ring::new();
    ring.cosign(&[0, 1]);
    ring.world.kiln(&["init", "other", "--origin", "policy.example/other"]).ok();
    let policy = String::from_utf8(ring.world.read("ring.policy")).unwrap();
    ring.by_policy(&["prove", "log", "--index", "1", "-o", "proof"]).ok();
    let with = |log: &str, more: &str| {
        ring.world
            .write("ring.policy", policy.replace(&format!("log {}\n", ring.world.vkey("log")), log) + more);
    };
    let (log, other) = (ring.world.vkey("log"), ring.world.vkey("other"));
    with(&format!("log {other}\nlog {log}\n"), "");
    ring.by_policy(&["info", "log/public"]).ok();
    ring.by_policy(&["info", "other/public"]).fails(1, &["nobody who counts", "quorum ring"]);
    ring.by_policy(&["verify", "proof", "--entry", "entry"]).ok();
    // A log that the policy does not have is as bad as one that another key signed for.
    ring.world.kiln(&["init", "third", "--origin", "policy.example/third"]).ok();
    ring.by_policy(&["info", "third/public"]).fails(
        1,
        &["of the log \"policy.example/third\"; those of the policy are policy.example/log, policy.example/other"],
    );
    with(&format!("log {other}\n"), "");
    ring.by_policy(&["verify", "proof", "--entry", "entry"])
        .fails(1, &["proof: checkpoint: ", "of the log \"policy.example/log\"", "policy.example/other"]);
    ring.by_policy(&["info", "log/public"])
        .fails(1, &["signed by policy.example/log (", "not by the given key"]);
    // Witnesses alone: the log of one's own is known.
    with("", "");
    ring.by_policy(&["info", "log"]).ok();
    ring.by_policy(&["info", "log/public"]).fails(2, &["names no log"]);
    ring.by_policy(&["verify", "proof", "--entry", "entry"]).fails(2, &["names no log"]);
}

#[test]
fn info_shows_a_checkpoint_whose_quorum_is_not_met_and_exits_1() {
    let ring = Ring::new();
    ring.cosign(&[2]);
    let info = ring.by_policy(&["info", "log"]);
    let text = info.fails(1, &["not by anna, boris"]).text();
    for line in [
        "size       3",
        "stranger.example/w",
        "witness    anna: no cosignature",
        "witness    carla: cosigned at 2023-11-14T22:13:22Z",
        "quorum     not met: ring has 1 of 3, needs 2",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json = ring.by_policy(&["info", "log", "--json"]).fails(1, &[]).text();
    let values: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(values[0]["quorum"]["met"], false);
    assert_eq!(values[0]["witnesses"][2]["time"], TIME + 2);
    assert_eq!(values[1]["exit"], 1);
    ring.cosign(&[2, 1]);
    let text = ring.by_policy(&["info", "log"]).ok().text();
    assert!(text.contains("quorum     met: ring has 2 of 3"), "{text}");
}

/// The proof that a server makes has every line of the checkpoint that it published, as those that readers cut.
#[test]
fn proofs_from_the_server_and_with_add_carry_every_line() {
    let ring = Ring::new();
    ring.cosign(&[0, 1]);
    let lines = |proof: &str| proof.lines().filter(|line| line.starts_with("— ")).count();
    let server = ring.world.serve(&["log"]);
    ring.by_policy(&["add", &server.url, "entry", "--proofs", "."]).ok(); // which is there already
    let kept = String::from_utf8(ring.world.read("entry.tlog-proof")).unwrap();
    let said = ring.by_policy(&["verify", "entry.tlog-proof", "--entry", "entry"]).ok().text();
    assert!(said.contains("quorum      ok"), "{said}");
    let answer = server.request("POST", "/add", &[("Accept", "text/x.tlog-proof")], b"two").expect(200);
    let checkpoint = String::from_utf8(ring.world.read("log/public/checkpoint")).unwrap();
    for proof in [&kept, &answer.text()] {
        assert!(lines(proof) >= 4, "log, anna, boris, stranger: {proof}");
        assert!(proof.ends_with(&checkpoint), "{proof}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_policy_is_explained() {
    let ring = Ring::new();
    ring.cosign(&[0, 1]);
    let check = |arguments: &[&str]| ring.world.kiln(&[&["policy", "check"], arguments].concat());
    let text = check(&["ring.policy"]).ok().text();
    for line in [
        "policy   ring.policy: 1 log, 3 witnesses, 1 group",
        "log      policy.example/log (",
        "quorum   ring",
        "           ring: 2 of 3",
        "             anna: anna.example/witness (",
        "needs    2 of 3 witnesses, at the least",
        "alone    boris.example (boris): neither meets the quorum nor can block it",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("warning"), "two of the three have keys of ML-DSA-44: {text}");
    for (place, met) in
        [("log", true), ("log/public", true), ("log/public/checkpoint", true), ("proof", false)]
    {
        if !met {
            ring.by_policy(&["prove", "log", "--index", "1", "-o", "proof"]).ok();
            let proof = String::from_utf8(ring.world.read("proof")).unwrap();
            let anna = proof.lines().find(|line| line.starts_with("— anna")).unwrap().to_owned();
            ring.world.write("proof", proof.replace(&format!("{anna}\n"), ""));
        }
        let judged = check(&["ring.policy", "--checkpoint", place]);
        let words = if met {
            "meets the quorum: ring has 2 of 3"
        } else {
            "does not meet the quorum: ring has 1 of 3"
        };
        let judged = if met { judged.ok() } else { judged.fails(1, &["not by anna, carla"]) };
        assert!(judged.text().contains(words), "{place}: {}", judged.text());
        assert!(judged.text().contains("boris.example/witness"), "{}", judged.text());
    }
    let json = check(&["ring.policy", "--checkpoint", "log", "--json"]).ok().json();
    assert_eq!(json["fewest"], 2);
    assert_eq!(json["checkpoint"]["quorum"]["met"], true);
    assert_eq!(
        json["operators"][0],
        serde_json::json!({
            "host": "anna.example", "witnesses": ["anna"], "meets": false, "blocks": false,
        })
    );
    check(&["ring.policy", "--checkpoint", "none"]).fails(3, &["none"]);
    ring.world.kiln(&["init", "other", "--origin", "policy.example/other"]).ok();
    check(&["ring.policy", "--checkpoint", "other"]).fails(1, &["other", "policy.example/other"]);
}

#[test]
fn mistakes_of_a_policy_have_their_lines() {
    let ring = Ring::new();
    let check = |end: &str| {
        ring.write_policy("bad.policy", end);
        ring.world.kiln(&["policy", "check", "bad.policy"])
    };
    check("").fails(2, &["bad.policy: line 6 of the policy: ", "without a quorum"]);
    check("group ring 4 anna boris carla\n").fails(2, &["line 6", "from 1 to 3"]);
    check("group ring any anna dora\n").fails(2, &["line 6", "no line before it defines dora"]);
    check("quorum anna\r\n").fails(2, &["line 6", "0x0d"]);
    check("quorum anna").fails(2, &["line 6", "cut off"]);
    check("quorum anna\nwitness dora x\n").fails(2, &["line 7", "verifier key"]);
    ring.by_policy(&["policy", "check", "none"]).fails(2, &["unexpected argument"]);
    // Every command that takes a policy says the same of it.
    ring.world.kiln(&["info", "log", "--policy", "bad.policy"]).fails(2, &["bad.policy: line 7"]);
}

#[test]
fn what_is_questionable_in_a_policy_is_a_warning() {
    let ring = Ring::new();
    let warnings = |end: &str| {
        ring.write_policy("odd.policy", end);
        let json = ring.world.kiln(&["policy", "check", "odd.policy", "--json"]).ok().json();
        json["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let has = |end: &str, words: &[&str]| {
        let said = warnings(end);
        for word in words {
            assert!(said.iter().any(|warning| warning.contains(word)), "{word}: {said:?}");
        }
    };
    assert!(warnings("group ring all anna boris carla\nquorum ring\n").is_empty());
    has("quorum none\n", &["quorum is none", "quantum"]);
    has("quorum anna\n", &["witness boris counts for nothing", "witness carla counts for nothing"]);
    has(
        "group idle any anna boris\nquorum carla\n",
        &["group idle can never matter", "witness anna counts", "quantum"],
    );
    let plain = format!("witness dora {} http://dora.example/\n", {
        new_witness(&ring.world, "dora", "dora.key").verifier_key()
    });
    has(
        &format!("{plain}group ring 2 anna dora\nquorum ring\n"),
        &["witness dora is reached over plain http"],
    );
    let own = Cosigner::ml_dsa_44_from_seed("policy.example/own".parse().unwrap(), [9; 32]).verifier_key();
    has(&format!("witness own {own}\nquorum own\n"), &["witness own is of the host policy.example"]);
    // The log signs with a key of ML-DSA-44 as well, and the policy names the other.
    let second = Cosigner::ml_dsa_44_from_seed("policy.example/log".parse().unwrap(), [8; 32]);
    ring.cosign_as(
        "log/public/checkpoint",
        &[(&second, 5), (&ring.witnesses[0], 5), (&ring.witnesses[1], 5)],
    );
    let judged = ring.world.kiln(&["policy", "check", "ring.policy", "--checkpoint", "log"]).ok().text();
    assert!(judged.contains("policy.example/log seems to have a key of ML-DSA-44 ("), "{judged}");
}
