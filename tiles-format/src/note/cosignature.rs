//! Cosignatures, as [tlog-cosignature] defines them: what a witness, a mirror or the log itself says of a checkpoint,
//! with the time when it said so.
//!
//! | signature type | key | signs |
//! |---|---|---|
//! | `0x04` | Ed25519 | the text of the checkpoint, with a header and the time |
//! | `0x06` | ML-DSA-44 | the names of cosigner and log, the time, and the tree, or a subtree of it |
//!
//! Both have the same form under a note: a time of 8 bytes, big-endian, and the signature.
//!
//! [tlog-cosignature]: https://c2sp.org/tlog-cosignature

use core::fmt;
use core::str::FromStr;

use ed25519_dalek::Signer;
use zeroize::Zeroizing;

use super::key::{ED25519_COSIGNATURE, KeyName, ML_DSA_44_COSIGNATURE, VerifierKey};
use super::signing::{parse_note_form, write_note_form};
use super::{NoteSignature, ParseSigningKeyError, ml_dsa};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::text::MAX_TREE_SIZE;
use crate::tree::Subtree;

/// How many bytes the time has that stands before each signature.
const TIME_SIZE: usize = 8;

/// A secret key that cosigns checkpoints. It is wiped from memory when it goes, and never printed but by
/// [`to_note_form`](Self::to_note_form).
///
/// It is another type than [`SigningKey`](crate::SigningKey), since it must never sign just any text: an Ed25519 key that
/// cosigns has no other use, and no other name.
///
/// ```
/// use kiln_tiles::{Checkpoint, Cosigner, Note, SigningKey, TreeHead, TrustedLog};
///
/// let log = SigningKey::from_seed("example.com/log".parse()?, [7; 32]); // random in earnest
/// let witness = Cosigner::ml_dsa_44_from_seed("witness.example/w1".parse()?, [8; 32]);
///
/// let checkpoint = Checkpoint::new("example.com/log", TreeHead::empty()).unwrap();
/// let note = log.sign(checkpoint.to_string())?;
/// let note = note.with(witness.cosign(&checkpoint, 1_679_315_147).unwrap())?;
///
/// let both = [log.verifier_key(), witness.verifier_key()];
/// assert_eq!(note.verify(&both)?.1.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cosigner {
    name: KeyName,
    secret: Secret,
}

enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    MlDsa44(ml_dsa::SecretKey),
}

impl Cosigner {
    /// The Ed25519 key that grows from a seed of 32 bytes, which must be random, secret, and no other key's.
    #[must_use]
    pub fn ed25519_from_seed(name: KeyName, seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { name, secret: Secret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))) }
    }

    /// The ML-DSA-44 key that grows from a seed of 32 bytes, which must be random and secret.
    #[must_use]
    pub fn ml_dsa_44_from_seed(name: KeyName, seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { name, secret: Secret::MlDsa44(ml_dsa::SecretKey::from_seed(&seed)) }
    }

    /// The name of the key.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public half.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        let name = self.name.clone();
        match &self.secret {
            Secret::Ed25519(secret) => VerifierKey::ed25519_cosigner(name, secret.verifying_key()),
            Secret::MlDsa44(secret) => VerifierKey::ml_dsa_44_cosigner(name, secret.public()),
        }
    }

    /// Cosigns a checkpoint at a time in seconds since 1970, which a witness must not leave zero. The same checkpoint,
    /// key and time give the same signature.
    ///
    /// `None` where no such statement can be written: the time is above 2^63 - 1, or the key is of ML-DSA-44 and the
    /// origin has more than 255 bytes.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Option<NoteSignature> {
        let signature = match &self.secret {
            Secret::Ed25519(secret) => secret.sign(&checkpoint_message(checkpoint, time)?).to_vec(),
            Secret::MlDsa44(secret) => {
                secret.sign(&tree_message(&self.name, checkpoint.origin(), time, Tree::of(checkpoint))?)
            }
        };
        Some(self.timed(time, &signature))
    }

    /// Cosigns a subtree of a log, whose root is `hash`, without a time: it says no more than that the subtree is
    /// consistent with all that this cosigner saw of the log.
    ///
    /// `None` for a key of Ed25519, which cannot, and where the origin is empty or has more than 255 bytes.
    #[must_use]
    pub fn cosign_subtree(&self, origin: &str, subtree: Subtree, hash: Hash) -> Option<NoteSignature> {
        let Secret::MlDsa44(secret) = &self.secret else { return None };
        let message = tree_message(&self.name, origin, 0, Tree::of_subtree(subtree, hash))?;
        Some(self.timed(0, &secret.sign(&message)))
    }

    fn timed(&self, time: u64, signature: &[u8]) -> NoteSignature {
        NoteSignature::new(&self.verifier_key(), [&time.to_be_bytes(), signature].concat())
    }

    /// The secret key as a line without a newline, in the form of Go's libraries: type and seed in base64.
    #[must_use]
    pub fn to_note_form(&self) -> Zeroizing<String> {
        let (kind, seed) = match &self.secret {
            Secret::Ed25519(secret) => (ED25519_COSIGNATURE, &secret.as_bytes()[..]),
            Secret::MlDsa44(secret) => (ML_DSA_44_COSIGNATURE, secret.seed()),
        };
        write_note_form(&self.verifier_key(), kind, seed)
    }
}

