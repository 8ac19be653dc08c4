//! A host, whatever happens to the connections to it.
//!
//! Owns: the connection of the moment, the next one when it is lost, and who is told. Also until when an order to start may be
//! under way over a connection that is gone. Never starts anything on the host but its agent.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::FutureExt;
use service_shim::agent::protocol::Hello;

use super::connect::Connector;
use super::error::{ConnectError, LinkError, RequestError};
use super::forward::{self, Wanted};
use super::link::AgentLink;
use super::stream::StreamError;
use crate::driver;

/// A host that is kept connected. Cheap to clone; it is let go with the last clone, or by [`close`](HostLink::close).
#[derive(Clone)]
pub struct HostLink(Arc<Inner>);

pub(super) struct Inner {
    name: String,
    // A lock because anybody may ask from any task; held to look and to set.
    state: Mutex<State>,
    /// Somebody wants it to be tried now. Closed with the value, or when it is left.
    hurry: Sender<()>,
    /// What is wanted to be carried has changed.
    errand: Sender<()>,
    /// Ends once it is left, and what it shared with later connections is closed.
    left: Receiver<Infallible>,
}

struct State {
    link: Result<AgentLink, Arc<ConnectError>>,
    subscribers: Vec<Sender<HostState>>,
    starts: Starts,
    wanted: Vec<Arc<Wanted>>,
}

/// Orders to start that may be under way.
struct Starts {
    /// None that was given before now is under way from then on.
    all_done_at: Instant,
    /// Those that no answer has come to yet.
    open: usize,
}

/// What is known of a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HostState {
    /// It is connected.
    Reached(Arc<Hello>),
    /// It is not, and is being tried again.
    Unreachable(Arc<ConnectError>),
}

impl HostLink {
    /// Begins to connect, and never gives up.
    pub fn new(connector: impl Connector) -> HostLink {
        let (hurry, hurried) = async_channel::bounded(1);
        let (errand, errands) = async_channel::bounded(1);
        let (leaving, left) = async_channel::bounded(1);
        let inner = Arc::new(Inner {
            name: connector.name().to_owned(),
            state: Mutex::new(State {
                link: Err(Arc::new(ConnectError::Connecting)),
                subscribers: Vec::new(),
                starts: Starts {
                    // Of whoever was here before us.
                    all_done_at: Instant::now() + START_VALIDITY + MARGIN,
                    open: 0,
                },
                wanted: Vec::new(),
            }),
            hurry,
            errand,
            left,
        });
        let watched = Arc::downgrade(&inner);
        driver::run(async move {
            keep(&watched, &connector, hurried, errands).await;
            // Whoever only lets go may share it with others.
            if watched.strong_count() > 0 {
                connector.give_up().await;
            }
            drop(leaving);
        });
        HostLink(inner)
    }

    /// What the host is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What is known of it now.
    pub fn state(&self) -> HostState {
        self.0.lock().as_told()
    }

    /// What is known of it now, and whatever changes from now on.
    pub fn subscribe(&self) -> Receiver<HostState> {
        let (sender, receiver) = async_channel::unbounded();
        let mut state = self.0.lock();
        drop(sender.try_send(state.as_told()));
        state.subscribers.retain(|sender| !sender.is_closed());
        state.subscribers.push(sender);
        receiver
    }

    /// Tries now, instead of when the pause after the last failure is over.
    pub fn hurry(&self) {
        // Once is enough.
        let _ = self.0.hurry.try_send(());
    }

    /// Connects no more, and returns once what the connections shared is closed, whoever else uses it. What runs on the host
    /// goes on.
    pub async fn close(&self) {
        self.0.hurry.close();
        let Err(async_channel::RecvError) = self.0.left.recv().await;
    }

    /// The connection of the moment.
    ///
    /// # Errors
    /// [`RequestError::Unreachable`]: there is none.
    pub fn agent(&self) -> Result<AgentLink, RequestError> {
        let state = self.0.lock();
        let source = match &state.link {
            Ok(link) => match link.shared().loss() {
                None => return Ok(link.clone()),
                // Whoever keeps the host is about to hear of it.
                Some(lost) => Arc::new(lost.into()),
            },
            Err(source) => Arc::clone(source),
        };
        Err(RequestError::Unreachable {
            host: self.0.name.clone(),
            source: Some(source),
        })
    }

    /// Waits until the host is connected.
    pub async fn reached(&self) -> AgentLink {
        let changes = self.subscribe();
        loop {
            if let Ok(link) = self.agent() {
                return link;
            }
            // The state is said first, so a change between the two is not missed; it ends never, for we hold the host.
            let _ = changes.recv().await;
        }
    }

    /// What a failure on a stream means to whoever asked this host.
    pub fn explain(&self, error: StreamError) -> RequestError {
        match error {
            StreamError::Lost(error) => RequestError::Unreachable {
                host: self.0.name.clone(),
                source: Some(Arc::new(error.into())),
            },
            StreamError::Failed(failure) => RequestError::Refused(failure),
        }
    }

