//! `graph`: what needs what, with gates, and with states where the daemon knows the stack.

use clap::{Args, ValueEnum};
use harness_core::AutoStart;
use harness_core::report::StackStatus;
use harness_core::spec::StackName;

use super::definition::{self, Definition, Wish};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Graph, json_line, print};

/// Show what needs what, and how far it must have come
///
/// Reads the stack file; where the daemon knows the stack, states are shown too.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GraphArgs {
    /// How to show it
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    output: Format,
    /// With the units of this profile too; may be repeated
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each unit, below what it needs.
    #[value(aliases = ["human", "table"])]
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
    /// One document.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  harness graph
  harness graph -o dot | dot -Tsvg > stack.svg
  harness graph -o mermaid       for a README";

impl GraphArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

pub(crate) async fn run(args: GraphArgs, context: &Context) -> Result<(), Failure> {
    let wish = Wish {
        units: &[],
        profiles: &args.profile,
        no_deps: false,
    };
    let Definition { stack, .. } = definition::look(context, wish).await?;
    let status = status(context, &stack.name).await;
    let graph = Graph::new(&stack, status.as_ref());
    print(&match args.output {
        Format::Text => graph.text(&context.data),
        Format::Dot => graph.dot(),
        Format::Mermaid => graph.mermaid(),
        Format::Json => json_line(&graph),
    })
}

/// How the stack stands, if anybody knows: the graph is worth showing without.
async fn status(context: &Context, stack: &StackName) -> Option<StackStatus> {
    let client = context.client(AutoStart::WhenActive).await.ok()?;
    client.status(stack).await.ok()
}
