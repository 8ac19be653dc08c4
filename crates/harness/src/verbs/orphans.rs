//! Units that run and that their stack file no longer names.
//!
//! Owns: saying so, and ending them where that is asked for.

use harness_core::HarnessClient;
use harness_core::protocol::{ApplyParams, Mode, StartResult, StopParams};
use harness_core::spec::{SecretValues, StackSpec, UnitName};

use super::stop::stop;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::Span;

/// Stops the orphans of a definition and has them forgotten, or tells of them.
///
/// # Errors
/// When they cannot be stopped.
pub(super) async fn settle(
    context: &Context,
    client: &HarnessClient,
    stack: &StackSpec,
    started: &StartResult,
    remove: bool,
) -> Result<(), Failure> {
    let orphans = &started.applied.orphans;
    if orphans.is_empty() {
        return Ok(());
    }
    if !remove {
        tell(context, stack, orphans);
        return Ok(());
    }
    let params = StopParams {
        units: orphans.clone(),
        // Whatever needs one is an orphan too, or no longer says that it does.
        force: true,
        ..StopParams::all(stack.name.clone())
    };
    stop(context, client, &stack.name, &params).await?;
    // Defined once more without them, the stack forgets what does not run.
    let stack = Box::new(stack.clone());
    let mode = Mode::Replace;
    let params_of_stack = ApplyParams {
        stack,
        mode,
        secrets: SecretValues::default(),
    };
    let applied = client.apply(&params_of_stack).await?;
    let names: Vec<&str> = applied.removed.iter().map(UnitName::as_str).collect();
    if !names.is_empty() {
        context.tell(&format!("{}: {} removed", params.stack, names.join(", ")));
    }
    Ok(())
}

/// Says which units the file no longer names, and what ends them.
fn tell(context: &Context, stack: &StackSpec, orphans: &[UnitName]) {
    let names: Vec<&str> = orphans.iter().map(UnitName::as_str).collect();
    let names = names.join(", ");
    let (verb, stop) = match orphans.len() {
        1 => ("is", format!("`harness -p {} stop {names}`", stack.name)),
        _ => (
            "are",
            format!(
                "`harness -p {} stop {}`",
                stack.name,
                names.replace(", ", " ")
            ),
        ),
    };
    let warning = context.messages.paint(Span::Busy, "warning:");
    context.tell(&format!(
        "{warning} {names} {verb} no longer in the stack file, and not stopped; {stop} or `start --remove-orphans` ends that"
    ));
}
