//! Where results go: plain words, or JSON with `--json`, on standard output; everything else on
//! standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::failure::Failure;

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person looks at standard output.
    pub(crate) fn is_terminal(self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// A result: the words on a terminal or in a pipe, the value for a program.
    pub(crate) fn result(self, words: impl Display, value: impl FnOnce() -> Value) -> Result<(), Failure> {
        if self.json { self.line(value()) } else { self.line(words) }
    }

    /// A line on standard output, there at once.
    pub(crate) fn line(self, line: impl Display) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// Bytes on standard output, as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A word to the person at the keyboard, beside the results.
    pub(crate) fn note(self, line: impl Display) {
        // Without a standard error there is nobody to tell.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Says why a command failed, and what its exit code is.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        let code = failure.exit() as u8;
        if !failure.is_broken_pipe() {
            self.note(format_args!("kiln: {failure}"));
            if self.json {
                // The exit code says the same, should nobody read this.
                let _ = self.line(json!({ "error": failure.to_string(), "exit": code }));
            }
        }
        ExitCode::from(code)
    }
}
