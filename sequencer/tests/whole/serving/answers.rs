//! Who gets a proof, and who an index.

use std::time::Duration;

use kiln_sequencer::ServerOptions;
use tokio::time::timeout;

use super::world::World;

/// A client sent `Accept: text/x.tlog-proof, */*` and got a bare index: the field was compared as a whole.
#[tokio::test]
async fn who_accepts_a_proof_gets_one_however_it_is_spelled() {
    let world = World::new(ServerOptions::default()).await;
    for (accept, proof) in [
        ("text/x.tlog-proof", true),
        ("text/x.tlog-proof, */*", true),
        ("text/plain;q=0.1,text/x.tlog-proof;q=1", true),
        ("Text/X.Tlog-Proof", true),
        ("text/x.tlog-proof;q=0, text/plain", false),
        ("*/*", false),
    ] {
        let answer = world.post("/add", &[("Accept", accept)], accept.as_bytes()).await.expect(200);
        assert_eq!(answer.text().starts_with("c2sp.org/tlog-proof@v1\n"), proof, "{accept}");
    }
    let two_fields = [("Accept", "text/plain"), ("Accept", "text/x.tlog-proof")];
    let answer = world.post("/add", &two_fields, b"two fields").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/x.tlog-proof");
}

/// A proof waited for its tiles for as long as the disk took, and everybody else's proof behind it.
#[tokio::test]
async fn a_read_that_hangs_costs_a_proof_and_blocks_no_other() {
    let timeouts = ServerOptions {
        answer_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(1),
        ..ServerOptions::default()
    };
    let world = World::new(timeouts).await;
    let proof = [("Accept", "text/x.tlog-proof")];
    world.store.hold(Some("tile/"));
    let add = || world.post("/add", &proof, b"a");
    let both = timeout(Duration::from_secs(8), async { tokio::join!(add(), add()) });
    let (first, second) = both.await.expect("not after the timeouts of ever more reads");
    for answer in [first, second] {
        let text = "the entry is logged at index 0, but its proof could not be made now\n";
        assert_eq!(answer.expect(500).text(), text);
    }
    world.post("/add", &[], b"a").await.expect(200);
    world.store.hold(None);
    add().await.expect(200);
}
