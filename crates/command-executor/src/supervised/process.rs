//! One running attempt, as its owner sees it.
//!
//! Owns: the connection that tells what happens, and finding a new one when the shim dies. Never touches output.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_io::Async;
use futures_lite::AsyncReadExt;
use service_shim::protocol::{self, LineBuffer, Notice, NotifyState};
use service_shim::{ExitRecord, Identity};

use super::adopt::{Address, Contact, Found, find};
use super::control::Control;
use super::error::AdoptError;
use super::line::Line;
use super::program::ShimChild;
use super::shore::Shore;

/// A service with a shim beside it. Dropping this leaves both running.
#[derive(Debug)]
pub struct SupervisedProcess {
    address: Address,
    identity: Identity,
    link: Link,
    line: Arc<Line>,
    child: Option<ShimChild>,
    waiting: VecDeque<SupervisedEvent>,
    /// The last that was told of the way to it is that there is none.
    is_unwatched: bool,
    /// The pipes of its output: what is in them must not end with the shim and the service, should both be killed.
    output: Vec<OwnedFd>,
}

/// What happens to a service.
#[derive(Debug)]
#[non_exhaustive]
pub enum SupervisedEvent {
    /// It said something by `sd_notify`: everything it said so far.
    Notify(NotifyState),
    /// It is being ended: somebody asked, or it ended and its leftovers are being ended.
    Stopping,
    /// It is over, every process of it. Said again whenever asked again.
    Exited(ExitRecord),
    /// The shim died and no other could take over, or its host is out of reach: the service must be counted as alive, but
    /// nobody watches it. Asking for the next event tries again, after a second or once the host is reached.
    Unwatched(AdoptError),
    /// After that: somebody watches it again.
    Watched,
}

#[derive(Debug)]
enum Link {
    Connected(NoticeReader),
    Finding(Search),
    Lost { retry: bool },
    Over(ExitRecord),
}

/// Finding out what became of the service. Kept, so that no step of it is lost when whoever waits for it stops waiting.
struct Search(Pin<Box<dyn Future<Output = Result<Found, AdoptError>> + Send>>);

impl Future for Search {
    type Output = Result<Found, AdoptError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

impl SupervisedProcess {
    pub(super) fn new(
        run_dir: PathBuf,
        shore: Shore,
        identity: Identity,
        notices: NoticeReader,
        child: Option<ShimChild>,
        output: Vec<OwnedFd>,
    ) -> SupervisedProcess {
        let address = Address { run_dir, shore };
        let line = Arc::new(Line::default());
        line.lead_to(Some(notices.stream()));
        SupervisedProcess {
            address,
            identity,
            link: Link::Connected(notices),
            line,
            child,
            waiting: VecDeque::new(),
            is_unwatched: false,
            output,
        }
    }

    /// The service's main process.
    pub fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// Who the main process is, across reuse of its number.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where the attempt's run directory is.
    pub fn run_dir(&self) -> &Path {
        &self.address.run_dir
    }

    /// A handle that ends the service or speaks to it, usable from anywhere.
    pub fn control(&self) -> Control {
        Control::new(self.address.clone(), Arc::clone(&self.line))
    }

    /// Waits for the next thing to happen. When the shim dies, a new one is started, and nothing is noticed here.
    ///
    /// # Cancellation
    /// Safe: no event is lost when the future is dropped.
    pub async fn next_event(&mut self) -> SupervisedEvent {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return event;
            }
            match &mut self.link {
                Link::Over(exit) => return SupervisedEvent::Exited(exit.clone()),
                Link::Connected(notices) => {
                    let listening = self.line.listen();
                    let heard = notices.next().await;
                    drop(listening);
                    match heard {
                        Ok(Some(notice)) => self.hear(notice),
                        // Gone, with its service or without: the run directory knows.
                        Ok(None) | Err(_) => {
                            self.line.lead_to(None);
                            self.child = None;
                            self.link = Link::Lost { retry: false };
                        }
                    }
                }
                Link::Lost { retry } => {
                    if *retry {
                        self.address.shore.until_worth_a_try().await;
                    }
                    let Address { run_dir, shore } = self.address.clone();
                    let search = async move { find(&run_dir, &shore).await };
                    self.link = Link::Finding(Search(Box::pin(search)));
                }
                Link::Finding(search) => match search.await {
                    Ok(Found::Ended(exit)) => self.over(exit),
                    Ok(Found::Alive(contact)) => self.connect(contact),
                    Err(error) => {
                        self.link = Link::Lost { retry: true };
                        self.is_unwatched = true;
                        return SupervisedEvent::Unwatched(error);
                    }
                },
            }
        }
    }

    /// Reports what the service had said before it was adopted, if anything.
    pub(super) fn remember(&mut self, state: NotifyState) {
        if state != NotifyState::default() {
            self.waiting.push_back(SupervisedEvent::Notify(state));
        }
    }

    fn connect(&mut self, contact: Contact) {
        self.child = contact.child;
        self.line.lead_to(Some(contact.notices.stream()));
        self.link = Link::Connected(contact.notices);
        if std::mem::take(&mut self.is_unwatched) {
            self.waiting.push_back(SupervisedEvent::Watched);
        }
        self.remember(contact.notify);
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Notify(state) => self.waiting.push_back(SupervisedEvent::Notify(state)),
            Notice::Stopping => self.waiting.push_back(SupervisedEvent::Stopping),
            Notice::Exited { exit } => {
                self.line.lead_to(None);
                self.child = None;
                self.over(exit);
            }
            Notice::Done | Notice::Refused { .. } => self.line.answered(notice),
            Notice::Started { .. } | Notice::Failed { .. } | Notice::Status(_) => {}
        }
    }

    fn over(&mut self, exit: ExitRecord) {
        self.output.clear();
        self.link = Link::Over(exit);
    }
}

impl Drop for SupervisedProcess {
    fn drop(&mut self) {
        self.line.lead_to(None);
    }
}

/// Reads what a shim says.
#[derive(Debug)]
pub(super) struct NoticeReader {
    stream: Arc<Async<UnixStream>>,
    lines: LineBuffer,
}

impl NoticeReader {
    pub(super) fn new(stream: UnixStream) -> io::Result<NoticeReader> {
        Ok(NoticeReader {
            stream: Arc::new(Async::new(stream)?),
            lines: LineBuffer::default(),
        })
    }

    /// The connection, for whoever gives orders over it.
    pub(super) fn stream(&self) -> Arc<Async<UnixStream>> {
        Arc::clone(&self.stream)
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        futures_lite::AsyncWriteExt::write_all(&mut &*self.stream, bytes).await
    }

    /// The next notice this version knows; none when the connection has ended. Safe to drop while waiting.
    pub(super) async fn next(&mut self) -> io::Result<Option<Notice>> {
        let mut buffer = [0u8; 4096];
        loop {
            while let Some(line) = self.lines.next_line() {
                if let Ok(notice) = protocol::decode(&line) {
                    return Ok(Some(notice));
                }
            }
            match (&*self.stream).read(&mut buffer).await? {
                0 => return Ok(None),
                read => self.lines.push(&buffer[..read]),
            }
        }
    }
}
