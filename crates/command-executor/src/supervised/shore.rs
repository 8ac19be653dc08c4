//! Where run directories are, and shims are started.
//!
//! Owns: the one place that knows whether an attempt is on this machine. Everything else of [`supervised`](super) speaks to
//! a shim over a socket, wherever that leads.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Timer;
use service_shim::protocol::LaunchOrder;
use service_shim::{ExitRecord, RunDir, Task, remove_run_dir, shore};

use super::error::{AdoptError, LaunchError, ShoreError};
use super::order::SupervisedLaunch;
use super::program::{ShimProgram, Started};
use super::remote;
use crate::agent::HostLink;
use crate::blocking::unblock;

/// Where attempts are launched, adopted and ended. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shore(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Local(ShimProgram),
    Host(HostLink),
}

/// What a run directory says at first sight.
pub(super) enum Sight {
    Ended(ExitRecord),
    /// A shim listens.
    Served(UnixStream),
    /// None did: one was started to take over.
    Adopting(Started),
}

impl From<ShimProgram> for Shore {
    fn from(shim: ShimProgram) -> Self {
        Self::local(shim)
    }
}

impl From<HostLink> for Shore {
    fn from(host: HostLink) -> Self {
        Self::host(host)
    }
}

impl Shore {
    /// Another host: paths are its own, and its agent's program is the shim.
    pub fn host(host: HostLink) -> Shore {
        Shore(Kind::Host(host))
    }

    /// This machine, with this program as the shim.
    pub fn local(shim: ShimProgram) -> Shore {
        Shore(Kind::Local(shim))
    }

    /// Removes a run directory once the end of its attempt is recorded elsewhere. One that is gone already is no error.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub async fn remove(&self, run_dir: &Path) -> Result<(), ShoreError> {
        match &self.0 {
            Kind::Local(_) => {
                let path = run_dir.to_owned();
                let removed = unblock(move || remove_run_dir(&path)).await;
                removed.map_err(|source| local(run_dir, source))
            }
            Kind::Host(host) => {
                let removed = host.agent()?.remove_run_dir(run_dir).await;
                removed.map_err(|error| host.explain(error).into())
            }
        }
    }

    /// The instance ids of the run directories below a root, ended ones too.
    ///
    /// # Errors
    /// The root cannot be read.
    pub async fn list(&self, run_root: &Path) -> Result<Vec<String>, ShoreError> {
        match &self.0 {
            Kind::Local(_) => {
                let path = run_root.to_owned();
                let listed = unblock(move || shore::list(&path)).await;
                listed.map_err(|source| local(run_root, source))
            }
            Kind::Host(host) => {
                let listed = host.agent()?.list_run_dirs(run_root).await;
                listed.map_err(|error| host.explain(error).into())
            }
        }
    }

    /// Whether the service of a run directory is alive, whatever is known of it elsewhere.
    ///
    /// # Errors
    /// That cannot be found out.
    pub async fn is_alive(&self, run_dir: &Path) -> Result<bool, ShoreError> {
        match &self.0 {
            Kind::Local(_) => {
                let path = run_dir.to_owned();
                Ok(unblock(move || shore::is_alive(&path)).await)
            }
            Kind::Host(host) => {
                let alive = host.agent()?.is_alive(run_dir).await;
                alive.map_err(|error| host.explain(error).into())
            }
        }
    }

    /// Makes the run directory and starts the shim. With it comes a hold on the output, taken before anybody could write
    /// to it.
    pub(super) async fn start(
        &self,
        order: SupervisedLaunch,
    ) -> Result<(Started, Vec<OwnedFd>), LaunchError> {
        match &self.0 {
            Kind::Local(shim) => {
                let shim = shim.clone();
                unblock(move || start(order, &shim)).await
            }
            Kind::Host(host) => {
                let stream = remote::start(host, order).await?;
                // What the service writes is held by the agent, as long as it carries this connection.
                Ok((Started { stream, shim: None }, Vec::new()))
            }
        }
    }

    /// A hold on the output of an attempt that may end any moment.
    pub(super) fn hold_output(&self, run_dir: &Path) -> Vec<OwnedFd> {
        match &self.0 {
            // A few local system calls that do not wait: worth no trip to another thread.
            Kind::Local(_) => {
                RunDir::open(run_dir).map_or_else(|_| Vec::new(), |run| run.hold_output())
            }
            // The agent takes one before it looks.
            Kind::Host(_) => Vec::new(),
        }
    }

    /// Looks at a run directory, and starts a shim to take over where none serves it.
    pub(super) async fn look(&self, run_dir: &Path) -> Result<Sight, AdoptError> {
        match &self.0 {
            Kind::Local(shim) => {
                let (run_dir, shim) = (run_dir.to_owned(), shim.clone());
                unblock(move || look(&run_dir, &shim)).await
            }
            Kind::Host(host) => remote::look(host, run_dir).await,
        }
    }

    /// A connection to the shim that serves an attempt; none when that takes more than a look.
    pub(super) async fn connect(&self, run_dir: &Path) -> Option<UnixStream> {
        match &self.0 {
            // Two local system calls that do not wait; worth no trip to another thread.
            Kind::Local(_) => RunDir::open(run_dir).and_then(|run| run.connect()).ok(),
            Kind::Host(host) => host.agent().ok()?.connect(run_dir).await.ok(),
        }
    }

    /// How an attempt has ended, if that is recorded.
    pub(super) async fn recorded_end(&self, run_dir: &Path) -> Option<ExitRecord> {
        match &self.0 {
            Kind::Local(_) => RunDir::open(run_dir).and_then(|run| run.exit()).ok()?,
            Kind::Host(host) => host.agent().ok()?.recorded_end(run_dir).await.ok()?,
        }
    }

    /// Waits until it is worth asking again after what became of an attempt could not be found out.
    pub(super) async fn until_worth_a_try(&self) {
        if let Kind::Host(host) = &self.0
            && host.agent().is_err()
        {
            drop(host.reached().await);
        } else {
            Timer::after(RETRY).await;
        }
    }

    /// What stands for the shim in a message.
    pub(super) fn program(&self) -> PathBuf {
        match &self.0 {
            Kind::Local(shim) => shim.path(),
            Kind::Host(host) => PathBuf::from(format!("(on {})", host.name())),
        }
    }
}

