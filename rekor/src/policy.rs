//! What one log takes: a part of what the kinds of entries allow.

use crate::entry::EntryKind;
use crate::key_details::KeyDetails;

/// Which signatures a log takes, and whether it takes `dsse` entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    accepted: Vec<KeyDetails>,
    accepts_dsse: bool,
}

/// No log takes these key details, whatever it is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no log accepts {0}")]
pub struct NeverAccepted(pub KeyDetails);

/// All of [`KeyDetails::ACCEPTED`], and `hashedrekord` alone: what rekor-tiles does.
impl Default for Policy {
    fn default() -> Self {
        Self { accepted: KeyDetails::ACCEPTED.to_vec(), accepts_dsse: false }
    }
}

impl Policy {
    /// Takes these and no others.
    ///
    /// # Errors
    /// The first that no log may take.
    pub fn narrowed_to(self, accepted: &[KeyDetails]) -> Result<Self, NeverAccepted> {
        let never = accepted.iter().find(|details| !details.is_accepted());
        never.map_or_else(
            || Ok(Self { accepted: accepted.to_vec(), ..self }),
            |&never| Err(NeverAccepted(never)),
        )
    }

    /// Takes `dsse` entries too. rekor-tiles no longer does, and no client but sigstore-js sends them.
    #[must_use]
    pub fn with_dsse(self) -> Self {
        Self { accepts_dsse: true, ..self }
    }

    /// Whether `dsse` entries are taken.
    #[must_use]
    pub const fn accepts_dsse(&self) -> bool {
        self.accepts_dsse
    }

    /// Whether these key details are taken in entries of this kind.
    ///
    /// The payload of a `dsse` entry is there to be verified, so what signs no digest is welcome too:
    /// pure Ed25519, where Ed25519ph is.
    #[must_use]
    pub fn accepts(&self, details: KeyDetails, kind: EntryKind) -> bool {
        let asked = match (details, kind) {
            (KeyDetails::PkixEd25519, EntryKind::Dsse) => KeyDetails::PkixEd25519Ph,
            (details, _) => details,
        };
        self.accepted.contains(&asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyDetails as K;

    #[test]
    fn a_policy_only_narrows() {
        let policy = Policy::default().narrowed_to(&[K::PkixEcdsaP256Sha256]).unwrap();
        assert!(policy.accepts(K::PkixEcdsaP256Sha256, EntryKind::HashedRekord));
        assert!(!policy.accepts(K::PkixEd25519Ph, EntryKind::HashedRekord));
        for details in KeyDetails::all().filter(|details| !details.is_accepted()) {
            assert_eq!(Policy::default().narrowed_to(&[details]), Err(NeverAccepted(details)));
            assert!(!Policy::default().accepts(details, EntryKind::HashedRekord), "{details}");
        }
    }

    #[test]
    fn pure_ed25519_signs_payloads_alone() {
        let policy = Policy::default().with_dsse();
        assert!(policy.accepts(K::PkixEd25519, EntryKind::Dsse));
        assert!(!policy.accepts(K::PkixEd25519, EntryKind::HashedRekord));
        let policy = policy.narrowed_to(&[K::PkixEcdsaP256Sha256]).unwrap();
        assert!(!policy.accepts(K::PkixEd25519, EntryKind::Dsse));
    }
}
