//! What verbs share that show line after line: `logs`, `events`.
//!
//! Owns: their arguments for following, for the stack file, and for the form of the lines.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of a verb that shows lines.
#[derive(Args, Debug)]
pub(crate) struct Lines {
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How to show them
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) output: Format,
    // The global option under its long name: -f means to follow here.
    /// Stack file; several are laid over each other, `-` is standard input [env: HARNESS_FILE]
    #[arg(
        id = "files",
        long = "file",
        short = 'c',
        alias = "config",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    _files: Vec<PathBuf>,
}

/// The form of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines.
    #[value(aliases = ["human", "table"])]
    Text,
    /// One document per line.
    Json,
}

impl Lines {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}
