//! What happens on an engine, told as it happens.
//!
//! Owns: the request, and what each event means. Never asks again by itself: whoever listens looks at everything once
//! after each beginning, because what happened in between may be told by nobody. The engine keeps only the last 256.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use futures::Stream;
use harness_http::BodyStream;
use serde::Deserialize;

use crate::call::Call;
use crate::container::HealthStatus;
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::json::null_is_default;
use crate::refusal;
use crate::target::{Filters, Target};
use crate::time;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventsQuery {
    /// Those since then as well, as far as the engine has kept them; `None`: only what comes.
    pub since_ns: Option<u64>,
    /// None after then: the stream ends once the engine has told what it has. `None`: it goes on.
    pub until_ns: Option<u64>,
    /// Narrowed by `type`, `event`, `label`, `container` …
    pub filters: Filters,
}

/// Something has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// What.
    pub kind: EventKind,
    /// To what: the id of a container or network, the name of an image or volume.
    pub id: String,
    /// Labels and particulars.
    pub attributes: BTreeMap<String, String>,
    /// When, in nanoseconds since 1970.
    pub time_ns: u64,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// Something with a container.
    Container(ContainerAction),
    /// Something with a network.
    Network(NetworkAction),
    /// Something else, in the engine's words.
    Other {
        /// `image`, `volume`, `daemon` …
        kind: String,
        /// `pull`, `mount`, `reload` …
        action: String,
    },
}

/// What has happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerAction {
    /// It was made.
    Create,
    /// It runs.
    Start,
    /// It has ended.
    Die {
        /// 128 and the signal's number, where one ended it; `None` where the engine does not say.
        exit_code: Option<i64>,
    },
    /// The kernel killed something in it for want of memory.
    Oom,
    /// It was removed.
    Destroy,
    /// Its check has another verdict.
    Health(HealthStatus),
    /// A signal was sent to it.
    Kill {
        /// The signal, by name or number.
        signal: String,
    },
    /// It was stopped by the engine, after `Die`.
    Stop,
    /// It was restarted by the engine.
    Restart,
    /// It has another name.
    Rename {
        /// The name that it had.
        old: String,
        /// The name that it has.
        new: String,
    },
    /// It is frozen.
    Pause,
    /// It goes on.
    Unpause,
    /// Something else, in the engine's words.
    Other(String),
}

/// What has happened to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkAction {
    /// It was made.
    Create,
    /// It was removed.
    Destroy,
    /// A container was connected.
    Connect {
        /// Its id.
        container: String,
    },
    /// A container was taken off.
    Disconnect {
        /// Its id.
        container: String,
    },
    /// Something else, in the engine's words.
    Other(String),
}

impl Engine {
    /// What happens, from now on. The stream has a connection of its own, closed when it is dropped.
    ///
    /// The request is answered once the engine listens: what happens after this has returned is in the stream. The stream ends, or
    /// fails with [`EngineError::Lost`], when the engine goes away; it says nothing about any container.
    ///
    /// # Errors
    /// [`EngineError`]; after an error the stream is over.
    pub async fn events(&self, query: &EventsQuery) -> Result<EventStream, EngineError> {
        let mut target = Target::new(&["events"]).with_filters(&query.filters);
        if let Some(since) = query.since_ns {
            target = target.with("since", &time::as_query(since));
        }
        if let Some(until) = query.until_ns {
            target = target.with("until", &time::as_query(until));
        }
        let body = self.follow(&Call::get(target, Object::Engine)).await?;
        Ok(EventStream {
            engine: self.clone(),
            body: Some(body),
            lines: Lines::default(),
        })
    }
}

/// Events, as they come.
pub struct EventStream {
    engine: Engine,
    /// `None` once there is no more to come.
    body: Option<BodyStream>,
    lines: Lines,
}

/// Events that have come, and the beginning of one.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// How much of the buffer holds no end of a line.
    searched: usize,
}

