//! `config`: the stack file as it was understood, and its schema.

use clap::{Args, Subcommand};
use harness_config::{Secrets, json_schema, render_config};

use harness_core::spec::{ServiceSpec, StackSpec, TargetSpec, built_image_name};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::print;
use crate::select::{self, OfCompose};

/// Show the stack file as it was understood, or its schema
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Print the names of services and tasks, one in a line
    #[arg(long, group = "names")]
    services: bool,
    /// Print the images, one in a line
    #[arg(long, group = "names")]
    images: bool,
    /// Print the names of volumes, one in a line
    #[arg(long, group = "names")]
    volumes: bool,
    /// Print the profiles, one in a line
    #[arg(long, group = "names")]
    profiles: bool,
    /// Only say what is wrong: `-q` among the words, and not in the environment.
    #[arg(skip)]
    only_check: bool,
}

impl ConfigArgs {
    /// Has nothing shown but what is wrong.
    pub(crate) fn only_check(&mut self) {
        self.only_check = true;
    }
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
  harness config --services
  harness config -q                      only what is wrong, if anything is
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

pub(crate) async fn run(args: ConfigArgs, context: &Context) -> Result<(), Failure> {
    let is_list = args.services || args.images || args.volumes || args.profiles;
    if is_list {
        let mut names = names(&args, &stack(context).await?);
        names.dedup();
        return print(
            &names
                .iter()
                .map(|name| format!("{name}\n"))
                .collect::<String>(),
        );
    }
    match args.what.unwrap_or(What::Render {
        show_secrets: false,
    }) {
        What::Render { show_secrets } => {
            let stack = stack(context).await?;
            if args.only_check {
                return Ok(());
            }
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

async fn stack(context: &Context) -> Result<StackSpec, Failure> {
    let sources = select::meant(context).await?;
    let (stack, _) = select::stack(context, &sources, OfCompose::Untold)?;
    Ok(stack)
}

/// What is asked for, in order; what is in no active profile is left out but for the profiles.
fn names(args: &ConfigArgs, stack: &StackSpec) -> Vec<String> {
    if args.services {
        return stack.units.keys().map(ToString::to_string).collect();
    }
    if args.volumes {
        return stack.volumes.keys().cloned().collect();
    }
    let mut names: Vec<String> = match args.images {
        true => stack
            .units
            .values()
            .filter_map(|unit| image(stack, unit))
            .collect(),
        false => {
            let all = stack.units.values().chain(stack.inactive.values());
            all.flat_map(|unit| unit.profiles.iter().cloned()).collect()
        }
    };
    names.sort_unstable();
    names
}

fn image(stack: &StackSpec, unit: &ServiceSpec) -> Option<String> {
    match &unit.target {
        TargetSpec::Docker(target) => Some(match &target.image {
            Some(image) => image.to_string(),
            None => built_image_name(&stack.name, &unit.name),
        }),
        _ => None,
    }
}