fn local(path: &Path, source: io::Error) -> ShoreError {
    let path = path.to_owned();
    ShoreError::Local { path, source }
}

fn start(
    order: SupervisedLaunch,
    shim: &ShimProgram,
) -> Result<(Started, Vec<OwnedFd>), LaunchError> {
    let path = order.run_dir();
    let made = shore::make_run_dir(&order.run_root, &order.instance_id, order.log.mode);
    let (run, output) = made.map_err(|source| LaunchError::RunDirectory {
        path: path.clone(),
        source,
    })?;
    let line = LaunchOrder::encode(order.into_spec());
    let started = shim.start(Task::Run, run).and_then(|mut started| {
        started.stream.write_all(&line)?;
        Ok(started)
    });
    let started = started.map_err(|source| {
        // Without a complete order the shim has started nothing.
        drop(remove_run_dir(&path));
        LaunchError::Shim {
            program: shim.path(),
            source,
        }
    })?;
    Ok((started, output))
}

/// One look at the run directory. Blocks for as long as a spawn takes.
fn look(path: &Path, shim: &ShimProgram) -> Result<Sight, AdoptError> {
    let seen = shore::look(path).map_err(|source| AdoptError::RunDirectory {
        path: path.to_owned(),
        source,
    })?;
    match seen {
        shore::Sight::Ended(exit) => Ok(Sight::Ended(exit)),
        shore::Sight::Served(stream) => Ok(Sight::Served(stream)),
        shore::Sight::Unserved(run) => {
            let program = shim.path();
            let started = shim
                .start(Task::Adopt, run)
                .map_err(|source| AdoptError::Shim { program, source })?;
            Ok(Sight::Adopting(started))
        }
    }
}

const RETRY: Duration = Duration::from_secs(1);
