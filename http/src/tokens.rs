//! Bearer tokens, [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750), of which a server knows only the hashes.

use std::str::FromStr;

use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The fewest characters of a token: in base64, what 128 random bits take.
///
/// A shorter one could be found by trying, and its hash on a server that was read be turned back.
pub const MIN_TOKEN_LENGTH: usize = 22;

/// The tokens that are taken: a name and the SHA-256 of each.
///
/// In text a line for each, `name hash`, the hash in hex; empty lines and those that begin with `#` say nothing.
/// Parsing is strict: a slip must not leave somebody out, or let somebody in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tokens(Vec<Token>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Token {
    name: String,
    hash: TokenHash,
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TokenHash([u8; 32]);

/// Why a text is no list of tokens, and in which line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ParseTokensError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: TokenFault,
}

/// What is wrong with a line of a list of tokens. None of these repeats it: it may hold a token by mistake.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is not two words.
    #[error("a line is a name, a space and the hash of a token")]
    Words,
    /// The name has characters that a log line or a label should not have.
    #[error("a name has 1 to 64 letters, digits, dots, dashes and underscores")]
    Name,
    /// The second word is no SHA-256.
    #[error("the second word is the SHA-256 of a token in 64 lowercase hex digits, never the token itself")]
    Hash,
    /// Two clients could not be told apart.
    #[error("an earlier line has this name or this hash")]
    Twice,
}

impl Tokens {
    /// The line for the list by which `token` is known as `name`.
    #[must_use]
    pub fn line(name: &str, token: &str) -> String {
        let hex: String = TokenHash::of(token).0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {hex}")
    }

    /// Whether a name can stand in a list.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&name.len()) && name.bytes().all(fits)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, and nobody may submit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash and the name of a token that is known. Each is compared, and each to its end.
    pub(crate) fn find(&self, token: &str) -> Option<(TokenHash, &str)> {
        let hash = TokenHash::of(token);
        let mut found = None;
        for known in &self.0 {
            if known.hash.0.ct_eq(&hash.0).into() {
                found = Some((hash, known.name.as_str()));
            }
        }
        found.filter(|_| token.len() >= MIN_TOKEN_LENGTH)
    }

    fn add(&mut self, line: &str) -> Result<(), TokenFault> {
        let (name, hash) = line.trim().split_once([' ', '\t']).ok_or(TokenFault::Words)?;
        if !Self::is_name(name) {
            return Err(TokenFault::Name);
        }
        let (name, hash) = (name.to_owned(), TokenHash::from_hex(hash.trim()).ok_or(TokenFault::Hash)?);
        if self.0.iter().any(|earlier| earlier.name == name || earlier.hash == hash) {
            return Err(TokenFault::Twice);
        }
        self.0.push(Token { name, hash });
        Ok(())
    }
}

impl FromStr for Tokens {
    type Err = ParseTokensError;

    fn from_str(text: &str) -> Result<Self, ParseTokensError> {
        let mut tokens = Self::default();
        for (line, number) in text.lines().zip(1..) {
            if !line.trim().is_empty() && !line.starts_with('#') {
                tokens.add(line).map_err(|fault| ParseTokensError { line: number, fault })?;
            }
        }
        Ok(tokens)
    }
}

impl TokenHash {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn from_hex(hex: &str) -> Option<Self> {
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut hash = [0; 32];
        for (byte, place) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = is_hex.then(|| u8::from_str_radix(&hex[place..place + 2], 16).ok())??;
        }
        Some(Self(hash))
    }
}

/// The token of a request: that of one `Authorization: Bearer` header.
pub(crate) fn token_in(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_matches(' ')).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const TOKEN: &str = "a-token-of-22-letters.";

    #[test]
    fn a_token_is_known_by_the_line_that_was_made_for_it() {
        let text = format!("# who may submit\n\n{}\nci {}\n", Tokens::line("a", TOKEN), "0".repeat(64));
        let tokens: Tokens = text.parse().unwrap();
        assert_eq!((tokens.len(), tokens.find(TOKEN).unwrap().1), (2, "a"));
        assert!(tokens.find("another-token-of-22-let").is_none());
        assert!(tokens.find(&TOKEN.to_uppercase()).is_none());
    }

    /// A word from a dictionary is found from its hash in no time.
    #[test]
    fn a_token_that_can_be_guessed_is_not_taken() {
        let (short, line) = (&TOKEN[1..], Tokens::line("a", &TOKEN[1..]));
        assert!(line.parse::<Tokens>().unwrap().find(short).is_none());
    }

    #[test]
    fn a_line_with_a_slip_is_named_and_not_repeated() {
        let hash = "0".repeat(64);
        for (line, fault) in [
            (TOKEN.to_owned(), TokenFault::Words),
            (format!("a {TOKEN}"), TokenFault::Hash),
            (format!("a {hash}0"), TokenFault::Hash),
            (format!("a {hash} b"), TokenFault::Hash),
            (format!("a {}", "A".repeat(64)), TokenFault::Hash),
            (format!("a {}", "é".repeat(32)), TokenFault::Hash),
            (format!("a/b {hash}"), TokenFault::Name),
            (format!("{} {hash}", "a".repeat(65)), TokenFault::Name),
            (format!("known {hash}"), TokenFault::Twice),
            (format!("other {}", "1".repeat(64)), TokenFault::Twice),
        ] {
            let text = format!("# one\nknown {}\n{line}\n", "1".repeat(64));
            let error = text.parse::<Tokens>().unwrap_err();
            assert_eq!(error, ParseTokensError { line: 3, fault }, "{line}");
            assert!(!error.to_string().contains(TOKEN));
        }
    }

    #[test]
    fn a_request_has_one_token_or_none() {
        let token = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(AUTHORIZATION, HeaderValue::from_static(field));
            }
            token_in(&headers).map(str::to_owned)
        };
        assert_eq!(token(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token(&["bearer  abc "]).as_deref(), Some("abc"));
        for none in [&[][..], &["Bearer"], &["Bearer "], &["Basic abc"], &["abc"], &["Bearer a", "Bearer b"]]
        {
            assert_eq!(token(none), None, "{none:?}");
        }
    }
}
