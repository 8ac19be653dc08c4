//! Ways from containers to programs of this machine that listen on loopback only.
//!
//! Owns: which forwarders run, one for each address. Each is a small program of its own beside a shim, so that it outlives
//! us; what names it is the address, so that it is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Timer;
use command_executor::blocking;
use command_executor::supervised::{
    self, Adopted, ShimProgram, Shore, SupervisedEvent, SupervisedLaunch, SupervisedProcess,
};
use futures_lite::future;
use service_shim::{LogPolicy, StopPolicy};

use crate::executors::Forward;
use crate::listening;

/// The forwarders of all stacks, below one directory. Whoever calls has the turn: see [`Shared`](super::Shared).
#[derive(Debug)]
pub(super) struct Forwarders {
    directory: PathBuf,
    shim: ShimProgram,
    shore: Shore,
}

/// Why a container cannot reach what it needs on this machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("containers cannot reach {to}, which listens on loopback only: {reason}")]
    Failed { to: SocketAddr, reason: String },
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
    pub(super) fn new(directory: PathBuf, shim: ShimProgram) -> Self {
        let shore = shim.clone().into();
        Self {
            directory,
            shim,
            shore,
        }
    }

    /// Sees to it that each of these is carried, unless its port is listened on at the container's side anyway.
    pub(super) async fn ensure(
        &self,
        stack: &str,
        forwards: &[Forward],
    ) -> Result<(), ForwardError> {
        for forward in forwards {
            let wanted = *forward;
            if !blocking::unblock(move || listening::is_listened(wanted.listen)).await {
                self.start(stack, wanted).await?;
            }
        }
        Ok(())
    }

    /// Ends those of all other stacks: what an earlier daemon did not come to.
    pub(super) async fn end_except(&self, stacks: BTreeSet<String>) {
        let directory = self.directory.clone();
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
        let root = self.directory.join(stack);
        let listed = root.clone();
        let runs = blocking::unblock(move || run_directories(&listed)).await;
        for run in runs {
            if let Ok(Adopted::Alive(mut process)) = supervised::adopt(&run, &self.shore).await
                && process.control().kill().await.is_ok()
            {
                while !matches!(process.next_event().await, SupervisedEvent::Exited(_)) {}
            }
        }
        blocking::unblock(move || drop(fs::remove_dir_all(root))).await;
    }

    async fn start(&self, stack: &str, forward: Forward) -> Result<(), ForwardError> {
        let to = forward.to;
        let root = self.directory.join(stack);
        let failed = |reason: String| ForwardError::Failed { to, reason };
        let (program, args) = self
            .shim
            .forwarder(forward.listen, to)
            .ok_or_else(|| failed("the program `harness-shim` is needed for that".into()))?;
        let instance_id = instance_id(forward);
        let run = root.join(&instance_id);
        if let Ok(Adopted::Alive(_)) = supervised::adopt(&run, &self.shore).await {
            return Ok(());
        }
        let logs = root.join(format!("{instance_id}.log"));
        let (old_run, old_logs) = (run.clone(), logs.clone());
        blocking::unblock(move || {
            drop(service_shim::remove_run_dir(&old_run));
            drop(fs::remove_dir_all(old_logs));
        })
        .await;
        let launch = SupervisedLaunch {
            run_root: root,
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
            Err(reason) => Err(failed(said(&logs).await.unwrap_or(reason))),
        }
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

/// What a forwarder said last.
async fn said(logs: &Path) -> Option<String> {
    let log = crate::logs::UnitLog::new(logs.to_owned());
    let lines = log.read(crate::logs::LogQuery::default()).await.ok()?;
    let last = lines.into_iter().rfind(|line| line.gap.is_none())?;
    Some(String::from_utf8_lossy(&last.bytes).trim().to_owned())
}

fn run_directories(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(service_shim::is_instance_id)
        })
        .map(|entry| entry.path())
        .collect()
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
