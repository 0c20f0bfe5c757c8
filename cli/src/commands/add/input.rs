//! What is to be added, read and checked as a whole before any of it is sent.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kiln_tiles::MAX_ENTRY_SIZE;

use crate::failure::Failure;
use crate::files;

/// An entry that can be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Item {
    bytes: Bytes,
    origin: Origin,
}

/// Where an entry comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    File(String),
    Line(u64),
    Input,
}

impl Item {
    /// The name of the file that it is, if it is one.
    pub(super) fn file_name(&self) -> Option<&str> {
        match &self.origin {
            Origin::File(name) => Some(name),
            Origin::Line(_) | Origin::Input => None,
        }
    }

    /// Where it comes from, for people.
    pub(super) fn source(&self) -> String {
        match &self.origin {
            Origin::File(name) => name.clone(),
            Origin::Line(number) => format!("line {number}"),
            Origin::Input => "standard input".to_owned(),
        }
    }
}

impl AsRef<[u8]> for Item {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the files, or standard input where there are none.
pub(super) fn read(files: &[PathBuf], lines: bool) -> Result<Vec<Item>, Failure> {
    let input = [PathBuf::from("-")];
    let files = if files.is_empty() { &input } else { files };
    let mut items = Vec::new();
    for path in files {
        if lines {
            let bytes = files::read_all(path)?.into();
            items.extend(
                split(&bytes).map_err(|fault| Failure::usage(format!("{}: {fault}", path.display())))?,
            );
        } else {
            items.push(read_one(path)?);
        }
    }
    Ok(items)
}

fn read_one(path: &Path) -> Result<Item, Failure> {
    let bytes: Bytes = files::read(path, MAX_ENTRY_SIZE)?.into();
    let origin = match path.file_name() {
        Some(name) if name != "-" => Origin::File(name.to_string_lossy().into_owned()),
        _ => Origin::Input,
    };
    match bytes.len() {
        0 => Err(Failure::usage(format!("{} is empty: an entry has at least one byte", path.display()))),
        1..=MAX_ENTRY_SIZE => Ok(Item { bytes, origin }),
        _ => Err(Failure::usage(format!("{}: an entry has at most {MAX_ENTRY_SIZE} bytes", path.display()))),
    }
}

/// A line that is no entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum BadLine {
    #[error("line {0} is empty: an entry has at least one byte; nothing was sent")]
    Empty(u64),
    #[error("line {0} has more than {MAX_ENTRY_SIZE} bytes; nothing was sent")]
    TooLong(u64),
}

/// The bytes between newlines. What follows the last newline is a line if there is anything.
fn split(bytes: &Bytes) -> Result<Vec<Item>, BadLine> {
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    lines.pop_if(|last| last.is_empty());
    let item = |(line, number): (&[u8], u64)| match line.len() {
        0 => Err(BadLine::Empty(number)),
        1..=MAX_ENTRY_SIZE => Ok(Item { bytes: bytes.slice_ref(line), origin: Origin::Line(number) }),
        _ => Err(BadLine::TooLong(number)),
    };
    lines.into_iter().zip(1..).map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Result<Vec<Vec<u8>>, BadLine> {
        let items = split(&Bytes::copy_from_slice(text))?;
        Ok(items.iter().map(|item| item.as_ref().to_vec()).collect())
    }

    #[test]
    fn lines_are_the_bytes_between_newlines() {
        assert_eq!(lines(b""), Ok(vec![]));
        assert_eq!(lines(b"a"), Ok(vec![b"a".to_vec()]));
        assert_eq!(lines(b"a\nb\r\n \n"), Ok(vec![b"a".to_vec(), b"b\r".to_vec(), b" ".to_vec()]));
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(lines(b"\n"), Err(BadLine::Empty(1)));
        assert_eq!(lines(b"a\n\nb\n"), Err(BadLine::Empty(2)));
        let long = [b"a\nb\n".to_vec(), vec![b'x'; MAX_ENTRY_SIZE + 1]].concat();
        assert_eq!(lines(&long), Err(BadLine::TooLong(3)));
    }
}
