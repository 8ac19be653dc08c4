//! `net`: where units are reached, and why there.

use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum};
use harness_core::client::ClientError;
use harness_core::protocol::{ErrorCode, NetParams};
use harness_core::report::{NetUnit, NetView};
use harness_core::spec::StackName;
use harness_core::{AutoStart, HarnessClient};

use super::daemon::Format;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, mesh_tables, net_map, net_page, print, rotation_lines};
use crate::select;

/// Show where units are reached, and why there
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct NetArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Why(WhyArgs),
    Map(MapArgs),
    Status(StatusArgs),
    Rotate(RotateArgs),
}

/// Explain the address at which one unit reaches another
///
/// Shows the address, the reason for it, the places of both, the names that lead there, and what carries the
/// connection. Of a unit that does not run, it says what would be. Exits with 1 when there is no way.
#[derive(Args, Debug)]
#[command(after_help = WHY_EXAMPLES)]
struct WhyArgs {
    /// Who asks; `.` (or `host`) is this machine
    #[arg(value_name = "FROM", add = crate::complete::units())]
    from: String,
    /// Who is asked for
    #[arg(value_name = "TO", add = crate::complete::units())]
    to: String,
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

/// List every unit with its place and its addresses
#[derive(Args, Debug)]
#[command(after_help = MAP_EXAMPLES)]
struct MapArgs {
    /// As this unit sees them; this machine does without
    #[arg(long, value_name = "NAME", default_value = HERE, hide_default_value = true, add = crate::complete::units())]
    from: String,
    /// How to show it
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "table"
    )]
    output: MapFormat,
}

/// Show the meshes that join hosts of the stack, as these hosts tell
///
/// Every host is asked for its interface: who it talks to, when both last agreed on a key, and how much went each way.
/// Exits with 1 when a host cannot be asked or has lost its interface.
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
        default_value = "table"
    )]
    output: MapFormat,
}

/// Give the hosts of these meshes new keys, without parting them
///
/// The others learn the next key of a host before it uses it, so connections stay. What has to wait for a host that is
/// away goes on by itself once that is back. Exits with 1 when not every host has a new key.
#[derive(Args, Debug)]
#[command(after_help = ROTATE_EXAMPLES)]
struct RotateArgs {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MapFormat {
    /// A line for each unit.
    #[value(aliases = ["human", "text", "wide"])]
    Table,
    /// One document.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  harness net map                where everything is, as this machine reaches it
  harness net why worker db      at which address `worker` reaches `db`, and why
  harness net status             the meshes that join hosts, as these tell";

const WHY_EXAMPLES: &str = "\
Examples:
  harness net why worker db
  harness net why . db           as this machine reaches it
  harness net why api worker/2 -o json";

const MAP_EXAMPLES: &str = "\
Examples:
  harness net map
  harness net map --from worker
  harness net map -o json";

const STATUS_EXAMPLES: &str = "\
Examples:
  harness net status
  harness net status -o json";

const ROTATE_EXAMPLES: &str = "\
Examples:
  harness net rotate
  harness net rotate -o json";

impl NetArgs {
    pub(crate) fn is_json(&self) -> bool {
        match &self.what {
            What::Why(args) => args.output == Format::Json,
            What::Map(args) => args.output == MapFormat::Json,
            What::Status(args) => args.output == MapFormat::Json,
            What::Rotate(args) => args.output == Format::Json,
        }
    }
}

pub(crate) async fn run(args: NetArgs, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::Why(args) => why(args, context).await,
        What::Map(args) => map(args, context).await,
        What::Status(args) => status(args, context).await,
        What::Rotate(args) => rotate(args, context).await,
    }
}

async fn why(args: WhyArgs, context: &Context) -> Result<(), Failure> {
    let view = seen(context, &args.from, Some(args.to)).await?;
    let Some(unit) = view.told() else {
        return Ok(());
    };
    print(&match args.output {
        Format::Text => net_page(&context.data, &view, unit),
        Format::Json => json_line(&view),
    })?;
    reached(&view, unit)
}

async fn map(args: MapArgs, context: &Context) -> Result<(), Failure> {
    let view = seen(context, &args.from, None).await?;
    print(&match args.output {
        MapFormat::Table => net_map(&context.data, &view),
        MapFormat::Json => json_line(&view),
    })
}

async fn status(args: StatusArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    let status = client.net_status(&stack).await?;
    print(&match args.output {
        MapFormat::Table => mesh_tables(&context.data, &status, Utc::now()),
        MapFormat::Json => json_line(&status),
    })?;
    let hosts = status.meshes.iter().flat_map(|mesh| &mesh.hosts);
    let problems = hosts.filter_map(|one| Some((one.host.clone(), one.problem.clone()?)));
    whole(problems.collect())
}

async fn rotate(args: RotateArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    let rotation = client.rotate_net(&stack).await?;
    print(&match args.output {
        Format::Text => rotation_lines(&rotation),
        Format::Json => json_line(&rotation),
    })?;
    let held = rotation.waiting.into_iter().chain(rotation.kept);
    whole(held.map(|one| (one.host, one.reason)).collect())
}

/// All hosts did what was asked of them.
fn whole(problems: Vec<(String, String)>) -> Result<(), Failure> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::MeshNotWhole {
            hosts: problems.into_iter().map(|(host, _)| host).collect(),
        }),
    }
}

/// How units of the stack that is meant are seen.
async fn seen(context: &Context, from: &str, unit: Option<String>) -> Result<NetView, Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    Ok(ask(&client, stack, from, unit).await?)
}

/// How units of this stack are seen by this one.
///
/// # Errors
/// When there is no such stack or unit, or the daemon cannot be asked.
pub(super) async fn ask(
    client: &HarnessClient,
    stack: StackName,
    from: &str,
    unit: Option<String>,
) -> Result<NetView, ClientError> {
    let here = NetParams {
        stack,
        asker: None,
        unit,
    };
    if from == HERE {
        return client.net(&here).await;
    }
    let asked = NetParams {
        asker: Some(from.to_owned()),
        ..here.clone()
    };
    match client.net(&asked).await {
        // A unit of that name would have been meant.
        Err(ClientError::Api(error))
            if from == HOST
                && error.code == ErrorCode::UnknownUnit
                && error.data.get("unit").is_some_and(|unit| unit == HOST) =>
        {
            client.net(&here).await
        }
        answer => answer,
    }
}

/// Whether there is a way.
///
/// # Errors
/// [`Failure::NoRoute`].
pub(super) fn reached(view: &NetView, unit: &NetUnit) -> Result<(), Failure> {
    let Some(refusal) = &unit.refusal else {
        return Ok(());
    };
    Err(Failure::NoRoute {
        from: view.asker.clone(),
        to: unit.name.clone(),
        reason: refusal.text.clone(),
        hint: refusal.hint.clone(),
    })
}

/// This machine, as one who asks.
pub(super) const HERE: &str = ".";
/// The same, where no unit has that name.
const HOST: &str = "host";
