//! Leaves on their way from memory to a run of their own: no more come to them, and they are found meanwhile.

use std::path::Path;
use std::sync::Arc;

use kiln_tiles::Hash;

use super::LeafMap;
use super::directory::fraction;
use super::fault::Fault;
use super::making::Making;
use super::page::Record;
use super::run::{Run, RunWriter, Stretch};

/// The index of each leaf of a stretch that is being written.
#[derive(Debug)]
pub(super) struct Frozen {
    leaves: Arc<LeafMap>,
    making: Making,
}

impl Frozen {
    /// Begins to write the run of a stretch, which has these leaves.
    pub(super) fn write(folder: &Path, stretch: Stretch, leaves: LeafMap) -> Result<Self, Fault> {
        let (folder, leaves) = (folder.to_owned(), Arc::new(leaves));
        let written = Arc::clone(&leaves);
        let work = move |_: &_| Ok(write(&folder, stretch, &written)?);
        let making = Making::begin(stretch, work).map_err(|error| error.fault)?;
        Ok(Self { leaves, making })
    }

    /// The index of a leaf, if it is one of these.
    pub(super) fn get(&self, leaf: &Hash) -> Option<u64> {
        self.leaves.get(leaf).copied()
    }

    pub(super) fn is_written(&self) -> bool {
        self.making.is_finished()
    }

    /// Waits for the run.
    pub(super) fn finish(self) -> Result<Run, Fault> {
        self.making.finish().map_err(|error| error.fault)
    }
}

fn write(folder: &Path, stretch: Stretch, leaves: &LeafMap) -> Result<Run, Fault> {
    let mut records: Vec<_> = leaves.iter().map(|(&leaf, &index)| Record { leaf, index }).collect();
    // The rest of a leaf hardly ever counts.
    records
        .sort_unstable_by(|a, b| fraction(&a.leaf).cmp(&fraction(&b.leaf)).then_with(|| a.leaf.cmp(&b.leaf)));
    let mut writer = RunWriter::create(folder, stretch, records.len() as u64)?;
    records.into_iter().try_for_each(|record| writer.push(record))?;
    writer.finish()
}
