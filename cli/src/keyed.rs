//! `VKEY=URL|FILE`: somebody by key and place, or all whom a policy file names with a URL.

use std::str::FromStr;

use kiln_tiles::VerifierKey;

/// Whom an option names.
#[derive(Clone, Debug)]
pub(crate) enum Keyed {
    /// One, by a key and a place.
    Key(Box<VerifierKey>, String),
    /// Those of a policy file.
    File(String),
}

/// The text names nobody and no file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither VKEY=URL nor the name of a policy file")]
pub(crate) struct KeyedError;

impl FromStr for Keyed {
    type Err = KeyedError;

    fn from_str(text: &str) -> Result<Self, KeyedError> {
        // A key may end with = itself, which is no key without.
        for (at, _) in text.match_indices('=') {
            let (vkey, place) = (&text[..at], &text[at + 1..]);
            if let Ok(vkey) = vkey.trim().parse()
                && !place.is_empty()
            {
                return Ok(Self::Key(Box::new(vkey), place.to_owned()));
            }
        }
        let is_file = !text.is_empty() && !text.contains("://");
        if is_file { Ok(Self::File(text.to_owned())) } else { Err(KeyedError) }
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::{Cosigner, SigningKey};

    use super::*;

    #[test]
    fn a_key_and_a_place_are_told_apart_also_where_both_have_an_equals_sign() {
        let name = || "example.com/log".parse().unwrap();
        let classic = SigningKey::from_seed(name(), [1; 32]).verifier_key();
        let quantum = Cosigner::ml_dsa_44_from_seed(name(), [1; 32]).verifier_key();
        assert!(quantum.to_string().ends_with('='));
        for vkey in [classic, quantum] {
            let Ok(Keyed::Key(key, place)) = format!("{vkey}=https://example.com/a=b").parse() else {
                panic!("{vkey}")
            };
            assert_eq!((*key, place.as_str()), (vkey, "https://example.com/a=b"));
        }
        assert!(matches!("policy.txt".parse(), Ok(Keyed::File(_))));
        for bad in ["", "https://example.com/log", "example.com/log+00+xx=https://example.com"] {
            assert!(bad.parse::<Keyed>().is_err(), "{bad}");
        }
    }
}
