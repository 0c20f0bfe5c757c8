//! `kiln man` and `kiln completions`: what packages install beside the binary.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::failure::Failure;
use crate::output::Output;

/// Write the man pages, one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  kiln man /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The folder that they are written to, as kiln.1, kiln-serve.1 and so on; it is made where it is missing.
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self, output: &Output) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder).map_err(|error| Failure::file(&self.folder, &error))?;
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .map_err(|error| Failure::file(&self.folder, &error))?;
        let pages = fs::read_dir(&self.folder).map_or(0, Iterator::count);
        output.note(format_args!("{pages} pages are in {}", self.folder.display()));
        Ok(())
    }
}

/// Print what a shell completes kiln's words by.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kiln completions bash > /usr/share/bash-completion/completions/kiln
  kiln completions zsh > /usr/local/share/zsh/site-functions/_kiln")]
pub(crate) struct Completions {
    /// Whose.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, output: &Output) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "kiln", &mut script);
        output.bytes(&script)
    }
}
