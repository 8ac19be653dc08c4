//! `import`: a stack file from a file of another kind.
//!
//! Owns: where the text goes, and that nothing is overwritten unasked. What is not carried over goes to standard error, so
//! that standard output is the stack file and nothing else.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use harness_config::{Imported, count, import_compose, render_human, summary};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{note, print};
use crate::select;

/// Make a stack file of a file of another kind
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Make a stack file of a Compose file, and list what it cannot say
    ///
    /// Variables stay variables. Each thing that is not carried over, or means something else, is told with its line, what
    /// it means, and what can be done. `start --file compose.yaml` runs the Compose file as it is, in the same way.
    #[command(after_help = COMPOSE_EXAMPLES)]
    Compose {
        /// Compose files, laid over each other; `-` is standard input
        #[arg(value_name = "FILE", required = true)]
        sources: Vec<PathBuf>,
        /// Where the stack file goes; standard output when left out
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
Examples:
  harness import compose compose.yaml -o harness.yaml";

const COMPOSE_EXAMPLES: &str = "\
Examples:
  harness import compose compose.yaml
  harness import compose compose.yaml -o harness.yaml
  harness import compose compose.yaml compose.prod.yaml -o harness.yaml";

pub(crate) fn run(args: ImportArgs, context: &Context) -> Result<(), Failure> {
    let From::Compose { sources, output } = args.from;
    if let Some(output) = output.as_deref().filter(|output| output.exists()) {
        let action = format!("writing over {}", output.display());
        context.confirm(
            &action,
            &format!("{} is there. Write over it?", output.display()),
        )?;
    }
    let imported = import_compose(&select::sources(context, &sources)?);
    let (errors, findings) = count(&imported.diagnostics);
    if errors > 0 || !context.globals.quiet {
        note(&render_human(
            &imported.diagnostics,
            &imported.files,
            context.messages.color,
        ));
    }
    let Some(text) = &imported.text else {
        return Err(Failure::Diagnostics {
            summary: summary(&imported.diagnostics, &imported.files),
        });
    };
    let Some(output) = output else {
        return print(text);
    };
    std::fs::write(&output, text).map_err(Failure::io(format!("write {}", output.display())))?;
    context.tell(&written(&imported, &output, findings));
    if is_elsewhere(&sources, &output) {
        context.tell(
            "relative paths in it are those of the Compose file: move it there, or mend them",
        );
    }
    Ok(())
}

/// What was written, and what is to be looked at.
fn written(imported: &Imported, output: &Path, findings: usize) -> String {
    let from = imported.files.stack_names().join(", ");
    let found = match findings {
        0 => "everything was carried over".to_owned(),
        1 => "one thing is to be looked at".to_owned(),
        several => format!("{several} things are to be looked at"),
    };
    format!("{} was made from {from}; {found}", output.display())
}

/// Whether the stack file is in another directory than the first of its sources.
fn is_elsewhere(sources: &[PathBuf], output: &Path) -> bool {
    let directory = |file: &Path| {
        let parent = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    let source = sources
        .first()
        .filter(|source| source.as_path() != Path::new("-"));
    source.is_some_and(|source| directory(source) != directory(output))
}
