//! Merging runs that are neighbours into one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_tiles::Hash;

use super::directory::fraction;
use super::fault::Fault;
use super::making::{MakeError, Making};
use super::page::Record;
use super::run::{Records, Run, RunWriter, Stretch};

/// How much larger the runs of one class may be than those of the one below.
const FAN_OUT: u64 = 8;

/// Which runs are to be merged, of neighbours with so many records each, the newest last: as soon as the newest
/// ones together are of a higher class than each of them. So every record is merged once in each
/// class, and there are fewer than eight runs in each.
pub(super) fn due(records: &[u64]) -> Option<Range<usize>> {
    let class = |records: u64| records.max(1).ilog(FAN_OUT);
    let highest = records.iter().copied().map(class).max()?;
    (0..=highest).rev().find_map(|of| {
        let newest = records.iter().rev().take_while(|&&records| class(records) <= of);
        let (count, sum) = newest.fold((0, 0), |(count, sum), records| (count + 1, sum + records));
        (count > 1 && class(sum) > of).then(|| records.len() - count..records.len())
    })
}

/// Begins to merge these runs, at least one.
pub(super) fn begin(folder: &Path, inputs: &[Run]) -> Result<Making, MakeError> {
    let (first, last) = (inputs[0].stretch(), inputs[inputs.len() - 1].stretch());
    let stretch = Stretch { first: first.first, covered: last.covered };
    let writer = RunWriter::create(folder, stretch, inputs.iter().map(Run::records).sum())?;
    let inputs = inputs.iter().map(Input::open).collect::<Result<Vec<_>, _>>()?;
    Making::begin(stretch, move |stop| merge(inputs, writer, stop))
}

/// A run to be merged.
struct Input {
    path: PathBuf,
    records: Records,
}

impl Input {
    fn open(run: &Run) -> Result<Self, MakeError> {
        let path = run.path().to_owned();
        match Records::of(run) {
            Ok(records) => Ok(Self { path, records }),
            Err(fault) => Err(MakeError { fault, input: Some(path) }),
        }
    }

    fn next(&mut self) -> Result<Option<Record>, MakeError> {
        self.records.next().map_err(|fault| MakeError { fault, input: Some(self.path.clone()) })
    }
}

/// How many records are merged, and synced, between two looks at whether to go on: 10 MiB, for one long sync would
/// hold up those of the log.
const STEP: usize = 1 << 18;

fn merge(mut inputs: Vec<Input>, mut writer: RunWriter, stop: &AtomicBool) -> Result<Run, MakeError> {
    let mut next = BinaryHeap::with_capacity(inputs.len());
    for (number, input) in inputs.iter_mut().enumerate() {
        next.extend(input.next()?.map(|record| Next::new(record, number)));
    }
    while !next.is_empty() {
        if stop.load(Ordering::Relaxed) {
            return Err(Fault::from(io::Error::from(io::ErrorKind::Interrupted)).into());
        }
        merge_some(&mut next, &mut inputs, &mut writer)?;
        writer.sync()?;
    }
    Ok(writer.finish()?)
}

fn merge_some(
    next: &mut BinaryHeap<Reverse<Next>>,
    inputs: &mut [Input],
    writer: &mut RunWriter,
) -> Result<(), MakeError> {
    for _ in 0..STEP {
        let Some(mut least) = next.peek_mut() else { break };
        let Reverse(Next { leaf, index, input, .. }) = *least;
        writer.push(Record { leaf, index })?;
        match inputs[input].next()? {
            Some(record) => *least = Next::new(record, input),
            None => drop(PeekMut::pop(least)),
        }
    }
    Ok(())
}

/// The next record of an input.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Next {
    fraction: u64, // compared first, and mostly alone
    leaf: Hash,
    index: u64,
    input: usize,
}

impl Next {
    fn new(Record { leaf, index }: Record, input: usize) -> Reverse<Self> {
        Reverse(Self { fraction: fraction(&leaf), leaf, index, input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_runs_are_merged_once_they_are_of_a_higher_class_together() {
        assert_eq!(due(&[]), None);
        assert_eq!(due(&[64; 7]), None);
        assert_eq!(due(&[64; 8]), Some(0..8));
        assert_eq!(due(&[512, 64, 64]), None);
        assert_eq!(due(&[4096, 512, 64, 64, 64, 64, 64, 64, 64, 64]), Some(2..10));
        assert_eq!(
            due(&[512, 512, 512, 512, 512, 512, 512, 500, 12]),
            Some(0..9),
            "at once, not in two steps"
        );
        assert_eq!(due(&[0, 0]), None);
        assert_eq!(due(&[1, 1, 1, 1, 1, 1, 1, 1]), Some(0..8));
    }

    #[test]
    fn runs_stay_few_and_records_are_rewritten_seldom() {
        let (mut runs, mut rewritten, mut most) = (Vec::new(), 0, 0);
        for _ in 0..4096 {
            runs.push(100);
            while let Some(range) = due(&runs) {
                let sum = runs.splice(range, []).sum();
                rewritten += sum;
                runs.push(sum);
            }
            most = most.max(runs.len());
        }
        assert!(most <= 7 * 5, "{most}");
        assert!(rewritten <= 5 * 409_600, "{rewritten}");
    }
}
