//! `daemon invite`, `enroll`, `clients`, `revoke`, `grant`: who may ask the daemon what.
//!
//! Owns: the arguments and the words. Who may come in, the daemon decides.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use clap::{Args, ValueEnum};
use harness_core::AutoStart;
use harness_core::client::Remote;
use harness_core::protocol::{InviteParams, NamePattern, Role, SetRoleParams};

use super::daemon::Format;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Span, client_tables, json_line, print};
use crate::time;

/// Invite another client: prints a token that `daemon enroll` takes, once
///
/// The token is a secret: whoever shows it first becomes the client. It goes to standard output, what it is for to
/// standard error.
#[derive(Args, Debug)]
#[command(after_help = INVITE_EXAMPLES)]
pub(super) struct InviteArgs {
    /// What the client may do
    #[arg(long, value_name = "ROLE", default_value = "observer")]
    role: Wish,
    /// How long the token is good
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = time::duration)]
    ttl: Duration,
    /// What the client is called [default: one that is made up]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where the client reaches the daemon, host:port [default: where it listens]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// It may register this stack, or this service of it, whatever its role; can be repeated
    #[arg(long, value_name = "STACK[:SERVICE]")]
    register: Vec<NamePattern>,
    /// How to show it
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(super) output: Format,
}

/// Become a client of a daemon elsewhere, with the token of an invitation
///
/// Makes a key, which stays here, and has it certified by the daemon, which is recognised by the token. Afterwards
/// `--context NAME` (or HARNESS_CONTEXT) makes every verb ask that daemon.
#[derive(Args, Debug)]
#[command(after_help = ENROLL_EXAMPLES)]
pub(super) struct EnrollArgs {
    /// The file with the token; `-` is standard input. No token itself: every user of the machine could see it
    #[arg(value_name = "FILE")]
    token: PathBuf,
    /// What the context is called here [default: the host of the daemon]
    #[arg(long, value_name = "CONTEXT")]
    name: Option<String>,
}

/// List who may ask the daemon, and who is invited
#[derive(Args, Debug)]
#[command(after_help = CLIENTS_EXAMPLES)]
pub(super) struct ClientsArgs {
    /// How to show them
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(super) output: Format,
}

/// Shut a client out, at once, and withdraw its invitation
#[derive(Args, Debug)]
#[command(after_help = REVOKE_EXAMPLES)]
pub(super) struct RevokeArgs {
    /// The client
    #[arg(value_name = "NAME")]
    name: String,
}

/// Change what a client may do, from its next call on
#[derive(Args, Debug)]
#[command(after_help = GRANT_EXAMPLES)]
pub(super) struct GrantArgs {
    /// The client
    #[arg(value_name = "NAME")]
    name: String,
    /// What it may do
    #[arg(value_name = "ROLE")]
    role: Wish,
    /// It may register this stack, or this service of it, whatever its role; replaces what it was granted before
    #[arg(long, value_name = "STACK[:SERVICE]")]
    register: Vec<NamePattern>,
    /// It may register nothing that its role does not allow
    #[arg(long, conflicts_with = "register")]
    no_register: bool,
}

/// A role, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wish {
    /// Look
    Observer,
    /// Also start, stop and restart what is defined
    Operator,
    /// Also define what runs: any code, as the daemon's user
    Deployer,
    /// Also manage clients and the daemon
    Admin,
}

impl From<Wish> for Role {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Observer => Self::Observer,
            Wish::Operator => Self::Operator,
            Wish::Deployer => Self::Deployer,
            Wish::Admin => Self::Admin,
        }
    }
}

const INVITE_EXAMPLES: &str = "\
Examples:
  harness daemon invite --role operator --name laptop
  harness daemon invite --role deployer --name ci --ttl 1h --address build.lan:9443
  harness daemon invite --name pi --register shop:search --register lab";

const ENROLL_EXAMPLES: &str = "\
Examples:
  harness daemon enroll -                        reads the token from standard input
  harness daemon enroll token.txt --name work && harness --context work status";

const CLIENTS_EXAMPLES: &str = "\
Examples:
  harness daemon clients
  harness daemon clients -o json";

const REVOKE_EXAMPLES: &str = "\
Examples:
  harness daemon revoke laptop";

const GRANT_EXAMPLES: &str = "\
Examples:
  harness daemon grant ci observer
  harness daemon grant pi observer --register shop";

pub(super) async fn invite(args: InviteArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let params = InviteParams {
        role: args.role.into(),
        ttl_ms: u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX),
        name: args.name,
        address: args.address,
        register: args.register,
    };
    let invited = client.invite(&params).await?;
    if args.output == Format::Json {
        return print(&json_line(&invited));
    }
    print(&format!("{}\n", invited.token))?;
    context.tell(&format!(
        "`{}` becomes {} with `harness daemon enroll -` and this token, once, until {}",
        invited.name,
        invited.role,
        invited.expires_at.format("%Y-%m-%d %H:%M UTC")
    ));
    Ok(())
}

pub(super) async fn enroll(args: EnrollArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs()?;
    dirs.create().map_err(Failure::from)?;
    let token = read_token(&args.token)?;
    let remote = Remote::enrol(&dirs, &token, args.name.as_deref()).await?;
    let text = format!(
        "enrolled as `{}` ({}) with the daemon at {}: `harness --context {} status` asks it",
        remote.client(),
        remote.role(),
        remote.address(),
        remote.name()
    );
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}

fn read_token(path: &Path) -> Result<String, Failure> {
    if Remote::is_token(&path.to_string_lossy()) {
        return Err(Failure::TokenInArguments);
    }
    let input: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => {
            Box::new(File::open(path).map_err(Failure::io(format!("open {}", path.display())))?)
        }
    };
    let mut text = String::new();
    input
        .take(MAX_TOKEN)
        .read_to_string(&mut text)
        .map_err(Failure::io("read the token"))?;
    Ok(text)
}

pub(super) async fn clients(args: ClientsArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::Never).await?;
    let list = client.clients().await?;
    match args.output {
        Format::Json => print(&json_line(&list)),
        Format::Text => print(&client_tables(&context.data, &list, Utc::now())),
    }
}

pub(super) async fn revoke(args: RevokeArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::Never).await?;
    client.revoke(&args.name).await?;
    context.tell(&format!("`{}` is shut out", args.name));
    Ok(())
}

pub(super) async fn grant(args: GrantArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::Never).await?;
    let role = Role::from(args.role);
    let register = match args.no_register || !args.register.is_empty() {
        true => Some(args.register),
        false => None,
    };
    let params = SetRoleParams {
        name: args.name.clone(),
        role,
        register,
    };
    client.set_rights(&params).await?;
    context.tell(&format!("`{}` is {role}", args.name));
    Ok(())
}

/// A token has some 120 letters.
const MAX_TOKEN: u64 = 4096;
