//! `config`: the stack file as it was understood, and its schema.

use clap::{Args, Subcommand};
use harness_config::{Secrets, json_schema, render_config};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::print;
use crate::select;

/// Show the stack file as it was understood, or its schema
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the stack: files merged, variables put in, defaults left out
    #[command(after_help = RENDER_EXAMPLES)]
    Render {
        /// Show values that look like secrets
        #[arg(long)]
        show_secrets: bool,
    },
    /// Print the JSON Schema (draft-07) of the stack file, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
}

const EXAMPLES: &str = "\
Examples:
  harness config render
  harness config schema > harness.schema.json";

const RENDER_EXAMPLES: &str = "\
Examples:
  harness config render
  harness config render -f base.yaml -f local.yaml
  harness config render --show-secrets";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  harness config schema > harness.schema.json
  # then, as the first line of harness.yaml:
  # yaml-language-server: $schema=harness.schema.json";

pub(crate) fn run(args: ConfigArgs, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::Render { show_secrets } => {
            let files = select::required_files(context)?;
            let (stack, _) = select::stack(context, &select::sources(context, &files)?)?;
            let secrets = if show_secrets {
                Secrets::Show
            } else {
                Secrets::Mask
            };
            print(&render_config(&stack, secrets))
        }
        What::Schema => {
            let mut text = serde_json::to_string_pretty(&json_schema())
                .expect("a JSON value always serialises");
            text.push('\n');
            print(&text)
        }
    }
}
