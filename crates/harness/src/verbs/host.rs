//! `host`: the other machines that may be used.
//!
//! Owns: the list and the removal. What a host is asked stands in [`super::host_check`], whether it is trusted in
//! [`super::host_add`].

use clap::{Args, Subcommand, ValueEnum};
use command_executor::ssh::SshConnection;
use harness_core::Dirs;
use harness_core::hosts::{HostBook, HostEntry};

use super::host_add::{self, AddArgs};
use super::host_check::{self, CheckArgs};
use super::host_failure::HostFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{host_table, json_line, print};

/// Add, list, check or remove hosts that are reached by SSH
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct HostArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Add(AddArgs),
    List(ListArgs),
    Check(CheckArgs),
    Remove(RemoveArgs),
}

/// List the hosts, and the keys by which they are known
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArgs {
    #[command(flatten)]
    shown: Shown,
}

/// Forget a host and its key
#[derive(Args, Debug)]
#[command(after_help = REMOVE_EXAMPLES)]
struct RemoveArgs {
    /// The host
    #[arg(value_name = "NAME")]
    name: String,
}

/// The argument of a verb whose answer is for people or for programs.
#[derive(Args, Debug)]
pub(super) struct Shown {
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

impl Shown {
    pub(super) fn is_json(&self) -> bool {
        self.output == Format::Json
    }
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
  harness host add build --address 10.0.0.5 --user me   shows its key and asks
  harness host check                                    what each has, and lacks
  harness host remove build";

const LIST_EXAMPLES: &str = "\
Examples:
  harness host list
  harness host list -o json";

const REMOVE_EXAMPLES: &str = "\
Examples:
  harness host remove build";

impl HostArgs {
    pub(crate) fn is_json(&self) -> bool {
        match &self.what {
            What::List(args) => args.shown.is_json(),
            What::Check(args) => args.is_json(),
            What::Add(_) | What::Remove(_) => false,
        }
    }
}

pub(crate) async fn run(args: HostArgs, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::Add(args) => host_add::run(args, context).await,
        What::List(args) => list(&args, context),
        What::Check(args) => host_check::run(args, context).await,
        What::Remove(args) => remove(&args, context).await,
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("host list")?;
    let book = HostBook::load(&dirs).map_err(HostFailure::from)?;
    match args.shown.output {
        Format::Json => print(&json_line(&book)),
        Format::Text if book.items.is_empty() => {
            context.tell("no hosts; `harness host add` adds one");
            Ok(())
        }
        Format::Text => print(&host_table(&context.data, &book)),
    }
}

async fn remove(args: &RemoveArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("host remove")?;
    let book = HostBook::load(&dirs).map_err(HostFailure::from)?;
    let entry = book.get(&args.name).map_err(HostFailure::from)?;
    let connection = connection(&dirs, &book, entry).await?;
    HostBook::remove(&dirs, &args.name).map_err(HostFailure::from)?;
    // What was opened while it was trusted.
    connection.close().await.map_err(HostFailure::from)?;
    context.tell(&format!("`{}` is forgotten, and its key", args.name));
    Ok(())
}

/// The way to a host that is written down, or that is about to be.
///
/// # Errors
/// [`HostFailure`] when it cannot be made, or the jump host is not known.
pub(super) async fn connection(
    dirs: &Dirs,
    book: &HostBook,
    entry: &HostEntry,
) -> Result<SshConnection, HostFailure> {
    dirs.create()?;
    let host = book.way(entry)?;
    let known_hosts = HostBook::known_hosts(dirs);
    let directory = match book.get(&entry.name) {
        // Not as it is written down: that is another connection.
        Ok(written) if written != entry => book.own_directory(&dirs.run().join("ssh"), entry)?,
        Ok(_) | Err(_) => dirs.run().join("ssh"),
    };
    Ok(SshConnection::prepare(host, directory, known_hosts).await?)
}
