//! One connection to an agent.
//!
//! Owns: the machine of its streams, and the one task that reads, writes and asks whether anybody is there. When it is lost, it is
//! lost for good, and so is each of its streams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt, future};
use service_shim::agent::mux::{Event, Mux};
use service_shim::agent::protocol::{AGENT_VERSION, Hello, Request};

use super::connect::AgentPipes;
use super::error::LinkError;
use super::stream::{AgentStream, Incoming};
use crate::driver;

/// One connection to an agent. Cheap to clone; it is closed once neither a clone nor a stream of it is left.
#[derive(Clone)]
pub struct AgentLink {
    shared: Arc<Shared>,
    hello: Arc<Greeting>,
    /// Its end tells the task that nobody needs the connection any more.
    _owner: Sender<()>,
}

/// What the agent said first, and when that came.
struct Greeting {
    hello: Hello,
    at: Instant,
}

/// What streams and the task share.
pub(super) struct Shared {
    // A lock because streams are used by any task; held to move bytes that are there, never across an await.
    state: Mutex<State>,
    /// Rung when there is something to write.
    bell: Sender<()>,
    /// Closed when the connection is lost.
    lost: Receiver<()>,
}

struct State {
    mux: Mux,
    streams: BTreeMap<u32, Ends>,
    lost: Option<LinkError>,
    heard: Instant,
    /// Closes `Shared::lost` when it is dropped.
    tell_lost: Option<Sender<()>>,
    /// Where what is asked of us goes; none where we ask.
    asked: Option<Sender<Opened>>,
}

/// A stream that was opened by the other side, and what is asked on it.
struct Opened {
    number: u32,
    request: Option<Request>,
    came: Receiver<Incoming>,
    has_room: Receiver<()>,
}

/// What is asked of us, one after the other.
pub(super) struct Asking(Receiver<Opened>);

/// Something that is asked of us; none when the request makes no sense.
pub(super) struct Asked {
    pub(super) request: Option<Request>,
    pub(super) stream: AgentStream,
}

impl Asking {
    /// The next; none once the connection is lost.
    pub(super) async fn next(&self, link: &AgentLink) -> Option<Asked> {
        let opened = self.0.recv().await.ok()?;
        let (came, has_room) = (opened.came, opened.has_room);
        Some(Asked {
            request: opened.request,
            stream: AgentStream::new(link.clone(), opened.number, came, has_room),
        })
    }
}

/// What the task knows of a stream.
pub(super) struct Ends {
    pub(super) incoming: Sender<Incoming>,
    pub(super) room: Sender<()>,
}

impl AgentLink {
    /// Waits for the agent's greeting, and serves the connection from then on.
    ///
    /// # Errors
    /// [`LinkError`].
    ///
    /// # Cancellation
    /// Dropping the future closes the connection.
    pub async fn open(pipes: AgentPipes) -> Result<AgentLink, LinkError> {
        let AgentPipes {
            mut reader,
            writer,
            hold,
        } = pipes;
        let mut mux = Mux::client();
        let mut buffer = vec![0; READ_BYTES];
        let hello = loop {
            let read = reader.read(&mut buffer).await.map_err(broken)?;
            if read == 0 {
                return Err(LinkError::Ended);
            }
            // Nothing was asked yet, so nothing that comes with it can mean anything.
            let mut events = mux.receive(&buffer[..read])?.into_iter();
            if let Some(Event::Hello(hello)) = events.next() {
                break hello;
            }
        };
        if hello.v != AGENT_VERSION {
            let (theirs, ours) = (hello.v, AGENT_VERSION);
            return Err(LinkError::Version { theirs, ours });
        }
        let ours = End {
            mux,
            hello,
            asked: None,
            is_asked_for_life: true,
        };
        Ok(Self::begin(ours, reader, writer, hold, buffer))
    }

    /// Serves the other end of a connection: says who answers, and what is asked there comes by the second value.
    pub(super) fn serve(pipes: AgentPipes, hello: Hello) -> (AgentLink, Asking) {
        let AgentPipes {
            reader,
            writer,
            hold,
        } = pipes;
        let (asked, asking) = async_channel::unbounded();
        let ours = End {
            mux: Mux::agent(&hello),
            hello,
            asked: Some(asked),
            // Whoever asks does that.
            is_asked_for_life: false,
        };
        let link = Self::begin(ours, reader, writer, hold, vec![0; READ_BYTES]);
        link.shared.ring();
        (link, Asking(asking))
    }

