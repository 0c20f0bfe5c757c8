//! Cuts the proof of each entry that was added, verifies it, and keeps it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt};
use kiln_client::{AnySource, Client};
use kiln_tiles::{Hash, TlogProof, TrustedLog};

use super::input::Item;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::progress::Progress;

/// Proofs that are cut at once.
const AT_ONCE: usize = 16;

/// Refuses, before anything is sent, to put a proof in the place of a file that is none of the same entry.
pub(super) fn check(folder: &Path, items: &[Item], log: &TrustedLog) -> Result<(), Failure> {
    let names = names(items);
    for item in items {
        let Some(path) = named(folder, item, &names) else { continue };
        if Present::at(&path, Hash::leaf(item.as_ref()), log)? == Present::Other {
            return Err(Failure::usage(format!(
                "{} is there already, and is no proof of {} as it is now: move it away, or keep proofs in another folder; nothing was sent",
                path.display(),
                item.source()
            )));
        }
    }
    Ok(())
}

/// Keeps a proof of each item in `folder`, and says where. The log was seen to have them all.
pub(super) async fn keep(
    log: &Client<AnySource>,
    folder: &Path,
    items: &[Item],
    indices: &[u64],
    output: Output,
) -> Result<Vec<PathBuf>, Failure> {
    let mut progress = Progress::of("proofs");
    let names = names(items);
    let jobs = items.iter().zip(indices).map(|(item, &index)| {
        let named = named(folder, item, &names);
        let numbered = proof_path(folder, &index.to_string());
        keep_one(log, item, index, named, numbered, output)
    });
    let mut kept = std::pin::pin!(stream::iter(jobs).buffered(AT_ONCE));
    let mut paths = Vec::with_capacity(indices.len());
    while let Some(path) = kept.next().await {
        paths.push(path?);
        progress.set(paths.len() as u64, indices.len() as u64);
    }
    Ok(paths)
}

async fn keep_one(
    log: &Client<AnySource>,
    item: &Item,
    index: u64,
    named: Option<PathBuf>,
    numbered: PathBuf,
    output: Output,
) -> Result<PathBuf, Failure> {
    let (leaf, source) = (Hash::leaf(item.as_ref()), item.source());
    let proof = log.prove(index).await?;
    proof.verify(leaf, log.log()).map_err(|error| {
        Failure::bad(format!("the log answered that {source} has index {index}, but it has not: {error}"))
    })?;
    let path = place(named.as_deref(), &numbered, index, leaf, log.log())?.ok_or_else(|| {
        let path = numbered.display();
        Failure::undone(format!(
            "{path} is there already, and is no proof of {source}, which is entry {index}"
        ))
    })?;
    if let Some(left) = named.as_deref().filter(|named| *named != path) {
        let (left, path) = (left.display(), path.display());
        output.note(format_args!("{left} was left as it is: the proof of {source} is {path}"));
    }
    files::replace(path, proof.to_string().as_bytes())?;
    Ok(path.to_owned())
}

/// The first place where nothing is overwritten but a proof of the same entry at the same index.
fn place<'a>(
    named: Option<&'a Path>,
    numbered: &'a Path,
    index: u64,
    leaf: Hash,
    log: &TrustedLog,
) -> Result<Option<&'a Path>, Failure> {
    for path in named.into_iter().chain([numbered]) {
        let present = Present::at(path, leaf, log)?;
        if present == Present::Nothing || present == Present::Proof(index) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// What stands where a proof is to be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Present {
    Nothing,
    /// A proof of the entry, with this index.
    Proof(u64),
    Other,
}

impl Present {
    fn at(path: &Path, leaf: Hash, log: &TrustedLog) -> Result<Self, Failure> {
        if !path.try_exists().map_err(|error| Failure::file(path, &error))? {
            return Ok(Self::Nothing);
        }
        let bytes = files::read(path, TlogProof::MAX_SIZE)?;
        let claim = kiln_client::verify_leaf(&bytes, leaf, log);
        Ok(claim.map_or(Self::Other, |claim| Self::Proof(claim.index())))
    }
}

/// How often each name of a file occurs.
fn names(items: &[Item]) -> HashMap<&str, usize> {
    let mut names = HashMap::new();
    for name in items.iter().filter_map(Item::file_name) {
        *names.entry(name).or_default() += 1;
    }
    names
}

/// A proof is called after its file; `None` where it is of none, or where two files have one name: it is
/// called after its index then.
fn named(folder: &Path, item: &Item, names: &HashMap<&str, usize>) -> Option<PathBuf> {
    let name = item.file_name().filter(|name| names.get(name) == Some(&1))?;
    Some(proof_path(folder, name))
}

fn proof_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{}", TlogProof::FILE_EXTENSION))
}
