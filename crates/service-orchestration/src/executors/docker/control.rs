//! How a container is controlled.
//!
//! Owns: the way of orders. The ladder of a stop is climbed by the attempt itself, which sees the end.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use async_channel::Sender;
use async_trait::async_trait;
use command_executor::agent::StreamError;
use command_executor::blocking;
use container_engine::{
    ContainerId, Engine, EngineError, ExecConfig, ExecEnd, ExecLimits, HealthStatus,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::site::There;
use crate::executors::{
    AttemptControl, ControlError, Input, InsideCommand, InsideEnd, OwnHealth, StopOrder,
};

/// What an attempt is ordered to do.
#[derive(Debug)]
pub(super) enum Order {
    Stop(StopOrder),
    Kill,
}

/// The handle of a container.
#[derive(Debug)]
pub(super) struct ContainerControl {
    pub(super) engine: Engine,
    pub(super) id: ContainerId,
    /// Nobody takes orders for a container that is only observed.
    pub(super) orders: Option<Sender<Order>>,
    pub(super) health: Arc<LastHealth>,
    /// Its host, where that is another one.
    pub(super) there: OnceLock<There>,
}

/// What the container's own check said last, by the engine's events.
#[derive(Debug, Default)]
pub(super) struct LastHealth(AtomicU8);

impl LastHealth {
    pub(super) fn set(&self, health: Option<HealthStatus>) {
        let number = match health {
            Some(HealthStatus::Starting) => 1,
            Some(HealthStatus::Healthy) => 2,
            Some(HealthStatus::Unhealthy) => 3,
            _ => 0,
        };
        self.0.store(number, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<HealthStatus> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(HealthStatus::Starting),
            2 => Some(HealthStatus::Healthy),
            3 => Some(HealthStatus::Unhealthy),
            _ => None,
        }
    }
}

impl ContainerControl {
    fn order(&self, order: Order) -> Result<(), ControlError> {
        let orders = self.orders.as_ref().ok_or(ControlError::Attached)?;
        let sent = orders.try_send(order);
        sent.map_err(|_| ControlError::Unreached("nobody watches the container".into()))
    }
}

#[async_trait]
impl AttemptControl for ContainerControl {
    async fn stop(&self, stop: &StopOrder) -> Result<(), ControlError> {
        self.order(Order::Stop(*stop))
    }

    async fn kill(&self) -> Result<(), ControlError> {
        self.order(Order::Kill)
    }

    async fn signal(&self, number: i32) -> Result<(), ControlError> {
        if self.orders.is_none() {
            return Err(ControlError::Attached);
        }
        let sent = self.engine.kill(&self.id, &number.to_string()).await;
        sent.map_err(|error| ControlError::Unreached(error.into()))
    }

    async fn feed(&self, input: &Input) -> Result<(), ControlError> {
        let unreached = |error: io::Error| ControlError::Unreached(error.into());
        let opened = self.engine.attach_input(&self.id).await;
        let mut stream = opened.map_err(|error| ControlError::Unreached(error.into()))?;
        while let Some(bytes) = input.next().await {
            stream.write_all(&bytes).await.map_err(unreached)?;
            stream.flush().await.map_err(unreached)?;
        }
        stream.close().await.map_err(unreached)?;
        // The engine closes its side when it has passed all of it on.
        let mut nothing = [0; 64];
        while stream.read(&mut nothing).await.map_err(unreached)? > 0 {}
        Ok(())
    }

    async fn dial(&self, to: SocketAddr) -> Result<io::Result<UnixStream>, ControlError> {
        let there = self.there.get().ok_or(ControlError::NotInside)?;
        let reached = there.agent().await;
        let (host, agent) = reached.map_err(|error| ControlError::Unreached(error.into()))?;
        match agent.tcp(to.ip(), to.port()).await {
            Ok(stream) => Ok(Ok(stream)),
            Err(StreamError::Failed(failure)) => Ok(Err(io::Error::other(failure))),
            Err(error) => Err(ControlError::Unreached(host.link.explain(error).into())),
        }
    }

    async fn run_inside(&self, command: InsideCommand) -> Result<InsideEnd, ControlError> {
        let config = ExecConfig {
            command: command.words,
            ..ExecConfig::default()
        };
        let limits = ExecLimits {
            timeout: command.timeout,
            max_output_bytes: MOST_OUTPUT,
        };
        let ran = self.engine.exec(&self.id, &config, &limits).await;
        let ran = ran.map_err(|error| ControlError::Unreached(error.into()))?;
        match ran.end {
            ExecEnd::Exited { code } => Ok(InsideEnd::Exited {
                code,
                output: [ran.stdout, ran.stderr].concat(),
            }),
            ExecEnd::TimedOut { pid } => {
                if let Some(pid) = pid {
                    let id = self.id.clone();
                    blocking::unblock(move || end_late(pid, &id)).await;
                }
                Ok(InsideEnd::TimedOut)
            }
        }
    }

    async fn own_health(&self) -> Result<Option<OwnHealth>, ControlError> {
        let unreached = |error: EngineError| ControlError::Unreached(error.into());
        let engine = self.engine.capabilities().await.map_err(unreached)?;
        if !engine.runs_checks {
            let checked = self.engine.check(&self.id).await.map_err(unreached)?;
            self.health.set(checked);
        }
        Ok(match self.health.get() {
            None => None,
            Some(HealthStatus::Starting) => Some(OwnHealth::Starting),
            Some(HealthStatus::Healthy) => Some(OwnHealth::Healthy),
            Some(HealthStatus::Unhealthy) => {
                let seen = self.engine.inspect(&self.id).await.map_err(unreached)?;
                let said = seen.state.health.and_then(|health| health.last);
                Some(OwnHealth::Unhealthy {
                    said: said.map(|last| (last.exit_code, last.output)),
                })
            }
        })
    }
}

/// Ends a command whose time is over. The engine has no way to do so; where it is another machine's, the number is of
/// nobody here, or of a stranger: only what is in the container's own cgroup is signalled.
fn end_late(pid: u32, id: &ContainerId) {
    let is_inside = || {
        let path = Path::new("/proc").join(pid.to_string()).join("cgroup");
        std::fs::read_to_string(path).is_ok_and(|cgroup| cgroup.contains(id.as_str()))
    };
    if !is_inside() {
        return;
    }
    let opened = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    // What it holds now is that process for good: looked at once more, it cannot become another.
    if let Some(Ok(process)) = opened
        && is_inside()
        && let Err(error) = pidfd_send_signal(process, Signal::KILL)
    {
        tracing::warn!(pid, %error, "a command that was too slow goes on in its container");
    }
}

/// Enough of what a probe said for a reason.
const MOST_OUTPUT: usize = 16 * 1024;
