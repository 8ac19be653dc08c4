//! From settings to a daemon that is ready to answer.
//!
//! Owns: the order of the steps, so that whatever fails leaves nothing behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use chrono::Utc;
use harness_wire::{Acceptor, Hello, Life, ServerNames};
use service_orchestration::executors::SshExecutor;
use service_orchestration::store::StoreError;
use service_orchestration::{ManagerError, ServiceManager, blocking};

use super::run::BaseDaemon;
use super::session::Door;
use super::shared::Shared;
use super::{DaemonError, Listen};
use crate::access::{Access, WallClock};
use crate::audit::Audit;
use crate::dirs::Dirs;
use crate::files::{Endpoint, StateLock};
use crate::hosts::BookDirectory;
use crate::protocol::{BLOCKS, SCHEMA_VERSION};

/// What a daemon shall be.
#[derive(Clone, Debug)]
pub struct BaseDaemonBuilder {
    dirs: Option<Dirs>,
    listen: Listen,
    allow_remote: bool,
    is_detached: bool,
    log_total: Option<u64>,
    program: String,
    version: String,
    clock: WallClock,
    life: Life,
}

impl BaseDaemonBuilder {
    pub(super) fn new() -> Self {
        Self {
            dirs: None,
            listen: Listen::Usual,
            allow_remote: false,
            is_detached: false,
            log_total: None,
            program: "harness".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: WallClock::default(),
            life: Life::default(),
        }
    }

    /// Where its files lie. Without it: where the environment says.
    #[must_use]
    pub fn dirs(mut self, dirs: Dirs) -> Self {
        self.dirs = Some(dirs);
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(mut self, listen: Listen) -> Self {
        self.listen = listen;
        self
    }

    /// It may listen where other machines can reach it. Every client needs a certificate of this installation anyway.
    #[must_use]
    pub fn allow_remote(mut self, allow_remote: bool) -> Self {
        self.allow_remote = allow_remote;
        self
    }

    /// The output of all services of all stacks together is kept within so many bytes. Without it: each service's own cap
    /// is the only one, and that of its stack.
    #[must_use]
    pub fn log_total(mut self, bytes: Option<u64>) -> Self {
        self.log_total = bytes;
        self
    }

    /// It leaves the session and terminal it was started from. For a process of its own only.
    #[must_use]
    pub fn detached(mut self, is_detached: bool) -> Self {
        self.is_detached = is_detached;
        self
    }

    /// What it says it is, to clients and in events.
    #[must_use]
    pub fn program(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.program = name.into();
        self.version = version.into();
        self
    }

    /// How long the certificates live that it issues. Without it: 90 days.
    #[must_use]
    pub fn certificates(mut self, life: Life) -> Self {
        self.life = life;
        self
    }

    /// What tells it the date, for certificates, invitations and the audit record.
    #[must_use]
    pub fn wall_clock(mut self, clock: WallClock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the daemon: locks the state directory, makes certificates, binds the address, takes over what runs.
    /// Nobody is answered before [`BaseDaemon::run`].
    ///
    /// # Errors
    /// [`DaemonError`].
    ///
    /// # Cancellation
    /// Dropping the future gives everything back; services that were taken over go on.
    pub async fn build(self) -> Result<BaseDaemon, DaemonError> {
        if self.is_detached {
            rustix::process::setsid().map_err(|error| DaemonError::Detach(error.into()))?;
        }
        let dirs = match self.dirs {
            Some(dirs) => dirs,
            None => Dirs::from_env()?,
        };
        dirs.create()?;
        let state = dirs.state().to_owned();
        let lock = StateLock::take(&state, PREDECESSOR_PATIENCE)
            .await
            .map_err(|error| DaemonError::of_lock(error, state.clone()))?;
        // Left behind by one that was killed: whoever reads it would ask the wrong door.
        Endpoint::remove(&state).map_err(DaemonError::of_endpoint)?;

        let hello = Hello::new(&self.program, &self.version).with_features([BLOCKS]);
        let names = match self.listen {
            Listen::At(address) => ServerNames::loopback().with_address(address.ip()),
            Listen::Usual => ServerNames::loopback(),
        };
        let (directory, life) = (dirs.pki(), self.life);
        let clock = self.clock.clone();
        let access =
            blocking::unblock(move || Access::open(directory, &names, life, clock)).await?;
        let audit = Audit::open(&state, self.clock).map_err(|source| DaemonError::File {
            action: "open the audit record in",
            path: crate::audit::audit_directory(&state),
            source,
        })?;
        let (listener, address) = self.listen.bind(self.allow_remote).await?;
        let hosts = Arc::new(BookDirectory::new(dirs.clone()));
        let manager = take_over(&dirs, &hosts, &self.program, self.log_total).await?;
        let endpoint = Endpoint {
            schema_version: SCHEMA_VERSION,
            pid: std::process::id(),
            listen: address.to_string(),
            program: self.program,
            version: self.version,
            started_at: Utc::now(),
            detached: self.is_detached,
        };
        let access = Arc::new(access);
        let door = Door::new(
            listener,
            Acceptor::new(access.tls(), hello),
            Arc::clone(&access),
        );
        Ok(BaseDaemon::new(
            lock,
            door,
            Shared::new(manager, hosts, endpoint, state, access, audit),
        ))
    }
}

/// Where the packages of this installation lie on hosts, below the home of whoever logs in there.
///
/// # Errors
/// When its identity can be neither read nor made.
pub async fn package_root(dirs: &Dirs) -> std::io::Result<std::path::PathBuf> {
    SshExecutor::packages_of(remote(dirs)).await
}

/// What is kept of what runs on other hosts.
fn remote(dirs: &Dirs) -> std::path::PathBuf {
    dirs.state().join("remote")
}

/// Starts the supervisor; from a predecessor that is letting go of the store, as soon as it has.
async fn take_over(
    dirs: &Dirs,
    hosts: &Arc<BookDirectory>,
    program: &str,
    log_total: Option<u64>,
) -> Result<ServiceManager, DaemonError> {
    let deadline = Instant::now() + PREDECESSOR_PATIENCE;
    loop {
        let builder = ServiceManager::builder()
            .state_dir(dirs.state())
            .run_dir(dirs.run())
            .log_dir(dirs.log())
            .log_total(log_total)
            .executor(SshExecutor::in_directory(remote(dirs), Arc::clone(hosts)))
            .hosts(Arc::clone(hosts))
            .source(program);
        match builder.start().await {
            Ok(manager) => return Ok(manager),
            Err(ManagerError::Store(StoreError::Held { .. })) if Instant::now() < deadline => {
                Timer::after(STORE_RETRY).await;
            }
            Err(error) => return Err(DaemonError::of_manager(error, dirs.state().to_owned())),
        }
    }
}

/// How long a daemon that no longer answers has to end.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(5);
/// How often its store is tried meanwhile.
const STORE_RETRY: Duration = Duration::from_millis(20);
