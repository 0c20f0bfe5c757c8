//! What the fuzz targets share: the one property of all parsers, and models that are written another
//! way than the code under test.

use std::fmt::Display;
use std::str::FromStr;

mod reference;
mod tree;

pub use reference::{edge_root, lead_to_root};
pub use tree::Tree;

/// Every text has one spelling: what `T` reads is what `T` prints.
///
/// # Panics
/// Where it is not.
pub fn reads_what_it_prints<T: FromStr + Display>(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(value) = text.parse::<T>() else { return };
    assert_eq!(value.to_string(), text, "a second spelling");
}