    fn begin(
        ours: End,
        mut reader: Box<dyn futures_lite::AsyncRead + Send + Unpin>,
        writer: Box<dyn futures_lite::AsyncWrite + Send + Unpin>,
        hold: Box<dyn std::any::Any + Send>,
        mut buffer: Vec<u8>,
    ) -> AgentLink {
        let (bell, rung) = async_channel::bounded(1);
        let (tell_lost, lost) = async_channel::bounded(1);
        let (owner, owned) = async_channel::bounded(1);
        let at = Instant::now();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                mux: ours.mux,
                streams: BTreeMap::new(),
                lost: None,
                heard: at,
                tell_lost: Some(tell_lost),
                asked: ours.asked,
            }),
            bell,
            lost,
        });
        let served = Arc::clone(&shared);
        driver::run(async move {
            let read = read(&served, &mut reader, &mut buffer);
            let write = write(&served, writer, rung);
            let closed = async {
                // Nobody sends on it: it ends with the last of its senders.
                let _ = owned.recv().await;
                LinkError::Closed
            };
            let silent = async {
                match ours.is_asked_for_life {
                    true => ask(&served).await,
                    false => future::pending().await,
                }
            };
            let error = read.or(write).or(silent).or(closed).await;
            served.lose(error);
            drop(hold);
        });
        AgentLink {
            shared,
            hello: Arc::new(Greeting {
                hello: ours.hello,
                at,
            }),
            _owner: owner,
        }
    }

    /// Who answers.
    pub fn hello(&self) -> &Hello {
        &self.hello.hello
    }

    /// What the agent's clock shows at least, by [`Hello::boot_ns`].
    pub fn boot_ns(&self) -> u64 {
        let since = u64::try_from(self.hello.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Its greeting was under way for a while, so it is later there.
        self.hello.hello.boot_ns.saturating_add(since)
    }

    /// Asks for something on a new stream.
    ///
    /// # Errors
    /// [`LinkError`]: the connection is lost. Nothing was asked.
    pub fn ask(&self, request: &Request) -> Result<AgentStream, LinkError> {
        let (incoming, came) = async_channel::unbounded();
        let (room, has_room) = async_channel::bounded(1);
        let mut state = self.shared.state();
        if let Some(error) = &state.lost {
            return Err(error.clone());
        }
        let Some(number) = state.mux.open(request) else {
            return Ok(AgentStream::refused(self.clone()));
        };
        state.streams.insert(number, Ends { incoming, room });
        drop(state);
        self.shared.ring();
        Ok(AgentStream::new(self.clone(), number, came, has_room))
    }

    /// Waits until the connection is lost, and tells why.
    pub async fn lost(&self) -> LinkError {
        // Nobody sends on it: it is closed.
        let _ = self.shared.lost.recv().await;
        let state = self.shared.state();
        state.lost.clone().unwrap_or(LinkError::Ended)
    }

    /// Ends the connection. Services go on.
    pub fn close(&self) {
        self.shared.lose(LinkError::Closed);
        self.shared.ring();
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl fmt::Debug for AgentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentLink")
            .field("hello", &self.hello.hello)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Does something with the machine, and has written what comes of it.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Mux) -> T) -> T {
        let mut state = self.state();
        let outcome = change(&mut state.mux);
        let has_output = !state.mux.output().is_empty();
        drop(state);
        if has_output {
            self.ring();
        }
        outcome
    }

    /// Why the connection was lost; none while it is there.
    pub(super) fn loss(&self) -> Option<LinkError> {
        self.state().lost.clone()
    }

    /// Nobody wants to hear of a stream any more.
    pub(super) fn forget(&self, number: u32) {
        self.state().streams.remove(&number);
    }

    fn ring(&self) {
        // One ring is as good as many.
        let _ = self.bell.try_send(());
    }

    fn lose(&self, error: LinkError) {
        let mut state = self.state();
        state.lost.get_or_insert(error);
        state.streams.clear();
        state.tell_lost = None;
        state.asked = None;
    }

    fn hear(&self, bytes: &[u8]) -> Result<(), LinkError> {
        let mut state = self.state();
        state.heard = Instant::now();
        let events = state.mux.receive(bytes)?;
        for event in events {
            let (number, incoming) = match event {
                Event::Answered(number, answer) => (number, Incoming::Answer(answer)),
                Event::Data(number, bytes) => (number, Incoming::Data(bytes)),
                Event::Ended(number) => (number, Incoming::End),
                Event::Failed(number, failure) => (number, Incoming::Failed(failure)),
                Event::Room(number) => {
                    if let Some(ends) = state.streams.get(&number) {
                        let _ = ends.room.try_send(());
                    }
                    continue;
                }
                Event::Opened(number, request) => {
                    state.open(number, request);
                    continue;
                }
                Event::Hello(_) | Event::Pong => continue,
            };
            let is_last = matches!(incoming, Incoming::Failed(_));
            if let Some(ends) = state.streams.get(&number) {
                // Whoever stopped listening forgets the stream at once.
                drop(ends.incoming.try_send(incoming));
            }
            if is_last {
                state.streams.remove(&number);
            }
        }
        let has_output = !state.mux.output().is_empty();
        drop(state);
        if has_output {
            self.ring();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What may panic in there is done before anything is changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A stream that was opened by the other side. Nobody listens where none is expected.
    fn open(&mut self, number: u32, request: Option<Request>) {
        let Some(asked) = &self.asked else {
            return;
        };
        let (incoming, came) = async_channel::unbounded();
        let (room, has_room) = async_channel::bounded(1);
        self.streams.insert(number, Ends { incoming, room });
        let opened = Opened {
            number,
            request,
            came,
            has_room,
        };
        // Whoever serves may be about to end, and the connection with it.
        drop(asked.try_send(opened));
    }
}

/// What makes our end of a connection.
struct End {
    mux: Mux,
    hello: Hello,
    asked: Option<Sender<Opened>>,
    /// Whether we find out that nobody is there any more.
    is_asked_for_life: bool,
}

async fn read(
    shared: &Shared,
    reader: &mut (dyn futures_lite::AsyncRead + Send + Unpin),
    buffer: &mut [u8],
) -> LinkError {
    loop {
        match reader.read(buffer).await {
            Ok(0) => return LinkError::Ended,
            Ok(read) => {
                if let Err(error) = shared.hear(&buffer[..read]) {
                    return error;
                }
            }
            Err(error) => return broken(error),
        }
    }
}

async fn write(
    shared: &Shared,
    mut writer: Box<dyn futures_lite::AsyncWrite + Send + Unpin>,
    rung: Receiver<()>,
) -> LinkError {
    loop {
        let bytes = std::mem::take(shared.state().mux.output());
        let lost = shared.loss();
        if let Some(error) = lost {
            return error;
        }
        if bytes.is_empty() {
            if rung.recv().await.is_err() {
                return LinkError::Closed;
            }
        } else if let Err(error) = writer.write_all(&bytes).await {
            return broken(error);
        }
    }
}

/// Asks whether anybody is there when nothing was heard for a while; and all the same when nothing was said for a while, as an agent
/// that only speaks would take us for gone.
async fn ask(shared: &Shared) -> LinkError {
    let mut asked = Instant::now();
    loop {
        let silence = shared.state().heard.elapsed();
        if silence >= GIVE_UP {
            return LinkError::Silent(GIVE_UP);
        }
        if silence >= QUIET || asked.elapsed() >= SIGN_OF_LIFE {
            asked = Instant::now();
            shared.with(Mux::ping);
        }
        let next = match silence >= QUIET {
            true => QUIET.min(GIVE_UP.saturating_sub(silence)),
            false => QUIET.saturating_sub(silence),
        };
        Timer::after(next).await;
    }
}

fn broken(error: std::io::Error) -> LinkError {
    LinkError::Broken(Arc::new(error))
}

/// As much as an agent writes at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection over which nothing is said is asked about after this.
const QUIET: Duration = Duration::from_secs(5);

/// An agent that hears nothing for a minute ends.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// And given up after this: as ssh itself does.
const GIVE_UP: Duration = Duration::from_secs(15);
