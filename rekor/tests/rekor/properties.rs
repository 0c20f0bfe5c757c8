//! Inverse pairs: what is written is read again, as the same.

use kiln_rekor::{
    CreateEntryRequest, Digest, Dsse, Entry, EntryKind, Envelope, EnvelopeSignature, HashAlgorithm,
    HashedRekord, InclusionProof, KeyDetails, KeyMaterial, LogId, Policy, Signature, Spec, Timestamp,
    TransparencyLogEntry, Verifier,
};
use kiln_tiles::{Hash, MAX_TREE_SIZE, Proof, TreeHead};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..most)
}

fn verifier() -> impl Strategy<Value = Verifier> {
    let details = (0..24).prop_map(|number| KeyDetails::try_from(number).unwrap());
    let material = (any::<bool>(), vec(any::<u8>(), 0..200)).prop_map(|(key, der)| {
        if key { KeyMaterial::PublicKey(der) } else { KeyMaterial::X509Certificate(der) }
    });
    (details, material).prop_map(|(details, material)| Verifier::new(details, material))
}

fn signature() -> impl Strategy<Value = Signature> {
    (bytes(100), verifier()).prop_map(|(content, verifier)| Signature { content, verifier })
}

fn digest() -> impl Strategy<Value = Digest> {
    let algorithm = (1..=3).prop_map(|number| HashAlgorithm::try_from(number).unwrap());
    (algorithm, any::<[u8; 64]>()).prop_map(|(algorithm, bytes)| {
        Digest::new(algorithm, bytes[..algorithm.digest_size()].to_vec()).unwrap()
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    let record = (digest(), signature()).prop_map(|(data, signature)| HashedRekord { data, signature });
    let payload =
        any::<[u8; 32]>().prop_map(|hash| Digest::new(HashAlgorithm::Sha2_256, hash.to_vec()).unwrap());
    let dsse = (payload, vec(signature(), 1..=10))
        .prop_map(|(hash, signatures)| Dsse::new(hash, signatures).unwrap());
    prop_oneof![record.prop_map(Spec::HashedRekord), dsse.prop_map(Spec::Dsse)]
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

fn log_entry() -> impl Strategy<Value = TransparencyLogEntry> {
    let head = (1..=MAX_TREE_SIZE, hash()).prop_map(|(size, root)| TreeHead::new(size, root).unwrap());
    let proof = (0..MAX_TREE_SIZE, head, vec(hash(), 0..64), "[ -~\n—]{1,200}");
    (proof, bytes(300), any::<[u8; 32]>(), any::<bool>()).prop_map(|(proof, body, id, dsse)| {
        let (log_index, head, hashes, checkpoint) = proof;
        let proof = InclusionProof {
            log_index,
            head,
            hashes: Proof::from_hashes(hashes).unwrap(),
            checkpoint: Some(checkpoint),
        };
        let kind = if dsse { EntryKind::Dsse } else { EntryKind::HashedRekord };
        TransparencyLogEntry::from_parts(kind, body, LogId::from_bytes(id), proof)
    })
}

proptest! {
    #[test]
    fn an_entry_is_read_from_its_body(spec in spec()) {
        let entry = Entry::new(spec).unwrap();
        prop_assert_eq!(Entry::parse(entry.body()).unwrap(), entry);
    }

    /// A canonical body sorts its keys, and has no white space and no second spelling of anything.
    #[test]
    fn a_body_is_canonical_json(spec in spec()) {
        let entry = Entry::new(spec).unwrap();
        let sorted: serde_json::Value = serde_json::from_slice(entry.body()).unwrap();
        let sorted = sorted.to_string();
        prop_assert_eq!(sorted.as_bytes(), entry.body());
    }

    #[test]
    fn a_changed_body_is_another_entry_or_none(spec in spec(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let entry = Entry::new(spec).unwrap();
        let mut body = entry.body().to_vec();
        let at = at.index(body.len());
        prop_assume!(body[at] != byte);
        body[at] = byte;
        if let Ok(other) = Entry::parse(&body) {
            prop_assert_ne!(&other, &entry);
            prop_assert_eq!(other.body(), &body[..]);
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written(digest in bytes(80), signature in signature()) {
        let json = CreateEntryRequest::hashedrekord_json(&digest, &signature);
        let request = CreateEntryRequest::parse(json.as_bytes(), &Policy::default()).unwrap();
        prop_assert_eq!(request.kind(), EntryKind::HashedRekord);
        let snake = json.replace("rawBytes", "raw_bytes").replace("keyDetails", "key_details");
        prop_assert_eq!(CreateEntryRequest::parse(snake.as_bytes(), &Policy::default()).unwrap(), request);
    }

    #[test]
    fn a_dsse_request_is_read_as_it_was_written(
        payload in bytes(100),
        payload_type in "\\PC{0,20}",
        signatures in vec((bytes(80), "\\PC{0,10}"), 0..12),
        verifiers in vec(verifier(), 0..12),
    ) {
        let signatures = signatures.into_iter().map(|(sig, keyid)| EnvelopeSignature { sig, keyid }).collect();
        let envelope = Envelope { payload, payload_type, signatures };
        let json = CreateEntryRequest::dsse_json(&envelope, &verifiers);
        let policy = Policy::default().with_dsse();
        prop_assert_eq!(CreateEntryRequest::parse(json.as_bytes(), &policy).unwrap().kind(), EntryKind::Dsse);
    }

    #[test]
    fn a_log_entry_is_read_as_it_was_written(entry in log_entry()) {
        prop_assert_eq!(TransparencyLogEntry::parse(entry.to_json().as_bytes()).unwrap(), entry);
    }

    #[test]
    fn a_time_is_read_as_it_was_written(seconds in 0..253_402_300_800_u64) {
        let time = Timestamp::from_unix_seconds(seconds).unwrap();
        prop_assert_eq!(time.to_string().parse(), Ok(time));
        prop_assert_eq!(time.unix_seconds(), seconds);
    }
}
