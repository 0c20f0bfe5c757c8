//! Entity tags, [RFC 9110, 8.8.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3).

use std::fmt::Write;

use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};

/// Bytes of the digest in a tag. 128 bits: nobody meets a collision by chance, and who makes one
/// on purpose fools a cache about their own bytes only, for readers verify what they get.
const DIGEST_BYTES: usize = 16;

/// A strong entity tag: equal tags mean equal bytes. Quoted, and ready for a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntityTag(HeaderValue);

/// An entity tag holds visible characters only, and no quote.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the inside of an entity tag")]
pub struct InvalidEntityTag;

impl EntityTag {
    /// The tag `"opaque"`, for who names versions by something cheaper than their bytes.
    ///
    /// # Errors
    /// A character that [RFC 9110] does not allow in a tag; beyond ASCII, none is.
    ///
    /// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
    pub fn new(opaque: &str) -> Result<Self, InvalidEntityTag> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        if !opaque.bytes().all(allowed) {
            return Err(InvalidEntityTag);
        }
        HeaderValue::try_from(format!("\"{opaque}\"")).map(Self).map_err(|_| InvalidEntityTag)
    }

    /// As it stands in the `ETag` header, quotes included.
    pub fn as_header_value(&self) -> &HeaderValue {
        &self.0
    }

    /// The [strong comparison]: whether one of the tags in `list` is this one. A weak one never is.
    ///
    /// [strong comparison]: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
    pub(crate) fn matches_strongly(&self, list: &[u8]) -> bool {
        any_tag(list, |weak, tag| !weak && tag == self.0.as_bytes())
    }

    /// The weak comparison: the same, but `W/` makes no difference.
    pub(crate) fn matches_weakly(&self, list: &[u8]) -> bool {
        any_tag(list, |_, tag| tag == self.0.as_bytes())
    }
}

/// The strong tag of these bytes: their SHA-256, cut to 128 bits, in hex.
pub fn etag_of(bytes: &[u8]) -> EntityTag {
    let digest = Sha256::digest(bytes);
    let mut opaque = String::with_capacity(2 * DIGEST_BYTES);
    for byte in &digest[..DIGEST_BYTES] {
        write!(opaque, "{byte:02x}").expect("a String takes everything");
    }
    EntityTag::new(&opaque).expect("hex is allowed in a tag")
}

/// Whether any member of a list of tags is `wanted`, up to the first one that is malformed.
fn any_tag(list: &[u8], wanted: impl Fn(bool, &[u8]) -> bool) -> bool {
    let mut rest = after_separators(list);
    while let Some((weak, tag, behind)) = next_tag(rest) {
        if wanted(weak, tag) {
            return true;
        }
        rest = after_separators(behind);
    }
    false
}

/// Splits a tag off: whether it is weak, itself with its quotes, and what is behind it. Commas may
/// stand within the quotes.
fn next_tag(list: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let unprefixed = list.strip_prefix(b"W/");
    let quoted = unprefixed.unwrap_or(list);
    let inside = quoted.strip_prefix(b"\"")?;
    let length = inside.iter().position(|&byte| byte == b'"')? + 2;
    let (tag, behind) = quoted.split_at(length);
    Some((unprefixed.is_some(), tag, behind))
}

fn after_separators(list: &[u8]) -> &[u8] {
    let separator = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
    let start = list.iter().position(|byte| !separator(byte)).unwrap_or(list.len());
    &list[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_digest_of_the_bytes() {
        // $ printf '' | sha256sum
        assert_eq!(etag_of(b"").as_header_value(), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_ne!(etag_of(b"a"), etag_of(b"b"));
    }

    #[test]
    fn a_tag_holds_nothing_that_breaks_out_of_a_header() {
        assert_eq!(EntityTag::new("v1,2").unwrap().as_header_value(), "\"v1,2\"");
        for bad in ["a\"b", "a\r\nb", "a b", "é", "\u{7f}"] {
            assert_eq!(EntityTag::new(bad), Err(InvalidEntityTag), "{bad:?}");
        }
    }

    #[test]
    fn lists_of_tags() {
        let tag = EntityTag::new("a,b").unwrap();
        for (list, strong, weak) in [
            (r#""a,b""#, true, true),
            (r#"W/"a,b""#, false, true),
            (r#""x", "a,b""#, true, true),
            ("\"x\"\t,, , W/\"a,b\" ,", false, true),
            (r#""a""#, false, false),
            ("a,b", false, false),
            (r#"w/"a,b""#, false, false), // the prefix is case-sensitive
            (r#""x"a,b""#, false, false),
            (r#""a,b"#, false, false),
            ("", false, false),
        ] {
            assert_eq!(tag.matches_strongly(list.as_bytes()), strong, "strong {list}");
            assert_eq!(tag.matches_weakly(list.as_bytes()), weak, "weak {list}");
        }
    }
}
