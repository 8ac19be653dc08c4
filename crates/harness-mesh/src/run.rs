//! Where a script is run: on a host by its agent, or on this machine by a shell.
//!
//! Owns: the two ways, and that they come to the same. Knows no script.

use std::path::Path;
use std::time::Duration;

use async_io::Timer;
use command_executor::agent::{HostLink, StreamError};
use command_executor::{Command, Executor, Exit, ProcessHandle, StdinMode, Target};
use futures_lite::{StreamExt, future};
use service_registry::HostId;
use service_shim::RawString;
use service_shim::agent::record::CommandExit;

use crate::error::{NodeError, named};

/// Runs scripts of one host.
#[derive(Clone, Debug)]
pub(crate) enum Runner {
    /// The agent there.
    Agent(HostLink),
    /// This machine.
    Here,
}

/// What a script wrote to its stdout and stderr, and how it ended.
type Told = ([Vec<u8>; 2], CommandExit);

impl Runner {
    /// Runs a script with these words and this input to its end.
    pub(crate) async fn run(
        &self,
        host: &HostId,
        script: &str,
        words: &[String],
        stdin: &[u8],
    ) -> Result<Told, NodeError> {
        match self {
            Self::Agent(link) => there(link, host, script, words, stdin).await,
            Self::Here => {
                let late = async {
                    Timer::after(LIMIT).await;
                    Ok(([Vec::new(), Vec::new()], CommandExit::TimedOut))
                };
                future::or(here(script, words, stdin), late).await
            }
        }
    }
}

async fn there(
    link: &HostLink,
    host: &HostId,
    script: &str,
    words: &[String],
    stdin: &[u8],
) -> Result<Told, NodeError> {
    let start = [SHELL, "-c", script, NAME];
    let argv = start.into_iter().chain(words.iter().map(String::as_str));
    let argv = argv
        .map(|word| RawString::from_bytes(word.into()))
        .collect();
    let agent = link.agent().map_err(NodeError::Unreachable)?;
    let root = Some(Path::new("/").to_owned());
    let told = async {
        let running = agent.exec(argv, Vec::new(), root, Some(LIMIT)).await?;
        running.write(stdin).await?;
        running.complete(MOST_SAID).await
    };
    told.await.map_err(|error| match error {
        StreamError::Lost(_) => NodeError::Unreachable(link.explain(error)),
        source => NodeError::Agent {
            host: named(host),
            source,
        },
    })
}

async fn here(script: &str, words: &[String], stdin: &[u8]) -> Result<Told, NodeError> {
    let mut command = Command::new(SHELL);
    command.args(["-c", script, NAME]).args(words);
    // Nothing of this process is for what outlives it; a script has a path of its own.
    command.env_clear().current_dir("/");
    command.stdin(StdinMode::Channel);
    let executor = Executor::local();
    let launched = executor.launch(&Target::Command, command).await;
    let (mut events, handle) = launched.map_err(|error| NodeError::Here(error.into()))?;
    if let Some(input) = handle.take_stdin() {
        // A script that ended without reading says by its exit why.
        let _ = input.send(stdin).await;
        input.close();
    }
    let mut said = [Vec::new(), Vec::new()];
    while let Some(event) = events.next().await {
        let stream = match event.event_type {
            command_executor::event::ProcessEventType::Stdout => &mut said[0],
            command_executor::event::ProcessEventType::Stderr => &mut said[1],
            _ => continue,
        };
        if stream.len() < MOST_SAID {
            stream.extend_from_slice(event.data.as_bytes());
            stream.push(b'\n');
        }
    }
    let exit = handle.wait().await;
    let exit = match exit.map_err(|error| NodeError::Here(error.into()))? {
        Exit::Code(code) => CommandExit::Code(code),
        Exit::Signal(signal) => CommandExit::Signal(signal),
        Exit::Unknown => {
            let reason = "how the script ended is not known";
            return Err(NodeError::Here(reason.into()));
        }
    };
    Ok((said, exit))
}

const SHELL: &str = "/bin/sh";

/// What the script is called in what the shell says of it.
const NAME: &str = "harness-mesh";

/// A script asks a few programs of the host; one that takes longer has hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Of what a script says. A mesh of a thousand peers says 120 KiB.
const MOST_SAID: usize = 256 * 1024;
