//! What the engine says happens to containers, for each who listens.
//!
//! Owns: the one stream of events of an engine, on a thread of its own that runs while somebody listens: to one container, or
//! to the starts of all that are ours. Keeps nothing of what it heard: whoever hears that it listens (again) asks the engine
//! how things are, and misses nothing after that.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use container_engine::{
    ContainerAction, ContainerId, Engine, EngineError, EventKind, EventStream, EventsQuery,
    Filters, NetworkAction,
};
use futures_lite::{StreamExt, future};

use super::starts::Starts;

/// What one listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Everything from now on is heard: what was before must be asked for.
    Listening,
    /// Nothing is heard any more, and why.
    Deaf(String),
    /// It was connected to a network, or taken off one.
    Networked,
    /// Something happened to the container.
    Happened(ContainerAction),
}

/// The way to the thread that listens, which is started for the first who does and ends with this value.
#[derive(Debug)]
pub(super) struct Hub {
    listeners: OnceLock<Sender<Listener>>,
    starts: Arc<Starts>,
}

#[derive(Debug)]
struct Listener {
    id: ContainerId,
    told: Sender<Heard>,
}

impl Hub {
    pub(super) fn new(starts: Arc<Starts>) -> Self {
        Self {
            listeners: OnceLock::new(),
            starts,
        }
    }

    /// Begins to listen to the starts of what is ours.
    pub(super) fn attend(&self, engine: &Engine) {
        self.thread(engine);
    }

    fn thread(&self, engine: &Engine) -> &Sender<Listener> {
        let begin = || begin(engine.clone(), Arc::clone(&self.starts));
        self.listeners.get_or_init(begin)
    }

    /// What happens to a container, by its full id; by its name, only that one is started that bears it. The first thing that is heard is whether the engine is.
    pub(super) fn listen(&self, engine: &Engine, id: ContainerId) -> Receiver<Heard> {
        let (told, heard) = async_channel::unbounded();
        // A hub without its thread drops the listener, who hears that the channel is closed.
        drop(self.thread(engine).try_send(Listener { id, told }));
        heard
    }
}

fn begin(engine: Engine, starts: Arc<Starts>) -> Sender<Listener> {
    let (listeners, coming) = async_channel::unbounded();
    let run = move || async_io::block_on(run(engine, coming, starts));
    // Without the thread, listeners find their channel closed, and say so.
    if let Err(error) = thread::Builder::new().name("containers".into()).spawn(run) {
        tracing::error!(%error, "the engine's events cannot be listened to");
    }
    listeners
}

async fn run(engine: Engine, coming: Receiver<Listener>, starts: Arc<Starts>) {
    let mut audience = Audience {
        listeners: BTreeMap::new(),
        starts,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        if coming.is_closed() && coming.is_empty() && audience.is_empty() {
            return;
        }
        if audience.is_idle() {
            match coming.recv().await {
                Ok(listener) => audience.join(listener),
                Err(async_channel::RecvError) => return,
            }
        }
        let reason = match engine.events(&query()).await {
            Ok(stream) => {
                pause = FIRST_PAUSE;
                audience.tell_all(&Heard::Listening);
                if audience.starts.look(&engine).await.is_err() {
                    tracing::debug!("what was started by others meanwhile is not known");
                }
                match audience.follow(stream, &coming).await {
                    None if audience.is_empty() && coming.is_closed() => return,
                    None if audience.is_idle() => continue,
                    Some(_) | None => format!("lost the container engine at {}", engine.address()),
                }
            }
            Err(error) => crate::error_chain(&error),
        };
        audience.tell_all(&Heard::Deaf(reason));
        let newcomer = async { coming.recv().await.ok() };
        let later = async {
            Timer::after(pause).await;
            None
        };
        if let Some(listener) = future::or(newcomer, later).await {
            audience.join(listener);
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Only what ends, starts, connects or judges a container: a probe inside of one is three events of no interest.
fn query() -> EventsQuery {
    // Podman narrows by words of its own for an end and a removal.
    let kinds = [
        "start", "die", "died", "oom", "destroy", "remove", "pause", "unpause",
    ];
    let filters = Filters::all()
        .by("type", "container")
        .by("type", "network")
        .by("event", "connect")
        .by("event", "disconnect")
        .by("event", "health_status");
    EventsQuery {
        filters: kinds
            .iter()
            .fold(filters, |filters, kind| filters.by("event", kind)),
        ..EventsQuery::default()
    }
}

/// Those who listen.
struct Audience {
    listeners: BTreeMap<String, Vec<Sender<Heard>>>,
    starts: Arc<Starts>,
}

impl Audience {
    fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Whether nobody listens to anything.
    fn is_idle(&self) -> bool {
        self.is_empty() && !self.starts.is_heard()
    }

    fn join(&mut self, listener: Listener) {
        let own = self
            .listeners
            .entry(listener.id.as_str().to_owned())
            .or_default();
        // Who listens for what does not come goes away and comes again.
        own.retain(|told| !told.is_closed());
        own.push(listener.told);
    }

    /// Unbounded channels: telling never waits, and fails only when nobody listens any more.
    fn tell_all(&mut self, heard: &Heard) {
        self.listeners.retain(|_, listeners| {
            listeners.retain(|told| told.try_send(heard.clone()).is_ok());
            !listeners.is_empty()
        });
    }

    fn tell(&mut self, id: &str, heard: Heard) {
        let Some(listeners) = self.listeners.get_mut(id) else {
            return;
        };
        listeners.retain(|told| told.try_send(heard.clone()).is_ok());
        if listeners.is_empty() {
            self.listeners.remove(id);
        }
    }

    /// Passes on what is heard until the stream ends, or nobody listens any more.
    async fn follow(
        &mut self,
        mut stream: EventStream,
        coming: &Receiver<Listener>,
    ) -> Option<EngineError> {
        enum Step {
            Joined(Option<Listener>),
            Event(Option<Result<container_engine::EngineEvent, EngineError>>),
        }
        while !self.is_idle() {
            let joined = async { Step::Joined(coming.recv().await.ok()) };
            let event = async { Step::Event(stream.next().await) };
            match future::or(event, joined).await {
                Step::Joined(Some(listener)) => {
                    let told = listener.told.clone();
                    self.join(listener);
                    drop(told.try_send(Heard::Listening));
                }
                Step::Joined(None) if self.is_empty() => return None,
                // Whoever listens still does so.
                Step::Joined(None) => match stream.next().await? {
                    Ok(event) => self.pass_on(event),
                    Err(error) => return Some(error),
                },
                Step::Event(Some(Ok(event))) => self.pass_on(event),
                Step::Event(Some(Err(error))) => return Some(error),
                Step::Event(None) => return None,
            }
        }
        None
    }

    fn pass_on(&mut self, event: container_engine::EngineEvent) {
        if event.kind == EventKind::Container(ContainerAction::Start) {
            self.starts.tell(&event.attributes, Some(event.time_ns));
            if let Some(name) = event.attributes.get("name") {
                self.tell(name, Heard::Happened(ContainerAction::Start));
            }
        }
        match event.kind {
            EventKind::Container(action) => self.tell(&event.id, Heard::Happened(action)),
            EventKind::Network(
                NetworkAction::Connect { container } | NetworkAction::Disconnect { container },
            ) => self.tell(&container, Heard::Networked),
            EventKind::Network(_) | EventKind::Other { .. } => {}
        }
    }
}

/// Before an engine that was lost is looked for again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// An engine that stays away is looked for this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
