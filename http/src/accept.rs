//! The `Accept` header, [RFC 9110, 12.5.1](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1).

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// Whether a request asks for `media_type` by its name, with a weight that is not zero.
///
/// A wildcard does not ask for it: this is for a type that only those get who know it.
pub fn asks_for(headers: &HeaderMap, media_type: &str) -> bool {
    let fields = headers.get_all(ACCEPT).iter();
    let mut ranges = fields.flat_map(|field| field.as_bytes().split(|&byte| byte == b','));
    ranges.any(|range| names(range, media_type))
}

fn names(range: &[u8], media_type: &str) -> bool {
    let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    name.eq_ignore_ascii_case(media_type.as_bytes()) && !parts.any(is_zero_weight)
}

/// `q=0`, with up to three decimals.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let weight = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    matches!(weight, Some(b"0" | b"0." | b"0.0" | b"0.00" | b"0.000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "text/x.tlog-proof";

    fn asked(fields: &[&[u8]]) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(ACCEPT, hyper::header::HeaderValue::from_bytes(field).unwrap());
        }
        asks_for(&headers, TYPE)
    }

    /// `text/x.tlog-proof, */*` was compared as one string, and its sender got no proof.
    #[test]
    fn a_type_is_asked_for_by_name_in_any_spelling() {
        for (field, expected) in [
            ("text/x.tlog-proof", true),
            ("text/x.tlog-proof, */*", true),
            ("*/* ,\ttext/x.tlog-proof", true),
            ("text/x.tlog-proof;q=1", true),
            ("text/x.tlog-proof ; charset=utf-8 ; q=0.001", true),
            ("Text/X.Tlog-Proof", true),
            (",,text/x.tlog-proof,", true),
            ("text/x.tlog-proof;q=0", false),
            ("text/x.tlog-proof; Q=0.000", false),
            ("text/x.tlog-proof;q=0, */*", false),
            ("text/x.tlog-proofs", false),
            ("text/*, */*", false),
            ("text/plain;text/x.tlog-proof", false),
            ("", false),
        ] {
            assert_eq!(asked(&[field.as_bytes()]), expected, "{field}");
        }
    }

    #[test]
    fn every_field_counts_and_a_strange_one_hides_no_other() {
        assert!(asked(&[b"text/plain", TYPE.as_bytes()]));
        assert!(asked(&[b"\xff, text/x.tlog-proof"]));
        assert!(!asked(&[]));
    }
}
