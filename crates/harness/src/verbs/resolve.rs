//! `resolve`: an address for scripts.
//!
//! Owns: who is asked. Of units of this daemon it tells what `net` tells, also before they run; what others have
//! registered is in the registry only.

use clap::{Args, ValueEnum};
use harness_core::client::ClientError;
use harness_core::protocol::{
    ErrorCode, InstanceName, RegistryResolved, ResolveFrom, ResolvedEndpoint,
};
use harness_core::report::{NetEndpoint, NetReason, NetUnit, NetView};
use harness_core::{AutoStart, HarnessClient};

use super::net::{HERE, ask, reached};
use super::registry_failure::RegistryFailure;
use super::resolve_name::{Asker, Wanted, listed};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{escaped, json_line, note, print};
use crate::select;

/// Print the address of a service, for scripts
///
/// One line: address and port of its first port, or the address alone when it has none. Of a unit that does not run,
/// it is the address that it would have. What others have registered is found as well. Exits with 1 when there is no way.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ResolveArgs {
    /// The service: `api`, `stack:api`; with a port: `api:80`, `stack:api:http`
    #[arg(value_name = "NAME", add = crate::complete::units())]
    unit: String,
    /// As this unit reaches it, or the machine `@NAME`; the daemon's machine does without
    #[arg(long, value_name = "UNIT|@HOST", default_value = HERE, hide_default_value = true, add = crate::complete::units())]
    from: String,
    /// Of this port, by its name or its number at the service
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Say on standard error why it is that address
    #[arg(short, long)]
    verbose: bool,
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
    /// Only with a port: as Compose has it.
    #[arg(skip)]
    with_port: bool,
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
            verbose: false,
            output: Format::Text,
            with_port: true,
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
  harness resolve shop:search:http -v          of another stack, or registered; and why there
  harness resolve db --from worker             as `worker` reaches it
  env $(harness resolve db -o env) ./migrate   with DB_HOST, DB_PORT, DB_ADDR, …";

