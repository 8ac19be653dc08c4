//! `package list`: which versions are on which host.

use clap::Args;
use harness_core::hosts::HostBook;
use harness_core::package::{PackageDeployer, SlotVersions};
use serde_json::json;

use super::host::Shown;
use super::host_failure::HostFailure;
use super::package_failure::PackageFailure;
use super::package_hosts::on_host;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, package_table, print};

/// List the versions of packages on hosts, and which of them are current
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Where; may be repeated [default: all hosts]
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

const EXAMPLES: &str = "\
Examples:
  harness package list
  harness package list --host build -o json";

impl ListArgs {
    pub(super) fn is_json(&self) -> bool {
        self.shown.is_json()
    }
}

pub(super) async fn run(args: ListArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("package list")?;
    let book = HostBook::load(&dirs).map_err(HostFailure::from)?;
    let names: Vec<String> = match args.hosts.is_empty() {
        true => book.items.iter().map(|entry| entry.name.clone()).collect(),
        false => args.hosts.clone(),
    };
    let mut found = Vec::new();
    let mut silent = Vec::new();
    for name in names {
        let asked = async |deployer: PackageDeployer| {
            let slots: Vec<SlotVersions> = deployer.list().await?;
            Ok(slots)
        };
        match on_host(&dirs, &name, asked).await {
            Ok(slots) => found.push((name, slots)),
            // With one host alone its failure is the answer.
            Err(failure) if args.hosts.len() == 1 => return Err(failure),
            Err(failure) => {
                context.tell(&format!("{name}: {}", harness_core::error_chain(&failure)));
                silent.push(name);
            }
        }
    }
    if args.is_json() {
        let items: Vec<_> = found
            .iter()
            .map(|(host, slots)| json!({ "host": host, "packages": slots }))
            .collect();
        print(&json_line(&json!({ "items": items })))?;
    } else if found.iter().all(|(_, slots)| slots.is_empty()) {
        context.tell("no packages; `harness package push` brings one to a host");
    } else {
        print(&package_table(&context.data, &found))?;
    }
    match silent.is_empty() {
        true => Ok(()),
        false => Err(PackageFailure::NotAsked { hosts: silent }.into()),
    }
}
