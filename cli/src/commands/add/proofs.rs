//! Cuts the proof of each entry that was added, verifies it, and keeps it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt};
use kiln_client::{AnySource, Client};
use kiln_tiles::{Hash, TlogProof};

use super::input::Item;
use crate::failure::Failure;
use crate::files;
use crate::progress::Progress;

/// Proofs that are cut at once.
const AT_ONCE: usize = 16;

/// Keeps a proof of each item in `folder`, and says where. The log was seen to have them all.
pub(super) async fn keep(
    log: &Client<AnySource>,
    folder: &Path,
    items: &[Item],
    indices: &[u64],
) -> Result<Vec<PathBuf>, Failure> {
    let mut progress = Progress::of("proofs");
    let names = names(items);
    let jobs = items.iter().zip(indices).map(|(item, &index)| {
        let path = path(folder, item, index, &names);
        async move { keep_one(log, item, index, &path).await.map(|()| path) }
    });
    let mut kept = std::pin::pin!(stream::iter(jobs).buffered(AT_ONCE));
    let mut paths = Vec::with_capacity(indices.len());
    while let Some(path) = kept.next().await {
        paths.push(path?);
        progress.set(paths.len() as u64, indices.len() as u64);
    }
    Ok(paths)
}

async fn keep_one(log: &Client<AnySource>, item: &Item, index: u64, path: &Path) -> Result<(), Failure> {
    let proof = log.prove(index).await?;
    let verified = proof.verify(Hash::leaf(item.as_ref()), log.log());
    verified.map_err(|error| {
        let source = item.source();
        Failure::bad(format!("the log answered that {source} has index {index}, but it has not: {error}"))
    })?;
    files::replace(path, proof.to_string().as_bytes())
}

/// How often each name of a file occurs.
fn names(items: &[Item]) -> HashMap<&str, usize> {
    let mut names = HashMap::new();
    for name in items.iter().filter_map(Item::file_name) {
        *names.entry(name).or_default() += 1;
    }
    names
}

/// A proof is called after its file; after its index where it is none, or where two files have one name.
fn path(folder: &Path, item: &Item, index: u64, names: &HashMap<&str, usize>) -> PathBuf {
    match item.file_name().filter(|name| names.get(name) == Some(&1)) {
        Some(name) => proof_path(folder, name),
        None => proof_path(folder, &index.to_string()),
    }
}

fn proof_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{}", TlogProof::FILE_EXTENSION))
}
