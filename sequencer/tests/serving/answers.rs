//! Who gets a proof, and who an index.

use kiln_sequencer::ServerOptions;

use crate::world::World;

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