impl Lines {
    /// The next event that is whole.
    fn take(&mut self) -> Option<Result<EngineEvent, String>> {
        loop {
            let Some(end) = self.buffer[self.searched..]
                .iter()
                .position(|b| *b == b'\n')
            else {
                self.searched = self.buffer.len();
                let is_endless = self.searched > MAX_EVENT_BYTES;
                return is_endless.then(|| Err(format!("an event of {} bytes", self.searched)));
            };
            let line = self.buffer.split_to(self.searched + end);
            self.buffer.advance(1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(parse(&line));
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Result<EngineEvent, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            let next = match this.lines.take() {
                Some(Ok(event)) => return Poll::Ready(Some(Ok(event))),
                Some(Err(reason)) => Some(Err(this.engine.malformed(&Object::Engine, reason))),
                None => match ready!(Pin::new(body).poll_next(cx)) {
                    Some(Ok(bytes)) => {
                        this.lines.buffer.extend_from_slice(&bytes);
                        continue;
                    }
                    Some(Err(error)) => Some(Err(this.engine.lost(error, &Object::Engine))),
                    // An engine on its way out ends what it has begun.
                    None => None,
                },
            };
            this.body = None;
            return Poll::Ready(next);
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventStream({})", self.engine.address())
    }
}

/// Reads one event.
fn parse(line: &[u8]) -> Result<EngineEvent, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Event {
        #[serde(default)]
        r#type: String,
        #[serde(default)]
        action: String,
        #[serde(default, deserialize_with = "null_is_default")]
        actor: Actor,
        #[serde(default, rename = "timeNano")]
        time_ns: u64,
        #[serde(default, rename = "time")]
        time_seconds: u64,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Actor {
        #[serde(default, rename = "ID")]
        id: String,
        #[serde(default, deserialize_with = "null_is_default")]
        attributes: BTreeMap<String, String>,
    }
    let event: Event =
        serde_json::from_slice(line).map_err(|error| refusal::json_reason(&error))?;
    let attributes = event.actor.attributes;
    let kind = match event.r#type.as_str() {
        "container" => EventKind::Container(container_action(event.action, &attributes)),
        "network" => EventKind::Network(network_action(event.action, &attributes)),
        _ => EventKind::Other {
            kind: event.r#type,
            action: event.action,
        },
    };
    Ok(EngineEvent {
        kind,
        id: event.actor.id,
        attributes,
        time_ns: match event.time_ns {
            0 => event.time_seconds.saturating_mul(1_000_000_000),
            time_ns => time_ns,
        },
    })
}

fn container_action(action: String, attributes: &BTreeMap<String, String>) -> ContainerAction {
    let attribute = |name: &str| attributes.get(name).cloned().unwrap_or_default();
    match action.as_str() {
        "create" => ContainerAction::Create,
        "start" => ContainerAction::Start,
        // podman's word, and how it writes the attribute.
        "die" | "died" => ContainerAction::Die {
            exit_code: ["exitCode", "containerExitCode"]
                .iter()
                .find_map(|name| attributes.get(*name)?.parse().ok()),
        },
        "oom" => ContainerAction::Oom,
        "destroy" | "remove" => ContainerAction::Destroy,
        "kill" => ContainerAction::Kill {
            signal: attribute("signal"),
        },
        "stop" => ContainerAction::Stop,
        "restart" => ContainerAction::Restart,
        "rename" => ContainerAction::Rename {
            old: attribute("oldName").trim_start_matches('/').to_owned(),
            new: attribute("name"),
        },
        "pause" => ContainerAction::Pause,
        "unpause" => ContainerAction::Unpause,
        other => {
            let verdict = other.strip_prefix("health_status").map(|rest| {
                let word = rest.trim_start_matches(':').trim();
                if word.is_empty() {
                    attribute("health_status")
                } else {
                    word.to_owned()
                }
            });
            match verdict.and_then(|word| HealthStatus::parse(&word)) {
                Some(verdict) => ContainerAction::Health(verdict),
                None => ContainerAction::Other(action),
            }
        }
    }
}

fn network_action(action: String, attributes: &BTreeMap<String, String>) -> NetworkAction {
    let container = || attributes.get("container").cloned().unwrap_or_default();
    match action.as_str() {
        "create" => NetworkAction::Create,
        "destroy" | "remove" => NetworkAction::Destroy,
        "connect" => NetworkAction::Connect {
            container: container(),
        },
        "disconnect" => NetworkAction::Disconnect {
            container: container(),
        },
        _ => NetworkAction::Other(action),
    }
}

/// Labels are in every event; nobody has this many.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests;
