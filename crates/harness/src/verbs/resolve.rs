//! `resolve`: an address for scripts.

use clap::{Args, ValueEnum};
use harness_core::report::{NetEndpoint, NetUnit};

use super::net::{HERE, reached, seen};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, print};

/// Print the address of a unit, for scripts
///
/// One line: address and port of its first port, or the address alone when it has none. Of a unit that does not run,
/// it is the address that it would have. Exits with 1 when there is no way.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ResolveArgs {
    /// The unit
    #[arg(value_name = "NAME", add = crate::complete::units())]
    unit: String,
    /// As this unit reaches it; this machine does without
    #[arg(long, value_name = "NAME", default_value = HERE, hide_default_value = true, add = crate::complete::units())]
    from: String,
    /// Of this port, by its name or its number at the unit
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
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

/// The same in Compose's words.
#[derive(Args, Debug)]
#[command(after_help = PORT_EXAMPLES)]
pub(crate) struct PortArgs {
    /// The unit
    #[arg(value_name = "SVC", add = crate::complete::units())]
    unit: String,
    /// Its port: the number inside, or its name
    #[arg(value_name = "PORT")]
    port: Option<String>,
}

const PORT_EXAMPLES: &str = "\
Examples:
  harness port web 80    127.0.0.1:40001";

impl From<PortArgs> for ResolveArgs {
    fn from(args: PortArgs) -> Self {
        let number = |port: String| match port.split_once('/') {
            Some((number, _)) => number.to_owned(),
            None => port,
        };
        Self {
            unit: args.unit,
            from: HERE.to_owned(),
            port: args.port.map(number),
            output: Format::Text,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The address.
    #[value(aliases = ["human", "table", "addr"])]
    Text,
    /// The variables that a unit which needs it is given, one in a line.
    Env,
    /// One document.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  harness resolve db                           127.0.0.1:40001
  curl \"http://$(harness resolve api --port http)/health\"
  harness resolve db --from worker             as `worker` reaches it
  env $(harness resolve db -o env) ./migrate   with DB_HOST, DB_PORT, DB_ADDR, …";

impl ResolveArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

pub(crate) async fn run(args: ResolveArgs, context: &Context) -> Result<(), Failure> {
    if args.port.is_some() && args.output == Format::Env {
        return Err(Failure::PortOfVariables);
    }
    let mut view = seen(context, &args.from, Some(args.unit)).await?;
    let Some(mut unit) = view.told().cloned() else {
        return Ok(());
    };
    if let Some(port) = &args.port {
        narrow(&mut unit, port)?;
    }
    reached(&view, &unit)?;
    print(&match args.output {
        Format::Text => address(&unit),
        Format::Env => unit
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect(),
        Format::Json => {
            view.items = vec![unit];
            json_line(&view)
        }
    })
}

fn address(unit: &NetUnit) -> String {
    let address = unit.address.map(|address| address.to_string());
    let address = address.or_else(|| Some(unit.ip?.to_string()));
    format!("{}\n", address.unwrap_or_default())
}

/// Speaks of this port only.
///
/// # Errors
/// [`Failure::UnknownPort`].
fn narrow(unit: &mut NetUnit, wanted: &str) -> Result<(), Failure> {
    let is_meant = |port: &&NetEndpoint| {
        port.name.as_deref() == Some(wanted) || port.port.to_string() == wanted
    };
    let Some(found) = unit.endpoints.iter().find(is_meant).cloned() else {
        let name = |port: &NetEndpoint| port.name.clone().unwrap_or_else(|| port.port.to_string());
        return Err(Failure::UnknownPort {
            unit: unit.name.clone(),
            port: wanted.to_owned(),
            ports: unit.endpoints.iter().map(name).collect(),
        });
    };
    unit.address = found.address;
    unit.ip = found.address.map(|address| address.ip());
    unit.reason = found.reason.clone();
    unit.refusal = found.refusal.clone();
    unit.endpoints = vec![found];
    Ok(())
}
