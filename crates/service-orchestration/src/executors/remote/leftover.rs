//! What stacks leave on hosts beyond their attempts: logs, and the working directories that are ours.
//!
//! Owns: which hosts a stack has used, one small file for each here, and removing what is there once the stack is forgotten. What
//! its services have written is removed only where volumes are.

use std::io;
use std::path::{Path, PathBuf};

use command_executor::agent::{AgentLink, StreamError};
use command_executor::blocking;
use service_shim::agent::protocol::{Failure, FailureKind};
use service_shim::agent::record::CommandExit;

use super::directory::HostCall;
use super::slip::{read_all, write};
use crate::spec::StackName;

/// The hosts that stacks have used.
#[derive(Clone, Debug)]
pub(in crate::executors) struct Traces(PathBuf);

impl Traces {
    pub(in crate::executors) fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// A stack is about to leave something on a host.
    pub(in crate::executors) async fn keep(
        &self,
        stack: &StackName,
        host: &HostCall,
    ) -> io::Result<()> {
        let directory = self.0.join(stack.as_str());
        // One for each host, under whichever login: what lies there belongs to the login's user.
        let user = host.user.as_deref().unwrap_or_default();
        let file = directory.join(format!("{}@{user}.json", host.name.replace('/', "_")));
        let text = serde_json::to_vec(host).map_err(io::Error::from)?;
        blocking::unblock(move || match file.exists() {
            true => Ok(()),
            false => write(&directory, &file, &text),
        })
        .await
    }

    /// The hosts that a stack has used.
    pub(in crate::executors) async fn of(&self, stack: &StackName) -> Vec<HostCall> {
        let directory = self.0.join(stack.as_str());
        let texts = blocking::unblock(move || read_all(&directory)).await;
        let calls = texts
            .iter()
            .filter_map(|text| serde_json::from_slice(text).ok());
        calls.collect()
    }

    /// Nothing of it is left anywhere.
    pub(in crate::executors) async fn forget(&self, stack: &StackName) {
        let directory = self.0.join(stack.as_str());
        let removed = blocking::unblock(move || std::fs::remove_dir_all(directory)).await;
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%stack, %error, "the notes of its hosts are left behind");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Removes what a stack has left below our own directory on a host.
pub(super) async fn remove(
    agent: &AgentLink,
    root: &Path,
    stack: &StackName,
    with_work: bool,
) -> Result<(), StreamError> {
    let ours = ["log", "work"]
        .into_iter()
        .filter(|name| with_work || *name == "log");
    let paths: Vec<PathBuf> = ours
        .map(|name| root.join(name).join(stack.as_str()))
        .collect();
    remove_all(agent, &paths).await
}

/// Removes what is ours there, with all that is in it.
pub(in crate::executors) async fn remove_all(
    agent: &AgentLink,
    paths: &[PathBuf],
) -> Result<(), StreamError> {
    let mut argv = vec!["rm".into(), "-rf".into(), "--".into()];
    argv.extend(
        paths
            .iter()
            .map(|path| path.clone().into_os_string().into()),
    );
    let env = vec![("PATH".into(), super::DEFAULT_PATH.into())];
    let removed = agent.exec(argv, env, None, None).await?;
    match removed.complete(MOST_COMPLAINT).await? {
        (_, CommandExit::Code(0)) => Ok(()),
        ([_, said], _) => {
            let message = String::from_utf8_lossy(&said).trim().to_owned();
            Err(Failure::new(FailureKind::System, message).into())
        }
    }
}

const MOST_COMPLAINT: usize = 4096;
