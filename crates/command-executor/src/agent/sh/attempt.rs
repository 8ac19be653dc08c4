//! One attempt on a host, as its shim would serve it over its socket.
//!
//! Owns: the requests of the shim's protocol, each as what a shell there is asked, and what is told of the attempt meanwhile.
//! Never decides anything: who ends the service, and writes down how it ended, is there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use async_io::Timer;
use futures_lite::FutureExt;
use service_shim::agent::protocol::{Answer, Failure};
use service_shim::protocol::{
    self, LaunchOrder, LineBuffer, Notice, NotifyState, Request, StartFailure, Status,
};
use service_shim::{Signal, StartFailureKind, StopPolicy, StopScope};

use super::bridge::Bridge;
use super::log::now_ns;
use super::order;
use super::record::{Known, Sight};
use super::shell::ShellError;
use super::watch::{Seen, Watching};
use crate::agent::stream::{AgentStream, StreamError};

/// A stream that is spoken to as a shim is.
pub(super) struct Attempt<'a> {
    bridge: &'a Bridge,
    dir: PathBuf,
    stream: &'a AgentStream,
    lines: LineBuffer,
    watching: Watching,
    is_subscribed: bool,
}

/// Why it is spoken to no more.
pub(super) enum Over {
    /// Its end was told, or nobody listens, or somebody has to look again.
    Done,
    Failed(Failure),
}

impl From<StreamError> for Over {
    fn from(_: StreamError) -> Over {
        Over::Done
    }
}

impl From<ShellError> for Over {
    fn from(error: ShellError) -> Over {
        Over::Failed(error.failure())
    }
}

impl From<Failure> for Over {
    fn from(failure: Failure) -> Over {
        Over::Failed(failure)
    }
}

enum Happened {
    Said(Option<Vec<u8>>),
    Seen(Option<Seen>),
}

