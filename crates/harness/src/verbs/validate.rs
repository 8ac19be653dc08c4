//! `validate`: everything that is wrong with stack files, in one run.
//!
//! Owns: that several files are several stacks here. What is found is what was asked for, so it goes to standard output.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use harness_config::{
    Diagnostic, Loaded, Sources, count, examine_secrets, load, render_github, render_human,
    summary, to_json,
};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Span, json_line, print};
use crate::select;

/// Say everything that is wrong with a stack file
///
/// Every file named here is a stack of its own; those of --file are laid over each other, as for `start`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ValidateArgs {
    /// Stack files; none means the one that `start` would take
    #[arg(value_name = "FILE")]
    stacks: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// How to say it
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "human"
    )]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the lines that it is about.
    #[value(aliases = ["text", "table"])]
    Human,
    /// One document.
    Json,
    /// Annotations of GitHub's workflow runs.
    Github,
}

const EXAMPLES: &str = "\
Examples:
  harness validate
  harness validate a.yaml b.yaml     two stacks
  harness validate --strict          warnings are errors too
  harness validate -o github         in a workflow of GitHub";

impl ValidateArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

pub(crate) async fn run(args: ValidateArgs, context: &Context) -> Result<(), Failure> {
    let stacks = match args.stacks.as_slice() {
        [] => vec![select::meant(context).await?],
        several => several
            .iter()
            .map(|file| select::sources(context, std::slice::from_ref(file)))
            .collect::<Result<Vec<Sources>, Failure>>()?,
    };
    let mut all: Vec<Diagnostic> = Vec::new();
    let mut is_refused = false;
    let mut summaries = Vec::new();
    for sources in stacks {
        let mut loaded = load(&sources);
        loaded.diagnostics.extend(examine_secrets(&loaded));
        let place = |found: &Diagnostic| (found.file.clone(), found.line, found.column);
        loaded.diagnostics.sort_by_key(place);
        let (errors, warnings) = count(&loaded.diagnostics);
        let is_bad = errors > 0 || args.strict && warnings > 0;
        is_refused |= is_bad;
        if is_bad {
            summaries.push(summary(&loaded.diagnostics, &loaded.files));
        }
        match args.output {
            Format::Human => print(&human(context, &loaded, is_bad))?,
            Format::Github => print(&render_github(&loaded.diagnostics))?,
            Format::Json => {}
        }
        all.extend(loaded.diagnostics);
    }
    if args.output == Format::Json {
        print(&json_line(&to_json(&all)))?;
    }
    match is_refused {
        true => Err(Failure::Diagnostics {
            summary: summaries.join("; "),
        }),
        false => Ok(()),
    }
}

fn human(context: &Context, loaded: &Loaded, is_bad: bool) -> String {
    let look = &context.data;
    let mut text = render_human(&loaded.diagnostics, &loaded.files, look.color);
    if !is_bad {
        let mark = look.paint(Span::Good, look.glyph("✔", "[ok]"));
        text += &match loaded.diagnostics.is_empty() {
            true => format!("{mark} {}: good\n", loaded.files.stack_names().join(", ")),
            false => format!("{mark} {}\n", summary(&loaded.diagnostics, &loaded.files)),
        };
    }
    text
}