impl FromStr for Cosigner {
    type Err = ParseSigningKeyError;

    fn from_str(skey: &str) -> Result<Self, ParseSigningKeyError> {
        use ParseSigningKeyError as E;
        let (name, key_id, typed) = parse_note_form(skey)?;
        let (&kind, seed) = typed.split_first().ok_or(E::Base64)?;
        let seed = || <[u8; 32]>::try_from(seed).map_err(|_| E::Seed);
        let key = match kind {
            ED25519_COSIGNATURE => Self::ed25519_from_seed(name, seed()?),
            ML_DSA_44_COSIGNATURE => Self::ml_dsa_44_from_seed(name, seed()?),
            other => return Err(E::SignatureType(other)),
        };
        if key.verifier_key().key_id() == key_id { Ok(key) } else { Err(E::Mismatch) }
    }
}

/// Prints the name and nothing of the secret.
impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigner").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The time of a cosignature and the bare signature; `None` where it is too short or the time too large.
pub(super) fn split_time(cosignature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = cosignature.split_first_chunk::<TIME_SIZE>()?;
    Some((u64::from_be_bytes(*time), signature)).filter(|&(time, _)| time <= MAX_TREE_SIZE)
}

/// Whether an Ed25519 key cosigned the text of a note.
pub(super) fn verify_ed25519(key: &ed25519_dalek::VerifyingKey, text: &str, cosignature: &[u8]) -> bool {
    let verified = || {
        let (time, signature) = split_time(cosignature)?;
        let message = checkpoint_message(&text.parse().ok()?, time)?;
        let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
        key.verify_strict(&message, &signature).ok()
    };
    verified().is_some()
}

/// Whether an ML-DSA-44 key cosigned the text of a note.
pub(super) fn verify_ml_dsa_44(
    name: &KeyName,
    key: &ml_dsa::PublicKey,
    text: &str,
    cosignature: &[u8],
) -> bool {
    let checkpoint = text.parse::<Checkpoint>().ok();
    checkpoint.is_some_and(|checkpoint| {
        verify_tree(name, key, checkpoint.origin(), Tree::of(&checkpoint), cosignature)
    })
}

/// Whether an ML-DSA-44 key cosigned a tree, or a subtree without a time.
pub(super) fn verify_tree(
    name: &KeyName,
    key: &ml_dsa::PublicKey,
    origin: &str,
    tree: Tree,
    cosignature: &[u8],
) -> bool {
    let Some((time, signature)) = split_time(cosignature) else { return false };
    // The one length is cheap to tell, and saves making the message for it.
    let message = (signature.len() == ml_dsa::SIGNATURE_SIZE).then(|| tree_message(name, origin, time, tree));
    message.flatten().is_some_and(|message| key.verify(&message, signature))
}

/// What Ed25519 keys sign.
fn checkpoint_message(checkpoint: &Checkpoint, time: u64) -> Option<Vec<u8>> {
    (time <= MAX_TREE_SIZE).then(|| format!("cosignature/v1\ntime {time}\n{checkpoint}").into_bytes())
}

/// The leaves `start..end` of a log, and the root hash over them. Unlike a [`Subtree`] it may be the empty tree.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    start: u64,
    end: u64,
    hash: Hash,
}

impl Tree {
    fn of(checkpoint: &Checkpoint) -> Self {
        let head = checkpoint.head();
        Self { start: 0, end: head.size(), hash: head.root() }
    }

    pub(super) const fn of_subtree(subtree: Subtree, hash: Hash) -> Self {
        Self { start: subtree.start(), end: subtree.end(), hash }
    }
}

