//! `signal` and `kill`: a signal to the main process of a service, and nothing else.

use clap::Args;
use harness_core::AutoStart;
use harness_core::protocol::SignalParams;
use service_shim::Signal;

use crate::context::Context;
use crate::failure::Failure;
use crate::render::Span;
use crate::select;
use crate::units::{selected, unit_names};

/// Send a signal to the main process of a service
///
/// It is no stop: a service that ends of it is started again if its restart policy says so.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SignalArgs {
    /// The service or task
    #[arg(value_name = "SVC", add = crate::complete::units())]
    unit: String,
    /// The signal, by name or number
    #[arg(value_name = "SIGNAL")]
    signal: Signal,
}

const EXAMPLES: &str = "\
Examples:
  harness signal web HUP       read its configuration again
  harness signal api SIGUSR1
  harness signal worker 19     stop it in its tracks; 18 lets it go on";

/// Send SIGKILL, or another signal, to the main process of services
///
/// It is no stop: a service that ends of it is started again if its restart policy says so, which makes it good for
/// trying that out. `stop --force --timeout 0s` kills and keeps down.
#[derive(Args, Debug)]
#[command(after_help = KILL_EXAMPLES)]
pub(crate) struct KillArgs {
    /// Services and tasks, which must run
    #[arg(value_name = "SVC", required = true, add = crate::complete::units())]
    units: Vec<String>,
    /// The signal, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: Signal,
}

const KILL_EXAMPLES: &str = "\
Examples:
  harness kill worker            see that it comes back
  harness kill -s HUP web api    two services";

pub(crate) async fn run(args: SignalArgs, context: &Context) -> Result<(), Failure> {
    send(&[args.unit], args.signal, context).await
}

pub(crate) async fn kill(args: KillArgs, context: &Context) -> Result<(), Failure> {
    send(&args.units, args.signal, context).await
}

async fn send(names: &[String], signal: Signal, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    selected(&client.status(&stack).await?, names)?;
    let params = SignalParams {
        stack: stack.clone(),
        units: unit_names(&stack, names)?,
        signal: signal.number(),
    };
    let sent = client.signal(&params).await?;
    let text = format!("{stack}: {signal} sent to {}", sent.units.join(", "));
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}
