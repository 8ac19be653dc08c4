//! `ls`: the stacks that the daemon knows.

use clap::{Args, ValueEnum};
use harness_core::AutoStart;
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, print, stack_table};

/// List the stacks that the daemon knows
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LsArgs {
    /// How to show them
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "table"
    )]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each.
    #[value(aliases = ["human", "text", "wide"])]
    Table,
    /// Only their names, a line for each.
    Name,
    /// One document.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  harness ls
  harness ls -o json
  for stack in $(harness ls -o name); do harness -p \"$stack\" stop; done";

impl LsArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }

    /// Has only names shown, where that is not for programs.
    pub(crate) fn show_names(&mut self) {
        if !self.is_json() {
            self.output = Format::Name;
        }
    }
}

pub(crate) async fn run(args: LsArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stacks = client.stacks().await?;
    let text = match args.output {
        Format::Table => stack_table(&context.data, &stacks),
        Format::Name => stacks
            .iter()
            .map(|stack| format!("{}\n", stack.name))
            .collect(),
        Format::Json => json_line(&json!({ "schema_version": SCHEMA_VERSION, "items": stacks })),
    };
    print(&text)
}

const SCHEMA_VERSION: u32 = harness_core::protocol::SCHEMA_VERSION;
