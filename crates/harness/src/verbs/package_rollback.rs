//! `package rollback`: the version before is current again.

use clap::Args;
use harness_core::package::{DeployOptions, PackageDeployer};

use super::package_failure::PackageFailure;
use super::package_hosts::{on_host, slot, who};
use crate::context::Context;
use crate::failure::Failure;

/// Make the version of a package current again that was so before
///
/// Nothing is sent, and its setup script is not run again. Nothing is stopped or started.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RollbackArgs {
    /// What its place there is called
    #[arg(value_name = "NAME")]
    name: String,
    /// Where; may be repeated
    #[arg(long = "host", value_name = "NAME", required = true)]
    hosts: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  harness package rollback api --host build";

pub(super) async fn run(args: RollbackArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("package rollback")?;
    let slot = slot(&args.name)?;
    for name in &args.hosts {
        let options = DeployOptions::by(who());
        let back = async |deployer: PackageDeployer| {
            let switched = deployer.rollback(&slot, &options).await;
            switched.map_err(PackageFailure::from)
        };
        let switched = on_host(&dirs, name, back).await?;
        let left = switched.from.map(|left| format!(", after {left}"));
        let left = left.unwrap_or_default();
        context.tell(&format!("{name}: {} is current again{left}", switched.to));
    }
    Ok(())
}
