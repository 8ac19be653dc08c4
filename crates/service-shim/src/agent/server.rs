//! The loop: one thread that waits for the connection and for whatever goes on behind its streams.
//!
//! Owns: which streams there are here, and the shims that are children of this process. What may take long is done on
//! threads, and comes back as news. Never keeps more than the windows of its streams allow.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use super::OwnProgram;
use super::command::Command;
use super::mux::{Event, Mux};
use super::open;
use super::protocol::{Answer, Failure, FailureKind, Hello, Request};
use super::work::{Inbox, Job, MOST_WAITING, Opened, Port, Step, Work};
use crate::runner::timespec;
use crate::sys;

/// Serves one connection.
pub(super) struct Server {
    program: OwnProgram,
    mux: Mux,
    streams: BTreeMap<u32, Stream>,
    /// What jobs have led to, and how they say so.
    news: Receiver<News>,
    tell: Sender<News>,
    bell: Arc<OwnedFd>,
    jobs: usize,
    /// Shims to be waited for.
    children: Vec<Child>,
    child_bell: OwnedFd,
    /// The limit of descriptors that we were started with, and shims are.
    limit: Rlimit,
    heard: Instant,
}

type News = (u32, Result<Opened, Failure>);

#[derive(Default)]
struct Stream {
    inbox: Inbox,
    /// None while a job is at it.
    work: Option<Box<dyn Work>>,
}

/// What woke the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Input,
    Output,
    Jobs,
    Children,
    Stream(u32),
}

impl Server {
    pub(super) fn new(program: OwnProgram, hello: &Hello) -> io::Result<Server> {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Refused, there is room for fewer streams.
        let _ = setrlimit(Resource::Nofile, raised);
        rustix::io::ioctl_fionbio(rustix::stdio::stdout(), true)?;
        let (tell, news) = channel();
        Ok(Server {
            program,
            mux: Mux::agent(hello),
            streams: BTreeMap::new(),
            news,
            tell,
            bell: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            jobs: 0,
            children: Vec::new(),
            child_bell: sys::watch_children()?,
            limit,
            heard: Instant::now(),
        })
    }

    /// Serves until stdin ends, nobody reads stdout, or nothing was heard for too long.
    ///
    /// # Errors
    /// What came makes no sense (`InvalidData`), or the system refuses to wait.
    pub(super) fn serve(mut self) -> io::Result<()> {
        loop {
            let woken = self.wait()?;
            let mut ready: BTreeSet<u32> = BTreeSet::new();
            for source in woken {
                match source {
                    Source::Input => {
                        if !self.read(&mut ready)? {
                            return Ok(());
                        }
                    }
                    Source::Output => {}
                    Source::Jobs => self.hear_jobs(&mut ready),
                    Source::Children => self.reap(),
                    Source::Stream(stream) => drop(ready.insert(stream)),
                }
            }
            if self.heard.elapsed() >= PATIENCE {
                return Ok(());
            }
            self.step(ready);
            let was_full = self.mux.output().len() >= MOST_WAITING;
            if !self.write() {
                return Ok(());
            }
            if was_full && self.mux.output().len() < MOST_WAITING {
                self.step(self.streams.keys().copied().collect());
                if !self.write() {
                    return Ok(());
                }
            }
        }
    }

