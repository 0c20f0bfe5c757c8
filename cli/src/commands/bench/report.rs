//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::histogram::Histogram;
use super::measured::Measured;
use super::{Bench, WaitFor};
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::{grouped, per_second, rounded};

/// What was measured.
pub(super) struct Report<'a> {
    pub(super) bench: &'a Bench,
    pub(super) measured: Measured,
    pub(super) publication: Histogram,
}

impl Report<'_> {
    /// Tells it. Where nothing was added, there is nothing that was measured.
    pub(super) fn tell(&self, output: Output) -> Result<(), Failure> {
        output.result(self, || self.value())?;
        match self.measured.entries {
            0 => Err(Failure::undone("no request was answered well")),
            _ => Ok(()),
        }
    }

    fn errors(&self) -> u64 {
        self.measured.errors.values().sum()
    }

    fn value(&self) -> Value {
        let Measured { latencies, entries, errors, took, .. } = &self.measured;
        json!({
            "url": self.bench.url, "connections": self.bench.connections(),
            "streams": self.bench.streams, "rate": self.bench.rate, "batch": self.bench.batch, "size": self.bench.size,
            "seconds": took.as_secs_f64(), "entries": entries, "entries_per_second": per_second(*entries, *took),
            "requests": latencies.count(), "errors": errors, "error_count": self.errors(),
            "add_seconds": seconds(latencies), "publish_seconds": seconds(&self.publication),
        })
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bench { url, batch, size, .. } = self.bench;
        let Measured { latencies, entries, errors, took, .. } = &self.measured;
        let until = match self.bench.wait {
            WaitFor::Published => "published",
            WaitFor::Sequenced => "sequenced",
        };
        match self.bench.rate {
            Some(rate) => write!(f, "load     {url}, open loop, {rate} requests/s")?,
            None => write!(f, "load     {url}, closed loop")?,
        }
        if let Some(connections) = self.bench.connections() {
            write!(f, ", {connections} connections")?;
        }
        if let Some(streams) = self.bench.streams {
            write!(f, " with {streams} streams")?;
        }
        writeln!(f, ", {batch} x {size} bytes a request, answered when {until}")?;
        let (rate, requests) = (per_second(*entries, *took), grouped(latencies.count()));
        let seconds = took.as_secs_f64();
        writeln!(
            f,
            "entries  {} in {seconds:.2} s: {}/s, in {requests} requests",
            grouped(*entries),
            rounded(rate)
        )?;
        writeln!(f, "add      {}", Percentiles(latencies))?;
        let probes = self.publication.count();
        writeln!(f, "publish  {}, {probes} probes of one entry", Percentiles(&self.publication))?;
        write!(f, "errors   {}", self.errors())?;
        errors.iter().try_for_each(|(error, count)| write!(f, "\n         {count} x {error}"))
    }
}

struct Percentiles<'a>(&'a Histogram);

impl fmt::Display for Percentiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |latency: Duration| latency.as_secs_f64() * 1000.0;
        let at = |percent| millis(self.0.percentile(percent));
        write!(
            f,
            "p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            at(50),
            at(90),
            at(99),
            millis(self.0.max())
        )
    }
}

fn seconds(latencies: &Histogram) -> Value {
    let at = |percent| latencies.percentile(percent).as_secs_f64();
    json!({ "p50": at(50), "p90": at(90), "p99": at(99), "max": latencies.max().as_secs_f64() })
}
