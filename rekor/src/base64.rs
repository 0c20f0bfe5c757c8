//! Bytes in JSON: what is written has one spelling, what is read from clients has four.

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding};

/// Standard base64 with padding, the one form that is written.
pub(crate) fn encode(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Reads base64 as protobuf's JSON allows it: [either alphabet, with or without padding].
/// Bits that no byte needs are zero, and nothing stands between the digits.
///
/// [either alphabet, with or without padding]: https://protobuf.dev/programming-guides/json/
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let url = text.contains(['-', '_']);
    let padded = text.ends_with('=');
    let bytes = match (url, padded) {
        (false, true) => Base64::decode_vec(text),
        (false, false) => Base64Unpadded::decode_vec(text),
        (true, true) => Base64Url::decode_vec(text),
        (true, false) => Base64UrlUnpadded::decode_vec(text),
    };
    bytes.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(decode(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decode(""), Some(Vec::new()));
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn nothing_else_is_read() {
        // Mixed alphabets, wrong padding, unused bits that are set, white space, other characters.
        for text in ["+_8=", "-/8", "+/8==", "+/=", "=", "+/9", "+/8=\n", " +/8=", "+/8.", "ä", "A"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
