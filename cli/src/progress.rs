//! How far something is: a bar on a terminal, for what takes longer than a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::environment::Stopwatch;

/// A bar that shows itself after a second, and never where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    since: Stopwatch,
    shown: bool,
}

const PATIENCE: Duration = Duration::from_secs(1);

impl Progress {
    /// Nothing done yet of something that is counted in `unit`.
    pub(crate) fn of(unit: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let template =
            format!("{{bar:40}} {{human_pos}} of {{human_len}} {unit}, {{per_sec}}, {{eta}} to go");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar, since: Stopwatch::start(), shown: false }
    }

    /// So much is done.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        if !self.shown && self.since.elapsed() >= PATIENCE {
            self.shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr()); // draws on terminals only
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
