//! What a shim does all day: waits for its service, its clients and the output, and ends the tree when it must.
//!
//! Owns: one attempt, from the moment the service runs to the moment its exit is recorded. One thread, one loop,
//! no timer while nothing is due. Never decides policy: [`ladder`] does, and whoever sends requests.

mod adopt;
mod cgroup;
mod connection;
mod end;
mod ladder;
mod notify;
mod order;
mod pipe;
mod requests;
mod start;
mod tree;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

pub(crate) use adopt::{Adoption, adopt};
pub(crate) use connection::Connection;
pub(crate) use end::write as write_exit;
pub(crate) use order::candidates;
pub(crate) use start::start;

use crate::exit::ExitRecord;
use crate::identity::ProcessRef;
use crate::log::LogWriter;
use crate::protocol::Notice;
use crate::run_dir;
use crate::run_dir::RunDir;
use crate::signal::Signal;
use crate::spec::LaunchRecord;
use end::MainEnd;
use ladder::{Effect, Input, Ladder};
use notify::NotifySocket;
use pipe::{Pipe, StdinPipe};
use tree::{Member, Tree};

/// What the runner runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// A process of its own, which may become the reaper of the service's descendants.
    Process,
    /// A thread of a program that has better things to do.
    Thread,
}

/// Watches over one running service.
pub(crate) struct Runner {
    run: RunDir,
    record: LaunchRecord,
    host: Host,
    /// Held until the end; never read.
    _lock: OwnedFd,
    log: LogWriter,
    pipes: Vec<Pipe>,
    /// Wakes when a child ended; none when the service is nobody's child here.
    children: Option<OwnedFd>,
    has_children: bool,
    listener: UnixListener,
    connections: Vec<Connection>,
    notify: Option<NotifySocket>,
    stdin: Option<StdinPipe>,
    tree: Tree,
    main: ProcessRef,
    main_end: Option<MainEnd>,
    /// Processes whose end is waited for, where they are not our children.
    watched: Vec<Member>,
    ladder: Ladder,
}

/// Who woke the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Children,
    Main,
    Member,
    Pipe(usize),
    Listener,
    Read(usize),
    Write(usize),
    Notify,
    Stdin,
}

impl Runner {
    fn new(run: RunDir, parts: start::Parts) -> Runner {
        Runner {
            ladder: Ladder::new(&parts.record.stop),
            run,
            record: parts.record,
            host: parts.host,
            _lock: parts.lock,
            log: parts.log,
            pipes: parts.pipes,
            has_children: parts.children.is_some(),
            children: parts.children,
            listener: parts.listener,
            connections: Vec::new(),
            notify: parts.notify,
            stdin: parts.stdin,
            tree: parts.tree,
            main: parts.main,
            main_end: None,
            watched: Vec::new(),
        }
    }

    /// Adds a client that is connected already, and tells it who the service is.
    pub(crate) fn greet(&mut self, mut connection: Connection) {
        connection.send(Notice::Started {
            identity: self.main.identity().clone(),
        });
        self.connections.push(connection);
    }

    /// Stays until every process of the attempt is gone, then records and reports the end.
    pub(crate) fn serve(mut self) -> ExitRecord {
        // A child that ended before anybody watched for it sends no second signal; requests may be waiting too.
        self.reap();
        self.answer_all();
        while !self.ladder.is_over() {
            self.flush_all();
            for source in self.wait() {
                self.handle(source);
            }
            self.connections
                .retain(|connection| !connection.is_closed());
            if self.ladder.deadline().is_some() {
                self.step(&Input::Tick);
            }
        }
        self.finish()
    }

    /// Blocks until something is to be done.
    fn wait(&mut self) -> Vec<Source> {
        if self.main_end.is_none() {
            self.tree.main_is_alive();
        }
        let now = Instant::now();
        let holds = self.pipes.iter().filter_map(|pipe| pipe.hold_until);
        let due = holds.chain(self.ladder.deadline()).min();
        let limit = due.map(|due| timespec(due.saturating_duration_since(now)));
        let sources = self.sources(now);
        let mut fds: Vec<_> = sources
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        // An interruption is the signal of an ended child, which its own descriptor tells of.
        let ready = rustix::event::poll(&mut fds, limit.as_ref()).unwrap_or(0);
        let mut woken = Vec::with_capacity(ready);
        for ((source, _, _), fd) in sources.iter().zip(&fds) {
            if !fd.revents().is_empty() {
                woken.push(*source);
            }
        }
        for (at, pipe) in self.pipes.iter_mut().enumerate() {
            if pipe.hold_until.is_some_and(|until| until <= now) {
                pipe.hold_until = None;
                woken.push(Source::Pipe(at));
            }
        }
        woken
    }

