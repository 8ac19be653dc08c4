//! `down`: the whole stack stopped and forgotten.

use clap::Args;
use harness_core::protocol::method::ForgetStack;
use harness_core::protocol::{ErrorCode, ForgetParams, ForgetResult, OneOffEndParams, StopParams};
use harness_core::spec::StackName;
use harness_core::{AutoStart, ClientError, HarnessClient, Volumes};

use super::stop::stop;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::Span;
use crate::{select, time};

/// Stop the stack and forget it
///
/// Its units, their history, logs and completed tasks are forgotten. Volumes of containers stay, unless --volumes is
/// given: what is in them is then lost. On a terminal it asks first; elsewhere it needs --yes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DownArgs {
    /// Time that each service has to end by itself, instead of its own
    #[arg(long, short_alias = 't', value_name = "DURATION", value_parser = time::duration)]
    timeout: Option<std::time::Duration>,
    /// Remove the stack's volumes too, with everything in them
    #[arg(short = 'v', long)]
    volumes: bool,
    /// What is no longer in the file goes anyway
    #[arg(long, hide = true)]
    remove_orphans: bool,
}

const EXAMPLES: &str = "\
Examples:
  harness down              ask, then stop and forget
  harness down --yes        do not ask
  harness -p web down -y    a stack by name
  harness down --volumes    what its containers keep in volumes goes too";

pub(crate) async fn run(args: DownArgs, context: &Context) -> Result<(), Failure> {
    let (question, volumes) = match args.volumes {
        true => (
            "Stop the stack, forget it, and remove its volumes with everything in them?",
            Volumes::Remove,
        ),
        false => ("Stop the stack and forget it?", Volumes::Keep),
    };
    context.confirm("down", question)?;
    // Volumes outlive their stack: whether it is known does not matter to who wants them gone.
    let (client, stack, unknown) = match volumes {
        Volumes::Remove => {
            let client = context.client(AutoStart::Always).await?;
            let (stack, unknown) = select::named_stack(context, &client).await?;
            (client, stack, unknown)
        }
        Volumes::Keep => {
            let client = context.client(AutoStart::WhenActive).await?;
            let stack = select::known_stack(context, &client).await?;
            (client, stack, None)
        }
    };
    // Who may not forget it learns that before anything is stopped. What runs cannot be forgotten yet.
    let params = ForgetParams {
        stack: stack.clone(),
        volumes: volumes == Volumes::Remove,
    };
    let forgotten = match client.call::<ForgetStack>(&params).await {
        Err(error) if is_still_running(&error) => {
            end_one_offs(&client, &stack).await?;
            stop_all(&args, context, &client, &stack).await?;
            client.call::<ForgetStack>(&params).await?
        }
        outcome => outcome?,
    };
    let is_nothing = forgotten.volumes.is_empty() && forgotten.left.is_empty();
    if let Some(failure) = unknown.filter(|_| is_nothing) {
        return Err(failure);
    }
    let said = format!(
        "{stack}: stopped and forgotten{}",
        and_volumes(volumes, &forgotten)
    );
    context.tell(&context.messages.paint(Span::Good, &said));
    Ok(())
}

/// What became of the volumes, where they were to go.
fn and_volumes(volumes: Volumes, forgotten: &ForgetResult) -> String {
    let left = match forgotten.left.as_slice() {
        [] => String::new(),
        left => format!(
            "; made by somebody else and left: {} (`docker volume rm` removes them)",
            left.join(", ")
        ),
    };
    match (volumes, forgotten.volumes.as_slice()) {
        (Volumes::Keep, _) => String::new(),
        (Volumes::Remove, []) if left.is_empty() => "; it has no volumes".into(),
        (Volumes::Remove, []) => left,
        (Volumes::Remove, removed) => format!("; volumes removed: {}{left}", removed.join(", ")),
    }
}

fn is_still_running(error: &ClientError) -> bool {
    error
        .as_api()
        .is_some_and(|error| error.code == ErrorCode::StillRunning)
}

/// What is run by the definitions of units goes before what it may need.
async fn end_one_offs(client: &HarnessClient, stack: &StackName) -> Result<(), Failure> {
    let params = OneOffEndParams {
        stack: stack.clone(),
        id: None,
    };
    Ok(client.end_one_off(&params).await?)
}

async fn stop_all(
    args: &DownArgs,
    context: &Context,
    client: &HarnessClient,
    stack: &StackName,
) -> Result<(), Failure> {
    let grace_ms = args
        .timeout
        .map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    let params = StopParams {
        grace_ms,
        ..StopParams::all(stack.clone())
    };
    stop(context, client, stack, &params).await?;
    Ok(())
}
