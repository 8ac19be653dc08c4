//! Ways from containers to what listens on loopback of their engine's machine only.
//!
//! Owns: which forwarders run, one for each address. Each is a small program of its own beside a shim there, so that it outlives
//! us; what names it is the address, so that it is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Timer;
use command_executor::agent::AgentLink;
use command_executor::blocking;
use command_executor::supervised::{
    self, Adopted, ShimProgram, Shore, SupervisedEvent, SupervisedLaunch, SupervisedProcess,
};
use futures_lite::future;
use service_shim::agent::record::Record;
use service_shim::{FORWARD_VERB, LogPolicy, StopPolicy};

use super::identity::Home;
use super::site::There;
use crate::executors::{Forward, remote};
use crate::listening;

/// The forwarders of all stacks of one machine. Whoever calls has the turn: see [`Shared`](super::Shared).
#[derive(Debug)]
pub(super) struct Forwarders(Kind);

#[derive(Debug)]
enum Kind {
    /// Below this directory.
    Here {
        directory: PathBuf,
        shim: ShimProgram,
    },
    /// On a host, beside what else this installation has there.
    There { there: There, home: Home },
}

/// Where the forwarders of a stack are.
struct Yard {
    /// Below this directory of that machine.
    root: PathBuf,
    shore: Shore,
    machine: Machine,
}

enum Machine {
    Here(ShimProgram),
    /// The agent there, and the words that run its program.
    There(Box<AgentLink>),
}

/// Why a container cannot reach what it needs on this machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("containers cannot reach {to}, which listens on loopback only: {reason}")]
    Failed { to: SocketAddr, reason: String },
    #[error("containers cannot reach {to}, which listens on loopback only: its host is away")]
    Away {
        to: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(
        "containers cannot reach {to}, which listens on loopback only: cannot launch a forwarder"
    )]
    Launch {
        to: SocketAddr,
        #[source]
        source: supervised::LaunchError,
    },
}

impl Forwarders {
    pub(super) fn here(directory: PathBuf, shim: ShimProgram) -> Self {
        Self(Kind::Here { directory, shim })
    }

    pub(super) fn there(there: There, home: Home) -> Self {
        Self(Kind::There { there, home })
    }

    /// Where those of a stack are, which can be asked now.
    async fn yard(&self, stack: &str) -> io::Result<Yard> {
        match &self.0 {
            Kind::Here { directory, shim } => Ok(Yard {
                root: directory.join(stack),
                shore: shim.clone().into(),
                machine: Machine::Here(shim.clone()),
            }),
            Kind::There { there, home } => {
                let (host, agent) = there.agent().await?;
                let own = remote::root(&home.id()?, agent.hello());
                Ok(Yard {
                    root: own.join("forward").join(stack),
                    shore: Shore::host(host.link),
                    machine: Machine::There(Box::new(agent)),
                })
            }
        }
    }

    /// Sees to it that each of these is carried, unless its port is listened on at the container's side anyway.
    pub(super) async fn ensure(
        &self,
        stack: &str,
        forwards: &[Forward],
    ) -> Result<(), ForwardError> {
        let Some(first) = forwards.first() else {
            return Ok(());
        };
        let yard = self
            .yard(stack)
            .await
            .map_err(|source| ForwardError::Away {
                to: first.to,
                source,
            })?;
        for forward in forwards {
            if !yard.is_listened(forward.listen).await {
                yard.start(*forward).await?;
            }
        }
        Ok(())
    }

    /// Ends those of all other stacks: what an earlier daemon did not come to. Only here; on a host they go with their stack.
    pub(super) async fn end_except(&self, stacks: BTreeSet<String>) {
        let Kind::Here { directory, .. } = &self.0 else {
            return;
        };
        let directory = directory.clone();
        let found = blocking::unblock(move || {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names.collect::<BTreeSet<_>>()
        })
        .await;
        for stack in found.difference(&stacks) {
            self.end(stack).await;
        }
    }

    /// Ends all of a stack's.
    pub(super) async fn end(&self, stack: &str) {
        match self.yard(stack).await {
            Ok(yard) => yard.end().await,
            Err(error) => {
                tracing::warn!(stack, %error, "ways of its containers are left open on a host");
            }
        }
    }
}

impl Yard {
    async fn is_listened(&self, at: SocketAddr) -> bool {
        match &self.machine {
            Machine::Here(_) => blocking::unblock(move || listening::is_listened(at)).await,
            Machine::There(agent) => agent.tcp(at.ip(), at.port()).await.is_ok(),
        }
    }