    fn sources(&self, now: Instant) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut sources = Vec::with_capacity(8 + self.connections.len());
        let mut add = |source, fd, flags| sources.push((source, fd, flags));
        match &self.children {
            Some(children) => add(Source::Children, children.as_fd(), PollFlags::IN),
            None if self.main_end.is_none() => add(Source::Main, self.main.as_fd(), PollFlags::IN),
            None => {}
        }
        if let Some(member) = self.watched.first() {
            add(Source::Member, member.process.as_fd(), PollFlags::IN);
        }
        for (at, pipe) in self.pipes.iter().enumerate() {
            if pipe.hold_until.is_none_or(|until| until <= now) {
                add(Source::Pipe(at), pipe.fifo.as_fd(), PollFlags::IN);
            }
        }
        add(Source::Listener, self.listener.as_fd(), PollFlags::IN);
        for (at, connection) in self.connections.iter().enumerate() {
            let busy = connection.awaits_stdin;
            add(
                Source::Read(at),
                connection.as_fd(),
                if busy {
                    PollFlags::empty()
                } else {
                    PollFlags::IN
                },
            );
            if connection.wants_to_write() {
                add(Source::Write(at), connection.as_fd(), PollFlags::OUT);
            }
        }
        if let Some(notify) = &self.notify {
            add(Source::Notify, notify.as_fd(), PollFlags::IN);
        }
        if let Some(fd) = self.stdin.as_ref().and_then(StdinPipe::waits_for) {
            add(Source::Stdin, fd, PollFlags::OUT);
        }
        sources
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Children => self.reap(),
            Source::Main => self.main_ended(MainEnd::of_stranger(&self.main, self.host)),
            Source::Member => {
                self.watched.retain(|member| member.process.is_alive());
                self.settle();
            }
            Source::Pipe(at) => self.drain(at),
            Source::Listener => self.accept(),
            Source::Read(at) => {
                self.connections[at].fill();
                self.answer(at);
            }
            Source::Write(at) => self.connections[at].flush(),
            Source::Notify => self.hear(),
            Source::Stdin => self.feed_stdin(),
        }
    }

    fn drain(&mut self, at: usize) {
        let pipe = &mut self.pipes[at];
        match self.log.drain(pipe.stream, pipe.fifo.as_fd()) {
            Ok(drained) => pipe.drained(drained, Instant::now()),
            // A FIFO that both of us hold open does not fail; if it does, nothing more comes through it.
            Err(_) => drop(self.pipes.remove(at)),
        }
    }

    /// Takes in every child that has ended, descendants that became ours included.
    fn reap(&mut self) {
        let Some(children) = &self.children else {
            return;
        };
        // Empties the counter; what was counted is found by waiting.
        let _ = rustix::io::read(children, &mut [0u8; 8]);
        loop {
            match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if u32::try_from(pid.as_raw_nonzero().get()) == Ok(self.main.identity().pid) {
                        self.main_end = Some(MainEnd::from_status(status.as_raw()));
                    }
                }
                Ok(None) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    self.has_children = false;
                    break;
                }
            }
        }
        self.settle();
    }

    fn main_ended(&mut self, end: MainEnd) {
        self.main_end = Some(end);
        self.settle();
    }

    /// Once the main process has ended: is anything of the tree left?
    fn settle(&mut self) {
        if self.main_end.is_none() {
            return;
        }
        let all_gone = match self.children.is_some() {
            true => !self.has_children,
            false => {
                self.watched.is_empty() && self.tree.members(Some(self.main.identity())).is_empty()
            }
        };
        self.step(if all_gone {
            &Input::AllGone
        } else {
            &Input::MainEnded
        });
    }

    fn step(&mut self, input: &Input) {
        for effect in self.ladder.step(input, Instant::now()) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Announce => self.tell(&Notice::Stopping),
            // A process that may not be signalled stays until the ladder kills the tree, and shows in the report.
            Effect::SignalMain(signal) => drop(self.main.signal(signal)),
            Effect::SignalTree(signal) => self.signal_all(signal, false),
            Effect::AskRest => self.signal_all(Signal::TERM, true),
            Effect::KillRest => {
                let first = !self.ladder.has_leftovers();
                self.signal_all(Signal::KILL, first);
            }
        }
    }

    fn signal_all(&mut self, signal: Signal, note: bool) {
        let main = Some(self.main.identity());
        let members = match signal {
            Signal::KILL => self.tree.frozen(main),
            _ => self.tree.members(main),
        };
        for member in &members {
            if note {
                self.ladder.note_leftover(&member.name);
            }
            // As above.
            drop(member.process.signal(signal));
            if signal == Signal::TERM {
                // One that was stopped would never see it.
                drop(member.process.signal(Signal::CONT));
            }
        }
        if let (Signal::KILL, Some(cgroup)) = (signal, &self.tree.cgroup) {
            // Also reaches what was forked since the list was made. Kernels before 5.14 do not have it.
            drop(cgroup.kill());
        }
        if self.children.is_none() {
            self.watched = members;
            self.settle();
        }
    }

    /// Empties the pipes, closes the log, records and reports the end.
    fn finish(mut self) -> ExitRecord {
        for pipe in &self.pipes {
            self.log.drain_last(pipe.stream, pipe.fifo.as_fd());
        }
        self.log.end();
        let exit = self.exit_record();
        // Before the record: once that is there, nobody comes back for what is left.
        if let Some(cgroup) = &self.tree.cgroup {
            cgroup.remove();
        }
        end::write(&self.run, &exit);
        self.tell(&Notice::Exited { exit: exit.clone() });
        self.flush_all();
        self.run.unlink(run_dir::CONTROL);
        exit
    }

    fn exit_record(&self) -> ExitRecord {
        let end = self.main_end.unwrap_or(MainEnd::Unknown);
        let mut exit = end::record(&self.record, Some(self.main.identity().pid), end);
        exit.stop = self.ladder.report();
        exit
    }
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