impl ResolveArgs {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

/// What was found.
enum Found {
    /// By this daemon, which runs it.
    Unit(Box<(NetView, NetUnit)>),
    /// In the registry.
    Listed(Box<RegistryResolved>),
}

pub(crate) async fn run(args: ResolveArgs, context: &Context) -> Result<(), Failure> {
    let wanted = Wanted::parse(&args.unit).map_err(RegistryFailure::from)?;
    let port = args.port.clone().or_else(|| wanted.port.clone());
    if port.is_some() && args.output == Format::Env {
        return Err(Failure::PortOfVariables);
    }
    let asker = Asker::parse(&args.from).map_err(RegistryFailure::from)?;
    let Some(mut found) = find(context, &wanted, asker).await? else {
        return Ok(());
    };
    if let Some(port) = &port {
        found.narrow(port)?;
    }
    if let Found::Unit(found) = &found {
        reached(&found.0, &found.1)?;
        if args.with_port && found.1.endpoints.is_empty() {
            return Err(Failure::NoPort { unit: args.unit });
        }
    }
    if args.verbose
        && let Some(NetReason { code, text }) = found.reason()
    {
        note(&format!("{code}: {}\n", escaped(text.as_bytes())));
    }
    print(&match args.output {
        Format::Text => found.address(),
        Format::Env => found.variables(),
        Format::Json => found.document(),
    })
}

async fn find(context: &Context, wanted: &Wanted, asker: Asker) -> Result<Option<Found>, Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = match &wanted.stack {
        Some(stack) => stack.clone(),
        None => select::known_stack(context, &client).await?,
    };
    let asking = match &asker {
        Asker::Here => Some(HERE.to_owned()),
        Asker::Unit(None, unit) if wanted.stack.is_none() => Some(unit.clone()),
        Asker::Unit(Some(other), unit) if *other == stack => Some(unit.clone()),
        Asker::Unit(..) | Asker::Host(_) => None,
    };
    let mut unknown = None;
    if let Some(from) = asking {
        let unit = Some(wanted.unit.clone());
        match ask(&client, stack.clone(), &from, unit).await {
            Ok(view) => {
                let unit = view.told().cloned();
                return Ok(unit.map(|unit| Found::Unit(Box::new((view, unit)))));
            }
            Err(error) if is_about(&error, &wanted.unit) => unknown = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let from = match asker {
        Asker::Here => ResolveFrom::Here,
        Asker::Host(host) => ResolveFrom::Host(host),
        Asker::Unit(of, unit) => {
            let of = match of {
                Some(of) => of,
                None if wanted.stack.is_some() => select::known_stack(context, &client).await?,
                None => stack.clone(),
            };
            ResolveFrom::Unit(listed(&of, &unit).map_err(RegistryFailure::from)?)
        }
    };
    let name = listed(&stack, &wanted.unit).map_err(RegistryFailure::from)?;
    in_registry(&client, &name, from, unknown).await.map(Some)
}

/// What is listed under this name; else what the daemon said of its own units.
async fn in_registry(
    client: &HarnessClient,
    name: &InstanceName,
    from: ResolveFrom,
    unknown: Option<ClientError>,
) -> Result<Found, Failure> {
    match client.resolve(name, from).await {
        Ok(found) => Ok(Found::Listed(Box::new(found))),
        Err(ClientError::Api(error)) if error.code == ErrorCode::UnknownService => {
            Err(unknown.unwrap_or(ClientError::Api(error)).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether it is the one who is asked for that the daemon runs no unit of.
fn is_about(error: &ClientError, unit: &str) -> bool {
    let ClientError::Api(error) = error else {
        return false;
    };
    match error.code {
        ErrorCode::UnknownStack => true,
        ErrorCode::UnknownUnit => error.data.get("unit").is_some_and(|named| named == unit),
        _ => false,
    }
}

impl Found {
    fn reason(&self) -> Option<&NetReason> {
        match self {
            Self::Unit(found) => found.1.reason.as_ref(),
            Self::Listed(found) => Some(&found.reason),
        }
    }

    fn address(&self) -> String {
        let (address, ip) = match self {
            Self::Unit(found) => (found.1.address, found.1.ip),
            Self::Listed(found) => (found.address, Some(found.ip)),
        };
        let address = address.map(|address| address.to_string());
        let address = address.or_else(|| Some(ip?.to_string()));
        format!("{}\n", address.unwrap_or_default())
    }

    fn variables(&self) -> String {
        let line = |name: &str, value: &str| format!("{name}={value}\n");
        let variables = match self {
            Self::Unit(found) => &found.1.variables,
            Self::Listed(found) => &found.variables,
        };
        let lines = variables.iter().map(|(name, value)| line(name, value));
        lines.collect()
    }

    fn document(self) -> String {
        match self {
            Self::Unit(found) => {
                let (mut view, unit) = *found;
                view.items = vec![unit];
                json_line(&view)
            }
            Self::Listed(found) => json_line(&found),
        }
    }

    /// Speaks of this port only.
    ///
    /// # Errors
    /// [`Failure::UnknownPort`].
    fn narrow(&mut self, wanted: &str) -> Result<(), Failure> {
        let is_meant =
            |name: Option<&str>, port: u16| name == Some(wanted) || port.to_string() == wanted;
        let unknown = |unit: String, ports: Vec<String>| Failure::UnknownPort {
            unit,
            port: wanted.to_owned(),
            ports,
        };
        match self {
            Self::Unit(found) => {
                let unit = &mut found.1;
                let mut ports = unit.endpoints.iter();
                let meant = ports
                    .find(|port| is_meant(port.name.as_deref(), port.port))
                    .cloned();
                let Some(meant) = meant else {
                    let name = |port: &NetEndpoint| {
                        port.name.clone().unwrap_or_else(|| port.port.to_string())
                    };
                    return Err(unknown(
                        unit.name.clone(),
                        unit.endpoints.iter().map(name).collect(),
                    ));
                };
                unit.address = meant.address;
                unit.ip = meant.address.map(|address| address.ip());
                unit.reason = meant.reason.clone();
                unit.refusal = meant.refusal.clone();
                unit.endpoints = vec![meant];
            }
            Self::Listed(found) => {
                let mut ports = found.endpoints.iter();
                let meant = ports
                    .find(|port| is_meant(port.name.as_deref(), port.port))
                    .cloned();
                let Some(meant) = meant else {
                    let name = |port: &ResolvedEndpoint| {
                        port.name.clone().unwrap_or_else(|| port.port.to_string())
                    };
                    return Err(unknown(
                        found.name.to_string(),
                        found.endpoints.iter().map(name).collect(),
                    ));
                };
                found.address = Some(meant.address);
                found.ip = meant.address.ip();
                found.endpoints = vec![meant];
            }
        }
        Ok(())
    }
}
