//! `daemon`: the program behind it all.

use std::time::Duration;

use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum};
use harness_core::client::{ensure_daemon, until_gone};
use harness_core::{AutoStart, ConnectError, HarnessClient, LaunchError};

use super::daemon_access::{self, ClientsArgs, EnrollArgs, GrantArgs, InviteArgs, RevokeArgs};
use super::daemon_log::{LogArgs, show};
use super::daemon_restart::{self, RestartArgs};
use super::daemon_run::{RunArgs, serve};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Span, daemon_page, json_line, print};

/// Run, start, stop or ask the daemon
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct DaemonArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Run(RunArgs),
    Start(StartArgs),
    Stop(StopArgs),
    Restart(RestartArgs),
    Status(StatusArgs),
    Logs(LogArgs),
    Invite(InviteArgs),
    Enroll(EnrollArgs),
    Clients(ClientsArgs),
    Grant(GrantArgs),
    Revoke(RevokeArgs),
}

/// Start the daemon in the background; where one runs, that is enough
#[derive(Args, Debug)]
#[command(after_help = START_EXAMPLES)]
struct StartArgs {
    /// Where it listens; port 0 is any free one [default: 127.0.0.1:9443] [env: HARNESS_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Stop every stack, then the daemon
#[derive(Args, Debug)]
#[command(after_help = STOP_EXAMPLES)]
struct StopArgs {
    /// Leave services running for the next daemon
    #[arg(long)]
    keep: bool,
}

/// Show who the daemon is, and its stacks
#[derive(Args, Debug)]
#[command(after_help = STATUS_EXAMPLES)]
struct StatusArgs {
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
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[value(aliases = ["human", "table"])]
    Text,
    /// One document.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  harness daemon status
  harness daemon restart         the daemon of this version, after an upgrade; services go on
  harness daemon stop --keep     services go on; the next daemon takes them over
  harness daemon run             in the foreground";

const START_EXAMPLES: &str = "\
Examples:
  harness daemon start
  harness daemon start --listen 127.0.0.1:0";

const STOP_EXAMPLES: &str = "\
Examples:
  harness daemon stop
  harness daemon stop --keep     services go on; `daemon restart` also starts the next one";

const STATUS_EXAMPLES: &str = "\
Examples:
  harness daemon status
  harness daemon status -o json";

impl DaemonArgs {
    pub(crate) fn is_json(&self) -> bool {
        let output = match &self.what {
            What::Status(args) => args.output,
            What::Restart(args) => args.output,
            What::Invite(args) => args.output,
            What::Clients(args) => args.output,
            What::Run(_)
            | What::Start(_)
            | What::Stop(_)
            | What::Logs(_)
            | What::Enroll(_)
            | What::Grant(_)
            | What::Revoke(_) => Format::Text,
        };
        output == Format::Json
    }
}

pub(crate) async fn run(args: DaemonArgs, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::Run(args) => serve(args, context).await,
        What::Start(args) => start(args, context).await,
        What::Stop(args) => stop(args, context).await,
        What::Restart(args) => daemon_restart::restart(args, context).await,
        What::Status(args) => status(args, context).await,
        What::Logs(args) => show(args, context).await,
        What::Invite(args) => daemon_access::invite(args, context).await,
        What::Enroll(args) => daemon_access::enroll(args, context).await,
        What::Clients(args) => daemon_access::clients(args, context).await,
        What::Grant(args) => daemon_access::grant(args, context).await,
        What::Revoke(args) => daemon_access::revoke(args, context).await,
    }
}

async fn start(args: StartArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("daemon start")?;
    let before = HarnessClient::connect(&dirs).await.is_ok();
    let client = ensure_daemon(&dirs, &context.daemon_program(args.listen)?).await?;
    let info = client.daemon_status().await?;
    let how = if before { "already runs" } else { "runs" };
    let text = format!(
        "the daemon {how}: process {}, listening on {}",
        info.pid, info.listen
    );
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}

async fn stop(args: StopArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs()?;
    // Services that a killed daemon left are to be stopped too, and only a daemon can.
    let auto_start = if args.keep {
        AutoStart::Never
    } else {
        AutoStart::WhenActive
    };
    let client = match context.client(auto_start).await {
        Ok(client) => client,
        Err(Failure::Launch(LaunchError::Connect(ConnectError::NotRunning { .. }))) => {
            context.tell("no daemon runs");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    client.shutdown(args.keep).await?;
    // Of one elsewhere, its answer is all that can be seen.
    if context.globals.context.is_none() {
        let is_gone = until_gone(&dirs, GOODBYE).await?;
        if !is_gone {
            return Err(Failure::TimedOut {
                what: "the daemon did not end".to_owned(),
                limit: GOODBYE,
            });
        }
    }
    context.tell(&context.messages.paint(Span::Good, "the daemon has ended"));
    Ok(())
}

async fn status(args: StatusArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::Never).await?;
    let info = client.daemon_status().await?;
    match args.output {
        Format::Json => print(&json_line(&info)),
        Format::Text => print(&daemon_page(&context.data, &info, Utc::now())),
    }
}

/// Longer than a daemon needs to close its sessions.
const GOODBYE: Duration = Duration::from_secs(10);