    fn wait(&mut self) -> io::Result<Vec<Source>> {
        let waiting = self.mux.output().len();
        let mut sources = Vec::new();
        let mut fds: Vec<(BorrowedFd<'_>, PollFlags)> = Vec::new();
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        let own = [
            (Source::Jobs, self.bell.as_fd(), PollFlags::IN, true),
            (
                Source::Children,
                self.child_bell.as_fd(),
                PollFlags::IN,
                true,
            ),
            (
                Source::Input,
                stdin.as_fd(),
                PollFlags::IN,
                waiting < 2 * MOST_WAITING,
            ),
            (Source::Output, stdout.as_fd(), PollFlags::OUT, waiting > 0),
        ];
        for (source, fd, flags, _) in own.into_iter().filter(|(.., is_wanted)| *is_wanted) {
            sources.push(source);
            fds.push((fd, flags));
        }
        let is_full = waiting >= MOST_WAITING;
        for (number, stream) in &self.streams {
            if let Some(work) = &stream.work {
                let has_room = !is_full && self.mux.room(*number) > 0;
                work.waits_for(stream.inbox.has_news(), has_room, &mut fds);
                sources.resize(fds.len(), Source::Stream(*number));
            }
        }
        let mut fds: Vec<PollFd<'_>> = fds
            .into_iter()
            .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
            .collect();
        match poll(&mut fds, Some(&self.timeout())) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        let late = self.streams.iter().filter(|(_, stream)| {
            let deadline = stream.work.as_ref().and_then(|work| work.deadline());
            deadline.is_some_and(|at| at <= now)
        });
        let late = late.map(|(number, _)| Source::Stream(*number));
        let woken = sources
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty());
        Ok(woken.map(|(source, _)| *source).chain(late).collect())
    }

    fn timeout(&self) -> Timespec {
        let works = self
            .streams
            .values()
            .filter_map(|stream| stream.work.as_ref());
        let next = works.filter_map(|work| work.deadline()).min();
        let until = next.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
        timespec(until.min(PATIENCE.saturating_sub(self.heard.elapsed())))
    }

    /// False once there is nothing more to come.
    fn read(&mut self, ready: &mut BTreeSet<u32>) -> io::Result<bool> {
        let mut buffer = [0; 64 * 1024];
        let read = match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
            Ok(0) | Err(Errno::CONNRESET | Errno::IO) => return Ok(false),
            Ok(read) => read,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        self.heard = Instant::now();
        let events = self.mux.receive(&buffer[..read]);
        let events = events.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        for event in events {
            match event {
                Event::Opened(stream, request) => self.open(stream, request, ready),
                Event::Data(stream, bytes) => match self.streams.get_mut(&stream) {
                    Some(found) => {
                        found.inbox.push(bytes);
                        ready.insert(stream);
                    }
                    // It is over on this side, and nobody wants it.
                    None => self.mux.taken(stream, bytes.len()),
                },
                Event::Ended(stream) => {
                    if let Some(found) = self.streams.get_mut(&stream) {
                        found.inbox.end();
                        ready.insert(stream);
                    }
                }
                Event::Room(stream) => drop(ready.insert(stream)),
                Event::Failed(stream, _) => drop(self.streams.remove(&stream)),
                Event::Hello(_) | Event::Answered(..) | Event::Pong => {}
            }
        }
        Ok(true)
    }

    fn open(&mut self, stream: u32, request: Option<Request>, ready: &mut BTreeSet<u32>) {
        let Some(request) = request else {
            let message = "this agent knows no such request";
            let failure = Failure::new(FailureKind::Request, message);
            return self.mux.fail(stream, &failure);
        };
        self.streams.insert(stream, Stream::default());
        if let Request::Exec {
            argv,
            env,
            cwd,
            timeout_ms,
        } = request
        {
            let timeout = timeout_ms.map(Duration::from_millis);
            let started = Command::start(&argv, &env, cwd.as_deref(), timeout);
            let limit = self.limit;
            let opened = started.map(|command| {
                // Some programs take a high one badly.
                let _ = prlimit(command.pid(), Resource::Nofile, limit);
                Opened {
                    answer: Some(Answer::Open),
                    work: Some(Box::new(command)),
                    child: None,
                }
            });
            return self.go_on(stream, opened, ready);
        }
        let program = self.program.clone();
        self.begin(stream, Box::new(move || open::open(request, &program)));
    }

