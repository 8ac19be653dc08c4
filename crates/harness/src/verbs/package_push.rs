//! `package push`: a package becomes current on hosts.
//!
//! Owns: what is told on the way. The steps are [`harness_core::package`]'s.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use harness_core::package::{
    DeployError, DeployOptions, DeployStep, Deployed, PackageDeployer, SetupOrder, SignedPackage,
    SlotName, TrustStore,
};
use serde_json::json;

use super::host::Shown;
use super::package::trusted_keys;
use super::package_build::signature_path;
use super::package_failure::PackageFailure;
use super::package_hosts::{on_host, slot, who};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{escaped, json_line, note_bytes, print, push_line, setup_report};

/// Bring a package to hosts, and make it the current version there
///
/// It is checked here and there, unpacked beside what is there, prepared by its setup script, and made current by one rename. Whatever
/// fails, the version before stays current. Nothing is started: run it from `current`, whose path is shown.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PushArgs {
    /// The archive; its signature is FILE.minisig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to; may be repeated
    #[arg(long = "host", value_name = "NAME", required = true)]
    hosts: Vec<String>,
    /// What to call its place there [default: the package's name]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// How many versions stay there, the current one among them
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: usize,
    /// How long its setup script may take
    #[arg(long, value_name = "D", default_value = "5m", value_parser = crate::time::duration)]
    setup_timeout: Duration,
    #[command(flatten)]
    shown: Shown,
}

const EXAMPLES: &str = "\
Examples:
  harness package push api-1.2.0.tar.gz --host build
  harness package push api-1.2.0.tar.gz --host one --host two --as shop.api";

impl PushArgs {
    pub(super) fn is_json(&self) -> bool {
        self.shown.is_json()
    }
}

pub(super) async fn run(args: PushArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("package push")?;
    let keys = trusted_keys(&dirs);
    let file = args.file.clone();
    let package = smol::unblock(move || {
        let store = TrustStore::read(&keys)?;
        SignedPackage::open(&file, &signature_path(&file), &store).map_err(PackageFailure::from)
    });
    let package = package.await?;
    let name = args.name.clone();
    let slot = slot(&name.unwrap_or_else(|| package.about().name.to_string()))?;
    let mut options = DeployOptions::by(who());
    options.keep = args.keep;
    options.setup = SetupOrder {
        timeout: args.setup_timeout,
        ..SetupOrder::default()
    };
    for name in &args.hosts {
        let pushing = async |deployer: PackageDeployer| {
            push(&deployer, &slot, &package, &options, name, context).await
        };
        let deployed = on_host(&dirs, name, pushing).await?;
        if args.is_json() {
            print(&json_line(&json!({
                "host": name, "slot": slot, "version": deployed.place, "before": deployed.from,
                "sent": deployed.was_sent, "current": deployed.current, "removed": deployed.removed,
            })))?;
        } else {
            print(&push_line(&context.data, name, &slot, &deployed))?;
        }
    }
    Ok(())
}

async fn push(
    deployer: &PackageDeployer,
    slot: &SlotName,
    package: &SignedPackage,
    options: &DeployOptions,
    host: &str,
    context: &Context,
) -> Result<Deployed, PackageFailure> {
    let mut sending = Sending::new(host, package.size(), context);
    let progress = |step: DeployStep<'_>| match step {
        DeployStep::Sending { sent, .. } => sending.tell(sent),
        DeployStep::Unpacked(place) => context.tell(&format!("{host}: {place} is unpacked")),
        DeployStep::Setup(bytes) => tell_setup(host, bytes, context),
        _ => {}
    };
    let done = deployer.deploy(slot, package, options, progress).await;
    if let Err(DeployError::Setup { output, .. }) = &done {
        // With --quiet nothing of it was shown.
        if context.globals.quiet {
            note_bytes(setup_report(output).as_bytes());
        }
    }
    Ok(done?)
}

/// An archive on its way.
pub(super) struct Sending<'a> {
    host: &'a str,
    of: u64,
    context: &'a Context,
    told: Instant,
    percent: u64,
}

impl<'a> Sending<'a> {
    pub(super) fn new(host: &'a str, of: u64, context: &'a Context) -> Self {
        Self {
            host,
            of,
            context,
            told: Instant::now(),
            percent: 0,
        }
    }

    /// So many bytes were sent: that is told now and then, and at the end.
    pub(super) fn tell(&mut self, sent: u64) {
        let percent = sent.saturating_mul(100).checked_div(self.of).unwrap_or(100);
        let is_time = self.told.elapsed() >= BETWEEN || sent == self.of;
        if is_time && percent > self.percent {
            (self.told, self.percent) = (Instant::now(), percent);
            let (host, of) = (self.host, self.of);
            self.context
                .tell(&format!("{host}: sent {percent} % of {of} bytes"));
        }
    }
}

/// What a setup script says.
pub(super) fn tell_setup(host: &str, bytes: &[u8], context: &Context) {
    if context.globals.quiet {
        return;
    }
    let said = String::from_utf8_lossy(bytes);
    let lines = said
        .lines()
        .map(|line| format!("{host}: setup: {}\n", escaped(line.as_bytes())));
    note_bytes(lines.collect::<String>().as_bytes());
}

/// Often enough to see that it goes on.
const BETWEEN: Duration = Duration::from_secs(1);