    async fn end(&self) {
        let ids = self.shore.list(&self.root).await.unwrap_or_default();
        for id in ids {
            let run = self.root.join(id);
            if let Ok(Adopted::Alive(mut process)) = supervised::adopt(&run, &self.shore).await
                && process.control().kill().await.is_ok()
            {
                while !matches!(process.next_event().await, SupervisedEvent::Exited(_)) {}
            }
        }
        self.remove(std::slice::from_ref(&self.root)).await;
    }

    /// Removes what is ours there, as far as that can be done.
    async fn remove(&self, paths: &[PathBuf]) {
        let paths = paths.to_vec();
        match &self.machine {
            Machine::Here(_) => {
                let all = move || paths.iter().for_each(|path| drop(fs::remove_dir_all(path)));
                blocking::unblock(all).await;
            }
            Machine::There(agent) => drop(remote::remove_all(agent, &paths).await),
        }
    }

    /// The program of a forwarder, and its arguments.
    fn program(&self, forward: Forward) -> Option<(PathBuf, Vec<OsString>)> {
        let Forward { listen, to } = forward;
        match &self.machine {
            Machine::Here(shim) => shim.forwarder(listen, to),
            Machine::There(agent) => {
                let (program, flags) = agent.hello().program.split_first()?;
                let mut args: Vec<OsString> = flags
                    .iter()
                    .map(|word| word.as_os_str().to_owned())
                    .collect();
                args.push(FORWARD_VERB.into());
                args.extend([listen, to].map(|address| OsString::from(address.to_string())));
                Some((program.as_os_str().into(), args))
            }
        }
    }

    async fn start(&self, forward: Forward) -> Result<(), ForwardError> {
        let to = forward.to;
        let failed = |reason: String| ForwardError::Failed { to, reason };
        let (program, args) = self
            .program(forward)
            .ok_or_else(|| failed("the program `harness-shim` is needed for that".into()))?;
        let instance_id = instance_id(forward);
        let run = self.root.join(&instance_id);
        if let Ok(Adopted::Alive(_)) = supervised::adopt(&run, &self.shore).await {
            return Ok(());
        }
        let logs = self.root.join(format!("{instance_id}.log"));
        drop(self.shore.remove(&run).await);
        self.remove(std::slice::from_ref(&logs)).await;
        let launch = SupervisedLaunch {
            run_root: self.root.clone(),
            instance_id,
            attempt: 1,
            program: program.into(),
            args,
            env: BTreeMap::new(),
            cwd: Some("/".into()),
            user: None,
            group: None,
            log: LogPolicy::new(logs.clone()),
            stop: StopPolicy::default(),
            notify: true,
            stdin: false,
            cgroup: false,
        };
        let process = supervised::launch(launch, &self.shore).await;
        let mut process = process.map_err(|source| ForwardError::Launch { to, source })?;
        match future::or(ready(&mut process), late()).await {
            Ok(()) => Ok(()),
            Err(reason) => Err(failed(self.said(&logs).await.unwrap_or(reason))),
        }
    }

    /// What a forwarder said last.
    async fn said(&self, logs: &Path) -> Option<String> {
        let bytes = match &self.machine {
            Machine::Here(_) => {
                let log = crate::logs::UnitLog::new(logs.to_owned());
                let lines = log.read(crate::logs::LogQuery::default()).await.ok()?;
                lines.into_iter().rfind(|line| line.gap.is_none())?.bytes
            }
            Machine::There(agent) => {
                let mut records = agent.log(logs, 1, None, false).await.ok()?;
                let mut last = None;
                while let Ok(Some(record)) = records.next().await {
                    if let Record::Output { bytes, .. } = record {
                        last = Some(bytes);
                    }
                }
                last?
            }
        };
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

async fn ready(process: &mut SupervisedProcess) -> Result<(), String> {
    loop {
        match process.next_event().await {
            SupervisedEvent::Notify(state) if state.ready => return Ok(()),
            SupervisedEvent::Exited(_) => return Err("the forwarder has ended".into()),
            SupervisedEvent::Unwatched(error) => return Err(crate::error_chain(&error)),
            _ => {}
        }
    }
}

async fn late() -> Result<(), String> {
    Timer::after(PATIENCE).await;
    Err("the forwarder does not say that it listens".into())
}

/// Twelve hexadecimal digits of where it listens and where that leads.
fn instance_id(forward: Forward) -> String {
    let text = format!("{} {}", forward.listen, forward.to);
    // FNV-1a: the same in every process, and no secret is in it.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:012x}", hash & 0xffff_ffff_ffff)
}

/// It has to start and to bind one socket.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_way_has_the_same_name() {
        let forward = |port| Forward {
            listen: SocketAddr::from(([172, 18, 0, 1], port)),
            to: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        assert_eq!(instance_id(forward(1)), instance_id(forward(1)));
        assert_ne!(instance_id(forward(1)), instance_id(forward(2)));
        assert!(service_shim::is_instance_id(&instance_id(forward(1))));
    }
}
