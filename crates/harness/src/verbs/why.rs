//! `why`: why a unit is where it is, down to the cause.

use clap::Args;
use harness_core::AutoStart;
use harness_core::spec::{StackName, UnitName};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{print, why_tree};
use crate::select;
use crate::units::{base, selected, unit_names};

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
    if let Err(failure) = selected(&client.status(&stack).await?, &wanted) {
        let [unit] = &wanted;
        let behind = behind_profile(context, &stack, unit).await;
        return Err(behind.unwrap_or(failure));
    }
    for unit in unit_names(&stack, &wanted)? {
        print(&why_tree(&context.data, &client.why(&stack, &unit).await?))?;
    }
    Ok(())
}

/// That this unit is in the stack's file, though in no profile that was started; nothing when it is not so, or cannot be
/// read now.
async fn behind_profile(context: &Context, stack: &StackName, unit: &str) -> Option<Failure> {
    let sources = select::meant(context).await.ok()?;
    let file = harness_config::load(&sources).stack?;
    let name = UnitName::new(base(unit)).ok()?;
    let inactive = file.inactive.get(&name).filter(|_| file.name == *stack)?;
    Some(Failure::BehindProfile {
        unit: unit.to_owned(),
        profiles: inactive.profiles.clone(),
    })
}
