//! The hosts that packages go to.
//!
//! Owns: the way from a host's name to its agent, for as long as a verb runs; and what a deployment is called by.

use std::sync::Arc;
use std::time::Duration;

use command_executor::agent::{ConnectError, HostLink, HostState, SshAgent};
use command_executor::supervised::ShimProgram;
use futures_lite::FutureExt;
use harness_core::Dirs;
use harness_core::hosts::{HostBook, HostEntry};
use harness_core::package::{PackageDeployer, SlotName};

use super::host::connection;
use super::host_failure::HostFailure;
use super::package_failure::PackageFailure;
use crate::failure::Failure;

/// Does something with a host of the list, connected, and leaves the connection to others who use it.
///
/// # Errors
/// When it is not known, or does not answer within [`PATIENCE`]; what will not pass by itself is told at once. And as `work` says.
pub(super) async fn on_host<T>(
    dirs: &Dirs,
    name: &str,
    work: impl AsyncFnOnce(PackageDeployer) -> Result<T, PackageFailure>,
) -> Result<T, Failure> {
    let book = HostBook::load(dirs).map_err(HostFailure::from)?;
    let entry: &HostEntry = book.find(name).map_err(HostFailure::from)?;
    let shim = ShimProgram::find().program();
    let shim = shim.ok_or(PackageFailure::NoShim)?;
    let way = connection(dirs, &book, entry).await?;
    let was_open = way.is_open().await.map_err(HostFailure::from)?;
    let host = HostLink::new(SshAgent::new(way.clone(), shim));
    let done = match reached(&host).await {
        Ok(()) => work(PackageDeployer::new(host)).await,
        Err(source) => {
            let host = name.to_owned();
            Err(PackageFailure::Unreachable { host, source })
        }
    };
    if !was_open {
        way.leave().await.map_err(HostFailure::from)?;
    }
    Ok(done?)
}

/// Waits until it is connected; otherwise why it is not.
async fn reached(host: &HostLink) -> Result<(), Option<Arc<ConnectError>>> {
    let states = host.subscribe();
    let answered = async {
        while let Ok(state) = states.recv().await {
            match state {
                HostState::Reached(_) => return Ok(()),
                HostState::Unreachable(error) if !error.is_passing() => return Err(Some(error)),
                _ => {}
            }
        }
        Err(None)
    };
    let late = async {
        smol::Timer::after(PATIENCE).await;
        match host.state() {
            HostState::Unreachable(error) => Err(Some(error)),
            _ => Err(None),
        }
    };
    answered.or(late).await
}

/// What a place on a host is called.
pub(super) fn slot(name: &str) -> Result<SlotName, PackageFailure> {
    SlotName::try_from(name.to_owned()).map_err(|reason| PackageFailure::Name {
        name: name.to_owned(),
        reason,
    })
}

/// Who deploys, for those who have to wait.
pub(super) fn who() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let user = user.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
    let machine = rustix::system::uname();
    format!("{user}@{}", machine.nodename().to_string_lossy())
}

/// A login, and the program brought there, where it has to be.
const PATIENCE: Duration = Duration::from_secs(60);
