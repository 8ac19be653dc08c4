//! What can be asked of a connected agent.
//!
//! Owns: each request with what its answer means.

use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service_shim::agent::protocol::{Answer, Facts, Failure, FailureKind, Request};
use service_shim::{ExitRecord, LogMode, RawString};

use super::carry::carry;
use super::follow::{LogRecords, RunningCommand};
use super::link::AgentLink;
use super::stream::{AgentStream, StreamError};

/// What a run directory there says at first sight.
#[derive(Debug)]
pub(crate) enum RemoteSight {
    Ended(ExitRecord),
    /// There is no such directory.
    Missing(ExitRecord),
    Served(UnixStream),
    Adopting(UnixStream),
}

impl AgentLink {
    /// What the host is.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn facts(&self) -> Result<Facts, StreamError> {
        match self.answered(&Request::Facts).await?.1 {
            Answer::Facts(facts) => Ok(*facts),
            other => Err(senseless(&other)),
        }
    }

    /// A port that nothing listens on there, of TCP or UDP, and that is none of these.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn free_port(&self, udp: bool, taken: &[u16]) -> Result<u16, StreamError> {
        let taken = taken.to_owned();
        match self.answered(&Request::FreePort { udp, taken }).await?.1 {
            Answer::FreePort { port } => Ok(port),
            other => Err(senseless(&other)),
        }
    }

    /// A connection to a TCP address, as the host reaches it.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn tcp(&self, address: IpAddr, port: u16) -> Result<UnixStream, StreamError> {
        let request = Request::Tcp { address, port };
        let (stream, answer) = self.answered(&request).await?;
        match answer {
            Answer::Open => carried(stream),
            other => Err(senseless(&other)),
        }
    }

    /// A connection to a unix socket of the host.
    ///
    /// # Errors
    /// [`StreamError`]; `NotFound` where there is none, `Refused` where nobody listens, `Permission` where that user may not.
    pub async fn unix(&self, path: &Path) -> Result<UnixStream, StreamError> {
        let path = path.to_owned();
        let (stream, answer) = self.answered(&Request::Unix { path }).await?;
        match answer {
            Answer::Open => carried(stream),
            other => Err(senseless(&other)),
        }
    }

    /// Runs a command there. It is killed, with its process group, when what is returned is dropped or the connection lost.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn exec(
        &self,
        argv: Vec<RawString>,
        env: Vec<(RawString, RawString)>,
        cwd: Option<PathBuf>,
        timeout: Option<Duration>,
    ) -> Result<RunningCommand, StreamError> {
        let request = Request::Exec {
            argv,
            env,
            cwd,
            timeout_ms: timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        let (stream, answer) = self.answered(&request).await?;
        match answer {
            Answer::Open => Ok(RunningCommand::new(stream)),
            other => Err(senseless(&other)),
        }
    }

    /// The records of a log there: those of this attempt and later ones, from the first at or after `since_ns` on.
    ///
    /// # Errors
    /// [`StreamError`]; `NotFound` while there is no such log.
    pub async fn log(
        &self,
        dir: &Path,
        attempt: u64,
        since_ns: Option<u64>,
        follow: bool,
    ) -> Result<LogRecords, StreamError> {
        let request = Request::Log {
            dir: dir.to_owned(),
            attempt,
            since_ns,
            follow,
        };
        let (stream, answer) = self.answered(&request).await?;
        match answer {
            Answer::Open => Ok(LogRecords::new(stream)),
            other => Err(senseless(&other)),
        }
    }

    /// Writes a file there, whole or not at all.
    ///
    /// # Errors
    /// [`StreamError`]. When the connection is lost, it may be there.
    pub async fn put(
        &self,
        path: &Path,
        mode: u32,
        sha256: &str,
        content: &[u8],
    ) -> Result<(), StreamError> {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let stream = self.putting(path, mode, sha256, size).await?;
        stream.write(content).await?;
        stream.end();
        while stream.read().await?.is_some() {}
        Ok(())
    }

    /// A stream that becomes a file there: see [`Request::Put`].
    pub(super) async fn putting(
        &self,
        path: &Path,
        mode: u32,
        sha256: &str,
        size: u64,
    ) -> Result<AgentStream, StreamError> {
        let request = Request::Put {
            path: path.to_owned(),
            mode,
            sha256: sha256.to_owned(),
            size,
        };
        self.answered(&request).await.map(|(stream, _)| stream)
    }

    /// Removes a run directory. One that is gone is no error.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn remove_run_dir(&self, run_dir: &Path) -> Result<(), StreamError> {
        let run_dir = run_dir.to_owned();
        self.answered(&Request::Remove { run_dir }).await.map(drop)
    }

    /// The instance ids of the run directories below a root.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn list_run_dirs(&self, run_root: &Path) -> Result<Vec<String>, StreamError> {
        let run_root = run_root.to_owned();
        match self.answered(&Request::List { run_root }).await?.1 {
            Answer::Listed { instance_ids } => Ok(instance_ids),
            other => Err(senseless(&other)),
        }
    }

    /// Whether the service of a run directory is alive, whatever is recorded.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn is_alive(&self, run_dir: &Path) -> Result<bool, StreamError> {
        let run_dir = run_dir.to_owned();
        match self.answered(&Request::Alive { run_dir }).await?.1 {
            Answer::Alive { alive } => Ok(alive),
            other => Err(senseless(&other)),
        }
    }

    /// Makes a run directory with a shim in it, which waits for its order on the stream.
    pub(crate) async fn start_shim(
        &self,
        run_root: &Path,
        instance_id: &str,
        log_mode: LogMode,
        before_ns: u64,
    ) -> Result<AgentStream, StreamError> {
        let request = Request::Start {
            run_root: run_root.to_owned(),
            instance_id: instance_id.to_owned(),
            log_mode,
            before_ns,
        };
        match self.answered(&request).await? {
            (stream, Answer::Open) => Ok(stream),
            (_, other) => Err(senseless(&other)),
        }
    }

    pub(crate) async fn look(&self, run_dir: &Path) -> Result<RemoteSight, StreamError> {
        let run_dir = run_dir.to_owned();
        match self.answered(&Request::Look { run_dir }).await? {
            (stream, Answer::Open) => carried(stream).map(RemoteSight::Served),
            (stream, Answer::Adopting) => carried(stream).map(RemoteSight::Adopting),
            (
                _,
                Answer::Ended {
                    exit: Some(exit),
                    missing,
                },
            ) => Ok(match missing {
                true => RemoteSight::Missing(*exit),
                false => RemoteSight::Ended(*exit),
            }),
            (_, other) => Err(senseless(&other)),
        }
    }

    pub(crate) async fn connect(&self, run_dir: &Path) -> Result<UnixStream, StreamError> {
        let run_dir = run_dir.to_owned();
        match self.answered(&Request::Connect { run_dir }).await? {
            (stream, Answer::Open) => carried(stream),
            (_, other) => Err(senseless(&other)),
        }
    }

    pub(crate) async fn recorded_end(
        &self,
        run_dir: &Path,
    ) -> Result<Option<ExitRecord>, StreamError> {
        let run_dir = run_dir.to_owned();
        match self.answered(&Request::Ended { run_dir }).await?.1 {
            Answer::Ended { exit, .. } => Ok(exit.map(|exit| *exit)),
            other => Err(senseless(&other)),
        }
    }

    async fn answered(&self, request: &Request) -> Result<(AgentStream, Answer), StreamError> {
        let stream = self.ask(request)?;
        let answer = stream.answer().await?;
        Ok((stream, answer))
    }
}

pub(crate) fn carried(stream: AgentStream) -> Result<UnixStream, StreamError> {
    carry(stream).map_err(|error| here(&error))
}

fn here(error: &io::Error) -> StreamError {
    Failure::system("cannot make a socket on this machine", error).into()
}

fn senseless(answer: &Answer) -> StreamError {
    let message = format!("the agent gave an answer to something else: {answer:?}");
    Failure::new(FailureKind::System, message).into()
}
