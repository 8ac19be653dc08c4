//! `registry`: what is registered, by the daemon and by others.

use clap::{Args, Subcommand, ValueEnum};
use futures_lite::future;
use harness_core::AutoStart;
use harness_core::protocol::{
    InstanceName, NamePattern, RegistryCursor, RegistryEvent, SCHEMA_VERSION,
};
use serde_json::json;

use super::lines::Format as LineFormat;
use super::registry_publish::{self, PublishArgs};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, print, reader_gone, registry_line, registry_table};

/// Look at the registry, follow it, and register services that the daemon does not run
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(ListArgs),
    Watch(WatchArgs),
    Publish(PublishArgs),
    Withdraw(WithdrawArgs),
}

/// List what can be reached: what the daemon runs, and what others have registered
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArgs {
    /// Only this stack, or this service of it
    #[arg(value_name = "STACK[:SERVICE]")]
    within: Option<NamePattern>,
    /// How to show them
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "table"
    )]
    output: ListFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A line for each.
    #[value(aliases = ["human", "text", "wide"])]
    Table,
    /// One document.
    Json,
}

/// Show what is registered, and every change of it
///
/// Goes on until it is interrupted. A daemon that is replaced meanwhile is followed: what was missed comes as a list of
/// how things stand.
#[derive(Args, Debug)]
#[command(after_help = WATCH_EXAMPLES)]
struct WatchArgs {
    /// Only this stack, or this service of it
    #[arg(value_name = "STACK[:SERVICE]")]
    within: Option<NamePattern>,
    /// Go on after the event that had this cursor
    #[arg(long, value_name = "CURSOR")]
    since: Option<RegistryCursor>,
    /// How to show them
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    output: LineFormat,
}

/// Take a service off that this client has registered
#[derive(Args, Debug)]
#[command(after_help = WITHDRAW_EXAMPLES)]
struct WithdrawArgs {
    /// The service
    #[arg(value_name = "STACK:SERVICE")]
    name: InstanceName,
}

const EXAMPLES: &str = "\
Examples:
  harness registry list
  harness registry publish shop:search --port 9200 -- ./search
  harness registry watch shop -o json";

const LIST_EXAMPLES: &str = "\
Examples:
  harness registry list
  harness registry list shop
  harness registry list shop:api -o json";

const WATCH_EXAMPLES: &str = "\
Examples:
  harness registry watch
  harness registry watch shop -o json
  harness registry watch --since 9a1b2c3d4e5f6071.42";

const WITHDRAW_EXAMPLES: &str = "\
Examples:
  harness registry withdraw shop:search";

impl RegistryArgs {
    pub(crate) fn is_json(&self) -> bool {
        match &self.what {
            What::List(args) => args.output == ListFormat::Json,
            What::Watch(args) => args.output == LineFormat::Json,
            What::Publish(_) | What::Withdraw(_) => false,
        }
    }
}

pub(crate) async fn run(args: RegistryArgs, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::List(args) => list(args, context).await,
        What::Watch(args) => {
            future::race(watch(args, context), async { Err(reader_gone().await) }).await
        }
        What::Publish(args) => registry_publish::run(args, context).await,
        What::Withdraw(args) => withdraw(args, context).await,
    }
}

async fn list(args: ListArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let entries = client.registry(args.within).await?;
    print(&match args.output {
        ListFormat::Table => registry_table(&context.data, &entries),
        ListFormat::Json => {
            json_line(&json!({ "schema_version": SCHEMA_VERSION, "items": entries }))
        }
    })
}

async fn watch(args: WatchArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let mut watch = client.watch_registry(args.within, args.since).await?;
    loop {
        let event: RegistryEvent = watch.next().await?;
        print(&match args.output {
            LineFormat::Text => registry_line(&context.data, &event),
            LineFormat::Json => json_line(&event),
        })?;
    }
}

async fn withdraw(args: WithdrawArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let was_listed = client.withdraw(&args.name, None).await?;
    context.tell(&match was_listed {
        true => format!("`{}` is withdrawn", args.name),
        false => format!("`{}` was not registered", args.name),
    });
    Ok(())
}
