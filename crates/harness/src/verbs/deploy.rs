//! `deploy` and `rollback`: another version of a service that runs from a package.
//!
//! Owns: the order: the version is current, the service started anew, its gate awaited; and back when the gate stays shut. The lock of its place on
//! the host is held until then. What it means to move to another host stands in [`super::deploy_move`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_lite::FutureExt;
use harness_core::package::{
    DeployOptions, PackageDeployer, PackageSession, Place, SignedPackage, SlotName, TrustStore,
    slot_of,
};
use harness_core::protocol::{RestartParams, WaitGoal, WaitParams, WaitResult};
use harness_core::spec::{RemoteRun, StackName, StackSpec, TargetSpec, UnitName};
use harness_core::{AutoStart, Dirs, HarnessClient, error_chain, package_root};

use super::definition::{self, Wish};
use super::deploy_move::Moving;
use super::package::trusted_keys;
use super::package_build::signature_path;
use super::package_failure::PackageFailure;
use super::package_hosts::{on_host, who};
use super::package_push::{Sending, tell_setup};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::Span;
use crate::units::base;

/// Bring the package of a service to its host, and start it anew from there
///
/// The archive is the one that `package:` in the stack file names; with @VERSION, the one beside it whose name has that version. A service
/// that does not run is not started. One that does not become ready within --wait-timeout is started anew from the version before. With --host,
/// a service that runs moves there, and back where it was when it does not become ready.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeployArgs {
    /// The service, and which version
    #[arg(value_name = "SVC[@VERSION]")]
    service: String,
    /// Another host for it, until the stack file is started again
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// How long it may take to become ready
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = crate::time::duration)]
    wait_timeout: Duration,
    /// How many versions stay on the host
    #[arg(long, value_name = "N", default_value_t = 3)]
    keep: usize,
}

/// Start a service anew from the version of its package before
#[derive(Args, Debug)]
#[command(after_help = ROLLBACK_EXAMPLES)]
pub(crate) struct RollbackArgs {
    /// The service
    #[arg(value_name = "SVC")]
    service: String,
    /// How long it may take to become ready
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = crate::time::duration)]
    wait_timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  harness deploy api            the archive of the stack file
  harness deploy api@1.2.0      this version, from beside it
  harness deploy api --host pi  moves it to the host `pi`";

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  harness rollback api";

/// A service that runs from a package.
#[derive(Debug)]
struct Service {
    stack: StackName,
    unit: UnitName,
    host: String,
    slot: SlotName,
    /// The archive that the stack file names.
    archive: PathBuf,
    limit: Duration,
    /// The stack with this service alone.
    only: StackSpec,
    /// Where it is to go, and where it is.
    moving: Option<Moving>,
}

impl Service {
    /// It is to run on this host. Nothing is done where it is there already.
    async fn go_to(&mut self, host: String, context: &Context) -> Result<(), Failure> {
        let Some(client) = running(self, context).await? else {
            let unit = self.unit.to_string();
            return Err(PackageFailure::NotMoved { unit, host }.into());
        };
        let status = client.status(&self.stack).await?;
        let is_it = |name: &str| base(name) == self.unit.as_str();
        let mut units = status.items.iter();
        let now = units.find(|unit| is_it(&unit.name));
        let now = now.and_then(|unit| unit.host.clone());
        let from = now.unwrap_or_else(|| self.host.clone());
        let file = std::mem::replace(&mut self.host, host.clone());
        if from != host {
            self.moving = Some(Moving::new(&self.only, file, from, host));
        }
        Ok(())
    }
}

pub(crate) async fn deploy(args: DeployArgs, context: &Context) -> Result<(), Failure> {
    let (name, version) = match args.service.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (&*args.service, None),
    };
    let dirs = context.dirs_here("deploy")?;
    let mut service = service(name, args.wait_timeout, context).await?;
    if let Some(host) = args.host {
        service.go_to(host, context).await?;
    }
    let file = match version {
        Some(version) => of_version(&service.archive, version)?,
        None => service.archive.clone(),
    };
    let keys = trusted_keys(&dirs);
    let package = smol::unblock(move || {
        let store = TrustStore::read(&keys)?;
        SignedPackage::open(&file, &signature_path(&file), &store).map_err(PackageFailure::from)
    });
    let package = package.await?;
    let root = root(&dirs).await?;
    let mut options = DeployOptions::by(who());
    options.keep = args.keep;
    let deploying = async |deployer: PackageDeployer| {
        let deployer = deployer.in_directory(&root);
        let mut session = deployer.open(&service.slot, &options).await?;
        let deployed = bring(&service, &mut session, &package, &options, context).await;
        session.close().await;
        deployed
    };
    on_host(&dirs, &service.host, deploying).await?
}