    /// Has a job done on a thread.
    fn begin(&mut self, stream: u32, job: Job) {
        let busy = |why: &str| Failure::new(FailureKind::Busy, why);
        if self.jobs >= MOST_JOBS {
            self.streams.remove(&stream);
            let failure = busy("as much is being done as can be at once");
            return self.mux.fail(stream, &failure);
        }
        let (tell, bell) = (self.tell.clone(), Arc::clone(&self.bell));
        let thread = std::thread::Builder::new().stack_size(THREAD_STACK);
        let spawned = thread.spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(job));
            let panicked = || Err(Failure::new(FailureKind::System, "the agent has a fault"));
            // Whoever waited may have gone: then the process is about to.
            drop(tell.send((stream, done.unwrap_or_else(|_| panicked()))));
            let _ = rustix::io::write(&bell, &1u64.to_ne_bytes());
        });
        match spawned {
            Ok(_) => self.jobs += 1,
            Err(_) => {
                self.streams.remove(&stream);
                let failure = busy("there is no room for a thread");
                self.mux.fail(stream, &failure);
            }
        }
    }

    fn hear_jobs(&mut self, ready: &mut BTreeSet<u32>) {
        drain(&self.bell);
        while let Ok((stream, opened)) = self.news.try_recv() {
            self.jobs -= 1;
            self.go_on(stream, opened, ready);
        }
    }

    /// What a request has led to. Of a stream that is gone meanwhile, all of it is dropped.
    fn go_on(&mut self, stream: u32, opened: Result<Opened, Failure>, ready: &mut BTreeSet<u32>) {
        let is_there = self.streams.contains_key(&stream);
        match opened {
            Ok(opened) => {
                if let Some(child) = opened.child {
                    let pid = Pid::from_child(&child);
                    // One that has ended already needs no limit.
                    let _ = prlimit(Some(pid), Resource::Nofile, self.limit);
                    self.children.push(child);
                    self.reap();
                }
                if !is_there {
                    return;
                }
                if let Some(answer) = opened.answer {
                    self.mux.answer(stream, &answer);
                }
                match opened.work {
                    Some(work) => {
                        if let Some(found) = self.streams.get_mut(&stream) {
                            found.work = Some(work);
                        }
                        ready.insert(stream);
                    }
                    None => {
                        self.mux.end(stream);
                        self.forget(stream);
                    }
                }
            }
            Err(failure) => {
                self.streams.remove(&stream);
                self.mux.fail(stream, &failure);
            }
        }
    }

    fn step(&mut self, ready: BTreeSet<u32>) {
        for number in ready {
            let Some(stream) = self.streams.get_mut(&number) else {
                continue;
            };
            let Some(work) = &mut stream.work else {
                continue;
            };
            let mut port = Port {
                mux: &mut self.mux,
                stream: number,
            };
            match work.step(&mut stream.inbox, &mut port) {
                Ok(Step::Goes) => {}
                Ok(Step::Over) => self.forget(number),
                Ok(Step::Last(job)) => {
                    stream.work = None;
                    self.begin(number, job);
                }
                Err(failure) => {
                    self.streams.remove(&number);
                    self.mux.fail(number, &failure);
                }
            }
        }
    }

    /// Nothing goes on behind a stream any more; what still comes is thrown away.
    fn forget(&mut self, stream: u32) {
        if let Some(mut over) = self.streams.remove(&stream) {
            let mux = &mut self.mux;
            over.inbox.discard(&mut Port { mux, stream });
        }
    }

    /// False when nobody reads any more.
    fn write(&mut self) -> bool {
        let out = self.mux.output();
        let mut written = 0;
        let is_open = loop {
            if written == out.len() {
                break true;
            }
            match rustix::io::write(rustix::stdio::stdout(), &out[written..]) {
                Ok(bytes) => written += bytes,
                Err(Errno::AGAIN) => break true,
                Err(Errno::INTR) => {}
                Err(_) => break false,
            }
        };
        drop(out.drain(..written));
        is_open
    }

    fn reap(&mut self) {
        drain(&self.child_bell);
        self.children
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}

fn drain(bell: &OwnedFd) {
    let mut count = [0; 8];
    // Nothing is there when it was taken with an earlier ring.
    let _ = rustix::io::read(bell, &mut count);
}

/// Whoever speaks to us asks whether we are there every few seconds: it is gone, and its connection has not told.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each is a thread. A daemon that comes back asks about all of its attempts at once.
const MOST_JOBS: usize = 256;

/// They open files and start processes; the deepest call writes JSON.
const THREAD_STACK: usize = 256 * 1024;
