//! What hosts are asked before something is launched: to look at each other, to carry, for a free port.
//!
//! Owns: which connection each of these needs. Which ways there are is in [`super::ways`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use command_executor::blocking;
use service_registry::Sight;

use super::SshExecutor;
use super::directory::HostCall;
use super::look::{Asked, asked, away, known, look};
use super::ways::{self, Ends, Plan};
use crate::executors::{Carried, Carrier, Joining, LaunchError, MeshCall, MeshPair, Passage};
use crate::report::{MeshStatus, Rotation};
use crate::spec::{Protocol, StackName};

impl SshExecutor {
    /// Where a way shall listen, that is not carried yet.
    async fn plan(&self, passage: &Passage, from: Option<&Asked>) -> Result<Plan, LaunchError> {
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
        look(&*self.hosts, from, to, at).await
    }

    async fn free_port(
        &self,
        host: &HostCall,
        protocol: Protocol,
        taken: &[u16],
    ) -> Result<u16, LaunchError> {
        let (known, agent) = asked(&*self.hosts, Some(host))
            .await?
            .expect("it is another host");
        let udp = protocol == Protocol::Udp;
        let found = agent.free_port(udp, taken).await;
        found.map_err(|error| away(host, known.link.explain(error)))
    }

    async fn carry(&self, instance_id: &str, passage: &Passage) -> Result<SocketAddr, LaunchError> {
        let from = asked(&*self.hosts, passage.from.as_ref()).await?;
        let to = asked(&*self.hosts, passage.to.as_ref()).await?;
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
                Some(call) => known(&*self.hosts, call).await.map(|host| Some(host.link)),
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

    async fn join(&self, call: &MeshCall) -> Result<Joining, LaunchError> {
        self.meshes.join(call).await
    }

    async fn joined(&self) -> Vec<MeshPair> {
        self.meshes.joined().await
    }

    async fn meshes(&self, stack: &StackName) -> Vec<MeshStatus> {
        self.meshes.look(stack).await
    }

    async fn rotate(&self, stack: &StackName) -> Rotation {
        self.meshes.rotate(stack).await
    }
}

fn name(call: Option<&HostCall>) -> String {
    call.map_or_else(|| "this machine".to_owned(), |call| call.name.clone())
}