impl<'a> Attempt<'a> {
    pub(super) fn new(bridge: &'a Bridge, dir: &Path, stream: &'a AgentStream) -> Attempt<'a> {
        Attempt {
            bridge,
            dir: dir.to_owned(),
            stream,
            lines: LineBuffer::default(),
            watching: bridge.watch.attempt(dir),
            is_subscribed: false,
        }
    }

    /// Takes the order that comes first, has it carried out, and serves what it leads to. It is refused there when it comes
    /// later than `before`, in hundredths of a second by the host's clock.
    pub(super) async fn launch(mut self, before: u64) -> Result<(), Over> {
        self.stream.say(&Answer::Open);
        let line = loop {
            if let Some(line) = self.lines.next_line() {
                break line;
            }
            let Some(bytes) = self.stream.read().await? else {
                return Err(Over::Done);
            };
            self.stream.taken(bytes.len());
            self.lines.push(&bytes);
        };
        let spec = LaunchOrder::decode(&line);
        let script = spec.map_err(|error| StartFailure {
            kind: StartFailureKind::Order,
            message: format!("the order cannot be read: {error}"),
        });
        let script = match script.and_then(|spec| order::script(&spec, now_ns())) {
            Ok(script) => script,
            Err(failure) => return self.end_with(Notice::Failed { failure }).await,
        };
        let words: [OsString; 3] = [self.dir.clone().into(), before.to_string().into(), script];
        if let Err(error) = self.bridge.shell.ask("launch", words).await {
            let failure = StartFailure {
                kind: StartFailureKind::System,
                message: error.failure().message,
            };
            return self.end_with(Notice::Failed { failure }).await;
        }
        self.bridge.watch.hurry();
        let late = async {
            Timer::after(PATIENCE).await;
            // Whoever looks again decides whether it will ever be started.
            Err(Over::Done)
        };
        let known = self.begun(true).or(late).await?;
        if let Some(failure) = known.exit.as_ref().and_then(|exit| exit.failure.clone()) {
            return self.end_with(Notice::Failed { failure }).await;
        }
        self.is_subscribed = true;
        if let Some(identity) = known.identity {
            self.tell(Notice::Started { identity }).await?;
        }
        if known.exit.is_some() {
            return self.told_end().await;
        }
        self.serve().await
    }

    /// Serves one that was launched before.
    pub(super) async fn attend(mut self) -> Result<(), Over> {
        self.begun(false).await?;
        self.serve().await
    }

    /// Waits until it runs or has ended. Of one that was only just ordered, nothing may be there yet.
    async fn begun(&mut self, is_fresh: bool) -> Result<Known, Over> {
        loop {
            match self.happened().await? {
                Happened::Said(Some(bytes)) => self.lines.push(&bytes),
                Happened::Said(None) | Happened::Seen(None) => return Err(Over::Done),
                Happened::Seen(Some(Seen::Attempt(Sight::Starts))) => {}
                Happened::Seen(Some(Seen::Attempt(Sight::Lost))) if is_fresh => {}
                Happened::Seen(Some(_)) => {
                    let known = self.known().await?;
                    return match known.sight == Sight::Runs || known.exit.is_some() {
                        true => Ok(known),
                        // Whoever was beside it died at this moment.
                        false => Err(Over::Done),
                    };
                }
            }
        }
    }

    async fn serve(mut self) -> Result<(), Over> {
        loop {
            while let Some(line) = self.lines.next_line() {
                self.answer(&line).await?;
            }
            // What was seen is told once: whoever subscribed since then has to be told too.
            match self.happened().await? {
                Happened::Said(Some(bytes)) => self.lines.push(&bytes),
                Happened::Said(None) | Happened::Seen(None) => return Err(Over::Done),
                Happened::Seen(Some(Seen::Attempt(Sight::Runs | Sight::Starts))) => {}
                Happened::Seen(Some(_)) => self.told_end().await?,
            }
        }
    }

    /// Tells the end, if it is one; else whoever listens has to look again.
    async fn told_end(&mut self) -> Result<(), Over> {
        if let Some(exit) = self.known().await?.exit
            && self.is_subscribed
        {
            self.tell(Notice::Exited { exit }).await?;
        }
        self.stream.end();
        Err(Over::Done)
    }

    async fn happened(&self) -> Result<Happened, Over> {
        let said = async {
            let said = self.stream.read().await?;
            if let Some(bytes) = &said {
                self.stream.taken(bytes.len());
            }
            Ok(Happened::Said(said))
        };
        let seen = async { Ok(Happened::Seen(self.watching.next().await)) };
        said.or(seen).await
    }

    async fn answer(&mut self, line: &[u8]) -> Result<(), Over> {
        let Ok(request) = protocol::decode::<Request>(line) else {
            return self.refuse("the sh runner knows no such request").await;
        };
        match request {
            Request::Status => self.status().await,
            Request::Subscribe => {
                self.is_subscribed = true;
                self.tell(Notice::Done).await?;
                match self.known().await?.exit {
                    Some(_) => self.told_end().await,
                    None => Ok(()),
                }
            }
            Request::Stop(policy) => self.stop(&policy).await,
            Request::Kill => {
                let policy = StopPolicy {
                    signal: Signal::KILL,
                    grace: std::time::Duration::ZERO,
                    scope: StopScope::Group,
                };
                self.stop(&policy).await
            }
            Request::Signal { signal } => {
                let number = signal.number().to_string();
                let words = [self.dir.as_os_str(), OsStr::new(&number)];
                let asked = self.bridge.shell.ask("signal", words).await;
                self.outcome(asked.map(drop)).await
            }
            Request::Rotate => {
                self.refuse(
                    "the sh runner has the service write its log itself, and begins no new one",
                )
                .await
            }
            Request::Stdin { .. } | Request::CloseStdin => {
                self.refuse("the sh runner cannot pass input to a service")
                    .await
            }
        }
    }

    async fn stop(&mut self, policy: &StopPolicy) -> Result<(), Over> {
        let scope = match policy.scope {
            StopScope::Main => "main",
            StopScope::Group => "group",
        };
        let words: [OsString; 4] = [
            self.dir.clone().into(),
            policy.signal.number().to_string().into(),
            policy.grace.as_millis().to_string().into(),
            scope.into(),
        ];
        let asked = self.bridge.shell.ask("stop", words).await;
        self.bridge.watch.hurry();
        self.outcome(asked.map(drop)).await
    }

    /// What came of an order.
    async fn outcome(&mut self, asked: Result<(), ShellError>) -> Result<(), Over> {
        match asked {
            Ok(()) => self.tell(Notice::Done).await,
            Err(error) if error.word() == "gone" => {
                match self.known().await?.exit {
                    Some(exit) => self.tell(Notice::Exited { exit }).await?,
                    None => return Err(Over::Done),
                }
                self.stream.end();
                Err(Over::Done)
            }
            Err(error) if error.word() == "refused" => {
                let message = error.failure().message;
                self.refuse(&message).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn status(&mut self) -> Result<(), Over> {
        let known = self.known().await?;
        if let Some(exit) = known.exit {
            self.tell(Notice::Exited { exit }).await?;
            self.stream.end();
            return Err(Over::Done);
        }
        self.tell(Notice::Status(Status {
            identity: known.identity,
            shim_pid: known.runner,
            attempt: known.attempt,
            stopping: known.is_stopping,
            notify: NotifyState::default(),
        }))
        .await
    }

    async fn known(&self) -> Result<Known, Over> {
        let reply = self.bridge.shell.ask("state", [&self.dir]).await?;
        Ok(Known::read(&reply, &instance_of(&self.dir))?)
    }

    async fn refuse(&mut self, message: &str) -> Result<(), Over> {
        let message = message.to_owned();
        self.tell(Notice::Refused { message }).await
    }

    async fn tell(&mut self, notice: Notice) -> Result<(), Over> {
        Ok(self.stream.write(&protocol::encode(notice)).await?)
    }

    async fn end_with(&mut self, notice: Notice) -> Result<(), Over> {
        self.tell(notice).await?;
        self.stream.end();
        Ok(())
    }
}

/// An order is carried out by then, or nobody is about to.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// The name of a run directory.
pub(super) fn instance_of(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