    /// This shall be carried, whenever the host is connected.
    pub(super) fn want(&self, wanted: Arc<Wanted>) {
        self.0.lock().wanted.push(wanted);
        // Once is enough.
        let _ = self.0.errand.try_send(());
    }

    /// This need not be carried any more.
    pub(super) fn want_no_more(&self, gone: &Arc<Wanted>) {
        let mut state = self.0.lock();
        state.wanted.retain(|one| !Arc::ptr_eq(one, gone));
        drop(state);
        // Once is enough.
        let _ = self.0.errand.try_send(());
    }

    /// An order to start is given: until the answer lives, nobody believes that there is no run directory.
    pub(crate) fn begin_start(&self) -> StartUnderWay {
        let mut state = self.0.lock();
        state.starts.open += 1;
        StartUnderWay {
            host: self.clone(),
            done_at: Instant::now() + START_VALIDITY + MARGIN,
            is_answered: false,
        }
    }

    /// Waits until an agent that knows of no run directory is right about that; false when it already is.
    pub(crate) async fn wait_for_starts(&self) -> bool {
        let (until, open) = {
            let state = self.0.lock();
            (state.starts.all_done_at, state.starts.open)
        };
        let now = Instant::now();
        if until <= now && open == 0 {
            return false;
        }
        let wait = until.saturating_duration_since(now);
        Timer::after(if open > 0 { wait.max(AGAIN) } else { wait }).await;
        true
    }
}

impl fmt::Debug for HostLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostLink")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

/// An order to start that was given.
pub(crate) struct StartUnderWay {
    host: HostLink,
    done_at: Instant,
    is_answered: bool,
}

impl StartUnderWay {
    /// The agent has carried it out, or has not: it is not under way any more.
    pub(crate) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for StartUnderWay {
    fn drop(&mut self) {
        let starts = &mut self.host.0.lock().starts;
        starts.open -= 1;
        if !self.is_answered {
            starts.all_done_at = starts.all_done_at.max(self.done_at);
        }
    }
}

impl Inner {
    fn set(&self, link: Result<AgentLink, Arc<ConnectError>>) {
        let mut state = self.lock();
        state.link = link;
        let told = state.as_told();
        let tell = |sender: &Sender<HostState>| sender.try_send(told.clone()).is_ok();
        state.subscribers.retain(tell);
    }

    /// What shall be carried.
    pub(super) fn wanted(&self) -> Vec<Arc<Wanted>> {
        self.lock().wanted.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn as_told(&self) -> HostState {
        match &self.link {
            Ok(link) => HostState::Reached(Arc::new(link.hello().clone())),
            Err(error) => HostState::Unreachable(Arc::clone(error)),
        }
    }
}

/// Connects again and again, until nobody has the host any more, or it is left.
async fn keep(
    host: &Weak<Inner>,
    connector: &impl Connector,
    hurried: Receiver<()>,
    errands: Receiver<()>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let connect = async { Some(connector.connect().await) };
        let late = async {
            Timer::after(PATIENCE).await;
            Some(Err(ConnectError::Late(PATIENCE)))
        };
        let nobody = async {
            let_go(&hurried).await;
            None
        };
        let Some(connected) = connect.or(late).or(nobody).await else {
            return;
        };
        let error = match connected {
            Ok(link) => {
                pause = FIRST_PAUSE;
                if !tell(host, Ok(link.clone())) {
                    return;
                }
                let lost = async { Some(link.lost().await) };
                let nobody = async {
                    let_go(&hurried).await;
                    None
                };
                let carrying = async { match forward::carry(host, connector, &errands).await {} };
                let Some(error) = lost.or(nobody).or(carrying).await else {
                    return;
                };
                if matches!(error, LinkError::Silent(_)) {
                    connector.give_up().await;
                }
                ConnectError::Link(error)
            }
            Err(error) => {
                if matches!(error, ConnectError::Late(_)) {
                    connector.give_up().await;
                }
                error
            }
        };
        if !tell(host, Err(Arc::new(error))) {
            return;
        }
        let hurry = async { hurried.recv().await.is_ok() };
        let rested = async {
            Timer::after(pause).await;
            true
        };
        if !hurry.or(rested).await {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether anybody is there to be told.
fn tell(host: &Weak<Inner>, link: Result<AgentLink, Arc<ConnectError>>) -> bool {
    let Some(host) = host.upgrade() else {
        return false;
    };
    host.set(link);
    true
}

/// Returns once nobody has the host any more. Whoever hurries meanwhile has what they want.
async fn let_go(hurried: &Receiver<()>) {
    while hurried.recv().await.is_ok() {}
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// For a login, and for the program to be brought there over a slow line.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long an order to start may take to arrive. A connection that is given up may still deliver what was written to it.
pub(crate) const START_VALIDITY: Duration = Duration::from_secs(10);

/// Clocks of two machines do not run at the same pace.
const MARGIN: Duration = Duration::from_secs(1);

/// An order that is under way is soon answered, or its connection is lost.
const AGAIN: Duration = Duration::from_millis(100);
