//! How an attempt on another host is controlled.
//!
//! Owns: that an order to end reaches it, however long its host is out of reach; and running commands beside it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use async_trait::async_trait;
use command_executor::agent::{HostLink, RequestError, StreamError};
use command_executor::supervised::{self, Control};
use service_shim::agent::record::CommandExit;

use super::DEFAULT_PATH;
use crate::executors::shimmed::{feed, given, stop_policy};
use crate::executors::{AttemptControl, ControlError, Input, InsideCommand, InsideEnd, StopOrder};

/// The handle of an attempt.
#[derive(Debug)]
pub(super) struct RemoteControl {
    pub(super) control: Control,
    pub(super) host: HostLink,
    pub(super) working_dir: PathBuf,
}

impl RemoteControl {
    /// Whether the order may be given again, once its host is back. Orders to end mean the same however often they are given.
    async fn is_worth_another(&self, given: &Result<(), supervised::ControlError>) -> bool {
        use supervised::{AdoptError, ControlError};
        match given {
            Err(ControlError::Broken(_) | ControlError::Silent) => {}
            Err(ControlError::Unreachable(AdoptError::Host(RequestError::Unreachable {
                ..
            }))) => {}
            _ => return false,
        }
        if self.host.agent().is_ok() {
            return false;
        }
        drop(self.host.reached().await);
        true
    }
}

#[async_trait]
impl AttemptControl for RemoteControl {
    async fn stop(&self, stop: &StopOrder) -> Result<(), ControlError> {
        loop {
            let policy = stop_policy(stop.signal, stop.grace, stop.scope);
            let outcome = self.control.stop(policy).await;
            if !self.is_worth_another(&outcome).await {
                return given(outcome);
            }
        }
    }

    async fn kill(&self) -> Result<(), ControlError> {
        loop {
            let outcome = self.control.kill().await;
            if !self.is_worth_another(&outcome).await {
                return given(outcome);
            }
        }
    }

    async fn signal(&self, number: i32) -> Result<(), ControlError> {
        given(self.control.signal(number).await)
    }

    async fn feed(&self, input: &Input) -> Result<(), ControlError> {
        feed(&self.control, input).await
    }

    async fn dial(&self, to: SocketAddr) -> Result<io::Result<UnixStream>, ControlError> {
        let agent = self.host.agent();
        let agent = agent.map_err(|error| ControlError::Unreached(error.into()))?;
        match agent.tcp(to.ip(), to.port()).await {
            Ok(stream) => Ok(Ok(stream)),
            Err(StreamError::Failed(failure)) => Ok(Err(io::Error::other(failure))),
            Err(error) => Err(ControlError::Unreached(self.host.explain(error).into())),
        }
    }

    async fn run_inside(&self, command: InsideCommand) -> Result<InsideEnd, ControlError> {
        let unreached =
            |error: StreamError| ControlError::Unreached(self.host.explain(error).into());
        let agent = self.host.agent();
        let agent = agent.map_err(|error| ControlError::Unreached(error.into()))?;
        let argv = command.words.iter().map(|word| word.as_str().into());
        let env = with_path(command.env).into_iter();
        let env = env.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let running = agent.exec(
            argv.collect(),
            env.collect(),
            Some(self.working_dir.clone()),
            Some(command.timeout),
        );
        let running = running.await.map_err(unreached)?;
        let ([stdout, stderr], exit) = running.complete(MOST_OUTPUT).await.map_err(unreached)?;
        let output = [stdout, stderr].concat();
        Ok(match exit {
            CommandExit::Code(code) => InsideEnd::Exited {
                code: code.into(),
                output,
            },
            CommandExit::Signal(signal) => InsideEnd::Exited {
                code: i64::from(signal) + OF_SIGNALS,
                output,
            },
            CommandExit::TimedOut => InsideEnd::TimedOut,
        })
    }
}

/// An environment by which programs are found.
pub(super) fn with_path(mut env: BTreeMap<String, String>) -> BTreeMap<String, String> {
    env.entry("PATH".to_owned())
        .or_insert_with(|| DEFAULT_PATH.to_owned());
    env
}

/// Enough of what a probe said for a reason.
const MOST_OUTPUT: usize = 16 * 1024;

/// As shells tell an end by a signal.
const OF_SIGNALS: i64 = 128;
