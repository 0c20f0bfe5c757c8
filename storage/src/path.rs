//! Names of objects within a log's store.

use std::fmt;
use std::str::FromStr;

/// The name of an object in a store: `checkpoint`, `tile/0/x001/234`, `private/lease`.
///
/// Names are relative, have no empty, `.` or `..` element, and only characters that every file
/// system, object store and URL takes as they are. So no name leads out of a store.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectPath(String);

/// The text is no object name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an object name: elements of a-z, 0-9, dot, dash and underscore with slashes between them")]
pub struct ObjectPathError;

impl ObjectPath {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 200;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the object is the log's own and must never be served.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.0.starts_with("private/")
    }
}

impl FromStr for ObjectPath {
    type Err = ObjectPathError;

    fn from_str(path: &str) -> Result<Self, ObjectPathError> {
        let element = |e: &str| !e.is_empty() && e != "." && e != ".." && e.bytes().all(is_plain);
        let valid = path.len() <= Self::MAX_LENGTH && path.split('/').all(element);
        if valid { Ok(Self(path.to_owned())) } else { Err(ObjectPathError) }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_a_store() {
        for good in ["checkpoint", "tile/0/x001/067.p/12", "private/head", "log.json", "a/.b"] {
            assert!(good.parse::<ObjectPath>().is_ok(), "{good}");
        }
        let long = "a".repeat(201);
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "A", "a b", "a\0", "ü", &long]
        {
            assert_eq!(bad.parse::<ObjectPath>(), Err(ObjectPathError), "{bad:?}");
        }
    }
}