/// What ML-DSA-44 keys sign: the structure `cosigned_message`. A subtree that does not begin the log has no time.
fn tree_message(name: &KeyName, origin: &str, time: u64, tree: Tree) -> Option<Vec<u8>> {
    let possible = !origin.is_empty() && time <= MAX_TREE_SIZE && (tree.start == 0 || time == 0);
    let length = |text: &str| u8::try_from(text.len()).ok();
    let (name_length, origin_length) = (length(name.as_str())?, length(origin)?);
    possible.then(|| {
        [
            &b"subtree/v1\n\0"[..],
            &[name_length],
            name.as_str().as_bytes(),
            &time.to_be_bytes(),
            &[origin_length],
            origin.as_bytes(),
            &tree.start.to_be_bytes(),
            &tree.end.to_be_bytes(),
            tree.hash.as_bytes(),
        ]
        .concat()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TreeHead;
    use crate::{Note, SigningKey};

    fn name(name: &str) -> KeyName {
        name.parse().unwrap()
    }

    fn both() -> [Cosigner; 2] {
        let name = || name("witness.example/w1");
        [Cosigner::ed25519_from_seed(name(), [8; 32]), Cosigner::ml_dsa_44_from_seed(name(), [9; 32])]
    }

    fn checkpoint(size: u64) -> Checkpoint {
        let root = if size == 0 { Hash::empty_tree() } else { Hash::leaf(b"x") };
        Checkpoint::new("example.com/log", TreeHead::new(size, root).unwrap()).unwrap()
    }

    fn signed(checkpoint: &Checkpoint) -> Note {
        let log = SigningKey::from_seed(name("example.com/log"), [7; 32]);
        log.sign(checkpoint.to_string()).unwrap()
    }

    #[test]
    fn a_cosignature_holds_for_its_checkpoint_name_and_time_alone() {
        let other = checkpoint(13).to_string();
        for cosigner in both() {
            let vkey = cosigner.verifier_key();
            for checkpoint in [checkpoint(0), checkpoint(12)] {
                let line = cosigner.cosign(&checkpoint, 1_700_000_000).unwrap();
                assert_eq!(vkey.time_of(&line), Some(1_700_000_000));
                let text = checkpoint.to_string();
                assert!(vkey.verify(&text, line.signature()));
                assert!(!vkey.verify(&text.replace("/log", "/lag"), line.signature()));
                assert!(!vkey.verify(&other, line.signature()));
                assert!(!vkey.verify("no checkpoint\n", line.signature()));
                let mut later = line.signature().to_vec();
                later[TIME_SIZE - 1] ^= 1;
                assert!(!vkey.verify(&text, &later));
                later[0] = 0x80; // above 2^63 - 1
                assert!(!vkey.verify(&text, &later));
                assert!(!vkey.verify(&text, &line.signature()[..TIME_SIZE]));
                assert!(!vkey.verify(&text, &[line.signature(), &[0]].concat()));
            }
        }
    }

    #[test]
    fn ml_dsa_commits_to_the_name_of_the_cosigner_and_not_to_extension_lines() {
        let [_, cosigner] = both();
        let line = cosigner.cosign(&checkpoint(12), 5).unwrap();
        let renamed = Cosigner::ml_dsa_44_from_seed(name("witness.example/w2"), [9; 32]);
        assert!(!renamed.verifier_key().verify(&checkpoint(12).to_string(), line.signature()));
        assert!(cosigner.verifier_key().verify(&format!("{}more\n", checkpoint(12)), line.signature()));
    }

    #[test]
    fn both_lines_stand_under_one_note() {
        let checkpoint = checkpoint(12);
        let mut note = signed(&checkpoint);
        for cosigner in both() {
            note = note.with(cosigner.cosign(&checkpoint, 9).unwrap()).unwrap();
        }
        let keys = both().map(|cosigner| cosigner.verifier_key());
        let read: Note = note.to_string().parse().unwrap();
        assert_eq!(read.verify(&keys).unwrap().1.len(), 2);
    }

    #[test]
    fn a_subtree_has_no_time_and_needs_ml_dsa() {
        let (subtree, hash) = (Subtree::new(8, 13).unwrap(), Hash::leaf(b"y"));
        let [ed25519, ml_dsa] = both();
        assert_eq!(ed25519.cosign_subtree("example.com/log", subtree, hash), None);
        let line = ml_dsa.cosign_subtree("example.com/log", subtree, hash).unwrap();
        let vkey = ml_dsa.verifier_key();
        assert_eq!(vkey.time_of(&line), Some(0));
        assert!(vkey.verify_subtree("example.com/log", subtree, hash, line.signature()));
        assert!(!vkey.verify_subtree(
            "example.com/log",
            Subtree::new(8, 12).unwrap(),
            hash,
            line.signature()
        ));
        assert!(!vkey.verify_subtree("example.com/lag", subtree, hash, line.signature()));
        assert!(!ed25519.verifier_key().verify_subtree("example.com/log", subtree, hash, line.signature()));
    }

    #[test]
    fn what_cannot_be_written_is_not_signed() {
        let [ed25519, ml_dsa] = both();
        assert_eq!(ed25519.cosign(&checkpoint(1), MAX_TREE_SIZE + 1), None);
        let long = Checkpoint::new(&"o".repeat(256), checkpoint(1).head()).unwrap();
        assert_eq!(ml_dsa.cosign(&long, 1), None);
        assert!(ed25519.cosign(&long, 1).is_some());
    }

    #[test]
    fn keys_read_what_they_print() {
        for cosigner in both() {
            let again: Cosigner = cosigner.to_note_form().parse().unwrap();
            assert_eq!(again.verifier_key(), cosigner.verifier_key());
            let vkey = cosigner.verifier_key();
            assert_eq!(vkey.to_string().parse(), Ok(vkey));
        }
    }

    #[test]
    fn a_key_that_signs_notes_does_not_cosign_nor_the_other_way_round() {
        use ParseSigningKeyError as E;
        let signing = SigningKey::from_seed(name("a"), [7; 32]);
        assert_eq!(signing.to_note_form().parse::<Cosigner>().map(drop), Err(E::SignatureType(1)));
        let cosigning = Cosigner::ed25519_from_seed(name("a"), [7; 32]);
        assert_eq!(cosigning.to_note_form().parse::<SigningKey>().map(drop), Err(E::SignatureType(4)));
        assert!(cosigning.verifier_key().wraps_key_of(&signing.verifier_key()));
    }
}
