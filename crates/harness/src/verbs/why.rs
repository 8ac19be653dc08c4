//! `why`: why a unit is where it is, down to the cause.

use clap::Args;
use harness_core::AutoStart;

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{print, why_tree};
use crate::select;
use crate::units::{selected, unit_names};

/// Explain why a service or task is where it is, down to the cause
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WhyArgs {
    /// The service or task
    #[arg(value_name = "NAME", add = crate::complete::units())]
    unit: String,
}

const EXAMPLES: &str = "\
Examples:
  harness why api           what `api` waits for, and what that waits for
  harness -p web why worker a stack by name";

pub(crate) async fn run(args: WhyArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    let wanted = [args.unit];
    selected(&client.status(&stack).await?, &wanted)?;
    for unit in unit_names(&stack, &wanted)? {
        print(&why_tree(&context.data, &client.why(&stack, &unit).await?))?;
    }
    Ok(())
}
