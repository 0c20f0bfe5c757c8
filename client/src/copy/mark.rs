//! How far a copy has come, durably: an object in the target, so that an interrupted copy goes on
//! where it was.
//!
//! ```text
//! kiln-copy/v1
//! <tree size>:<root hash, hex>     all of this tree is in the target, durably
//! <tree size>:<root hash, hex>     the tree that is being copied
//! ```
//!
//! While the two differ the mark is *open*: what stands beyond the first may have been written and not
//! be durable. It is private, and says nothing about the log: a root in it counts only where the tree
//! that is copied had it at that size.

use bytes::Bytes;
use kiln_storage::{MutableObjects, ObjectPath};
use kiln_tiles::TreeHead;

use super::CopyError;

const HEADER: &str = "kiln-copy/v1";

/// What a mark says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    pub(super) done: TreeHead,
    pub(super) of: TreeHead,
}

impl Mark {
    pub(super) fn is_open(&self) -> bool {
        self.done != self.of
    }

    fn print(&self) -> Bytes {
        format!("{HEADER}\n{}\n{}\n", self.done, self.of).into()
    }

    /// A mark that nobody can read is as good as one that says nothing is done.
    fn parse(bytes: &[u8]) -> Self {
        let nothing_of = |of| Self { done: TreeHead::empty(), of };
        Self::parse_strictly(bytes).unwrap_or_else(|| nothing_of(unknown()))
    }

    fn parse_strictly(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let header = lines.next() == Some(HEADER);
        let (done, of) = (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?);
        (header && lines.next().is_none()).then_some(Self { done, of })
    }
}

/// Some tree that is not the empty one.
fn unknown() -> TreeHead {
    TreeHead::new(1, kiln_tiles::Hash::empty_tree()).expect("any root is one of a tree with a leaf")
}

/// The mark of a target.
pub(super) struct Marker<'a, T: MutableObjects> {
    store: &'a T,
    path: ObjectPath,
    version: Option<T::Version>,
    pub(super) mark: Option<Mark>,
}

impl<'a, T: MutableObjects> Marker<'a, T> {
    pub(super) async fn read(store: &'a T) -> Result<Self, CopyError> {
        let path: ObjectPath = "private/copy".parse().expect("an object name");
        let (mark, version) = match store.read_version(&path).await? {
            Some((bytes, version)) => (Some(Mark::parse(&bytes)), Some(version)),
            None => (None, None),
        };
        Ok(Self { store, path, version, mark })
    }

    /// Writes the mark, unless it says that already.
    pub(super) async fn set(&mut self, mark: Mark) -> Result<(), CopyError> {
        if self.mark == Some(mark) {
            return Ok(());
        }
        let put = self.store.put(&self.path, mark.print(), self.version.clone()).await;
        self.version = Some(put.map_err(|error| CopyError::put(&self.path, error))?);
        self.mark = Some(mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kiln_tiles::Hash;

    use super::*;

    #[test]
    fn a_mark_reads_what_it_prints_and_anything_else_as_nothing_done() {
        let of = TreeHead::new(9, Hash::leaf(b"root")).unwrap();
        let mark = Mark { done: TreeHead::empty(), of };
        let bytes = mark.print();
        assert_eq!(Mark::parse(&bytes), mark);
        for end in 0..bytes.len() {
            let cut = Mark::parse(&bytes[..end]);
            assert!(cut.is_open() && cut.done == TreeHead::empty(), "cut at {end}");
        }
        assert!(!Mark { done: of, of }.is_open());
    }
}
