//! What is no mistake in a policy, and yet may not be what was meant.

use kiln_tiles::{Member, Note, Policy, PolicyName, Quorum, SignatureType, VerifierKey};

use super::operators::host_of;

/// What is questionable about a policy, and about what a checkpoint shows that it could have.
pub(super) fn of(policy: &Policy, checkpoint: Option<&Note>) -> Vec<String> {
    let quorum = policy.quorum();
    let mut warnings = Vec::new();
    if policy.logs().is_empty() {
        warnings
            .push("it names no log: it verifies nothing unless the log is known from elsewhere".to_owned());
    }
    if quorum.is_none() {
        warnings.push("the quorum is none: the log alone could show each reader another tree".to_owned());
    } else {
        warnings.extend(counting_for_nothing(quorum));
        warnings.extend(too_many(quorum));
        warnings.extend(of_the_log_itself(policy));
    }
    warnings.extend(over_plain_http(quorum));
    warnings.extend(by_ed25519_alone(policy));
    warnings.extend(checkpoint.into_iter().flat_map(|note| unused_ml_dsa(policy, note)));
    warnings
}

fn counting_for_nothing(quorum: &Quorum) -> Vec<String> {
    let counting = quorum.counting();
    let idle = |member: &Member| !counting.contains(member);
    let witnesses = (0..quorum.witnesses().len()).map(Member::Witness).filter(idle).map(|member| {
        let name = quorum.name_of(member);
        format!("witness {name} counts for nothing: it is in no group that the quorum stands on")
    });
    let groups = (0..quorum.groups().len()).map(Member::Group).filter(idle).map(|member| {
        let name = quorum.name_of(member);
        format!("group {name} can never matter: the quorum does not stand on it")
    });
    witnesses.chain(groups).collect()
}

/// A note has room for so many signatures, and one of them is the log's.
fn too_many(quorum: &Quorum) -> Option<String> {
    let (fewest, most) = (quorum.fewest(), Note::MAX_SIGNATURES - 1);
    (fewest > most).then(|| {
        format!("the quorum needs {fewest} cosignatures, and a checkpoint has room for {most}: nothing can meet it")
    })
}

fn of_the_log_itself(policy: &Policy) -> Vec<String> {
    let quorum = policy.quorum();
    let hosts: Vec<&str> = policy.logs().iter().map(|log| host_of(log.key.name())).collect();
    let own = quorum.witnesses().iter().filter(|witness| hosts.contains(&host_of(witness.key.name())));
    own.map(|witness| {
        let (name, host) = (&witness.name, host_of(witness.key.name()));
        format!("witness {name} is of the host {host}, as a log is: nobody vouches for himself")
    })
    .collect()
}

fn over_plain_http(quorum: &Quorum) -> Vec<String> {
    let is_plain = |url: &PolicyName| url.as_bytes().to_ascii_lowercase().starts_with(b"http://");
    let plain = quorum.witnesses().iter().filter(|witness| witness.url.as_ref().is_some_and(is_plain));
    plain
        .map(|witness| format!("witness {} is reached over plain http: https has it", witness.name))
        .collect()
}

fn is_ml_dsa(key: &VerifierKey) -> bool {
    key.signature_type() == SignatureType::MlDsa44Cosignature
}

/// Whoever can forge every key that is not of ML-DSA-44 can forge a proof, if a log has such a key and such keys are
/// enough for the quorum.
fn by_ed25519_alone(policy: &Policy) -> Option<String> {
    let quorum = policy.quorum();
    let classical = |place: usize| !is_ml_dsa(&quorum.witnesses()[place].key);
    let log = policy.logs().iter().find(|log| !is_ml_dsa(&log.key))?;
    let forged = if quorum.is_none() { "" } else { " and of enough witnesses" };
    quorum.is_met_by(classical).then(|| {
        format!(
            "the keys of {}{forged} are not of ML-DSA-44: a quantum computer could forge what this policy believes. \
             Where they have such a key, name it instead: one beside the other adds nothing",
            log.key.name()
        )
    })
}

/// A cosignature of ML-DSA-44: its time, and a signature of the length of no other kind.
const ML_DSA_LENGTH: usize = 8 + 2_420;

/// Who signed the checkpoint with a key of ML-DSA-44, and is known by another key alone.
fn unused_ml_dsa(policy: &Policy, note: &Note) -> Vec<String> {
    let witnesses = policy.quorum().witnesses().iter().map(|witness| &witness.key);
    let keys: Vec<&VerifierKey> = policy.logs().iter().map(|log| &log.key).chain(witnesses).collect();
    let unused = note.signatures().iter().filter(|signature| {
        signature.signature().len() == ML_DSA_LENGTH
            && keys.iter().any(|key| key.name() == signature.name())
            && !keys.iter().any(|key| signature.is_by(key))
    });
    unused
        .map(|signature| {
            let (name, key_id) = (signature.name(), signature.key_id());
            format!(
                "{name} seems to have a key of ML-DSA-44 ({key_id}), which signed this checkpoint: name that one"
            )
        })
        .collect()
}
