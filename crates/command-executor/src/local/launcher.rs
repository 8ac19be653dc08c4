//! Starts a command on this host, with pipes for what is captured.
//!
//! Stays on the `posix_spawn` path of the standard library (no `pre_exec`) and off the caller's thread.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Stdio};
use std::sync::Arc;

use async_io::Async;
use async_trait::async_trait;
use rustix::process::Pid;

use crate::blocking::unblock;
use crate::event::ProcessEventStream;
use crate::local::LocalHandle;
use crate::local::handle::Stdin;
use crate::local::output::Output;
use crate::local::pipe::{Pipe, Source};
use crate::local::process::Process;
use crate::{Command, LaunchError, Launcher, OutputMode, StdinHandle, StdinMode, Target};

/// Starts commands on this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalLauncher {}

impl LocalLauncher {
    /// A launcher; it holds nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Launcher for LocalLauncher {
    type Handle = LocalHandle;

    async fn launch(
        &self,
        target: &Target,
        command: Command,
    ) -> Result<(ProcessEventStream, LocalHandle), LaunchError> {
        let role = match target {
            Target::Command => Role {
                leads_group: false,
                kill_on_drop: true,
            },
            Target::ManagedProcess(managed) => Role {
                leads_group: managed.has_own_group(),
                kill_on_drop: managed.is_killed_on_drop(),
            },
            Target::AttachedProcess(_) => {
                let target = Box::new(target.clone());
                return Err(LaunchError::Unsupported {
                    launcher: "the local launcher",
                    target,
                });
            }
        };
        // Spawning takes a third of a millisecond: too long for an executor's thread.
        let (events, handle) = unblock(move || launch(&command, role)).await?;
        // Only now does somebody have the handle; a launch that was cancelled before kills what it started.
        Ok((
            ProcessEventStream::new(events),
            handle.kill_on_drop(role.kill_on_drop),
        ))
    }
}

#[derive(Clone, Copy)]
struct Role {
    leads_group: bool,
    kill_on_drop: bool,
}

fn launch(command: &Command, role: Role) -> Result<(Output, LocalHandle), LaunchError> {
    let mut child = spawn(command, role)?;
    let held = hold(&mut child, command, role);
    held.map_err(|source| {
        // Nobody has reaped it, so this reaches the child and nothing else.
        let killed = child.kill().and_then(|()| child.wait());
        if let Err(error) = killed {
            tracing::warn!(%error, pid = child.id(), "cannot end a process that could not be held");
        }
        LaunchError::NotHeld {
            program: command.program_text(),
            source,
        }
    })
}

fn spawn(command: &Command, role: Role) -> Result<Child, LaunchError> {
    let mut native = process::Command::new(command.get_program());
    native.args(command.get_args());
    if !command.inherits_env() {
        native.env_clear();
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => native.env(name, value),
            None => native.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        native.current_dir(directory);
    }
    if role.leads_group {
        native.process_group(0);
    }
    native.stdin(match command.get_stdin() {
        StdinMode::Null => Stdio::null(),
        StdinMode::Inherit => Stdio::inherit(),
        StdinMode::Channel | StdinMode::Held => Stdio::piped(),
    });
    native.stdout(for_output(command.get_stdout()));
    native.stderr(for_output(command.get_stderr()));
    native.spawn().map_err(|source| explain(command, source))
}

fn for_output(mode: OutputMode) -> Stdio {
    match mode {
        OutputMode::Events => Stdio::piped(),
        OutputMode::Null => Stdio::null(),
        OutputMode::Inherit => Stdio::inherit(),
    }
}

/// The system says "not found" of the program and of the directory alike.
fn explain(command: &Command, source: io::Error) -> LaunchError {
    let program = command.program_text();
    if let Some(directory) = command.get_current_dir()
        && let Err(source) = std::fs::read_dir(directory)
    {
        return LaunchError::WorkingDirectory {
            program,
            directory: directory.to_owned(),
            source,
        };
    }
    LaunchError::NotRunnable { program, source }
}

fn hold(child: &mut Child, command: &Command, role: Role) -> io::Result<(Output, LocalHandle)> {
    let max_line_bytes = command.get_max_line_bytes();
    let pipe = |descriptor: Option<OwnedFd>, source| {
        descriptor
            .map(|descriptor| Pipe::new(descriptor, source, max_line_bytes))
            .transpose()
    };
    let stdout = pipe(child.stdout.take().map(OwnedFd::from), Source::Stdout)?;
    let stderr = pipe(child.stderr.take().map(OwnedFd::from), Source::Stderr)?;
    let stdin = child.stdin.take().map(Async::new).transpose()?;
    let process = Arc::new(Process::hold(Pid::from_child(child), role.leads_group)?);
    let stdin = stdin.map(|pipe| StdinHandle::open(pipe, command.stdin_preamble()));
    let stdin = match command.get_stdin() {
        StdinMode::Held => Stdin::Held { _pipe: stdin },
        StdinMode::Null | StdinMode::Inherit | StdinMode::Channel => Stdin::Given(stdin),
    };
    let handle = LocalHandle::new(process.clone(), stdin);
    Ok((Output::new(process, [stdout, stderr]), handle))
}
