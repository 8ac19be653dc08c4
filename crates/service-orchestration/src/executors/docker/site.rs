//! The machine of an engine.
//!
//! Owns: what is had of that machine besides its engine: the way to it, what is known of its network, its shims. Here nothing of that
//! is asked for. Keeps of a host only where its engine's socket was found last.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_io::Async;
use command_executor::agent::{AgentLink, StreamError};
use container_engine::{ByteStream, Dial};
use futures::future::BoxFuture;
use service_shim::agent::protocol::FailureKind;

use crate::executors::remote::{self, HostCall, HostDirectory, KnownHost, reach};
use crate::executors::{HostFacts, LaunchError};
use crate::spec::UnitId;

/// Where an engine is.
#[derive(Clone, Debug)]
pub(super) enum Site {
    Here,
    There(There),
}

/// Another host. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct There {
    hosts: Arc<dyn HostDirectory>,
    call: HostCall,
    /// Where its engine listens. A lock because every connection asks; held to look and to set.
    socket: Arc<Mutex<Option<PathBuf>>>,
}

impl Site {
    /// What is known of the host, once it is reached; nothing here.
    pub(super) async fn facts(&self, unit: &UnitId) -> Result<Option<Box<HostFacts>>, LaunchError> {
        match self {
            Self::Here => Ok(None),
            Self::There(there) => {
                let (_, agent, facts) = remote::reached(&*there.hosts, unit, &there.call).await?;
                if agent.hello().program.is_empty() {
                    let name = there.name();
                    return Err(LaunchError::NotRunnable {
                        program: unit.local_name(),
                        reason: format!(
                            "containers on {name} need a `harness-shim` that runs there, and its own sh is all that does"
                        ),
                    });
                }
                Ok(Some(Box::new(facts)))
            }
        }
    }

    /// As messages call it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Here => "this machine",
            Self::There(there) => there.name(),
        }
    }
}

impl There {
    pub(super) fn new(hosts: Arc<dyn HostDirectory>, call: HostCall) -> Self {
        Self {
            hosts,
            call,
            socket: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.call.name
    }

    /// The host and the agent of the moment.
    pub(super) async fn agent(&self) -> io::Result<(KnownHost, AgentLink)> {
        let host = self.hosts.find(&self.call).await;
        let host = host.map_err(io::Error::other)?;
        let agent = reach::agent_of_now(&host.link).await;
        Ok((host, agent.map_err(io::Error::other)?))
    }

    /// Returns once the host is connected.
    pub(super) async fn until_reached(&self) {
        if let Ok(host) = self.hosts.find(&self.call).await {
            host.link.reached().await;
        }
    }

    /// A connection to its engine.
    pub(super) async fn connect(&self) -> io::Result<UnixStream> {
        let (host, agent) = self.agent().await?;
        let away = |error| io::Error::other(host.link.explain(error));
        let known = self.socket().clone();
        let path = match known {
            Some(path) => path,
            None => self.find(&agent).await.map_err(away)??,
        };
        match agent.unix(&path).await {
            Ok(stream) => {
                *self.socket() = Some(path);
                Ok(stream)
            }
            Err(StreamError::Failed(failure)) => {
                // It may be another one when it is back.
                *self.socket() = None;
                Err(io::Error::new(kind(failure.kind), failure))
            }
            Err(error) => Err(away(error)),
        }
    }

    async fn find(&self, agent: &AgentLink) -> Result<io::Result<PathBuf>, StreamError> {
        let facts = agent.facts().await?;
        Ok(facts.engines.into_iter().next().ok_or_else(|| {
            let reason = format!(
                "{} has none of the sockets of docker and podman, of the machine or of its login",
                self.name()
            );
            io::Error::new(io::ErrorKind::NotFound, reason)
        }))
    }

    fn socket(&self) -> std::sync::MutexGuard<'_, Option<PathBuf>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dial for There {
    fn dial(&self) -> BoxFuture<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            let stream = Async::new(self.connect().await?)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

fn kind(kind: FailureKind) -> io::ErrorKind {
    match kind {
        FailureKind::NotFound => io::ErrorKind::NotFound,
        FailureKind::Permission => io::ErrorKind::PermissionDenied,
        FailureKind::Refused => io::ErrorKind::ConnectionRefused,
        _ => io::ErrorKind::Other,
    }
}