pub(crate) async fn rollback(args: RollbackArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("rollback")?;
    let service = service(&args.service, args.wait_timeout, context).await?;
    let root = root(&dirs).await?;
    let back = async |deployer: PackageDeployer| {
        let deployer = deployer.in_directory(&root);
        let options = DeployOptions::by(who());
        let mut session = deployer.open(&service.slot, &options).await?;
        let switched = async {
            let switched = session.back().await?;
            gate(&service, &mut session, switched.from, &switched.to, context).await
        };
        let switched = switched.await;
        session.close().await;
        switched
    };
    on_host(&dirs, &service.host, back).await?
}

/// Everything from the archive to the open gate.
async fn bring(
    service: &Service,
    session: &mut PackageSession,
    package: &SignedPackage,
    options: &DeployOptions,
    context: &Context,
) -> Result<Result<(), Failure>, PackageFailure> {
    let host = &service.host;
    let mut sending = Sending::new(host, package.size(), context);
    let brought = session.bring(package, |sent| sending.tell(sent)).await?;
    let heard = |bytes: &[u8]| tell_setup(host, bytes, context);
    session.set_up(&brought, &options.setup, heard).await?;
    let switched = session.switch(&brought.place).await?;
    let gated = gate(service, session, switched.from, &switched.to, context).await?;
    if gated.is_ok() {
        session.prune(options.keep).await?;
    }
    Ok(gated)
}

/// Starts the service anew from the current version, and goes back when it does not become ready.
async fn gate(
    service: &Service,
    session: &mut PackageSession,
    from: Option<Place>,
    to: &Place,
    context: &Context,
) -> Result<Result<(), Failure>, PackageFailure> {
    let (unit, host) = (&service.unit, &service.host);
    // Asked once: after a start that failed it does not run.
    let running = match running(service, context).await {
        Ok(running) => running,
        Err(failure) => return Ok(Err(failure)),
    };
    let started = match (&service.moving, &running) {
        (Some(moving), Some(client)) => moving.go(client).await,
        _ => Ok(()),
    };
    let started = match started {
        Ok(()) => start_anew(service, running.as_ref()).await,
        Err(failure) => Err(failure),
    };
    let failure = match started {
        Ok(how) => {
            let text = format!("{unit}: {to} is current on {host}, and {how}");
            context.tell(&context.messages.paint(Span::Good, &text));
            if let Some(moving) = &service.moving {
                context.tell(&moving.note());
            }
            return Ok(Ok(()));
        }
        Err(failure) => failure,
    };
    if let Some(moving) = &service.moving {
        context.tell(&format!(
            "{unit}: {to} is not ready; {}",
            moving.back_words()
        ));
        let back = match &running {
            Some(client) => moving.back(client).await,
            None => Ok(()),
        };
        let back = match back {
            Ok(()) => start_anew(service, running.as_ref()).await,
            Err(failure) => Err(failure),
        };
        context.tell(&moving.came_back(back.as_ref().map_err(|error| error_chain(error))));
        if from.is_some_and(|from| from != *to) {
            session.back().await?;
        }
        return Ok(Err(failure));
    }
    let Some(from) = from.filter(|from| from != to) else {
        context.tell(&format!(
            "{unit}: there is no version before {to} to go back to"
        ));
        return Ok(Err(failure));
    };
    context.tell(&format!("{unit}: {to} is not ready; going back to {from}"));
    // Back, so that the version that failed is not the one before for whoever goes back next.
    if session.back().await?.to != from {
        session.switch(&from).await?;
    }
    let text = match start_anew(service, running.as_ref()).await {
        Ok(how) => format!("{unit}: {from} is current again, and {how}"),
        Err(error) => {
            let why = error_chain(&error);
            format!("{unit}: {from} is current again, and not ready either: {why}")
        }
    };
    context.tell(&text);
    Ok(Err(failure))
}

/// A new attempt of the service, until it is ready. One that is not meant to run is left so.
async fn start_anew(
    service: &Service,
    running: Option<&HarnessClient>,
) -> Result<&'static str, Failure> {
    let Some(client) = running else {
        return Ok(NOT_RUNNING);
    };
    let (stack, units) = (service.stack.clone(), vec![service.unit.clone()]);
    client
        .restart(&RestartParams {
            stack: stack.clone(),
            units: units.clone(),
            grace_ms: None,
        })
        .await?;
    let wait = WaitParams {
        stack,
        units,
        goal: WaitGoal::Ready,
        any: false,
        ordered_down: false,
    };
    let waited = async { client.wait(&wait).await.map(Some) };
    let late = async {
        smol::Timer::after(service.limit).await;
        Ok(None)
    };
    match waited.or(late).await? {
        Some(WaitResult::Reached) => Ok("ready"),
        Some(WaitResult::Never(blocked)) => {
            let reason = blocked.into_iter().next().map(|blocked| blocked.reason);
            let reason = reason.unwrap_or_else(|| "it failed".to_owned());
            Err(Failure::Failed {
                summary: format!("{} is not ready: {reason}", service.unit),
                exit_code: 1,
            })
        }
        None => Err(Failure::TimedOut {
            what: format!("{} was not ready", service.unit),
            limit: service.limit,
        }),
    }
}

