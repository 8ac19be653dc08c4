//! Programs that are run inside a container.
//!
//! Owns: the bounds on time and output. The engine has no way to end such a program: what runs into a bound goes on
//! inside, and the caller gets its process id, as the host numbers it, to end it from there.

use std::time::Duration;

use futures::StreamExt;
use futures_lite::FutureExt;
use harness_http::BodyStream;
use serde::Deserialize;
use serde_json::json;

use crate::call::Call;
use crate::container::{Environment, path};
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::frames::{Frames, LogSource};
use crate::id::ContainerId;
use crate::target::Target;

/// A program to be run. It gets no input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Added to the container's.
    pub environment: Environment,
    /// `None`: the container's.
    pub user: Option<String>,
    /// `None`: the container's.
    pub working_dir: Option<String>,
    /// A terminal instead of pipes; output then has one stream.
    pub tty: bool,
}

/// Bounds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecLimits {
    /// Until the program has ended and closed its outputs.
    pub timeout: Duration,
    /// Of each output that much is kept; the rest is read and dropped.
    pub max_output_bytes: usize,
}

impl Default for ExecLimits {
    /// 30 s and 64 KiB.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_output_bytes: 64 * 1024,
        }
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// How it ended, if it did.
    pub end: ExecEnd,
    /// The beginning of its standard output; everything, where there is a terminal.
    pub stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub stderr: Vec<u8>,
    /// Whether there was more of either.
    pub is_cut: bool,
}

impl ExecOutcome {
    /// The exit code, of a program that has ended.
    #[must_use]
    pub fn exit_code(&self) -> Option<i64> {
        match self.end {
            ExecEnd::Exited { code } => Some(code),
            ExecEnd::TimedOut { .. } => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecEnd {
    /// By itself, or by a signal: 128 and its number. 126 and 127: it could not be run.
    Exited {
        /// The code.
        code: i64,
    },
    /// Not within the bound. It goes on inside the container.
    TimedOut {
        /// Its process id as the engine's host numbers it, to end it from there; `None` when the engine did not tell.
        pid: Option<u32>,
    },
}

impl Engine {
    /// Runs a program inside a running container, until it has ended and closed its outputs.
    ///
    /// A program that is not ended when its time is over goes on: [`ExecEnd::TimedOut`] tells its process id. One that leaves
    /// a child behind with its outputs open counts as not ended.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::NotRunning`], [`EngineError::Conflict`] (frozen), [`EngineError::NotRunnable`] from engines that
    /// refuse a missing program at once; others tell it by exit code 126 or 127. No value of a variable is in an error.
    ///
    /// # Cancellation
    /// The program goes on inside the container.
    pub async fn exec(
        &self,
        container: &ContainerId,
        config: &ExecConfig,
        limits: &ExecLimits,
    ) -> Result<ExecOutcome, EngineError> {
        let redact =
            |error: EngineError| error.with_message(|message| config.environment.redact(message));
        let id = self.create_exec(container, config).await.map_err(redact)?;
        let mut output = Output::new(config.tty, limits.max_output_bytes);
        let running = async {
            let target = Target::new(&["exec", &id, "start"]);
            let call = Call::post(target, Object::Container(container.clone()));
            let call = call.with_json(&json!({ "Detach": false, "Tty": config.tty }));
            let body = self.follow(&call).await.map_err(redact)?;
            self.collect(body, &mut output, container).await?;
            self.exec_end(&id).await.map(Some)
        };
        let too_late = async {
            async_io::Timer::after(limits.timeout).await;
            Ok(None)
        };
        let end = match running.or(too_late).await? {
            Some(end) => end,
            None => ExecEnd::TimedOut {
                pid: self.exec_state(&id).await?.pid(),
            },
        };
        Ok(ExecOutcome {
            end,
            stdout: output.stdout,
            stderr: output.stderr,
            is_cut: output.is_cut,
        })
    }

    async fn create_exec(
        &self,
        container: &ContainerId,
        config: &ExecConfig,
    ) -> Result<String, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            id: String,
        }
        let body = json!({
            "AttachStdout": true,
            "AttachStderr": true,
            "Tty": config.tty,
            "Cmd": config.command,
            "Env": config.environment.lines(),
            "User": config.user.as_deref().unwrap_or_default(),
            "WorkingDir": config.working_dir.as_deref().unwrap_or_default(),
        });
        let about = Object::Container(container.clone());
        let call = Call::post(path(container, &["exec"]), about).with_json(&body);
        let Created { id } = self.ask_json(&call).await?;
        Ok(id)
    }

    async fn collect(
        &self,
        mut body: BodyStream,
        output: &mut Output,
        container: &ContainerId,
    ) -> Result<(), EngineError> {
        let about = Object::Container(container.clone());
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| self.lost(error, &about))?;
            let taken = output.take(&bytes);
            taken.map_err(|error| self.malformed(&about, error.to_string()))?;
        }
        Ok(())
    }

    /// The end of a run whose outputs are closed. The engine notes it a moment later than that.
    async fn exec_end(&self, id: &str) -> Result<ExecEnd, EngineError> {
        let mut pause = Duration::from_millis(2);
        loop {
            let state = self.exec_state(id).await?;
            if let (false, Some(code)) = (state.running, state.exit_code) {
                return Ok(ExecEnd::Exited { code });
            }
            async_io::Timer::after(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn exec_state(&self, id: &str) -> Result<ExecState, EngineError> {
        let target = Target::new(&["exec", id, "json"]);
        let call = Call::get(target, Object::Exec(id.to_owned()));
        self.ask_json(&call).await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecState {
    #[serde(default)]
    running: bool,
    exit_code: Option<i64>,
    #[serde(default)]
    pid: i64,
}

impl ExecState {
    fn pid(&self) -> Option<u32> {
        u32::try_from(self.pid).ok().filter(|pid| *pid > 0)
    }
}

/// What is kept of a program's output.
struct Output {
    /// `None`: a terminal's output has no frames.
    frames: Option<Frames>,
    most: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    is_cut: bool,
}

impl Output {
    fn new(tty: bool, most: usize) -> Self {
        Self {
            frames: (!tty).then(Frames::default),
            most,
            stdout: Vec::new(),
            stderr: Vec::new(),
            is_cut: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), crate::frames::FrameError> {
        let Some(mut frames) = self.frames.take() else {
            self.keep(LogSource::Stdout, bytes);
            return Ok(());
        };
        frames.push(bytes);
        while let Some((source, data)) = frames.next_frame()? {
            self.keep(source, &data);
        }
        self.frames = Some(frames);
        Ok(())
    }

    fn keep(&mut self, source: LogSource, bytes: &[u8]) {
        let kept = match source {
            LogSource::Stdout => &mut self.stdout,
            LogSource::Stderr => &mut self.stderr,
        };
        let room = self.most.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_is_kept_up_to_the_bound() {
        let mut output = Output::new(false, 4);
        for (kind, data) in [(1, b"abc"), (2, b"xyz"), (1, b"def")] {
            output.take(&[kind, 0, 0, 0, 0, 0, 0, 3]).expect("a head");
            output.take(data).expect("data");
        }
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (b"abcd".as_slice(), b"xyz".as_slice())
        );
        assert!(output.is_cut);
    }

    #[test]
    fn a_terminals_output_is_taken_as_it_is() {
        let mut output = Output::new(true, 100);
        output.take(&[1, 2, 3]).expect("bytes");
        assert_eq!(output.stdout, [1, 2, 3]);
        assert!(!output.is_cut);
    }
}
