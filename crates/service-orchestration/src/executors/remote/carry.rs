//! What hosts are asked before something is launched: to look at each other, to carry, for a free port.
//!
//! Owns: which connection each of these needs. Which ways there are is in [`super::ways`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_io::Timer;
use async_net::{TcpListener, TcpStream};
use async_trait::async_trait;
use command_executor::agent::{AgentLink, StreamError};
use command_executor::blocking;
use futures_lite::future;
use service_registry::Sight;
use service_shim::agent::protocol::FailureKind;

use super::SshExecutor;
use super::directory::{HostCall, KnownHost};
use super::reach::{self, ReachError};
use super::ways::{self, Ends, Plan};
use crate::executors::{Carried, Carrier, LaunchError, Passage};
use crate::spec::Protocol;

impl SshExecutor {
    async fn known(&self, call: &HostCall) -> Result<KnownHost, LaunchError> {
        let found = self.hosts.find(call).await;
        found.map_err(|refusal| refused(call, refusal.reason))
    }

    /// A host that is reached now; none for this machine.
    async fn asked(
        &self,
        call: Option<&HostCall>,
    ) -> Result<Option<(KnownHost, AgentLink)>, LaunchError> {
        let Some(call) = call else {
            return Ok(None);
        };
        let host = self.known(call).await?;
        match reach::agent(&host.link).await {
            Ok(agent) => Ok(Some((host, agent))),
            Err(ReachError::Away(error)) => Err(away(call, error)),
            Err(error) => Err(refused(call, crate::error_chain(&error))),
        }
    }

    /// Where a way shall listen, that is not carried yet.
    async fn plan(
        &self,
        passage: &Passage,
        from: Option<&(KnownHost, AgentLink)>,
    ) -> Result<Plan, LaunchError> {
        let here = || async {
            let found = blocking::unblock(ways::free_port_here).await;
            found.map_err(|source| LaunchError::Machine {
                program: "an SSH forward".to_owned(),
                source: source.into(),
            })
        };
        let (Some(call), Some((host, agent))) = (&passage.from, from) else {
            return Ok(Plan {
                listen: here().await?,
                relay: None,
            });
        };
        let port = agent.free_port(false, &[]).await;
        let port = port.map_err(|error| away(call, host.link.explain(error)))?;
        Ok(Plan {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
            relay: match passage.to {
                Some(_) => Some(here().await?),
                None => None,
            },
        })
    }
}

#[async_trait]
impl Carrier for SshExecutor {
    async fn look(
        &self,
        from: Option<&HostCall>,
        to: Option<&HostCall>,
        at: &[IpAddr],
    ) -> Result<Sight, LaunchError> {
        let asker = self.asked(from).await?;
        let port = match to {
            Some(call) => Some(self.known(call).await?.port),
            None => None,
        };
        for address in at {
            // What surely listens there: the sshd of another host, and here something for this moment.
            let held = match port {
                Some(_) => None,
                None => TcpListener::bind((*address, 0)).await.ok(),
            };
            let own = held.as_ref().and_then(|held| held.local_addr().ok());
            let Some(port) = port.or(own.map(|own| own.port())) else {
                continue;
            };
            if answers(from.zip(asker.as_ref()), *address, port).await? {
                return Ok(Sight::Answers(*address));
            }
        }
        Ok(Sight::Silent)
    }

    async fn free_port(
        &self,
        host: &HostCall,
        protocol: Protocol,
        taken: &[u16],
    ) -> Result<u16, LaunchError> {
        let (known, agent) = self.asked(Some(host)).await?.expect("it is another host");
        let udp = protocol == Protocol::Udp;
        let found = agent.free_port(udp, taken).await;
        found.map_err(|error| away(host, known.link.explain(error)))
    }

    async fn carry(&self, instance_id: &str, passage: &Passage) -> Result<SocketAddr, LaunchError> {
        let from = self.asked(passage.from.as_ref()).await?;
        let to = self.asked(passage.to.as_ref()).await?;
        let plan = match self.ways.plan(passage) {
            Some(plan) => plan,
            None => self.plan(passage, from.as_ref()).await?,
        };
        let ends = Ends {
            from: from.map(|(host, _)| host.link),
            to: to.map(|(host, _)| host.link),
        };
        let carried = self.ways.carry(instance_id, passage, plan, &ends).await;
        carried.map_err(|error| LaunchError::NotCarried {
            from: name(passage.from.as_ref()),
            to: name(passage.to.as_ref()),
            target: passage.target,
            reason: crate::error_chain(&error),
        })
    }

    async fn resume(&self) -> Vec<Carried> {
        let mut resumed = Vec::new();
        for (carried, plan) in self.ways.recall().await {
            let find = async |call: &Option<HostCall>| match call {
                Some(call) => self.known(call).await.map(|host| Some(host.link)),
                None => Ok(None),
            };
            let ends = find(&carried.passage.from).await;
            match (ends, find(&carried.passage.to).await) {
                (Ok(from), Ok(to)) => {
                    self.ways.resume(&carried, plan, &Ends { from, to });
                    resumed.push(carried);
                }
                (Err(error), _) | (_, Err(error)) => {
                    let reason = crate::error_chain(&error);
                    tracing::warn!(reason, "a way that somebody needs is not made again");
                }
            }
        }
        resumed
    }

    async fn release(&self, instance_id: &str) {
        self.ways.release(instance_id).await;
    }
}

/// Whether somebody takes connections there; asked by a host, or by this machine.
async fn answers(
    asker: Option<(&HostCall, &(KnownHost, AgentLink))>,
    address: IpAddr,
    port: u16,
) -> Result<bool, LaunchError> {
    let Some((call, (host, agent))) = asker else {
        let connected = async { TcpStream::connect((address, port)).await.map(drop) };
        let late = async {
            Timer::after(PATIENCE).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        return Ok(future::or(connected, late).await.is_ok());
    };
    let connected = async {
        match agent.tcp(address, port).await {
            Ok(_) => Ok(true),
            Err(StreamError::Failed(failure)) if failure.kind != FailureKind::Busy => Ok(false),
            Err(error) => Err(away(call, host.link.explain(error))),
        }
    };
    let late = async {
        Timer::after(PATIENCE).await;
        Ok(false)
    };
    future::or(connected, late).await
}

fn away(
    call: &HostCall,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LaunchError {
    LaunchError::Unreachable {
        unit: call.name.clone(),
        source: error.into(),
    }
}

fn refused(call: &HostCall, reason: String) -> LaunchError {
    LaunchError::NotRunnable {
        program: call.name.clone(),
        reason,
    }
}

fn name(call: Option<&HostCall>) -> String {
    call.map_or_else(|| "this machine".to_owned(), |call| call.name.clone())
}

/// Longer than a connection within a LAN takes.
const PATIENCE: Duration = Duration::from_secs(3);