/// The daemon that runs it; none where none does.
async fn running(service: &Service, context: &Context) -> Result<Option<HarnessClient>, Failure> {
    let client = match context.client(AutoStart::WhenActive).await {
        Ok(client) => client,
        Err(failure) if failure.is_no_daemon() => return Ok(None),
        Err(failure) => return Err(failure),
    };
    Ok(runs(service, &client).await?.then_some(client))
}

async fn runs(service: &Service, client: &HarnessClient) -> Result<bool, Failure> {
    let stacks = client.stacks().await?;
    if stacks.iter().all(|stack| stack.name != service.stack) {
        return Ok(false);
    }
    let status = client.status(&service.stack).await?;
    let mut units = status.items.iter();
    Ok(units
        .any(|unit| base(&unit.name) == service.unit.as_str() && !AT_REST.contains(&&*unit.state)))
}

/// The service as the stack file has it.
async fn service(name: &str, limit: Duration, context: &Context) -> Result<Service, Failure> {
    let wish = Wish {
        units: &[name.to_owned()],
        profiles: &[],
        no_deps: true,
    };
    let definition = definition::look(context, wish).await?;
    let stack = definition.stack;
    let unit = definition.units.into_iter().next();
    let found = unit.and_then(|unit| stack.units.get(&unit));
    let packaged = found.and_then(|spec| match &spec.target {
        TargetSpec::Remote(remote) => match &remote.run {
            RemoteRun::Package(package) => Some((spec, remote, package)),
            RemoteRun::Program(_) => None,
        },
        _ => None,
    });
    let Some((spec, remote, package)) = packaged else {
        let unit = name.to_owned();
        return Err(PackageFailure::NotPackaged { unit }.into());
    };
    if remote.user.is_some() || remote.port.is_some() || remote.ssh_key.is_some() {
        let host = remote.host.clone();
        return Err(PackageFailure::OwnLogin { host }.into());
    }
    let only = StackSpec {
        units: [(spec.name.clone(), spec.clone())].into(),
        ..stack.clone()
    };
    Ok(Service {
        only,
        moving: None,
        slot: slot_of(&stack.name, &spec.name),
        archive: stack.directory.join(package),
        unit: spec.name.clone(),
        host: remote.host.clone(),
        stack: stack.name.clone(),
        limit,
    })
}

/// The archive of another version, beside this one: `api-1.2.0.tar.gz` for `api-1.0.0.tar.gz`.
fn of_version(archive: &Path, version: &str) -> Result<PathBuf, PackageFailure> {
    let name = archive.file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| name.strip_suffix(".tar.gz"));
    let begin = stem.and_then(|stem| {
        let digits = stem.match_indices('-').map(|(at, _)| at);
        let is_version =
            |at: &usize| stem[at + 1..].starts_with(|letter: char| letter.is_ascii_digit());
        digits.into_iter().find(is_version).map(|at| &stem[..at])
    });
    match begin {
        Some(begin) => Ok(archive.with_file_name(format!("{begin}-{version}.tar.gz"))),
        None => Err(PackageFailure::NoVersionInName {
            path: archive.to_owned(),
        }),
    }
}

/// Where the packages of this installation lie, below the home of whoever logs in to a host.
async fn root(dirs: &Dirs) -> Result<PathBuf, Failure> {
    dirs.create()?;
    let root = package_root(dirs).await;
    root.map_err(Failure::io("make the identity of this installation"))
}

/// Of units that nobody wants to run, or that have given up.
const AT_REST: [&str; 3] = ["idle", "failed", "done"];

const NOT_RUNNING: &str = "it does not run: `harness start` starts it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_beside_the_one_of_the_file() {
        let of = |path: &str| of_version(Path::new(path), "2.0.0").ok();
        let beside = |path: &str| Some(PathBuf::from(path));
        assert_eq!(of("d/api-1.2.0.tar.gz"), beside("d/api-2.0.0.tar.gz"));
        assert_eq!(
            of("graph-node-1.0.0-rc.1.tar.gz"),
            beside("graph-node-2.0.0.tar.gz")
        );
        assert_eq!(of("api.tar.gz"), None);
        assert_eq!(of("api-1.2.0.zip"), None);
    }
}
