//! The small text forms that all C2SP log formats share. Each value has one spelling.

use base64ct::{Base64, Encoding};

/// The largest tree size and index: what fits in a signed 64-bit integer, as in Go's implementations.
pub const MAX_TREE_SIZE: u64 = i64::MAX as u64;

/// Reads a decimal number: ASCII digits, no sign, no leading zero, at most [`MAX_TREE_SIZE`].
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = canonical && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&n| digits && n <= MAX_TREE_SIZE)
}

/// Reads standard base64 with padding; only what [`to_base64`] would print.
pub(crate) fn parse_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = Base64::decode_vec(text).ok()?;
    (to_base64(&bytes) == text).then_some(bytes)
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Reads exactly `N` bytes from `2 * N` hex digits in lower case.
pub(crate) fn parse_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(parse_decimal("0"), Some(0));
        assert_eq!(parse_decimal("9223372036854775807"), Some(MAX_TREE_SIZE));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "1e3", "٣", "9223372036854775808"] {
            assert_eq!(parse_decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(parse_base64("AQ=="), Some(vec![1]));
        // Unused bits that are set, missing or doubled padding, the URL alphabet, white space.
        for bad in ["AR==", "AQ", "AQ=", "AQ===", "_w==", "AQ==\n", " AQ=="] {
            assert_eq!(parse_base64(bad), None, "{bad:?}");
        }
    }
}
