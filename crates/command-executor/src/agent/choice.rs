//! What serves a host: our shim, or its own `sh` where that cannot run.
//!
//! Owns: the choice, made anew for each connection. Invariant: what one of them keeps, the other is never given: as long as
//! anything that the shell keeps is on a host, it is the shell's where nothing else was asked for.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::connect::Connector;
use super::error::ConnectError;
use super::forward::HostForward;
use super::link::AgentLink;
use super::sh::ShAgent;
use super::ssh::{self, SshAgent};
use crate::ssh::SshConnection;

/// What shall serve a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Runner {
    /// The shim where it runs, else the host's shell.
    #[default]
    Auto,
    /// The shim, or nobody.
    Shim,
    /// The host's shell.
    Sh,
}

/// The way to a host by ssh, to whatever serves it.
#[derive(Debug)]
pub struct HostAgent {
    connection: SshConnection,
    runner: Runner,
    shim: Option<SshAgent>,
    sh: ShAgent,
    /// Why the shim does not run there, once that is known. A lock because connecting may be given up and begun again; held
    /// to look and to set.
    declined: Mutex<Option<String>>,
}

impl HostAgent {
    /// Over this connection. `program` is the `harness-shim` that is brought there; without it, only a shell can serve.
    pub fn new(connection: SshConnection, program: Option<PathBuf>, runner: Runner) -> HostAgent {
        let shim = program.map(|program| SshAgent::new(connection.clone(), program));
        HostAgent {
            sh: ShAgent::new(connection.clone()),
            shim,
            connection,
            runner,
            declined: Mutex::default(),
        }
    }

    async fn by_shim(&self) -> Result<AgentLink, ConnectError> {
        match &self.shim {
            Some(shim) => shim.connect().await,
            None => Err(ConnectError::NoShim),
        }
    }

    /// The shim if it runs there, and no service is kept otherwise.
    async fn by_either(&self) -> Result<AgentLink, ConnectError> {
        let declined = self.declined().clone();
        if let Some(reason) = declined {
            return self.sh.because(reason).connect().await;
        }
        self.connection.open().await?;
        if self.sh.keeps_any().await? {
            let reason = "it keeps services that it has started there".to_owned();
            return self.sh.because(reason).connect().await;
        }
        match self.by_shim().await {
            Err(
                error @ (ConnectError::Machine { .. }
                | ConnectError::Upload { .. }
                | ConnectError::Program { .. }
                | ConnectError::NoShim),
            ) => {
                let reason = error.to_string();
                let link = self.sh.because(reason.clone()).connect().await?;
                *self.declined() = Some(reason);
                Ok(link)
            }
            other => other,
        }
    }

    fn declined(&self) -> MutexGuard<'_, Option<String>> {
        self.declined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Connector for HostAgent {
    fn name(&self) -> &str {
        self.connection.host().name()
    }

    async fn connect(&self) -> Result<AgentLink, ConnectError> {
        match self.runner {
            Runner::Auto => self.by_either().await,
            Runner::Shim => self.by_shim().await,
            Runner::Sh => self.sh.connect().await,
        }
    }

    async fn forward(&self, way: &HostForward) -> Result<(), ConnectError> {
        ssh::forward(&self.connection, way).await
    }

    async fn forward_no_more(&self, way: &HostForward) -> Result<(), ConnectError> {
        ssh::forward_no_more(&self.connection, way).await
    }

    async fn give_up(&self) {
        ssh::give_up(&self.connection).await;
    }
}
